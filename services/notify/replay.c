/* SPDX-License-Identifier: MIT
 *
 * Events once more: a range of the log, or single ones by their webhook-id. They are counted before they are queued, so
 * that nobody queues the whole log by a slip.
 */
#include <inttypes.h>

#include "client/audit_client.h"
#include "client/notify_client.h"
#include "codec.h"
#include "core/clock.h"
#include "handlers.h"
#include "notify.h"
#include "turns.h"

#define REPLAYS_MAX 200 /* of a webhook, waiting */
#define PAGES_MAX   100 /* of the log, looked through for one request */

struct asked {
	struct store_replay *v;
	size_t n;
	uint64_t count; /* events */
};

static enum rc
count_events(const struct svc_request *r, const struct store_webhook *w, uint64_t from, uint64_t until,
	     uint64_t *count_r, struct err *e)
{
	struct audit_call call = {
	    .bus = r->svc->bus,
	    .tenant = &r->in->tenant,
	    .traceparent = r->in->traceparent,
	    .deadline_ms = r->in->deadline_ms,
	};
	uint64_t count = 0;
	for (int pages = 0; from < until; pages++) {
		struct audit_events_question q = {
		    .after = from, .limit = AUDIT_LIMIT_MAX, .types = w->types, .n_types = w->n_types};
		struct audit_events events;
		if (audit_feed(&call, &q, r->in->arena, &events, e) != RC_OK)
			return err_set(e, RC_RETRY, "the record does not answer");
		for (size_t i = 0; i < events.n && events.v[i].position < until; i++)
			count++;
		if (count > NOTIFY_REPLAY_MAX || pages == PAGES_MAX)
			return err_set(e, RC_LIMIT, "more than %d events; ask for a smaller range", NOTIFY_REPLAY_MAX);
		if (events.next <= from || events.next >= events.size)
			break;
		from = events.next;
	}
	*count_r = count;
	return RC_OK;
}

static enum rc
by_range(const struct svc_request *r, const Sekisho__Notify__WebhookReplayRequest *q, const struct store_webhook *w,
	 struct asked *out, struct err *e)
{
	uint64_t until = q->until != 0 ? q->until : (uint64_t)w->position;
	if (until > (uint64_t)w->position)
		return err_set(e, RC_INVALID, "until: the webhook stands at %" PRId64, w->position);
	if (q->from >= until)
		return err_set(e, RC_INVALID, "from: nothing lies between it and %" PRIu64, until);
	enum rc rc = count_events(r, w, q->from, until, &out->count, e);
	if (rc != RC_OK || out->count == 0)
		return rc;
	out->v = arena_new_array(r->in->arena, struct store_replay, 1);
	out->v[out->n++] = (struct store_replay){.next = (int64_t)q->from, .until = (int64_t)until};
	return RC_OK;
}

static enum rc
by_events(const struct svc_request *r, struct db_tx *tx, const Sekisho__Notify__WebhookReplayRequest *q,
	  const struct uuid *webhook, struct asked *out, struct err *e)
{
	struct arena *a = r->in->arena;
	struct uuid *ids = arena_new_array(a, struct uuid, q->n_events);
	int64_t *positions = NULL;
	size_t n = 0, n_ids = 0;
	for (size_t i = 0; i < q->n_events; i++) {
		size_t k = 0;
		if (!uuid_parse(q->events[i], &ids[n_ids]))
			return err_set(e, RC_INVALID, "events[%zu]: not a webhook-id", i);
		while (k < n_ids && !uuid_eq(&ids[k], &ids[n_ids]))
			k++;
		n_ids += k == n_ids; /* the same twice is once */
	}
	enum rc rc = store_event_positions(tx, &r->in->tenant, webhook, ids, n_ids, a, &positions, &n, e);
	if (rc == RC_OK && n != n_ids)
		rc = err_set(e, RC_NOT_FOUND, "%zu of the events were never tried by this webhook", n_ids - n);
	if (rc != RC_OK)
		return rc;
	out->v = arena_new_array(a, struct store_replay, n);
	for (size_t i = 0; i < n; i++)
		out->v[out->n++] = (struct store_replay){.next = positions[i], .until = positions[i] + 1};
	out->count = n;
	return RC_OK;
}

static enum rc
queue(const struct svc_request *r, struct db_tx *tx, const struct uuid *id, struct asked *asked, struct err *e)
{
	int64_t waiting = 0, now = clock_wall_us();
	enum rc rc = store_replays_count(tx, &r->in->tenant, id, &waiting, e);
	if (rc == RC_OK && waiting + (int64_t)asked->n > REPLAYS_MAX)
		rc = err_set(e, RC_LIMIT, "%" PRId64 " replays are waiting already", waiting);
	for (size_t i = 0; i < asked->n; i++) {
		asked->v[i].id = uuid_v7(now);
		asked->v[i].due_us = now + (int64_t)i; /* in this order */
	}
	if (rc == RC_OK)
		rc = store_replays_add(tx, &r->in->tenant, id, asked->v, asked->n, e);
	if (rc == RC_OK)
		rc = handlers_intent(r, tx, "webhook.replayed", id,
				     arena_printf(r->in->arena, "{\"count\":%" PRIu64 "}", asked->count), e);
	return rc;
}

static enum rc
check(const Sekisho__Notify__WebhookReplayRequest *q, struct uuid *id_r, struct err *e)
{
	if (!codec_id(&q->id, id_r))
		return err_set(e, RC_INVALID, "id: not one");
	if (q->n_events > NOTIFY_REPLAY_IDS_MAX)
		return err_set(e, RC_INVALID, "events: at most %d", NOTIFY_REPLAY_IDS_MAX);
	if (q->n_events > 0 && (q->from != 0 || q->until != 0))
		return err_set(e, RC_INVALID, "events: not together with from and until");
	return RC_OK;
}

/* A range is looked through before the transaction, which then holds nobody up. */
static enum rc
look(const struct svc_request *r, const Sekisho__Notify__WebhookReplayRequest *q, const struct uuid *id,
     struct asked *asked, struct err *e)
{
	struct db_tx *tx = NULL;
	struct store_webhook w;
	enum rc rc = db_begin(r->svc->db, &r->in->tenant, r->in->deadline_ms, &tx, e);
	if (rc == RC_OK)
		rc = store_webhook_get(tx, &r->in->tenant, id, false, r->in->arena, &w, e);
	db_end(&tx);
	return rc == RC_OK ? by_range(r, q, &w, asked, e) : rc;
}

enum rc
handle_webhook_replay(const struct svc_request *r, struct buf *reply, struct err *e)
{
	const Sekisho__Notify__WebhookReplayRequest *q = CODEC_UNPACK(webhook_replay_request, r);
	Sekisho__Notify__WebhookReplayReply m = SEKISHO__NOTIFY__WEBHOOK_REPLAY_REPLY__INIT;
	struct asked asked = {0};
	struct store_webhook w;
	struct db_tx *tx = NULL;
	struct uuid id;
	bool done = false;
	enum rc rc = handlers_begin(r, q != NULL, e);
	if (rc == RC_OK)
		rc = check(q, &id, e);
	if (rc == RC_OK && q->n_events == 0)
		rc = look(r, q, &id, &asked, e);
	if (rc == RC_OK)
		rc = db_begin(r->svc->db, &r->in->tenant, r->in->deadline_ms, &tx, e);
	if (rc == RC_OK)
		rc = svc_once_begin(r, tx, reply, &done, e);
	if (rc == RC_OK && !done) {
		rc = store_webhook_get(tx, &r->in->tenant, &id, true, r->in->arena, &w, e);
		if (rc == RC_OK && q->n_events > 0)
			rc = by_events(r, tx, q, &id, &asked, e);
		if (rc == RC_OK)
			rc = queue(r, tx, &id, &asked, e);
		m.count = asked.count;
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
