/* SPDX-License-Identifier: MIT
 *
 * One thread of low priority. It rests as long as it works, so that it never takes more than half a processor.
 */
#include "search_index.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "core/clock.h"
#include "core/log.h"
#include "metrics.h"
#include "search_write.h"

#define ROUND_MS      500
#define ENOUGH	      64       /* messages that are worth a segment at once; searches check as many without it */
#define WAIT_US	      5000000  /* others wait that long */
#define LAG_US	      60000000 /* and no longer than this while the mail is busy */
#define BUSY	      1000     /* recipients waiting for a worker */
#define BATCH	      512
#define TURNS	      16  /* batches of one tenant before the next one's */
#define REST_MS	      250 /* at most between two steps */
#define NICE	      10
#define DATABASE_MS   10000
#define METRIC_OF_DUE 2 /* metric_depth: what waits to be sent */

struct search_index {
	struct delivery *d;
	struct search_writer *writer;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t stop;
	bool stopping;
	int64_t worked_ms; /* since when */
};

/* True to go on. */
static bool
rest(struct search_index *i, int64_t ms)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_mutex_lock(&i->mutex);
	for (int rc = 0; !i->stopping && rc == 0;)
		rc = pthread_cond_timedwait(&i->stop, &i->mutex, &until);
	bool go = !i->stopping;
	pthread_mutex_unlock(&i->mutex);
	i->worked_ms = clock_mono_ms();
	return go;
}

/* Between two steps of work: as long as the one before took. */
static bool
pace(void *ctx)
{
	struct search_index *i = ctx;
	int64_t worked = clock_mono_ms() - i->worked_ms;
	return rest(i, worked < REST_MS ? worked : REST_MS);
}

static bool
is_busy(void)
{
	return atomic_load(&metric_depth.count[METRIC_OF_DUE]) > BUSY;
}

static bool
is_due(const struct search_waiting *w, int64_t now_us)
{
	int64_t age = now_us - w->oldest_us;
	return age >= LAG_US || (!is_busy() && (w->messages >= ENOUGH || age >= WAIT_US));
}

/* What is due of one tenant. */
static void
serve(struct search_index *i, const struct uuid *tenant)
{
	struct err err;
	size_t n = 0;
	bool merged = false;
	enum rc rc = RC_OK;
	for (int turn = 0; turn < TURNS && (turn == 0 || (rc == RC_OK && n >= BATCH && pace(i))); turn++) {
		rc = search_write_waiting(i->writer, tenant, BATCH, &n, &err);
		if (rc == RC_OK)
			metric_add(&metric_search_indexed, 0, (int64_t)n);
	}
	while (rc == RC_OK && pace(i)) {
		rc = search_write_merge(i->writer, tenant, &merged, &err);
		if (!merged)
			break;
	}
	if (rc != RC_OK)
		log_warn("search index: not this time", LOG_TENANT(tenant), LOG_RC(rc), LOG_ERR(&err));
}

static void
round_of(struct search_index *i)
{
	struct search_waiting *v = NULL;
	size_t n = 0;
	struct err err;
	struct arena *a = arena_new();
	int64_t now = clock_wall_us(), messages = 0;
	enum rc rc = search_store_waiting(i->d->svc->db, clock_mono_ms() + DATABASE_MS, a, &v, &n, &err);
	if (rc != RC_OK)
		log_warn("search index: cannot see what waits", LOG_RC(rc), LOG_ERR(&err));
	for (size_t k = 0; rc == RC_OK && k < n; k++)
		messages += v[k].messages;
	if (rc == RC_OK) {
		metric_set(&metric_search_waiting, 0, messages);
		metric_set(&metric_search_lag, 0, n > 0 && now > v[0].oldest_us ? (now - v[0].oldest_us) / 1000000 : 0);
	}
	for (size_t k = 0; rc == RC_OK && k < n && !svc_stopping(); k++)
		if (is_due(&v[k], now))
			serve(i, &v[k].tenant);
	arena_free(&a);
}

static void *
run(void *ctx)
{
	struct search_index *i = ctx;
	(void)setpriority(PRIO_PROCESS, 0, NICE); /* of this thread, on Linux */
	i->worked_ms = clock_mono_ms();
	while (rest(i, ROUND_MS))
		round_of(i);
	return NULL;
}

struct search_index *
search_index_start(struct delivery *d)
{
	struct search_index *i = calloc(1, sizeof(*i));
	pthread_condattr_t attr;
	if (i == NULL)
		abort();
	i->d = d;
	i->writer = search_writer_new(d->svc->db, d->svc->content);
	search_writer_set_pace(i->writer, pace, i);
	pthread_mutex_init(&i->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&i->stop, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&i->thread, NULL, run, i) != 0)
		abort();
	return i;
}

void
search_index_stop(struct search_index **ip)
{
	struct search_index *i = *ip;
	if (i == NULL)
		return;
	pthread_mutex_lock(&i->mutex);
	i->stopping = true;
	pthread_cond_signal(&i->stop);
	pthread_mutex_unlock(&i->mutex);
	pthread_join(i->thread, NULL);
	search_writer_free(&i->writer);
	pthread_mutex_destroy(&i->mutex);
	pthread_cond_destroy(&i->stop);
	free(i);
	*ip = NULL;
}
