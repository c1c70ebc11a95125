/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "facts/addresses.h"
#include "facts/extract.h"
#include "facts/mime_second.h"

static struct arena *a;

static void
addresses_are_found(void **state)
{
	static const struct {
		const char *in;
		size_t n;
		const char *display, *addr; /* of the last */
		bool odd;
	} t[] = {
	    {"a@Example.JP", 1, "", "a@example.jp", false},
	    {"\"Suzuki, Hanako\" <h@example.com>", 1, "Suzuki, Hanako", "h@example.com", false},
	    {"a@b.c, d@e.f", 2, "", "d@e.f", false},
	    {"x (Taro, Mr) , y@z.w (Jiro)", 2, "Jiro", "y@z.w", false},
	    {"undisclosed-recipients:;", 0, NULL, NULL, false},
	    {"g: a@b.c, d@e.f;, h@i.j", 3, "", "h@i.j", false},
	    {"=?utf-8?q?=E6=97=A5?= <a@b.c>", 1, "日", "a@b.c", false},
	    {"<>", 1, "", "", false},
	    {"\"a\\\"b\"@c.d", 1, "", "\"a\\\"b\"@c.d", false},
	    {"\"a>b@c\"@d.e", 1, "", "\"a>b@c\"@d.e", false},
	    {"x <\"a>b\"@d.e>", 1, "x", "\"a>b\"@d.e", false},
	    {"", 0, NULL, NULL, false},
	    {",,,", 0, NULL, NULL, false},
	    {"(only a comment)", 0, NULL, NULL, false},
	    {"a@b.c <A@B.C>", 1, "a@b.c", "A@b.c", false},
	    {"\"me@x.y\" <a@b.c>", 1, "me@x.y", "a@b.c", false},
	    {"Taro (Sales \\) (East)) <a@b.c> (home)", 1, "Taro", "a@b.c", false},
	    {"Taro (a, <b>) <a@b.c>, d@e.f", 2, "", "d@e.f", false},
	    /* Where a reader may take another one. */
	    {"(<me@x.y>) CEO <ceo@b.c>", 1, "CEO", "ceo@b.c", false},
	    {"CEO (x\\) <me@x.y>) <ceo@b.c>", 1, "CEO", "ceo@b.c", false},
	    {"ceo@b.c (me <me@x.y>)", 1, "me <me@x.y>", "ceo@b.c", false},
	    {"<me@x.y> <ceo@b.c>", 1, "", "me@x.y", true},
	    {"ceo@b.c <me@x.y>", 1, "ceo@b.c", "me@x.y", true},
	    {"<me@x.y> ceo@b.c", 1, "", "me@x.y", true},
	    {"<me@x.y> \"ceo@b.c\"", 1, "", "me@x.y", true},
	    {"<me@x.y <ceo@b.c>>", 1, "", "me@x.y <ceo@b.c", true},
	    {"me@x.y ceo@b.c", 1, "", "me@x.y ceo@b.c", true},
	    {"me me@x.y", 1, "", "me me@x.y", true},
	    {"<@x.y:ceo@b.c>", 1, "", "@x.y:ceo@b.c", true},
	    {"ceo@b.c: me@x.y;", 1, "", "me@x.y", true},
	    {"x <a@b.c", 1, "x", "a@b.c", true},
	    {"x> a@b.c", 1, "", "x> a@b.c", true},
	    {"\"CEO <ceo@b.c>, a@b.c", 1, "", NULL, true},
	    {"a@b.c (CEO", 1, "", "a@b.c", true},
	    {"CEO) <a@b.c>", 1, "CEO)", "a@b.c", true},
	};
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct addresses v = {.cap = 0};
		addresses_read(bytes_str(t[i].in), a, &v);
		if (v.list.n != t[i].n || (v.odd != NULL) != t[i].odd || v.cut)
			fail_msg("%s: %zu, %s", t[i].in, v.list.n, v.odd != NULL ? v.odd : "nothing odd");
		if (v.list.n == 0 || t[i].addr == NULL)
			continue;
		assert_string_equal(v.list.v[v.list.n - 1].display, t[i].display);
		assert_string_equal(v.list.v[v.list.n - 1].addr, t[i].addr);
	}
}

static void
bounds_are_told(void **state)
{
	struct buf b;
	struct addresses many = {.cap = 0}, along = {.cap = 0};
	buf_init(&b, 0);
	for (int i = 0; i <= FACTS_ADDRESSES_MAX; i++)
		buf_add_str(&b, "a@b.c,");
	addresses_read(buf_bytes(&b), a, &many);
	assert_true(many.cut && many.list.n == FACTS_ADDRESSES_MAX);
	buf_reset(&b);
	for (unsigned i = 0; i < FACTS_STRING_MAX; i++)
		buf_add_str(&b, "x");
	buf_add_str(&b, "@b.c");
	addresses_read(buf_bytes(&b), a, &along);
	assert_true(along.cut && along.list.n == 1);
	buf_done(&b);
}

struct worst {
	bool ambiguous, limit;
};

static void
on_report(void *ctx, enum facts_verdict v, const char *reason)
{
	struct worst *w = ctx;
	w->ambiguous |= v == FACTS_AMBIGUOUS;
	w->limit |= v == FACTS_LIMIT;
}

static struct worst
judge_mail(const char *mail)
{
	struct worst w = {false, false};
	struct mime m;
	struct facts f = {0};
	mime_read(&m, bytes_str(mail), a, on_report, &w);
	mime_second_compare(&m);
	extract_facts(&m, &f);
	return w;
}

static void
ordinary_headers_are_not_ambiguous(void **state)
{
	static const char *const t[] = {
	    "From: taro@example.jp\r\n\r\nx\r\n",
	    "From: Taro Yamada <taro@example.jp>\r\nTo: a@b.jp, \"C, D\" <c@d.jp>\r\n\r\nx\r\n",
	    "From: =?ISO-2022-JP?B?GyRCOzNFRBsoQg==?= <Taro@EXAMPLE.JP>\r\n\r\nx\r\n",
	    "From: =?UTF-8?B?5bGx55Sw?=\r\n =?UTF-8?B?5aSq6YOO?=\r\n <taro@example.jp>\r\n\r\nx\r\n",
	    "From: taro@example.jp <taro@example.jp>\r\n\r\nx\r\n",
	    "From: \"taro@example.jp\" <taro@example.jp>\r\n\r\nx\r\n",
	    "From: Taro O'Neil (Sales) <t.o'neil+x=y@example.jp>\r\n\r\nx\r\n",
	    "From: Yamada, Inc. <a@example.jp>\r\n\r\nx\r\n",
	    "From: Yamada Co.,Ltd. <a@example.jp>\r\n\r\nx\r\n",
	    "From: J. R. Smith [JP] <a@example.jp>\r\n\r\nx\r\n",
	    "From: \xe5\xb1\xb1\xe7\x94\xb0 <a@example.jp>\r\n\r\nx\r\n",
	    "From: MAILER-DAEMON@mx.example.jp (Mail Delivery System)\r\nTo: undisclosed-recipients:;\r\n\r\nx\r\n",
	    "From: <>\r\nTo: root\r\nCc:\r\nReply-To: <r@example.jp>\r\n\r\nx\r\n",
	    "From: a@[192.0.2.1]\r\nTo: list: a@b.jp, c@d.jp;, e@f.jp (E)\r\n\r\nx\r\n",
	    "From: da.me..@docomo.example\r\nTo: .lead@ezweb.example, <trail.@x.example>\r\n\r\nx\r\n",
	    "From: \"A \\\"B\\\" C\" <a@b.jp>\r\nSender: b@b.jp\r\n\r\nx\r\n",
	};
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		if (judge_mail(t[i]).ambiguous)
			fail_msg("%s", t[i]);
}

static void
doubtful_headers_are_ambiguous(void **state)
{
	static const char *const t[] = {
	    "From: <me@x.jp> <ceo@b.jp>\r\n\r\nx\r\n",	 "From: ceo@b.jp <me@x.jp>\r\n\r\nx\r\n",
	    "Reply-To: ceo@b.jp <me@x.jp>\r\n\r\nx\r\n", "To: a@b.jp\r\nCc: \"a <ceo@b.jp>\r\n\r\nx\r\n",
	    "From: a@b.jp\r\nFrom: c@d.jp\r\n\r\nx\r\n", "Subject: a\r\nSubject: b\r\n\r\nx\r\n",
	    "subject: a\r\nSUBJECT: a\r\n\r\nx\r\n",	 "To: a@b.jp\r\nTo: c@d.jp\r\n\r\nx\r\n",
	    "Date: a\r\nDate: b\r\n\r\nx\r\n",		 "Message-ID: <a@b>\r\nMessage-ID: <c@d>\r\n\r\nx\r\n",
	};
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		if (!judge_mail(t[i]).ambiguous)
			fail_msg("%s", t[i]);
}

static void
a_subject_that_is_cut_meets_a_limit(void **state)
{
	struct buf b;
	buf_init(&b, 0);
	buf_add_str(&b, "Subject: ");
	for (unsigned i = 0; i < FACTS_STRING_MAX; i++)
		buf_add_str(&b, "x");
	assert_false(judge_mail((const char *)b.p).limit);
	buf_add_str(&b, "x\r\n\r\n");
	assert_true(judge_mail((const char *)b.p).limit);
	buf_reset(&b);
	buf_add_str(&b, "Content-Type: application/pdf; name=\"");
	for (unsigned i = 0; i <= FACTS_STRING_MAX; i++)
		buf_add_str(&b, "x");
	buf_add_str(&b, "\"\r\n\r\nx");
	assert_true(judge_mail((const char *)b.p).limit);
	buf_done(&b);
}

static int
setup(void **state)
{
	a = arena_new();
	return 0;
}

static int
teardown(void **state)
{
	arena_free(&a);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(addresses_are_found),
	    cmocka_unit_test(bounds_are_told),
	    cmocka_unit_test(ordinary_headers_are_not_ambiguous),
	    cmocka_unit_test(doubtful_headers_are_ambiguous),
	    cmocka_unit_test(a_subject_that_is_cut_meets_a_limit),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
