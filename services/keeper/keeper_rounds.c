/* SPDX-License-Identifier: MIT
 *
 * Two threads that go round: one holds the streams up (a hint is published when one was made anew, so that outboxes
 * republish at once), one makes partitions daily and counts recipients for the metrics. Both only log what fails:
 * the next round tries again.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "client/auth_client.h"
#include "core/clock.h"
#include "core/log.h"
#include "keeper.h"
#include "subjects.h"

#define PARTITIONS_EVERY_MS INT64_C(86400000)
#define RETRY_MS	    5000
#define COUNT_DEADLINE_MS   60000
#define STREAMS_MAX	    METRIC_LABELS_MAX

static struct {
	struct svc *svc;
	pthread_t streams, housekeeping;
	bool running;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop;
	bool streams_there;
	char why[128];
} rounds = {.lock = PTHREAD_MUTEX_INITIALIZER, .why = "streams not looked at yet"};

/* --- metrics ------------------------------------------------------------------------------------------------ */
static const char *stream_names[STREAMS_MAX + 1];
static struct metric stream_messages = {
    .name = "sekisho_keeper_stream_messages",
    .type = METRIC_GAUGE,
    .help = "Messages in a stream of the bus.",
    .label = "stream",
    .values = stream_names,
};
static struct metric streams_made = {
    .name = "sekisho_keeper_streams_made_total",
    .type = METRIC_COUNTER,
    .help = "Times a stream or consumer was missing and was made.",
};
static struct metric recipients = {
    .name = "sekisho_keeper_recipients",
    .type = METRIC_GAUGE,
    .help = "Terms of conservation over all tenants, in one snapshot.",
    .label = "term",
    .values = conservation_terms,
};
static struct metric not_conserved = {
    .name = "sekisho_keeper_tenants_not_conserved",
    .type = METRIC_GAUGE,
    .help = "Tenants whose sum does not hold or who have violations; anything but 0 is an alert.",
};
static struct metric counted_at = {
    .name = "sekisho_keeper_counted_timestamp_seconds",
    .type = METRIC_GAUGE,
    .help = "When conservation was last counted.",
};
static struct metric partitions_at = {
    .name = "sekisho_keeper_partitions_timestamp_seconds",
    .type = METRIC_GAUGE,
    .help = "When partitions were last made or found there.",
};
struct metric *const keeper_metrics[] = {&stream_messages, &streams_made,  &recipients, &not_conserved,
					 &counted_at,	   &partitions_at, NULL};

/* --- streams ------------------------------------------------------------------------------------------------ */
static void
note(bool there, const char *why)
{
	pthread_mutex_lock(&rounds.lock);
	if (rounds.streams_there && !there)
		log_warn("streams are not there", LOG_STR("error", why));
	rounds.streams_there = there;
	snprintf(rounds.why, sizeof(rounds.why), "%s", why);
	pthread_mutex_unlock(&rounds.lock);
}

/* One look at every stream. *tell: the hint is still to be published, from this round or an earlier one. */
static enum rc
streams_round(struct bus *b, bool *tell, struct err *e)
{
	for (const struct subject_stream *s = subject_streams; s->name != NULL; s++) {
		bool made = false;
		enum rc rc =
		    stream_assert(b, s->name, s->subjects, s->consumers, keeper_config.stream_max_age_ms,
				  keeper_config.stream_max_octets, (int)keeper_config.stream_replicas, &made, e);
		if (rc != RC_OK)
			return rc;
		if (made) {
			metric_add(&streams_made, 0, 1);
			log_info("stream or consumer made", LOG_STR("stream", s->name));
			*tell = true;
		}
	}
	if (*tell) {
		enum rc rc = bus_publish(b, SIG_STREAM_MADE, (struct bytes){0}, e);
		if (rc != RC_OK)
			return rc;
		*tell = false;
	}
	return RC_OK;
}

static void
measure_streams(struct bus *b)
{
	struct arena *a = arena_new();
	int label = 0;
	for (const struct subject_stream *s = subject_streams; s->name != NULL && label < STREAMS_MAX; s++, label++) {
		struct stream_info info;
		struct err e;
		if (stream_describe(b, s->name, a, &info, &e) == RC_OK)
			metric_set(&stream_messages, label, (int64_t)info.messages);
	}
	arena_free(&a);
}

/* False when it is time to end. */
static bool
sleep_ms(int64_t ms)
{
	int64_t at = clock_mono_ms() + ms;
	struct timespec until = {.tv_sec = at / 1000, .tv_nsec = at % 1000 * 1000000};
	pthread_mutex_lock(&rounds.lock);
	while (!rounds.stop && pthread_cond_timedwait(&rounds.wake, &rounds.lock, &until) != ETIMEDOUT)
		;
	bool go_on = !rounds.stop;
	pthread_mutex_unlock(&rounds.lock);
	return go_on;
}

static void *
streams_main(void *arg)
{
	bool tell = false;
	do {
		struct err e;
		if (streams_round(rounds.svc->bus, &tell, &e) == RC_OK) {
			note(true, "");
			measure_streams(rounds.svc->bus);
		} else {
			note(false, e.text);
		}
	} while (sleep_ms(keeper_config.assert_every_ms));
	return NULL;
}

/* --- housekeeping ------------------------------------------------------------------------------------------- */
static enum rc
count_all(struct svc *s, struct arena *a, struct err *e)
{
	struct auth_call call = {.bus = s->bus, .deadline_ms = clock_mono_ms() + 10000};
	struct uuid *ids = NULL;
	size_t n = 0, bad = 0;
	enum rc rc = auth_tenants(&call, a, &ids, &n, e);
	if (rc != RC_OK)
		return rc;
	struct keeper_count *counts = arena_new_array(a, struct keeper_count, n);
	rc = keeper_store_count(s->db, ids, n, clock_mono_ms() + COUNT_DEADLINE_MS, a, counts, e);
	if (rc != RC_OK)
		return rc;
	struct conservation sum = {0};
	for (size_t i = 0; i < n; i++) {
		conservation_sum(&sum, &counts[i].sum);
		if (conservation_holds(&counts[i].sum))
			continue;
		bad++;
		log_error("recipients are not conserved", LOG_TENANT(&counts[i].tenant),
			  LOG_INT("violations", counts[i].sum.violations),
			  LOG_STR("first", counts[i].n_violations > 0 ? counts[i].violations[0] : "the sum is wrong"));
	}
	for (int t = 0; t < TERMS; t++)
		metric_set(&recipients, t, (int64_t)sum.terms[t]);
	metric_set(&not_conserved, 0, (int64_t)bad);
	metric_set(&counted_at, 0, clock_wall_us() / 1000000);
	return RC_OK;
}

static void *
housekeeping_main(void *arg)
{
	int64_t partitions_due = 0, count_due = 0, now;
	do {
		struct err e;
		int64_t made = 0;
		now = clock_mono_ms();
		if (now >= partitions_due) {
			if (keeper_store_partitions(rounds.svc->db, now + COUNT_DEADLINE_MS, &made, &e) == RC_OK) {
				partitions_due = now + PARTITIONS_EVERY_MS;
				metric_set(&partitions_at, 0, clock_wall_us() / 1000000);
				if (made > 0)
					log_info("partitions made", LOG_INT("count", made));
			} else {
				log_warn("partitions not made", LOG_ERR(&e));
			}
		}
		if (now >= count_due) {
			struct arena *a = arena_new();
			if (count_all(rounds.svc, a, &e) == RC_OK)
				count_due = now + keeper_config.count_every_ms;
			else
				log_warn("recipients not counted", LOG_ERR(&e));
			arena_free(&a);
		}
	} while (sleep_ms(RETRY_MS < keeper_config.count_every_ms ? RETRY_MS : keeper_config.count_every_ms));
	return NULL;
}

/* --- start and end ------------------------------------------------------------------------------------------ */
enum rc
keeper_rounds_start(struct svc *s, struct err *e)
{
	pthread_condattr_t ca;
	pthread_condattr_init(&ca);
	pthread_condattr_setclock(&ca, CLOCK_MONOTONIC);
	pthread_cond_init(&rounds.wake, &ca);
	pthread_condattr_destroy(&ca);
	for (int i = 0; i < STREAMS_MAX && subject_streams[i].name != NULL; i++)
		stream_names[i] = subject_streams[i].name;
	rounds.svc = s;
	if (pthread_create(&rounds.streams, NULL, streams_main, NULL) != 0 ||
	    pthread_create(&rounds.housekeeping, NULL, housekeeping_main, NULL) != 0)
		return err_set(e, RC_INTERNAL, "no thread");
	rounds.running = true;
	return RC_OK;
}

void
keeper_rounds_stop(void)
{
	if (!rounds.running)
		return;
	pthread_mutex_lock(&rounds.lock);
	rounds.stop = true;
	pthread_cond_broadcast(&rounds.wake);
	pthread_mutex_unlock(&rounds.lock);
	pthread_join(rounds.streams, NULL);
	pthread_join(rounds.housekeeping, NULL);
	rounds.running = false;
}

bool
keeper_streams_ready(char *why, size_t size)
{
	pthread_mutex_lock(&rounds.lock);
	bool there = rounds.streams_there;
	if (!there)
		snprintf(why, size, "%s", rounds.why);
	pthread_mutex_unlock(&rounds.lock);
	return there;
}
