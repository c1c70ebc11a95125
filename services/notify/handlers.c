/* SPDX-License-Identifier: MIT
 *
 * What is only read, and what the other handlers share.
 */
#include "handlers.h"

#include "client/notify_client.h"
#include "codec.h"
#include "core/clock.h"

enum rc
handlers_begin(const struct svc_request *r, bool decoded, struct err *e)
{
	if (!decoded)
		return err_set(e, RC_INVALID, "the request does not decode");
	return r->in->has_tenant ? RC_OK : err_set(e, RC_DENIED, "a key of a tenant is needed");
}

enum rc
handlers_intent(const struct svc_request *r, struct db_tx *tx, const char *action, const struct uuid *webhook,
		const char *detail, struct err *e)
{
	struct audit_intent i = {
	    .action = action,
	    .outcome = rc_str(RC_OK),
	    .actor = bytes_str(svc_actor_text(r->actor, r->in->arena)),
	    .source = bytes_str(r->actor->from),
	    .subject = *webhook,
	    .number = -1,
	    .at_us = clock_wall_us(),
	    .detail = bytes_str(detail),
	    .traceparent = r->in->traceparent,
	};
	return db_intent(tx, &i, e);
}

static enum rc
page_size(uint32_t asked, int32_t *out_r, struct err *e)
{
	if (asked > NOTIFY_LIST_MAX)
		return err_set(e, RC_INVALID, "limit: at most %d", NOTIFY_LIST_MAX);
	*out_r = asked == 0 ? NOTIFY_LIST_DEFAULT : (int32_t)asked;
	return RC_OK;
}

static char *
cursor_of(const struct uuid *id, struct arena *a)
{
	char *s = arena_alloc(a, UUID_STR_SIZE);
	uuid_format(id, s);
	return s;
}

enum rc
handle_webhook_list(const struct svc_request *r, struct buf *reply, struct err *e)
{
	struct arena *a = r->in->arena;
	const Sekisho__Notify__WebhookListRequest *q = CODEC_UNPACK(webhook_list_request, r);
	struct uuid after = {{0}};
	struct store_webhook *v = NULL;
	struct db_tx *tx = NULL;
	int32_t limit = 0;
	bool has = false;
	size_t n = 0;
	enum rc rc = handlers_begin(r, q != NULL, e);
	if (rc == RC_OK && !codec_cursor(q->cursor, &has, &after))
		rc = err_set(e, RC_INVALID, "cursor: not one of ours");
	if (rc == RC_OK)
		rc = page_size(q->limit, &limit, e);
	if (rc == RC_OK)
		rc = db_begin(r->svc->db, &r->in->tenant, r->in->deadline_ms, &tx, e);
	if (rc == RC_OK)
		rc = store_webhook_page(tx, &r->in->tenant, &after, limit + 1, a, &v, &n, e);
	db_end(&tx);
	if (rc != RC_OK)
		return rc;
	Sekisho__Notify__WebhookListReply m = SEKISHO__NOTIFY__WEBHOOK_LIST_REPLY__INIT;
	if (n > (size_t)limit) {
		n = (size_t)limit;
		m.next_cursor = cursor_of(&v[n - 1].id, a);
	}
	m.n_webhooks = n;
	m.webhooks = arena_new_array(a, Sekisho__Notify__Webhook *, n);
	for (size_t i = 0; i < n; i++)
		m.webhooks[i] = codec_webhook(&v[i], a);
	return codec_pack(&m.base, reply, e);
}

enum rc
handle_webhook_get(const struct svc_request *r, struct buf *reply, struct err *e)
{
	const Sekisho__Notify__WebhookGetRequest *q = CODEC_UNPACK(webhook_get_request, r);
	struct store_webhook w;
	struct db_tx *tx = NULL;
	struct uuid id;
	enum rc rc = handlers_begin(r, q != NULL, e);
	if (rc == RC_OK && !codec_id(&q->id, &id))
		rc = err_set(e, RC_INVALID, "id: not one");
	if (rc == RC_OK)
		rc = db_begin(r->svc->db, &r->in->tenant, r->in->deadline_ms, &tx, e);
	if (rc == RC_OK)
		rc = store_webhook_get(tx, &r->in->tenant, &id, false, r->in->arena, &w, e);
	db_end(&tx);
	if (rc != RC_OK)
		return rc;
	Sekisho__Notify__WebhookGetReply m = SEKISHO__NOTIFY__WEBHOOK_GET_REPLY__INIT;
	m.webhook = codec_webhook(&w, r->in->arena);
	return codec_pack(&m.base, reply, e);
}

enum rc
handle_webhook_attempts(const struct svc_request *r, struct buf *reply, struct err *e)
{
	struct arena *a = r->in->arena;
	const Sekisho__Notify__WebhookAttemptsRequest *q = CODEC_UNPACK(webhook_attempts_request, r);
	struct uuid id, before;
	struct store_webhook w;
	struct store_attempt *v = NULL;
	struct db_tx *tx = NULL;
	int32_t limit = 0;
	bool has = false;
	size_t n = 0;
	enum rc rc = handlers_begin(r, q != NULL, e);
	if (rc == RC_OK && (!codec_id(&q->id, &id) || !codec_cursor(q->cursor, &has, &before)))
		rc = err_set(e, RC_INVALID, "cursor: not one of ours");
	if (rc == RC_OK)
		rc = page_size(q->limit, &limit, e);
	if (rc == RC_OK)
		rc = db_begin(r->svc->db, &r->in->tenant, r->in->deadline_ms, &tx, e);
	if (rc == RC_OK)
		rc = store_webhook_get(tx, &r->in->tenant, &id, false, a, &w, e);
	if (rc == RC_OK)
		rc = store_attempts_page(tx, &r->in->tenant, &id, has ? &before : NULL, q->failed_only, limit + 1, a,
					 &v, &n, e);
	db_end(&tx);
	if (rc != RC_OK)
		return rc;
	Sekisho__Notify__WebhookAttemptsReply m = SEKISHO__NOTIFY__WEBHOOK_ATTEMPTS_REPLY__INIT;
	if (n > (size_t)limit) {
		n = (size_t)limit;
		m.next_cursor = cursor_of(&v[n - 1].id, a);
	}
	m.n_attempts = n;
	m.attempts = arena_new_array(a, Sekisho__Notify__Attempt *, n);
	for (size_t i = 0; i < n; i++)
		m.attempts[i] = codec_attempt(&v[i], a);
	return codec_pack(&m.base, reply, e);
}
