/* SPDX-License-Identifier: MIT
 *
 * The server's end of request and reply. A server is one queue subscription from which n threads take messages, so a
 * slow request does not hold up the messages behind it. Calls that share a message are handled by one thread.
 */
#include "bus/rpc_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/envelope.h"
#include "core/clock.h"
#include "core/log.h"

#define DEADLINE_MAX_MS 60000
#define POLL_MS		500

struct server {
	struct server *next;
	struct bus *bus;
	natsSubscription *sub;
	const char *subject;
	bus_handler handler;
	void *ctx;
	int n_threads;
	pthread_t *threads;
};

/* What one thread works with. */
struct workshop {
	struct server *server;
	struct arena *arena;
	struct buf reply, out;
	char caller[32];
};

/* Pointers of in lead into c and traceparent. */
static enum rc
read_call(const struct envelope_call *c, struct bus_incoming *in, char *traceparent, struct err *e)
{
	char parent[ENVELOPE_TRACEPARENT_MAX + 1] = "";
	if (c->tenant.n > 0) {
		memcpy(in->tenant.b, c->tenant.p, sizeof(in->tenant.b));
		in->has_tenant = true;
	}
	if (c->traceparent.n > 0)
		memcpy(parent, c->traceparent.p, c->traceparent.n);
	traceparent_child(c->traceparent.n > 0 ? parent : NULL, traceparent);
	in->traceparent = traceparent;
	in->actor_token = c->actor_token;
	in->payload = c->payload;
	in->idempotency_key = "";
	if (c->idempotency_key.n > 0) {
		if (!bus_key_valid(c->idempotency_key))
			return err_set(e, RC_INVALID, "not an idempotency key");
		in->idempotency_key = arena_strndup(in->arena, c->idempotency_key.p, c->idempotency_key.n);
	}
	int64_t now = clock_wall_us();
	if (c->expires_us <= now)
		return err_set(e, RC_RETRY, "past its deadline");
	int64_t left = (c->expires_us - now) / 1000;
	in->deadline_ms = clock_mono_ms() + (left < DEADLINE_MAX_MS ? left : DEADLINE_MAX_MS);
	return RC_OK;
}

/* Whether the answers before it leave room for this one. */
static bool
room_for(const struct workshop *w, size_t n)
{
	return w->out.n + n + ENVELOPE_OVERHEAD <= BUS_PAYLOAD_MAX;
}

static void
serve_one(struct workshop *w, const struct envelope_call *c)
{
	char traceparent[TRACEPARENT_SIZE];
	struct server *s = w->server;
	struct err err = {.rc = RC_INTERNAL, .file = __FILE__};
	struct bus_incoming in = {.subject = s->subject, .arena = w->arena, .caller = w->caller};
	arena_reset(w->arena);
	buf_reset(&w->reply);
	enum rc rc = read_call(c, &in, traceparent, &err);
	if (rc == RC_INVALID) {
		atomic_fetch_add(&s->bus->undecodable, 1);
	} else if (rc != RC_OK) {
		atomic_fetch_add(&s->bus->expired, 1);
	} else {
		rc = s->handler(s->ctx, &in, &w->reply, &err);
		atomic_fetch_add(&s->bus->served, 1);
		if (rc == RC_OK && !buf_ok(&w->reply))
			rc = err_set(&err, RC_LIMIT, "reply too large");
		else if (rc == RC_OK && !room_for(w, w->reply.n))
			rc = err_set(&err, RC_RETRY, "no room beside the answers of other calls");
		if (rc_is_transient(rc))
			atomic_fetch_add(&s->bus->served_failed, 1);
	}
	struct envelope_answer a = {.payload = buf_bytes(&w->reply)};
	if (rc != RC_OK)
		a = (struct envelope_answer){.rc = bytes_str(rc_str(rc)), .text = bytes_str(err.text)};
	envelope_add_answer(&w->out, &a);
}

/* An inbox is _INBOX_<service>.<id>...; only that service can listen there. */
static void
read_caller(const char *to, char *caller, size_t size)
{
	static const char prefix[] = "_INBOX_";
	caller[0] = '\0';
	if (to == NULL || strncmp(to, prefix, sizeof(prefix) - 1) != 0)
		return;
	to += sizeof(prefix) - 1;
	size_t n = strcspn(to, ".");
	if (n < size && strspn(to, "abcdefghijklmnopqrstuvwxyz") == n)
		snprintf(caller, size, "%.*s", (int)n, to);
}

/* A message that does not decode gets no answers: its callers see that they do not fit. */
static void
serve_message(struct workshop *w, natsMsg *m)
{
	struct envelope_call calls[ENVELOPE_CALLS_MAX];
	struct server *s = w->server;
	struct err err = {0};
	size_t n = 0;
	buf_reset(&w->out);
	read_caller(natsMsg_GetReply(m), w->caller, sizeof(w->caller));
	enum rc rc = envelope_read_calls(bytes_of(natsMsg_GetData(m), (size_t)natsMsg_GetDataLength(m)), calls,
					 ENVELOPE_CALLS_MAX, &n, &err);
	if (rc != RC_OK) {
		atomic_fetch_add(&s->bus->undecodable, 1);
		log_error("request that does not decode", LOG_STR("subject", s->subject), LOG_ERR(&err));
	}
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		serve_one(w, &calls[i]);
	/* Only to an inbox: our right to answer must not become a right to publish events or calls in our name. */
	const char *to = natsMsg_GetReply(m);
	if (to == NULL || strncmp(to, "_INBOX_", 7) != 0)
		return;
	natsStatus st = natsConnection_Publish(s->bus->nc, to, w->out.p, (int)w->out.n);
	if (st != NATS_OK)
		log_warn("answer not sent", LOG_STR("subject", s->subject), LOG_STR("error", natsStatus_GetText(st)));
}

static void *
server_run(void *arg)
{
	struct server *s = arg;
	struct workshop w = {.server = s, .arena = arena_new()};
	buf_init(&w.reply, BUS_PAYLOAD_MAX - ENVELOPE_OVERHEAD);
	buf_init(&w.out, BUS_PAYLOAD_MAX);
	for (;;) {
		natsMsg *m = NULL;
		natsStatus st = natsSubscription_NextMsg(&m, s->sub, POLL_MS);
		if (st == NATS_OK) {
			serve_message(&w, m);
			natsMsg_Destroy(m);
		} else if (atomic_load(&s->bus->stopping) || (st != NATS_TIMEOUT && st != NATS_SLOW_CONSUMER)) {
			break; /* drained, or closed */
		}
	}
	buf_done(&w.reply);
	buf_done(&w.out);
	arena_free(&w.arena);
	return NULL;
}

enum rc
bus_serve(struct bus *b, const char *subject, int threads, bus_handler handler, void *ctx, struct err *e)
{
	struct server *s = calloc(1, sizeof(*s));
	if (s == NULL || (s->threads = calloc((size_t)threads, sizeof(*s->threads))) == NULL)
		abort();
	s->bus = b;
	s->subject = subject;
	s->handler = handler;
	s->ctx = ctx;
	natsStatus st = natsConnection_QueueSubscribeSync(&s->sub, b->nc, subject, b->service);
	if (st != NATS_OK) {
		free(s->threads);
		free(s);
		return bus_fail(st, e, subject);
	}
	for (int i = 0; i < threads; i++)
		if (pthread_create(&s->threads[s->n_threads], NULL, server_run, s) == 0)
			s->n_threads++;
	pthread_mutex_lock(&b->lock);
	s->next = b->servers;
	b->servers = s;
	pthread_mutex_unlock(&b->lock);
	return s->n_threads > 0 ? RC_OK : err_set(e, RC_INTERNAL, "no thread could be started");
}

void
rpc_servers_stop(struct bus *b, int64_t deadline_ms)
{
	for (struct server *s = b->servers; s != NULL; s = s->next)
		natsSubscription_Drain(s->sub); /* what has arrived is still answered */
	while (b->servers != NULL) {
		struct server *s = b->servers;
		b->servers = s->next;
		bool joined = true;
		for (int i = 0; i < s->n_threads; i++) {
			int64_t left = clock_left_ms(deadline_ms);
			struct timespec until;
			clock_gettime(CLOCK_REALTIME, &until);
			until.tv_sec += left / 1000 + 1;
			joined &= pthread_timedjoin_np(s->threads[i], NULL, &until) == 0;
		}
		if (!joined) { /* a handler hangs: its memory is left to the end of the process */
			log_error("a request is still at work", LOG_STR("subject", s->subject));
			atomic_store(&b->stuck, true);
			continue;
		}
		natsSubscription_Destroy(s->sub);
		free(s->threads);
		free(s);
	}
}
