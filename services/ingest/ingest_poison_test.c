/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "ingest_housekeeping.h"
#include "ingest_poison.h"

static const struct uuid one = {{1}}, two = {{2}};
static const uint8_t a[32] = {1}, b[32] = {2};

static void
it_is_forgotten_after_an_hour(void **state)
{
	struct poison *p = poison_new();
	assert_false(poison_has(p, &one, a, 0));
	poison_add(p, &one, a, 1000);
	assert_true(poison_has(p, &one, a, 1000));
	assert_true(poison_has(p, &one, a, 1000 + POISON_KEEP_MS - 1));
	assert_false(poison_has(p, &one, a, 1000 + POISON_KEEP_MS));
	assert_false(poison_has(p, &two, a, 1000));
	assert_false(poison_has(p, &one, b, 1000));
	poison_free(&p);
}

/* One message that is slow again and again is to blame; several at a time are not. */
static void
slow_on_many_is_nobodys_fault(void **state)
{
	struct poison *p = poison_new();
	assert_true(poison_slow_alone(p, &one, a, 1000, 100));
	assert_true(poison_slow_alone(p, &one, a, 1050, 100));
	assert_false(poison_slow_alone(p, &one, b, 1060, 100));
	assert_false(poison_slow_alone(p, &one, a, 1070, 100));
	assert_false(poison_slow_alone(p, &two, a, 1080, 100)); /* another tenant's is another message */
	assert_true(poison_slow_alone(p, &one, a, 1180, 100));
	for (int i = 0; i < 100; i++)
		assert_true(poison_slow_alone(p, &one, a, 1200 + i, 10));
	poison_free(&p);
}

static void
each_tenant_has_its_turn(void **state)
{
	struct housekeeping *h = housekeeping_new();
	assert_true(housekeeping_due(h, &one, 5));
	assert_true(housekeeping_due(h, &two, 5));
	assert_false(housekeeping_due(h, &one, 5 + HOUSEKEEPING_EVERY_MS - 1));
	assert_true(housekeeping_due(h, &one, 5 + HOUSEKEEPING_EVERY_MS));
	assert_false(housekeeping_due(h, &one, 6 + HOUSEKEEPING_EVERY_MS));
	housekeeping_free(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_is_forgotten_after_an_hour),
	    cmocka_unit_test(slow_on_many_is_nobodys_fault),
	    cmocka_unit_test(each_tenant_has_its_turn),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
