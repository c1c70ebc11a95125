/* SPDX-License-Identifier: MIT
 *
 * Two threads take everything that waits, sort it by tenant, and write one transaction per tenant. While one waits for
 * the flush the other gathers.
 */
#include "results.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "bounce.h"
#include "change.h"
#include "core/clock.h"
#include "core/log.h"
#include "metrics.h"
#include "schedule.h"

#define THREADS	     2
#define BATCH_LEGS   256
#define GATHER_BELOW 64
#define GATHER_MS    25
#define COMMIT_MS    20000
#define BACKOFF_MS   250
#define TRIES	     3

struct results {
	struct delivery *d;
	pthread_mutex_t mutex;
	pthread_cond_t work;
	struct job *head, **tail;
	size_t n_legs;
	bool stopping;
	_Atomic int64_t give_up_ms; /* 0: never */
	pthread_t threads[THREADS];
};

/* --- from outcome to change -------------------------------------------------------------------------------- */
static void
add_text(struct buf *b, const char *key, const char *value)
{
	if (value[0] == '\0')
		return;
	buf_addf(b, "%s\"%s\":", b->n > 1 ? "," : "", key);
	buf_add_json(b, bytes_str(value));
}

/* The codes are what events show of the reply (proto/actions.tsv): its text is the other server's and stays here. */
static struct bytes
detail_of(const struct job *j, const struct job_leg *l, const struct change *c, struct arena *a)
{
	char status[CHANGE_STATUS_SIZE], next[CLOCK_RFC3339_SIZE];
	struct buf b;
	int code;
	buf_init(&b, 0);
	change_codes(bytes_str(l->reply), l->status, &code, status);
	buf_add_str(&b, "{");
	if (code != 0)
		buf_addf(&b, "\"code\":%d", code);
	add_text(&b, "status", status);
	add_text(&b, "reply", l->reply);
	add_text(&b, "remote", j->remote);
	add_text(&b, "tls", j->tls);
	if (l->event == LEG_ON_ACCEPT)
		add_text(&b, "dkim", j->signers);
	if (l->event == LEG_ON_DEFER) {
		clock_rfc3339(c->row.now.due_us, next);
		add_text(&b, "next", next);
	}
	if (l->leg.possible_duplicate)
		buf_addf(&b, "%s\"possible_duplicate\":true", b.n > 1 ? "," : "");
	buf_add_str(&b, "}");
	struct bytes out = arena_bytes(a, buf_bytes(&b));
	buf_done(&b);
	return out;
}

static void
deferred(const struct delivery_config *cfg, const struct job *j, int64_t now_us, struct change *c)
{
	struct store_leg *now = &c->row.now;
	int64_t since = store_sendable_us(j->message, now), end = since + cfg->expiry_ms * 1000;
	int64_t next = delivery_next_attempt(cfg, now->attempts, now_us);
	/* The last attempt is at the end of the time allowed, not beyond it; after it the leg expires at once. */
	now->due_us = next <= end ? next : end > now_us ? end : now_us + 1;
	c->row.due_us = now->due_us;
	c->action = "recipient.deferred";
	if (!now->delay_told && now_us - since > cfg->delay_ms * 1000) {
		now->delay_told = true;
		c->report = REPORT_DELAYED;
	}
}

static void
uncertain(const struct delivery_config *cfg, const struct job *j, int64_t now_us, struct change *c)
{
	struct store_leg *now = &c->row.now;
	c->action = "recipient.uncertain";
	if (j->ask_uncertain) {
		c->row.kind = STORE_DUE_HOLD;
		now->due_us = DB_TIME_NULL;
		return;
	}
	/* The first time at once; a receiver that does it again and again is asked ever less often. */
	now->due_us = now->attempts <= 1 ? now_us : delivery_next_attempt(cfg, now->attempts - 1, now_us);
	c->row.due_us = now->due_us;
}

void
results_change(const struct delivery_config *cfg, const struct job *j, const struct job_leg *l, int64_t now_us,
	       struct arena *a, struct change *c)
{
	change_init(c, j->message, &l->leg);
	if (!change_step(c, l->event, LEG_BY_WORKER, now_us))
		abort(); /* senders know the events of the table only */
	struct store_leg *now = &c->row.now;
	now->reply = bytes_str(l->reply);
	now->remote = bytes_str(j->remote);
	now->tls = j->tls;
	c->status = l->status;
	switch (l->event) {
	case LEG_ON_ACCEPT:
		c->action = "recipient.delivered";
		if (!l->dsn_passed_on)
			c->report = REPORT_RELAYED;
		break;
	case LEG_ON_BOUNCE:
		c->action = "recipient.bounced";
		c->report = REPORT_FAILED;
		break;
	case LEG_ON_DEFER:
		deferred(cfg, j, now_us, c);
		break;
	case LEG_ON_LOSE:
		uncertain(cfg, j, now_us, c);
		break;
	case LEG_ON_PARK:
		c->action = "recipient.held";
		c->row.kind = STORE_DUE_HOLD;
		now->due_us = c->row.due_us = now_us + SCHEDULE_PARK_US;
		now->attempts--;
		break;
	default: /* given back: as if it had never been claimed */
		now->attempts--;
		now->reply = l->leg.reply;
		now->remote = l->leg.remote;
		now->tls = l->leg.tls;
		c->row.due_us = now_us;
		break;
	}
	c->detail = detail_of(j, l, c, a);
}

/* --- committing -------------------------------------------------------------------------------------------- */
static int
by_tenant(const void *a, const void *b)
{
	const struct job *x = *(struct job *const *)a, *y = *(struct job *const *)b;
	return memcmp(x->tenant.b, y->tenant.b, sizeof(x->tenant.b));
}

/* Our lease ended and the leg was set aside for somebody to ask about: the receiver did take it. */
static enum rc
late_accepts(struct db_tx *tx, struct delivery *d, const struct uuid *tenant, struct change *v, size_t n,
	     int64_t now_us, struct arena *a, struct err *e)
{
	struct change *late = arena_new_array(a, struct change, n);
	size_t k = 0;
	for (size_t i = 0; i < n; i++) {
		if (v[i].row.done || v[i].row.now.state != LEG_DELIVERED)
			continue;
		struct store_leg *was = arena_new_array(a, struct store_leg, 1);
		*was = *v[i].row.was;
		was->state = LEG_UNCERTAIN;
		was->version++;
		late[k] = v[i];
		late[k].row.was = was;
		late[k++].row.now.version++;
	}
	if (k == 0)
		return RC_OK;
	return changes_apply(tx, d->svc->content, tenant, NULL, late, k, now_us, e);
}

static enum rc
commit_jobs(struct delivery *d, struct job **jobs, size_t n, bool reports, struct err *e)
{
	struct arena *a = arena_new();
	const struct uuid *tenant = &jobs[0]->tenant;
	int64_t now = clock_wall_us();
	size_t legs = 0, k = 0, missed = 0;
	for (size_t i = 0; i < n; i++)
		legs += jobs[i]->n_legs;
	struct change *v = arena_new_array(a, struct change, legs);
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < jobs[i]->n_legs; j++)
			results_change(&delivery_config, jobs[i], &jobs[i]->legs[j], now, a, &v[k++]);
	for (size_t i = 0; i < k && !reports; i++)
		v[i].report = REPORT_NONE;
	struct db_tx *tx = NULL;
	enum rc rc = bounces_prepare(d->svc->content, tenant, v, k, e);
	if (rc == RC_OK)
		rc = db_begin(d->svc->db, tenant, clock_mono_ms() + COMMIT_MS, &tx, e);
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		if (jobs[i]->unknown)
			rc = store_wait(tx, tenant, &jobs[i]->message->id, e);
	if (rc == RC_OK)
		rc = changes_apply(tx, d->svc->content, tenant, NULL, v, k, now, e);
	for (size_t i = 0; i < k; i++)
		missed += !v[i].row.done;
	if (rc == RC_OK && missed > 0)
		rc = late_accepts(tx, d, tenant, v, k, now, a, e);
	if (rc == RC_OK)
		rc = db_commit(&tx, e);
	db_end(&tx);
	arena_free(&a);
	if (rc == RC_OK) {
		metric_add(&metric_lost_leases, 0, (int64_t)missed);
		for (size_t i = 0; i < n; i++)
			for (size_t j = 0; j < jobs[i]->n_legs; j++)
				metric_add(&metric_results, (int)jobs[i]->legs[j].event, 1);
	}
	return rc;
}

static bool
given_up(struct results *r)
{
	int64_t at = atomic_load(&r->give_up_ms);
	return at != 0 && clock_mono_ms() > at;
}

/* One job whose result cannot be written. Its state matters more than the report on it; and if it is the database that
 * does not want it now, the others go first: it joins the queue again, and *job becomes NULL. */
static void
settle_one(struct results *r, struct job **job, enum rc rc, struct err *e)
{
	if (rc_is_transient(rc) && !given_up(r)) {
		results_push_take(r, *job);
		*job = NULL;
		return;
	}
	if (!rc_is_transient(rc)) {
		log_error("result cannot be recorded with its report", LOG_MESSAGE(&(*job)->message->id),
			  LOG_TENANT(&(*job)->tenant), LOG_RC(rc), LOG_ERR(e));
		rc = commit_jobs(r->d, job, 1, false, e);
	}
	if (rc != RC_OK)
		log_error("result not recorded, the lease will end", LOG_MESSAGE(&(*job)->message->id),
			  LOG_TENANT(&(*job)->tenant), LOG_RC(rc), LOG_ERR(e));
}

/* All of one tenant. Tried until it is certain; a batch that cannot be written is taken apart, so that what cannot be
 * written in it delays nothing else. */
static void
settle(struct results *r, struct job **jobs, size_t n)
{
	struct err err;
	enum rc rc;
	for (int tries = 1; (rc = commit_jobs(r->d, jobs, n, true, &err)) != RC_OK; tries++) {
		if (!rc_is_transient(rc) || given_up(r) || tries == TRIES)
			break;
		log_warn("results wait for the database", LOG_RC(rc), LOG_ERR(&err));
		nanosleep(&(struct timespec){0, BACKOFF_MS * 1000000L}, NULL);
	}
	if (rc != RC_OK && n == 1)
		settle_one(r, jobs, rc, &err);
	if (rc == RC_OK || n == 1)
		return;
	settle(r, jobs, n / 2);
	settle(r, jobs + n / 2, n - n / 2);
}

static void
settle_list(struct results *r, struct job *list)
{
	size_t n = 0, k = 0;
	for (struct job *j = list; j != NULL; j = j->next)
		n++;
	struct job **v = calloc(n, sizeof(*v)); /* a list is never empty */
	if (v == NULL)
		abort();
	for (struct job *j = list; j != NULL; j = j->next)
		v[k++] = j;
	qsort(v, n, sizeof(*v), by_tenant);
	for (size_t from = 0, to; from < n; from = to) {
		size_t legs = 0;
		for (to = from; to < n && uuid_eq(&v[to]->tenant, &v[from]->tenant) && legs < BATCH_LEGS; to++)
			legs += v[to]->n_legs;
		settle(r, v + from, to - from);
	}
	bool again = false;
	for (size_t i = 0; i < n; i++) {
		if (v[i] == NULL) /* in the queue again */
			continue;
		for (size_t j = 0; j < v[i]->n_legs; j++)
			again |= v[i]->legs[j].event != LEG_ON_ACCEPT;
		batch_unref(v[i]->batch);
	}
	free(v);
	if (again)
		scheduler_wake(r->d->scheduler);
}

static void *
run(void *ctx)
{
	struct results *r = ctx;
	pthread_mutex_lock(&r->mutex);
	for (;;) {
		while (r->head == NULL && !r->stopping)
			pthread_cond_wait(&r->work, &r->mutex);
		if (r->head == NULL)
			break;
		if (r->n_legs < GATHER_BELOW && !r->stopping) {
			pthread_mutex_unlock(&r->mutex);
			nanosleep(&(struct timespec){0, GATHER_MS * 1000000L}, NULL);
			pthread_mutex_lock(&r->mutex);
			if (r->head == NULL)
				continue; /* the other thread was faster */
		}
		struct job *list = r->head;
		r->head = NULL;
		r->tail = &r->head;
		r->n_legs = 0;
		pthread_mutex_unlock(&r->mutex);
		settle_list(r, list);
		pthread_mutex_lock(&r->mutex);
	}
	pthread_mutex_unlock(&r->mutex);
	return NULL;
}

struct results *
results_start(struct delivery *d)
{
	struct results *r = calloc(1, sizeof(*r));
	if (r == NULL)
		abort();
	r->d = d;
	r->tail = &r->head;
	pthread_mutex_init(&r->mutex, NULL);
	pthread_cond_init(&r->work, NULL);
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&r->threads[i], NULL, run, r) != 0)
			abort();
	return r;
}

void
results_push_take(struct results *r, struct job *j)
{
	pthread_mutex_lock(&r->mutex);
	j->next = NULL;
	*r->tail = j;
	r->tail = &j->next;
	r->n_legs += j->n_legs;
	pthread_cond_signal(&r->work);
	pthread_mutex_unlock(&r->mutex);
}

void
results_stop(struct results **rp, int64_t deadline_ms)
{
	struct results *r = *rp;
	if (r == NULL)
		return;
	atomic_store(&r->give_up_ms, deadline_ms);
	pthread_mutex_lock(&r->mutex);
	r->stopping = true;
	pthread_cond_broadcast(&r->work);
	pthread_mutex_unlock(&r->mutex);
	for (int i = 0; i < THREADS; i++)
		pthread_join(r->threads[i], NULL);
	pthread_mutex_destroy(&r->mutex);
	pthread_cond_destroy(&r->work);
	free(r);
	*rp = NULL;
}
