/* SPDX-License-Identifier: MIT
 *
 * A test event, sent while the caller waits. One at a time per tenant, so that one tenant's slow receiver does not keep
 * the threads of this rpc to itself.
 */
#include <pthread.h>
#include <stdio.h>

#include "client/notify_client.h"
#include "codec.h"
#include "core/clock.h"
#include "handlers.h"
#include "notify.h"
#include "send.h"

#define SPARE_MS 2000 /* of the caller's deadline, for the record */
#define LEAST_MS 1000
#define AT_ONCE	 16

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct uuid at_it[AT_ONCE];
static size_t n_at_it;

static bool
enter(const struct uuid *tenant)
{
	pthread_mutex_lock(&mutex);
	size_t i = 0;
	while (i < n_at_it && !uuid_eq(&at_it[i], tenant))
		i++;
	bool may = i == n_at_it && n_at_it < AT_ONCE;
	if (may)
		at_it[n_at_it++] = *tenant;
	pthread_mutex_unlock(&mutex);
	return may;
}

static void
leave(const struct uuid *tenant)
{
	pthread_mutex_lock(&mutex);
	size_t i = 0;
	while (i < n_at_it && !uuid_eq(&at_it[i], tenant))
		i++;
	if (i < n_at_it)
		at_it[i] = at_it[--n_at_it];
	pthread_mutex_unlock(&mutex);
}

/* *line_r in the request's arena. */
static enum rc
post(const struct svc_request *r, const struct store_webhook *w, struct store_attempt *line_r, struct err *e)
{
	struct arena *a = r->in->arena;
	const struct notify_config *cfg = &notify_config;
	int64_t left = clock_left_ms(r->in->deadline_ms) - SPARE_MS, now = clock_wall_us();
	struct post_options options = {&cfg->guard, cfg->ca, cfg->connect_ms, cfg->timeout_ms};
	char id[UUID_STR_SIZE];
	uuid_format(&w->id, id);
	struct send_event ev = {
	    .id = uuid_v7(now),
	    .type = SEND_TEST_TYPE,
	    .position = -1,
	    .at_us = now,
	    .data = bytes_str(arena_printf(a, "{\"webhook\":\"%s\"}", id)),
	    .traceparent = r->in->traceparent,
	};
	struct send_secrets secrets;
	struct post_answer answer;
	if (left < LEAST_MS)
		return err_set(e, RC_RETRY, "too little time for a test");
	if (left < options.timeout_ms)
		options.timeout_ms = left;
	if (options.connect_ms > options.timeout_ms)
		options.connect_ms = options.timeout_ms;
	enum rc rc = send_secrets_open(r->svc->content, &r->in->tenant, w, &secrets, e);
	if (rc != RC_OK)
		return rc;
	struct poster *p = poster_new(&options);
	rc = send_event(p, arena_strndup(a, w->url.p, w->url.n), &secrets, &ev, &answer, e);
	poster_free(&p);
	send_secrets_done(&secrets);
	if (rc == RC_OK)
		*line_r = send_attempt(&ev, &answer, now, 1, a);
	return rc;
}

static enum rc
load(const struct svc_request *r, const struct uuid *id, struct store_webhook *w, struct err *e)
{
	struct db_tx *tx = NULL;
	enum rc rc = db_begin(r->svc->db, &r->in->tenant, r->in->deadline_ms, &tx, e);
	if (rc == RC_OK)
		rc = store_webhook_get(tx, &r->in->tenant, id, false, r->in->arena, w, e);
	db_end(&tx);
	return rc;
}

static enum rc
write_record(const struct svc_request *r, struct db_tx *tx, const struct uuid *id, const struct store_attempt *line,
	     struct buf *reply, struct err *e)
{
	struct arena *a = r->in->arena;
	Sekisho__Notify__WebhookTestReply m = SEKISHO__NOTIFY__WEBHOOK_TEST_REPLY__INIT;
	struct store_webhook w;
	const char *detail = arena_printf(a, "{\"status\":%d,\"ok\":%s}", line->status, line->ok ? "true" : "false");
	enum rc rc = store_webhook_get(tx, &r->in->tenant, id, true, a, &w, e); /* deleted meanwhile? */
	if (rc == RC_OK)
		rc = store_attempts_add(tx, &r->in->tenant, id, line, 1, e);
	if (rc == RC_OK)
		rc = handlers_intent(r, tx, "webhook.tested", id, detail, e);
	m.attempt = codec_attempt(line, a);
	if (rc == RC_OK)
		rc = codec_pack(&m.base, reply, e);
	if (rc == RC_OK)
		rc = svc_once_end(r, tx, buf_bytes(reply), e);
	return rc;
}

/* line NULL: only look whether the key is known. No transaction is held while the receiver takes its time, so two that
 * come at once with the same key both send, and get the same answer. */
static enum rc
record(const struct svc_request *r, const struct uuid *id, const struct store_attempt *line, struct buf *reply,
       bool *done_r, struct err *e)
{
	struct db_tx *tx = NULL;
	enum rc rc = db_begin(r->svc->db, &r->in->tenant, r->in->deadline_ms, &tx, e);
	if (rc == RC_OK)
		rc = svc_once_begin(r, tx, reply, done_r, e);
	if (rc == RC_OK && !*done_r && line != NULL)
		rc = write_record(r, tx, id, line, reply, e);
	if (rc == RC_OK && !*done_r && line != NULL)
		rc = db_commit(&tx, e);
	db_end(&tx);
	return rc;
}

enum rc
handle_webhook_test(const struct svc_request *r, struct buf *reply, struct err *e)
{
	const Sekisho__Notify__WebhookTestRequest *q = CODEC_UNPACK(webhook_test_request, r);
	struct store_webhook w;
	struct store_attempt line;
	struct uuid id;
	bool done = false;
	enum rc rc = handlers_begin(r, q != NULL, e);
	if (rc == RC_OK && !codec_id(&q->id, &id))
		rc = err_set(e, RC_INVALID, "id: not one");
	if (rc == RC_OK)
		rc = record(r, &id, NULL, reply, &done, e);
	if (rc != RC_OK || done)
		return rc;
	rc = load(r, &id, &w, e);
	if (rc != RC_OK)
		return rc;
	if (!enter(&r->in->tenant))
		return err_set(e, RC_LIMIT, "a test is under way");
	rc = post(r, &w, &line, e);
	leave(&r->in->tenant);
	return rc == RC_OK ? record(r, &id, &line, reply, &done, e) : rc;
}
