/* SPDX-License-Identifier: MIT
 *
 * The life of a request: first callback (route, check headers) -> with a body: suspended, a worker asks about the key,
 * resumed -> body -> suspended, on a worker -> resumed -> answered, at once or from a pipe. A connection's state is
 * touched by one thread at a time: libmicrohttpd's until it is suspended, the worker's until it is resumed.
 */
#include "http.h"

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "door.h"
#include "events.h"
#include "export.h"
#include "head.h"
#include "pipe.h"
#include "problem.h"
#include "workers.h"

/* What is read of a body that is refused, so that the gateway gets our answer and not a reset. */
#define FORGET_MAX (80 * 1024 * 1024)

struct http {
	const struct api *api;
	struct http_metrics metrics;
	struct MHD_Daemon *daemon;
	struct workers *workers;
	struct door *door;
	int64_t bodies_max;
	_Atomic int64_t bodies;	     /* octets held */
	_Atomic int64_t connections; /* handed to the library and not yet completed */
};

struct exchange {
	struct http *http;
	struct MHD_Connection *connection;
	struct api_request request;
	struct api_response response;
	struct buf body;
	int64_t reserved;  /* of http->bodies */
	int64_t forgotten; /* octets of a refused body that were read away */
	int64_t began_us;
	bool verifying; /* on a worker, for the key alone */
	bool executed;
	char id[UUID_STR_SIZE], trace[TRACEPARENT_SIZE];
};

static const char *
header(struct exchange *x, const char *name)
{
	const char *v = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
	return v != NULL ? arena_strdup(x->request.arena, v) : "";
}

/* Printed in logs and answers, so only what cannot disturb either. */
static bool
request_id_valid(const char *s)
{
	size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:");
	return n > 0 && n <= 64 && s[n] == '\0';
}

static struct exchange *
exchange_new(struct http *h, struct MHD_Connection *connection)
{
	struct exchange *x = calloc(1, sizeof(*x));
	if (x == NULL)
		abort();
	x->http = h;
	x->connection = connection;
	x->began_us = clock_wall_us();
	buf_init(&x->body, 0);
	buf_init(&x->response.body, 0);
	struct api_request *r = &x->request;
	r->arena = arena_new();
	r->content_type = header(x, "Content-Type");
	r->content_encoding = header(x, "Content-Encoding");
	r->authorization = header(x, "Authorization");
	r->idempotency_key = header(x, "Idempotency-Key");
	r->if_match = header(x, "If-Match");
	r->if_none_match = header(x, "If-None-Match");
	r->accept = header(x, "Accept");
	r->last_event_id = header(x, "Last-Event-ID");
	r->sender = header(x, "X-Sekisho-Sender");
	r->recipients = header(x, "X-Sekisho-Recipients");
	r->client_ip = header(x, "X-Sekisho-Client");
	r->request_id = header(x, "X-Request-Id");
	if (!request_id_valid(r->request_id)) {
		struct uuid u = uuid_v7(x->began_us);
		uuid_format(&u, x->id);
		r->request_id = x->id;
	}
	traceparent_child(header(x, "traceparent"), x->trace);
	r->traceparent = x->trace;
	r->param = "";
	atomic_fetch_add(&h->connections, 1);
	return x;
}

static void
exchange_free(struct exchange *x)
{
	atomic_fetch_sub(&x->http->bodies, x->reserved);
	atomic_fetch_sub(&x->http->connections, 1);
	pipe_close(&x->response.pipe);
	json_decref(x->request.json);
	arena_free(&x->request.arena);
	buf_done(&x->body);
	buf_done(&x->response.body);
	free(x);
}

static void
record(struct exchange *x)
{
	int64_t us = clock_wall_us() - x->began_us;
	int class = x->response.status / 100;
	metric_add(x->http->metrics.requests, class < 4 ? 0 : class == 4 ? 1 : 2, 1);
	metric_observe_us(x->http->metrics.seconds, us);
	log_info("request", LOG_STR("http.request.id", x->request.request_id),
		 LOG_STR("sekisho.operation", x->request.op != NULL ? x->request.op->id : "none"),
		 LOG_INT("http.response.status_code", x->response.status), LOG_INT("duration_us", us),
		 LOG_TRACE(x->request.traceparent));
}

static void
put_to_sleep(void *ctx)
{
	MHD_suspend_connection(ctx);
}

static void
wake_up(void *ctx)
{
	MHD_resume_connection(ctx);
}

static ssize_t
read_pipe(void *cls, uint64_t pos, char *to, size_t max)
{
	struct exchange *x = cls;
	long n = pipe_read(x->response.pipe, to, max, put_to_sleep, wake_up, x->connection);
	if (n == PIPE_END)
		return MHD_CONTENT_READER_END_OF_STREAM;
	return n == PIPE_BROKEN ? MHD_CONTENT_READER_END_WITH_ERROR : (ssize_t)n;
}

static enum MHD_Result
answer(struct exchange *x)
{
	struct api_response *w = &x->response;
	record(x);
	api_rate_headers(x->http->api, &x->request, w);
	struct MHD_Response *m =
	    w->pipe != NULL ? MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16 * 1024, read_pipe, x, NULL)
			    : MHD_create_response_from_buffer(w->body.n, w->body.p, MHD_RESPMEM_MUST_COPY);
	if (m == NULL)
		return MHD_NO;
	/* One request per connection is what makes the door's look at it binding. */
	MHD_add_response_header(m, "Connection", "close");
	MHD_add_response_header(m, "Cache-Control", "no-store");
	MHD_add_response_header(m, "X-Request-Id", x->request.request_id);
	MHD_add_response_header(m, "traceparent", x->request.traceparent);
	if (w->content_type != NULL)
		MHD_add_response_header(m, "Content-Type", w->content_type);
	for (size_t i = 0; i < w->n_headers; i++)
		MHD_add_response_header(m, w->headers[i].name, w->headers[i].value);
	enum MHD_Result ok = MHD_queue_response(x->connection, (unsigned)w->status, m);
	MHD_destroy_response(m);
	return ok;
}

/* To a worker, while the connection sleeps. */
static void
hand_over(struct exchange *x, bool verifying)
{
	const struct api_request *r = &x->request;
	/* The tenant is known of what has a body, which is what can be slow; of the rest the key is. */
	struct bytes owner = r->verified ? bytes_of(r->holder.tenant.b, sizeof(r->holder.tenant.b))
					 : bytes_str(r->key != NULL ? r->key : "");
	enum workers_kind kind = WORKERS_BRIEF;
	if (!verifying && r->op->body == API_BODY_MESSAGE)
		kind = WORKERS_LONG;
	else if (!verifying && (r->op->flags & API_SLOW) != 0)
		kind = WORKERS_SLOW;
	x->verifying = verifying;
	MHD_suspend_connection(x->connection);
	if (workers_push(x->http->workers, x, kind, owner))
		return;
	problem_set(&x->request, &x->response, "overload", NULL, "too many requests are waiting");
	x->executed = !verifying;
	MHD_resume_connection(x->connection);
}

/* A refusal waits until the body has been read away; without a body it is said at once. */
static enum MHD_Result
begin(struct exchange *x, const char *path, const char *method)
{
	const char *text = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, "Content-Length");
	bool chunked = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, "Transfer-Encoding") != NULL;
	int64_t length = text != NULL ? strtoll(text, NULL, 10) : 0; /* the door has seen that it is a number */
	bool body = chunked || length > 0;
	struct api_request *r = &x->request;
	if (head_check(x->http->api, r, &x->response, path, method, length, chunked)) {
		/* Nobody's body is taken before auth knows the key. */
		if (body && r->op->audiences != NULL)
			hand_over(x, true);
		return MHD_YES;
	}
	return chunked || (length > 0 && length <= FORGET_MAX) ? MHD_YES : answer(x);
}

/* Keep a piece of the body; false with a problem when a bound is met. */
static bool
take_body(struct exchange *x, const char *data, size_t n)
{
	int64_t bound = head_body_bound(x->http->api, x->request.op);
	if ((int64_t)(x->body.n + n) > bound) {
		problem_set(&x->request, &x->response, "too_large", NULL, "the body may have at most %lld octets",
			    (long long)bound);
		return false;
	}
	if (atomic_fetch_add(&x->http->bodies, (int64_t)n) + (int64_t)n > x->http->bodies_max) {
		atomic_fetch_sub(&x->http->bodies, (int64_t)n);
		problem_set(&x->request, &x->response, "overload", NULL, "too much is being uploaded at once");
		return false;
	}
	x->reserved += (int64_t)n;
	buf_add(&x->body, data, n);
	return buf_ok(&x->body);
}

static enum MHD_Result
collect_argument(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct api_request *r = cls;
	r->query[r->n_query++] =
	    (struct api_pair){arena_strdup(r->arena, name), value != NULL ? arena_strdup(r->arena, value) : ""};
	return MHD_YES;
}

static enum MHD_Result
count_argument(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	(*(size_t *)cls)++;
	return MHD_YES;
}

static void
execute(void *ctx, void *item)
{
	struct exchange *x = item;
	if (x->verifying) {
		if (!api_verify(x->http->api, &x->request, &x->response) && x->response.status == 0)
			abort(); /* a refusal has words */
	} else {
		api_execute(x->http->api, &x->request, &x->response);
		x->executed = true;
	}
	MHD_resume_connection(x->connection);
}

static enum MHD_Result
start(struct exchange *x)
{
	struct api_request *r = &x->request;
	size_t n = 0;
	MHD_get_connection_values(x->connection, MHD_GET_ARGUMENT_KIND, count_argument, &n);
	r->query = arena_new_array(r->arena, struct api_pair, n + 1);
	MHD_get_connection_values(x->connection, MHD_GET_ARGUMENT_KIND, collect_argument, r);
	r->body = buf_bytes(&x->body);
	hand_over(x, false);
	return MHD_YES;
}

static enum MHD_Result
on_request(void *cls, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
	   const char *data, size_t *size, void **state)
{
	struct exchange *x = *state;
	if (x == NULL) {
		x = *state = exchange_new(cls, connection);
		return begin(x, url, method);
	}
	if (x->executed)
		return answer(x);
	/* Suspended in the first callback, the library makes that one again before it reads the body. */
	if (x->verifying) {
		x->verifying = false;
		if (*size == 0)
			return MHD_YES;
	}
	if (*size == 0)
		return x->response.status != 0 ? answer(x) : start(x);
	/* An answer cannot be queued in the middle of a body: some of what is refused is read and forgotten. */
	if (x->response.status != 0 && (x->forgotten += (int64_t)*size) > FORGET_MAX)
		return MHD_NO;
	if (x->response.status == 0 && !take_body(x, data, *size)) {
		buf_done(&x->body);
		atomic_fetch_sub(&x->http->bodies, x->reserved);
		x->reserved = 0;
		if (x->response.status == 0)
			problem_set(&x->request, &x->response, "overload", NULL, "out of memory");
	}
	*size = 0;
	return MHD_YES;
}

static void
on_completed(void *cls, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode code)
{
	if (*state != NULL)
		exchange_free(*state);
	*state = NULL;
}

/* Left encoded: decoding is strict and ours (api_percent_decode), after the path was split. */
static size_t
leave_encoded(void *cls, struct MHD_Connection *connection, char *s)
{
	return strlen(s);
}

static bool
pass_in(void *ctx, int fd)
{
	struct http *h = ctx;
	struct sockaddr sa = {.sa_family = AF_UNIX};
	return MHD_add_connection(h->daemon, fd, &sa, sizeof(sa.sa_family)) == MHD_YES;
}

enum rc
http_open(const struct http_options *o, const struct api *api, const struct http_metrics *m, struct http **out_r,
	  struct err *e)
{
	struct http *h = calloc(1, sizeof(*h));
	if (h == NULL)
		abort();
	h->api = api;
	h->metrics = *m;
	h->bodies_max = o->bodies_max;
	struct workers_options wo = {
	    .threads = o->threads,
	    .long_max = o->threads > 2 ? o->threads - 2 : 1,
	    .slow_max = o->threads > 8 ? o->threads / 4 : 2,
	    .queue_max = o->queue,
	    .owner_max = o->threads > 4 ? o->threads - o->threads / 4 : o->threads - 1,
	    .owner_queue_max = o->queue > 4 ? o->queue - o->queue / 4 : o->queue,
	};
	enum rc rc = workers_open(&wo, execute, h, &h->workers, e);
	if (rc == RC_OK) {
		h->daemon = MHD_start_daemon(
		    MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ITC | MHD_ALLOW_SUSPEND_RESUME,
		    0, NULL, NULL, on_request, h, MHD_OPTION_NOTIFY_COMPLETED, on_completed, h,
		    MHD_OPTION_UNESCAPE_CALLBACK, leave_encoded, NULL, MHD_OPTION_CONNECTION_TIMEOUT,
		    (unsigned)(o->idle_ms / 1000), MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)(128 * 1024),
		    MHD_OPTION_CONNECTION_LIMIT, 1024u, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
		if (h->daemon == NULL)
			rc = err_set(e, RC_INTERNAL, "libmicrohttpd does not start");
	}
	if (rc == RC_OK)
		rc = door_open(o->socket, pass_in, h, m->refused, &h->door, e);
	if (rc != RC_OK) {
		http_close(&h);
		return rc;
	}
	*out_r = h;
	return RC_OK;
}

#define DRAIN_MS 30000

void
http_close(struct http **hp)
{
	struct http *h = *hp;
	if (h == NULL)
		return;
	door_close(&h->door);
	events_stop(h->api->events);
	/* Bodies on their way, workers, answers: all under way until each exchange is completed. */
	int64_t deadline = clock_mono_ms() + DRAIN_MS;
	while (h->daemon != NULL && atomic_load(&h->connections) > 0 && clock_left_ms(deadline) > 0)
		usleep(10000);
	workers_close(&h->workers);
	exports_stop(h->api->exports);
	for (int i = 0; i < 100 && h->daemon != NULL && atomic_load(&h->connections) > 0; i++)
		usleep(10000);
	if (h->daemon != NULL)
		MHD_stop_daemon(h->daemon);
	free(h);
	*hp = NULL;
}
