/* SPDX-License-Identifier: MIT
 *
 * One transaction per batch: which messages are new, what of them can be sent at once, legs, due rows, intents, and the
 * content of small mails that were claimed. When the outcome of the commit is unknown the batch is tried again here,
 * because nobody else knows which leases it may have made.
 */
#include "arrive.h"

#include <time.h>

#include "alive.h"
#include "claim.h"
#include "core/clock.h"
#include "core/log.h"
#include "metrics.h"
#include "route.h"
#include "schedule.h"

#define COMMIT_MS  20000
#define AGAIN_MS   250
#define GIVE_UP_MS 30000
#define SMALL	   (64u * 1024)	      /* octets of a mail whose content is read with its claim */
#define TOGETHER   (4u * 1024 * 1024) /* of all of them */
#define FACTS_MAX  (1024u * 1024)

struct arrival {
	struct delivery *d;
	const struct uuid *tenant;
	struct batch *batch;
	struct store_arrival *v;
	size_t n, n_legs;
	/* One for each leg, messages in order. */
	struct store_picked *picked;
	struct claim *claims;
	struct claim_content *content;
	struct uuid owner; /* of the claims */
	int64_t now_us, lease_us;
	bool claimed;	 /* there is at least one */
	bool committing; /* COMMIT was sent */
};

/* --- claims ------------------------------------------------------------------------------------------------ */
/* Room that the scheduler leaves: what is older and what others have waiting comes first. */
static bool
may_claim(struct arrival *x)
{
	struct delivery *d = x->d;
	return !svc_stopping() && !scheduler_behind(d->scheduler) && alive_self(d->alive, &x->owner) &&
	       lanes_room(d->lanes) >= (size_t)delivery_config.queue / 2 + x->n_legs;
}

static enum rc
claim_message(struct arrival *x, struct db_tx *tx, size_t i, size_t first, struct route_view *routes, struct err *e)
{
	struct store_arrival *m = &x->v[i];
	for (size_t k = 0; k < m->n_legs; k++) {
		struct store_picked *p = &x->picked[first + k];
		struct claim *c = &x->claims[first + k];
		if (m->legs[k].state != LEG_QUEUED ||
		    !schedule_decide(&delivery_config, p, x->now_us, x->lease_us, &c->change))
			continue;
		enum rc rc = route_destination(tx, x->tenant, p, routes, x->batch->arena, &c->destination, e);
		if (rc != RC_OK)
			return rc;
		if (!lanes_open(x->d->lanes, x->tenant, c->destination)) {
			c->destination = NULL;
			continue;
		}
		m->legs[k] = c->change.row.now;
		c->change.row.done = true;
		x->claimed = true;
	}
	return RC_OK;
}

static void
prepare(struct arrival *x)
{
	struct arena *a = x->batch->arena;
	for (size_t i = 0; i < x->n; i++)
		x->n_legs += x->v[i].n_legs;
	x->picked = arena_new_array(a, struct store_picked, x->n_legs);
	x->claims = arena_new_array(a, struct claim, x->n_legs);
	x->content = arena_new_array(a, struct claim_content, x->n_legs);
}

static enum rc
claim_all(struct arrival *x, struct db_tx *tx, struct err *e)
{
	struct route_view routes = {0};
	enum rc rc = RC_OK;
	if (!may_claim(x))
		return RC_OK;
	x->lease_us = x->now_us + delivery_config.lease_ms * 1000;
	for (size_t i = 0, at = 0; rc == RC_OK && i < x->n; at += x->v[i++].n_legs) {
		for (size_t k = 0; k < x->v[i].n_legs; k++)
			x->picked[at + k] =
			    (struct store_picked){x->v[i].message, x->v[i].legs[k], x->v[i].ask_uncertain};
		if (x->v[i].fresh)
			rc = claim_message(x, tx, i, at, &routes, e);
	}
	return rc;
}

/* The second time: what is new now was not committed then, and is left to the scheduler; what is known may have been
 * committed with our lease on it, and then it is ours. */
static enum rc
claim_again(struct arrival *x, struct db_tx *tx, struct err *e)
{
	for (size_t i = 0, at = 0; i < x->n; at += x->v[i++].n_legs)
		for (size_t k = 0; k < x->v[i].n_legs; k++) {
			struct claim *c = &x->claims[at + k];
			if (!c->change.row.done)
				continue;
			if (x->v[i].fresh) {
				x->v[i].legs[k] = x->picked[at + k].leg;
				c->change.row.done = false;
				continue;
			}
			enum rc rc = store_has_lease(tx, x->tenant, &x->v[i].message.id, x->v[i].legs[k].number,
						     &x->owner, x->lease_us, &c->change.row.done, e);
			if (rc != RC_OK)
				return rc;
		}
	return RC_OK;
}

/* --- the commit -------------------------------------------------------------------------------------------- */
static enum rc
record(struct db_tx *tx, const struct arrival *x, const struct store_arrival *v, struct err *e)
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
	    .at_us = x->now_us,
	    .detail = bytes_str(arena_printf(x->batch->arena, "{\"recipients\":%zu,\"held\":%u,\"quarantined\":%u}",
					     v->n_legs, held, quarantined)),
	    .traceparent = v->message.traceparent,
	};
	return db_intent(tx, &i, e);
}

/* COMMIT, and in the same round trip the content of the small mails that go out now. */
static enum rc
commit(struct arrival *x, struct db_tx **tx, struct err *e)
{
	static const enum content_kind kinds[] = {CONTENT_BODY, CONTENT_FACTS};
	struct arena *a = x->batch->arena;
	struct uuid *ids = arena_new_array(a, struct uuid, x->n);
	size_t *first = arena_new_array(a, size_t, x->n), n = 0, octets = 0;
	for (size_t i = 0, at = 0; x->claimed && i < x->n; at += x->v[i++].n_legs) {
		const struct store_message *m = &x->v[i].message;
		bool goes = false;
		for (size_t k = 0; k < x->v[i].n_legs; k++)
			goes |= x->claims[at + k].change.row.done;
		if (!goes || m->size > SMALL || octets + m->size > TOGETHER)
			continue;
		octets += m->size;
		ids[n] = m->id;
		first[n++] = i;
	}
	x->committing = true;
	if (n == 0)
		return db_commit(tx, e);
	struct bytes *data = arena_new_array(a, struct bytes, 2 * n);
	enum rc rc =
	    content_get_many_commit(x->d->svc->content, tx, x->tenant, ids, n, kinds, 2, FACTS_MAX, data, a, e);
	for (size_t i = 0, at = 0, next = 0; rc == RC_OK && next < n; at += x->v[i++].n_legs) {
		if (first[next] != i)
			continue;
		for (size_t k = 0; k < x->v[i].n_legs; k++)
			x->content[at + k] = (struct claim_content){data[2 * next], data[2 * next + 1]};
		next++;
	}
	return rc;
}

static enum rc
attempt(struct arrival *x, bool again, struct err *e)
{
	struct arena *a = x->batch->arena;
	struct db_tx *tx = NULL;
	x->now_us = again ? x->now_us : clock_wall_us();
	x->committing = false;
	enum rc rc = db_begin(x->d->svc->db, x->tenant, clock_mono_ms() + COMMIT_MS, &tx, e);
	if (rc == RC_OK)
		rc = store_arrive_messages(tx, x->tenant, x->v, x->n, a, e);
	if (rc == RC_OK)
		rc = again ? claim_again(x, tx, e) : claim_all(x, tx, e);
	if (rc == RC_OK)
		rc = store_arrive_legs(tx, x->tenant, x->v, x->n, &x->owner, x->lease_us, a, e);
	for (size_t i = 0; rc == RC_OK && i < x->n; i++)
		if (x->v[i].fresh)
			rc = record(tx, x, &x->v[i], e);
	if (rc == RC_OK)
		rc = commit(x, &tx, e);
	db_end(&tx);
	return rc;
}

static void
finish(struct arrival *x)
{
	int64_t legs = 0;
	bool rest = false;
	for (size_t i = 0; i < x->n; i++) {
		if (!x->v[i].fresh)
			continue;
		legs += (int64_t)x->v[i].n_legs;
		for (size_t k = 0; k < x->v[i].n_legs; k++)
			rest |= x->v[i].legs[k].state != LEG_SENDING;
	}
	metric_add(&metric_arrived, 0, legs);
	claims_to_jobs(x->d, x->tenant, &x->owner, x->batch, x->picked, x->claims, x->content, x->n_legs, false);
	if (rest)
		scheduler_wake(x->d->scheduler);
}

enum rc
arrive(struct delivery *d, const struct uuid *tenant, struct batch *b, struct store_arrival *v, size_t n, struct err *e)
{
	struct arrival x = {.d = d, .tenant = tenant, .batch = b, .v = v, .n = n};
	int64_t give_up_ms = clock_mono_ms() + GIVE_UP_MS;
	prepare(&x);
	enum rc rc = attempt(&x, false, e);
	/* Claims that may be there, and that only we know of. Whoever stops or is no longer seen alive loses them. */
	bool unknown = x.claimed && x.committing;
	while (rc != RC_OK && unknown && rc_is_transient(rc) && clock_mono_ms() < give_up_ms && !svc_stopping() &&
	       alive_holds(d->alive, &x.owner)) {
		log_warn("what arrived is tried again", LOG_TENANT(tenant), LOG_RC(rc), LOG_ERR(e));
		nanosleep(&(struct timespec){0, AGAIN_MS * 1000000L}, NULL);
		rc = attempt(&x, true, e);
	}
	if (rc == RC_OK)
		finish(&x);
	return rc;
}
