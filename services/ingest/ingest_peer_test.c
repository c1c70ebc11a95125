/* SPDX-License-Identifier: MIT
 *
 * PROXY headers, lists of networks, counts per address; and what ingest judges by itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <cmocka.h>

#include "ingest_judge.h"
#include "ingest_peer.h"
#include "ingest_strangers.h"

static struct peer
peer(const char *text)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};
	struct sockaddr_in four = {.sin_family = AF_INET};
	if (inet_pton(AF_INET, text, &four.sin_addr) == 1)
		return peer_of((const struct sockaddr *)&four);
	assert_int_equal(inet_pton(AF_INET6, text, &six.sin6_addr), 1);
	return peer_of((const struct sockaddr *)&six);
}

static void
proxy_headers(void **state)
{
#define MAGIC "\r\n\r\n\0\r\nQUIT\n"
	static const struct {
		const char *in;
		size_t n;
		enum proxy_progress end;
		const char *address;
	} table[] = {
	    {MAGIC "\x21\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\0\1\0\2", 28, PROXY_DONE, "192.0.2.1"},
	    {MAGIC "\x21\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\0\1\0\2", 27, PROXY_MORE, NULL},
	    {MAGIC "\x21\x11\0\x0c", 15, PROXY_MORE, NULL},
	    {MAGIC, 5, PROXY_MORE, NULL},
	    {MAGIC "\x20\0\0\0", 16, PROXY_DONE, "127.0.0.1"},
	    {MAGIC "\x21\0\0\0", 16, PROXY_DONE, "127.0.0.1"},
	    {MAGIC "\x21\x21\0\x24\x20\1\r\xb8\0\0\0\0\0\0\0\0\0\0\0\1\x20\1\r\xb8\0\0\0\0\0\0\0\0\0\0\0\2\0\1\0\2", 52,
	     PROXY_DONE, "2001:db8::1"},
	    {MAGIC "\x21\x11\0\4\xc0\0\2\1", 20, PROXY_BAD, NULL},
	    {MAGIC "\x11\x11\0\x0c", 16, PROXY_BAD, NULL},
	    {MAGIC "\x22\x11\0\x0c", 16, PROXY_BAD, NULL},
	    {MAGIC "\x21\x11\xff\xff", 16, PROXY_BAD, NULL},
	    {"EHLO a\r\n", 8, PROXY_BAD, NULL},
	    {"PROXY TCP4 192.0.2.1", 20, PROXY_BAD, NULL},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct peer p = peer("127.0.0.1");
		char text[PEER_TEXT_SIZE];
		size_t used = 0;
		enum proxy_progress end = proxy_parse(bytes_of(table[i].in, table[i].n), &used, &p);
		if (end != table[i].end)
			fail_msg("row %zu: %d", i, (int)end);
		if (end != PROXY_DONE)
			continue;
		peer_format(&p, text);
		assert_string_equal(text, table[i].address);
		assert_int_equal(used, table[i].n);
	}
}

static void
networks(void **state)
{
	struct peer_list *l = NULL;
	struct peer p;
	assert_int_equal(peer_list_parse("127.0.0.1, 10.0.0.0/8,2001:db8::/33", &l, NULL), RC_OK);
	static const struct {
		const char *address;
		bool in;
	} table[] = {{"127.0.0.1", true},	 {"127.0.0.2", false},	      {"10.255.0.1", true}, {"11.0.0.1", false},
		     {"2001:db8:7fff::1", true}, {"2001:db8:8000::1", false}, {"::1", false}};
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		p = peer(table[i].address);
		if (peer_list_has(l, &p) != table[i].in)
			fail_msg("%s", table[i].address);
	}
	p = (struct peer){0};
	assert_false(peer_list_has(l, &p));
	peer_list_free(&l);
	static const char *const bad[] = {"x",	    "10.0.0.0/33", "10.0.0.0/",	 "10.0.0.0/-1",
					  "::/129", "1.2.3",	   "10.0.0.0/8x"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(peer_list_parse(bad[i], &l, NULL), RC_INVALID);
}

static void
counts(void **state)
{
	struct peer_counts *c = peer_counts_new();
	struct peer a = peer("192.0.2.1"), b = peer("192.0.2.2"), x = peer("2001:db8::1"), y = peer("2001:db8::2");
	assert_true(peer_counts_add(c, &a, 2));
	assert_true(peer_counts_add(c, &a, 2));
	assert_false(peer_counts_add(c, &a, 2));
	assert_true(peer_counts_add(c, &b, 2));
	peer_counts_drop(c, &a);
	assert_true(peer_counts_add(c, &a, 2));
	assert_true(peer_counts_add(c, &x, 1));
	assert_false(peer_counts_add(c, &y, 1)); /* the same /64 */
	peer_counts_free(&c);
}

static void
strangers_are_remembered(void **state)
{
	struct strangers *s = strangers_new();
	assert_false(strangers_has(s, bytes_str("a.test"), 0));
	strangers_add(s, bytes_str("A.test"), 0);
	assert_true(strangers_has(s, bytes_str("a.TEST"), STRANGERS_KEEP_MS - 1));
	assert_false(strangers_has(s, bytes_str("a.test"), STRANGERS_KEEP_MS));
	assert_false(strangers_has(s, bytes_str("b.test"), 1));
	strangers_free(&s);
}

static void
judgements(void **state)
{
	struct facts_address me = {"", "me@own.test"}, mixed = {"", "me@OWN.test"}, other = {"", "ceo@own.test"};
	struct facts_address both[] = {me, other};
	struct bytes own = bytes_str("me@own.test");
	const struct {
		const char *name;
		bool incoming, has_from;
		enum facts_verdict verdict;
		struct facts_address *from;
		size_t n_from;
		uint32_t hops;
		enum judge_finding finding;
		int code;
	} table[] = {
	    {"own", false, true, FACTS_CLEAN, &me, 1, 0, JUDGE_POLICY, 0},
	    {"domain in capitals", false, true, FACTS_CLEAN, &mixed, 1, 0, JUDGE_POLICY, 0},
	    {"another's", false, true, FACTS_CLEAN, &other, 1, 0, JUDGE_REFUSE, 550},
	    {"own and another's", false, true, FACTS_CLEAN, both, 2, 0, JUDGE_REFUSE, 550},
	    {"no From", false, false, FACTS_CLEAN, NULL, 0, 0, JUDGE_REFUSE, 554},
	    {"empty From", false, true, FACTS_CLEAN, NULL, 0, 0, JUDGE_REFUSE, 554},
	    {"from outside, any From", true, true, FACTS_CLEAN, &other, 1, 0, JUDGE_POLICY, 0},
	    {"50 hops", true, true, FACTS_CLEAN, &other, 1, 50, JUDGE_POLICY, 0},
	    {"51 hops", true, true, FACTS_CLEAN, &other, 1, 51, JUDGE_REFUSE, 554},
	    {"virus out", false, true, FACTS_INFECTED, &me, 1, 0, JUDGE_REFUSE, 550},
	    {"virus in", true, true, FACTS_INFECTED, &me, 1, 51, JUDGE_QUARANTINE, 0},
	    {"scanner's error", true, true, FACTS_ERROR, &me, 1, 0, JUDGE_DEFER, 451},
	    {"unscannable is policy's", true, true, FACTS_UNSCANNABLE, &me, 1, 0, JUDGE_POLICY, 0},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct arena *a = arena_new();
		struct envelope env = {.incoming = table[i].incoming, .may_send_as = &own, .n_may_send_as = 1};
		struct facts f = {.verdict = table[i].verdict,
				  .signature = "Test.Virus",
				  .has_from = table[i].has_from,
				  .from = {table[i].from, table[i].n_from},
				  .received_count = table[i].hops};
		struct judgement j;
		judge_facts(&env, &f, a, &j);
		if (j.finding != table[i].finding || j.reply.code != table[i].code)
			fail_msg("%s: %d, %d", table[i].name, (int)j.finding, j.reply.code);
		arena_free(&a);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(proxy_headers), cmocka_unit_test(networks),
	    cmocka_unit_test(counts),	     cmocka_unit_test(strangers_are_remembered),
	    cmocka_unit_test(judgements),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
