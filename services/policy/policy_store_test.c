/* SPDX-License-Identifier: MIT
 *
 * The store against a real database, as the role sekisho_policy (tools/with-postgres.sh gives SEKISHO_TEST_DB).
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/clock.h"
#include "crypt/crypt.h"
#include "policy_store.h"

#define SOON	(clock_mono_ms() + 10000)
#define THREADS 6

static struct db_pool *pool;
static struct arena *arena;

static int
setup(void **state)
{
	const char *conninfo = getenv("SEKISHO_TEST_DB");
	char command[1200], as_policy[512];
	if (conninfo == NULL) {
		fprintf(stderr, "SEKISHO_TEST_DB is not set: run by tools/with-postgres.sh\n");
		return 1;
	}
	snprintf(as_policy, sizeof(as_policy), "%s dbname=policy_test user=sekisho_policy", conninfo);
	snprintf(command, sizeof(command),
		 "psql -qX \"%s\" -v ON_ERROR_STOP=1 -c 'CREATE DATABASE policy_test OWNER sekisho_owner' && "
		 "psql -qX \"%s dbname=policy_test\" -v ON_ERROR_STOP=1 -o /dev/null -c 'SET ROLE sekisho_owner' "
		 "-f libs/db/migrations/0001_base.sql -f services/policy/migrations/0001_policy.sql",
		 conninfo, conninfo);
	struct db_options o = {.conninfo = as_policy, .size = THREADS, .intent_sql = DB_INTENT_SQL("policy")};
	arena = arena_new();
	return system(command) != 0 || db_pool_new(&o, &pool, NULL) != RC_OK;
}

static int
teardown(void **state)
{
	db_pool_free(&pool);
	arena_free(&arena);
	return 0;
}

static enum rc
activate_if(const struct uuid *tenant, const char *json, bool none, uint64_t if_version, uint64_t *version_r)
{
	struct err e;
	struct store_activation v = {.document = bytes_str(json),
				     .if_version = if_version,
				     .if_none = none,
				     .rules = 3,
				     .name = "管理者",
				     .actor = "account",
				     .from = "192.0.2.1",
				     .now_us = clock_wall_us()};
	crypt_sha256(v.document, v.sha256);
	return store_rules_activate(pool, tenant, &v, SOON, version_r, &e);
}

static enum rc
activate(const struct uuid *tenant, const char *json, uint64_t if_version, uint64_t *version_r)
{
	return activate_if(tenant, json, false, if_version, version_r);
}

/* One number, as the tenant. */
static int64_t
count(const struct uuid *tenant, const char *sql)
{
	struct db_tx *tx;
	struct db_rows *rows;
	struct err e;
	assert_int_equal(db_begin(pool, tenant, SOON, &tx, &e), RC_OK);
	assert_int_equal(db_query(tx, sql, NULL, &rows, &e), RC_OK);
	assert_true(db_rows_next(rows));
	int64_t n = db_int(rows, 0);
	db_rows_free(&rows);
	db_end(&tx);
	return n;
}

static const char *const count_rules = "SELECT count(*) FROM policy.rule_set";
static const char *const count_intents = "SELECT count(*) FROM policy.audit_intent WHERE action = 'policy.activated' "
					 "AND outcome = 'ok' AND actor = 'account' AND source = '192.0.2.1'";

static void
versions(void **state)
{
	const struct uuid tenant = uuid_v7(clock_wall_us());
	struct store_rules got;
	struct err e;
	uint64_t version;
	assert_int_equal(store_rules_in_force(pool, &tenant, 0, SOON, arena, &got, &e), RC_OK);
	assert_int_equal(got.version, 0);
	assert_null(got.document.p);
	assert_int_equal(activate(&tenant, "{\"n\":1}", 0, &version), RC_OK);
	assert_int_equal(version, 1);
	assert_int_equal(activate(&tenant, "{\"n\":2}", 1, &version), RC_OK);
	assert_int_equal(version, 2);
	assert_int_equal(activate(&tenant, "{\"n\":3}", 1, &version), RC_CONFLICT);
	assert_int_equal(activate(&tenant, "{\"n\":3}", 7, &version), RC_CONFLICT);

	assert_int_equal(store_rules_in_force(pool, &tenant, 1, SOON, arena, &got, &e), RC_OK);
	assert_int_equal(got.version, 2);
	assert_true(bytes_eq(got.document, bytes_str("{\"n\":2}")));
	assert_string_equal(got.activated_by, "管理者");
	/* The version that the caller knows comes without its document. */
	assert_int_equal(store_rules_in_force(pool, &tenant, 2, SOON, arena, &got, &e), RC_OK);
	assert_int_equal(got.version, 2);
	assert_null(got.document.p);

	assert_int_equal(store_rules_version(pool, &tenant, 1, SOON, arena, &got, &e), RC_OK);
	assert_true(bytes_eq(got.document, bytes_str("{\"n\":1}")));
	assert_int_equal(store_rules_version(pool, &tenant, 3, SOON, arena, &got, &e), RC_NOT_FOUND);
	assert_int_equal(store_rules_version(pool, &tenant, UINT64_MAX, SOON, arena, &got, &e), RC_NOT_FOUND);
	struct store_version *list;
	size_t n;
	assert_int_equal(store_rules_versions(pool, &tenant, 0, 10, SOON, arena, &list, &n, &e), RC_OK);
	assert_int_equal(n, 2);
	assert_int_equal(list[0].about.version, 2);
	assert_true(list[0].active && !list[1].active);
	assert_int_equal(list[1].rules, 3);
	assert_int_equal(store_rules_versions(pool, &tenant, 2, 10, SOON, arena, &list, &n, &e), RC_OK);
	assert_int_equal(n, 1);
	assert_int_equal(list[0].about.version, 1);
	/* One intent per version, none for what was refused. */
	assert_int_equal(count(&tenant, count_rules), 2);
	assert_int_equal(count(&tenant, count_intents), 2);
}

static void *
activate_some(void *ctx)
{
	const struct uuid *tenant = ctx;
	intptr_t done = 0;
	for (int i = 0; i < 5; i++) {
		uint64_t version;
		enum rc rc = activate(tenant, "{}", 0, &version);
		if (rc == RC_OK)
			done++;
		else if (rc != RC_CONFLICT)
			return (void *)(intptr_t)-1;
	}
	return (void *)done;
}

static void
many_at_once(void **state)
{
	struct uuid tenant = uuid_v7(clock_wall_us());
	pthread_t threads[THREADS];
	int64_t done = 0;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, activate_some, &tenant), 0);
	for (int i = 0; i < THREADS; i++) {
		void *n;
		pthread_join(threads[i], &n);
		assert_true((intptr_t)n >= 0);
		done += (intptr_t)n;
	}
	/* Whoever was told "ok" has a version, and versions have no gap. */
	assert_true(done > 0);
	assert_int_equal(count(&tenant, count_rules), done);
	assert_int_equal(count(&tenant, count_intents), done);
	assert_int_equal(count(&tenant, "SELECT max(version) FROM policy.rule_set"), done);
}

static void *
activate_first(void *ctx)
{
	uint64_t version;
	return (void *)(intptr_t)activate_if(ctx, "{}", true, 0, &version);
}

/* Of those who all saw "nothing yet" exactly one wins. */
static void
one_is_first(void **state)
{
	for (int round = 0; round < 10; round++) {
		struct uuid tenant = uuid_v7(clock_wall_us());
		pthread_t threads[THREADS];
		uint64_t version;
		int won = 0;
		for (int i = 0; i < THREADS; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, activate_first, &tenant), 0);
		for (int i = 0; i < THREADS; i++) {
			void *rc;
			pthread_join(threads[i], &rc);
			assert_true((intptr_t)rc == RC_OK || (intptr_t)rc == RC_CONFLICT);
			won += (intptr_t)rc == RC_OK;
		}
		assert_int_equal(won, 1);
		assert_int_equal(count(&tenant, count_rules), 1);
		assert_int_equal(activate_if(&tenant, "{}", true, 0, &version), RC_CONFLICT);
		assert_int_equal(activate(&tenant, "{}", 1, &version), RC_OK);
	}
}

static void
tenants_do_not_meet(void **state)
{
	const struct uuid mine = uuid_v7(clock_wall_us()), other = uuid_v7(clock_wall_us());
	uint8_t sha256[32] = {1};
	uint64_t version;
	struct bytes document;
	struct store_rules got;
	struct err e;
	assert_int_equal(activate(&mine, "{}", 0, &version), RC_OK);
	assert_int_equal(store_directory_keep(pool, &mine, 1, bytes_str("{}"), sha256, clock_wall_us(), SOON, &e),
			 RC_OK);
	assert_int_equal(store_rules_in_force(pool, &other, 0, SOON, arena, &got, &e), RC_OK);
	assert_int_equal(got.version, 0);
	assert_int_equal(store_directory_newest(pool, &other, SOON, arena, &version, &document, &e), RC_NOT_FOUND);
	/* Nor with another tenant's rows asked for outright, nor with no tenant at all. */
	assert_int_equal(count(&other, count_rules), 0);
	assert_int_equal(count(NULL, count_rules), 0);
	assert_int_equal(count(NULL, "SELECT count(*) FROM policy.directory"), 0);
	assert_int_equal(count(NULL, count_intents), 0);
}

static void
nothing_is_overwritten(void **state)
{
	static const char *const sql[] = {"UPDATE policy.rule_set SET document = ''", "DELETE FROM policy.rule_set",
					  "UPDATE policy.directory SET document = ''", "DELETE FROM policy.directory",
					  "DELETE FROM policy.audit_intent"};
	const struct uuid tenant = uuid_v7(clock_wall_us());
	for (size_t i = 0; i < sizeof(sql) / sizeof(sql[0]); i++) {
		struct db_tx *tx;
		struct err e;
		int64_t n;
		assert_int_equal(db_begin(pool, &tenant, SOON, &tx, &e), RC_OK);
		assert_int_equal(db_exec_count(tx, sql[i], NULL, &n, &e), RC_DENIED);
		db_end(&tx);
	}
}

static void
directories(void **state)
{
	const struct uuid tenant = uuid_v7(clock_wall_us());
	uint8_t one[32] = {1}, two[32] = {2};
	uint64_t version;
	struct bytes document;
	struct err e;
	assert_int_equal(store_directory_newest(pool, &tenant, SOON, arena, &version, &document, &e), RC_NOT_FOUND);
	assert_int_equal(store_directory_keep(pool, &tenant, 1, bytes_str("one"), one, 1000000, SOON, &e), RC_OK);
	assert_int_equal(store_directory_keep(pool, &tenant, 1, bytes_str("one"), one, 2000000, SOON, &e), RC_OK);
	assert_int_equal(count(&tenant, "SELECT count(*) FROM policy.directory"), 1);
	/* The same version with other content is another copy. */
	assert_int_equal(store_directory_keep(pool, &tenant, 1, bytes_str("two"), two, 3000000, SOON, &e), RC_OK);
	assert_int_equal(store_directory_newest(pool, &tenant, SOON, arena, &version, &document, &e), RC_OK);
	assert_int_equal(version, 1);
	assert_true(bytes_eq(document, bytes_str("two")));
	assert_int_equal(store_directory_keep(pool, &tenant, 2, bytes_str("three"), one, 1000000, SOON, &e), RC_OK);
	assert_int_equal(store_directory_newest(pool, &tenant, SOON, arena, &version, &document, &e), RC_OK);
	assert_int_equal(version, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(versions),
	    cmocka_unit_test(many_at_once),
	    cmocka_unit_test(one_is_first),
	    cmocka_unit_test(tenants_do_not_meet),
	    cmocka_unit_test(nothing_is_overwritten),
	    cmocka_unit_test(directories),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
