/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "conditional.h"

static void
if_match_names_one_version(void **state)
{
	static const struct {
		const char *header;
		enum conditional want;
		uint64_t version;
	} rows[] = {
	    {"", CONDITIONAL_NONE, 0},
	    {"*", CONDITIONAL_ANY, 0},
	    {"* ", CONDITIONAL_ANY, 0},
	    {"\"7\"", CONDITIONAL_VERSION, 7},
	    {" \"7\" ", CONDITIONAL_VERSION, 7},
	    {"\"0\"", CONDITIONAL_VERSION, 0},
	    {"\"12-0123456789abcdef\"", CONDITIONAL_VERSION, 12},
	    {"\"07\"", CONDITIONAL_NEVER, 0},
	    {"\"7x\"", CONDITIONAL_NEVER, 0},
	    {"\"h0123456789abcdef\"", CONDITIONAL_NEVER, 0},
	    {"\"99999999999999999999\"", CONDITIONAL_NEVER, 0},
	    {"\"\"", CONDITIONAL_NEVER, 0},
	    {"W/\"7\"", CONDITIONAL_NEVER, 0},
	    {"7", CONDITIONAL_BAD, 0},
	    {"\"7", CONDITIONAL_BAD, 0},
	    {"7\"", CONDITIONAL_BAD, 0},
	    {"\"7\", \"8\"", CONDITIONAL_BAD, 0},
	    {"\"7\"*", CONDITIONAL_BAD, 0},
	    {"**", CONDITIONAL_BAD, 0},
	    {"w/\"7\"", CONDITIONAL_BAD, 0},
	    {"\"a b\"", CONDITIONAL_BAD, 0},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t v = 99;
		assert_int_equal(conditional_match(rows[i].header, &v), rows[i].want);
		if (rows[i].want == CONDITIONAL_VERSION)
			assert_int_equal(v, rows[i].version);
	}
}

static void
if_none_match_compares_weakly(void **state)
{
	assert_true(conditional_none_match("\"7\"", "\"7\""));
	assert_true(conditional_none_match("W/\"7\"", "\"7\""));
	assert_true(conditional_none_match("\"6\", \"7\"", "\"7\""));
	assert_true(conditional_none_match("\"6\",W/\"7\"", "\"7\""));
	assert_true(conditional_none_match("*", "\"7\""));
	assert_false(conditional_none_match("", "\"7\""));
	assert_false(conditional_none_match("7", "\"7\""));
	assert_false(conditional_none_match("\"6\"", "\"7\""));
	assert_false(conditional_none_match("\"77\"", "\"7\""));
	assert_false(conditional_none_match("\"7\"", ""));
}

static void
etags(void **state)
{
	struct arena *a = arena_new();
	assert_string_equal(conditional_etag(a, 7, bytes_of(NULL, 0)), "\"7\"");
	const char *with = conditional_etag(a, 7, bytes_str("x"));
	const char *other = conditional_etag(a, 7, bytes_str("y")), *none = conditional_etag(a, 0, bytes_str("x"));
	uint64_t v = 0;
	assert_string_not_equal(with, other);
	assert_int_equal(conditional_match(with, &v), CONDITIONAL_VERSION);
	assert_int_equal(v, 7);
	assert_int_equal(conditional_match(none, &v), CONDITIONAL_NEVER);
	arena_free(&a);
}

static void
accept_is_weighed(void **state)
{
	static const struct {
		const char *accept;
		bool json;
	} rows[] = {
	    {"", true},
	    {" , ", true},
	    {"*/*", true},
	    {"application/*", true},
	    {"application/json", true},
	    {"Application/JSON; charset=utf-8", true},
	    {"text/html, application/json;q=0.1", true},
	    {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true},
	    {"text/html", false},
	    {"application/jsonx", false},
	    {"application/jso", false},
	    {"application/json;q=0", false},
	    {"application/json; q=0.000", false},
	    {"*/*, application/json;q=0", false},
	    {"application/json, */*;q=0", true},
	    {"application/json;q=0.001", true},
	    {"image/*;q=1", false},
	    {"garbage", false},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(conditional_accepts(rows[i].accept, "application/json"), rows[i].json);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(if_match_names_one_version),
	    cmocka_unit_test(if_none_match_compares_weakly),
	    cmocka_unit_test(etags),
	    cmocka_unit_test(accept_is_weighed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
