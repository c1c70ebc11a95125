/* SPDX-License-Identifier: MIT
 *
 * One job from content to outcome. A connection that was open before may have died unseen: a job that fails on it
 * before the final dot is tried once more on a new one.
 */
#include "sender.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <uthash.h>

#include "compose.h"
#include "core/clock.h"
#include "core/log.h"
#include "lease.h"
#include "metrics.h"
#include "results.h"
#include "route.h"
#include "sandbox.h"
#include "session.h"

#define HOPS_MAX 50
#define IDLE_MAX 256
/* A destination that took that long to fail is not tried again for a while: it would hold one sender after the other.
 */
#define HANGS_MS      2000
#define SHUN_MS	      30000
#define SHUN_MAX      4096
#define LOAD_MS	      30000 /* longer than we would be seen alive without a database */
#define LOAD_AGAIN_MS 250

struct idle {
	struct session *session;
	int64_t since_ms;
	struct idle *next;
};

struct shunned {
	char destination[400], reason[256];
	int64_t until_ms;
	UT_hash_handle hh;
};

struct senders {
	struct delivery *d;
	pthread_t *threads;
	int64_t n;
	_Atomic bool stopping;
	pthread_mutex_t mutex;
	struct idle *idle; /* newest first */
	size_t n_idle;
	struct shunned *shunned;
};

/* --- connections ------------------------------------------------------------------------------------------- */
static struct session *
idle_take(struct senders *s, const char *destination)
{
	struct session *found = NULL;
	pthread_mutex_lock(&s->mutex);
	for (struct idle **at = &s->idle; *at != NULL; at = &(*at)->next) {
		struct idle *x = *at;
		if (strcmp(session_destination(x->session), destination) != 0)
			continue;
		found = x->session;
		*at = x->next;
		s->n_idle--;
		free(x);
		break;
	}
	pthread_mutex_unlock(&s->mutex);
	return found;
}

static void
idle_put(struct senders *s, struct session *session)
{
	if (!session_usable(session)) {
		session_close(&session);
		return;
	}
	struct idle *x = calloc(1, sizeof(*x));
	if (x == NULL)
		abort();
	x->session = session;
	x->since_ms = clock_mono_ms();
	pthread_mutex_lock(&s->mutex);
	bool full = s->n_idle >= IDLE_MAX;
	if (!full) {
		x->next = s->idle;
		s->idle = x;
		s->n_idle++;
	}
	pthread_mutex_unlock(&s->mutex);
	if (full) {
		session_close(&session);
		free(x);
	}
}

static void
close_older(struct senders *s, int64_t than_ms)
{
	struct idle *old = NULL;
	pthread_mutex_lock(&s->mutex);
	for (struct idle **at = &s->idle; *at != NULL;) {
		struct idle *x = *at;
		if (x->since_ms > than_ms) {
			at = &x->next;
			continue;
		}
		*at = x->next;
		s->n_idle--;
		x->next = old;
		old = x;
	}
	pthread_mutex_unlock(&s->mutex);
	while (old != NULL) {
		struct idle *x = old;
		old = x->next;
		session_close(&x->session);
		free(x);
	}
}

void
senders_reap(struct senders *s)
{
	close_older(s, clock_mono_ms() - delivery_config.idle_ms);
}

/* --- destinations that hang -------------------------------------------------------------------------------- */
static void
shun(struct senders *s, const char *destination, const char *reason)
{
	struct shunned *x;
	pthread_mutex_lock(&s->mutex);
	HASH_FIND_STR(s->shunned, destination, x);
	if (x == NULL && HASH_COUNT(s->shunned) < SHUN_MAX) {
		x = calloc(1, sizeof(*x));
		if (x == NULL)
			abort();
		snprintf(x->destination, sizeof(x->destination), "%s", destination);
		HASH_ADD_STR(s->shunned, destination, x);
	}
	if (x != NULL) {
		snprintf(x->reason, sizeof(x->reason), "%s", reason);
		x->until_ms = clock_mono_ms() + SHUN_MS;
	}
	pthread_mutex_unlock(&s->mutex);
}

static bool
is_shunned(struct senders *s, const char *destination, char reason[256])
{
	struct shunned *x;
	bool shunned = false;
	pthread_mutex_lock(&s->mutex);
	HASH_FIND_STR(s->shunned, destination, x);
	if (x != NULL && x->until_ms > clock_mono_ms()) {
		memcpy(reason, x->reason, sizeof(x->reason));
		shunned = true;
	} else if (x != NULL) {
		HASH_DEL(s->shunned, x);
		free(x);
	}
	pthread_mutex_unlock(&s->mutex);
	return shunned;
}

static void
shun_nobody(struct senders *s)
{
	struct shunned *x, *next;
	HASH_ITER(hh, s->shunned, x, next)
	{
		HASH_DEL(s->shunned, x);
		free(x);
	}
}

/* --- a job ------------------------------------------------------------------------------------------------- */
void
sender_settle(struct job *j, enum leg_event v, const char *status, const char *reason)
{
	for (size_t i = 0; i < j->n_legs; i++) {
		struct job_leg *l = &j->legs[i];
		if (l->event != LEG_EVENTS)
			continue;
		l->event = v;
		l->status = status;
		snprintf(l->reply, sizeof(l->reply), "%s%s%s", status != NULL ? status : "", status != NULL ? " " : "",
			 reason);
	}
}

static bool
unsettled(const struct job *j)
{
	for (size_t i = 0; i < j->n_legs; i++)
		if (j->legs[i].event == LEG_EVENTS)
			return true;
	return false;
}

static bool
is_ascii(struct bytes b)
{
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] >= 0x80)
			return false;
	return true;
}

static bool
needs_smtputf8(const struct job *j, const struct composed *c)
{
	if (c->facts->utf8_header || !is_ascii(j->message->mail_from))
		return true;
	for (size_t i = 0; i < j->n_legs; i++)
		if (!is_ascii(j->legs[i].leg.address))
			return true;
	return false;
}

/* Make what this next hop can take. False: it cannot, and the job is settled. */
static bool
fit(struct job *j, struct composed *c, const struct session *s)
{
	const struct smtp_capabilities *offers = session_offers(s);
	struct err err;
	if (needs_smtputf8(j, c) && !offers->smtputf8) {
		sender_settle(j, LEG_ON_BOUNCE, "5.6.7", "the next hop does not take internationalised mail");
		return false;
	}
	bool seven_bit = c->facts->eight_bit && !offers->eightbitmime;
	enum rc rc = compose_build(j->message, c, seven_bit, &err);
	if (rc == RC_DENIED) {
		sender_settle(j, LEG_ON_BOUNCE, "5.6.3",
			      "the next hop does not take 8-bit mail, and this one must not be changed");
		return false;
	}
	if (rc != RC_OK) {
		sender_settle(j, LEG_ON_DEFER, "4.3.0", err.text);
		return false;
	}
	if (offers->size_max > 0 && c->size > offers->size_max) {
		sender_settle(j, LEG_ON_BOUNCE, "5.3.4", "the message is larger than the next hop takes");
		return false;
	}
	snprintf(j->signers, sizeof(j->signers), "%s", c->signers);
	return true;
}

/* RC_RETRY: the connection is gone. */
static enum rc
send_on(struct job *j, struct composed *c, struct session *s, struct err *e)
{
	if (!fit(j, c, s))
		return RC_OK;
	struct session_message m = {
	    .pieces = c->pieces,
	    .n_pieces = c->n_pieces,
	    .size = c->size,
	    .eight_bit = c->eight_bit,
	    .smtputf8 = needs_smtputf8(j, c),
	};
	return session_send(s, j, &m, e);
}

static struct session *
open_new(struct senders *s, struct job *j)
{
	struct route_targets to;
	struct session *session = NULL;
	struct err err = {.text = ""};
	const char *status = NULL;
	int64_t began = clock_mono_ms();
	if (is_shunned(s, j->destination, err.text)) {
		sender_settle(j, LEG_ON_DEFER, "4.4.1", err.text);
		return NULL;
	}
	enum rc rc = route_targets(s->d, &j->tenant, j->destination, &to, &status, &err);
	if (rc == RC_NOT_FOUND) {
		sender_settle(j, LEG_ON_BOUNCE, status, err.text);
		return NULL;
	}
	if (rc != RC_OK) {
		sender_settle(j, LEG_ON_DEFER, "4.4.3", err.text);
		return NULL;
	}
	rc = session_open(s->d, &to, j->destination, &session, j->remote, sizeof(j->remote), &err);
	route_targets_done(&to);
	if (rc != RC_OK) {
		sender_settle(j, LEG_ON_DEFER, "4.4.1", err.text);
		if (clock_mono_ms() - began > HANGS_MS)
			shun(s, j->destination, err.text);
	}
	return session;
}

static void
transmit(struct senders *s, struct job *j, struct composed *c)
{
	struct err err = {.text = ""};
	struct session *session = idle_take(s, j->destination);
	if (session != NULL) {
		metric_add(&metric_connections, 1, 1);
		if (session_usable(session) && send_on(j, c, session, &err) == RC_OK) {
			idle_put(s, session);
			return;
		}
		session_close(&session);
		if (!unsettled(j))
			return;
	}
	session = open_new(s, j);
	if (session == NULL)
		return;
	if (send_on(j, c, session, &err) != RC_OK)
		sender_settle(j, LEG_ON_DEFER, "4.4.2", err.text);
	idle_put(s, session);
}

/* A database that is away for a moment is no reason to let the mail wait for its next attempt. RC_CONFLICT: the lease
 * went meanwhile, or we stop. */
static enum rc
load(struct senders *s, struct job *j, struct composed *c, struct err *e)
{
	int64_t end = clock_mono_ms() + LOAD_MS;
	for (;;) {
		enum rc rc = compose_load(s->d, j, c, e);
		if (rc != RC_RETRY || clock_mono_ms() > end)
			return rc;
		if (atomic_load(&s->stopping) || lease_keep(s->d, j, e) != RC_OK)
			return RC_CONFLICT;
		nanosleep(&(struct timespec){0, LOAD_AGAIN_MS * 1000000L}, NULL);
	}
}

static void
do_job(struct senders *s, struct job *j)
{
	struct composed c;
	struct err err;
	for (size_t i = 0; i < j->n_legs; i++) {
		j->legs[i].event = LEG_EVENTS;
		j->legs[i].dsn_passed_on = false;
	}
	/* Not known is no: nothing is sent for a tenant that may be a sandbox (docs/decisions/0084). */
	bool sink = false;
	if (sandbox_is(s->d->sandbox, &j->tenant, &sink, &err) != RC_OK) {
		sender_settle(j, LEG_ON_DEFER, "4.3.0", "what kind of tenant this is cannot be found out at present");
		return;
	}
	if (!sink && strncmp(j->destination, "none ", 5) == 0) {
		sender_settle(j, LEG_ON_PARK, NULL, j->destination + 5);
		return;
	}
	if (strncmp(j->destination, "bad ", 4) == 0) {
		sender_settle(j, LEG_ON_BOUNCE, "5.1.3", j->destination + 4);
		return;
	}
	/* Nothing was tried yet: as if it had never been claimed. From here on every failure counts as an attempt. */
	if (lease_keep(s->d, j, &err) != RC_OK) {
		sender_settle(j, LEG_ON_GIVE_BACK, NULL, "");
		return;
	}
	enum rc rc = load(s, j, &c, &err);
	if (rc == RC_CONFLICT) {
		sender_settle(j, LEG_ON_GIVE_BACK, NULL, "");
		return;
	}
	if (rc != RC_OK) {
		/* Never dropped for it: broken content is for people to look at, and time may bring it back. */
		if (!rc_is_transient(rc))
			log_error("content cannot be read", LOG_MESSAGE(&j->message->id), LOG_TENANT(&j->tenant),
				  LOG_RC(rc), LOG_ERR(&err));
		sender_settle(j, LEG_ON_DEFER, "4.3.0", "content cannot be read at present");
		return;
	}
	if (c.facts->received_count > HOPS_MAX)
		sender_settle(j, LEG_ON_BOUNCE, "5.4.6", "too many hops: the message goes round in circles");
	else if (sink)
		sandbox_take(s->d->sandbox, j, &c);
	else
		transmit(s, j, &c);
	compose_done(s->d, &c);
	/* A session settles every recipient it answered for; whatever it left is not taken. */
	sender_settle(j, LEG_ON_DEFER, "4.4.2", "no answer for this recipient");
}

static void *
run(void *ctx)
{
	struct senders *s = ctx;
	struct job *j;
	while ((j = lanes_take(s->d->lanes)) != NULL) {
		int64_t began = clock_wall_us();
		do_job(s, j);
		metric_observe_us(&metric_attempt_seconds, clock_wall_us() - began);
		lanes_done(s->d->lanes, j);
		results_push_take(s->d->results, j);
	}
	return NULL;
}

struct senders *
senders_prepare(struct delivery *d)
{
	struct senders *s = calloc(1, sizeof(*s));
	if (s == NULL)
		abort();
	s->d = d;
	s->n = delivery_config.senders;
	s->threads = calloc((size_t)s->n, sizeof(*s->threads));
	pthread_mutex_init(&s->mutex, NULL);
	if (s->threads == NULL)
		abort();
	return s;
}

void
senders_start(struct senders *s)
{
	for (int64_t i = 0; i < s->n; i++)
		if (pthread_create(&s->threads[i], NULL, run, s) != 0)
			abort();
}

void
senders_stop(struct senders **sp)
{
	struct senders *s = *sp;
	if (s == NULL)
		return;
	atomic_store(&s->stopping, true);
	for (struct job *j = lanes_stop(s->d->lanes), *next; j != NULL; j = next) {
		next = j->next;
		for (size_t i = 0; i < j->n_legs; i++)
			j->legs[i].event = LEG_ON_GIVE_BACK;
		results_push_take(s->d->results, j);
	}
	for (int64_t i = 0; i < s->n; i++)
		pthread_join(s->threads[i], NULL);
	close_older(s, INT64_MAX);
	shun_nobody(s);
	pthread_mutex_destroy(&s->mutex);
	free(s->threads);
	free(s);
	*sp = NULL;
}
