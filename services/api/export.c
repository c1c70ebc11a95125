/* SPDX-License-Identifier: MIT */
#include "export.h"

#include <pthread.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/log.h"
#include "pipe.h"

#define PAGE_LINES 1000
#define PIPE_MAX   (16u * 1024 * 1024) /* a page is bounded by what the bus carries */
#define VERIFY_MS  45000
#define TRIES	   5 /* of a page, while audit is down or busy */

struct exports {
	const struct api *api;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	struct exports_options o;
	struct uuid tenants[EXPORTS_MAX]; /* of those under way */
	int n;
	bool stopping;
};

struct export
{
	struct exports *all;
	struct arena *arena;
	struct api_request who; /* op, key, client_ip, request_id, traceparent */
	struct auth_key_holder holder;
	struct export_wish wish;
	struct uuid tenant, subject;
	struct pipe *pipe;
	uint64_t next, size;
	int64_t verified_ms;
	int64_t slack_ms; /* how far the reader may still fall behind */
	size_t held;	  /* octets of the page that the reader has to take */
};

struct exports *
exports_new(const struct api *api, const struct exports_options *o)
{
	struct exports *x = calloc(1, sizeof(*x));
	if (x == NULL)
		abort();
	x->api = api;
	x->o = *o;
	pthread_mutex_init(&x->lock, NULL);
	pthread_cond_init(&x->ended, NULL);
	return x;
}

static bool
is_stopping(struct exports *x)
{
	pthread_mutex_lock(&x->lock);
	bool stopping = x->stopping;
	pthread_mutex_unlock(&x->lock);
	return stopping;
}

void
exports_stop(struct exports *x)
{
	if (x == NULL)
		return;
	pthread_mutex_lock(&x->lock);
	x->stopping = true;
	while (x->n > 0)
		pthread_cond_wait(&x->ended, &x->lock);
	pthread_mutex_unlock(&x->lock);
}

void
exports_free(struct exports **xp)
{
	if (*xp == NULL)
		return;
	exports_stop(*xp);
	/* Its memory stays: the last thread may still be on its way out, and the process is about to end. */
	*xp = NULL;
}

static enum rc
take_place(struct exports *x, const struct uuid *tenant, struct err *e)
{
	enum rc rc = RC_OK;
	int of_tenant = 0;
	pthread_mutex_lock(&x->lock);
	for (int i = 0; i < x->n; i++)
		of_tenant += uuid_eq(&x->tenants[i], tenant);
	if (of_tenant >= x->o.tenant_max)
		rc = err_set(e, RC_LIMIT, "the tenant has %d exports under way", of_tenant);
	else if (x->stopping || x->n >= x->o.max)
		rc = err_set(e, RC_RETRY, "%d exports are under way", x->n);
	else
		x->tenants[x->n++] = *tenant;
	pthread_mutex_unlock(&x->lock);
	return rc;
}

static void
leave_place(struct exports *x, const struct uuid *tenant)
{
	int at = 0;
	pthread_mutex_lock(&x->lock);
	while (!uuid_eq(&x->tenants[at], tenant))
		at++;
	x->tenants[at] = x->tenants[--x->n];
	pthread_cond_broadcast(&x->ended);
	pthread_mutex_unlock(&x->lock);
}

static enum rc
ask(struct export *t, struct arena *a, struct audit_page *page_r, struct err *e)
{
	const struct api *api = t->all->api;
	struct audit_call c = {.bus = api->svc->bus,
			       .tenant = &t->holder.tenant,
			       .traceparent = t->who.traceparent,
			       .actor_token = t->holder.tokens[0].token,
			       .deadline_ms = clock_mono_ms() + api->rpc_ms};
	return audit_export(&c, t->next, t->size, PAGE_LINES, t->wish.filtered ? &t->wish.filter : NULL, t->wish.csv, a,
			    page_r, e);
}

/* Tokens live 60 s; in what they stand is small beside a page, so it stays until the end. */
static enum rc
verify(struct export *t, struct err *e)
{
	int64_t now = clock_mono_ms();
	struct auth_key_holder holder;
	if (now - t->verified_ms < VERIFY_MS)
		return RC_OK;
	enum rc rc = api_verify_again(t->all->api, &t->who, t->arena, &holder, e);
	if (rc == RC_OK && !uuid_eq(&holder.tenant, &t->holder.tenant))
		rc = err_set(e, RC_DENIED, "the key is another tenant's now");
	if (rc != RC_OK)
		return rc;
	t->holder = holder;
	t->verified_ms = now;
	return RC_OK;
}

/* The page before has been taken. Each page gives the reader time by its octets; what it needs beyond that comes out of
 * its slack, which does not come back faster than it reads. */
static bool
wait_for_reader(struct export *t)
{
	const struct exports_options *o = &t->all->o;
	int64_t now = clock_mono_ms();
	int64_t until = now + t->slack_ms + (int64_t)t->held * 1000 / o->least_rate;
	bool taken = pipe_wait_empty(t->pipe, until);
	int64_t left = clock_left_ms(until);
	t->slack_ms = left < o->slow_ms ? left : o->slow_ms;
	return taken;
}

/* One page into the pipe; false: it is over, *broken_r says how. */
static bool
next_page(struct export *t, bool *broken_r)
{
	struct err e = {0};
	struct audit_page page = {0};
	struct arena *a = arena_new();
	enum rc rc = RC_RETRY;
	*broken_r = true;
	for (int i = 0; i < TRIES && rc == RC_RETRY && !is_stopping(t->all); i++) {
		rc = verify(t, &e);
		if (rc == RC_OK)
			rc = ask(t, a, &page, &e);
	}
	if (rc != RC_OK)
		log_warn("export broke off", LOG_STR("http.request.id", t->who.request_id), LOG_RC(rc), LOG_ERR(&e));
	bool goes_on = rc == RC_OK && wait_for_reader(t) && pipe_write(t->pipe, page.lines);
	if (goes_on) {
		t->held = page.lines.n;
		t->next = page.next;
		*broken_r = false;
		goes_on = !page.done;
	}
	arena_free(&a);
	return goes_on;
}

static void *
export_main(void *arg)
{
	struct export *t = arg;
	struct exports *x = t->all;
	struct uuid tenant = t->tenant;
	bool broken = true;
	while (!is_stopping(x) && next_page(t, &broken))
		broken = true; /* unless a further page comes */
	pipe_end(&t->pipe, broken);
	arena_free(&t->arena);
	free(t);
	leave_place(x, &tenant);
	return NULL;
}

static const char *
copy(struct arena *a, const char *s)
{
	return arena_strdup(a, s != NULL ? s : "");
}

static struct export *
export_new(struct exports *x, const struct api_request *r, const struct export_wish *wish)
{
	struct export *t = calloc(1, sizeof(*t));
	if (t == NULL)
		abort();
	struct arena *a = t->arena = arena_new();
	t->all = x;
	t->tenant = r->holder.tenant;
	t->slack_ms = x->o.slow_ms;
	t->who = (struct api_request){
	    .op = r->op,
	    .key = copy(a, r->key),
	    .client_ip = copy(a, r->client_ip),
	    .request_id = copy(a, r->request_id),
	    .traceparent = copy(a, r->traceparent),
	};
	t->wish = *wish;
	t->wish.filter.actor = copy(a, wish->filter.actor);
	t->wish.filter.action = copy(a, wish->filter.action);
	t->wish.filter.outcome = copy(a, wish->filter.outcome);
	t->wish.filter.source = copy(a, wish->filter.source);
	if (wish->filter.subject != NULL) {
		t->subject = *wish->filter.subject;
		t->wish.filter.subject = &t->subject;
	}
	t->next = wish->first;
	/* In an arena of this export: the request's ends with the request. */
	static const char *const audience = "audit";
	t->holder.tenant = r->holder.tenant;
	t->holder.tokens = arena_new_array(a, struct auth_token, 1);
	t->holder.tokens[0] = (struct auth_token){audience, arena_bytes(a, r->holder.tokens[0].token)};
	t->holder.n_tokens = 1;
	t->verified_ms = r->verified_ms;
	return t;
}

enum rc
exports_begin(struct exports *x, struct api_request *r, const struct export_wish *wish, struct api_response *w,
	      struct err *e)
{
	struct audit_page page = {0};
	pthread_t thread;
	enum rc rc = take_place(x, &r->holder.tenant, e);
	if (rc != RC_OK)
		return rc;
	struct export *t = export_new(x, r, wish);
	rc = ask(t, r->arena, &page, e);
	struct pipe *reader = t->pipe = pipe_new(PIPE_MAX);
	if (rc == RC_OK && !pipe_write(t->pipe, page.lines))
		rc = err_set(e, RC_INTERNAL, "the first page does not fit");
	t->next = page.next;
	t->size = page.size;
	t->held = page.lines.n;
	if (rc == RC_OK && !page.done) {
		if (pthread_create(&thread, NULL, export_main, t) == 0) {
			pthread_detach(thread);
			w->pipe = reader;
			return RC_OK;
		}
		rc = err_set(e, RC_RETRY, "no thread");
	}
	pipe_end(&t->pipe, rc != RC_OK);
	arena_free(&t->arena);
	free(t);
	leave_place(x, &r->holder.tenant);
	if (rc == RC_OK)
		w->pipe = reader;
	else
		pipe_close(&reader);
	return rc;
}
