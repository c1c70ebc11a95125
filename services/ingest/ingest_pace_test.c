/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "ingest_pace.h"

static const struct pace_limits limits = {.total_ms = 1200000, .stretch_ms = 60000, .rate = 1024};

/* Looks every second at a message that brings so many octets a second; when it ends, in ms. 0: it does not. */
static int64_t
ends_after(uint64_t first, uint64_t per_second, int64_t seconds, enum pace_finding *finding_r)
{
	struct pace p = {0};
	for (int64_t s = 0; s <= seconds; s++) {
		*finding_r = pace_look(&p, &limits, 1, first + per_second * (uint64_t)s, 5000 + s * 1000);
		if (*finding_r != PACE_FINE)
			return s * 1000;
	}
	return 0;
}

static void
a_trickle_ends(void **state)
{
	enum pace_finding f;
	assert_int_equal(ends_after(0, 1, 1300, &f), 120000);
	assert_int_equal(f, PACE_SLOW);
	/* much at once buys no time */
	assert_int_equal(ends_after(50000000, 0, 1300, &f), 120000);
	assert_int_equal(f, PACE_SLOW);
	assert_int_equal(ends_after(0, 1023, 1300, &f), 120000);
}

static void
a_slow_line_may_finish(void **state)
{
	enum pace_finding f;
	assert_int_equal(ends_after(0, 1024, 1199, &f), 0);
	assert_int_equal(ends_after(0, 1024, 1300, &f), 1200000);
	assert_int_equal(f, PACE_LATE);
}

/* The first stretch is free, and a new message begins anew. */
static void
each_message_has_its_own_time(void **state)
{
	struct pace p = {0};
	for (uint64_t m = 1; m < 100; m++) {
		int64_t at = (int64_t)m * 100000;
		assert_int_equal(pace_look(&p, &limits, m, 0, at), PACE_FINE);
		assert_int_equal(pace_look(&p, &limits, m, 0, at + 60000), PACE_FINE);
		assert_int_equal(pace_look(&p, &limits, 0, 0, at + 90000), PACE_FINE);
	}
	assert_int_equal(pace_look(&p, &limits, 0, 0, 99999999), PACE_FINE);
}

static void
no_rate_is_no_bound(void **state)
{
	struct pace_limits any = {.total_ms = 1200000, .stretch_ms = 60000, .rate = 0};
	struct pace p = {0};
	for (int64_t t = 0; t < 1200000; t += 1000)
		assert_int_equal(pace_look(&p, &any, 1, 0, t), PACE_FINE);
	assert_int_equal(pace_look(&p, &any, 1, 0, 1200000), PACE_LATE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_trickle_ends),
	    cmocka_unit_test(a_slow_line_may_finish),
	    cmocka_unit_test(each_message_has_its_own_time),
	    cmocka_unit_test(no_rate_is_no_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
