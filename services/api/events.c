/* SPDX-License-Identifier: MIT
 *
 * One lock guards the list of streams; a stream that a thread works on is marked busy and belongs to that thread.
 */
#include "events.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bus/bus.h"
#include "client/audit_client.h"
#include "core/clock.h"
#include "core/log.h"
#include "pipe.h"
#include "subjects.h"

#define THREADS	       4
#define TENANT_THREADS 2   /* of them, at most for one tenant */
#define PAGE	       200 /* events asked for at once */
#define PIPE_MAX       (4u * 1024 * 1024)
#define HEARTBEAT_MS   15000
#define VERIFY_MS      45000
#define VERIFY_LATE_MS 60000
#define POLL_MS	       5000
#define WAITING_MS     1000 /* how often audit is told that somebody waits */
#define RETRY_MS       1000
#define EMPTY_MS       20    /* least rest after a question that found nothing */
#define SLOW_MS	       30000 /* a client takes what it got within this, or is cut */

struct stream {
	struct stream *next_stream;
	struct pipe *pipe;
	struct arena *arena;	/* ends with the stream */
	struct arena *tokens;	/* begun anew with each verification */
	struct api_request who; /* op, key, client_ip, request_id, traceparent */
	struct bytes token;	/* for audit, in the arena of tokens */
	struct uuid tenant;
	const char *const *types;
	size_t n_types;
	uint64_t next; /* position wanted */
	int64_t verified_ms, try_verify_ms, wrote_ms, waited_ms, due_ms;
	bool busy, hinted;
};

struct events {
	const struct api *api;
	struct events_options o;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct stream *first;
	int n;
	bool stopping;
	struct stream *worked_on[THREADS]; /* NULL: free */
	pthread_t thread[THREADS];
	int n_threads;
};

/* --- what is sent
 * -------------------------------------------------------------------------------------------
 */
/* With the id alone nothing is dispatched, but a client that comes again begins behind it. */
static void
write_position(struct buf *out, uint64_t next)
{
	buf_addf(out, ": here\nid: %lld\n\n", (long long)next - 1);
}

static bool
send_buf(struct stream *s, struct buf *b, int64_t now)
{
	s->wrote_ms = now;
	return buf_ok(b) && pipe_write(s->pipe, buf_bytes(b));
}

/* --- one step of a stream; the lock is not held
 * --------------------------------------------------------------- */
static bool
still_allowed(struct events *v, struct stream *s, int64_t now)
{
	struct err e = {0};
	if (now < s->try_verify_ms)
		return true;
	struct arena *fresh = arena_new();
	struct auth_key_holder holder;
	enum rc rc = api_verify_again(v->api, &s->who, fresh, &holder, &e);
	if (rc == RC_OK && (!uuid_eq(&holder.tenant, &s->tenant) || holder.n_tokens == 0))
		rc = RC_DENIED;
	if (rc == RC_OK) {
		arena_free(&s->tokens);
		s->tokens = fresh;
		s->token = holder.tokens[0].token;
		s->verified_ms = now;
		s->try_verify_ms = now + VERIFY_MS;
		return true;
	}
	arena_free(&fresh);
	s->try_verify_ms = now + RETRY_MS;
	return rc_is_transient(rc) && now - s->verified_ms < VERIFY_LATE_MS;
}

static void
tell_waiting(struct events *v, struct stream *s, int64_t now)
{
	struct err e;
	if (now - s->waited_ms < WAITING_MS)
		return;
	s->waited_ms = now;
	(void)!bus_publish(v->api->svc->bus, SIG_AUDIT_WAITING, bytes_of(s->tenant.b, sizeof(s->tenant.b)), &e);
}

/* A long stretch of the record without an event of these types: search it, but not for more than half of the time. */
static int64_t
rest_after(int64_t began)
{
	int64_t end = clock_mono_ms(), took = end - began;
	return end + (took > EMPTY_MS ? took : EMPTY_MS);
}

/* False: the stream is over. *due_r: when to come again. */
static bool
fetch(struct events *v, struct stream *s, int64_t now, int64_t *due_r)
{
	struct err e = {0};
	struct buf out;
	struct audit_events page = {0};
	struct arena *a = arena_new();
	struct audit_call c = {.bus = v->api->svc->bus,
			       .tenant = &s->tenant,
			       .traceparent = s->who.traceparent,
			       .actor_token = s->token,
			       .deadline_ms = now + v->api->rpc_ms};
	struct audit_events_question q = {.after = s->next, .limit = PAGE, .types = s->types, .n_types = s->n_types};
	enum rc rc = audit_events(&c, &q, a, &page, &e);
	bool goes_on = rc == RC_OK || rc_is_transient(rc);
	*due_r = now + (rc == RC_OK ? POLL_MS : RETRY_MS);
	buf_init(&out, 0);
	for (size_t i = 0; rc == RC_OK && i < page.n; i++)
		events_write(&out, &page.v[i]);
	if (rc == RC_OK && page.n > 0) {
		goes_on = send_buf(s, &out, now);
		metric_add(v->o.sent, 0, (int64_t)page.n);
	}
	if (rc == RC_OK && goes_on) {
		bool more = page.next<page.size, on = page.next> s->next;
		s->next = page.next;
		if (!more)
			tell_waiting(v, s, now);
		else if (page.n > 0)
			*due_r = now;
		else if (on)
			*due_r = rest_after(now);
	}
	buf_done(&out);
	arena_free(&a);
	return goes_on;
}

static bool
step(struct events *v, struct stream *s, int64_t now, int64_t *due_r)
{
	bool empty = pipe_is_empty(s->pipe);
	*due_r = now + 20;
	if (pipe_is_closed(s->pipe) || !still_allowed(v, s, now))
		return false;
	if (!empty)
		return now - s->wrote_ms < SLOW_MS;
	if (!fetch(v, s, now, due_r))
		return false;
	if (now - s->wrote_ms >= HEARTBEAT_MS) {
		struct buf b;
		buf_init(&b, 0);
		write_position(&b, s->next);
		bool ok = send_buf(s, &b, now);
		buf_done(&b);
		if (!ok)
			return false;
	}
	return true;
}

/* --- all streams
 * ------------------------------------------------------------------------------------------------
 */
static void
stream_free(struct stream *s)
{
	pipe_end(&s->pipe, false);
	arena_free(&s->tokens);
	arena_free(&s->arena);
	free(s);
}

/* With the lock held. */
static void
forget(struct events *v, struct stream *s)
{
	struct stream **at = &v->first;
	while (*at != s)
		at = &(*at)->next_stream;
	*at = s->next_stream;
	v->n--;
	metric_set(v->o.open, 0, v->n);
}

/* With the lock held. */
static bool
has_its_threads(const struct events *v, const struct uuid *tenant)
{
	int n = 0;
	for (int i = 0; i < THREADS; i++)
		n += v->worked_on[i] != NULL && uuid_eq(&v->worked_on[i]->tenant, tenant);
	return n >= TENANT_THREADS;
}

/* With the lock held: of the streams whose time has come the one that waits longest, else when the next one's comes. */
static struct stream *
next_due(struct events *v, int64_t now, int64_t *until_r)
{
	struct stream *best = NULL;
	*until_r = now + HEARTBEAT_MS;
	for (struct stream *s = v->first; s != NULL; s = s->next_stream) {
		if (s->busy)
			continue;
		if (v->stopping)
			return s;
		if (s->due_ms > now && s->due_ms < *until_r)
			*until_r = s->due_ms;
		if (s->due_ms <= now && (best == NULL || s->due_ms < best->due_ms) && !has_its_threads(v, &s->tenant))
			best = s;
	}
	return best;
}

static void
work_on(struct events *v, struct stream *s)
{
	int64_t due = 0, now = clock_mono_ms();
	bool over = v->stopping;
	int at = 0;
	while (v->worked_on[at] != NULL)
		at++;
	v->worked_on[at] = s;
	s->busy = true;
	s->hinted = false;
	pthread_mutex_unlock(&v->lock);
	over = over || !step(v, s, now, &due);
	pthread_mutex_lock(&v->lock);
	s->busy = false;
	v->worked_on[at] = NULL;
	s->due_ms = s->hinted ? clock_mono_ms() : due;
	/* Another stream of the tenant may have waited for this thread, which may take a third one's. */
	pthread_cond_signal(&v->wake);
	if (over) {
		forget(v, s);
		stream_free(s);
	}
}

static void *
events_main(void *arg)
{
	struct events *v = arg;
	pthread_mutex_lock(&v->lock);
	while (!v->stopping || v->first != NULL) {
		int64_t until;
		struct stream *s = next_due(v, clock_mono_ms(), &until);
		if (s != NULL) {
			work_on(v, s);
			continue;
		}
		struct timespec ts = {.tv_sec = until / 1000, .tv_nsec = until % 1000 * 1000000};
		pthread_cond_timedwait(&v->wake, &v->lock, &ts);
	}
	pthread_cond_broadcast(&v->wake);
	pthread_mutex_unlock(&v->lock);
	return NULL;
}

/* A tenant's log has grown: 16 octets tenant, 8 octets size. */
static void
on_appended(void *ctx, const char *subject, struct bytes payload)
{
	struct events *v = ctx;
	struct uuid tenant;
	bool any = false;
	int64_t now = clock_mono_ms();
	if (payload.n < sizeof(tenant.b))
		return;
	memcpy(tenant.b, payload.p, sizeof(tenant.b));
	pthread_mutex_lock(&v->lock);
	for (struct stream *s = v->first; s != NULL; s = s->next_stream)
		if (uuid_eq(&s->tenant, &tenant)) {
			s->hinted = any = true;
			if (s->due_ms > now)
				s->due_ms = now; /* behind whoever waits already */
		}
	if (any)
		pthread_cond_broadcast(&v->wake);
	pthread_mutex_unlock(&v->lock);
}

static struct stream *
stream_new(const struct api_request *r, uint64_t next, const char *const *types, size_t n_types)
{
	struct stream *s = calloc(1, sizeof(*s));
	if (s == NULL)
		abort();
	s->arena = arena_new();
	s->tokens = arena_new();
	s->who = (struct api_request){
	    .op = r->op,
	    .key = arena_strdup(s->arena, r->key),
	    .client_ip = arena_strdup(s->arena, r->client_ip),
	    .request_id = arena_strdup(s->arena, r->request_id),
	    .traceparent = arena_strdup(s->arena, r->traceparent),
	};
	const char **copy = arena_new_array(s->arena, const char *, n_types + 1);
	for (size_t i = 0; i < n_types; i++)
		copy[i] = arena_strdup(s->arena, types[i]);
	s->types = copy;
	s->n_types = n_types;
	s->tenant = r->holder.tenant;
	s->next = next;
	/* Of the request's arena, which ends with it. */
	s->token = arena_bytes(s->tokens, api_token(r, "audit"));
	s->verified_ms = r->verified_ms;
	s->try_verify_ms = r->verified_ms + VERIFY_MS;
	s->wrote_ms = s->due_ms = clock_mono_ms();
	s->pipe = pipe_new(PIPE_MAX);
	return s;
}

enum rc
events_begin(struct events *v, const struct api_request *r, uint64_t next, const char *const *types, size_t n_types,
	     struct api_response *w, struct err *e)
{
	int of_tenant = 0;
	struct stream *s = stream_new(r, next, types, n_types);
	struct pipe *reader = s->pipe;
	struct buf b;
	buf_init(&b, 0);
	buf_add_str(&b, "retry: 2000\n");
	write_position(&b, next);
	enum rc rc = pipe_write(s->pipe, buf_bytes(&b)) ? RC_OK : err_set(e, RC_INTERNAL, "the stream does not begin");
	buf_done(&b);
	pthread_mutex_lock(&v->lock);
	for (struct stream *x = v->first; x != NULL; x = x->next_stream)
		of_tenant += uuid_eq(&x->tenant, &s->tenant);
	if (rc == RC_OK && (v->n >= v->o.streams_max || v->stopping))
		rc = err_set(e, RC_RETRY, "%d streams are open", v->n);
	else if (rc == RC_OK && of_tenant >= v->o.tenant_max)
		rc = err_set(e, RC_LIMIT, "the tenant has %d streams open", of_tenant);
	if (rc == RC_OK) {
		s->next_stream = v->first;
		v->first = s;
		metric_set(v->o.open, 0, ++v->n);
		pthread_cond_signal(&v->wake);
	}
	pthread_mutex_unlock(&v->lock);
	if (rc == RC_OK) {
		w->pipe = reader;
	} else {
		stream_free(s);
		pipe_close(&reader);
	}
	return rc;
}

enum rc
events_open(const struct events_options *o, const struct api *api, struct events **out_r, struct err *e)
{
	struct events *v = calloc(1, sizeof(*v));
	pthread_condattr_t monotonic;
	if (v == NULL)
		abort();
	v->api = api;
	v->o = *o;
	pthread_mutex_init(&v->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&v->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	enum rc rc = bus_listen(api->svc->bus, SIG_AUDIT_APPENDED, NULL, on_appended, v, e);
	for (; rc == RC_OK && v->n_threads < THREADS; v->n_threads++)
		if (pthread_create(&v->thread[v->n_threads], NULL, events_main, v) != 0)
			rc = err_set(e, RC_INTERNAL, "events: no thread");
	if (rc != RC_OK) {
		events_close(&v);
		return rc;
	}
	*out_r = v;
	return RC_OK;
}

void
events_stop(struct events *v)
{
	if (v == NULL)
		return;
	pthread_mutex_lock(&v->lock);
	v->stopping = true;
	pthread_cond_broadcast(&v->wake);
	pthread_mutex_unlock(&v->lock);
	for (; v->n_threads > 0; v->n_threads--)
		pthread_join(v->thread[v->n_threads - 1], NULL);
}

void
events_close(struct events **vp)
{
	if (*vp == NULL)
		return;
	events_stop(*vp);
	/* Its memory stays: the bus may still call on_appended(), and the process is about to end. */
	*vp = NULL;
}
