/* SPDX-License-Identifier: MIT
 *
 * The dialogue against a server of our own on loopback that plays a given part: per-recipient answers, no PIPELINING,
 * a connection that is lost before or after the final dot, plain text behind the reply to STARTTLS, bare CR and LF.
 */
#include "session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"
#include "lease.h"
#include "wire.h"

/* Whether the lease is kept is not linked in but played here: so many times, then it is somebody else's. */
static int kept, keeps = -1; /* -1: always */
enum rc
lease_keep(struct delivery *d, struct job *j, struct err *e)
{
	kept++;
	return keeps < 0 || kept <= keeps ? RC_OK : err_set(e, RC_CONFLICT, "the lease has ended");
}

struct part {
	const char *ehlo;     /* lines behind 250-test, each "250-WORD\r\n", the last "250 WORD\r\n" */
	const char *mail;     /* reply to MAIL */
	const char *data;     /* reply to DATA */
	const char *dot;      /* reply to the final dot; NULL: close instead */
	const char *starttls; /* reply to STARTTLS, with whatever is sent behind it in clear */
	bool close_at_data;   /* close when DATA comes */
};
struct server {
	struct part part;
	int listener, port;
	pthread_t thread;
	char got[1 << 21]; /* everything the client wrote */
	size_t n;
};

static void
say(int fd, const char *text)
{
	(void)!write(fd, text, strlen(text));
}

/* Reads on until `what` stands at or behind *from; false at the end. *from moves behind it. */
static bool
read_until(struct server *s, int fd, size_t *from, const char *what)
{
	for (;;) {
		char *at = s->n > *from ? memmem(s->got + *from, s->n - *from, what, strlen(what)) : NULL;
		if (at != NULL) {
			*from = (size_t)(at - s->got) + strlen(what);
			return true;
		}
		ssize_t k = read(fd, s->got + s->n, sizeof(s->got) - 1 - s->n);
		if (k <= 0)
			return false;
		s->n += (size_t)k;
	}
}

static void *
serve(void *ctx)
{
	struct server *s = ctx;
	const struct part *p = &s->part;
	int fd = accept(s->listener, NULL, NULL);
	size_t at = 0, line;
	say(fd, "220 test\r\n");
	while (line = at, read_until(s, fd, &at, "\r\n")) {
		const char *c = s->got + line;
		if (strncmp(c, "EHLO", 4) == 0) {
			say(fd, "250-test\r\n");
			say(fd, p->ehlo);
		} else if (strncmp(c, "MAIL", 4) == 0) {
			say(fd, p->mail != NULL ? p->mail : "250 2.1.0 ok\r\n");
		} else if (strncmp(c, "RCPT TO:<bad", 12) == 0) {
			say(fd, "550 5.1.1 nobody\r\n");
		} else if (strncmp(c, "RCPT TO:<later", 14) == 0) {
			say(fd, "450 4.2.1 later\r\n");
		} else if (strncmp(c, "STARTTLS", 8) == 0) {
			say(fd, p->starttls);
		} else if (strncmp(c, "DATA", 4) == 0) {
			if (p->close_at_data)
				break;
			say(fd, p->data != NULL ? p->data : "354 go\r\n");
			if (p->data != NULL)
				continue;
			size_t body = at >= 2 ? at - 2 : at; /* so that an empty message ends too */
			if (!read_until(s, fd, &body, "\r\n.\r\n") || p->dot == NULL)
				break;
			at = body;
			say(fd, p->dot);
		} else if (strncmp(c, "QUIT", 4) == 0) {
			break;
		} else {
			say(fd, "250 2.0.0 ok\r\n");
		}
	}
	close(fd);
	return NULL;
}

static void
server_start(struct server *s, struct part part)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t n = sizeof(a);
	memset(s, 0, sizeof(*s));
	s->part = part;
	s->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(s->listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(s->listener, 4), 0);
	getsockname(s->listener, (struct sockaddr *)&a, &n);
	s->port = ntohs(a.sin_port);
	pthread_create(&s->thread, NULL, serve, s);
}

static void
server_end(struct server *s)
{
	shutdown(s->listener, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->listener);
}

#define RCPTS 3
struct mail {
	struct store_message message;
	struct job_leg legs[RCPTS];
	struct job job;
};

static void
mail_init(struct mail *m)
{
	static const char *const to[RCPTS] = {"good@example.net", "bad@example.net", "later@example.net"};
	memset(m, 0, sizeof(*m));
	m->message = (struct store_message){.mail_from = bytes_str("a@example.test"), .ret = ""};
	for (int i = 0; i < RCPTS; i++) {
		m->legs[i].leg = (struct store_leg){.number = i, .address = bytes_str(to[i]), .notify = "", .tls = ""};
		m->legs[i].event = LEG_EVENTS;
	}
	m->job = (struct job){.message = &m->message,
			      .legs = m->legs,
			      .n_legs = RCPTS,
			      .lease_us = clock_wall_us() + INT64_C(3600000000)};
}

/* Play it: what became of the recipients stands in m. */
static enum rc
play(struct server *s, struct part part, const char *body, struct mail *m, enum route_tls tls)
{
	static struct delivery d;
	struct route_targets to = {.n = 1, .tls = tls};
	struct session *session = NULL;
	struct bytes piece = bytes_str(body);
	struct session_message sm = {.pieces = &piece, .n_pieces = 1, .size = piece.n};
	struct err err;
	server_start(s, part);
	mail_init(m);
	kept = 0;
	snprintf(to.v[0].host, sizeof(to.v[0].host), "127.0.0.1");
	snprintf(to.v[0].address, sizeof(to.v[0].address), "127.0.0.1");
	to.v[0].port = s->port;
	enum rc rc = session_open(&d, &to, "hop test", &session, NULL, 0, &err);
	if (rc == RC_OK)
		rc = session_send(session, &m->job, &sm, &err);
	session_close(&session);
	server_end(s);
	return rc;
}

#define PIPE  "250 PIPELINING\r\n"
#define PLAIN "250 SIZE\r\n"

static void
partial(void **state)
{
	static struct server s;
	struct mail m;
	for (int pipe = 0; pipe < 2; pipe++) {
		struct part p = {.ehlo = pipe ? PIPE : PLAIN, .dot = "250 2.0.0 taken\r\n"};
		assert_int_equal(play(&s, p, "Subject: x\r\n\r\n.dot\r\n", &m, ROUTE_TLS_MAY), RC_OK);
		assert_int_equal(m.legs[0].event, LEG_ON_ACCEPT);
		assert_string_equal(m.legs[0].reply, "250 2.0.0 taken");
		assert_int_equal(m.legs[1].event, LEG_ON_BOUNCE);
		assert_string_equal(m.legs[1].reply, "550 5.1.1 nobody");
		assert_int_equal(m.legs[2].event, LEG_ON_DEFER);
		assert_non_null(strstr(s.got, "\r\n..dot\r\n.\r\n"));
		assert_string_equal(m.job.tls, "none");
	}
}

static void
replies(void **state)
{
	static const struct {
		struct part p;
		enum leg_event first;
		enum rc rc;
	} rows[] = {
	    {{.ehlo = PIPE, .dot = "451 4.3.0 later\r\n"}, LEG_ON_DEFER, RC_OK},
	    {{.ehlo = PIPE, .dot = "554 5.7.1 no\r\n"}, LEG_ON_BOUNCE, RC_OK},
	    {{.ehlo = PIPE, .mail = "550 5.7.1 not you\r\n", .data = "503 5.5.1 bad\r\n"}, LEG_ON_BOUNCE, RC_OK},
	    {{.ehlo = PIPE, .mail = "451 4.3.0 later\r\n", .data = "503 5.5.1 bad\r\n"}, LEG_ON_DEFER, RC_OK},
	    {{.ehlo = PLAIN, .mail = "550 5.7.1 not you\r\n"}, LEG_ON_BOUNCE, RC_OK},
	    {{.ehlo = PIPE, .data = "452 4.3.1 full\r\n"}, LEG_ON_DEFER, RC_OK},
	    {{.ehlo = PIPE, .close_at_data = true}, LEG_EVENTS, RC_RETRY},	  /* nothing was taken: try again */
	    {{.ehlo = PIPE, .dot = NULL}, LEG_ON_LOSE, RC_RETRY},		  /* who knows */
	    {{.ehlo = PIPE, .dot = "250\n"}, LEG_ON_LOSE, RC_RETRY},		  /* not SMTP, after the dot */
	    {{.ehlo = PIPE, .dot = "250-a\r\n550 b\r\n"}, LEG_ON_LOSE, RC_RETRY}, /* two codes in one reply */
	};
	static struct server s;
	struct mail m;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum rc rc = play(&s, rows[i].p, "Subject: x\r\n\r\nbody\r\n", &m, ROUTE_TLS_MAY);
		if (rc != rows[i].rc || m.legs[0].event != rows[i].first)
			fail_msg("row %zu: %s, %s", i, rc_str(rc), leg_event_str(m.legs[0].event));
	}
}

/* Smuggling, the way out: a message with a bare CR or LF never gets its final dot. */
static void
bare_line_ends(void **state)
{
	static const char *const bodies[] = {"Subject: x\r\n\r\na\n.\r\nMAIL FROM:<evil@example.org>\r\n",
					     "Subject: x\r\n\r\na\r.\r\nMAIL\r\n",
					     "Subject: x\r\n\r\na\n.\nb\r\n",
					     "Subject: x\r\n\r\na\r\r\n.\r\r\nb\r\n",
					     "Subject: x\n\nb\r\n",
					     "Subject: x\r\n\r\nlast\r"};
	static struct server s;
	struct mail m;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct part p = {.ehlo = PIPE, .dot = "250 2.0.0 taken\r\n"};
		assert_int_not_equal(play(&s, p, bodies[i], &m, ROUTE_TLS_MAY), RC_OK);
		assert_int_equal(m.legs[0].event, LEG_ON_BOUNCE);
		assert_string_equal(m.legs[0].status, "5.6.0");
		assert_null(memmem(s.got, s.n, "\r\n.\r\n", 5));
	}
}

static void
starttls_injection(void **state)
{
	static struct server s;
	struct mail m;
	struct part p = {.ehlo = "250 STARTTLS\r\n",
			 .starttls = "220 go\r\n250-test\r\n250 AUTH PLAIN\r\n",
			 .dot = "250 2.0.0 taken\r\n"};
	assert_int_equal(play(&s, p, "Subject: x\r\n\r\nb\r\n", &m, ROUTE_TLS_ENCRYPT), RC_RETRY);
	assert_int_equal(m.legs[0].event, LEG_EVENTS);
	assert_null(strstr(s.got, "MAIL"));
	/* Required and not offered: nothing leaves in clear. */
	p = (struct part){.ehlo = PIPE, .dot = "250 2.0.0 taken\r\n"};
	assert_int_equal(play(&s, p, "Subject: x\r\n\r\nb\r\n", &m, ROUTE_TLS_VERIFY), RC_RETRY);
	assert_null(strstr(s.got, "MAIL"));
}

/* Before every block and before the dot the lease must be ours. However far the body has come, without it no dot
 * leaves, and what was tried counts as an attempt. */
static void
lease(void **state)
{
	static struct server s;
	struct mail m;
	struct part p = {.ehlo = PIPE, .dot = "250 2.0.0 taken\r\n"};
	size_t n = 1000000, blocks = 0;
	char *large = malloc(n + 1);
	for (size_t i = 0; i < n; i++)
		large[i] = i % 50 == 48 ? '\r' : i % 50 == 49 ? '\n' : 'x';
	large[n] = '\0';
	assert_int_equal(play(&s, p, large, &m, ROUTE_TLS_MAY), RC_OK);
	assert_int_equal(m.legs[0].event, LEG_ON_ACCEPT);
	blocks = (size_t)kept;
	assert_true(blocks >= 4);
	for (keeps = 0; keeps < (int)blocks; keeps++) {
		assert_int_equal(play(&s, p, large, &m, ROUTE_TLS_MAY), RC_CONFLICT);
		assert_int_equal(m.legs[0].event, LEG_ON_DEFER);
		assert_string_equal(m.legs[0].status, "4.4.2");
		assert_int_equal(m.legs[1].event, LEG_ON_BOUNCE);
		assert_null(memmem(s.got, s.n, "\r\n.\r\n", 5));
	}
	keeps = -1;
	free(large);
}

static int
setup(void **state)
{
	struct err err;
	delivery_config.hostname = "client.test";
	delivery_config.connect_ms = delivery_config.greeting_ms = delivery_config.command_ms = 5000;
	delivery_config.data_ms = delivery_config.block_ms = delivery_config.dot_ms = 5000;
	return wire_init("", &err) == RC_OK ? 0 : -1;
}

static int
teardown(void **state)
{
	wire_done();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(partial),	      cmocka_unit_test(replies),
	    cmocka_unit_test(bare_line_ends), cmocka_unit_test(starttls_injection),
	    cmocka_unit_test(lease),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
