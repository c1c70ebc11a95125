/* SPDX-License-Identifier: MIT
 *
 * The scheduler hands a claim to a sender that is free, so nothing is claimed that has to wait. Hints are gathered and
 * written together.
 */
#include "turns.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/clock.h"
#include "core/log.h"
#include "metrics.h"
#include "notify.h"
#include "post.h"
#include "turn.h"

#define TICK_MS	  250 /* look at least that often: what is due by time alone */
#define PAUSE_MS  20  /* between two looks: hints gather */
#define STATS_MS  10000
#define DB_MS	  10000
#define SLOW_MS	  2000 /* an attempt that took so long makes a webhook slow */
#define HINTS_MAX 1024
#define LINGER_MS 5000 /* at the end, for attempts under way */
#define FAILED_MS 1000 /* after an error of the database */

struct sender {
	struct turns *turns;
	pthread_t thread;
	bool busy;
	struct store_claim claim;
	int64_t lease_ms;
};

struct turns {
	struct svc *svc;
	struct uuid self;
	pthread_t scheduler;
	pthread_mutex_t mutex;
	pthread_cond_t work, wake; /* for the senders, for the scheduler; CLOCK_MONOTONIC */
	struct sender *senders;
	int32_t n_senders;
	bool woken, stopping, closed; /* closed: the scheduler has ended, senders may */
	struct uuid hints[HINTS_MAX];
	size_t n_hints;
	int64_t stats_ms;
};

/* --- senders ------------------------------------------------------------------------------------------------- */
static void *
sender_main(void *ctx)
{
	struct sender *s = ctx;
	struct turns *t = s->turns;
	pthread_mutex_lock(&t->mutex);
	for (;;) {
		while (!s->busy && !t->closed)
			pthread_cond_wait(&t->work, &t->mutex);
		if (!s->busy)
			break;
		pthread_mutex_unlock(&t->mutex);
		turn_run(t->svc, &s->claim, s->lease_ms);
		pthread_mutex_lock(&t->mutex);
		s->busy = false;
		t->woken = true;
		pthread_cond_signal(&t->wake);
	}
	pthread_mutex_unlock(&t->mutex);
	return NULL;
}

/* --- the scheduler ------------------------------------------------------------------------------------------- */
static void
wait_ms(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t ms)
{
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += ms / 1000;
	at.tv_nsec += ms % 1000 * 1000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_nsec -= 1000000000;
		at.tv_sec++;
	}
	(void)pthread_cond_timedwait(cond, mutex, &at);
}

/* Under the mutex: what the claim must know of those under way. */
static int32_t
free_senders(const struct turns *t, struct store_claim_wish *w, struct uuid *tenants, int32_t *counts)
{
	int32_t idle = 0, slow = 0;
	w->busy_tenants = tenants;
	w->busy = counts;
	w->n_busy = 0;
	for (int32_t i = 0; i < t->n_senders; i++) {
		const struct sender *s = &t->senders[i];
		size_t k = 0;
		if (!s->busy) {
			idle++;
			continue;
		}
		slow += s->claim.slow;
		while (k < w->n_busy && !uuid_eq(&tenants[k], &s->claim.tenant))
			k++;
		if (k == w->n_busy) {
			tenants[w->n_busy++] = s->claim.tenant;
			counts[k] = 0;
		}
		counts[k]++;
	}
	int32_t slow_max = t->n_senders > 1 ? t->n_senders / 2 : 1;
	w->limit = idle;
	w->slow_limit = slow < slow_max ? slow_max - slow : 0;
	metric_set(&metric_busy, 0, t->n_senders - idle);
	return idle;
}

static void
assign(struct turns *t, const struct store_claim *v, size_t n, int64_t lease_ms)
{
	size_t given = 0;
	for (int32_t i = 0; i < t->n_senders && given < n; i++) {
		struct sender *s = &t->senders[i];
		if (s->busy)
			continue;
		s->claim = v[given++];
		s->lease_ms = lease_ms;
		s->busy = true;
	}
	pthread_cond_broadcast(&t->work);
}

static enum rc
write_hints(struct turns *t, struct err *e)
{
	static struct uuid taken[HINTS_MAX]; /* of the scheduler's thread alone */
	pthread_mutex_lock(&t->mutex);
	size_t n = t->n_hints;
	memcpy(taken, t->hints, n * sizeof(taken[0]));
	t->n_hints = 0;
	pthread_mutex_unlock(&t->mutex);
	if (n == 0)
		return RC_OK;
	enum rc rc = store_hint(t->svc->db, taken, n, clock_wall_us(), clock_mono_ms() + DB_MS, e);
	for (size_t i = 0; rc != RC_OK && i < n; i++)
		turns_hint(t, &taken[i]);
	return rc;
}

/* *n_r: how many turns began. */
static enum rc
claim(struct turns *t, struct arena *a, size_t *n_r, struct err *e)
{
	struct uuid *tenants = arena_new_array(a, struct uuid, (size_t)t->n_senders);
	int32_t *counts = arena_new_array(a, int32_t, (size_t)t->n_senders);
	int64_t now = clock_wall_us(), lease_ms = clock_mono_ms() + notify_config.lease_ms;
	struct store_claim_wish w = {
	    .owner = t->self,
	    .now_us = now,
	    .lease_us = now + notify_config.lease_ms * 1000,
	    .per_tenant = (int32_t)notify_config.per_tenant,
	    .slow_ms = SLOW_MS,
	};
	struct store_claim *v;
	*n_r = 0;
	pthread_mutex_lock(&t->mutex);
	int32_t idle = free_senders(t, &w, tenants, counts);
	pthread_mutex_unlock(&t->mutex);
	if (idle == 0)
		return RC_OK;
	enum rc rc = store_claim(t->svc->db, &w, a, &v, n_r, clock_mono_ms() + DB_MS, e);
	if (rc != RC_OK || *n_r == 0)
		return rc;
	pthread_mutex_lock(&t->mutex);
	assign(t, v, *n_r, lease_ms);
	pthread_mutex_unlock(&t->mutex);
	return RC_OK;
}

static void
tell_stats(struct turns *t)
{
	struct store_stats s;
	struct err e;
	int64_t now = clock_wall_us();
	if (clock_mono_ms() < t->stats_ms)
		return;
	t->stats_ms = clock_mono_ms() + STATS_MS;
	if (store_stats(t->svc->db, now, &s, clock_mono_ms() + DB_MS, &e) != RC_OK)
		return;
	metric_set(&metric_webhooks, METRIC_WEBHOOK_OFF, s.off);
	metric_set(&metric_webhooks, METRIC_WEBHOOK_IDLE, s.idle);
	metric_set(&metric_webhooks, METRIC_WEBHOOK_READY, s.ready);
	metric_set(&metric_webhooks, METRIC_WEBHOOK_RETRY, s.retry);
	metric_set(&metric_oldest, 0,
		   s.oldest_us != DB_TIME_NULL && s.oldest_us < now ? (now - s.oldest_us) / 1000000 : 0);
}

static void *
scheduler_main(void *ctx)
{
	struct turns *t = ctx;
	struct arena *a = arena_new();
	int64_t quiet_ms = 0; /* after an error */
	pthread_mutex_lock(&t->mutex);
	while (!t->stopping) {
		if (!t->woken)
			wait_ms(&t->wake, &t->mutex, TICK_MS);
		t->woken = false;
		if (t->stopping)
			break;
		/* Hints and ends that come in this while are looked at together. */
		wait_ms(&t->work, &t->mutex, PAUSE_MS + quiet_ms);
		pthread_mutex_unlock(&t->mutex);
		struct err e;
		size_t n = 0;
		enum rc rc = write_hints(t, &e);
		if (rc == RC_OK)
			rc = claim(t, a, &n, &e);
		if (rc != RC_OK)
			log_warn("what is due could not be had", LOG_RC(rc), LOG_ERR(&e));
		else
			tell_stats(t);
		quiet_ms = rc != RC_OK ? FAILED_MS : 0;
		arena_reset(a);
		pthread_mutex_lock(&t->mutex);
		t->woken |= n > 0; /* there may be more */
	}
	pthread_mutex_unlock(&t->mutex);
	arena_free(&a);
	return NULL;
}

/* --- life ---------------------------------------------------------------------------------------------------- */
static void
start_thread(pthread_t *thread, void *(*fn)(void *), void *ctx)
{
	if (pthread_create(thread, NULL, fn, ctx) != 0)
		abort();
}

struct turns *
turns_start(struct svc *s)
{
	struct turns *t = calloc(1, sizeof(*t));
	pthread_condattr_t attr;
	if (t == NULL || (t->senders = calloc((size_t)notify_config.senders, sizeof(*t->senders))) == NULL)
		abort();
	t->svc = s;
	t->self = uuid_v7(clock_wall_us());
	t->n_senders = (int32_t)notify_config.senders;
	pthread_mutex_init(&t->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&t->work, &attr);
	pthread_cond_init(&t->wake, &attr);
	pthread_condattr_destroy(&attr);
	for (int32_t i = 0; i < t->n_senders; i++) {
		t->senders[i].turns = t;
		start_thread(&t->senders[i].thread, sender_main, &t->senders[i]);
	}
	start_thread(&t->scheduler, scheduler_main, t);
	return t;
}

void
turns_hint(struct turns *t, const struct uuid *tenant)
{
	pthread_mutex_lock(&t->mutex);
	size_t i = 0;
	while (i < t->n_hints && !uuid_eq(&t->hints[i], tenant))
		i++;
	/* One too many: its webhooks are looked at when they are idle for long enough. */
	if (i == t->n_hints && i < HINTS_MAX)
		t->hints[t->n_hints++] = *tenant;
	t->woken = true;
	pthread_cond_signal(&t->wake);
	pthread_mutex_unlock(&t->mutex);
}

void
turns_wake(struct turns *t)
{
	pthread_mutex_lock(&t->mutex);
	t->woken = true;
	pthread_cond_signal(&t->wake);
	pthread_mutex_unlock(&t->mutex);
}

static bool
any_busy(const struct turns *t)
{
	for (int32_t i = 0; i < t->n_senders; i++)
		if (t->senders[i].busy)
			return true;
	return false;
}

void
turns_stop(struct turns **tt)
{
	struct turns *t = *tt;
	if (t == NULL)
		return;
	pthread_mutex_lock(&t->mutex);
	t->stopping = true;
	pthread_cond_broadcast(&t->work);
	pthread_cond_broadcast(&t->wake);
	pthread_mutex_unlock(&t->mutex);
	pthread_join(t->scheduler, NULL);
	int64_t until = clock_mono_ms() + LINGER_MS;
	pthread_mutex_lock(&t->mutex);
	t->closed = true;
	pthread_cond_broadcast(&t->work);
	while (any_busy(t) && clock_mono_ms() < until)
		wait_ms(&t->wake, &t->mutex, PAUSE_MS);
	pthread_mutex_unlock(&t->mutex);
	post_stop();
	for (int32_t i = 0; i < t->n_senders; i++)
		pthread_join(t->senders[i].thread, NULL);
	pthread_mutex_destroy(&t->mutex);
	pthread_cond_destroy(&t->work);
	pthread_cond_destroy(&t->wake);
	free(t->senders);
	free(t);
	*tt = NULL;
}
