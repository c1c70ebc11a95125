/* SPDX-License-Identifier: MIT
 *
 * What somebody asked for, read from the request by its description in protobuf, so that the record says it for every
 * operation alike. Closed by default: a text is shown only if its field is named below; of any other its length is.
 */
#include <protobuf-c/protobuf-c.h>
#include <stdio.h>

#include "svc/svc_internal.h"

#define DEPTH_MAX 3
#define ITEMS_MAX 20
#define TEXT_MAX  320

/* Names, addresses of envelopes, and words of ours: what the tables hold in clear as well. Never words of a search, of
 * a mail or of a person, nor addresses of the web, which may hold secrets. */
static const char *const shown[] = {"action",	   "actor",	"addresses", "direction", "domain",  "groups",
				    "language",	   "login",	"members",   "name",	  "outcome", "permission",
				    "permissions", "recipient", "roles",     "sender",	  "source",  "state",
				    "tls",	   "types",	"uncertain"};
/* Of these the first is what the request is about. */
static const char *const subjects[] = {"id", "message", "key_id"};

static bool
is_one_of(const char *name, const char *const *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(name, v[i]) == 0)
			return true;
	return false;
}
#define IS_ONE_OF(name, list) is_one_of((name), (list), sizeof(list) / sizeof(*(list)))

static void add_message(struct buf *b, const ProtobufCMessage *m, int depth);

static void
add_text(struct buf *b, const char *name, struct bytes text)
{
	if (IS_ONE_OF(name, shown) && text.n <= TEXT_MAX)
		buf_add_json(b, text);
	else
		buf_addf(b, "{\"octets\":%zu}", text.n);
}

static void
add_octets(struct buf *b, const ProtobufCBinaryData *d)
{
	char id[UUID_STR_SIZE];
	struct uuid u;
	if (d->len != sizeof(u.b)) {
		buf_addf(b, "{\"octets\":%zu}", d->len);
		return;
	}
	memcpy(u.b, d->data, sizeof(u.b));
	uuid_format(&u, id);
	buf_addf(b, "\"%s\"", id);
}

static void
add_choice(struct buf *b, const ProtobufCFieldDescriptor *f, int value)
{
	const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(f->descriptor, value);
	if (v != NULL)
		buf_add_json(b, bytes_str(v->name));
	else
		buf_addf(b, "%d", value);
}

/* at: one value of the field. */
static void
add_value(struct buf *b, const ProtobufCFieldDescriptor *f, const void *at, int depth)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		buf_addf(b, "%d", *(const int32_t *)at);
		return;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		buf_addf(b, "%u", *(const uint32_t *)at);
		return;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		buf_addf(b, "%lld", (long long)*(const int64_t *)at);
		return;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		buf_addf(b, "%llu", (unsigned long long)*(const uint64_t *)at);
		return;
	case PROTOBUF_C_TYPE_BOOL:
		buf_add_str(b, *(const protobuf_c_boolean *)at ? "true" : "false");
		return;
	case PROTOBUF_C_TYPE_ENUM:
		add_choice(b, f, *(const int *)at);
		return;
	case PROTOBUF_C_TYPE_STRING:
		add_text(b, f->name, bytes_str(*(char *const *)at));
		return;
	case PROTOBUF_C_TYPE_BYTES:
		add_octets(b, at);
		return;
	case PROTOBUF_C_TYPE_MESSAGE:
		add_message(b, *(ProtobufCMessage *const *)at, depth + 1);
		return;
	default:
		buf_add_str(b, "null"); /* no request has a floating-point field */
	}
}

static size_t
size_of(const ProtobufCFieldDescriptor *f)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 8;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	default:
		return 4;
	}
}

static void
add_list(struct buf *b, const ProtobufCFieldDescriptor *f, const uint8_t *items, size_t n, int depth)
{
	if (n > ITEMS_MAX) {
		buf_addf(b, "{\"items\":%zu}", n);
		return;
	}
	buf_add_str(b, "[");
	for (size_t i = 0; i < n; i++) {
		buf_add_str(b, i > 0 ? "," : "");
		add_value(b, f, items + i * size_of(f), depth);
	}
	buf_add_str(b, "]");
}

/* What proto3 does not send: nothing was asked by it. */
static bool
is_default(const ProtobufCFieldDescriptor *f, const void *at)
{
	static const uint8_t zero[8];
	if (f->type == PROTOBUF_C_TYPE_STRING)
		return (*(char *const *)at)[0] == '\0';
	if (f->type == PROTOBUF_C_TYPE_BYTES)
		return ((const ProtobufCBinaryData *)at)->len == 0;
	return memcmp(at, zero, size_of(f)) == 0;
}

static bool
is_set(const ProtobufCFieldDescriptor *f, const uint8_t *m)
{
	if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		return *(const uint32_t *)(const void *)(m + f->quantifier_offset) == f->id;
	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		return *(const size_t *)(const void *)(m + f->quantifier_offset) > 0;
	return !is_default(f, m + f->offset);
}

static void
add_message(struct buf *b, const ProtobufCMessage *message, int depth)
{
	const uint8_t *m = (const uint8_t *)message;
	const char *comma = "";
	buf_add_str(b, "{");
	for (unsigned i = 0; i < message->descriptor->n_fields && depth <= DEPTH_MAX; i++) {
		const ProtobufCFieldDescriptor *f = &message->descriptor->fields[i];
		/* Where one goes on reading is no matter for the record. */
		if (!is_set(f, m) || strcmp(f->name, "cursor") == 0)
			continue;
		buf_addf(b, "%s\"%s\":", comma, f->name);
		comma = ",";
		if (f->label == PROTOBUF_C_LABEL_REPEATED)
			add_list(b, f, *(const uint8_t *const *)(const void *)(m + f->offset),
				 *(const size_t *)(const void *)(m + f->quantifier_offset), depth);
		else
			add_value(b, f, m + f->offset, depth);
	}
	buf_add_str(b, "}");
}

static void
take_subject(const ProtobufCMessage *message, struct asked *out)
{
	for (unsigned i = 0; i < message->descriptor->n_fields && !out->has_subject; i++) {
		const ProtobufCFieldDescriptor *f = &message->descriptor->fields[i];
		if (f->type != PROTOBUF_C_TYPE_BYTES || f->label == PROTOBUF_C_LABEL_REPEATED ||
		    !IS_ONE_OF(f->name, subjects))
			continue;
		const ProtobufCBinaryData *d = (const void *)((const uint8_t *)message + f->offset);
		out->has_subject = d->len == sizeof(out->subject.b);
		if (out->has_subject)
			memcpy(out->subject.b, d->data, sizeof(out->subject.b));
	}
}

static void *
arena_take(void *a, size_t n)
{
	return arena_alloc(a, n);
}

static void
arena_leave(void *a, void *p)
{
}

struct asked
asked_read(const struct ProtobufCMessageDescriptor *d, struct bytes request, struct arena *a)
{
	struct asked out = {0};
	ProtobufCAllocator alloc = {arena_take, arena_leave, a};
	/* A larger one is a document or a mail: what it holds is not for the record. */
	const ProtobufCMessage *m =
	    request.n <= ASKED_MAX ? protobuf_c_message_unpack(d, &alloc, request.n, request.p) : NULL;
	if (m == NULL) {
		out.json = bytes_str(arena_printf(a, "{\"octets\":%zu}", request.n));
		return out;
	}
	struct buf b;
	buf_init(&b, 0);
	add_message(&b, m, 0);
	out.json = arena_bytes(a, buf_bytes(&b));
	buf_done(&b);
	take_subject(m, &out);
	return out;
}
