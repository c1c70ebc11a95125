/* SPDX-License-Identifier: MIT
 *
 * A list of waiting callers, each with its intent on its own stack. A thread takes the first and whoever else waits for
 * the same tenant, commits, and wakes them. A caller that runs out of time takes itself out unless it was taken; what
 * was taken ends within RECORD_COMMIT_MS.
 */
#include "svc/record.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/clock.h"
#include "core/log.h"

#define THREADS	    3 /* commits under way: the database flushes them together */
#define WINDOWS_MAX 64
#define TICK_MS	    1000

struct waiting {
	struct waiting *next;
	const struct uuid *tenant;
	const struct audit_intent *intent;
	struct err *e;
	enum rc rc;
	bool taken, done;
	sem_t wake;
};

/* Of one action and source without a valid token. */
struct window {
	char action[64], source[64], reason[100];
	int64_t until_ms;
	int64_t held; /* since the last entry */
};

struct recorder {
	struct db_pool *db;
	pthread_mutex_t lock; /* all below */
	pthread_cond_t work;
	bool ending;
	struct waiting *first, **end;
	size_t n_waiting;
	struct window windows[WINDOWS_MAX];
	size_t n_windows;
	struct recorder_stats stats;
	pthread_t threads[THREADS];
};

/* --- writing -------------------------------------------------------------------------------------------------- */
static enum rc
commit(struct recorder *r, const struct uuid *tenant, struct waiting *const *v, size_t n, struct err *e)
{
	struct db_tx *tx = NULL;
	enum rc rc = db_begin(r->db, tenant, clock_mono_ms() + RECORD_COMMIT_MS, &tx, e);
	for (size_t i = 0; i < n && rc == RC_OK; i++)
		rc = db_intent(tx, v[i]->intent, e);
	if (rc == RC_OK)
		rc = db_commit(&tx, e);
	db_end(&tx);
	return rc;
}

/* One that cannot be written does not take the others with it. */
static void
write_batch(struct recorder *r, struct waiting *const *v, size_t n)
{
	struct err err = {0};
	size_t commits = 1;
	enum rc rc = commit(r, v[0]->tenant, v, n, &err);
	bool singly = rc != RC_OK && rc != RC_RETRY && n > 1;
	for (size_t i = 0; i < n; i++) {
		v[i]->rc = singly ? commit(r, v[i]->tenant, &v[i], 1, &err) : rc;
		if (v[i]->rc != RC_OK)
			v[i]->rc = err_set(v[i]->e, RC_RETRY, "cannot be recorded now: %.200s", err.text);
		commits += singly;
	}
	if (rc != RC_OK)
		log_warn("not recorded", LOG_TENANT(v[0]->tenant), LOG_INT("count", (int64_t)n), LOG_RC(rc),
			 LOG_ERR(&err));
	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < n; i++) {
		*(v[i]->rc == RC_OK ? &r->stats.written : &r->stats.failed) += 1;
		v[i]->done = true;
		sem_post(&v[i]->wake); /* under the lock: its owner takes that before it goes */
	}
	r->stats.commits += (int64_t)commits;
	pthread_mutex_unlock(&r->lock);
}

/* Under the lock: the first who waits, and those of the same tenant behind him. */
static size_t
take_batch(struct recorder *r, struct waiting **v)
{
	size_t n = 0;
	for (struct waiting **at = &r->first; *at != NULL && n < RECORD_BATCH_MAX;) {
		struct waiting *w = *at;
		if (n > 0 && !uuid_eq(w->tenant, v[0]->tenant)) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		w->taken = true;
		v[n++] = w;
	}
	r->end = &r->first;
	while (*r->end != NULL)
		r->end = &(*r->end)->next;
	r->n_waiting -= n;
	return n;
}

enum rc
recorder_write(struct recorder *r, const struct uuid *tenant, const struct audit_intent *i, int64_t deadline_ms,
	       struct err *e)
{
	struct waiting w = {.tenant = tenant, .intent = i, .e = e};
	struct timespec until = {.tv_sec = deadline_ms / 1000, .tv_nsec = deadline_ms % 1000 * 1000000};
	pthread_mutex_lock(&r->lock);
	if (r->n_waiting == RECORD_WAITING_MAX) {
		pthread_mutex_unlock(&r->lock);
		return err_set(e, RC_RETRY, "cannot be recorded now: too much waits");
	}
	sem_init(&w.wake, 0, 0);
	*r->end = &w;
	r->end = &w.next;
	r->n_waiting++;
	pthread_cond_signal(&r->work);
	bool late = false;
	while (!w.done) {
		pthread_mutex_unlock(&r->lock);
		if (late)
			(void)sem_wait(&w.wake);
		else
			late = sem_clockwait(&w.wake, CLOCK_MONOTONIC, &until) != 0 && clock_mono_ms() >= deadline_ms;
		pthread_mutex_lock(&r->lock);
		if (late && !w.taken) {
			struct waiting **at = &r->first;
			while (*at != &w)
				at = &(*at)->next;
			*at = w.next;
			if (r->end == &w.next)
				r->end = at;
			r->n_waiting--;
			r->stats.failed++;
			w.rc = err_set(e, RC_RETRY, "cannot be recorded now: no time left");
			break;
		}
	}
	pthread_mutex_unlock(&r->lock);
	sem_destroy(&w.wake);
	return w.rc;
}

/* --- without a valid token ------------------------------------------------------------------------------------- */
/* Under the lock. With no window left all others share the last. */
static struct window *
window_of(struct recorder *r, const char *action, const char *source)
{
	for (size_t i = 0; i < r->n_windows; i++)
		if (strcmp(r->windows[i].action, action) == 0 && strcmp(r->windows[i].source, source) == 0)
			return &r->windows[i];
	if (r->n_windows == WINDOWS_MAX)
		return &r->windows[WINDOWS_MAX - 1];
	struct window *w = &r->windows[r->n_windows++];
	snprintf(w->action, sizeof(w->action), "%s", action);
	snprintf(w->source, sizeof(w->source), "%s", source);
	return w;
}

static void
forged_detail(int64_t count, const char *reason, struct buf *b)
{
	buf_addf(b, "{\"count\":%lld,\"reason\":", (long long)count);
	buf_add_json(b, bytes_str(reason));
	buf_add_str(b, "}");
}

static struct audit_intent
forged_intent(const char *action, const char *source, const char *traceparent, const struct buf *detail)
{
	return (struct audit_intent){.action = action,
				     .outcome = rc_str(RC_DENIED),
				     .actor = bytes_str("unknown"),
				     .source = bytes_str(source),
				     .number = -1,
				     .at_us = clock_wall_us(),
				     .detail = buf_bytes(detail),
				     .traceparent = traceparent};
}

enum rc
recorder_forged(struct recorder *r, const char *action, const char *source, const char *reason, const char *traceparent,
		int64_t deadline_ms, struct err *e)
{
	static const struct uuid nobody;
	int64_t now = clock_mono_ms(), count = 0;
	pthread_mutex_lock(&r->lock);
	struct window *w = window_of(r, action, source);
	r->stats.forged++;
	snprintf(w->reason, sizeof(w->reason), "%s", reason);
	w->held++;
	if (now >= w->until_ms) {
		count = w->held;
		w->held = 0;
		w->until_ms = now + RECORD_FORGED_MS;
	}
	pthread_mutex_unlock(&r->lock);
	if (count == 0)
		return RC_OK;
	struct buf detail;
	buf_init(&detail, 0);
	forged_detail(count, reason, &detail);
	struct audit_intent i = forged_intent(action, source, traceparent, &detail);
	enum rc rc = recorder_write(r, &nobody, &i, deadline_ms, e);
	buf_done(&detail);
	if (rc != RC_OK) {
		pthread_mutex_lock(&r->lock);
		w->held += count;
		w->until_ms = 0;
		pthread_mutex_unlock(&r->lock);
	}
	return rc;
}

/* What was held back in a window that is over; all: in any. On a thread of ours. */
static void
flush_forged(struct recorder *r, bool all)
{
	static const struct uuid nobody;
	for (size_t k = 0; k < WINDOWS_MAX; k++) {
		struct window w = {0};
		int64_t now = clock_mono_ms();
		pthread_mutex_lock(&r->lock);
		struct window *at = &r->windows[k];
		if (k < r->n_windows && at->held > 0 && (all || now >= at->until_ms)) {
			w = *at;
			at->held = 0;
			at->until_ms = now + RECORD_FORGED_MS;
		}
		pthread_mutex_unlock(&r->lock);
		if (w.held == 0)
			continue;
		struct buf detail;
		buf_init(&detail, 0);
		forged_detail(w.held, w.reason, &detail);
		struct audit_intent i = forged_intent(w.action, w.source, NULL, &detail);
		struct waiting one = {.tenant = &nobody, .intent = &i}, *v[] = {&one};
		sem_init(&one.wake, 0, 0);
		write_batch(r, v, 1);
		sem_destroy(&one.wake);
		buf_done(&detail);
		if (one.rc == RC_OK)
			continue;
		pthread_mutex_lock(&r->lock);
		at->held += w.held;
		pthread_mutex_unlock(&r->lock);
	}
}

/* --- threads --------------------------------------------------------------------------------------------------- */
static void *
run(void *arg)
{
	struct recorder *r = arg;
	struct waiting *v[RECORD_BATCH_MAX];
	pthread_mutex_lock(&r->lock);
	while (!r->ending || r->first != NULL) {
		if (r->first == NULL) {
			int64_t at = clock_mono_ms() + TICK_MS;
			struct timespec until = {.tv_sec = at / 1000, .tv_nsec = at % 1000 * 1000000};
			bool idle = pthread_cond_clockwait(&r->work, &r->lock, CLOCK_MONOTONIC, &until) != 0;
			if (idle && pthread_equal(pthread_self(), r->threads[0])) {
				pthread_mutex_unlock(&r->lock);
				flush_forged(r, false);
				pthread_mutex_lock(&r->lock);
			}
			continue;
		}
		size_t n = take_batch(r, v);
		pthread_mutex_unlock(&r->lock);
		write_batch(r, v, n);
		pthread_mutex_lock(&r->lock);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

struct recorder *
recorder_new(struct db_pool *db)
{
	struct recorder *r = calloc(1, sizeof(*r));
	if (r == NULL)
		abort();
	r->db = db;
	r->end = &r->first;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->work, NULL);
	pthread_mutex_lock(&r->lock); /* they look at r->threads */
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&r->threads[i], NULL, run, r) != 0)
			abort();
	pthread_mutex_unlock(&r->lock);
	return r;
}

void
recorder_free(struct recorder **rp)
{
	struct recorder *r = *rp;
	if (r == NULL)
		return;
	*rp = NULL;
	pthread_mutex_lock(&r->lock);
	r->ending = true;
	pthread_cond_broadcast(&r->work);
	pthread_mutex_unlock(&r->lock);
	for (int i = 0; i < THREADS; i++)
		pthread_join(r->threads[i], NULL);
	flush_forged(r, true);
	pthread_cond_destroy(&r->work);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

void
recorder_stats(struct recorder *r, struct recorder_stats *out_r)
{
	pthread_mutex_lock(&r->lock);
	*out_r = r->stats;
	pthread_mutex_unlock(&r->lock);
}
