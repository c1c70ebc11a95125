/* SPDX-License-Identifier: MIT
 *
 * The ladder rung by rung, and whole lives of webhooks.
 */
#include "course.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define S	 1000000LL
#define H	 (3600 * S)
#define D	 (24 * H)
#define STANDARD "5s,5m,30m,2h,5h,10h,14h,20h,24h"
#define DAYS_5	 (5 * D / 1000)

static const struct course_result ok = {200, true, 0}, down = {0, false, 0}, wrong = {500, true, 0};

static struct course_ladder
ladder(const char *text, int64_t disable_ms)
{
	struct course_ladder l;
	struct err e;
	assert_int_equal(course_ladder_parse(text, disable_ms, &l, &e), RC_OK);
	return l;
}

static void
test_what_counts_as_arrived(void **state)
{
	static const struct {
		struct course_result r;
		bool arrived;
	} table[] = {
	    {{200, true}, true},  {{204, true}, true},	{{299, true}, true},  {{200, false}, false},
	    {{0, false}, false},  {{100, true}, false}, {{199, true}, false}, {{300, true}, false},
	    {{301, true}, false}, {{302, true}, false}, {{304, true}, false}, {{308, true}, false},
	    {{400, true}, false}, {{401, true}, false}, {{404, true}, false}, {{429, true}, false},
	    {{500, true}, false}, {{503, true}, false}, {{999, true}, false},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (course_arrived(&table[i].r) != table[i].arrived)
			fail_msg("status %u whole %d", table[i].r.status, table[i].r.whole);
}

/* Ten attempts at the documented times, then the event is put aside. */
static void
test_standard_ladder(void **state)
{
	static const int64_t waits[] = {5 * S, 300 * S, 1800 * S, 2 * H, 5 * H, 10 * H, 14 * H, 20 * H, 24 * H};
	struct course_ladder l = ladder(STANDARD, DAYS_5);
	struct course_state s = {0};
	int64_t now = 1000 * D, began = now;
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		struct course_step step = course_after(&l, &s, &wrong, now, 0);
		assert_int_equal(step.what, COURSE_WAIT);
		assert_int_equal(step.due_us - now, waits[i]);
		assert_int_equal(s.attempts, i + 1);
		now = step.due_us;
	}
	struct course_step step = course_after(&l, &s, &wrong, now, 0);
	assert_int_equal(step.what, COURSE_ASIDE);
	assert_int_equal(s.attempts, 0);
	assert_int_equal(s.failing_since_us, began);
	/* and the next one begins a ladder of its own */
	step = course_after(&l, &s, &wrong, now, 0);
	assert_int_equal(step.what, COURSE_WAIT);
	assert_int_equal(step.due_us - now, 5 * S);
	step = course_after(&l, &s, &ok, now, 0);
	assert_int_equal(step.what, COURSE_NEXT);
	assert_int_equal(s.failing_since_us, 0);
}

static void
test_five_days(void **state)
{
	struct course_ladder l = ladder(STANDARD, DAYS_5);
	struct course_state s = {0};
	int64_t now = 1000 * D, began = now;
	int aside = 0;
	for (int i = 0; i < 100; i++) {
		struct course_step step = course_after(&l, &s, &down, now, 500);
		if (step.what == COURSE_DISABLE) {
			assert_false(step.gone);
			assert_true(now - began >= 5 * D);
			assert_int_equal(aside, 1); /* a ladder lasts over three days: one event at most is put aside */
			return;
		}
		assert_true(now - began < 5 * D);
		aside += step.what == COURSE_ASIDE;
		now = step.due_us;
	}
	fail_msg("never disabled");
}

/* One that goes well now and then is never disabled. */
static void
test_flapping_is_not_disabled(void **state)
{
	struct course_ladder l = ladder(STANDARD, DAYS_5);
	struct course_state s = {0};
	int64_t now = 1000 * D;
	for (int i = 0; i < 1000; i++) {
		struct course_step step = course_after(&l, &s, i % 3 == 2 ? &ok : &down, now, 0);
		assert_true(step.what == COURSE_NEXT || step.what == COURSE_WAIT);
		now = step.due_us;
	}
}

static void
test_gone(void **state)
{
	struct course_ladder l = ladder(STANDARD, DAYS_5);
	struct course_state s = {0};
	struct course_step step = course_after(&l, &s, &(struct course_result){410, true, 0}, D, 0);
	assert_int_equal(step.what, COURSE_DISABLE);
	assert_true(step.gone);
}

static void
test_retry_after(void **state)
{
	static const struct {
		struct course_result r;
		int64_t wait_us;
	} table[] = {
	    {{429, true, 60}, 60 * S},	    {{503, true, 60}, 60 * S},
	    {{429, true, 1}, 5 * S},				      /* never sooner than the ladder */
	    {{429, true, 0}, 5 * S},	    {{500, true, 60}, 5 * S}, /* only where it means that */
	    {{429, true, 9999999}, 24 * H}, {{503, true, -5}, 5 * S},
	};
	struct course_ladder l = ladder(STANDARD, DAYS_5);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct course_state s = {0};
		struct course_step step = course_after(&l, &s, &table[i].r, D, 0);
		if (step.what != COURSE_WAIT || step.due_us - D != table[i].wait_us)
			fail_msg("row %zu: %s after %lld us", i, course_what_str(step.what),
				 (long long)(step.due_us - D));
	}
}

static void
test_jitter(void **state)
{
	struct course_ladder l = ladder("10s", DAYS_5);
	for (unsigned chance = 0; chance <= 2000; chance += 100) {
		struct course_state s = {0};
		int64_t wait = course_after(&l, &s, &down, D, chance).due_us - D;
		assert_true(wait >= 10 * S && wait <= 12 * S);
		assert_true(chance == 0 || wait > 10 * S);
	}
}

static void
test_configuration(void **state)
{
	struct course_ladder l = ladder("", DAYS_5);
	struct course_state s = {0};
	struct err e;
	assert_int_equal(course_after(&l, &s, &down, D, 0).what, COURSE_ASIDE); /* one attempt only */
	static const char *const bad[] = {
	    "5", "5s;5m", "5s,,5m", "x", "0s", "-1s", "1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (course_ladder_parse(bad[i], 0, &l, &e) != RC_INVALID)
			fail_msg("\"%s\" is taken", bad[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_counts_as_arrived),
	    cmocka_unit_test(test_standard_ladder),
	    cmocka_unit_test(test_five_days),
	    cmocka_unit_test(test_flapping_is_not_disabled),
	    cmocka_unit_test(test_gone),
	    cmocka_unit_test(test_retry_after),
	    cmocka_unit_test(test_jitter),
	    cmocka_unit_test(test_configuration),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
