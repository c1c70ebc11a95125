/* SPDX-License-Identifier: MIT
 *
 * Posts to a small server on loopback that answers badly in every way it can, and to names and numbers that lead where
 * nobody may.
 */
#include "post.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"

#define TIMEOUT_MS 700

static int listener;
static unsigned port;
static atomic_int requests;
static char seen[16384]; /* the last request */

/* path -> whole answer */
static const struct {
	const char *path, *answer;
} answers[] = {
    {"/ok", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"},
    {"/empty", "HTTP/1.1 204 No Content\r\n\r\n"},
    {"/wrong", "HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\nbad\n"},
    {"/later", "HTTP/1.1 503 Busy\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n"},
    {"/moved", "HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n"},
    {"/always", "HTTP/1.1 307 Again\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"},
    {"/gone", "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"},
    {"/short", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhi"},
    {"/old", "just text\n"},
    {"/nothing", ""},
    {"/garbage", "HTTP/9.9 abc\r\n\r\n"},
    {"/ssh", "SSH-2.0-OpenSSH_9.2\r\n"},
};

static void
say(int fd, const char *text, size_t n)
{
	while (n > 0) {
		ssize_t k = send(fd, text, n, MSG_NOSIGNAL);
		if (k <= 0)
			return;
		text += k;
		n -= (size_t)k;
	}
}

static void
answer(int fd, const char *path)
{
	char filler[4096];
	memset(filler, 'x', sizeof(filler));
	if (strcmp(path, "/endless") == 0) {
		say(fd, "HTTP/1.1 200 OK\r\n\r\n", 19);
		for (int i = 0; i < 100000; i++)
			if (send(fd, filler, sizeof(filler), MSG_NOSIGNAL) <= 0)
				return;
	} else if (strcmp(path, "/headers") == 0) {
		say(fd, "HTTP/1.1 200 OK\r\n", 17);
		for (int i = 0; i < 100; i++) {
			say(fd, "X-Filler: ", 10);
			say(fd, filler, 1000);
			say(fd, "\r\n", 2);
		}
		say(fd, "\r\n", 2);
	} else if (strcmp(path, "/slow") == 0) {
		usleep(3 * TIMEOUT_MS * 1000);
	} else if (strcmp(path, "/drip") == 0) {
		say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", 40);
		for (int i = 0; i < 30; i++) {
			say(fd, "x", 1);
			usleep(100000);
		}
	} else {
		for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
			if (strcmp(path, answers[i].path) == 0)
				say(fd, answers[i].answer, strlen(answers[i].answer));
	}
}

static void *
serve_one(void *ctx)
{
	int fd = (int)(intptr_t)ctx;
	char request[16384] = "", path[256] = "";
	size_t n = 0;
	const char *end = NULL;
	while (n < sizeof(request) - 1) {
		ssize_t k = recv(fd, request + n, sizeof(request) - 1 - n, 0);
		if (k <= 0)
			break;
		n += (size_t)k;
		request[n] = '\0';
		end = strstr(request, "\r\n\r\n");
		if (end != NULL && strstr(end, "}") != NULL)
			break;
	}
	atomic_fetch_add(&requests, 1);
	memcpy(seen, request, sizeof(seen));
	if (sscanf(request, "POST %255s", path) == 1)
		answer(fd, path);
	close(fd);
	return NULL;
}

static void *
serve(void *ctx)
{
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		pthread_t t;
		if (fd < 0)
			return NULL;
		if (pthread_create(&t, NULL, serve_one, (void *)(intptr_t)fd) != 0)
			abort();
		pthread_detach(t);
	}
}

static int
setup(void **state)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(at);
	pthread_t t;
	struct err e;
	/* must make no difference */
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("https_proxy", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&at, n) != 0 || listen(listener, 16) != 0 ||
	    getsockname(listener, (struct sockaddr *)&at, &n) != 0)
		return 1;
	port = ntohs(at.sin_port);
	return post_init(&e) != RC_OK || pthread_create(&t, NULL, serve, NULL) != 0;
}

static struct guard
guard_of(const char *allow, bool http)
{
	struct guard g;
	struct err e;
	assert_int_equal(guard_parse(allow, "any", http, &g, &e), RC_OK);
	return g;
}

static struct post_answer
post_to(const struct guard *g, const char *url)
{
	static const char *const headers[] = {"Content-Type: application/json", "webhook-id: x"};
	struct post_options o = {g, "", TIMEOUT_MS, TIMEOUT_MS};
	struct poster *p = poster_new(&o);
	struct post_answer a;
	poster_send(p, url, headers, 2, bytes_str("{\"a\":1}"), &a);
	poster_free(&p);
	assert_null(p);
	return a;
}

static struct post_answer
post_path(const char *path)
{
	struct guard g = guard_of("127.0.0.0/8", true);
	char url[128];
	snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", port, path);
	return post_to(&g, url);
}

static void
test_answers(void **state)
{
	static const struct {
		const char *path;
		enum post_outcome outcome;
		uint32_t status;
		bool whole;
		const char *body;
	} table[] = {
	    {"/ok", POST_OK, 200, true, "hi"},		 {"/empty", POST_OK, 204, true, ""},
	    {"/wrong", POST_STATUS, 500, true, "bad\n"}, {"/later", POST_STATUS, 503, true, ""},
	    {"/moved", POST_STATUS, 302, true, ""},	 {"/always", POST_STATUS, 307, true, ""},
	    {"/gone", POST_STATUS, 410, true, ""},	 {"/short", POST_BROKEN, 200, false, "hi"},
	    {"/old", POST_BROKEN, 0, false, ""},	 {"/nothing", POST_BROKEN, 0, false, ""},
	    {"/garbage", POST_BROKEN, 0, false, ""},	 {"/ssh", POST_BROKEN, 0, false, ""},
	    {"/slow", POST_TIMEOUT, 0, false, ""},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		int before = atomic_load(&requests);
		struct post_answer a = post_path(table[i].path);
		if (a.outcome != table[i].outcome || a.status != table[i].status || a.whole != table[i].whole ||
		    !bytes_eq(bytes_of(a.body, a.n_body), bytes_str(table[i].body)))
			fail_msg("%s: %s %u whole %d \"%.*s\"", table[i].path, post_outcome_str(a.outcome), a.status,
				 a.whole, (int)a.n_body, a.body);
		assert_int_equal(a.error[0] == '\0', a.outcome == POST_OK);
		assert_int_equal(atomic_load(&requests), before + 1); /* nothing is followed */
	}
	assert_int_equal(post_path("/later").retry_after_s, 120);
}

static void
test_bounds(void **state)
{
	struct post_answer a = post_path("/endless");
	assert_int_equal(a.outcome, POST_OK);
	assert_int_equal(a.n_body, POST_ANSWER_MAX);
	assert_true(a.duration_ms < TIMEOUT_MS);
	a = post_path("/headers");
	assert_int_equal(a.outcome, POST_BROKEN);
	assert_false(a.whole);
	a = post_path("/drip"); /* one limit over all of it, not per octet */
	assert_int_equal(a.outcome, POST_TIMEOUT);
	assert_false(a.whole);
	assert_true(a.duration_ms < 2 * TIMEOUT_MS);
}

static void
test_request(void **state)
{
	(void)post_path("/ok");
	assert_non_null(strstr(seen, "POST /ok HTTP/1.1\r\n"));
	assert_non_null(strstr(seen, "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(seen, "\r\nwebhook-id: x\r\n"));
	assert_non_null(strstr(seen, "\r\nContent-Length: 7\r\n"));
	assert_null(strstr(seen, "Expect"));
	assert_non_null(strstr(seen, "\r\n\r\n{\"a\":1}"));
}

/* A name that leads to loopback, and numbers however written: no octet leaves. */
static void
test_refused(void **state)
{
	static const char *const hosts[] = {"localhost", "127.0.0.1",	       "127.1",
					    "0x7f.1",	 "2130706433",	       "0.0.0.0",
					    "[::1]",	 "[::ffff:127.0.0.1]", "[::]"};
	struct guard strict = guard_of("", true), https_only = guard_of("127.0.0.0/8", false);
	int before = atomic_load(&requests);
	char url[128];
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		snprintf(url, sizeof(url), "http://%s:%u/ok", hosts[i], port);
		struct post_answer a = post_to(&strict, url);
		if (a.outcome != POST_REFUSED || strcmp(a.error, "refused address") != 0)
			fail_msg("%s: %s %s", url, post_outcome_str(a.outcome), a.error);
		snprintf(url, sizeof(url), "https://%s:%u/ok", hosts[i], port);
		a = post_to(&strict, url);
		if (a.outcome != POST_REFUSED)
			fail_msg("%s: %s %s", url, post_outcome_str(a.outcome), a.error);
	}
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/ok", port);
	assert_int_not_equal(post_to(&https_only, url).outcome, POST_OK);
	snprintf(url, sizeof(url), "file:///etc/passwd");
	assert_int_not_equal(post_to(&strict, url).outcome, POST_OK);
	assert_int_equal(atomic_load(&requests), before);
}

static void
test_nobody_there(void **state)
{
	struct guard g = guard_of("127.0.0.0/8", true);
	struct post_answer a = post_to(&g, "http://127.0.0.1:1/");
	assert_int_equal(a.outcome, POST_CONNECT);
	a = post_to(&g, "http://nobody.invalid/");
	assert_true(a.outcome == POST_RESOLVE || a.outcome == POST_TIMEOUT);
	if (a.outcome == POST_RESOLVE) /* nobody learns here which names exist inside */
		assert_string_equal(a.error, "refused address");
	char url[64];
	snprintf(url, sizeof(url), "https://127.0.0.1:%u/", port); /* speaks no TLS */
	a = post_to(&g, url);
	assert_true(a.outcome == POST_TLS || a.outcome == POST_TIMEOUT || a.outcome == POST_BROKEN);
	assert_int_equal(a.status, 0);
}

/* Last: it cannot be undone. */
static void
test_stop(void **state)
{
	post_stop();
	int64_t began = clock_mono_ms();
	assert_int_equal(post_path("/slow").outcome, POST_STOPPED);
	assert_true(clock_mono_ms() - began < TIMEOUT_MS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_answers), cmocka_unit_test(test_bounds),	 cmocka_unit_test(test_request),
	    cmocka_unit_test(test_refused), cmocka_unit_test(test_nobody_there), cmocka_unit_test(test_stop),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
