/* SPDX-License-Identifier: MIT
 *
 * For the tests of libs/svc: a database with a schema of their own, svc_test, used as the role sekisho_policy
 * (tools/with-postgres.sh gives SEKISHO_TEST_DB), and a key-encryption key. Included by one test program each.
 */
#ifndef SVC_TESTING_H
#define SVC_TESTING_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/clock.h"
#include "svc/svc.h"

#define TESTING_MS 10000

static char testing_dir[] = "/tmp/sekisho-svc-XXXXXX", testing_kek[64];
static struct db_pool *testing_pool, *testing_admin;

static int
testing_setup(const char *database)
{
	static char as_admin[512], as_service[512];
	const char *conninfo = getenv("SEKISHO_TEST_DB");
	char command[1500];
	if (conninfo == NULL) {
		fprintf(stderr, "SEKISHO_TEST_DB is not set: run by tools/with-postgres.sh\n");
		return 1;
	}
	snprintf(as_admin, sizeof(as_admin), "%s dbname=%s", conninfo, database);
	snprintf(as_service, sizeof(as_service), "%s dbname=%s user=sekisho_policy", conninfo, database);
	snprintf(command, sizeof(command),
		 "psql -qX \"%s\" -v ON_ERROR_STOP=1 -c 'CREATE DATABASE %s OWNER sekisho_owner' && "
		 "psql -qX \"%s\" -v ON_ERROR_STOP=1 -o /dev/null -c 'SET ROLE sekisho_owner' "
		 "-f libs/db/migrations/0001_base.sql -f libs/content/migrations/0001_content.sql "
		 "-c 'CREATE SCHEMA svc_test' -c 'GRANT USAGE ON SCHEMA svc_test TO sekisho_policy' "
		 "-c 'CREATE TABLE svc_test.effect (tenant uuid NOT NULL, n int8 NOT NULL)' "
		 "-c \"SELECT sekisho.protect('svc_test.effect')\" -c 'GRANT ALL ON svc_test.effect TO sekisho_policy' "
		 "-c \"SELECT sekisho.make_idempotency('svc_test', 'sekisho_policy')\" "
		 "-c \"SELECT sekisho.make_audit_intent('svc_test', 'sekisho_policy')\"",
		 conninfo, database, as_admin);
	if (system(command) != 0 || mkdtemp(testing_dir) == NULL)
		return 1;
	snprintf(testing_kek, sizeof(testing_kek), "%s/kek", testing_dir);
	int fd = open(testing_kek, O_WRONLY | O_CREAT, 0600);
	if (write(fd, "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n", 65) != 65)
		return 1;
	close(fd);
	struct db_options o = {.conninfo = as_service, .size = 16, .intent_sql = DB_INTENT_SQL("svc_test")};
	struct db_options oa = {.conninfo = as_admin, .size = 2};
	return db_pool_new(&o, &testing_pool, NULL) != RC_OK || db_pool_new(&oa, &testing_admin, NULL) != RC_OK;
}

static int
testing_teardown(void)
{
	db_pool_free(&testing_pool);
	db_pool_free(&testing_admin);
	unlink(testing_kek);
	return rmdir(testing_dir);
}

/* As the superuser, whom row-level security does not bind. */
static int64_t
testing_count(const char *sql)
{
	struct db_tx *tx = NULL;
	struct db_rows *rows = NULL;
	struct err e = {0};
	if (db_begin(testing_admin, NULL, clock_mono_ms() + TESTING_MS, &tx, &e) != RC_OK ||
	    db_query(tx, sql, NULL, &rows, &e) != RC_OK)
		fail_msg("%s", e.text);
	assert_true(db_rows_next(rows));
	int64_t n = db_int(rows, 0);
	db_rows_free(&rows);
	db_end(&tx);
	return n;
}

#endif
