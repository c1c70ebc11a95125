/* SPDX-License-Identifier: MIT
 *
 * Addresses and patterns of addresses: two ways to write one compare equal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "pattern.h"

static void
addresses(void **state)
{
	static const struct {
		const char *in, *whole, *domain;
	} table[] = {
	    {"Tanaka@Example.CO.JP", "tanaka@example.co.jp", "example.co.jp"},
	    {"tanaka@example.co.jp.", "tanaka@example.co.jp", "example.co.jp"},
	    {"\"tanaka\"@example.jp", "tanaka@example.jp", "example.jp"},
	    {"\"ta\\naka\"@example.jp", "tanaka@example.jp", "example.jp"},
	    {"x@日本語.jp", "x@xn--wgv71a119e.jp", "xn--wgv71a119e.jp"},
	    {"x@XN--WGV71A119E.jp", "x@xn--wgv71a119e.jp", "xn--wgv71a119e.jp"},
	    {"ｔａｎａｋａ@example.jp", "tanaka@example.jp", "example.jp"},
	    {"x@[192.0.2.1]", "x@[192.0.2.1]", ""},
	    {"postmaster", "postmaster", ""},
	    {"", "", ""},
	    {"a@b@example.jp", "a@b@example.jp", "example.jp"},
	    {"x@a..b", "x@a..b", ""},
	};
	struct arena *a = arena_new();
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct address got = address_normal(a, table[i].in);
		assert_string_equal(got.whole, table[i].whole);
		assert_string_equal(got.domain, table[i].domain);
	}
	arena_free(&a);
}

static void
patterns(void **state)
{
	static const char *const good[] = {"tanaka@example.jp", "example.jp", "*@example.jp",	   "*.example.jp",
					   "x@日本語.jp",	"EXAMPLE.jp", "\"a.b\"@example.jp"};
	static const char *const bad[] = {"",
					  "*",
					  "@example.jp",
					  "*@",
					  "x@",
					  "a*@example.jp",
					  "*.",
					  "..",
					  "a b@example.jp",
					  "x@exa mple.jp",
					  "<x@example.jp>",
					  "x@a,y@b",
					  "x@[192.0.2.1]",
					  "*.*.jp",
					  "login"};
	struct arena *a = arena_new();
	struct pattern p;
	struct err e;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(pattern_parse(a, good[i], false, &p, &e), RC_OK);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(pattern_parse(a, bad[i], false, &p, &e), RC_INVALID);
	assert_int_equal(pattern_parse(a, "login", true, &p, &e), RC_OK);
	arena_free(&a);
}

static void
lists(void **state)
{
	static const char *const in[] = {"exact@example.jp", "example.jp", "*.sub.jp", "tanaka",
					 "*@any.jp",	     "zz.jp",	   "a.jp"};
	static const struct {
		const char *address, *hit;
	} table[] = {
	    {"exact@example.jp", "exact@example.jp"},
	    {"other@example.jp", "example.jp"},
	    {"x@sub.jp", NULL},
	    {"x@a.sub.jp", "*.sub.jp"},
	    {"x@a.b.sub.jp", "*.sub.jp"},
	    {"x@notsub.jp", NULL},
	    {"x@any.jp", "*@any.jp"},
	    {"x@b.any.jp", NULL},
	    {"tanaka", NULL},
	    {"tanaka@x.jp", NULL},
	    {"=tanaka", NULL},
	    {"@example.jp", "example.jp"},
	    {"", NULL},
	};
	struct arena *a = arena_new();
	struct pattern_list l = {arena_new_array(a, struct pattern, 7), 7};
	struct err e;
	for (size_t i = 0; i < 7; i++)
		assert_int_equal(pattern_parse(a, in[i], true, &l.v[i], &e), RC_OK);
	pattern_list_sort(&l);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct address n = address_normal(a, table[i].address);
		const char *hit = pattern_find_address(&l, &n);
		if (table[i].hit == NULL)
			assert_null(hit);
		else
			assert_string_equal(hit, table[i].hit);
	}
	assert_string_equal(pattern_find_login(&l, "tanaka"), "tanaka");
	assert_null(pattern_find_login(&l, "tanak"));
	assert_null(pattern_find_login(&l, ""));
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(addresses), cmocka_unit_test(patterns),
					   cmocka_unit_test(lists)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
