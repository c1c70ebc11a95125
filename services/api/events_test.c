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
static bus_listener appended;
static void *appended_ctx;
static int verified, asked, asked_without_token;
/* By tenant: questions, how many at once, the most at once; how long one takes; entries of its log, of which a question
 * looks at ten and finds none of the type. */
static int questions[4], at_once[4], most[4];
static useconds_t takes_us[4];
static uint64_t log_size[4];
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
	appended = fn;
	appended_ctx = ctx;
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
	int t = c->tenant->b[0];
	questions[t]++;
	if (++at_once[t] > most[t])
		most[t] = at_once[t];
	useconds_t us = takes_us[t];
	uint64_t size = log_size[t] > q->after ? log_size[t] : q->after;
	pthread_mutex_unlock(&lock);
	usleep(us);
	pthread_mutex_lock(&lock);
	at_once[t]--;
	pthread_mutex_unlock(&lock);
	*out_r = (struct audit_events){.next = size - q->after > 10 ? q->after + 10 : size, .size = size};
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
	memset(questions, 0, sizeof(questions));
	memset(most, 0, sizeof(most));
	memset(takes_us, 0, sizeof(takes_us));
	memset(log_size, 0, sizeof(log_size));
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

static void
one_tenants_streams_do_not_hold_anothers_up(void **state)
{
	enum { MANY = 12 };
	struct events *v = begin_all(RC_OK);
	struct pipe *slow[MANY];
	takes_us[1] = 50000;
	log_size[1] = log_size[3] = 1000000;
	/* The other's is the oldest, which the list has last. */
	struct pipe *other = stream_of(v, 2, clock_mono_ms());
	assert_true(drain(other));
	wait_for_count(&questions[2], 1);
	for (int i = 0; i < MANY; i++) {
		slow[i] = stream_of(v, 1, clock_mono_ms());
		assert_true(drain(slow[i]));
	}
	wait_for_count(&questions[1], 4);
	uint8_t tenant[16] = {2};
	appended(appended_ctx, "", bytes_of(tenant, sizeof(tenant)));
	wait_for_count(&questions[2], 2);
	/* And among its own each has its turn: twelve streams in two threads, 50 ms each. */
	wait_for_count(&questions[1], 3 * MANY);
	assert_int_equal(count_of(&most[1]), 2);
	events_close(&v);
	for (int i = 0; i < MANY; i++)
		pipe_close(&slow[i]);
	pipe_close(&other);
}

static void
what_finds_nothing_is_asked_slowly(void **state)
{
	struct events *v = begin_all(RC_OK);
	log_size[3] = 1000000;
	struct pipe *p = stream_of(v, 3, clock_mono_ms());
	assert_true(drain(p));
	wait_for_count(&questions[3], 5);
	int64_t began = clock_mono_ms();
	int before = count_of(&questions[3]);
	usleep(200000);
	int more = count_of(&questions[3]) - before;
	assert_in_range(more, 1, (clock_mono_ms() - began) / 20 + 2);
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
	    cmocka_unit_test(one_tenants_streams_do_not_hold_anothers_up),
	    cmocka_unit_test(what_finds_nothing_is_asked_slowly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
