/* SPDX-License-Identifier: MIT
 *
 * The caller's end. Calls travel in batches (envelope.h). A call that finds no other of its subject under way is sent
 * at once. One that may share a message and does find some waits for company until they are answered, the batch is
 * full or LINGER_US have passed; whoever opened a batch sends it. Answers come to one subscription of ours, whose
 * thread copies each into its caller's arena and wakes the caller. A caller that gives up takes itself out under the
 * lock, so nobody touches what has left.
 */
#include "bus/rpc_internal.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bus/envelope.h"
#include "core/clock.h"

#define LINGER_US    2000
#define BATCH_OCTETS (1024u * 1024)
#define SHARED_MAX   (BATCH_OCTETS / 4) /* larger calls go alone */

struct lane;

struct call {
	const char *subject;
	struct arena *arena;
	struct bytes *reply_r;
	struct err *e;
	struct batch *batch;
	size_t at;
	enum rc rc;
	bool done;
	sem_t wake;
};

struct batch {
	struct batch *next;
	struct lane *lane;
	uint64_t number; /* last token of the subject that its answer comes to */
	struct buf out;
	struct call *calls[ENVELOPE_CALLS_MAX]; /* NULL: gave up */
	size_t n, waiting;
	bool closed, sent;
};

/* The calls of one subject. Subjects are few and known when we are built, so lanes stay. */
struct lane {
	struct lane *next;
	char *subject;
	struct batch *gathering;
	size_t in_flight; /* batches */
};

struct callers {
	struct bus *bus;
	char inbox[80];
	natsSubscription *sub;
	sem_t sub_over;
	pthread_mutex_t lock; /* all below, and every batch and call */
	struct lane *lanes;
	struct batch *batches; /* sent and not answered */
	uint64_t last_number;
};

/* --- under the lock ------------------------------------------------------------------------------------------ */
static struct lane *
lane_of(struct callers *c, const char *subject)
{
	struct lane *l = c->lanes;
	while (l != NULL && strcmp(l->subject, subject) != 0)
		l = l->next;
	if (l != NULL)
		return l;
	l = calloc(1, sizeof(*l));
	if (l == NULL || (l->subject = strdup(subject)) == NULL)
		abort();
	l->next = c->lanes;
	c->lanes = l;
	return l;
}

static struct batch *
batch_new(struct lane *l)
{
	struct batch *b = calloc(1, sizeof(*b));
	if (b == NULL)
		abort();
	b->lane = l;
	buf_init(&b->out, 0);
	return b;
}

static void
batch_free(struct batch *b)
{
	buf_done(&b->out);
	free(b);
}

static void
close_batch(struct batch *b)
{
	b->closed = true;
	if (b->lane->gathering == b)
		b->lane->gathering = NULL;
}

static void
join(struct batch *b, struct call *c, const struct envelope_call *words)
{
	envelope_add_call(&b->out, words);
	c->batch = b;
	c->at = b->n;
	b->calls[b->n++] = c;
	b->waiting++;
}

static void
batch_over(struct callers *cs, struct batch *b)
{
	for (struct batch **at = &cs->batches; *at != NULL; at = &(*at)->next)
		if (*at == b) {
			*at = b->next;
			break;
		}
	if (--b->lane->in_flight == 0 && b->lane->gathering != NULL)
		sem_post(&b->lane->gathering->calls[0]->wake); /* the road is free */
	batch_free(b);
}

static void
call_over(struct call *c, enum rc rc)
{
	c->rc = rc;
	c->done = true;
	sem_post(&c->wake);
}

static void
fail_all(struct callers *cs, struct batch *b, natsStatus s)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->calls[i] != NULL)
			call_over(b->calls[i], bus_fail(s, b->calls[i]->e, b->calls[i]->subject));
	batch_over(cs, b);
}

static struct batch *
find(struct callers *cs, uint64_t number)
{
	struct batch *b = cs->batches;
	while (b != NULL && b->number != number)
		b = b->next;
	return b;
}

/* --- answers --------------------------------------------------------------------------------------------------- */
static void
take_answer(struct call *c, const struct envelope_answer *a)
{
	char name[16];
	if (a->rc.n == 0) {
		*c->reply_r = arena_bytes(c->arena, a->payload);
		call_over(c, RC_OK);
		return;
	}
	snprintf(name, sizeof(name), "%.*s", (int)(a->rc.n < sizeof(name) ? a->rc.n : sizeof(name)),
		 (const char *)a->rc.p);
	enum rc rc = rc_parse(name);
	call_over(c, err_set(c->e, rc != RC_OK ? rc : RC_INTERNAL, "%.*s", (int)(a->text.n < 200 ? a->text.n : 200),
			     a->text.n > 0 ? (const char *)a->text.p : ""));
}

static void
on_answer(natsConnection *nc, natsSubscription *sub, natsMsg *m, void *ctx)
{
	struct callers *cs = ctx;
	struct envelope_answer answers[ENVELOPE_CALLS_MAX];
	struct err err = {0};
	size_t n = 0;
	const char *dot = strrchr(natsMsg_GetSubject(m), '.');
	uint64_t number = dot != NULL ? strtoull(dot + 1, NULL, 10) : 0;
	bool nobody = natsMsg_IsNoResponders(m);
	enum rc rc = nobody ? RC_OK
			    : envelope_read_answers(bytes_of(natsMsg_GetData(m), (size_t)natsMsg_GetDataLength(m)),
						    answers, ENVELOPE_CALLS_MAX, &n, &err);
	pthread_mutex_lock(&cs->lock);
	struct batch *b = find(cs, number);
	if (b != NULL && nobody) {
		fail_all(cs, b, NATS_NO_RESPONDERS);
	} else if (b != NULL) {
		bool fits = rc == RC_OK && n == b->n;
		for (size_t i = 0; i < b->n; i++)
			if (b->calls[i] != NULL && fits)
				take_answer(b->calls[i], &answers[i]);
			else if (b->calls[i] != NULL)
				call_over(b->calls[i], err_set(b->calls[i]->e, RC_INTERNAL,
							       "bus: %s: the answer does not fit the question",
							       b->calls[i]->subject));
		if (!fits)
			atomic_fetch_add(&cs->bus->undecodable, 1);
		batch_over(cs, b);
	} /* else everybody who waited for it has given up */
	pthread_mutex_unlock(&cs->lock);
	natsMsg_Destroy(m);
}

/* --- one call ---------------------------------------------------------------------------------------------------- */
/* Opens no batch while there is one with room. True: the caller is the one who sends it. */
static bool
board(struct lane *l, struct call *c, const struct bus_request *r, const struct envelope_call *words)
{
	bool shares = r->may_share && r->payload.n <= SHARED_MAX;
	struct batch *b = shares ? l->gathering : NULL;
	if (b != NULL && b->out.n + r->payload.n + ENVELOPE_OVERHEAD > BATCH_OCTETS) {
		close_batch(b);
		sem_post(&b->calls[0]->wake);
		b = NULL;
	}
	if (b != NULL) {
		join(b, c, words);
		if (b->n == ENVELOPE_CALLS_MAX) {
			close_batch(b);
			sem_post(&b->calls[0]->wake);
		}
		return false;
	}
	b = batch_new(l);
	join(b, c, words);
	if (shares && l->in_flight > 0)
		l->gathering = b;
	else
		b->closed = true;
	return true;
}

static struct timespec
after_us(int64_t us)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += us / 1000000;
	t.tv_nsec += us % 1000000 * 1000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

static void
send_batch(struct callers *cs, struct batch *b)
{
	char to[sizeof(cs->inbox) + 24];
	struct lane *l = b->lane;
	struct timespec until = after_us(LINGER_US);
	while (!b->closed && l->in_flight > 0) {
		pthread_mutex_unlock(&cs->lock);
		bool over = sem_clockwait(&b->calls[0]->wake, CLOCK_MONOTONIC, &until) != 0;
		pthread_mutex_lock(&cs->lock);
		if (over)
			break;
	}
	close_batch(b);
	struct buf out = b->out; /* the answer may be here, and the batch gone, before we are back */
	uint64_t number = b->number = ++cs->last_number;
	buf_init(&b->out, 0);
	b->next = cs->batches;
	cs->batches = b;
	l->in_flight++;
	pthread_mutex_unlock(&cs->lock);
	snprintf(to, sizeof(to), "%s.%llu", cs->inbox, (unsigned long long)number);
	natsStatus s = buf_ok(&out) ? natsConnection_PublishRequest(cs->bus->nc, l->subject, to, out.p, (int)out.n)
				    : NATS_NO_MEMORY;
	buf_done(&out);
	atomic_fetch_add(&cs->bus->requests, 1);
	pthread_mutex_lock(&cs->lock);
	if (s != NATS_OK && (b = find(cs, number)) != NULL)
		fail_all(cs, b, s);
}

static enum rc
wait_for(struct callers *cs, struct call *c, int64_t deadline_ms)
{
	struct timespec until = {.tv_sec = deadline_ms / 1000, .tv_nsec = deadline_ms % 1000 * 1000000};
	bool done = false, late = false;
	while (!done) {
		if (!late)
			late = sem_clockwait(&c->wake, CLOCK_MONOTONIC, &until) != 0 && errno == ETIMEDOUT;
		pthread_mutex_lock(&cs->lock);
		if (!c->done && late) {
			c->batch->calls[c->at] = NULL;
			if (--c->batch->waiting == 0)
				batch_over(cs, c->batch);
			call_over(c, bus_fail(NATS_TIMEOUT, c->e, c->subject));
		}
		done = c->done;
		pthread_mutex_unlock(&cs->lock);
	}
	return c->rc;
}

static enum rc
travel(struct callers *cs, const struct bus_request *r, struct arena *a, struct bytes *reply_r, struct err *e)
{
	struct call c = {.subject = r->subject, .arena = a, .reply_r = reply_r, .e = e};
	struct envelope_call words = {.tenant = r->tenant != NULL ? bytes_of(r->tenant->b, sizeof(r->tenant->b))
								  : bytes_of(NULL, 0),
				      .expires_us = clock_wall_us() + clock_left_ms(r->deadline_ms) * 1000,
				      .traceparent = bytes_str(r->traceparent),
				      .actor_token = r->actor_token,
				      .payload = r->payload,
				      .idempotency_key = bytes_str(r->idempotency_key)};
	sem_init(&c.wake, 0, 0);
	pthread_mutex_lock(&cs->lock);
	if (board(lane_of(cs, r->subject), &c, r, &words))
		send_batch(cs, c.batch);
	pthread_mutex_unlock(&cs->lock);
	enum rc rc = wait_for(cs, &c, r->deadline_ms);
	sem_destroy(&c.wake);
	return rc;
}

bool
bus_key_valid(struct bytes key)
{
	if (key.n == 0 || key.n > BUS_KEY_MAX)
		return false;
	for (size_t i = 0; i < key.n; i++)
		if (key.p[i] <= 0x20 || key.p[i] >= 0x7f)
			return false;
	return true;
}

enum rc
bus_call(struct bus *b, const struct bus_request *r, struct arena *a, struct bytes *reply_r, struct err *e)
{
	if (r->payload.n > BUS_PAYLOAD_MAX - ENVELOPE_OVERHEAD || r->actor_token.n > ENVELOPE_ACTOR_MAX ||
	    (r->traceparent != NULL && strlen(r->traceparent) > ENVELOPE_TRACEPARENT_MAX))
		return err_set(e, RC_LIMIT, "bus: %s: request too large", r->subject);
	if (r->idempotency_key != NULL && r->idempotency_key[0] != '\0' &&
	    !bus_key_valid(bytes_str(r->idempotency_key)))
		return err_set(e, RC_INVALID, "an idempotency key is 1 to %d visible ASCII characters", BUS_KEY_MAX);
	if (clock_left_ms(r->deadline_ms) == 0)
		return err_set(e, RC_RETRY, "bus: %s: no time left", r->subject);
	atomic_fetch_add(&b->calls, 1);
	enum rc rc =
	    bus_connected(b) ? travel(b->callers, r, a, reply_r, e) : err_set(e, RC_RETRY, "bus: not connected");
	if (rc_is_transient(rc))
		atomic_fetch_add(&b->calls_failed, 1);
	return rc;
}

/* --- set-up --------------------------------------------------------------------------------------------------------
 */
static void
on_sub_over(void *ctx)
{
	struct callers *cs = ctx;
	sem_post(&cs->sub_over);
}

natsStatus
callers_open(struct bus *b)
{
	char subject[sizeof(b->callers->inbox) + 4];
	struct callers *cs = calloc(1, sizeof(*cs));
	if (cs == NULL)
		abort();
	cs->bus = b;
	pthread_mutex_init(&cs->lock, NULL);
	sem_init(&cs->sub_over, 0, 0);
	/* Instances of a service share the prefix that they have the right to. */
	struct uuid id = uuid_v7(clock_wall_us());
	char text[UUID_STR_SIZE];
	uuid_format(&id, text);
	snprintf(cs->inbox, sizeof(cs->inbox), "_INBOX_%.30s.%s", b->service, text);
	snprintf(subject, sizeof(subject), "%s.*", cs->inbox);
	b->callers = cs;
	natsStatus s = natsConnection_Subscribe(&cs->sub, b->nc, subject, on_answer, cs);
	return s == NATS_OK ? natsSubscription_SetOnCompleteCB(cs->sub, on_sub_over, cs) : s;
}

void
callers_free(struct callers **csp)
{
	struct callers *cs = *csp;
	if (cs == NULL)
		return;
	*csp = NULL;
	if (cs->sub != NULL) {
		natsSubscription_Unsubscribe(cs->sub);
		while (sem_wait(&cs->sub_over) != 0) /* its thread may be in on_answer() */
			continue;
		natsSubscription_Destroy(cs->sub);
	}
	while (cs->lanes != NULL) {
		struct lane *l = cs->lanes;
		cs->lanes = l->next;
		free(l->subject);
		free(l);
	}
	sem_destroy(&cs->sub_over);
	pthread_mutex_destroy(&cs->lock);
	free(cs);
}
