/* SPDX-License-Identifier: MIT
 *
 * Leases and generations in a real database (tools/with-postgres.sh gives SEKISHO_TEST_DB): who was buried comes back
 * as somebody else, and a lease is renewed by its owner only.
 */
#include "store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/clock.h"

#define MS     5000
#define SECOND INT64_C(1000000)
static struct db_pool *pool;
static char command[2048], psql[512];

static void
sql(const char *text)
{
	snprintf(command, sizeof(command), "psql -qX \"%s\" -v ON_ERROR_STOP=1 -o /dev/null -c \"%s\"", psql, text);
	assert_int_equal(system(command), 0);
}

static int
setup(void **state)
{
	const char *conninfo = getenv("SEKISHO_TEST_DB");
	char as_delivery[512];
	struct err e = {0};
	if (conninfo == NULL) {
		fprintf(stderr, "SEKISHO_TEST_DB is not set: run by tools/with-postgres.sh\n");
		return 1;
	}
	snprintf(psql, sizeof(psql), "%s dbname=delivery_test", conninfo);
	snprintf(as_delivery, sizeof(as_delivery), "%s user=sekisho_delivery", psql);
	snprintf(command, sizeof(command),
		 "psql -qX \"%s\" -v ON_ERROR_STOP=1 -c 'CREATE DATABASE delivery_test OWNER sekisho_owner' && "
		 "psql -qX \"%s\" -v ON_ERROR_STOP=1 -o /dev/null -c 'SET ROLE sekisho_owner' "
		 "-f libs/db/migrations/0001_base.sql -f services/delivery/migrations/0001_delivery.sql",
		 conninfo, psql);
	struct db_options o = {.conninfo = as_delivery, .size = 2};
	return system(command) == 0 && db_pool_new(&o, &pool, &e) == RC_OK ? 0 : 1;
}

static int
teardown(void **state)
{
	db_pool_free(&pool);
	return 0;
}

static int64_t
beat(struct uuid *self, int64_t now_us)
{
	struct err e = {0};
	int64_t orphans = -1;
	if (store_heartbeat(pool, self, now_us, now_us + 15 * SECOND, clock_mono_ms() + MS, &orphans, &e) != RC_OK)
		fail_msg("%s", e.text);
	return orphans;
}

/* Two legs of one message under a lease of owner. */
static void
lease(const struct uuid *tenant, const struct uuid *message, const struct uuid *owner, int64_t until_us)
{
	char t[UUID_STR_SIZE], m[UUID_STR_SIZE], o[UUID_STR_SIZE], text[600];
	uuid_format(tenant, t);
	uuid_format(message, m);
	uuid_format(owner, o);
	snprintf(text, sizeof(text),
		 "INSERT INTO delivery.due (tenant, message, number, kind, due_at, lease_until, lease_owner) SELECT "
		 "'%s', '%s', n, 'send', now(), timestamptz 'epoch' + %lld * interval '1 microsecond', '%s' FROM "
		 "generate_series(0, 1) n",
		 t, m, (long long)until_us, o);
	sql(text);
}

static void
generations(void **state)
{
	int64_t now = clock_wall_us();
	struct uuid one = {{0}}, two = {{0}}, tenant = uuid_v7(now), message = uuid_v7(now), was;
	assert_int_equal(beat(&one, now), 0);
	assert_false(uuid_is_nil(&one));
	was = one;
	assert_int_equal(beat(&one, now + 3 * SECOND), 0);
	assert_true(uuid_eq(&one, &was));
	lease(&tenant, &message, &one, now + 1200 * SECOND);
	assert_int_equal(beat(&two, now + 10 * SECOND), 0);
	assert_int_equal(beat(&two, now + 20 * SECOND), 2); /* one was not seen for 15 s */
	assert_int_equal(beat(&one, now + 20 * SECOND), 0); /* and comes back */
	assert_false(uuid_eq(&one, &was));
	/* A lapse that nobody else saw counts as well. */
	was = two;
	(void)beat(&two, now + 100 * SECOND);
	assert_false(uuid_eq(&two, &was));
}

static void
renewals(void **state)
{
	int64_t now = clock_wall_us();
	struct uuid owner = uuid_v7(now), other = uuid_v7(now), tenant = uuid_v7(now), message = uuid_v7(now);
	const int32_t numbers[] = {0, 1};
	struct err e;
	struct store_lease l = {.tenant = tenant,
				.message = message,
				.owner = owner,
				.numbers = numbers,
				.n = 1,
				.was_us = now + 10 * SECOND,
				.until_us = now + 20 * SECOND};
	lease(&tenant, &message, &owner, l.was_us);
	assert_int_equal(store_lease_renew(pool, &l, clock_mono_ms() + MS, &e), RC_OK);
	assert_int_equal(store_lease_renew(pool, &l, clock_mono_ms() + MS, &e), RC_CONFLICT); /* compare and set */
	l.n = 2;
	l.was_us = l.until_us;
	assert_int_equal(store_lease_renew(pool, &l, clock_mono_ms() + MS, &e), RC_CONFLICT); /* all or nothing */
	l.n = 1;
	l.owner = other;
	assert_int_equal(store_lease_renew(pool, &l, clock_mono_ms() + MS, &e), RC_CONFLICT);
	l.owner = owner;
	assert_int_equal(store_lease_renew(pool, &l, clock_mono_ms() + MS, &e), RC_OK);
	assert_int_equal(store_farewell(pool, &owner, clock_mono_ms() + MS, &e), RC_OK);
	assert_int_equal(store_lease_renew(pool, &l, clock_mono_ms() + MS, &e), RC_CONFLICT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(generations), cmocka_unit_test(renewals)};
	return cmocka_run_group_tests(tests, setup, teardown);
}
