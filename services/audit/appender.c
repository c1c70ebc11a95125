/* SPDX-License-Identifier: MIT
 *
 * The appender: one thread that goes round. Which tenants have unread intents, a batch of each in turn until all were
 * read up to one point in time, the journal synced after each turn, heads signed, and then: since every intent below
 * that point was met, a number that is missing in a writer's sequence is a gap (gaps.c).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "audit.h"
#include "client/auth_client.h"
#include "core/clock.h"
#include "core/log.h"
#include "store.h"
#include "subjects.h"

#define DEADLINE_MS    30000
#define CHECK_EVERY_MS 60000
#define ROUND_MOST_MS  5000
#define REFUSED_MAX    4096
#define PAUSE_PER_FIND 9 /* looking for work takes a tenth of the time at most */

static struct {
	pthread_t thread;
	bool running, stop, woken;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct uuid refused[REFUSED_MAX]; /* sorted by nothing: rarely more than a few */
	size_t n_refused;
	char why[160]; /* empty: rounds succeed */
	bool any_round;
	int64_t check_due, find_ms;
	struct uuid *tenants; /* of the last answer of auth */
	size_t n_tenants;
	unsigned sources;
} appender = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* --- refused logs ------------------------------------------------------------------------------------------------ */
bool
appender_refuses(const struct uuid *tenant)
{
	bool found = false;
	pthread_mutex_lock(&appender.lock);
	for (size_t i = 0; i < appender.n_refused && !found; i++)
		found = uuid_eq(&appender.refused[i], tenant);
	pthread_mutex_unlock(&appender.lock);
	return found;
}

static void
set_refused(const struct uuid *tenant, const struct err *why)
{
	size_t i = 0;
	pthread_mutex_lock(&appender.lock);
	while (i < appender.n_refused && !uuid_eq(&appender.refused[i], tenant))
		i++;
	bool was = i < appender.n_refused;
	if (why != NULL && !was && appender.n_refused < REFUSED_MAX)
		appender.refused[appender.n_refused++] = *tenant;
	if (why == NULL && was)
		appender.refused[i] = appender.refused[--appender.n_refused];
	metric_set(&audit_metric_refused, 0, (int64_t)appender.n_refused);
	pthread_mutex_unlock(&appender.lock);
	if (why != NULL && !was)
		log_error("nothing is appended to this log any more: run sekisho-audit --repair", LOG_TENANT(tenant),
			  LOG_ERR(why));
	if (why == NULL && was)
		log_info("the log fits the journal again", LOG_TENANT(tenant));
}

void
appender_refuse(const struct uuid *tenant, const struct err *why)
{
	set_refused(tenant, why);
}

bool
appender_ready(char *why, size_t size)
{
	pthread_mutex_lock(&appender.lock);
	bool ok = appender.any_round && appender.why[0] == 0;
	if (!ok)
		snprintf(why, size, "%s", appender.any_round ? appender.why : "no round yet");
	pthread_mutex_unlock(&appender.lock);
	return ok;
}

static void
note_round(const char *why)
{
	pthread_mutex_lock(&appender.lock);
	appender.any_round = true;
	snprintf(appender.why, sizeof(appender.why), "%s", why);
	pthread_mutex_unlock(&appender.lock);
}

/* --- the journal ------------------------------------------------------------------------------------------------- */
static void
close_journal(void)
{
	pthread_mutex_lock(&audit.journal_lock);
	journal_close(&audit.journal);
	pthread_mutex_unlock(&audit.journal_lock);
}

static enum rc
need_journal(struct err *e)
{
	if (audit.journal != NULL)
		return RC_OK;
	struct journal *j = NULL;
	struct journal_options o = {audit.config.journal, audit.config.segment_octets, heads_published};
	enum rc rc = journal_open(&o, &j, e);
	if (rc != RC_OK) {
		metric_add(&audit_metric_failures, FAILED_JOURNAL, 1);
		return rc;
	}
	pthread_mutex_lock(&audit.journal_lock);
	audit.journal = j;
	pthread_mutex_unlock(&audit.journal_lock);
	appender.check_due = 0;
	return RC_OK;
}

struct checked {
	enum rc rc;
	struct err err;
};

static void
check_one(void *ctx, const struct journal_log *l)
{
	struct checked *c = ctx;
	struct err e;
	if (c->rc != RC_OK)
		return;
	enum rc rc = fit_check(&l->tenant, &e);
	if (rc == RC_CONFLICT || rc == RC_INTERNAL) /* internal: a tile is missing, and nothing can be told of it */
		set_refused(&l->tenant, &e);
	else if (rc == RC_OK)
		set_refused(&l->tenant, NULL);
	else
		*c = (struct checked){rc, e};
}

/* Every log of the journal against the database. */
static enum rc
check_all(struct err *e)
{
	struct checked c = {.rc = RC_OK};
	if (clock_mono_ms() < appender.check_due)
		return RC_OK;
	journal_each(audit.journal, check_one, &c);
	if (c.rc == RC_OK)
		appender.check_due = clock_mono_ms() + CHECK_EVERY_MS;
	else if (e != NULL)
		*e = c.err;
	return c.rc;
}

/* --- a round ----------------------------------------------------------------------------------------------------- */
struct round {
	struct arena *a;
	struct store_horizon h;
	struct append_state *v; /* tenants with work */
	size_t n;
	bool complete;	   /* all tenants, all read */
	struct uuid stuck; /* one of those whose intents could not be appended */
	size_t n_stuck;
	int64_t oldest_us;
};

/* Asked after the horizon was taken: a tenant whose intents lie below it is there by then. */
static enum rc
ask_tenants(struct round *r)
{
	struct auth_call call = {.bus = audit.svc->bus, .deadline_ms = clock_mono_ms() + 5000};
	struct uuid *ids = NULL;
	size_t n = 0;
	struct err e;
	enum rc rc = auth_tenants(&call, r->a, &ids, &n, &e);
	if (rc != RC_OK) {
		if (!appender.any_round || appender.why[0] == 0)
			log_warn("auth does not say which tenants there are", LOG_ERR(&e));
		r->complete = false;
		return rc;
	}
	appender.tenants = realloc(appender.tenants, (n + 1) * sizeof(*ids));
	if (appender.tenants == NULL)
		abort();
	appender.tenants[0] = (struct uuid){{0}}; /* the platform's own */
	if (n > 0)
		memcpy(appender.tenants + 1, ids, n * sizeof(*ids));
	appender.n_tenants = n + 1;
	return RC_OK;
}

static struct append_state *
state_of(struct round *r, const struct uuid *tenant)
{
	for (size_t i = r->n; i > 0; i--)
		if (uuid_eq(&r->v[i - 1].tenant, tenant))
			return &r->v[i - 1];
	r->v[r->n] = (struct append_state){.tenant = *tenant};
	return &r->v[r->n++];
}

static enum rc
find_work(struct round *r, struct err *e)
{
	enum rc rc = store_sources(audit.svc->db, clock_mono_ms() + DEADLINE_MS, &appender.sources, e);
	if (rc == RC_OK)
		rc = store_horizon(audit.svc->db, clock_mono_ms() + DEADLINE_MS, &r->h, e);
	if (rc != RC_OK)
		return rc;
	if (ask_tenants(r) != RC_OK && appender.n_tenants == 0)
		return err_set(e, RC_RETRY, "it is not known yet which tenants there are");
	r->v = arena_new_array(r->a, struct append_state, appender.n_tenants + 1);
	int64_t began = clock_mono_ms();
	for (int s = 0; s < STORE_SOURCES; s++) {
		struct store_waiting *w;
		size_t n;
		if ((appender.sources >> s & 1) == 0)
			continue;
		rc = store_waiting(audit.svc->db, s, &r->h, appender.tenants, appender.n_tenants,
				   clock_mono_ms() + DEADLINE_MS, r->a, &w, &n, e);
		if (rc != RC_OK)
			return rc;
		for (size_t i = 0; i < n; i++) {
			state_of(r, &w[i].tenant)->sources |= 1u << s;
			if (r->oldest_us == 0 || w[i].oldest_us < r->oldest_us)
				r->oldest_us = w[i].oldest_us;
		}
	}
	appender.find_ms = clock_mono_ms() - began;
	return RC_OK;
}

static void
tell(const struct append_state *s)
{
	uint8_t hint[24];
	struct err e;
	memcpy(hint, s->tenant.b, 16);
	for (int i = 0; i < 8; i++)
		hint[16 + i] = (uint8_t)(s->size >> (56 - 8 * i));
	if (bus_publish(audit.svc->bus, SIG_AUDIT_APPENDED, bytes_of(hint, sizeof(hint)), &e) != RC_OK)
		log_debug("hint not published", LOG_ERR(&e)); /* who waits asks again by itself */
}

/* A batch of each tenant that still has work. False when nobody has. */
static bool
one_turn(struct round *r)
{
	bool more = false;
	for (size_t i = 0; i < r->n && !svc_stopping(); i++) {
		struct append_state *s = &r->v[i];
		struct err e;
		if (s->sources == 0)
			continue;
		enum rc rc = append_batch(s, &r->h, &e);
		if (rc == RC_OK) {
			set_refused(&s->tenant, NULL);
			more |= s->sources != 0;
			continue;
		}
		s->sources = 0;
		r->complete = false;
		r->stuck = s->tenant;
		r->n_stuck++;
		if (rc == RC_CONFLICT) {
			set_refused(&s->tenant, &e);
			continue;
		}
		metric_add(&audit_metric_failures, FAILED_ROUND, 1);
		log_warn("intents of a tenant were not appended", LOG_TENANT(&s->tenant), LOG_ERR(&e));
	}
	return more;
}

static enum rc
append_all(struct round *r, struct err *e)
{
	bool more = true;
	int64_t until = clock_mono_ms() + ROUND_MOST_MS;
	while (more && !svc_stopping()) {
		/* A long backlog of some must not keep the others waiting: look again who has work. */
		if (clock_mono_ms() > until) {
			r->complete = false;
			appender_wake();
			break;
		}
		for (size_t i = 0; i < r->n; i++)
			r->v[i].appended = 0;
		more = one_turn(r);
		enum rc rc = journal_sync(audit.journal, e);
		if (rc != RC_OK)
			return rc;
		for (size_t i = 0; i < r->n; i++)
			if (r->v[i].appended > 0)
				tell(&r->v[i]);
		heads_due();
		note_round("");
	}
	return RC_OK;
}

static enum rc
go_round(struct err *e)
{
	struct round r = {.a = arena_new(), .complete = true};
	enum rc rc = need_journal(e);
	if (rc == RC_OK)
		rc = check_all(e);
	if (rc == RC_OK)
		rc = journal_sync(audit.journal, e); /* what the check brought forward */
	if (rc == RC_OK)
		rc = find_work(&r, e);
	if (rc == RC_OK) {
		int64_t now = clock_wall_us();
		metric_set(&audit_metric_lag, 0,
			   r.oldest_us > 0 && r.oldest_us < now ? (now - r.oldest_us) / 1000000 : 0);
		rc = append_all(&r, e);
	}
	bool complete = rc == RC_OK && r.complete;
	if (complete && r.n > 0 && !svc_stopping())
		rc = gaps_look(r.a, e);
	gaps_watched(complete, &r.stuck, r.n_stuck);
	arena_free(&r.a);
	return rc;
}

/* --- the thread -------------------------------------------------------------------------------------------------- */
static bool
sleep_until_next(void)
{
	/* It costs some index probes for each tenant, also for idle ones; a hint is not kept waiting. */
	int64_t pause = PAUSE_PER_FIND * appender.find_ms;
	int64_t at = clock_mono_ms() + (pause > audit.config.round_ms ? pause : audit.config.round_ms);
	struct timespec until = {.tv_sec = at / 1000, .tv_nsec = at % 1000 * 1000000};
	pthread_mutex_lock(&appender.lock);
	while (!appender.stop && !appender.woken &&
	       pthread_cond_timedwait(&appender.wake, &appender.lock, &until) != ETIMEDOUT)
		;
	appender.woken = false;
	bool go_on = !appender.stop;
	pthread_mutex_unlock(&appender.lock);
	return go_on;
}

static void *
appender_main(void *arg)
{
	do {
		struct err e;
		enum rc rc = go_round(&e);
		if (rc != RC_OK) {
			metric_add(&audit_metric_failures, FAILED_ROUND, 1);
			log_warn("a round of the appender failed", LOG_RC(rc), LOG_ERR(&e));
			/* What the journal has in memory may not be on disk: what is there counts. */
			close_journal();
		} else if (audit.journal != NULL) {
			heads_due();
		}
		note_round(rc == RC_OK ? "" : e.text);
	} while (sleep_until_next());
	return NULL;
}

enum rc
appender_start(struct err *e)
{
	pthread_condattr_t ca;
	pthread_condattr_init(&ca);
	pthread_condattr_setclock(&ca, CLOCK_MONOTONIC);
	pthread_cond_init(&appender.wake, &ca);
	pthread_condattr_destroy(&ca);
	if (pthread_create(&appender.thread, NULL, appender_main, NULL) != 0)
		return err_set(e, RC_INTERNAL, "no thread");
	appender.running = true;
	return RC_OK;
}

void
appender_wake(void)
{
	pthread_mutex_lock(&appender.lock);
	appender.woken = true;
	pthread_cond_signal(&appender.wake);
	pthread_mutex_unlock(&appender.lock);
}

void
appender_stop(void)
{
	if (!appender.running)
		return;
	pthread_mutex_lock(&appender.lock);
	appender.stop = true;
	pthread_cond_signal(&appender.wake);
	pthread_mutex_unlock(&appender.lock);
	pthread_join(appender.thread, NULL);
	appender.running = false;
	close_journal();
	free(appender.tenants);
	appender.tenants = NULL;
	appender.n_tenants = 0;
}
