/* SPDX-License-Identifier: MIT
 *
 * When a lease is renewed, and when it is over. The heartbeat and the store are played here.
 */
#include "lease.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "alive.h"
#include "core/clock.h"

static struct uuid generation;
bool
alive_holds(struct alive *a, const struct uuid *owner)
{
	return uuid_eq(owner, &generation);
}

static struct store_lease stored;
static int renewals;
enum rc
store_lease_renew(struct db_pool *p, const struct store_lease *l, int64_t deadline_ms, struct err *e)
{
	renewals++;
	if (!uuid_eq(&l->owner, &stored.owner) || l->was_us != stored.until_us || l->n != stored.n)
		return err_set(e, RC_CONFLICT, "the lease has ended");
	stored.until_us = l->until_us;
	return RC_OK;
}

static void
renewal(void **state)
{
	struct svc svc = {.db = NULL};
	struct delivery d = {.svc = &svc};
	struct store_message m = {.size = 1};
	struct job_leg legs[2] = {{.leg.number = 0}, {.leg.number = 3}};
	struct job j = {.message = &m, .legs = legs, .n_legs = 2};
	struct err err;
	int64_t now = clock_wall_us();
	delivery_config.lease_ms = 1200000;
	delivery_config.dot_ms = 600000;
	delivery_config.block_ms = 180000;
	generation = j.owner = stored.owner = uuid_v7(now);
	stored.n = 2;

	j.lease_us = stored.until_us = now + INT64_C(1200000000); /* fresh */
	assert_int_equal(lease_keep(&d, &j, &err), RC_OK);
	assert_int_equal(renewals, 0);

	j.lease_us = stored.until_us =
	    now + INT64_C(780000000); /* the body took its time: dot and block just do not fit */
	assert_int_equal(lease_keep(&d, &j, &err), RC_OK);
	assert_int_equal(renewals, 1);
	assert_true(j.lease_us >= now + INT64_C(1200000000));
	assert_int_equal(j.lease_us, stored.until_us);
	assert_int_equal(lease_keep(&d, &j, &err), RC_OK);
	assert_int_equal(renewals, 1);

	j.lease_us = now + 1000000; /* somebody took it meanwhile, perhaps ourselves */
	int64_t was = j.lease_us;
	assert_int_equal(lease_keep(&d, &j, &err), RC_CONFLICT);
	assert_int_equal(j.lease_us, was);

	j.lease_us = stored.until_us; /* long enough, but we were buried and came back as another generation */
	generation = uuid_v7(now);
	renewals = 0;
	assert_int_equal(lease_keep(&d, &j, &err), RC_CONFLICT);
	assert_int_equal(renewals, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(renewal)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
