/* SPDX-License-Identifier: MIT
 *
 * Create, update, delete, rotate: each one transaction with its intent and, under an idempotency key, its answer.
 */
#include <inttypes.h>
#include <stdio.h>

#include "client/audit_client.h"
#include "client/notify_client.h"
#include "codec.h"
#include "core/clock.h"
#include "crypt/secret.h"
#include "handlers.h"
#include "notify.h"
#include "send.h"
#include "sign.h"
#include "turns.h"
#include "wish.h"

#define BY_PERSON "by a person"

/* For the record: where it leads without path and query, which may hold secrets. */
static const char *
detail_of(const struct store_webhook *w, struct arena *a)
{
	char host[URL_HOST_SIZE];
	struct buf b;
	buf_init(&b, 0);
	url_host(arena_strndup(a, w->url.p, w->url.n), host);
	buf_add_str(&b, "{\"host\":");
	buf_add_json(&b, bytes_str(host));
	buf_addf(&b, ",\"enabled\":%s,\"types\":[", w->enabled ? "true" : "false");
	for (size_t i = 0; i < w->n_types; i++)
		buf_addf(&b, "%s\"%s\"", i > 0 ? "," : "", w->types[i]);
	buf_add_str(&b, "]}");
	const char *s = arena_strndup(a, b.p, b.n);
	buf_done(&b);
	return s;
}

/* Lock it, and compare its version. */
static enum rc
lock(const struct svc_request *r, struct db_tx *tx, const struct uuid *id, uint64_t if_version,
     struct store_webhook *w_r, struct err *e)
{
	enum rc rc = store_webhook_get(tx, &r->in->tenant, id, true, r->in->arena, w_r, e);
	if (rc == RC_OK && if_version != 0 && if_version != (uint64_t)w_r->version)
		rc = err_set(e, RC_CONFLICT, "version is %" PRId64, w_r->version);
	return rc;
}

/* --- create -------------------------------------------------------------------------------------------------- */
/* Where the tenant's log ends: what comes after it is for the new webhook. */
static enum rc
end_of_log(const struct svc_request *r, int64_t *size_r, struct err *e)
{
	struct audit_call call = {
	    .bus = r->svc->bus,
	    .tenant = &r->in->tenant,
	    .traceparent = r->in->traceparent,
	    .deadline_ms = r->in->deadline_ms,
	};
	struct audit_events_question q = {.limit = 1, .from_now = true};
	struct audit_events events;
	enum rc rc = audit_feed(&call, &q, r->in->arena, &events, e);
	if (rc != RC_OK) /* whatever it says: it is not the caller's request that is wrong */
		return err_set(e, RC_RETRY, "the record does not answer");
	*size_r = (int64_t)events.size;
	return RC_OK;
}

static enum rc
add(const struct svc_request *r, struct db_tx *tx, struct store_webhook *w, struct err *e)
{
	int64_t n = 0;
	enum rc rc = store_webhook_count(tx, &r->in->tenant, &n, e);
	if (rc == RC_OK && n >= NOTIFY_WEBHOOKS_MAX)
		rc = err_set(e, RC_LIMIT, "at most %d webhooks", NOTIFY_WEBHOOKS_MAX);
	if (rc == RC_OK)
		rc = store_webhook_add(tx, &r->in->tenant, w, e);
	if (rc == RC_OK)
		rc = handlers_intent(r, tx, "webhook.created", &w->id, detail_of(w, r->in->arena), e);
	if (rc == RC_OK)
		rc = store_webhook_get(tx, &r->in->tenant, &w->id, false, r->in->arena, w, e);
	return rc;
}

static enum rc
create(const struct svc_request *r, struct store_webhook *w, char *secret, struct buf *reply, struct err *e)
{
	struct db_tx *tx = NULL;
	bool done = false;
	Sekisho__Notify__WebhookCreateReply m = SEKISHO__NOTIFY__WEBHOOK_CREATE_REPLY__INIT;
	enum rc rc = db_begin(r->svc->db, &r->in->tenant, r->in->deadline_ms, &tx, e);
	if (rc == RC_OK)
		rc = svc_once_begin(r, tx, reply, &done, e);
	if (rc == RC_OK && !done) {
		rc = add(r, tx, w, e);
		m.webhook = rc == RC_OK ? codec_webhook(w, r->in->arena) : NULL;
		m.secret = secret;
		if (rc == RC_OK)
			rc = codec_pack(&m.base, reply, e);
		if (rc == RC_OK)
			rc = svc_once_end(r, tx, buf_bytes(reply), e);
		if (rc == RC_OK)
			rc = db_commit(&tx, e);
	}
	db_end(&tx);
	return rc;
}

enum rc
handle_webhook_create(const struct svc_request *r, struct buf *reply, struct err *e)
{
	const Sekisho__Notify__WebhookCreateRequest *q = CODEC_UNPACK(webhook_create_request, r);
	char url[URL_SIZE], secret[SIGN_SECRET_SIZE];
	struct store_webhook w = {.disabled_why = ""};
	struct buf sealed;
	enum rc rc = handlers_begin(r, q != NULL, e);
	if (rc == RC_OK)
		rc = url_check(&notify_config.guard, bytes_str(q->url), url, e);
	if (rc == RC_OK)
		rc = wish_description(q->description, e);
	if (rc == RC_OK)
		rc = wish_types(q->types, q->n_types, e);
	if (rc == RC_OK)
		rc = end_of_log(r, &w.position, e);
	if (rc != RC_OK)
		return rc;
	w.made_us = clock_wall_us();
	w.id = uuid_v7(w.made_us);
	w.url = bytes_str(url);
	w.description = bytes_str(q->description);
	w.types = (const char *const *)q->types;
	w.n_types = q->n_types;
	w.enabled = !q->disabled;
	w.disabled_why = w.enabled ? "" : BY_PERSON;
	buf_init(&sealed, 0);
	sign_secret_make(secret);
	rc = send_secret_seal(r->svc->content, &r->in->tenant, &w.id, secret, &sealed, e);
	w.sealed = buf_bytes(&sealed);
	if (rc == RC_OK)
		rc = create(r, &w, secret, reply, e);
	secret_wipe(secret, sizeof(secret));
	buf_done(&sealed);
	return rc;
}

/* --- update -------------------------------------------------------------------------------------------------- */
static enum rc
update(const struct svc_request *r, struct db_tx *tx, const Sekisho__Notify__WebhookUpdateRequest *q, const char *url,
       struct store_webhook *w, struct err *e)
{
	struct uuid id;
	if (!codec_id(&q->id, &id))
		return err_set(e, RC_INVALID, "id: not one");
	enum rc rc = lock(r, tx, &id, q->if_version, w, e);
	if (rc != RC_OK)
		return rc;
	w->url = bytes_str(url);
	w->description = bytes_str(q->description);
	w->types = (const char *const *)q->types;
	w->n_types = q->n_types;
	w->disabled_why = q->enabled ? "" : w->enabled ? BY_PERSON : w->disabled_why;
	w->enabled = q->enabled;
	rc = store_webhook_set(tx, &r->in->tenant, w, clock_wall_us(), e);
	if (rc == RC_OK)
		rc = handlers_intent(r, tx, "webhook.updated", &id, detail_of(w, r->in->arena), e);
	if (rc == RC_OK)
		rc = store_webhook_get(tx, &r->in->tenant, &id, false, r->in->arena, w, e);
	return rc;
}

enum rc
handle_webhook_update(const struct svc_request *r, struct buf *reply, struct err *e)
{
	const Sekisho__Notify__WebhookUpdateRequest *q = CODEC_UNPACK(webhook_update_request, r);
	Sekisho__Notify__WebhookUpdateReply m = SEKISHO__NOTIFY__WEBHOOK_UPDATE_REPLY__INIT;
	char url[URL_SIZE];
	struct store_webhook w;
	struct db_tx *tx = NULL;
	bool done = false;
	enum rc rc = handlers_begin(r, q != NULL, e);
	if (rc == RC_OK)
		rc = url_check(&notify_config.guard, bytes_str(q->url), url, e);
	if (rc == RC_OK)
		rc = wish_description(q->description, e);
	if (rc == RC_OK)
		rc = wish_types(q->types, q->n_types, e);
	if (rc == RC_OK)
		rc = db_begin(r->svc->db, &r->in->tenant, r->in->deadline_ms, &tx, e);
	if (rc == RC_OK)
		rc = svc_once_begin(r, tx, reply, &done, e);
	if (rc == RC_OK && !done) {
		rc = update(r, tx, q, url, &w, e);
		m.webhook = rc == RC_OK ? codec_webhook(&w, r->in->arena) : NULL;
		if (rc == RC_OK)
			rc = codec_pack(&m.base, reply, e);
		if (rc == RC_OK)
			rc = svc_once_end(r, tx, buf_bytes(reply), e);
		if (rc == RC_OK)
			rc = db_commit(&tx, e);
	}
	db_end(&tx);
	if (rc == RC_OK)
		turns_wake(notify.turns);
	return rc;
}

/* --- delete -------------------------------------------------------------------------------------------------- */
enum rc
handle_webhook_delete(const struct svc_request *r, struct buf *reply, struct err *e)
{
	const Sekisho__Notify__WebhookDeleteRequest *q = CODEC_UNPACK(webhook_delete_request, r);
	struct store_webhook w;
	struct db_tx *tx = NULL;
	struct uuid id;
	bool done = false;
	enum rc rc = handlers_begin(r, q != NULL, e);
	if (rc == RC_OK && !codec_id(&q->id, &id))
		rc = err_set(e, RC_INVALID, "id: not one");
	if (rc == RC_OK)
		rc = db_begin(r->svc->db, &r->in->tenant, r->in->deadline_ms, &tx, e);
	if (rc == RC_OK)
		rc = svc_once_begin(r, tx, reply, &done, e);
	if (rc == RC_OK && !done) {
		rc = lock(r, tx, &id, q->if_version, &w, e);
		if (rc == RC_OK)
			rc = store_webhook_delete(tx, &r->in->tenant, &id, e);
		if (rc == RC_OK)
			rc = handlers_intent(r, tx, "webhook.deleted", &id, detail_of(&w, r->in->arena), e);
		if (rc == RC_OK)
			rc = svc_once_end(r, tx, buf_bytes(reply), e);
		if (rc == RC_OK)
			rc = db_commit(&tx, e);
	}
	db_end(&tx);
	return rc;
}

/* --- rotate -------------------------------------------------------------------------------------------------- */
static enum rc
rotate(const struct svc_request *r, struct db_tx *tx, const struct uuid *id, uint32_t overlap_s, struct bytes sealed,
       int64_t *until_r, struct err *e)
{
	struct store_webhook w;
	enum rc rc = lock(r, tx, id, 0, &w, e);
	if (rc != RC_OK)
		return rc;
	w.old_sealed = overlap_s > 0 ? w.sealed : bytes_of(NULL, 0);
	w.old_until_us = overlap_s > 0 ? clock_wall_us() + (int64_t)overlap_s * 1000000 : DB_TIME_NULL;
	w.sealed = sealed;
	*until_r = overlap_s > 0 ? w.old_until_us : clock_wall_us();
	rc = store_webhook_secrets(tx, &r->in->tenant, &w, e);
	if (rc == RC_OK)
		rc = handlers_intent(r, tx, "webhook.rotated", id,
				     arena_printf(r->in->arena, "{\"overlap_seconds\":%u}", overlap_s), e);
	return rc;
}

enum rc
handle_webhook_rotate(const struct svc_request *r, struct buf *reply, struct err *e)
{
	const Sekisho__Notify__WebhookRotateRequest *q = CODEC_UNPACK(webhook_rotate_request, r);
	Sekisho__Notify__WebhookRotateReply m = SEKISHO__NOTIFY__WEBHOOK_ROTATE_REPLY__INIT;
	char secret[SIGN_SECRET_SIZE];
	struct db_tx *tx = NULL;
	struct buf sealed;
	struct uuid id;
	bool done = false;
	enum rc rc = handlers_begin(r, q != NULL, e);
	if (rc == RC_OK && !codec_id(&q->id, &id))
		rc = err_set(e, RC_INVALID, "id: not one");
	if (rc == RC_OK && q->overlap_seconds > NOTIFY_OVERLAP_MAX)
		rc = err_set(e, RC_INVALID, "overlap_seconds: at most %d", NOTIFY_OVERLAP_MAX);
	if (rc != RC_OK)
		return rc;
	buf_init(&sealed, 0);
	sign_secret_make(secret);
	m.secret = secret;
	rc = send_secret_seal(r->svc->content, &r->in->tenant, &id, secret, &sealed, e);
	if (rc == RC_OK)
		rc = db_begin(r->svc->db, &r->in->tenant, r->in->deadline_ms, &tx, e);
	if (rc == RC_OK)
		rc = svc_once_begin(r, tx, reply, &done, e);
	if (rc == RC_OK && !done) {
		rc = rotate(r, tx, &id, q->overlap_seconds, buf_bytes(&sealed), &m.old_until_us, e);
		if (rc == RC_OK)
			rc = codec_pack(&m.base, reply, e);
		if (rc == RC_OK)
			rc = svc_once_end(r, tx, buf_bytes(reply), e);
		if (rc == RC_OK)
			rc = db_commit(&tx, e);
	}
	db_end(&tx);
	secret_wipe(secret, sizeof(secret));
	buf_done(&sealed);
	return rc;
}
