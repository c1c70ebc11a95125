/* SPDX-License-Identifier: MIT */
#include "wire.h"

#include "core/clock.h"

/* A hundred addresses, five thousand logins, and room; protobuf-c's structs are many times as big. */
#define REQUEST_MAX (768 * 1024)

static void *
arena_take(void *a, size_t n)
{
	return arena_alloc(a, n);
}

static void
arena_leave(void *a, void *p)
{
}

enum rc
wire_decode(const struct svc_request *r, const ProtobufCMessageDescriptor *d, void *message_r, struct err *e)
{
	if (r->in->payload.n > REQUEST_MAX)
		return err_set(e, RC_LIMIT, "the request is too large");
	ProtobufCAllocator arena = {arena_take, arena_leave, r->in->arena};
	void *m = protobuf_c_message_unpack(d, &arena, r->in->payload.n, r->in->payload.p);
	if (m == NULL)
		return err_set(e, RC_INVALID, "the request does not decode");
	memcpy(message_r, &m, sizeof(m));
	return RC_OK;
}

enum rc
wire_encode(const void *message, struct buf *reply, struct err *e)
{
	size_t n = protobuf_c_message_get_packed_size(message);
	uint8_t *p = buf_reserve(reply, n);
	if (p == NULL)
		return err_set(e, RC_LIMIT, "the answer is too large");
	reply->n += protobuf_c_message_pack(message, p);
	return RC_OK;
}

enum rc
wire_uuid(ProtobufCBinaryData b, struct uuid *out_r, struct err *e)
{
	if (b.len != sizeof(out_r->b))
		return err_set(e, RC_INVALID, "an id has 16 octets");
	memcpy(out_r->b, b.data, sizeof(out_r->b));
	return RC_OK;
}

ProtobufCBinaryData
wire_bytes(struct bytes b)
{
	return (ProtobufCBinaryData){b.n, (uint8_t *)(uintptr_t)b.p};
}

ProtobufCBinaryData
wire_id(const struct uuid *u)
{
	return wire_bytes(bytes_of(u->b, sizeof(u->b)));
}

char **
wire_strings(const struct bytes *v, size_t n, struct arena *a)
{
	char **out = arena_new_array(a, char *, n + 1);
	for (size_t i = 0; i < n; i++)
		out[i] = arena_strndup(a, v[i].p, v[i].n);
	return out;
}

char **
wire_permissions(struct permission_set s, struct arena *a, size_t *n_r)
{
	const char **names = NULL;
	*n_r = permission_names(s, a, &names);
	return (char **)names;
}

enum rc
wire_cursor(const char *cursor, struct uuid *id_r, const struct uuid **or_null_r, struct err *e)
{
	*or_null_r = NULL;
	if (cursor[0] == 0)
		return RC_OK;
	if (!uuid_parse(cursor, id_r))
		return err_set(e, RC_INVALID, "cursor: not one of ours");
	*or_null_r = id_r;
	return RC_OK;
}

enum rc
wire_limit(uint32_t wished, int32_t *limit_r, struct err *e)
{
	if (wished > WIRE_LIST_MAX)
		return err_set(e, RC_INVALID, "limit: at most %d", WIRE_LIST_MAX);
	*limit_r = wished == 0 ? WIRE_LIST_DEFAULT : (int32_t)wished;
	return RC_OK;
}

struct store_by
wire_by(const struct svc_request *r, const char *client_ip)
{
	char id[UUID_STR_SIZE] = "unknown";
	if (r->actor != NULL)
		uuid_format(&r->actor->account, id);
	return (struct store_by){
	    .db = r->svc->db,
	    .actor = arena_strdup(r->in->arena, id),
	    .client_ip = r->actor != NULL ? r->actor->from : client_ip,
	    .traceparent = r->in->traceparent,
	    .now_us = clock_wall_us(),
	    .deadline_ms = r->in->deadline_ms,
	};
}
