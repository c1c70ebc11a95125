/* SPDX-License-Identifier: MIT
 *
 * Calls of notify: encode, bus_call(), decode, copy into plain structs. Answers come from our own service, yet their
 * shape is checked: an id that is not 16 octets is RC_INTERNAL, not a crash.
 */
#include "client/notify_client.h"

#include "proto/notify.pb-c.h"
#include "subjects.h"

static void *
take(void *ctx, size_t n)
{
	return arena_alloc(ctx, n);
}

static void
keep(void *ctx, void *p)
{
}

static char *
text(const char *s)
{
	return (char *)(uintptr_t)(s != NULL ? s : "");
}

static ProtobufCBinaryData
id_out(const struct uuid *id)
{
	return (ProtobufCBinaryData){sizeof(id->b), (uint8_t *)(uintptr_t)id->b};
}

/* The reply decoded as type, in a. */
static enum rc
call(const struct notify_call *c, const char *subject, const ProtobufCMessage *request,
     const ProtobufCMessageDescriptor *type, struct arena *a, ProtobufCMessage **reply_r, struct err *e)
{
	size_t n = protobuf_c_message_get_packed_size(request);
	uint8_t *packed = arena_alloc(a, n + 1);
	struct bytes reply;
	struct bus_request r = {
	    .subject = subject,
	    .tenant = c->tenant,
	    .traceparent = c->traceparent,
	    .actor_token = c->actor_token,
	    .idempotency_key = c->idempotency_key,
	    .payload = bytes_of(packed, protobuf_c_message_pack(request, packed)),
	    .deadline_ms = c->deadline_ms,
	};
	enum rc rc = bus_call(c->bus, &r, a, &reply, e);
	if (rc != RC_OK)
		return rc;
	ProtobufCAllocator allocator = {.alloc = take, .free = keep, .allocator_data = a};
	ProtobufCMessage *m = protobuf_c_message_unpack(type, &allocator, reply.n, reply.p);
	if (m == NULL)
		return err_set(e, RC_INTERNAL, "notify: its answer does not decode");
	*reply_r = m;
	return RC_OK;
}

/* --- answers ------------------------------------------------------------------------------------------------- */
static enum rc
webhook_in(const Sekisho__Notify__Webhook *m, struct notify_webhook *to, struct err *e)
{
	if (m == NULL || m->id.len != sizeof(to->id.b))
		return err_set(e, RC_INTERNAL, "notify: a webhook without id");
	*to = (struct notify_webhook){
	    .url = m->url,
	    .description = m->description,
	    .types = (const char **)(uintptr_t)m->types,
	    .n_types = m->n_types,
	    .enabled = m->enabled,
	    .disabled_why = m->disabled_why,
	    .created_us = m->created_us,
	    .version = m->version,
	    .position = m->position,
	    .failing_since_us = m->failing_since_us,
	    .last_error = m->last_error,
	    .next_attempt_us = m->next_attempt_us,
	    .delivered = m->delivered,
	    .failed = m->failed,
	};
	memcpy(to->id.b, m->id.data, sizeof(to->id.b));
	return RC_OK;
}

static enum rc
attempt_in(const Sekisho__Notify__Attempt *m, struct notify_attempt *to, struct err *e)
{
	if (m == NULL || m->id.len != sizeof(to->id.b))
		return err_set(e, RC_INTERNAL, "notify: an attempt without id");
	*to = (struct notify_attempt){
	    .event = m->event,
	    .type = m->type,
	    .position = m->position,
	    .at_us = m->at_us,
	    .number = m->number,
	    .status = m->status,
	    .error = m->error,
	    .duration_ms = m->duration_ms,
	    .response = m->response,
	    .ok = m->ok,
	};
	memcpy(to->id.b, m->id.data, sizeof(to->id.b));
	return RC_OK;
}

/* --- reading ------------------------------------------------------------------------------------------------- */
enum rc
notify_webhook_list(const struct notify_call *c, uint32_t limit, const char *cursor, struct arena *a,
		    struct notify_webhooks *out_r, struct err *e)
{
	Sekisho__Notify__WebhookListRequest q = SEKISHO__NOTIFY__WEBHOOK_LIST_REQUEST__INIT;
	ProtobufCMessage *reply;
	q.limit = limit;
	q.cursor = text(cursor);
	enum rc rc =
	    call(c, RPC_NOTIFY_WEBHOOK_LIST, &q.base, &sekisho__notify__webhook_list_reply__descriptor, a, &reply, e);
	if (rc != RC_OK)
		return rc;
	const Sekisho__Notify__WebhookListReply *m = (const void *)reply;
	struct notify_webhooks out = {
	    .v = arena_new_array(a, struct notify_webhook, m->n_webhooks),
	    .n = m->n_webhooks,
	    .next_cursor = m->next_cursor,
	};
	for (size_t i = 0; i < out.n && rc == RC_OK; i++)
		rc = webhook_in(m->webhooks[i], &out.v[i], e);
	if (rc == RC_OK)
		*out_r = out;
	return rc;
}

enum rc
notify_webhook_get(const struct notify_call *c, const struct uuid *id, struct arena *a, struct notify_webhook *out_r,
		   struct err *e)
{
	Sekisho__Notify__WebhookGetRequest q = SEKISHO__NOTIFY__WEBHOOK_GET_REQUEST__INIT;
	ProtobufCMessage *reply;
	q.id = id_out(id);
	enum rc rc =
	    call(c, RPC_NOTIFY_WEBHOOK_GET, &q.base, &sekisho__notify__webhook_get_reply__descriptor, a, &reply, e);
	return rc != RC_OK
		   ? rc
		   : webhook_in(((const Sekisho__Notify__WebhookGetReply *)(const void *)reply)->webhook, out_r, e);
}

enum rc
notify_webhook_attempts(const struct notify_call *c, const struct uuid *id, uint32_t limit, const char *cursor,
			bool failed_only, struct arena *a, struct notify_attempts *out_r, struct err *e)
{
	Sekisho__Notify__WebhookAttemptsRequest q = SEKISHO__NOTIFY__WEBHOOK_ATTEMPTS_REQUEST__INIT;
	ProtobufCMessage *reply;
	q.id = id_out(id);
	q.limit = limit;
	q.cursor = text(cursor);
	q.failed_only = failed_only;
	enum rc rc = call(c, RPC_NOTIFY_WEBHOOK_ATTEMPTS, &q.base, &sekisho__notify__webhook_attempts_reply__descriptor,
			  a, &reply, e);
	if (rc != RC_OK)
		return rc;
	const Sekisho__Notify__WebhookAttemptsReply *m = (const void *)reply;
	struct notify_attempts out = {
	    .v = arena_new_array(a, struct notify_attempt, m->n_attempts),
	    .n = m->n_attempts,
	    .next_cursor = m->next_cursor,
	};
	for (size_t i = 0; i < out.n && rc == RC_OK; i++)
		rc = attempt_in(m->attempts[i], &out.v[i], e);
	if (rc == RC_OK)
		*out_r = out;
	return rc;
}

/* --- changing ------------------------------------------------------------------------------------------------ */
enum rc
notify_webhook_create(const struct notify_call *c, const struct notify_webhook_wish *w, struct arena *a,
		      struct notify_webhook *out_r, const char **secret_r, struct err *e)
{
	Sekisho__Notify__WebhookCreateRequest q = SEKISHO__NOTIFY__WEBHOOK_CREATE_REQUEST__INIT;
	ProtobufCMessage *reply;
	q.url = text(w->url);
	q.description = text(w->description);
	q.types = (char **)(uintptr_t)w->types;
	q.n_types = w->n_types;
	q.disabled = !w->enabled;
	enum rc rc = call(c, RPC_NOTIFY_WEBHOOK_CREATE, &q.base, &sekisho__notify__webhook_create_reply__descriptor, a,
			  &reply, e);
	if (rc != RC_OK)
		return rc;
	const Sekisho__Notify__WebhookCreateReply *m = (const void *)reply;
	rc = webhook_in(m->webhook, out_r, e);
	if (rc == RC_OK)
		*secret_r = m->secret;
	return rc;
}

enum rc
notify_webhook_update(const struct notify_call *c, const struct uuid *id, uint64_t if_version,
		      const struct notify_webhook_wish *w, struct arena *a, struct notify_webhook *out_r, struct err *e)
{
	Sekisho__Notify__WebhookUpdateRequest q = SEKISHO__NOTIFY__WEBHOOK_UPDATE_REQUEST__INIT;
	ProtobufCMessage *reply;
	q.id = id_out(id);
	q.if_version = if_version;
	q.url = text(w->url);
	q.description = text(w->description);
	q.types = (char **)(uintptr_t)w->types;
	q.n_types = w->n_types;
	q.enabled = w->enabled;
	enum rc rc = call(c, RPC_NOTIFY_WEBHOOK_UPDATE, &q.base, &sekisho__notify__webhook_update_reply__descriptor, a,
			  &reply, e);
	return rc != RC_OK
		   ? rc
		   : webhook_in(((const Sekisho__Notify__WebhookUpdateReply *)(const void *)reply)->webhook, out_r, e);
}

enum rc
notify_webhook_delete(const struct notify_call *c, const struct uuid *id, uint64_t if_version, struct arena *a,
		      struct err *e)
{
	Sekisho__Notify__WebhookDeleteRequest q = SEKISHO__NOTIFY__WEBHOOK_DELETE_REQUEST__INIT;
	ProtobufCMessage *reply;
	q.id = id_out(id);
	q.if_version = if_version;
	return call(c, RPC_NOTIFY_WEBHOOK_DELETE, &q.base, &sekisho__notify__webhook_delete_reply__descriptor, a,
		    &reply, e);
}

enum rc
notify_webhook_rotate(const struct notify_call *c, const struct uuid *id, uint32_t overlap_seconds, struct arena *a,
		      const char **secret_r, int64_t *old_until_us_r, struct err *e)
{
	Sekisho__Notify__WebhookRotateRequest q = SEKISHO__NOTIFY__WEBHOOK_ROTATE_REQUEST__INIT;
	ProtobufCMessage *reply;
	q.id = id_out(id);
	q.overlap_seconds = overlap_seconds;
	enum rc rc = call(c, RPC_NOTIFY_WEBHOOK_ROTATE, &q.base, &sekisho__notify__webhook_rotate_reply__descriptor, a,
			  &reply, e);
	if (rc != RC_OK)
		return rc;
	const Sekisho__Notify__WebhookRotateReply *m = (const void *)reply;
	*secret_r = m->secret;
	*old_until_us_r = m->old_until_us;
	return RC_OK;
}

enum rc
notify_webhook_test(const struct notify_call *c, const struct uuid *id, struct arena *a, struct notify_attempt *out_r,
		    struct err *e)
{
	Sekisho__Notify__WebhookTestRequest q = SEKISHO__NOTIFY__WEBHOOK_TEST_REQUEST__INIT;
	ProtobufCMessage *reply;
	q.id = id_out(id);
	enum rc rc =
	    call(c, RPC_NOTIFY_WEBHOOK_TEST, &q.base, &sekisho__notify__webhook_test_reply__descriptor, a, &reply, e);
	return rc != RC_OK
		   ? rc
		   : attempt_in(((const Sekisho__Notify__WebhookTestReply *)(const void *)reply)->attempt, out_r, e);
}

enum rc
notify_webhook_replay(const struct notify_call *c, const struct uuid *id, const struct notify_replay *q,
		      struct arena *a, uint64_t *count_r, struct err *e)
{
	Sekisho__Notify__WebhookReplayRequest m = SEKISHO__NOTIFY__WEBHOOK_REPLAY_REQUEST__INIT;
	ProtobufCMessage *reply;
	m.id = id_out(id);
	m.from = q->from;
	m.until = q->until;
	m.events = (char **)(uintptr_t)q->events;
	m.n_events = q->n_events;
	enum rc rc = call(c, RPC_NOTIFY_WEBHOOK_REPLAY, &m.base, &sekisho__notify__webhook_replay_reply__descriptor, a,
			  &reply, e);
	if (rc == RC_OK)
		*count_r = ((const Sekisho__Notify__WebhookReplayReply *)(const void *)reply)->count;
	return rc;
}
