/* SPDX-License-Identifier: MIT
 *
 * One thread: tenants, and per tenant one transaction that picks, decides and claims. Tenants are served in
 * turn and at most PICK legs at a time, so that a backlog of one does not delay the others.
 */
#include "schedule.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <uthash.h>

#include "alive.h"
#include "claim.h"
#include "core/clock.h"
#include "core/log.h"
#include "lanes.h"
#include "metrics.h"
#include "results.h"
#include "route.h"
#include "sender.h"

#define PICK	       200
#define ROUND_MS       1000 /* look at least that often: other instances and operators change things too */
#define DEAD_MS	       100  /* until the next heartbeat */
#define DB_MS	       10000
#define POSTPONE_US    1000000
#define ASIDE_US       60000000
#define DEPTH_MS       5000
#define TENANT_REST_MS 250
#define TURN_MS	       8 /* at least between two turns: what arrives meanwhile is claimed together */

/* A tenant whose lanes are full rests a little: picking it again at once would only postpone more. */
struct resting {
	struct uuid tenant;
	int64_t until_ms;
	UT_hash_handle hh;
};

/* A tenant whose last round failed: fewer legs at once, until the one that cannot be served is found. */
struct failing {
	struct uuid tenant;
	int32_t pick;
	UT_hash_handle hh;
};

struct scheduler {
	struct delivery *d;
	struct uuid self; /* generation of this round */
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	bool woken, stopping;
	_Atomic bool behind; /* more is due than was taken */
	int64_t depth_ms;
	struct uuid last; /* tenant served last */
	struct resting *resting;
	struct failing *failing;
};

bool
schedule_decide(const struct delivery_config *cfg, const struct store_picked *p, int64_t now_us, int64_t lease_us,
		struct change *c)
{
	const struct store_leg *l = &p->leg;
	struct store_leg *now = &c->row.now;
	bool ok = true;
	change_init(c, &p->message, l);
	now->due_us = DB_TIME_NULL;
	if (now->state == LEG_SENDING) { /* the lease ended without a result */
		ok = change_step(c, LEG_ON_LOSE, LEG_BY_SCHEDULER, now_us);
		c->action = "recipient.uncertain";
		c->detail = bytes_str("{\"reason\":\"the lease ended without a result\"}");
		if (ok && p->ask_uncertain) {
			c->row.kind = STORE_DUE_HOLD;
			return false;
		}
	}
	if (ok && now->state == LEG_UNCERTAIN) {
		ok = change_step(c, LEG_ON_RETRY, LEG_BY_SCHEDULER, now_us);
		now->possible_duplicate = true;
	} else if (ok && now->state == LEG_HELD) {
		ok = change_step(c, LEG_ON_TIMER, LEG_BY_SCHEDULER, now_us);
		c->action = "recipient.released";
		c->detail = bytes_str("{\"by\":\"timer\"}");
		now->decided_by = bytes_str("timer");
	} else if (ok && now->state == LEG_DEFERRED) {
		ok = change_step(c, LEG_ON_RETRY, LEG_BY_SCHEDULER, now_us);
	}
	if (!ok || now->state != LEG_QUEUED) { /* nothing to do with it by time alone */
		change_init(c, &p->message, l);
		return false;
	}
	int64_t end = store_sendable_us(&p->message, now) + cfg->expiry_ms * 1000;
	bool last = l->state == LEG_DEFERRED && l->due_us == end; /* planned for the end: not missed yet */
	if (now->attempts > 0 && now_us >= end && !last) {
		if (change_step(c, LEG_ON_EXPIRE, LEG_BY_SCHEDULER, now_us)) {
			c->action = "recipient.expired";
			c->detail =
			    bytes_str("{\"reason\":\"not delivered in the time allowed\",\"status\":\"5.4.7\"}");
			c->report = REPORT_EXPIRED;
			c->status = "4.4.7";
		}
		return false;
	}
	if (!change_step(c, LEG_ON_CLAIM, LEG_BY_SCHEDULER, now_us))
		return false;
	now->attempts++;
	now->epoch++;
	c->row.lease_us = lease_us;
	c->row.due_us = DB_TIME_NULL; /* so that the index has nothing to do */
	return true;
}

bool
schedule_still_parked(const struct store_picked *p, const char *destination, int64_t now_us, struct change *c)
{
	if (p->leg.state != LEG_HELD || strncmp(destination, "none ", 5) != 0 ||
	    !bytes_eq(p->leg.reply, bytes_str(destination + 5)))
		return false;
	change_init(c, &p->message, &p->leg);
	c->row.kind = STORE_DUE_HOLD;
	c->row.now.version++;
	c->row.now.due_us = c->row.due_us = now_us + SCHEDULE_PARK_US;
	return true;
}

/* --- one tenant -------------------------------------------------------------------------------------------- */
struct round {
	struct claim *claims;
	struct uuid *late;
	int32_t *late_numbers;
	size_t n_late;
	bool committing;
};

static enum rc
decide_all(struct scheduler *s, struct db_tx *tx, const struct uuid *tenant, struct batch *b,
	   const struct store_picked *picked, size_t n, int64_t now, struct round *r, struct err *e)
{
	struct route_view routes = {0};
	int64_t lease = now + delivery_config.lease_ms * 1000;
	r->claims = arena_new_array(b->arena, struct claim, n);
	r->late = arena_new_array(b->arena, struct uuid, n);
	r->late_numbers = arena_new_array(b->arena, int32_t, n);
	for (size_t i = 0; i < n; i++) {
		struct claim *c = &r->claims[i];
		if (!schedule_decide(&delivery_config, &picked[i], now, lease, &c->change))
			continue;
		enum rc rc = route_destination(tx, tenant, &picked[i], &routes, b->arena, &c->destination, e);
		if (rc != RC_OK)
			return rc;
		if (schedule_still_parked(&picked[i], c->destination, now, &c->change)) {
			c->destination = NULL;
			continue;
		}
		if (lanes_open(s->d->lanes, tenant, c->destination))
			continue;
		c->destination = NULL; /* later, unchanged */
		change_init(&c->change, &picked[i].message, &picked[i].leg);
		r->late[r->n_late] = picked[i].message.id;
		r->late_numbers[r->n_late++] = picked[i].leg.number;
	}
	return RC_OK;
}

static enum rc
apply_all(struct scheduler *s, struct db_tx **tx, const struct uuid *tenant, struct batch *b, size_t n, int64_t now,
	  struct round *r, struct err *e)
{
	enum rc rc = RC_OK;
	struct change *v = arena_new_array(b->arena, struct change, n);
	size_t *from = arena_new_array(b->arena, size_t, n), k = 0;
	for (size_t i = 0; i < n; i++)
		if (r->claims[i].change.row.now.version != r->claims[i].change.row.was->version) {
			from[k] = i;
			v[k++] = r->claims[i].change;
		}
	if (k > 0)
		rc = changes_apply(*tx, s->d->svc->content, tenant, &s->self, v, k, now, e);
	if (rc == RC_OK && r->n_late > 0)
		rc = store_postpone(*tx, tenant, r->late, r->late_numbers, r->n_late, now + POSTPONE_US, e);
	if (rc == RC_OK) {
		for (size_t i = 0; i < k; i++)
			r->claims[from[i]].change.row.done = v[i].row.done;
		r->committing = true;
		rc = db_commit(tx, e);
	}
	return rc;
}

static void
rest(struct scheduler *s, const struct uuid *tenant)
{
	struct resting *r;
	HASH_FIND(hh, s->resting, tenant, sizeof(*tenant), r);
	if (r == NULL) {
		r = calloc(1, sizeof(*r));
		if (r == NULL)
			abort();
		r->tenant = *tenant;
		HASH_ADD(hh, s->resting, tenant, sizeof(r->tenant), r);
	}
	r->until_ms = clock_mono_ms() + TENANT_REST_MS;
}

static bool
is_resting(struct scheduler *s, const struct uuid *tenant)
{
	struct resting *r;
	HASH_FIND(hh, s->resting, tenant, sizeof(*tenant), r);
	if (r == NULL)
		return false;
	if (r->until_ms > clock_mono_ms())
		return true;
	HASH_DEL(s->resting, r);
	free(r);
	return false;
}

static int32_t
pick_of(struct scheduler *s, const struct uuid *tenant)
{
	struct failing *f;
	HASH_FIND(hh, s->failing, tenant, sizeof(*tenant), f);
	return f != NULL ? f->pick : PICK;
}

static void
pick_set(struct scheduler *s, const struct uuid *tenant, int32_t pick)
{
	struct failing *f;
	HASH_FIND(hh, s->failing, tenant, sizeof(*tenant), f);
	if (f == NULL) {
		f = calloc(1, sizeof(*f));
		if (f == NULL)
			abort();
		f->tenant = *tenant;
		HASH_ADD(hh, s->failing, tenant, sizeof(f->tenant), f);
	}
	f->pick = pick;
	if (pick != PICK)
		return;
	HASH_DEL(s->failing, f);
	free(f);
}

/* A round of one leg failed, so it is this leg: the others must not wait for it. When the database is down this fails
 * too, and nothing is lost. */
static void
set_aside(struct scheduler *s, const struct uuid *tenant, const struct store_picked *p, int64_t now)
{
	struct db_tx *tx = NULL;
	struct err err;
	enum rc rc = db_begin(s->d->svc->db, tenant, clock_mono_ms() + DB_MS, &tx, &err);
	if (rc == RC_OK)
		rc = store_postpone(tx, tenant, &p->message.id, &p->leg.number, 1, now + ASIDE_US, &err);
	if (rc == RC_OK)
		rc = db_commit(&tx, &err);
	db_end(&tx);
	if (rc == RC_OK)
		log_error("recipient cannot be served, looked at again in a minute", LOG_MESSAGE(&p->message.id),
			  LOG_TENANT(tenant));
}

/* *more_r: there may be more that is due. */
static enum rc
serve_tenant(struct scheduler *s, const struct uuid *tenant, int32_t limit, bool *more_r, struct err *e)
{
	struct batch *b = batch_new();
	struct db_tx *tx = NULL;
	struct store_picked *picked = NULL;
	struct round round = {0};
	size_t n = 0;
	int64_t now = clock_wall_us();
	*more_r = false;
	if (!alive_self(s->d->alive, &s->self)) {
		batch_unref(b);
		return err_set(e, RC_RETRY, "no heartbeat");
	}
	enum rc rc = db_begin(s->d->svc->db, tenant, clock_mono_ms() + DB_MS, &tx, e);
	if (rc == RC_OK)
		rc = store_pick(tx, tenant, now, limit, b->arena, &picked, &n, e);
	if (rc == RC_OK && n > 0)
		rc = decide_all(s, tx, tenant, b, picked, n, now, &round, e);
	if (rc == RC_OK && n > 0)
		rc = apply_all(s, &tx, tenant, b, n, now, &round, e);
	db_end(&tx);
	if (round.committing)
		claims_to_jobs(s->d, tenant, &s->self, b, picked, round.claims, NULL, n, rc != RC_OK);
	if (rc == RC_OK && round.n_late * 2 > n)
		rest(s, tenant);
	if (rc != RC_OK && limit == 1 && n == 1 && !round.committing && pick_of(s, tenant) == 1)
		set_aside(s, tenant, &picked[0], now);
	*more_r = rc == RC_OK && n == (size_t)limit;
	batch_unref(b);
	return rc;
}

/* --- all tenants ------------------------------------------------------------------------------------------- */
static void
measure(struct scheduler *s)
{
	struct store_depth depth;
	struct err err;
	int64_t mono = clock_mono_ms();
	if (mono < s->depth_ms || store_depth(s->d->svc->db, clock_wall_us(), mono + DB_MS, &depth, &err) != RC_OK)
		return;
	s->depth_ms = mono + DEPTH_MS;
	metric_set(&metric_depth, STORE_DUE_HOLD, depth.hold);
	metric_set(&metric_depth, STORE_DUE_QUARANTINE, depth.quarantine);
	metric_set(&metric_depth, STORE_DUE_SEND, depth.send);
	metric_set(&metric_overdue, 0, depth.overdue_us / 1000000);
}

int32_t
schedule_pick(int32_t pick, enum rc rc)
{
	if (rc != RC_OK)
		return pick > 1 ? pick / 2 : 1;
	return pick < PICK / 2 ? pick * 2 : PICK;
}

/* One turn over all tenants. Returns how long to sleep. */
static int64_t
turn(struct scheduler *s, struct err *e)
{
	struct arena *a = arena_new();
	struct store_due_tenant *v = NULL;
	size_t n = 0, first = 0;
	int64_t now = clock_wall_us(), sleep_ms = ROUND_MS;
	enum rc rc = store_tenants(s->d->svc->db, clock_mono_ms() + DB_MS, now, a, &v, &n, e);
	bool behind = rc != RC_OK;
	while (rc == RC_OK && first < n && memcmp(v[first].tenant.b, s->last.b, sizeof(s->last.b)) <= 0)
		first++; /* begin behind the one that was served last */
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		const struct store_due_tenant *t = &v[(first + i) % n];
		if (t->due_us > now) {
			int64_t ms = (t->due_us - now) / 1000 + 1;
			sleep_ms = ms < sleep_ms ? ms : sleep_ms;
			continue;
		}
		size_t room = lanes_room(s->d->lanes);
		if (room == 0 || is_resting(s, &t->tenant)) {
			behind = true;
			sleep_ms = sleep_ms < TENANT_REST_MS / 5 ? sleep_ms : TENANT_REST_MS / 5;
			continue;
		}
		bool more = false;
		int32_t pick = pick_of(s, &t->tenant);
		rc = serve_tenant(s, &t->tenant, room < (size_t)pick ? (int32_t)room : pick, &more, e);
		if (rc != RC_OK || pick != PICK)
			pick_set(s, &t->tenant, schedule_pick(pick, rc));
		behind |= more || rc != RC_OK;
		if (more)
			sleep_ms = 0;
		s->last = t->tenant;
	}
	atomic_store(&s->behind, behind);
	arena_free(&a);
	if (rc != RC_OK)
		log_warn("scheduler waits", LOG_RC(rc), LOG_ERR(e));
	return rc == RC_OK ? sleep_ms : ROUND_MS;
}

static void *
run(void *ctx)
{
	struct scheduler *s = ctx;
	struct uuid self;
	struct err err;
	pthread_mutex_lock(&s->mutex);
	while (!s->stopping) {
		s->woken = false;
		pthread_mutex_unlock(&s->mutex);
		measure(s);
		senders_reap(s->d->senders);
		int64_t began = clock_mono_ms(), sleep_ms = alive_self(s->d->alive, &self) ? turn(s, &err) : DEAD_MS;
		int64_t early = began + TURN_MS - clock_mono_ms();
		if (early > 0 && sleep_ms > 0)
			nanosleep(&(struct timespec){0, early * 1000000}, NULL);
		pthread_mutex_lock(&s->mutex);
		if (s->woken || s->stopping || sleep_ms <= 0)
			continue;
		struct timespec until;
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += sleep_ms / 1000;
		until.tv_nsec += (sleep_ms % 1000) * 1000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		pthread_cond_timedwait(&s->wake, &s->mutex, &until);
	}
	pthread_mutex_unlock(&s->mutex);
	return NULL;
}

struct scheduler *
scheduler_start(struct delivery *d)
{
	struct scheduler *s = calloc(1, sizeof(*s));
	pthread_condattr_t attr;
	if (s == NULL)
		abort();
	s->d = d;
	pthread_mutex_init(&s->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->wake, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&s->thread, NULL, run, s) != 0)
		abort();
	return s;
}

void
scheduler_wake(struct scheduler *s)
{
	pthread_mutex_lock(&s->mutex);
	s->woken = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->mutex);
}

bool
scheduler_behind(struct scheduler *s)
{
	return atomic_load(&s->behind);
}

void
scheduler_stop(struct scheduler *s)
{
	pthread_mutex_lock(&s->mutex);
	s->stopping = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->mutex);
	pthread_join(s->thread, NULL);
}

void
scheduler_free(struct scheduler **sp)
{
	struct scheduler *s = *sp;
	struct resting *r, *next;
	struct failing *f, *after;
	if (s == NULL)
		return;
	HASH_ITER(hh, s->failing, f, after)
	{
		HASH_DEL(s->failing, f);
		free(f);
	}
	HASH_ITER(hh, s->resting, r, next)
	{
		HASH_DEL(s->resting, r);
		free(r);
	}
	pthread_mutex_destroy(&s->mutex);
	pthread_cond_destroy(&s->wake);
	free(s);
	*sp = NULL;
}
