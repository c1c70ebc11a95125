/* SPDX-License-Identifier: MIT
 *
 * The database layer against a real server (tools/with-postgres.sh gives SEKISHO_TEST_DB).
 */
#include "db/db.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/clock.h"

#define MS 5000
static struct db_pool *pool;

static struct db_tx *
begin(const struct uuid *tenant)
{
	struct db_tx *tx = NULL;
	struct err e = {0};
	if (db_begin(pool, tenant, clock_mono_ms() + MS, &tx, &e) != RC_OK)
		fail_msg("%s", e.text);
	return tx;
}

static int64_t
one_int(struct db_tx *tx, const char *sql)
{
	struct db_rows *r = NULL;
	struct err e = {0};
	if (db_query(tx, sql, NULL, &r, &e) != RC_OK)
		fail_msg("%s", e.text);
	assert_true(db_rows_next(r));
	int64_t v = db_int(r, 0);
	db_rows_free(&r);
	return v;
}

static int
setup(void **state)
{
	const char *conninfo = getenv("SEKISHO_TEST_DB");
	struct err e = {0};
	if (conninfo == NULL) {
		fprintf(stderr, "SEKISHO_TEST_DB is not set: run by tools/with-postgres.sh\n");
		return 1;
	}
	struct db_options o = {.conninfo = conninfo, .size = 2, .intent_sql = DB_INTENT_SQL("db_test")};
	if (db_pool_new(&o, &pool, &e) != RC_OK)
		return 1;
	struct db_tx *tx = begin(NULL);
	static const char *const sql[] = {
	    "CREATE SCHEMA db_test",
	    "CREATE TABLE db_test.t (k int PRIMARY KEY, b bytea, u uuid, at timestamptz, ok bool, n int8)",
	    "CREATE TABLE db_test.audit_intent (tenant uuid, id uuid, writer text, epoch uuid, seq int8, at "
	    "timestamptz, "
	    "action text, outcome text, actor bytea, subject uuid, number int4, detail bytea, traceparent text, "
	    "source bytea)",
	};
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(db_exec(tx, sql[i], NULL, &e), RC_OK);
	assert_int_equal(db_commit(&tx, &e), RC_OK);
	assert_null(tx);
	return 0;
}

static int
teardown(void **state)
{
	db_pool_free(&pool);
	return 0;
}

static void
round_trip(void **state)
{
	struct err e = {0};
	struct db_args a;
	struct uuid u = uuid_v7(clock_wall_us());
	struct db_tx *tx = begin(NULL);
	db_args_init(&a);
	db_arg_int(&a, -7);
	db_arg_bytes(&a, bytes_of("\0\xff x", 4));
	db_arg_uuid(&a, &u);
	db_arg_time(&a, 1234567890123456);
	db_arg_bool(&a, true);
	db_arg_long(&a, INT64_MIN);
	assert_int_equal(db_exec(tx, "INSERT INTO db_test.t VALUES ($1, $2, $3, $4, $5, $6)", &a, &e), RC_OK);
	struct db_rows *r = NULL;
	assert_int_equal(db_query(tx, "SELECT * FROM db_test.t WHERE k = -7", NULL, &r, &e), RC_OK);
	assert_int_equal(db_commit(&tx, &e), RC_OK);
	assert_true(db_rows_next(r));
	struct uuid got = db_uuid(r, 2);
	assert_int_equal(db_int(r, 0), -7);
	assert_true(bytes_eq(db_bytes(r, 1), bytes_of("\0\xff x", 4)));
	assert_true(uuid_eq(&got, &u));
	assert_true(db_time(r, 3) == 1234567890123456);
	assert_true(db_bool(r, 4));
	assert_true(db_int(r, 5) == INT64_MIN);
	assert_false(db_rows_next(r));
	db_rows_free(&r);
}

static int64_t
with_settings(const char *settings, const char *sql)
{
	struct db_pool *ours = pool;
	struct db_options o = {.conninfo = getenv("SEKISHO_TEST_DB"), .size = 1, .settings = settings};
	assert_int_equal(db_pool_new(&o, &pool, NULL), RC_OK);
	struct db_tx *tx = begin(NULL);
	int64_t v = one_int(tx, sql);
	db_end(&tx);
	db_pool_free(&pool);
	pool = ours;
	return v;
}

static void
session_settings(void **state)
{
	static const char sql[] = "SELECT ((current_setting('plan_cache_mode') = 'force_generic_plan')::int + "
				  "2 * (current_setting('jit') = 'off')::int + "
				  "4 * (current_setting('enable_seqscan') = 'off')::int)::int8";
	assert_int_equal(with_settings(NULL, sql), 3);
	assert_int_equal(with_settings("-c enable_seqscan=off", sql), 7);
	/* The operator has the last word. */
	setenv("PGOPTIONS", "-c plan_cache_mode=auto", 1);
	assert_int_equal(with_settings("-c enable_seqscan=off", sql), 6);
	unsetenv("PGOPTIONS");
}

static void
arrays(void **state)
{
	struct err e = {0};
	struct db_args a;
	struct uuid ids[2] = {uuid_v7(1), uuid_v7(2)};
	struct bytes b[2] = {bytes_of("x\0y", 3), {NULL, 0}};
	const char *texts[2] = {"ab", NULL};
	int32_t ints[2] = {1, -1};
	int64_t longs[2] = {1, INT64_MAX}, times[2] = {0, DB_TIME_NULL};
	bool bools[2] = {true, false};
	db_args_init(&a);
	db_arg_uuids(&a, ids, 2);
	db_arg_bytes_array(&a, b, 2);
	db_arg_texts(&a, texts, 2);
	db_arg_ints(&a, ints, 2);
	db_arg_longs(&a, longs, 2);
	db_arg_times(&a, times, 2);
	db_arg_bools(&a, bools, 2);
	struct db_tx *tx = begin(NULL);
	struct db_rows *r = NULL;
	if (db_query(tx,
		     "SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::text[], $4::int4[], $5::int8[], "
		     "$6::timestamptz[], $7::bool[])",
		     &a, &r, &e) != RC_OK)
		fail_msg("%s", e.text);
	assert_int_equal(db_rows_count(r), 2);
	assert_true(db_rows_next(r));
	assert_string_equal(db_text(r, 2), "ab");
	assert_true(db_time(r, 5) == 0);
	assert_true(db_rows_next(r));
	struct uuid got = db_uuid(r, 0);
	assert_true(uuid_eq(&got, &ids[1]));
	assert_true(db_is_null(r, 1));
	assert_null(db_text(r, 2));
	assert_true(db_int(r, 4) == INT64_MAX);
	assert_true(db_time(r, 5) == DB_TIME_NULL);
	assert_false(db_bool(r, 6));
	db_rows_free(&r);
	db_end(&tx);
}

static void
empty_array(void **state)
{
	struct err e = {0};
	struct db_args a;
	struct db_rows *r = NULL;
	db_args_init(&a);
	db_arg_uuids(&a, NULL, 0);
	struct db_tx *tx = begin(NULL);
	assert_int_equal(db_query(tx, "SELECT * FROM unnest($1::uuid[])", &a, &r, &e), RC_OK);
	assert_int_equal(db_rows_count(r), 0);
	db_rows_free(&r);
	db_end(&tx);
}

/* PITFALLS: in a pipelined group the rows before a failed one had said OK; nothing of it may count. */
static void
failed_row_fails_commit(void **state)
{
	struct err e = {0};
	struct db_tx *tx = begin(NULL);
	assert_int_equal(db_exec(tx, "INSERT INTO db_test.t (k) VALUES (1)", NULL, &e), RC_OK);
	assert_int_equal(db_exec(tx, "INSERT INTO db_test.t (k) VALUES (1) ", NULL, &e), RC_OK);
	assert_int_equal(db_exec(tx, "INSERT INTO db_test.t (k) VALUES (2)", NULL, &e), RC_OK);
	assert_int_equal(db_commit(&tx, &e), RC_CONFLICT);
	assert_null(tx);
	tx = begin(NULL);
	assert_int_equal(one_int(tx, "SELECT count(*) FROM db_test.t WHERE k IN (1, 2)"), 0);
	db_end(&tx);
}

static void
query_error_then_end(void **state)
{
	struct err e = {0};
	struct db_rows *r = NULL;
	struct db_tx *tx = begin(NULL);
	assert_int_equal(db_query(tx, "SELECT 1/0", NULL, &r, &e), RC_INVALID);
	assert_null(r);
	assert_int_equal(db_exec(tx, "SELECT 1", NULL, &e), RC_INVALID); /* stays failed */
	db_end(&tx);
	tx = begin(NULL); /* the connection is good again, the statement prepared anew */
	assert_int_equal(one_int(tx, "SELECT 41 + 1"), 42);
	assert_int_equal(db_commit(&tx, &e), RC_OK);
}

/* A row without a partition is a matter of time, a row that breaks a rule is not. */
static void
missing_partition_is_transient(void **state)
{
	struct err e = {0};
	struct db_tx *tx = begin(NULL);
	assert_int_equal(db_exec(tx, "CREATE TABLE db_test.p (k int CHECK (k < 9)) PARTITION BY RANGE (k)", NULL, &e),
			 RC_OK);
	assert_int_equal(
	    db_exec(tx, "CREATE TABLE db_test.p0 PARTITION OF db_test.p FOR VALUES FROM (0) TO (20)", NULL, &e), RC_OK);
	assert_int_equal(db_commit(&tx, &e), RC_OK);
	tx = begin(NULL);
	assert_int_equal(db_exec(tx, "INSERT INTO db_test.p VALUES (-1)", NULL, &e), RC_OK);
	assert_int_equal(db_commit(&tx, &e), RC_RETRY);
	tx = begin(NULL);
	assert_int_equal(db_exec(tx, "INSERT INTO db_test.p VALUES (10)", NULL, &e), RC_OK);
	assert_int_equal(db_commit(&tx, &e), RC_INVALID);
}

static void
query_and_commit_at_once(void **state)
{
	struct err e = {0};
	struct db_rows *r = NULL;
	struct db_tx *tx = begin(NULL);
	assert_int_equal(db_query_commit(&tx, "INSERT INTO db_test.t (k) VALUES (70) RETURNING k", NULL, &r, &e),
			 RC_OK);
	assert_null(tx);
	assert_true(db_rows_next(r));
	assert_int_equal(db_int(r, 0), 70);
	db_rows_free(&r);
	tx = begin(NULL); /* the same key again: no rows, nothing committed */
	assert_int_equal(db_exec(tx, "INSERT INTO db_test.t (k) VALUES (71)", NULL, &e), RC_OK);
	assert_int_equal(db_query_commit(&tx, "INSERT INTO db_test.t (k) VALUES (70) RETURNING k", NULL, &r, &e),
			 RC_CONFLICT);
	assert_null(tx);
	assert_null(r);
	tx = begin(NULL);
	assert_int_equal(one_int(tx, "SELECT count(*) FROM db_test.t WHERE k IN (70, 71)"), 1);
	db_end(&tx);
}

/* Counts come in the round trip of the wait; after a failure nothing is written where the caller may be gone. */
static void
counts_of_many(void **state)
{
	struct err e = {0};
	int64_t counts[3] = {9, 9, 9}, late = 9;
	struct db_tx *tx = begin(NULL);
	assert_int_equal(db_exec(tx, "INSERT INTO db_test.t (k) VALUES (80), (81)", NULL, &e), RC_OK);
	for (int i = 0; i < 3; i++) {
		struct db_args a;
		db_args_init(&a);
		db_arg_int(&a, 80 + i);
		assert_int_equal(
		    db_exec_counted(tx, "UPDATE db_test.t SET k = k + 1000 WHERE k = $1", &a, &counts[i], &e), RC_OK);
		assert_int_equal(counts[i], 0);
	}
	assert_int_equal(db_wait(tx, &e), RC_OK);
	assert_int_equal(counts[0], 1);
	assert_int_equal(counts[1], 1);
	assert_int_equal(counts[2], 0);
	assert_int_equal(db_exec(tx, "SELECT 1 / 0", NULL, &e), RC_OK);
	assert_int_equal(db_exec_counted(tx, "DELETE FROM db_test.t WHERE k = 1080", NULL, &late, &e), RC_OK);
	assert_int_not_equal(db_wait(tx, &e), RC_OK);
	assert_int_not_equal(db_wait(tx, &e), RC_OK);
	assert_int_equal(late, 0);
	db_end(&tx);
	assert_int_equal(late, 0);
}

static void
tenant_is_local(void **state)
{
	struct err e = {0};
	struct uuid t = uuid_v7(clock_wall_us());
	char text[UUID_STR_SIZE];
	uuid_format(&t, text);
	struct db_tx *tx = begin(&t);
	struct db_rows *r = NULL;
	assert_int_equal(db_query(tx, "SELECT current_setting('sekisho.tenant', true)", NULL, &r, &e), RC_OK);
	assert_true(db_rows_next(r));
	assert_memory_equal(db_bytes(r, 0).p, text, 36);
	db_rows_free(&r);
	assert_int_equal(db_commit(&tx, &e), RC_OK);
	tx = begin(NULL);
	assert_int_equal(
	    one_int(tx, "SELECT count(*) WHERE NULLIF(current_setting('sekisho.tenant', true), '') IS NOT NULL"), 0);
	db_end(&tx);
}

/* A rolled-back intent leaves no gap in the writer's sequence. */
static void
intents_have_no_gap(void **state)
{
	struct err e = {0};
	struct uuid t = uuid_v7(clock_wall_us());
	struct audit_intent i = {
	    .action = "test", .outcome = "ok", .actor = bytes_str("me"), .subject = t, .number = -1, .at_us = 1};
	for (int round = 0; round < 6; round++) {
		struct db_tx *tx = begin(&t);
		assert_int_equal(db_intent(tx, &i, &e), RC_OK);
		assert_int_equal(db_intent(tx, &i, &e), RC_OK);
		if (round % 2 == 0)
			assert_int_equal(db_commit(&tx, &e), RC_OK);
		db_end(&tx);
	}
	struct db_tx *tx = begin(&t);
	assert_int_equal(one_int(tx, "SELECT count(*) FROM db_test.audit_intent"), 6);
	assert_int_equal(one_int(tx, "SELECT count(*) FROM (SELECT max(seq) - min(seq) + 1 - count(*) AS gap FROM "
				     "db_test.audit_intent GROUP BY writer, epoch) g WHERE gap <> 0"),
			 0);
	db_end(&tx);
}

/* Nothing that one tenant did is written under another, whichever the transaction went on to. */
static void
intents_stay_their_tenants(void **state)
{
	struct err e = {0};
	struct uuid one = uuid_v7(clock_wall_us()), two = uuid_v7(clock_wall_us());
	struct audit_intent i = {
	    .action = "tenants", .outcome = "ok", .actor = bytes_str("me"), .subject = one, .number = -1, .at_us = 1};
	struct db_rows *r = NULL;
	struct db_tx *tx = begin(&one);
	assert_int_equal(db_intent(tx, &i, &e), RC_OK);
	assert_int_equal(db_set_tenant(tx, &two, &e), RC_OK);
	assert_int_equal(db_intent(tx, &i, &e), RC_INTERNAL);
	assert_int_equal(db_commit(&tx, &e), RC_INTERNAL);
	assert_null(tx);
	assert_string_equal(e.text, "the transaction ends in another tenant than its audit intents");
	tx = begin(&one);
	assert_int_equal(db_intent(tx, &i, &e), RC_OK);
	assert_int_equal(db_set_tenant(tx, &two, &e), RC_OK);
	assert_int_equal(db_query_commit(&tx, "SELECT 1", NULL, &r, &e), RC_INTERNAL);
	assert_null(tx);
	assert_null(r);
	tx = begin(&one);
	assert_int_equal(one_int(tx, "SELECT count(*) FROM db_test.audit_intent WHERE action = 'tenants'"), 0);
	/* There and back: theirs; and a tenant that came before the first. */
	assert_int_equal(db_set_tenant(tx, &two, &e), RC_OK);
	assert_int_equal(db_intent(tx, &i, &e), RC_OK);
	assert_int_equal(db_set_tenant(tx, &one, &e), RC_OK);
	assert_int_equal(db_set_tenant(tx, &two, &e), RC_OK);
	assert_int_equal(db_commit(&tx, &e), RC_OK);
	struct db_args a;
	db_args_init(&a);
	db_arg_uuid(&a, &two);
	tx = begin(&two);
	assert_int_equal(db_query(tx,
				  "SELECT count(*) FROM db_test.audit_intent WHERE action = 'tenants' AND tenant = $1",
				  &a, &r, &e),
			 RC_OK);
	assert_true(db_rows_next(r));
	assert_int_equal(db_int(r, 0), 1);
	db_rows_free(&r);
	db_end(&tx);
}

static void
lost_connection_is_transient(void **state)
{
	struct err e = {0};
	struct db_rows *r = NULL;
	struct db_tx *tx = begin(NULL);
	enum rc rc = db_query(tx, "SELECT pg_terminate_backend(pg_backend_pid())", NULL, &r, &e);
	assert_int_equal(rc, RC_RETRY);
	db_rows_free(&r);
	db_end(&tx);
	tx = begin(NULL);
	assert_int_equal(one_int(tx, "SELECT 7"), 7);
	db_end(&tx);
}

static void
deadline_bounds_a_query(void **state)
{
	struct err e = {0};
	struct db_tx *tx = NULL;
	struct db_rows *r = NULL;
	int64_t began = clock_mono_ms();
	assert_int_equal(db_begin(pool, NULL, began + 200, &tx, &e), RC_OK);
	assert_int_equal(db_query(tx, "SELECT pg_sleep(30)", NULL, &r, &e), RC_RETRY);
	db_end(&tx);
	assert_true(clock_mono_ms() - began < 5000);
}

static void
full_pool_is_transient(void **state)
{
	struct err e = {0};
	struct db_tx *a = begin(NULL), *b = begin(NULL), *c = NULL;
	assert_int_equal(db_begin(pool, NULL, clock_mono_ms() + 50, &c, &e), RC_RETRY);
	db_end(&a);
	db_end(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(round_trip),
	    cmocka_unit_test(session_settings),
	    cmocka_unit_test(arrays),
	    cmocka_unit_test(empty_array),
	    cmocka_unit_test(failed_row_fails_commit),
	    cmocka_unit_test(query_error_then_end),
	    cmocka_unit_test(missing_partition_is_transient),
	    cmocka_unit_test(query_and_commit_at_once),
	    cmocka_unit_test(tenant_is_local),
	    cmocka_unit_test(counts_of_many),
	    cmocka_unit_test(intents_have_no_gap),
	    cmocka_unit_test(intents_stay_their_tenants),
	    cmocka_unit_test(lost_connection_is_transient),
	    cmocka_unit_test(deadline_bounds_a_query),
	    cmocka_unit_test(full_pool_is_transient),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
