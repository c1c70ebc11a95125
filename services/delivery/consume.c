/* SPDX-License-Identifier: MIT
 *
 * One transaction per batch of one tenant: messages, legs, due rows, audit intents. A batch that came before changes
 * nothing and is confirmed again.
 */
#include "consume.h"

#include "accepted.h"
#include "core/clock.h"
#include "core/log.h"
#include "metrics.h"
#include "schedule.h"
#include "subjects.h"

#define THREADS	  4
#define BATCH_MAX 200
#define COMMIT_MS 20000

static enum rc
record(struct db_tx *tx, const struct store_arrival *v, struct arena *a, int64_t now, struct err *e)
{
	unsigned held = 0, quarantined = 0;
	for (size_t i = 0; i < v->n_legs; i++) {
		held += v->legs[i].state == LEG_HELD;
		quarantined += v->legs[i].state == LEG_QUARANTINED;
	}
	struct audit_intent i = {
	    .action = "message.taken",
	    .outcome = "ok",
	    .actor = bytes_str("system"),
	    .subject = v->message.id,
	    .number = -1,
	    .at_us = now,
	    .detail = bytes_str(
		arena_printf(a, "{\"recipients\":%zu,\"held\":%u,\"quarantined\":%u}", v->n_legs, held, quarantined)),
	    .traceparent = v->message.traceparent,
	};
	return db_intent(tx, &i, e);
}

static enum rc
handle(void *ctx, const struct uuid *tenant, const struct bus_item *items, size_t n, struct arena *a, struct err *e)
{
	struct delivery *d = ctx;
	struct store_arrival *v = arena_new_array(a, struct store_arrival, n);
	struct db_tx *tx = NULL;
	int64_t now = clock_wall_us(), legs = 0;
	for (size_t i = 0; i < n; i++) {
		enum rc rc = accepted_decode(items[i].payload, a, &v[i], e);
		if (rc != RC_OK)
			return rc;
	}
	enum rc rc = db_begin(d->svc->db, tenant, clock_mono_ms() + COMMIT_MS, &tx, e);
	if (rc == RC_OK)
		rc = store_arrive(tx, tenant, v, n, a, e);
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		if (!v[i].fresh)
			continue;
		legs += (int64_t)v[i].n_legs;
		rc = record(tx, &v[i], a, now, e);
	}
	if (rc == RC_OK)
		rc = db_commit(&tx, e);
	db_end(&tx);
	if (rc == RC_OK && legs > 0) {
		metric_add(&metric_arrived, 0, legs);
		scheduler_wake(d->scheduler);
	}
	return rc;
}

static enum rc
poison(void *ctx, const struct uuid *tenant, const struct bus_item *item, const struct err *why, struct err *e)
{
	struct delivery *d = ctx;
	struct db_tx *tx = NULL;
	enum rc rc = db_begin(d->svc->db, tenant, clock_mono_ms() + COMMIT_MS, &tx, e);
	if (rc == RC_OK)
		rc = store_poison(tx, tenant, &item->id, item->payload, why->text, e);
	struct audit_intent i = {
	    .action = "event.poisoned",
	    .outcome = rc_str(why->rc),
	    .actor = bytes_str("system"),
	    .subject = item->id,
	    .number = -1,
	    .at_us = clock_wall_us(),
	};
	if (rc == RC_OK)
		rc = db_intent(tx, &i, e);
	if (rc == RC_OK)
		rc = db_commit(&tx, e);
	db_end(&tx);
	log_error("event set aside", LOG_UUID("sekisho.event", &item->id), LOG_TENANT(tenant), LOG_ERR(why));
	return rc;
}

enum rc
consume_start(struct delivery *d, struct consumer **out_r, struct err *e)
{
	struct consumer_options o = {
	    .deliver_subject = SUBJECT_DELIVER("delivery", "MAIL"),
	    .ack_subject = ACK_INGEST,
	    .threads = THREADS,
	    .batch_max = BATCH_MAX,
	    .handle = handle,
	    .poison = poison,
	    .ctx = d,
	};
	return consumer_open(d->svc->bus, &o, out_r, e);
}
