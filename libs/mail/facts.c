/* SPDX-License-Identifier: MIT
 *
 * The codec of facts. Decoding looks at the wire first (facts_wire.c), lets protobuf-c unpack what is bounded, and then
 * checks every range; so a struct facts never points outside its message. No threads, no state.
 */
#include "mail/facts.h"

#include "mail/facts_wire.h"
#include "proto/facts.pb-c.h"

static const struct wire_bound bounds[] = {
    {"Facts", 11, FACTS_ADDRESSES_MAX},	  {"Facts", 12, FACTS_ADDRESSES_MAX},
    {"Facts", 13, FACTS_ADDRESSES_MAX},	  {"Facts", 14, FACTS_ADDRESSES_MAX},
    {"Facts", 15, FACTS_ADDRESSES_MAX},	  {"Facts", 30, 0, FACTS_TEXT_MAX},
    {"Facts", 32, FACTS_ATTACHMENTS_MAX}, {"Facts", 51, FACTS_FIELDS_MAX},
    {"Facts", 52, FACTS_PARTS_MAX},	  {NULL},
};
static const struct wire_rules rules = {bounds, FACTS_STRING_MAX};

const char *
facts_verdict_str(enum facts_verdict v)
{
	switch (v) {
	case FACTS_ERROR:
		return "error";
	case FACTS_CLEAN:
		return "clean";
	case FACTS_INFECTED:
		return "infected";
	case FACTS_UNSCANNABLE:
		return "unscannable";
	case FACTS_ENCRYPTED:
		return "encrypted";
	case FACTS_AMBIGUOUS:
		return "ambiguous";
	case FACTS_LIMIT:
		return "limit";
	}
	return "unknown";
}

/* --- decoding ------------------------------------------------------------------------------------------- */

static void *
arena_cb_alloc(void *a, size_t n)
{
	return arena_alloc(a, n);
}

static void
arena_cb_free(void *a, void *p)
{
}

static bool
inside(uint64_t offset, uint64_t length, uint64_t size)
{
	return offset <= size && length <= size - offset;
}

static struct facts_addresses
addresses_in(struct arena *a, Sekisho__Facts__Address *const *v, size_t n)
{
	struct facts_addresses out = {arena_new_array(a, struct facts_address, n), n};
	for (size_t i = 0; i < n; i++)
		out.v[i] = (struct facts_address){v[i]->display, v[i]->addr};
	return out;
}

static enum rc
fields_in(struct facts *f, struct arena *a, const Sekisho__Facts__Facts *m, struct err *e)
{
	uint64_t end = 0;
	f->n_fields = m->n_fields;
	f->fields = arena_new_array(a, struct facts_field, m->n_fields);
	for (size_t i = 0; i < m->n_fields; i++) {
		const Sekisho__Facts__Field *x = m->fields[i];
		if (x->offset < end || !inside(x->offset, x->length, f->header_length))
			return err_set(e, RC_INVALID, "fields[%zu] is out of order or outside the header", i);
		if (x->name_length == 0 || x->name_length >= x->length)
			return err_set(e, RC_INVALID, "fields[%zu] has no room for its name", i);
		end = (uint64_t)x->offset + x->length;
		f->fields[i] = (struct facts_field){x->offset, x->name_length, x->length};
	}
	return RC_OK;
}

/* Parts nest: a part lies in its parent's body, after its elder siblings; body follows header. */
static enum rc
parts_in(struct facts *f, struct arena *a, const Sekisho__Facts__Facts *m, struct err *e)
{
	uint64_t *free_from = arena_new_array(a, uint64_t, m->n_parts);
	f->n_parts = m->n_parts;
	f->parts = arena_new_array(a, struct facts_part, m->n_parts);
	for (size_t i = 0; i < m->n_parts; i++) {
		const Sekisho__Facts__Part *x = m->parts[i];
		if (i == 0 ? x->parent != -1 : x->parent < 0 || (size_t)x->parent >= i)
			return err_set(e, RC_INVALID, "parts[%zu] has a bad parent", i);
		if (!inside(x->header_offset, x->header_length, f->size) ||
		    !inside(x->body_offset, x->body_length, f->size) ||
		    x->body_offset < x->header_offset + x->header_length)
			return err_set(e, RC_INVALID, "parts[%zu] is outside the message", i);
		if (i > 0) {
			const struct facts_part *up = &f->parts[x->parent];
			if (x->header_offset < free_from[x->parent] ||
			    x->body_offset + x->body_length > up->body_offset + up->body_length)
				return err_set(e, RC_INVALID, "parts[%zu] is outside its parent or overlaps", i);
			free_from[x->parent] = x->body_offset + x->body_length;
		}
		free_from[i] = x->body_offset;
		f->parts[i] = (struct facts_part){
		    .parent = x->parent,
		    .header_offset = x->header_offset,
		    .header_length = x->header_length,
		    .body_offset = x->body_offset,
		    .body_length = x->body_length,
		    .content_type = x->content_type,
		    .charset = x->charset,
		    .encoding = x->encoding,
		    .disposition = x->disposition,
		    .content_id = x->content_id,
		};
	}
	return RC_OK;
}

static enum rc
attachments_in(struct facts *f, struct arena *a, const Sekisho__Facts__Facts *m, struct err *e)
{
	f->n_attachments = m->n_attachments;
	f->attachments = arena_new_array(a, struct facts_attachment, m->n_attachments);
	for (size_t i = 0; i < m->n_attachments; i++) {
		const Sekisho__Facts__Attachment *x = m->attachments[i];
		if (x->sha256.len != 32)
			return err_set(e, RC_INVALID, "attachments[%zu].sha256 is not 32 octets", i);
		if (x->part >= f->n_parts)
			return err_set(e, RC_INVALID, "attachments[%zu] names no part", i);
		f->attachments[i] = (struct facts_attachment){
		    .name = x->name,
		    .declared_type = x->declared_type,
		    .detected_type = x->detected_type,
		    .size = x->size,
		    .encrypted = x->encrypted,
		    .part = x->part,
		};
		memcpy(f->attachments[i].sha256, x->sha256.data, 32);
	}
	return RC_OK;
}

static enum rc
message_in(struct facts *f, struct arena *a, const Sekisho__Facts__Facts *m, struct err *e)
{
	if (m->verdict < 0 || (unsigned)m->verdict > FACTS_LIMIT)
		return err_set(e, RC_INVALID, "unknown verdict %d", (int)m->verdict);
	if (m->sha256.len != 32)
		return err_set(e, RC_INVALID, "sha256 is not 32 octets");
	if ((m->verdict == SEKISHO__FACTS__FACTS__VERDICT__INFECTED) != (m->signature[0] != '\0'))
		return err_set(e, RC_INVALID, "a signature belongs to the verdict infected and to no other");
	if (m->header_length > m->size || m->longest_line > m->size)
		return err_set(e, RC_INVALID, "a length is over the message's size");
	f->verdict = (enum facts_verdict)m->verdict;
	f->signature = m->signature;
	f->reason = m->reason;
	f->scanner = m->scanner;
	f->size = m->size;
	memcpy(f->sha256, m->sha256.data, 32);
	f->subject = m->subject;
	f->message_id = m->message_id;
	f->from = addresses_in(a, m->from, m->n_from);
	f->sender = addresses_in(a, m->sender, m->n_sender);
	f->to = addresses_in(a, m->to, m->n_to);
	f->cc = addresses_in(a, m->cc, m->n_cc);
	f->reply_to = addresses_in(a, m->reply_to, m->n_reply_to);
	f->received_count = m->received_count;
	f->auto_submitted = m->auto_submitted;
	f->has_date = m->has_date;
	f->has_message_id = m->has_message_id;
	f->has_from = m->has_from;
	f->text = m->text;
	f->text_truncated = m->text_truncated;
	f->eight_bit = m->eight_bit;
	f->utf8_header = m->utf8_header;
	f->longest_line = m->longest_line;
	f->header_length = m->header_length;
	if (fields_in(f, a, m, e) != RC_OK || parts_in(f, a, m, e) != RC_OK || attachments_in(f, a, m, e) != RC_OK)
		return RC_INVALID;
	return RC_OK;
}

enum rc
facts_decode(struct bytes encoded, struct arena *a, struct facts **out_r, struct err *e)
{
	if (encoded.n > FACTS_ENCODED_MAX)
		return err_set(e, RC_INVALID, "facts of %zu octets", encoded.n);
	enum rc rc = facts_wire_check(&sekisho__facts__facts__descriptor, encoded, &rules, e);
	if (rc != RC_OK)
		return rc;
	ProtobufCAllocator alloc = {arena_cb_alloc, arena_cb_free, a};
	Sekisho__Facts__Facts *m = sekisho__facts__facts__unpack(&alloc, encoded.n, encoded.p);
	if (m == NULL)
		return err_set(e, RC_INVALID, "facts do not decode");
	struct facts *f = arena_new_array(a, struct facts, 1);
	rc = message_in(f, a, m, e);
	if (rc == RC_OK)
		*out_r = f;
	return rc;
}

/* --- encoding ------------------------------------------------------------------------------------------- */

/* protobuf-c does not write through these pointers, it only lacks the const. */
static char *
text_out(const char *s)
{
	return (char *)(uintptr_t)(s != NULL ? s : "");
}

static size_t
addresses_out(struct arena *a, const struct facts_addresses *in, Sekisho__Facts__Address ***out_r)
{
	Sekisho__Facts__Address **v = arena_new_array(a, Sekisho__Facts__Address *, in->n);
	for (size_t i = 0; i < in->n; i++) {
		v[i] = arena_new_array(a, Sekisho__Facts__Address, 1);
		sekisho__facts__address__init(v[i]);
		v[i]->display = text_out(in->v[i].display);
		v[i]->addr = text_out(in->v[i].addr);
	}
	*out_r = v;
	return in->n;
}

static void
lists_out(const struct facts *f, struct arena *a, Sekisho__Facts__Facts *m)
{
	m->n_fields = f->n_fields;
	m->fields = arena_new_array(a, Sekisho__Facts__Field *, f->n_fields);
	for (size_t i = 0; i < f->n_fields; i++) {
		Sekisho__Facts__Field *x = m->fields[i] = arena_new_array(a, Sekisho__Facts__Field, 1);
		sekisho__facts__field__init(x);
		x->offset = f->fields[i].offset;
		x->name_length = f->fields[i].name_length;
		x->length = f->fields[i].length;
	}
	m->n_parts = f->n_parts;
	m->parts = arena_new_array(a, Sekisho__Facts__Part *, f->n_parts);
	for (size_t i = 0; i < f->n_parts; i++) {
		const struct facts_part *p = &f->parts[i];
		Sekisho__Facts__Part *x = m->parts[i] = arena_new_array(a, Sekisho__Facts__Part, 1);
		sekisho__facts__part__init(x);
		x->parent = p->parent;
		x->header_offset = p->header_offset;
		x->header_length = p->header_length;
		x->body_offset = p->body_offset;
		x->body_length = p->body_length;
		x->content_type = text_out(p->content_type);
		x->charset = text_out(p->charset);
		x->encoding = text_out(p->encoding);
		x->disposition = text_out(p->disposition);
		x->content_id = text_out(p->content_id);
	}
	m->n_attachments = f->n_attachments;
	m->attachments = arena_new_array(a, Sekisho__Facts__Attachment *, f->n_attachments);
	for (size_t i = 0; i < f->n_attachments; i++) {
		const struct facts_attachment *t = &f->attachments[i];
		Sekisho__Facts__Attachment *x = m->attachments[i] = arena_new_array(a, Sekisho__Facts__Attachment, 1);
		sekisho__facts__attachment__init(x);
		x->name = text_out(t->name);
		x->declared_type = text_out(t->declared_type);
		x->detected_type = text_out(t->detected_type);
		x->size = t->size;
		x->sha256 = (ProtobufCBinaryData){32, (uint8_t *)(uintptr_t)t->sha256};
		x->encrypted = t->encrypted;
		x->part = t->part;
	}
}

static void
message_out(const struct facts *f, struct arena *a, Sekisho__Facts__Facts *m)
{
	m->verdict = (Sekisho__Facts__Facts__Verdict)f->verdict;
	m->signature = text_out(f->signature);
	m->reason = text_out(f->reason);
	m->scanner = text_out(f->scanner);
	m->size = f->size;
	m->sha256 = (ProtobufCBinaryData){32, (uint8_t *)(uintptr_t)f->sha256};
	m->subject = text_out(f->subject);
	m->message_id = text_out(f->message_id);
	m->n_from = addresses_out(a, &f->from, &m->from);
	m->n_sender = addresses_out(a, &f->sender, &m->sender);
	m->n_to = addresses_out(a, &f->to, &m->to);
	m->n_cc = addresses_out(a, &f->cc, &m->cc);
	m->n_reply_to = addresses_out(a, &f->reply_to, &m->reply_to);
	m->received_count = f->received_count;
	m->auto_submitted = f->auto_submitted;
	m->has_date = f->has_date;
	m->has_message_id = f->has_message_id;
	m->has_from = f->has_from;
	m->text = text_out(f->text);
	m->text_truncated = f->text_truncated;
	m->eight_bit = f->eight_bit;
	m->utf8_header = f->utf8_header;
	m->longest_line = f->longest_line;
	m->header_length = f->header_length;
	lists_out(f, a, m);
}

enum rc
facts_encode(const struct facts *f, struct buf *out, struct err *e)
{
	struct arena *a = arena_new();
	Sekisho__Facts__Facts m = SEKISHO__FACTS__FACTS__INIT;
	message_out(f, a, &m);
	enum rc rc = RC_OK;
	size_t n = sekisho__facts__facts__get_packed_size(&m);
	uint8_t *to = n <= FACTS_ENCODED_MAX ? buf_reserve(out, n) : NULL;
	if (n > FACTS_ENCODED_MAX || (n > 0 && to == NULL))
		rc = err_set(e, RC_LIMIT, "facts of %zu octets do not fit", n);
	else
		out->n += sekisho__facts__facts__pack(&m, to);
	arena_free(&a);
	return rc;
}

/* --- looking at fields ---------------------------------------------------------------------------------- */

ptrdiff_t
facts_find_field(const struct facts *f, struct bytes msg, const char *name, size_t from)
{
	struct bytes want = bytes_str(name), have;
	for (size_t i = from; i < f->n_fields; i++)
		if (bytes_slice(msg, f->fields[i].offset, f->fields[i].name_length, &have) && bytes_ieq(have, want))
			return (ptrdiff_t)i;
	return -1;
}

struct bytes
facts_field_value(const struct facts_field *field, struct bytes msg)
{
	struct bytes whole;
	if (!bytes_slice(msg, field->offset, field->length, &whole) || field->name_length > whole.n)
		return bytes_of(NULL, 0);
	const uint8_t *colon = memchr(whole.p + field->name_length, ':', whole.n - field->name_length);
	if (colon == NULL)
		return bytes_of(NULL, 0);
	struct bytes v = bytes_of(colon + 1, (size_t)(whole.p + whole.n - colon) - 1);
	if (v.n >= 2 && v.p[v.n - 2] == '\r' && v.p[v.n - 1] == '\n')
		v.n -= 2;
	return v;
}
