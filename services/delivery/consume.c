/* SPDX-License-Identifier: MIT
 *
 * The bus side of what arrives: batches of one tenant, decoded, handed to arrive(), confirmed after its commit.
 */
#include "consume.h"

#include "accepted.h"
#include "arrive.h"
#include "core/clock.h"
#include "core/log.h"
#include "subjects.h"

#define THREADS	  4
#define BATCH_MAX 200
#define COMMIT_MS 20000

static enum rc
handle(void *ctx, const struct uuid *tenant, const struct bus_item *items, size_t n, struct arena *a, struct err *e)
{
	struct delivery *d = ctx;
	struct batch *b = batch_new(); /* what is claimed at once outlives this call */
	struct store_arrival *v = arena_new_array(b->arena, struct store_arrival, n);
	enum rc rc = RC_OK;
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		rc = accepted_decode(items[i].payload, b->arena, &v[i], e);
	if (rc == RC_OK)
		rc = arrive(d, tenant, b, v, n, e);
	batch_unref(b);
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
