/* SPDX-License-Identifier: MIT
 *
 * Every state of a leg is in a term (the states come from delivery's own table), and the sum notices what is off by
 * one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "conservation.h"

#define LEG_STATE(c, name, kind, text) #name,
static const char *const all_states[] = {
#include "../delivery/legs.def"
};
#define N_STATES (sizeof(all_states) / sizeof(all_states[0]))

static void
every_state_has_a_term(void **state)
{
	struct err e;
	for (size_t i = 0; i < N_STATES; i++) {
		struct conservation c = {0};
		conservation_accepted(&c, 3);
		assert_int_equal(conservation_legs(&c, all_states[i], true, 3, &e), RC_OK);
		assert_true(conservation_holds(&c));
		assert_int_equal(c.terms[TERM_ADDED], 0);
	}
}

static void
added_legs_count_on_both_sides(void **state)
{
	struct err e;
	struct conservation c = {0};
	assert_int_equal(conservation_legs(&c, "delivered", false, 2, &e), RC_OK);
	assert_int_equal(c.terms[TERM_ADDED], 2);
	assert_int_equal(c.terms[TERM_DELIVERED], 2);
	assert_true(conservation_holds(&c));
}

static void
a_lost_recipient_shows(void **state)
{
	struct err e;
	struct conservation c = {0};
	conservation_accepted(&c, 10);
	assert_int_equal(conservation_legs(&c, "delivered", true, 6, &e), RC_OK);
	conservation_waiting(&c, 3);
	assert_false(conservation_holds(&c));
	conservation_waiting(&c, 1);
	assert_true(conservation_holds(&c));
	assert_int_equal(c.terms[TERM_OPEN], 4);
}

static void
a_violation_breaks_an_even_sum(void **state)
{
	struct conservation c = {.violations = 1};
	assert_false(conservation_holds(&c));
}

static void
an_unknown_state_is_an_error(void **state)
{
	struct err e;
	struct conservation c = {0};
	assert_int_equal(conservation_legs(&c, "lost", true, 1, &e), RC_INVALID);
}

static void
sums_add_every_term(void **state)
{
	struct conservation a = {0}, b = {.violations = 2};
	for (int t = 0; t < TERMS; t++) {
		a.terms[t] = (uint64_t)t;
		b.terms[t] = 100;
	}
	conservation_sum(&a, &b);
	for (int t = 0; t < TERMS; t++)
		assert_int_equal(a.terms[t], 100 + t);
	assert_int_equal(a.violations, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_state_has_a_term),	    cmocka_unit_test(added_legs_count_on_both_sides),
	    cmocka_unit_test(a_lost_recipient_shows),	    cmocka_unit_test(a_violation_breaks_an_even_sum),
	    cmocka_unit_test(an_unknown_state_is_an_error), cmocka_unit_test(sums_add_every_term),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
