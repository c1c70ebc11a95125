/* SPDX-License-Identifier: MIT
 *
 * What is known about tenants, the sink, and a thread that empties it of what is old. The sink answers as a server with
 * every extension would; what it took is committed before it says so.
 */
#include "sandbox.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <uthash.h>

#include "client/auth_client.h"
#include "core/clock.h"
#include "core/log.h"
#include "lease.h"
#include "metrics.h"
#include "sender.h"

#define KNOWN_MAX   65536
#define ASK_MS	    5000
#define DB_MS	    10000
#define SLOW_MS	    5000
#define SLOW_MAX    4 /* that wait at the same time: no more senders than that are lost to a sandbox */
#define PURGE_MS    600000
#define PURGE_LIMIT 500

struct known {
	struct uuid tenant;
	bool sandbox;
	UT_hash_handle hh;
};

struct sandbox {
	struct delivery *d;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	bool stopping;
	int slow;
	struct known *known;
	pthread_t thread;
};

/* --- who is one -------------------------------------------------------------------------------------------- */
static bool
recall(struct sandbox *s, const struct uuid *tenant, bool *is_r)
{
	struct known *k;
	pthread_mutex_lock(&s->mutex);
	HASH_FIND(hh, s->known, tenant, sizeof(*tenant), k);
	if (k != NULL)
		*is_r = k->sandbox;
	pthread_mutex_unlock(&s->mutex);
	return k != NULL;
}

static void
forget_all(struct sandbox *s)
{
	struct known *k, *next;
	HASH_ITER(hh, s->known, k, next)
	{
		HASH_DEL(s->known, k);
		free(k);
	}
}

static void
remember(struct sandbox *s, const struct uuid *tenant, bool is)
{
	struct known *k;
	pthread_mutex_lock(&s->mutex);
	HASH_FIND(hh, s->known, tenant, sizeof(*tenant), k);
	if (k == NULL) {
		if (HASH_COUNT(s->known) >= KNOWN_MAX)
			forget_all(s); /* it is asked of the database again */
		k = calloc(1, sizeof(*k));
		if (k == NULL)
			abort();
		k->tenant = *tenant;
		k->sandbox = is;
		HASH_ADD(hh, s->known, tenant, sizeof(k->tenant), k);
	}
	pthread_mutex_unlock(&s->mutex);
}

/* From auth into our own table; what is in force is what the table says after the commit. */
static enum rc
learn(struct sandbox *s, const struct uuid *tenant, bool *is_r, struct err *e)
{
	struct arena *a = arena_new();
	const struct auth_call c = {.bus = s->d->svc->bus, .deadline_ms = clock_mono_ms() + ASK_MS};
	struct auth_directory dir = {0};
	struct db_tx *tx = NULL;
	enum rc rc = auth_directory(&c, tenant, a, &dir, e);
	if (rc == RC_OK)
		rc = db_begin(s->d->svc->db, NULL, clock_mono_ms() + DB_MS, &tx, e);
	if (rc == RC_OK)
		rc = store_kind_add(tx, tenant, dir.sandbox, is_r, e);
	if (rc == RC_OK)
		rc = db_commit(&tx, e);
	db_end(&tx);
	arena_free(&a);
	return rc;
}

enum rc
sandbox_is(struct sandbox *s, const struct uuid *tenant, bool *is_r, struct err *e)
{
	struct db_tx *tx = NULL;
	bool found = false, is = false;
	if (recall(s, tenant, is_r))
		return RC_OK;
	enum rc rc = db_begin(s->d->svc->db, NULL, clock_mono_ms() + DB_MS, &tx, e);
	if (rc == RC_OK)
		rc = store_kind(tx, tenant, &found, &is, e);
	db_end(&tx);
	if (rc == RC_OK && !found)
		rc = learn(s, tenant, &is, e);
	if (rc != RC_OK)
		return rc;
	remember(s, tenant, is);
	*is_r = is;
	return RC_OK;
}

/* --- the sink ---------------------------------------------------------------------------------------------- */
enum sandbox_magic
sandbox_magic(struct bytes address)
{
	static const struct {
		const char *word;
		enum sandbox_magic magic;
	} words[] = {
	    {"bounce", SANDBOX_BOUNCE}, {"defer", SANDBOX_DEFER}, {"slow", SANDBOX_SLOW}, {"lost", SANDBOX_LOSE}};
	size_t n = 0;
	while (n < address.n && address.p[n] != '@' && address.p[n] != '+')
		n++;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (bytes_ieq(bytes_of(address.p, n), bytes_str(words[i].word)))
			return words[i].magic;
	return SANDBOX_TAKE;
}

static void
settle(struct job_leg *l, enum leg_event event, const char *reply)
{
	l->event = event;
	snprintf(l->reply, sizeof(l->reply), "%s", reply);
}

/* False: too many wait already. */
static bool
wait_slowly(struct sandbox *s)
{
	int64_t end = clock_mono_ms() + SLOW_MS;
	struct timespec until = {end / 1000, (end % 1000) * 1000000};
	pthread_mutex_lock(&s->mutex);
	bool may = s->slow < SLOW_MAX;
	if (may) {
		s->slow++;
		while (!s->stopping && clock_mono_ms() < end)
			pthread_cond_timedwait(&s->wake, &s->mutex, &until);
		s->slow--;
	}
	pthread_mutex_unlock(&s->mutex);
	return may;
}

/* RCPT: what is refused at once. The number of recipients that are left. */
static size_t
answer_recipients(struct sandbox *s, struct job *j)
{
	size_t left = 0;
	bool slow = false, waited = false;
	for (size_t i = 0; i < j->n_legs; i++) {
		struct job_leg *l = &j->legs[i];
		switch (sandbox_magic(l->leg.address)) {
		case SANDBOX_BOUNCE:
			settle(l, LEG_ON_BOUNCE, "550 5.1.1 the sandbox refuses bounce@");
			break;
		case SANDBOX_DEFER:
			settle(l, LEG_ON_DEFER, "451 4.2.1 the sandbox defers defer@");
			break;
		case SANDBOX_SLOW:
			waited = slow ? waited : wait_slowly(s);
			slow = true;
			if (!waited)
				settle(l, LEG_ON_DEFER, "451 4.3.2 too many slow recipients at once");
			left += waited;
			break;
		default:
			left++;
			break;
		}
	}
	return left;
}

static struct bytes
whole(const struct composed *c)
{
	struct buf b;
	buf_init(&b, 0);
	(void)buf_reserve(&b, c->size);
	for (size_t i = 0; i < c->n_pieces; i++)
		buf_add_bytes(&b, c->pieces[i]);
	if (!buf_ok(&b))
		abort();
	struct bytes out = arena_bytes(c->arena, buf_bytes(&b));
	buf_done(&b);
	return out;
}

/* The recipients that are not settled, as one transaction. */
static enum rc
keep(struct sandbox *s, const struct job *j, struct composed *c, struct err *e)
{
	struct bytes *to = arena_new_array(c->arena, struct bytes, j->n_legs);
	int32_t *numbers = arena_new_array(c->arena, int32_t, j->n_legs);
	struct store_sandbox_mail m = {
	    .at_us = clock_wall_us(),
	    .message = j->message->id,
	    .mail_from = j->message->mail_from,
	    .size = c->size,
	};
	size_t n = 0;
	for (size_t i = 0; i < j->n_legs; i++) {
		if (j->legs[i].event != LEG_EVENTS)
			continue;
		to[n] = j->legs[i].leg.address;
		numbers[n++] = j->legs[i].leg.number;
	}
	m.id = uuid_v7(m.at_us);
	const struct content_item item = {CONTENT_SANDBOX, whole(c)};
	struct content_sealed *sealed = NULL;
	struct db_tx *tx = NULL;
	bool fresh = false;
	enum rc rc = content_seal(s->d->svc->content, &j->tenant, &m.id, &item, 1, &sealed, e);
	if (rc == RC_OK)
		rc = db_begin(s->d->svc->db, &j->tenant, clock_mono_ms() + DB_MS, &tx, e);
	if (rc == RC_OK)
		rc = store_sandbox_add(tx, &j->tenant, &m, numbers, to, n, &fresh, e);
	if (rc == RC_OK && fresh)
		rc = content_put_sealed(tx, sealed, e);
	if (rc == RC_OK)
		rc = db_commit(&tx, e);
	db_end(&tx);
	content_sealed_free(&sealed);
	if (rc == RC_OK)
		metric_add(&metric_sandboxed, 0, 1);
	return rc;
}

void
sandbox_take(struct sandbox *s, struct job *j, struct composed *c)
{
	struct err err = {.text = ""};
	snprintf(j->remote, sizeof(j->remote), "sandbox");
	snprintf(j->tls, sizeof(j->tls), "none");
	enum rc rc = compose_build(j->message, c, false, &err);
	if (rc == RC_OK)
		snprintf(j->signers, sizeof(j->signers), "%s", c->signers);
	size_t left = rc == RC_OK ? answer_recipients(s, j) : 0;
	if (rc == RC_OK && left > 0)
		rc = lease_keep(s->d, j, &err); /* as before any final dot */
	if (rc == RC_OK && left > 0)
		rc = keep(s, j, c, &err);
	if (rc != RC_OK) {
		sender_settle(j, LEG_ON_DEFER, "4.3.0", err.text);
		return;
	}
	for (size_t i = 0; i < j->n_legs; i++) {
		struct job_leg *l = &j->legs[i];
		if (l->event != LEG_EVENTS)
			continue;
		/* Taken, and the answer is lost: once, so that what follows can be seen to its end. */
		if (sandbox_magic(l->leg.address) == SANDBOX_LOSE && l->leg.attempts == 1)
			settle(l, LEG_ON_LOSE, "the sandbox lost its answer to lost@");
		else
			settle(l, LEG_ON_ACCEPT, "250 2.0.0 taken by the sandbox");
	}
}

/* --- emptying ---------------------------------------------------------------------------------------------- */
/* *more_r: there is more that is old. */
static enum rc
purge_some(struct sandbox *s, const struct uuid *tenant, int64_t before_us, bool *more_r, struct err *e)
{
	struct arena *a = arena_new();
	struct db_tx *tx = NULL;
	struct uuid *ids = NULL;
	size_t n = 0;
	enum rc rc = db_begin(s->d->svc->db, tenant, clock_mono_ms() + DB_MS, &tx, e);
	if (rc == RC_OK)
		rc = store_sandbox_purge(tx, tenant, before_us, PURGE_LIMIT, a, &ids, &n, e);
	if (rc == RC_OK)
		rc = content_drop(tx, tenant, ids, n, e);
	if (rc == RC_OK)
		rc = db_commit(&tx, e);
	db_end(&tx);
	arena_free(&a);
	*more_r = rc == RC_OK && n == PURGE_LIMIT;
	return rc;
}

static bool
stopping(struct sandbox *s)
{
	pthread_mutex_lock(&s->mutex);
	bool is = s->stopping;
	pthread_mutex_unlock(&s->mutex);
	return is;
}

static void
purge(struct sandbox *s)
{
	struct arena *a = arena_new();
	struct uuid *v = NULL;
	struct err err;
	size_t n = 0;
	int64_t before = clock_wall_us() - delivery_config.sandbox_keep_ms * 1000;
	enum rc rc = store_sandboxes(s->d->svc->db, clock_mono_ms() + DB_MS, a, &v, &n, &err);
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		for (bool more = true; rc == RC_OK && more && !stopping(s);)
			rc = purge_some(s, &v[i], before, &more, &err);
	if (rc != RC_OK)
		log_warn("the sandbox is not emptied", LOG_RC(rc), LOG_ERR(&err));
	arena_free(&a);
}

static void *
run(void *ctx)
{
	struct sandbox *s = ctx;
	int64_t next = clock_mono_ms() + PURGE_MS;
	pthread_mutex_lock(&s->mutex);
	while (!s->stopping) {
		struct timespec until = {next / 1000, (next % 1000) * 1000000};
		pthread_cond_timedwait(&s->wake, &s->mutex, &until);
		if (s->stopping || clock_mono_ms() < next)
			continue;
		pthread_mutex_unlock(&s->mutex);
		purge(s);
		next = clock_mono_ms() + PURGE_MS;
		pthread_mutex_lock(&s->mutex);
	}
	pthread_mutex_unlock(&s->mutex);
	return NULL;
}

struct sandbox *
sandbox_start(struct delivery *d)
{
	struct sandbox *s = calloc(1, sizeof(*s));
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
sandbox_wake(struct sandbox *s)
{
	if (s == NULL)
		return;
	pthread_mutex_lock(&s->mutex);
	s->stopping = true;
	pthread_cond_broadcast(&s->wake);
	pthread_mutex_unlock(&s->mutex);
}

void
sandbox_stop(struct sandbox **sp)
{
	struct sandbox *s = *sp;
	if (s == NULL)
		return;
	sandbox_wake(s);
	pthread_join(s->thread, NULL);
	forget_all(s);
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->mutex);
	free(s);
	*sp = NULL;
}
