/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/arena.h"
#include "core/base64.h"
#include "core/bytes.h"
#include "core/clock.h"
#include "core/config.h"
#include "core/id.h"

static void
slices_stay_inside(void **state)
{
	struct bytes b = bytes_str("abcdef"), out;
	assert_true(bytes_slice(b, 2, 3, &out));
	assert_true(bytes_eq(out, bytes_str("cde")));
	assert_true(bytes_slice(b, 6, 0, &out));
	assert_false(bytes_slice(b, 7, 0, &out));
	assert_false(bytes_slice(b, 5, 2, &out));
	assert_false(bytes_slice(b, 1, UINT64_MAX, &out));
	assert_false(bytes_slice(b, UINT64_MAX, 2, &out));
}

static void
buffers_keep_their_bound(void **state)
{
	struct buf b;
	buf_init(&b, 10);
	buf_add_str(&b, "12345");
	buf_add_str(&b, "67890");
	assert_true(buf_ok(&b));
	buf_add_str(&b, "x");
	assert_false(buf_ok(&b));
	buf_add_str(&b, "");
	assert_false(buf_ok(&b)); /* stays failed */
	buf_reset(&b);
	buf_addf(&b, "%d", 42);
	assert_string_equal((char *)b.p, "42");
	buf_drop_front(&b, 1);
	assert_string_equal((char *)b.p, "2");
	buf_done(&b);
}

static void
json_strings(void **state)
{
	static const struct {
		const char *in;
		size_t n;
		const char *want;
	} t[] = {
	    {"a\"b\\c", 5, "\"a\\\"b\\\\c\""},
	    {"\0\n\x7f", 3, "\"\\u0000\\u000a\\u007f\""},
	    {"\xe9\x96\xa2", 3, "\"\xe9\x96\xa2\""},
	    {"\xe9\x96", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\""},		     /* cut short */
	    {"\xc0\x80", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\""},		     /* overlong */
	    {"\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""}, /* surrogate */
	};
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct buf b;
		buf_init(&b, 0);
		buf_add_json(&b, bytes_of(t[i].in, t[i].n));
		assert_string_equal((char *)b.p, t[i].want);
		buf_done(&b);
	}
}

static void
arena_blocks(void **state)
{
	struct arena *a = arena_new();
	for (int i = 1; i < 200; i++) {
		uint8_t *p = arena_alloc(a, (size_t)i * 97);
		for (int k = 0; k < i * 97; k++)
			assert_int_equal(p[k], 0);
		memset(p, 0xff, (size_t)i * 97);
	}
	arena_reset(a);
	assert_int_equal(arena_used(a), 0);
	char *s = arena_printf(a, "%s-%d", "x", 7);
	assert_string_equal(s, "x-7");
	arena_free(&a);
	assert_null(a);
}

static void
ids_sort_by_time(void **state)
{
	int64_t now = 1795305600123456; /* 2026-11-22 */
	struct uuid a = uuid_v7(now), b = uuid_v7(now + 1000), floor = uuid_v7_floor(now), back;
	char text[UUID_STR_SIZE];
	assert_true(memcmp(a.b, b.b, 16) < 0);
	assert_true(memcmp(floor.b, a.b, 16) <= 0);
	assert_true(uuid_time_us(&a) == now / 1000 * 1000);
	assert_int_equal(a.b[6] >> 4, 7);
	assert_int_equal(a.b[8] >> 6, 2);
	uuid_format(&a, text);
	assert_true(uuid_parse(text, &back));
	assert_true(uuid_eq(&a, &back));
	static const char *const bad[] = {"", "x", "0123", "01020304-0506-0708-090a-0b0c0d0e0f1", NULL};
	for (int i = 0; bad[i] != NULL; i++)
		assert_false(uuid_parse(bad[i], &back));
	assert_false(uuid_parse("01020304-0506-0708-090a_0b0c0d0e0f10", &back));
	assert_false(uuid_parse("0102030g-0506-0708-090a-0b0c0d0e0f10", &back));
	assert_false(uuid_parse(NULL, &back));
}

static void
trace_context(void **state)
{
	char t[TRACEPARENT_SIZE], child[TRACEPARENT_SIZE], a[33], b[33];
	traceparent_new(t);
	assert_true(traceparent_valid(t));
	traceparent_child(t, child);
	assert_true(traceparent_valid(child));
	traceparent_trace_id(t, a);
	traceparent_trace_id(child, b);
	assert_string_equal(a, b);
	assert_string_not_equal(t, child);
	assert_false(traceparent_valid("00-00000000000000000000000000000000-0123456789abcdef-01"));
	assert_false(traceparent_valid("00-0123456789ABCDEF0123456789abcdef-0123456789abcdef-01"));
	assert_false(traceparent_valid(""));
	traceparent_child("junk", child);
	assert_true(traceparent_valid(child));
}

static void
times_as_text(void **state)
{
	char a[CLOCK_RFC3339_SIZE], b[CLOCK_RFC5322_SIZE];
	clock_rfc3339(1795316645678901, a);
	assert_string_equal(a, "2026-11-22T03:04:05.678901Z");
	clock_rfc5322(1795316645678901, b);
	assert_string_equal(b, "Sun, 22 Nov 2026 03:04:05 +0000");
	clock_rfc3339(-1, a);
	assert_string_equal(a, "1969-12-31T23:59:59.999999Z");
}

static void
configuration(void **state)
{
	int64_t n = 0, d = 0, s = 0;
	bool b = false;
	const char *t = NULL;
	const struct config_entry table[] = {
	    {"SEKISHO_T_N", CONFIG_INT, &n, "5", 1, 9, "n"},	 {"SEKISHO_T_D", CONFIG_DURATION, &d, "30s", 0, 0, "d"},
	    {"SEKISHO_T_S", CONFIG_SIZE, &s, "25M", 0, 0, "s"},	 {"SEKISHO_T_B", CONFIG_BOOL, &b, "yes", 0, 0, "b"},
	    {"SEKISHO_T_T", CONFIG_STRING, &t, NULL, 0, 0, "t"}, CONFIG_END,
	};
	const struct config_entry *const tables[] = {table, NULL};
	struct err e;
	assert_int_equal(config_load(tables, "SEKISHO_T_", &e), RC_INVALID);
	assert_non_null(strstr(e.text, "SEKISHO_T_T: required"));
	setenv("SEKISHO_T_T", "x", 1);
	assert_int_equal(config_load(tables, "SEKISHO_T_", &e), RC_OK);
	assert_true(n == 5 && d == 30000 && s == 25 << 20 && b);
	static const struct {
		const char *name, *value;
	} bad[] = {{"SEKISHO_T_N", "10"},  {"SEKISHO_T_N", "1x"}, {"SEKISHO_T_N", ""},	   {"SEKISHO_T_D", "30"},
		   {"SEKISHO_T_D", "-1s"}, {"SEKISHO_T_S", "1T"}, {"SEKISHO_T_B", "maybe"}};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		setenv(bad[i].name, bad[i].value, 1);
		assert_int_equal(config_load(tables, "SEKISHO_T_", &e), RC_INVALID);
		assert_non_null(strstr(e.text, bad[i].name));
		unsetenv(bad[i].name);
	}
	/* A file: the environment wins, an unknown own name is an error, others' names are not. */
	char path[] = "/tmp/sekisho-config.XXXXXX";
	int fd = mkstemp(path);
	FILE *f = fdopen(fd, "w");
	fputs("# comment\nSEKISHO_T_N=7\n SEKISHO_T_T=file\nSEKISHO_OTHER_X=1\n", f);
	fflush(f);
	setenv("SEKISHO_CONFIG", path, 1);
	assert_int_equal(config_load(tables, "SEKISHO_T_", &e), RC_OK);
	assert_true(n == 7);
	assert_string_equal(t, "x");
	fputs("SEKISHO_T_TYPO=1\n", f);
	fclose(f);
	assert_int_equal(config_load(tables, "SEKISHO_T_", &e), RC_INVALID);
	assert_non_null(strstr(e.text, "SEKISHO_T_TYPO"));
	unlink(path);
	unsetenv("SEKISHO_CONFIG");
}

static void
codes_map_both_ways(void **state)
{
	for (int i = RC_OK; i <= RC_INTERNAL; i++)
		assert_int_equal(rc_parse(rc_str((enum rc)i)), i);
	assert_int_equal(rc_parse("no such"), RC_INTERNAL);
	struct err e;
	err_set(&e, RC_LIMIT, "%d", 5);
	err_prefix(&e, "a %s", "b");
	assert_string_equal(e.text, "a b: 5");
}

/* One text per value. */
static void
base64_is_strict(void **state)
{
	uint8_t out[16];
	size_t n = 9;
	struct buf b;
	assert_true(base64_take_some(bytes_str("aGVsbG8="), out, sizeof(out), &n));
	assert_int_equal(n, 5);
	assert_memory_equal(out, "hello", 5);
	assert_false(base64_take_some(bytes_str("aGVsbG8="), out, 4, &n));
	assert_true(base64_take_some(bytes_str(""), out, sizeof(out), &n));
	assert_int_equal(n, 0);
	static const char *const bad[] = {"a",	  "aGVsbG8", "aGVs\nbG8=", "aGVsbG9=", "aG==VsbG",
					  "====", "a===",    "aG=s",	   "aGV-"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(base64_take_some(bytes_str(bad[i]), out, sizeof(out), &n));
	buf_init(&b, 0);
	base64_add(&b, bytes_str("hell"));
	assert_true(bytes_eq(buf_bytes(&b), bytes_str("aGVsbA==")));
	buf_done(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(slices_stay_inside), cmocka_unit_test(buffers_keep_their_bound),
	    cmocka_unit_test(json_strings),	  cmocka_unit_test(base64_is_strict),
	    cmocka_unit_test(arena_blocks),	  cmocka_unit_test(ids_sort_by_time),
	    cmocka_unit_test(trace_context),	  cmocka_unit_test(times_as_text),
	    cmocka_unit_test(configuration),	  cmocka_unit_test(codes_map_both_ways),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
