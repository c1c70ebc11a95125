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
id_out(const struct uuid *id, struct arena *a)
{
	struct bytes b = arena_bytes(a, bytes_of(id->b, sizeof(id->b)));
	return (ProtobufCBinaryData){b.n, (uint8_t *)(uintptr_t)b.p};
}

static int64_t
time_or_zero(int64_t us)
{
	return us == DB_TIME_NULL ? 0 : us;
}

Sekisho__Notify__Webhook *
codec_webhook(const struct store_webhook *w, struct arena *a)
{
	Sekisho__Notify__Webhook *m = arena_new_array(a, Sekisho__Notify__Webhook, 1);
	bool failing = w->failing_since_us != DB_TIME_NULL;
	sekisho__notify__webhook__init(m);
	m->id = id_out(&w->id, a);
	m->url = codec_text(a, w->url);
	m->description = codec_text(a, w->description);
	m->n_types = w->n_types;
	m->types = (char **)(uintptr_t)w->types;
	m->enabled = w->enabled;
	m->disabled_why = (char *)(uintptr_t)w->disabled_why;
	m->created_us = w->made_us;
	m->version = (uint64_t)w->version;
	m->position = (uint64_t)w->position;
	m->failing_since_us = time_or_zero(w->failing_since_us);
	m->last_error = (char *)(uintptr_t)w->last_error;
	m->next_attempt_us = failing && w->enabled ? time_or_zero(w->due_us) : 0;
	m->delivered = (uint64_t)w->delivered;
	m->failed = (uint64_t)w->failed;
	return m;
}

Sekisho__Notify__Attempt *
codec_attempt(const struct store_attempt *t, struct arena *a)
{
	Sekisho__Notify__Attempt *m = arena_new_array(a, Sekisho__Notify__Attempt, 1);
	char *event = arena_alloc(a, UUID_STR_SIZE);
	uuid_format(&t->event, event);
	sekisho__notify__attempt__init(m);
	m->id = id_out(&t->id, a);
	m->event = event;
	m->type = (char *)(uintptr_t)t->type;
	m->position = (uint64_t)t->position;
	m->at_us = t->at_us;
	m->number = (uint32_t)t->number;
	m->status = (uint32_t)t->status;
	m->error = (char *)(uintptr_t)t->error;
	m->duration_ms = (uint32_t)t->duration_ms;
	m->response = codec_text(a, t->response);
	m->ok = t->ok;
	return m;
}

bool
codec_cursor(const char *cursor, bool *has_r, struct uuid *out_r)
{
	*has_r = cursor[0] != '\0';
	return !*has_r || uuid_parse(cursor, out_r);
}

bool
codec_id(const ProtobufCBinaryData *b, struct uuid *out_r)
{
	if (b->len != sizeof(out_r->b))
		return false;
	memcpy(out_r->b, b->data, sizeof(out_r->b));
	return true;
}
