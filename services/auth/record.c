/* SPDX-License-Identifier: MIT */
#include "record.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/clock.h"
#include "core/log.h"

#define EVERY_S	    5
#define DEADLINE_MS 5000

static struct {
	struct tally *tally;
	struct db_pool *db;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop;
} own = {.lock = PTHREAD_MUTEX_INITIALIZER};

static enum rc
write_entry(const struct store_by *by, const struct tally_entry *t, struct err *e)
{
	enum rc rc = store_note_times(by, &t->tenant, &t->subject, t->action, t->outcome, t->reason, t->count, e);
	if (rc != RC_OK)
		tally_failed(own.tally, t);
	return rc;
}

enum rc
record_note(const struct store_by *by, const struct uuid *tenant, const struct uuid *subject, const char *action,
	    enum rc outcome, const char *reason, struct err *e)
{
	struct tally_entry t = {.action = action, .outcome = outcome, .tenant = *tenant, .subject = *subject};
	snprintf(t.source, sizeof(t.source), "%s", by->client_ip);
	snprintf(t.reason, sizeof(t.reason), "%s", reason);
	return tally_add(own.tally, &t, by->now_us) ? write_entry(by, &t, e) : RC_OK;
}

static void
write_due(bool all)
{
	struct tally_entry t;
	struct err err;
	int64_t now = clock_wall_us();
	while (tally_take(own.tally, now, all, &t)) {
		struct store_by by = {.db = own.db,
				      .actor = "unknown",
				      .client_ip = t.source,
				      .now_us = t.last_us,
				      .deadline_ms = clock_mono_ms() + DEADLINE_MS};
		if (write_entry(&by, &t, &err) != RC_OK) {
			log_warn("logins not on the record yet", LOG_ERR(&err));
			return; /* and again in a while */
		}
	}
}

static void *
run(void *ctx)
{
	pthread_mutex_lock(&own.lock);
	while (!own.stop) {
		struct timespec until;
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += EVERY_S;
		pthread_cond_timedwait(&own.wake, &own.lock, &until);
		pthread_mutex_unlock(&own.lock);
		write_due(false);
		pthread_mutex_lock(&own.lock);
	}
	pthread_mutex_unlock(&own.lock);
	return NULL;
}

void
record_start(struct db_pool *db)
{
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&own.wake, &attributes);
	pthread_condattr_destroy(&attributes);
	own.tally = tally_new();
	own.db = db;
	own.stop = false;
	if (pthread_create(&own.thread, NULL, run, NULL) != 0)
		abort();
}

void
record_stop(void)
{
	if (own.tally == NULL)
		return;
	pthread_mutex_lock(&own.lock);
	own.stop = true;
	pthread_cond_signal(&own.wake);
	pthread_mutex_unlock(&own.lock);
	pthread_join(own.thread, NULL);
	write_due(true);
	pthread_cond_destroy(&own.wake);
	tally_free(&own.tally);
}
