/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "ingest_envelope.h"

static const struct uuid one = {{1}}, two = {{2}};

/* One client or one tenant fills its share and nobody else's. */
static void
a_share_is_all_one_gets(void **state)
{
	struct ingest_budget b = {.limit = 1000, .share = 250};
	struct budget_payer a1 = budget_payer_of(false, "192.0.2.1", &one),
			    a2 = budget_payer_of(false, "192.0.2.1", &two);
	struct budget_payer b1 = budget_payer_of(false, "192.0.2.2", &one),
			    b2 = budget_payer_of(false, "192.0.2.2", &two);
	assert_true(budget_take(&b, &a1, 200));
	assert_false(budget_take(&b, &a2, 51)); /* the address */
	assert_false(budget_take(&b, &b1, 51)); /* the tenant */
	assert_true(budget_take(&b, &b2, 250));
	assert_true(budget_take(&b, &a1, 50));
	assert_int_equal(b.used, 500);
	budget_give(&b, &a1, 250);
	assert_true(budget_take(&b, &a1, 250));
	budget_give(&b, &a1, 250);
	budget_give(&b, &b2, 250);
	assert_int_equal(b.used, 0);
	for (size_t i = 0; i < BUDGET_BUCKETS; i++)
		assert_null(b.shares[i]);
}

/* A refusal by the second share leaves nothing on the first. */
static void
a_refusal_takes_nothing(void **state)
{
	struct ingest_budget b = {.limit = 1000, .share = 250};
	struct budget_payer a = budget_payer_of(false, "192.0.2.1", &one),
			    c = budget_payer_of(false, "192.0.2.3", &one);
	assert_true(budget_take(&b, &a, 250));
	assert_false(budget_take(&b, &c, 1));
	budget_give(&b, &a, 250);
	assert_int_equal(b.used, 0);
	for (size_t i = 0; i < BUDGET_BUCKETS; i++)
		assert_null(b.shares[i]);
}

static void
an_ipv6_network_is_one_client(void **state)
{
	struct ingest_budget b = {.limit = 1000, .share = 250};
	struct budget_payer a = budget_payer_of(false, "2001:db8::1", NULL),
			    near = budget_payer_of(false, "2001:db8::2", NULL);
	struct budget_payer far = budget_payer_of(false, "2001:db8:0:1::1", NULL);
	assert_true(budget_take(&b, &a, 250));
	assert_false(budget_take(&b, &near, 1));
	assert_true(budget_take(&b, &far, 250));
	budget_give(&b, &a, 250);
	budget_give(&b, &far, 250);
}

/* However many come from outside, api's mail still has room. */
static void
the_reserve_is_for_inside(void **state)
{
	struct ingest_budget b = {.limit = 1000, .share = 250, .reserve = 125};
	struct budget_payer out[8], in = budget_payer_of(true, "", &one);
	char ip[32];
	int taken = 0, by[8] = {0};
	for (int i = 0; i < 8; i++) {
		snprintf(ip, sizeof(ip), "192.0.2.%d", i + 1);
		out[i] = budget_payer_of(false, ip, NULL);
		for (; budget_take(&b, &out[i], 25); by[i] += 25)
			taken += 25;
	}
	assert_int_equal(taken, 875);
	assert_true(budget_take(&b, &in, 125));
	assert_false(budget_take(&b, &in, 1));
	budget_give(&b, &in, 125);
	assert_int_equal(b.used, 875);
	for (int i = 0; i < 8; i++)
		if (by[i] > 0)
			budget_give(&b, &out[i], by[i]);
	assert_int_equal(b.used, 0);
}

/* What a body holds is little more than what is in it. */
static void
bodies_grow_by_pieces(void **state)
{
	struct ingest_budget b = {.limit = 256 << 20};
	struct envelope *e = envelope_new(&b);
	char piece[4096] = "";
	e->client_ip = "192.0.2.1";
	while (e->body.n < 33600000) {
		assert_true(envelope_reserve(e, sizeof(piece), 0));
		buf_add(&e->body, piece, sizeof(piece));
	}
	assert_int_equal(b.used, e->body.cap);
	assert_true(b.used < 33600000 / 100 * 126);
	envelope_free(&e);
	assert_int_equal(b.used, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_share_is_all_one_gets),	     cmocka_unit_test(a_refusal_takes_nothing),
	    cmocka_unit_test(an_ipv6_network_is_one_client), cmocka_unit_test(the_reserve_is_for_inside),
	    cmocka_unit_test(bodies_grow_by_pieces),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
