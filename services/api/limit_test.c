/* SPDX-License-Identifier: MIT
 *
 * Buckets against a clock of their own: what may pass in a window, what is told of the rest, and that memory is
 * bounded.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

#include "limit.h"

static void
a_window_lets_its_quota_pass(void **state)
{
	struct limit *l = limit_new(10, 5);
	struct limit_state s;
	for (int i = 0; i < 10; i++) {
		assert_true(limit_take(l, bytes_str("a"), 1, 1000, &s));
		assert_int_equal(s.left, 9 - i);
	}
	assert_false(limit_take(l, bytes_str("a"), 1, 1000, &s));
	assert_int_equal(s.left, 0);
	assert_int_equal(s.wait_s, 1);
	assert_int_equal(s.reset_s, 5);
	assert_false(limit_take(l, bytes_str("a"), 1, 1499, &s));
	assert_true(limit_take(l, bytes_str("a"), 1, 1500, &s));
	assert_false(limit_take(l, bytes_str("a"), 1, 1500, &s));
	assert_true(limit_take(l, bytes_str("a"), 10, 6500, &s));
	assert_true(limit_take(l, bytes_str("b"), 10, 6500, &s));
	limit_free(&l);
}

static void
looking_takes_nothing(void **state)
{
	struct limit *l = limit_new(3, 60);
	struct limit_state s;
	for (int i = 0; i < 100; i++)
		assert_true(limit_take(l, bytes_str("a"), 0, i, &s));
	assert_int_equal(s.left, 3);
	assert_int_equal(s.reset_s, 0);
	/* Slower than one token a second, looked at every millisecond: it fills all the same. */
	assert_true(limit_take(l, bytes_str("a"), 3, 100, &s));
	for (int64_t now = 100; now < 20099; now++)
		assert_false(limit_take(l, bytes_str("a"), 1, now, &s));
	assert_true(limit_take(l, bytes_str("a"), 1, 20101, &s));
	limit_free(&l);
}

static void
a_clock_that_stands_fills_nothing(void **state)
{
	struct limit *l = limit_new(2, 1);
	struct limit_state s;
	assert_true(limit_take(l, bytes_str("a"), 2, 1000, &s));
	assert_false(limit_take(l, bytes_str("a"), 1, 1000, &s));
	assert_false(limit_take(l, bytes_str("a"), 1, 900, &s));
	limit_free(&l);
}

static void
no_quota_is_no_limit(void **state)
{
	struct limit *l = limit_new(0, 1);
	struct limit_state s;
	for (int i = 0; i < 1000; i++)
		assert_true(limit_take(l, bytes_str("a"), 1, 0, &s));
	limit_free(&l);
}

/* A flood of names pushes out full buckets; a bucket that is nearly empty stays. */
static void
a_flood_of_names_frees_nobody(void **state)
{
	struct limit *l = limit_new(4, 3600);
	struct limit_state s;
	assert_true(limit_take(l, bytes_str("busy"), 4, 0, &s));
	for (int i = 0; i < 200000; i++) {
		char name[32];
		snprintf(name, sizeof(name), "n%d", i);
		(void)limit_take(l, bytes_str(name), 1, 1, &s);
	}
	assert_false(limit_take(l, bytes_str("busy"), 1, 1, &s));
	limit_free(&l);
}

static void
addresses(void **state)
{
	static const char *const v[][2] = {
	    {"192.0.2.1", "192.0.2.1"},
	    {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
	    {"2001:db8:1:2::1", "2001:db8:1:2::"},
	    {"2001:db8:1:3::1", "2001:db8:1:3::"},
	    {"::ffff:192.0.2.1", "192.0.2.1"},
	    {"", ""},
	    {"x", "x"},
	};
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		char out[LIMIT_ADDRESS_SIZE];
		assert_true(bytes_eq(limit_address(v[i][0], out), bytes_str(v[i][1])));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_window_lets_its_quota_pass),	 cmocka_unit_test(looking_takes_nothing),
	    cmocka_unit_test(a_clock_that_stands_fills_nothing), cmocka_unit_test(no_quota_is_no_limit),
	    cmocka_unit_test(a_flood_of_names_frees_nobody),	 cmocka_unit_test(addresses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
