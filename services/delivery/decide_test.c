/* SPDX-License-Identifier: MIT
 *
 * The decisions of the scheduler and of the results, without a database: what follows from a leg that is due and from
 * what became of an attempt; who is told; where lanes let jobs go.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bounce.h"
#include "delivery.h"
#include "lanes.h"
#include "reach.h"
#include "results.h"
#include "route.h"
#include "schedule.h"

#define SECOND INT64_C(1000000)
#define NOW    (INT64_C(1795319589) * SECOND)

static struct delivery_config cfg = {.retry_ms = {1000, 5000}, .n_retry = 2, .expiry_ms = 100000, .delay_ms = 10000};

static void
due(void **state)
{
	static const struct {
		enum leg_state from;
		int attempts, age_s;
		bool ask, claimed;
		enum leg_state to;
		int steps;
		bool duplicate;
		const char *action;
	} rows[] = {
	    {LEG_QUEUED, 0, 0, false, true, LEG_SENDING, 1, false, NULL},
	    {LEG_HELD, 0, 30, false, true, LEG_SENDING, 2, false, "recipient.released"},
	    {LEG_DEFERRED, 1, 30, false, true, LEG_SENDING, 2, false, NULL},
	    {LEG_DEFERRED, 3, 100, false, false, LEG_EXPIRED, 2, false, "recipient.expired"},
	    {LEG_DEFERRED, 3, 99, false, true, LEG_SENDING, 2, false, NULL},
	    {LEG_HELD, 0, 500, false, true, LEG_SENDING, 2, false, "recipient.released"}, /* one attempt at least */
	    {LEG_SENDING, 1, 30, false, true, LEG_SENDING, 3, true, "recipient.uncertain"},
	    {LEG_SENDING, 1, 30, true, false, LEG_UNCERTAIN, 1, false, "recipient.uncertain"},
	    {LEG_UNCERTAIN, 1, 30, false, true, LEG_SENDING, 2, true, NULL},
	    {LEG_QUARANTINED, 0, 30, false, false, LEG_QUARANTINED, 0, false, NULL},
	    {LEG_DELIVERED, 1, 30, false, false, LEG_DELIVERED, 0, false, NULL},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct store_picked p = {
		    .message = {.accepted_us = NOW - rows[i].age_s * SECOND},
		    .leg = {.state = rows[i].from, .version = 7, .epoch = 3, .attempts = rows[i].attempts},
		    .ask_uncertain = rows[i].ask,
		};
		struct change c;
		bool claimed = schedule_decide(&cfg, &p, NOW, NOW + SECOND, &c);
		assert_int_equal(claimed, rows[i].claimed);
		assert_int_equal(c.row.now.state, rows[i].to);
		assert_int_equal(c.row.now.version, 7 + rows[i].steps);
		assert_int_equal(c.row.now.epoch, 3 + claimed);
		assert_int_equal(c.row.now.attempts, rows[i].attempts + claimed);
		assert_int_equal(c.row.now.possible_duplicate, rows[i].duplicate);
		assert_int_equal(c.row.lease_us, claimed ? NOW + SECOND : 0);
		if (rows[i].action == NULL)
			assert_null(c.action);
		else
			assert_string_equal(c.action, rows[i].action);
	}
}

static void
outcomes(void **state)
{
	static const struct {
		enum leg_event event;
		bool ask;
		int attempts, age_s;
		enum leg_state to;
		int64_t due_s; /* from now; -1: never */
		enum change_report report;
	} rows[] = {
	    {LEG_ON_ACCEPT, false, 1, 0, LEG_DELIVERED, -1, REPORT_RELAYED},
	    {LEG_ON_BOUNCE, false, 1, 0, LEG_BOUNCED, -1, REPORT_FAILED},
	    {LEG_ON_DEFER, false, 1, 0, LEG_DEFERRED, 1, REPORT_NONE},
	    {LEG_ON_DEFER, false, 2, 0, LEG_DEFERRED, 5, REPORT_NONE},
	    {LEG_ON_DEFER, false, 9, 11, LEG_DEFERRED, 5, REPORT_DELAYED},
	    {LEG_ON_DEFER, false, 9, 98, LEG_DEFERRED, 2, REPORT_DELAYED}, /* the last attempt at the end */
	    {LEG_ON_LOSE, false, 1, 0, LEG_UNCERTAIN, 0, REPORT_NONE},
	    {LEG_ON_LOSE, false, 2, 0, LEG_UNCERTAIN, 1, REPORT_NONE}, /* not in a tight circle */
	    {LEG_ON_LOSE, true, 1, 0, LEG_UNCERTAIN, -1, REPORT_NONE},
	    {LEG_ON_GIVE_BACK, false, 1, 0, LEG_QUEUED, 0, REPORT_NONE},
	    {LEG_ON_PARK, false, 1, 0, LEG_HELD, 300, REPORT_NONE},
	};
	struct arena *a = arena_new();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct store_message m = {.accepted_us = NOW - rows[i].age_s * SECOND};
		struct job_leg l = {
		    .leg = {.state = LEG_SENDING, .version = 2, .epoch = 1, .attempts = rows[i].attempts, .tls = ""},
		    .event = rows[i].event,
		    .reply = "said \"so\"\x01"};
		struct job j = {.message = &m, .legs = &l, .n_legs = 1, .ask_uncertain = rows[i].ask};
		struct change c;
		results_change(&cfg, &j, &l, NOW, a, &c);
		assert_int_equal(c.row.now.state, rows[i].to);
		assert_int_equal(c.row.now.version, 3);
		assert_int_equal(c.report, rows[i].report);
		assert_int_equal(c.row.lease_us, 0);
		assert_int_equal(c.row.due_us, rows[i].due_s < 0 ? STORE_NEVER_US : NOW + rows[i].due_s * SECOND);
		assert_non_null(bytes_find(c.detail, bytes_str("\"reply\":\"said \\\"so\\\"\\u0001\"")) >= 0 ? ""
													     : NULL);
	}
	arena_free(&a);
}

/* What events show of a reply is never its text. */
static void
codes(void **state)
{
	static const struct {
		const char *reply, *given;
		int code;
		const char *status;
	} rows[] = {
	    {"550 5.1.1 <taro@x.test>: no such user", NULL, 550, "5.1.1"},
	    {"250 2.0.0 taken", NULL, 250, "2.0.0"},
	    {"451 later", NULL, 451, ""},
	    {"554", NULL, 554, ""},
	    {"5.6.7 no internationalised mail", "5.6.7", 0, "5.6.7"},
	    {"5.6.7 no internationalised mail", NULL, 0, "5.6.7"},
	    {"timeout", "4.4.2", 0, "4.4.2"},
	    {"5500 5.1.1 x", NULL, 0, ""},
	    {"999 x", NULL, 0, ""},
	    {"550 5.taro@x.test", NULL, 550, ""},
	    {"550 5.7.123456 x", NULL, 550, ""},
	    {"5.2.3.4 refused", NULL, 0, ""},
	    {"192.0.2.1 refused", NULL, 0, ""},
	    {"", NULL, 0, ""},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char status[CHANGE_STATUS_SIZE];
		int code;
		change_codes(bytes_str(rows[i].reply), rows[i].given, &code, status);
		assert_int_equal(code, rows[i].code);
		assert_string_equal(status, rows[i].status);
	}
	struct store_message m = {.accepted_us = NOW};
	struct job_leg l = {.leg = {.state = LEG_SENDING, .attempts = 1, .tls = ""},
			    .event = LEG_ON_DEFER,
			    .reply = "451 4.2.1 <taro@x.test> later"};
	struct job j = {.message = &m, .legs = &l, .n_legs = 1};
	struct change c;
	struct arena *a = arena_new();
	results_change(&cfg, &j, &l, NOW, a, &c);
	assert_true(bytes_eq(c.detail, bytes_str("{\"code\":451,\"status\":\"4.2.1\","
						 "\"reply\":\"451 4.2.1 <taro@x.test> later\","
						 "\"next\":\"2026-11-22T03:53:10.000000Z\"}")));
	arena_free(&a);
}

static void
reports(void **state)
{
	static const struct {
		const char *from, *notify;
		enum store_direction direction;
		enum change_report what;
		bool want;
	} rows[] = {
	    {"a@x.test", "", STORE_OUTGOING, REPORT_FAILED, true},
	    {"a@x.test", "", STORE_INCOMING, REPORT_EXPIRED, true},
	    {"a@x.test", "", STORE_OUTGOING, REPORT_RELAYED, false},
	    {"a@x.test", "", STORE_OUTGOING, REPORT_DELAYED, false},
	    {"a@x.test", "NEVER", STORE_OUTGOING, REPORT_FAILED, false},
	    {"a@x.test", "SUCCESS", STORE_OUTGOING, REPORT_FAILED, false},
	    {"a@x.test", "SUCCESS", STORE_OUTGOING, REPORT_RELAYED, true},
	    {"a@x.test", "FAILURE,DELAY", STORE_OUTGOING, REPORT_DELAYED, true},
	    {"a@x.test", "FAILURE,DELAY", STORE_OUTGOING, REPORT_EXPIRED, true},
	    {"", "", STORE_OUTGOING, REPORT_FAILED, false},	  /* null sender */
	    {"a@x.test", "", STORE_SYSTEM, REPORT_FAILED, false}, /* no report on a report */
	    {"a@x.test", "", STORE_OUTGOING, REPORT_NONE, false},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct store_message m = {.direction = rows[i].direction, .mail_from = bytes_str(rows[i].from)};
		struct store_leg l = {.notify = rows[i].notify};
		if (bounce_wanted(&m, &l, rows[i].what) != rows[i].want)
			fail_msg("row %zu", i);
	}
}

static struct job *
job(struct batch *b, uint8_t tenant, const char *destination)
{
	struct job *j = arena_new_array(b->arena, struct job, 1);
	memset(j->tenant.b, tenant, sizeof(j->tenant.b));
	j->batch = b;
	j->destination = destination;
	return j;
}

/* Tenant 1 has a hundred mails, tenant 2 one: it is taken second. A destination at its limit is passed over. */
static void
fairness(void **state)
{
	struct batch *b = batch_new();
	struct lanes *l = lanes_new(200, 2, 8);
	struct job *got[4];
	for (int i = 0; i < 100; i++)
		lanes_put(l, job(b, 1, "mx slow.test"));
	lanes_put(l, job(b, 2, "mx slow.test"));
	lanes_put(l, job(b, 3, "mx other.test"));
	for (int i = 0; i < 3; i++)
		got[i] = lanes_take(l);
	assert_int_equal(got[0]->tenant.b[0], 1);
	assert_int_equal(got[1]->tenant.b[0], 2);
	assert_int_equal(got[2]->tenant.b[0], 3); /* slow.test has its two */
	lanes_done(l, got[1]);
	got[3] = lanes_take(l);
	assert_int_equal(got[3]->tenant.b[0], 1);
	assert_int_equal(lanes_room(l), 200 - 98);
	struct uuid one;
	memset(one.b, 1, sizeof(one.b));
	assert_true(lanes_open(l, &one, "mx slow.test"));
	for (int i = 0; i < 60; i++)
		lanes_put(l, job(b, 1, "mx slow.test"));
	assert_false(lanes_open(l, &one, "mx slow.test"));
	assert_true(lanes_open(l, &one, "mx other.test"));
	size_t left = 0;
	for (struct job *j = lanes_stop(l); j != NULL; j = j->next)
		left++;
	assert_int_equal(left, 158);
	assert_null(lanes_take(l));
	assert_int_equal(lanes_room(l), 0);
	lanes_free(&l);
	batch_unref(b);
}

static void
host_and_port(void **state)
{
	static const struct {
		const char *in, *host;
		int port;
	} rows[] = {{"mx.test:25", "mx.test", 25},
		    {"[2001:db8::1]:587", "2001:db8::1", 587},
		    {"127.0.0.1:65535", "127.0.0.1", 65535},
		    {"mx.test", NULL, 0},
		    {":25", NULL, 0},
		    {"mx.test:0", NULL, 0},
		    {"mx.test:65536", NULL, 0},
		    {"mx.test:25x", NULL, 0},
		    {"a b:25", NULL, 0},
		    {"2001:db8::1:25", NULL, 0},
		    {"[]:25", NULL, 0},
		    {"", NULL, 0}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char host[ROUTE_HOST_SIZE] = "";
		int port = 0;
		assert_int_equal(route_host_port(rows[i].in, host, &port), rows[i].host != NULL);
		if (rows[i].host != NULL) {
			assert_string_equal(host, rows[i].host);
			assert_int_equal(port, rows[i].port);
		}
	}
}

static void
reach(void **state)
{
	static const char *const inside[] = {"0.0.0.0",
					     "10.1.2.3",
					     "100.64.0.1",
					     "100.127.255.255",
					     "127.0.0.1",
					     "127.255.0.1",
					     "169.254.169.254",
					     "172.16.0.1",
					     "172.31.9.9",
					     "192.168.0.1",
					     "224.0.0.1",
					     "255.255.255.255",
					     "::",
					     "::1",
					     "::7f00:1",
					     "::ffff:127.0.0.1",
					     "::ffff:8.8.8.8",
					     "fc00::1",
					     "fdff::1",
					     "fe80::1",
					     "ff02::1",
					     "64:ff9b::a00:1",
					     "2002:7f00:1::",
					     "2001::1",
					     "localhost",
					     ""};
	static const char *const outside[] = {"8.8.8.8",	 "100.63.255.255",   "100.128.0.1",    "172.15.0.1",
					      "172.32.0.1",	 "169.253.0.1",	     "11.0.0.1",       "223.255.255.1",
					      "2606:4700::1111", "64:ff9b::808:808", "2002:808:808::1"};
	for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++)
		if (reach_public(inside[i]))
			fail_msg("%s", inside[i]);
	for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++)
		if (!reach_public(outside[i]))
			fail_msg("%s", outside[i]);
	assert_true(reach_mail_port(587));
	assert_false(reach_mail_port(6379));
}

/* An address literal needs no DNS: what routes and MX may lead to, and that the operator's hop is exempt. */
static void
targets(void **state)
{
	struct delivery d = {.svc = NULL};
	struct uuid tenant = {{0}};
	struct route_targets t;
	struct err err;
	const char *status = NULL;
	delivery_config.tls = "may";
	delivery_config.mx_port = 25;
	assert_int_equal(route_targets(&d, &tenant, "mx [127.0.0.1]", &t, &status, &err), RC_NOT_FOUND);
	assert_string_equal(status, "5.4.4");
	assert_int_equal(route_targets(&d, &tenant, "mx [IPv6:fe80::1]", &t, &status, &err), RC_NOT_FOUND);
	assert_int_equal(route_targets(&d, &tenant, "mx [8.8.8.8]", &t, &status, &err), RC_OK);
	assert_int_equal(t.n, 1);
	route_targets_done(&t);
	assert_int_equal(route_targets(&d, &tenant, "hop 127.0.0.1:2526", &t, &status, &err), RC_OK);
	route_targets_done(&t);
	delivery_config.allow_private = true;
	assert_int_equal(route_targets(&d, &tenant, "mx [127.0.0.1]", &t, &status, &err), RC_OK);
	route_targets_done(&t);
	delivery_config.allow_private = false;
}

/* The time allowed counts from the end of the last hold; the attempt that is planned for its end is made, and after it
 * the leg expires without another wait. */
static void
the_end(void **state)
{
	const int64_t expiry = cfg.expiry_ms * 1000;
	struct store_picked p = {
	    .message = {.accepted_us = NOW - 30 * 86400 * SECOND},
	    .leg = {.state = LEG_HELD, .sendable_us = DB_TIME_NULL},
	};
	struct change c;
	assert_true(schedule_decide(&cfg, &p, NOW, NOW + SECOND, &c));
	assert_int_equal(c.row.now.sendable_us, NOW);
	struct arena *a = arena_new();
	struct job_leg l = {.leg = c.row.now, .event = LEG_ON_DEFER};
	struct job j = {.message = &p.message, .legs = &l, .n_legs = 1};
	int64_t at = NOW + expiry - 2 * SECOND; /* next would be after the end */
	l.leg.attempts = 9;
	results_change(&cfg, &j, &l, at, a, &c);
	assert_int_equal(c.row.now.due_us, NOW + expiry);
	p.leg = c.row.now;
	at = NOW + expiry + 3000; /* a scheduler is never to the microsecond */
	assert_true(schedule_decide(&cfg, &p, at, at + SECOND, &c));
	l.leg = c.row.now;
	results_change(&cfg, &j, &l, at, a, &c);
	assert_true(c.row.now.due_us <= at + 1);
	p.leg = c.row.now;
	assert_false(schedule_decide(&cfg, &p, at + 2, at + SECOND, &c));
	assert_int_equal(c.row.now.state, LEG_EXPIRED);
	arena_free(&a);
}

/* Looked at again without a word in the record, until there is a route. */
static void
parked(void **state)
{
	struct store_picked p = {.leg = {.state = LEG_HELD, .version = 4, .reply = bytes_str("no route")}};
	struct change c;
	assert_true(schedule_still_parked(&p, "none no route", NOW, &c));
	assert_int_equal(c.row.now.state, LEG_HELD);
	assert_int_equal(c.row.now.version, 5);
	assert_int_equal(c.row.due_us, NOW + SCHEDULE_PARK_US);
	assert_null(c.action);
	assert_false(schedule_still_parked(&p, "hop mx.test:25", NOW, &c));
	p.leg.reply = bytes_str("");
	assert_false(schedule_still_parked(&p, "none no route", NOW, &c)); /* another hold ended: the reason is new */
	p.leg.state = LEG_QUEUED;
	p.leg.reply = bytes_str("no route");
	assert_false(schedule_still_parked(&p, "none no route", NOW, &c));
}

/* A leg that cannot be served is found in a few rounds, and the pace comes back. */
static void
rounds(void **state)
{
	int32_t pick = schedule_pick(1 << 20, RC_OK);
	int steps = 0;
	const int32_t most = pick;
	for (; pick > 1; steps++)
		pick = schedule_pick(pick, RC_RETRY);
	assert_true(steps <= 8);
	assert_int_equal(schedule_pick(pick, RC_RETRY), 1);
	for (steps = 0; pick < most && steps < 20; steps++)
		pick = schedule_pick(pick, RC_OK);
	assert_int_equal(pick, most);
}

static void
configuration(void **state)
{
	struct delivery_config c = {.retry_text = "1s,2m,1h",
				    .tls = "may",
				    .next_hop = "",
				    .inbound_hop = "",
				    .lease_ms = 1200000,
				    .dot_ms = 600000};
	struct err err;
	assert_int_equal(delivery_config_parse(&c, &err), RC_OK);
	assert_int_equal(c.n_retry, 3);
	assert_int_equal(delivery_next_attempt(&c, 1, NOW), NOW + SECOND);
	assert_int_equal(delivery_next_attempt(&c, 3, NOW), NOW + 3600 * SECOND);
	assert_int_equal(delivery_next_attempt(&c, 99, NOW), NOW + 3600 * SECOND);
	static const char *const bad[] = {"", "x", "1s,", "0s", "1s,,2s", "5"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		c.retry_text = bad[i];
		if (strcmp(bad[i], "1s,") == 0)
			continue; /* a comma at the end is harmless */
		assert_int_equal(delivery_config_parse(&c, &err), RC_INVALID);
	}
	c.retry_text = "1s";
	c.lease_ms = c.dot_ms;
	assert_int_equal(delivery_config_parse(&c, &err), RC_INVALID);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(due),	cmocka_unit_test(outcomes),	 cmocka_unit_test(reports),
	    cmocka_unit_test(fairness), cmocka_unit_test(host_and_port), cmocka_unit_test(configuration),
	    cmocka_unit_test(reach),	cmocka_unit_test(targets),	 cmocka_unit_test(rounds),
	    cmocka_unit_test(the_end),	cmocka_unit_test(parked),	 cmocka_unit_test(codes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
