/* SPDX-License-Identifier: MIT
 *
 * Encoding of what the store read.
 */
#include "codec.h"

#include "smtp/address.h"

static void *
take(void *ctx, size_t n)
{
	return arena_alloc(ctx, n);
}

static void
keep(void *ctx, void *p)
{
}

ProtobufCAllocator
codec_allocator(struct arena *a)
{
	return (ProtobufCAllocator){.alloc = take, .free = keep, .allocator_data = a};
}

enum rc
codec_pack(const ProtobufCMessage *m, struct buf *reply, struct err *e)
{
	size_t n = protobuf_c_message_get_packed_size(m);
	uint8_t *to = n > 0 ? buf_reserve(reply, n) : NULL;
	if (n > 0 && to == NULL)
		return err_set(e, RC_LIMIT, "the answer is too large");
	if (n > 0)
		reply->n += protobuf_c_message_pack(m, to);
	return RC_OK;
}

char *
codec_text(struct arena *a, struct bytes b)
{
	char *s = arena_strndup(a, b.p != NULL ? b.p : (const uint8_t *)"", b.n);
	bool valid = smtp_utf8_valid(b);
	for (size_t i = 0; i < b.n; i++)
		if (s[i] == '\0' || (!valid && (s[i] & 0x80) != 0))
			s[i] = '?';
	return s;
}

static ProtobufCBinaryData
binary(struct bytes b)
{
	return (ProtobufCBinaryData){b.n, (uint8_t *)(uintptr_t)b.p};
}

static int64_t
time_or_zero(int64_t us)
{
	return us == DB_TIME_NULL || us >= STORE_NEVER_US ? 0 : us;
}

static Sekisho__Delivery__Recipient *
recipient(const struct store_leg *l, struct arena *a)
{
	Sekisho__Delivery__Recipient *r = arena_new_array(a, Sekisho__Delivery__Recipient, 1);
	sekisho__delivery__recipient__init(r);
	r->address = binary(l->address);
	r->state = (char *)(uintptr_t)leg_state_str(l->state);
	r->due_us = time_or_zero(l->due_us);
	r->rule = codec_text(a, l->rule);
	r->cause = (char *)(uintptr_t)l->cause;
	r->attempts = (uint32_t)l->attempts;
	r->reply = codec_text(a, l->reply);
	r->remote = codec_text(a, l->remote);
	r->tls = (char *)(uintptr_t)l->tls;
	r->version = (uint64_t)l->version;
	r->number = (uint32_t)l->number;
	r->final_us = time_or_zero(l->final_us);
	r->possible_duplicate = l->possible_duplicate;
	return r;
}

Sekisho__Delivery__Message *
codec_message(const struct store_view *v, struct arena *a)
{
	Sekisho__Delivery__Message *m = arena_new_array(a, Sekisho__Delivery__Message, 1);
	sekisho__delivery__message__init(m);
	char *trace = arena_alloc(a, 33);
	traceparent_trace_id(v->message.traceparent, trace);
	m->id = binary(arena_bytes(a, bytes_of(v->message.id.b, sizeof(v->message.id.b))));
	m->accepted_us = v->message.accepted_us;
	m->direction = (char *)(uintptr_t)store_direction_str(v->message.direction);
	m->mail_from = binary(v->message.mail_from);
	m->size = v->message.size;
	m->trace_id = trace;
	m->verdict = codec_text(a, v->message.verdict);
	m->n_recipients = v->n_legs;
	m->recipients = arena_new_array(a, Sekisho__Delivery__Recipient *, v->n_legs);
	for (size_t i = 0; i < v->n_legs; i++)
		m->recipients[i] = recipient(&v->legs[i], a);
	return m;
}

bool
codec_cursor(const char *cursor, bool *has_r, struct uuid *out_r)
{
	*has_r = cursor[0] != '\0';
	return !*has_r || uuid_parse(cursor, out_r);
}
