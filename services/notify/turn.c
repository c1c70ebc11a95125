/* SPDX-License-Identifier: MIT
 *
 * Runs on the thread of a sender. Attempts are committed in batches with the position they led to: what a crash loses
 * is known to nobody, so at most a batch is sent twice, with the webhook-id it had.
 */
#include "turn.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "client/audit_client.h"
#include "core/clock.h"
#include "core/log.h"
#include "metrics.h"
#include "notify.h"
#include "send.h"

#define BATCH	     16	  /* attempts in a commit */
#define BATCH_MS     500  /* an attempt waits for company at most so long */
#define FEED	     50	  /* events asked for at once */
#define TURN_MS	     5000 /* for the events, and again for what is sent again */
#define DB_MS	     10000
#define FEED_MS	     10000
#define NO_FEED_US   3000000  /* audit did not answer: again after that */
#define NO_SECRET_US 60000000 /* a secret could not be opened */

enum go {
	GO_ON,	 /* time is over, there may be more */
	GO_IDLE, /* nothing more is there */
	GO_WAIT, /* due_us says */
	GO_OFF,	 /* disabled */
	GO_LOST, /* the lease, the webhook or the database is gone: nothing more to be written */
};

struct turn {
	struct svc *svc;
	const struct store_claim *claim;
	int64_t lease_ms, until_ms;
	struct arena *arena, *batch;
	struct store_webhook w;
	struct store_replay replay; /* id nil: none */
	bool replay_touched, changed;
	struct send_secrets secrets;
	struct poster *poster;
	char traceparent[TRACEPARENT_SIZE];
	/* since the last commit */
	struct store_attempt log[BATCH];
	bool aside[BATCH];
	size_t n_log;
	int64_t delivered, failed, committed_ms;
	/* where it stands */
	int64_t position;
	struct course_state live;
	const char *last_error;
	int64_t next_at_us;
	int32_t last_ms;
	const char *disable_why;
	int64_t due_us;
};

/* --- commits ------------------------------------------------------------------------------------------------- */
static enum rc
add_intent(struct turn *t, struct db_tx *tx, const char *action, const char *outcome, struct bytes detail,
	   struct err *e)
{
	struct audit_intent i = {
	    .action = action,
	    .outcome = outcome,
	    .actor = bytes_str("system"),
	    .subject = t->w.id,
	    .number = -1,
	    .at_us = clock_wall_us(),
	    .detail = detail,
	    .traceparent = t->traceparent,
	};
	return db_intent(tx, &i, e);
}

static enum rc
add_intents(struct turn *t, struct db_tx *tx, struct err *e)
{
	enum rc rc = RC_OK;
	struct buf detail;
	char id[UUID_STR_SIZE];
	buf_init(&detail, 0);
	for (size_t i = 0; i < t->n_log && rc == RC_OK; i++) {
		if (!t->aside[i])
			continue;
		uuid_format(&t->log[i].event, id);
		buf_reset(&detail);
		buf_addf(&detail, "{\"event\":\"%s\",\"type\":\"%s\",\"position\":%lld,\"attempts\":%d}", id,
			 t->log[i].type, (long long)t->log[i].position, t->log[i].number);
		rc = add_intent(t, tx, "webhook.gave_up", rc_str(RC_LIMIT), buf_bytes(&detail), e);
	}
	if (rc == RC_OK && t->disable_why != NULL) {
		buf_reset(&detail);
		buf_add_str(&detail, "{\"why\":");
		buf_add_json(&detail, bytes_str(t->disable_why));
		buf_add_str(&detail, "}");
		rc = add_intent(t, tx, "webhook.disabled", rc_str(RC_OK), buf_bytes(&detail), e);
	}
	buf_done(&detail);
	return rc;
}

/* kind NULL: the turn goes on. */
static enum rc
commit(struct turn *t, const char *kind, struct err *e)
{
	struct store_progress p = {
	    .claim = t->claim,
	    .position = t->position,
	    .attempts = (int32_t)t->live.attempts,
	    .failing_since_us = t->live.failing_since_us != 0 ? t->live.failing_since_us : DB_TIME_NULL,
	    .last_error = t->last_error,
	    .delivered = t->delivered,
	    .failed = t->failed,
	    .disable_why = t->disable_why,
	    .log = t->log,
	    .n_log = t->n_log,
	    .replay = t->replay_touched ? &t->replay : NULL,
	    .last_ms = t->last_ms,
	    .last = kind != NULL,
	    .kind = kind,
	    .due_us = t->due_us,
	    .next_at_us = t->next_at_us,
	    .now_us = clock_wall_us(),
	    .webhook_version = t->w.version,
	};
	struct db_tx *tx = NULL;
	enum rc rc = db_begin(t->svc->db, &t->claim->tenant, clock_mono_ms() + DB_MS, &tx, e);
	if (rc == RC_OK)
		rc = store_progress(tx, &p, &t->changed, e);
	if (rc == RC_OK)
		rc = add_intents(t, tx, e);
	if (rc == RC_OK)
		rc = db_commit(&tx, e);
	db_end(&tx);
	if (rc != RC_OK)
		return rc;
	t->n_log = 0;
	t->delivered = t->failed = 0;
	t->replay_touched = false;
	t->committed_ms = clock_mono_ms();
	return RC_OK;
}

static bool
lost(struct turn *t, enum rc rc, const struct err *e)
{
	if (rc == RC_OK)
		return false;
	if (rc == RC_CONFLICT)
		metric_add(&metric_lost_leases, 0, 1);
	if (rc != RC_NOT_FOUND)
		log_warn("a webhook's turn could not be recorded", LOG_TENANT(&t->claim->tenant),
			 LOG_UUID("sekisho.webhook", &t->claim->id), LOG_RC(rc), LOG_ERR(e));
	return true;
}

/* --- one attempt --------------------------------------------------------------------------------------------- */
static bool
time_is_over(const struct turn *t)
{
	int64_t now = clock_mono_ms();
	return svc_stopping() || t->changed || now >= t->until_ms ||
	       now + notify_config.timeout_ms + TURN_MARGIN_MS > t->lease_ms;
}

static unsigned
chance(void)
{
	uint16_t v;
	random_bytes(&v, sizeof(v));
	return v % 1001;
}

/* False: it could not be made, or was stopped; as if it had not been tried. */
static bool
attempt(struct turn *t, const struct audit_event *from, struct course_state *state, struct course_step *step_r)
{
	struct send_event ev = {
	    .id = from->id,
	    .type = from->type,
	    .position = (int64_t)from->position,
	    .at_us = from->at_us,
	    .data = from->data,
	    .traceparent = from->traceparent,
	};
	struct post_answer answer;
	struct err e;
	int64_t at = clock_wall_us();
	int32_t number = (int32_t)state->attempts + 1;
	enum rc rc =
	    send_event(t->poster, arena_strndup(t->batch, t->w.url.p, t->w.url.n), &t->secrets, &ev, &answer, &e);
	if (rc != RC_OK) {
		log_error("an event cannot be sent", LOG_TENANT(&t->claim->tenant), LOG_UUID("sekisho.event", &ev.id),
			  LOG_RC(rc), LOG_ERR(&e));
		answer = (struct post_answer){.outcome = POST_BROKEN};
		snprintf(answer.error, sizeof(answer.error), "it could not be made");
	}
	if (answer.outcome == POST_STOPPED)
		return false;
	struct course_result result = {answer.status, answer.whole, answer.retry_after_s};
	*step_r = course_after(&notify_config.ladder, state, &result, clock_wall_us(), chance());
	t->last_ms = (int32_t)answer.duration_ms;
	t->aside[t->n_log] = step_r->what == COURSE_ASIDE;
	t->log[t->n_log++] = send_attempt(&ev, &answer, at, number, t->batch);
	t->delivered += step_r->what == COURSE_NEXT;
	t->failed += step_r->what != COURSE_NEXT;
	if (step_r->what == COURSE_ASIDE)
		metric_add(&metric_aside, 0, 1);
	if (step_r->what == COURSE_DISABLE) {
		char since[CLOCK_RFC3339_SIZE];
		clock_rfc3339(state->failing_since_us, since);
		t->disable_why = step_r->gone ? "the receiver answered 410 Gone"
					      : arena_printf(t->arena, "nothing arrived since %s", since);
		metric_add(&metric_disabled, 0, 1);
	}
	return true;
}

/* After each attempt; false: lost. */
static bool
keep(struct turn *t)
{
	struct err e;
	if (t->n_log < BATCH && clock_mono_ms() - t->committed_ms < BATCH_MS)
		return true;
	return !lost(t, commit(t, NULL, &e), &e);
}

static enum rc
feed(struct turn *t, uint64_t after, uint32_t limit, struct audit_events *out_r)
{
	struct err e;
	struct audit_call call = {
	    .bus = t->svc->bus,
	    .tenant = &t->claim->tenant,
	    .traceparent = t->traceparent,
	    .deadline_ms = clock_mono_ms() + FEED_MS,
	};
	struct audit_events_question q = {.after = after, .limit = limit, .types = t->w.types, .n_types = t->w.n_types};
	enum rc rc = audit_feed(&call, &q, t->batch, out_r, &e);
	if (rc != RC_OK)
		log_warn("events could not be had", LOG_TENANT(&t->claim->tenant), LOG_RC(rc), LOG_ERR(&e));
	return rc;
}

/* --- the events from where it stands ------------------------------------------------------------------------- */
static enum go
live_batch(struct turn *t, const struct audit_events *events)
{
	for (size_t i = 0; i < events->n; i++) {
		const struct audit_event *ev = &events->v[i];
		struct course_step step;
		if (time_is_over(t) || !attempt(t, ev, &t->live, &step))
			return GO_ON;
		t->last_error = step.what == COURSE_NEXT ? "" : arena_strdup(t->arena, t->log[t->n_log - 1].error);
		t->next_at_us = step.what == COURSE_NEXT ? DB_TIME_NULL : ev->at_us;
		if (step.what == COURSE_DISABLE)
			return GO_OFF;
		t->due_us = step.due_us;
		if (step.what == COURSE_WAIT)
			return GO_WAIT;
		t->position = (int64_t)ev->position + 1;
		if (!keep(t))
			return GO_LOST;
	}
	t->position = (int64_t)events->next;
	return events->next >= events->size ? GO_IDLE : GO_ON;
}

static enum go
live(struct turn *t)
{
	while (!time_is_over(t)) {
		struct audit_events events;
		struct err e;
		/* What the log of attempts points at goes with the batch. */
		if (t->n_log > 0 && lost(t, commit(t, NULL, &e), &e))
			return GO_LOST;
		arena_reset(t->batch);
		if (feed(t, (uint64_t)t->position, FEED, &events) != RC_OK) {
			t->due_us = clock_wall_us() + NO_FEED_US;
			return GO_WAIT;
		}
		enum go go = live_batch(t, &events);
		if (go != GO_ON)
			return go;
	}
	return GO_ON;
}

/* --- what is to be sent again -------------------------------------------------------------------------------- */
static enum go
replay_batch(struct turn *t, const struct audit_events *events)
{
	struct store_replay *r = &t->replay;
	for (size_t i = 0; i < events->n && events->v[i].position < (uint64_t)r->until; i++) {
		/* Its failures are its own: they neither hold up what is new nor disable the webhook. */
		struct course_state state = {.attempts = (uint32_t)r->attempts};
		struct course_step step;
		if (time_is_over(t) || !attempt(t, &events->v[i], &state, &step))
			return GO_ON;
		t->replay_touched = true;
		r->attempts = (int32_t)state.attempts;
		if (step.what == COURSE_DISABLE)
			return GO_OFF;
		if (step.what == COURSE_WAIT) {
			r->due_us = step.due_us;
			return GO_WAIT;
		}
		r->next = (int64_t)events->v[i].position + 1;
		if (!keep(t))
			return GO_LOST;
	}
	t->replay_touched = true;
	r->next = events->next < (uint64_t)r->until && events->next < events->size ? (int64_t)events->next : r->until;
	return r->next >= r->until ? GO_IDLE : GO_ON;
}

static enum go
replay(struct turn *t)
{
	t->until_ms = clock_mono_ms() + TURN_MS;
	while (!time_is_over(t)) {
		struct audit_events events;
		struct err e;
		if (t->n_log > 0 && lost(t, commit(t, NULL, &e), &e))
			return GO_LOST;
		arena_reset(t->batch);
		if (feed(t, (uint64_t)t->replay.next, FEED, &events) != RC_OK)
			return GO_ON;
		enum go go = replay_batch(t, &events);
		if (go != GO_ON)
			return go;
	}
	return GO_ON;
}

/* --- the turn ------------------------------------------------------------------------------------------------ */
static const char *
kind_of(struct turn *t, enum go go)
{
	int64_t now = clock_wall_us(), idle = now + notify_config.idle_ms * (1000 + chance() / 10);
	bool has_replay = !uuid_is_nil(&t->replay.id);
	enum go again = GO_IDLE;
	if (go == GO_OFF)
		return "off";
	if (go == GO_WAIT)
		return t->live.failing_since_us != 0 ? "retry" : "ready";
	if (has_replay && t->replay.due_us <= now) {
		again = replay(t);
		if (again == GO_OFF || again == GO_LOST)
			return again == GO_OFF ? "off" : NULL;
		t->due_us = clock_wall_us();
		return "ready"; /* there may be other replays, or more of this one */
	}
	t->due_us = go == GO_ON ? now : idle;
	if (go == GO_ON)
		return "ready";
	if (has_replay && t->replay.due_us < t->due_us)
		t->due_us = t->replay.due_us;
	return "idle";
}

static void
give_back(struct turn *t, int64_t wait_us)
{
	struct err e;
	if (store_give_back(t->svc->db, t->claim, clock_wall_us() + wait_us, clock_mono_ms() + DB_MS, &e) != RC_OK)
		log_warn("a lease could not be given back", LOG_ERR(&e)); /* it ends by itself */
}

static void
run(struct turn *t)
{
	const struct notify_config *cfg = &notify_config;
	struct post_options options = {&cfg->guard, cfg->ca, cfg->connect_ms, cfg->timeout_ms};
	struct err e;
	t->position = t->w.position;
	t->live = (struct course_state){
	    .attempts = (uint32_t)t->w.attempts,
	    .failing_since_us = t->w.failing_since_us != DB_TIME_NULL ? t->w.failing_since_us : 0,
	};
	t->last_error = t->w.last_error;
	t->next_at_us = DB_TIME_NULL;
	t->poster = poster_new(&options);
	t->committed_ms = clock_mono_ms();
	t->until_ms = t->committed_ms + TURN_MS;
	enum go go = live(t);
	const char *kind = go != GO_LOST ? kind_of(t, go) : NULL;
	if (kind != NULL)
		(void)lost(t, commit(t, kind, &e), &e);
	poster_free(&t->poster);
}

void
turn_run(struct svc *s, const struct store_claim *c, int64_t lease_ms)
{
	struct turn t = {.svc = s, .claim = c, .lease_ms = lease_ms, .arena = arena_new(), .batch = arena_new()};
	struct err e;
	traceparent_new(t.traceparent);
	enum rc rc = store_turn_load(s->db, c, t.arena, &t.w, &t.replay, clock_mono_ms() + DB_MS, &e);
	if (rc == RC_OK && !t.w.enabled)
		give_back(&t, 0);
	else if (rc == RC_OK && (rc = send_secrets_open(s->content, &c->tenant, &t.w, &t.secrets, &e)) == RC_OK) {
		run(&t);
		send_secrets_done(&t.secrets);
	} else if (rc != RC_NOT_FOUND) {
		log_error("a webhook cannot be served", LOG_TENANT(&c->tenant), LOG_UUID("sekisho.webhook", &c->id),
			  LOG_RC(rc), LOG_ERR(&e));
		give_back(&t, NO_SECRET_US);
	}
	arena_free(&t.arena);
	arena_free(&t.batch);
}
