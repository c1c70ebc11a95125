/* SPDX-License-Identifier: MIT
 *
 * One thread that does nothing else, so that no slow transaction of the scheduler makes us look dead.
 */
#include "alive.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "core/clock.h"
#include "core/log.h"
#include "store.h"

#define HEARTBEAT_MS 3000
#define AGAIN_MS     500 /* after a beat that failed */
#define ALIVE_MS     15000
#define MARGIN_MS    2000 /* for clocks that differ */
#define FAREWELL_MS  2000

struct alive {
	struct delivery *d;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t stop;
	bool stopping;
	struct uuid self; /* nil before the first beat */
	int64_t until_ms; /* monotonic */
};

/* Returns how long to wait for the next one. */
static int64_t
beat(struct alive *a)
{
	int64_t mono = clock_mono_ms(), now = clock_wall_us(), orphans = 0;
	struct uuid self = a->self; /* written by this thread only */
	struct err err;
	enum rc rc =
	    store_heartbeat(a->d->svc->db, &self, now, now + ALIVE_MS * 1000, mono + HEARTBEAT_MS, &orphans, &err);
	if (rc != RC_OK) {
		log_warn("heartbeat failed", LOG_RC(rc), LOG_ERR(&err));
		return AGAIN_MS;
	}
	pthread_mutex_lock(&a->mutex);
	bool buried = !uuid_is_nil(&a->self) && !uuid_eq(&a->self, &self);
	a->self = self;
	a->until_ms = mono + ALIVE_MS - MARGIN_MS; /* from before the statement was sent */
	pthread_mutex_unlock(&a->mutex);
	if (buried)
		log_warn("was not seen alive: what was claimed before is given up");
	if (orphans > 0)
		log_warn("took over leases of an instance that is gone", LOG_INT("recipients", orphans));
	return HEARTBEAT_MS;
}

static void *
run(void *ctx)
{
	struct alive *a = ctx;
	pthread_mutex_lock(&a->mutex);
	while (!a->stopping) {
		pthread_mutex_unlock(&a->mutex);
		int64_t wait_ms = beat(a);
		struct timespec until;
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += wait_ms / 1000;
		until.tv_nsec += (wait_ms % 1000) * 1000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		pthread_mutex_lock(&a->mutex);
		for (int rc = 0; !a->stopping && rc == 0;)
			rc = pthread_cond_timedwait(&a->stop, &a->mutex, &until);
	}
	pthread_mutex_unlock(&a->mutex);
	return NULL;
}

struct alive *
alive_start(struct delivery *d)
{
	struct alive *a = calloc(1, sizeof(*a));
	pthread_condattr_t attr;
	if (a == NULL)
		abort();
	a->d = d;
	pthread_mutex_init(&a->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&a->stop, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&a->thread, NULL, run, a) != 0)
		abort();
	return a;
}

bool
alive_self(struct alive *a, struct uuid *self_r)
{
	pthread_mutex_lock(&a->mutex);
	bool alive = clock_mono_ms() < a->until_ms;
	if (alive)
		*self_r = a->self;
	pthread_mutex_unlock(&a->mutex);
	return alive;
}

bool
alive_holds(struct alive *a, const struct uuid *owner)
{
	struct uuid self;
	return alive_self(a, &self) && uuid_eq(&self, owner);
}

void
alive_stop(struct alive **ap)
{
	struct alive *a = *ap;
	struct err err;
	if (a == NULL)
		return;
	pthread_mutex_lock(&a->mutex);
	a->stopping = true;
	pthread_cond_signal(&a->stop);
	pthread_mutex_unlock(&a->mutex);
	pthread_join(a->thread, NULL);
	if (store_farewell(a->d->svc->db, &a->self, clock_mono_ms() + FAREWELL_MS, &err) != RC_OK)
		log_warn("no farewell: leases end by themselves", LOG_ERR(&err));
	pthread_mutex_destroy(&a->mutex);
	pthread_cond_destroy(&a->stop);
	free(a);
	*ap = NULL;
}
