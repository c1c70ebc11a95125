/* SPDX-License-Identifier: MIT
 *
 * Streams with an auth and an audit of the test's own: what a stream asks, with what, and how often.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "bus/bus.h"
#include "client/audit_client.h"
#include "core/clock.h"
#include "events.h"
#include "pipe.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static enum rc auth_says;
static int verified, asked, asked_without_token;
static const char *const audiences[] = {"audit", NULL};
static const struct api_operation operation = {.id = "streamEvents", .audiences = audiences};

static void
sleeps(void *ctx)
{
}

/* --- what events.c calls
 * ----------------------------------------------------------------------------------------
 */
enum rc
bus_listen(struct bus *b, const char *subject, const char *queue_group, bus_listener fn, void *ctx, struct err *e)
{
	return RC_OK;
}

enum rc
bus_publish(struct bus *b, const char *subject, struct bytes payload, struct err *e)
{
	return RC_OK;
}

struct bytes
api_token(const struct api_request *r, const char *audience)
{
	return r->holder.tokens[0].token;
}

static struct auth_key_holder
holder_of(uint8_t tenant, struct arena *a)
{
	struct auth_key_holder h = {.tenant.b = {tenant}, .n_tokens = 1};
	h.tokens = arena_new_array(a, struct auth_token, 1);
	h.tokens[0] = (struct auth_token){"audit", arena_bytes(a, bytes_str("token"))};
	return h;
}

enum rc
api_verify_again(const struct api *api, const struct api_request *r, struct arena *a, struct auth_key_holder *out_r,
		 struct err *e)
{
	pthread_mutex_lock(&lock);
	enum rc rc = auth_says;
	verified++;
	pthread_mutex_unlock(&lock);
	if (rc != RC_OK)
		return err_set(e, rc, "auth is down");
	*out_r = holder_of((uint8_t)r->key[0], a);
	return RC_OK;
}

enum rc
audit_events(const struct audit_call *c, const struct audit_events_question *q, struct arena *a,
	     struct audit_events *out_r, struct err *e)
{
	pthread_mutex_lock(&lock);
	asked++;
	asked_without_token += !bytes_eq(c->actor_token, bytes_str("token"));
	pthread_mutex_unlock(&lock);
	*out_r = (struct audit_events){.next = q->after, .size = q->after};
	return RC_OK;
}

/* --- the tests' tools
 * -------------------------------------------------------------------------------------------
 */
static struct svc svc;
static struct api api = {.svc = &svc, .rpc_ms = 1000};
static struct metric opened = {"opened", METRIC_GAUGE, ""}, sent = {"sent", METRIC_COUNTER, ""};

static struct events *
begin_all(enum rc auth)
{
	struct events *v = NULL;
	struct err e = {0};
	struct events_options o = {.streams_max = 64, .tenant_max = 32, .open = &opened, .sent = &sent};
	auth_says = auth;
	verified = asked = asked_without_token = 0;
	assert_int_equal(events_open(&o, &api, &v, &e), RC_OK);
	return v;
}

/* A stream of the tenant; its request is over when this returns. */
static struct pipe *
stream_of(struct events *v, uint8_t tenant, int64_t verified_ms)
{
	struct arena *a = arena_new();
	struct err e = {0};
	char key[] = {(char)tenant, '\0'};
	struct api_request r = {.op = &operation,
				.key = key,
				.client_ip = "",
				.request_id = "",
				.traceparent = "",
				.verified_ms = verified_ms,
				.holder = holder_of(tenant, a)};
	struct api_response w = {0};
	assert_int_equal(events_begin(v, &r, 0, NULL, 0, &w, &e), RC_OK);
	memset((void *)(uintptr_t)r.holder.tokens[0].token.p, 'x', r.holder.tokens[0].token.n);
	arena_free(&a);
	return w.pipe;
}

/* All that was written up to now is taken; false: the stream is over. */
static bool
drain(struct pipe *p)
{
	char to[4096];
	long n = 0;
	while ((n = pipe_read(p, to, sizeof(to), sleeps, sleeps, NULL)) > 0)
		;
	return n == 0;
}

static int
count_of(const int *n)
{
	pthread_mutex_lock(&lock);
	int now = *n;
	pthread_mutex_unlock(&lock);
	return now;
}

static void
wait_for_count(const int *n, int at_least)
{
	int64_t deadline = clock_mono_ms() + 10000;
	while (count_of(n) < at_least && clock_left_ms(deadline) > 0)
		usleep(2000);
	assert_true(count_of(n) >= at_least);
}

/* --- the tests
 * --------------------------------------------------------------------------------------------------
 */
static void
a_new_stream_asks_with_the_requests_token(void **state)
{
	struct events *v = begin_all(RC_RETRY);
	struct pipe *p = stream_of(v, 1, clock_mono_ms());
	assert_true(drain(p));
	wait_for_count(&asked, 1);
	assert_int_equal(count_of(&asked_without_token), 0);
	assert_int_equal(count_of(&verified), 0); /* it was verified a moment ago */
	events_close(&v);
	pipe_close(&p);
}

static void
auth_may_be_away_for_a_while(void **state)
{
	struct events *v = begin_all(RC_RETRY);
	struct pipe *p = stream_of(v, 1, clock_mono_ms() - 50000);
	assert_true(drain(p));
	wait_for_count(&verified, 1);
	wait_for_count(&asked, 1);
	assert_true(drain(p));
	assert_int_equal(count_of(&asked_without_token), 0);
	events_close(&v);
	pipe_close(&p);
}

static void
a_token_that_is_too_old_asks_nothing(void **state)
{
	struct events *v = begin_all(RC_RETRY);
	struct pipe *p = stream_of(v, 1, clock_mono_ms() - 61000);
	int64_t deadline = clock_mono_ms() + 10000;
	while (drain(p) && clock_left_ms(deadline) > 0)
		usleep(2000);
	assert_false(drain(p));
	assert_int_equal(count_of(&asked), 0);
	events_close(&v);
	pipe_close(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_new_stream_asks_with_the_requests_token),
	    cmocka_unit_test(auth_may_be_away_for_a_while),
	    cmocka_unit_test(a_token_that_is_too_old_asks_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
