/* SPDX-License-Identifier: MIT
 *
 * Content through a real database, as the roles of the services (tools/with-postgres.sh gives SEKISHO_TEST_DB).
 */
#include "content/content.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/clock.h"

#define MS 5000
static char dir[] = "/tmp/sekisho-content-XXXXXX", kek[64];
static struct db_pool *pool, *admin;
static struct content *content;

static void
begin(struct db_pool *p, const struct uuid *tenant, struct db_tx **tx)
{
	struct err e = {0};
	if (db_begin(p, tenant, clock_mono_ms() + MS, tx, &e) != RC_OK)
		fail_msg("%s", e.text);
}

static void
commit(struct db_tx **tx)
{
	struct err e = {0};
	if (db_commit(tx, &e) != RC_OK)
		fail_msg("%s", e.text);
}

static int
setup(void **state)
{
	const char *conninfo = getenv("SEKISHO_TEST_DB");
	char command[1024], as_admin[512], as_ingest[512];
	if (conninfo == NULL) {
		fprintf(stderr, "SEKISHO_TEST_DB is not set: run by tools/with-postgres.sh\n");
		return 1;
	}
	snprintf(as_admin, sizeof(as_admin), "%s dbname=content_test", conninfo);
	snprintf(as_ingest, sizeof(as_ingest), "%s dbname=content_test user=sekisho_ingest", conninfo);
	snprintf(command, sizeof(command),
		 "psql -qX \"%s\" -v ON_ERROR_STOP=1 -c 'CREATE DATABASE content_test OWNER sekisho_owner' && "
		 "psql -qX \"%s\" -v ON_ERROR_STOP=1 -o /dev/null -c 'SET ROLE sekisho_owner' "
		 "-f libs/db/migrations/0001_base.sql -f libs/content/migrations/0001_content.sql",
		 conninfo, as_admin);
	if (system(command) != 0 || mkdtemp(dir) == NULL)
		return 1;
	snprintf(kek, sizeof(kek), "%s/kek", dir);
	int fd = open(kek, O_WRONLY | O_CREAT, 0600);
	if (write(fd, "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n", 65) != 65)
		return 1;
	close(fd);
	struct db_options o = {.conninfo = as_ingest, .size = 4}, oa = {.conninfo = as_admin, .size = 1};
	return db_pool_new(&o, &pool, NULL) != RC_OK || db_pool_new(&oa, &admin, NULL) != RC_OK ||
	       content_open(kek, pool, &content, NULL) != RC_OK;
}

static int
teardown(void **state)
{
	content_free(&content);
	db_pool_free(&pool);
	db_pool_free(&admin);
	unlink(kek);
	return rmdir(dir);
}

static void
put(const struct uuid *tenant, const struct uuid *id, const struct content_item *items, size_t n)
{
	struct db_tx *tx = NULL;
	struct err e = {0};
	begin(pool, tenant, &tx);
	if (content_put(content, tx, tenant, id, items, n, &e) != RC_OK)
		fail_msg("%s", e.text);
	commit(&tx);
}

static enum rc
get(struct content *c, const struct uuid *tenant, const struct uuid *id, enum content_kind kind, size_t max,
    struct arena *a, struct bytes *out)
{
	struct db_tx *tx = NULL;
	begin(pool, tenant, &tx);
	enum rc rc = content_get(c, tx, tenant, id, &kind, out, 1, max, a, NULL);
	db_end(&tx);
	return rc;
}

/* As the superuser, whom row-level security does not bind: what somebody with the database in his hands could do. */
static void
tamper(const char *sql, const struct uuid *id)
{
	struct db_tx *tx = NULL;
	struct db_args args;
	int64_t n = 0;
	struct err e = {0};
	begin(admin, NULL, &tx);
	db_args_init(&args);
	db_arg_uuid(&args, id);
	if (db_exec_count(tx, sql, &args, &n, &e) != RC_OK)
		fail_msg("%s", e.text);
	assert_true(n > 0);
	commit(&tx);
}

static int
rows_of(const struct uuid *id)
{
	struct db_tx *tx = NULL;
	struct db_args args;
	struct db_rows *rows = NULL;
	begin(admin, NULL, &tx);
	db_args_init(&args);
	db_arg_uuid(&args, id);
	assert_int_equal(db_query(tx, "SELECT n FROM content.chunk WHERE id = $1", &args, &rows, NULL), RC_OK);
	int n = db_rows_count(rows);
	db_rows_free(&rows);
	db_end(&tx);
	return n;
}

static void
test_round(void **state)
{
	struct uuid tenant = uuid_v7(clock_wall_us()), id = uuid_v7(clock_wall_us());
	size_t n = 700000;
	uint8_t *body = malloc(n);
	random_bytes(body, n);
	struct content_item items[] = {
	    {CONTENT_BODY, {body, n}}, {CONTENT_FACTS, bytes_str("facts")}, {CONTENT_DECISION, bytes_of("", 0)}};
	put(&tenant, &id, items, 3);

	enum content_kind kinds[] = {CONTENT_DSN, CONTENT_DECISION, CONTENT_BODY, CONTENT_FACTS};
	struct bytes out[4] = {0};
	struct arena *a = arena_new();
	struct db_tx *tx = NULL;
	begin(pool, &tenant, &tx);
	assert_int_equal(content_get(content, tx, &tenant, &id, kinds, out, 4, n, a, NULL), RC_OK);
	struct bytes first = {0}, none = {0};
	assert_int_equal(content_get_first(content, tx, &tenant, &id, CONTENT_BODY, &first, a, NULL), RC_OK);
	assert_int_equal(first.n, 262144); /* one chunk of three */
	assert_memory_equal(first.p, body, first.n);
	assert_int_equal(content_get_first(content, tx, &tenant, &id, CONTENT_FACTS, &first, a, NULL), RC_OK);
	assert_true(bytes_eq(first, bytes_str("facts")));
	assert_int_equal(content_get_first(content, tx, &tenant, &id, CONTENT_DSN, &none, a, NULL), RC_OK);
	assert_null(none.p);
	db_end(&tx);
	assert_null(out[0].p);
	assert_non_null(out[1].p);
	assert_int_equal(out[1].n, 0);
	assert_int_equal(out[2].n, n);
	assert_memory_equal(out[2].p, body, n);
	assert_true(bytes_eq(out[3], bytes_str("facts")));

	struct bytes one = {0};
	assert_int_equal(get(content, &tenant, &id, CONTENT_BODY, n - 1, a, &one), RC_LIMIT);
	assert_int_equal(get(content, &tenant, &id, CONTENT_BODY, 1000, a, &one), RC_LIMIT);
	assert_null(one.p);
	/* Another process finds the same key in the database. */
	struct content *second = NULL;
	assert_int_equal(content_open(kek, pool, &second, NULL), RC_OK);
	assert_int_equal(get(second, &tenant, &id, CONTENT_BODY, n, a, &one), RC_OK);
	assert_memory_equal(one.p, body, n);
	content_free(&second);
	arena_free(&a);
	free(body);
}

/* What is put together is one row as far as it fits; every item comes out alone as it does with others. */
static void
test_bundles(void **state)
{
	static const struct {
		size_t body, facts;
		int rows;
	} cases[] = {{0, 0, 1},		  {4096, 3000, 1},     {200000, 10, 1},	    {262144 - 15, 0, 1},
		     {262144 - 14, 0, 2}, {200000, 100000, 2}, {300000, 300000, 5}, {262144, 1, 2}};
	struct uuid tenant = uuid_v7(clock_wall_us());
	uint8_t *octets = malloc(300000);
	random_bytes(octets, 300000);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct uuid id = uuid_v7(clock_wall_us());
		struct content_item items[] = {{CONTENT_BODY, {octets, cases[i].body}},
					       {CONTENT_DECISION, bytes_of("", 0)},
					       {CONTENT_FACTS, {octets, cases[i].facts}}};
		put(&tenant, &id, items, 3);
		assert_int_equal(rows_of(&id), cases[i].rows);
		struct arena *a = arena_new();
		for (size_t k = 0; k < 3; k++) {
			struct bytes out = {0};
			assert_int_equal(get(content, &tenant, &id, items[k].kind, 300000, a, &out), RC_OK);
			assert_non_null(out.p);
			assert_true(bytes_eq(out, items[k].data));
			if (out.n == 0)
				continue;
			out.p = NULL;
			assert_int_equal(get(content, &tenant, &id, items[k].kind, items[k].data.n - 1, a, &out),
					 RC_LIMIT);
			assert_null(out.p);
		}
		struct bytes none = {0};
		assert_int_equal(get(content, &tenant, &id, CONTENT_DSN, 300000, a, &none), RC_OK);
		assert_null(none.p);
		/* The same transaction's end and the items in one round trip. */
		enum content_kind kinds[] = {CONTENT_FACTS, CONTENT_BODY};
		struct bytes both[2] = {0};
		struct db_tx *tx = NULL;
		begin(pool, &tenant, &tx);
		assert_int_equal(content_get_commit(content, &tx, &tenant, &id, kinds, both, 2, 300000, a, NULL),
				 RC_OK);
		assert_null(tx);
		assert_true(bytes_eq(both[0], items[2].data) && bytes_eq(both[1], items[0].data));
		arena_free(&a);
	}
	free(octets);
}

static void
test_tampered_bundle(void **state)
{
	static const char *const cases[] = {
	    "UPDATE content.chunk SET kind = 1 WHERE id = $1",
	    "UPDATE content.chunk SET n = 1 WHERE id = $1",
	    "UPDATE content.chunk SET last = false WHERE id = $1",
	    "UPDATE content.chunk SET sealed = set_byte(sealed, 40, get_byte(sealed, 40) # 1) WHERE id = $1",
	    "UPDATE content.chunk SET sealed = (SELECT sealed FROM content.chunk c WHERE c.id <> $1 AND kind = 0 LIMIT "
	    "1) "
	    "WHERE id = $1",
	};
	struct uuid tenant = uuid_v7(clock_wall_us());
	struct content_item items[] = {{CONTENT_BODY, bytes_str("a body")}, {CONTENT_FACTS, bytes_str("facts")}};
	struct arena *a = arena_new();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct uuid id = uuid_v7(clock_wall_us());
		struct bytes out = {0};
		put(&tenant, &id, items, 2);
		tamper(cases[i], &id);
		assert_int_equal(get(content, &tenant, &id, CONTENT_BODY, 100, a, &out), RC_INVALID);
		assert_null(out.p);
	}
	/* An item beside the bundle that holds it is one too many; another kind is not. */
	struct uuid id = uuid_v7(clock_wall_us());
	struct content_item dsn = {CONTENT_DSN, bytes_str("a report")}, again = {CONTENT_BODY, bytes_str("other")};
	struct bytes out = {0};
	put(&tenant, &id, items, 2);
	put(&tenant, &id, &dsn, 1);
	assert_int_equal(get(content, &tenant, &id, CONTENT_DSN, 100, a, &out), RC_OK);
	assert_true(bytes_eq(out, dsn.data));
	assert_int_equal(get(content, &tenant, &id, CONTENT_BODY, 100, a, &out), RC_OK);
	put(&tenant, &id, &again, 1);
	out.p = NULL;
	assert_int_equal(get(content, &tenant, &id, CONTENT_BODY, 100, a, &out), RC_INVALID);
	assert_null(out.p);
	arena_free(&a);
}

static void
test_other_tenant(void **state)
{
	struct uuid one = uuid_v7(clock_wall_us()), two = uuid_v7(clock_wall_us()), id = uuid_v7(clock_wall_us());
	struct content_item item = {CONTENT_BODY, bytes_str("for one only")};
	struct arena *a = arena_new();
	struct bytes out = {0};
	put(&one, &id, &item, 1);
	assert_int_equal(get(content, &two, &id, CONTENT_BODY, 100, a, &out), RC_OK);
	assert_null(out.p);
	/* Another tenant's id in a transaction of one's own shows nothing either. */
	struct db_tx *tx = NULL;
	enum content_kind kind = CONTENT_BODY;
	begin(pool, &two, &tx);
	assert_int_equal(content_get(content, tx, &one, &id, &kind, &out, 1, 100, a, NULL), RC_OK);
	assert_null(out.p);
	assert_int_equal(content_put(content, tx, &one, &id, &item, 1, NULL), RC_OK);
	assert_int_not_equal(db_commit(&tx, NULL), RC_OK);
	arena_free(&a);
}

static void
test_tampered(void **state)
{
	static const struct {
		const char *sql;
		enum rc want;
	} cases[] = {
	    {"DELETE FROM content.chunk WHERE id = $1 AND n = 1", RC_INVALID},
	    {"DELETE FROM content.chunk WHERE id = $1 AND last", RC_INVALID},
	    {"UPDATE content.chunk SET n = n + 10 WHERE id = $1 AND n = 2", RC_INVALID},
	    {"INSERT INTO content.chunk SELECT tenant, id, kind, 3, true, epoch, sealed FROM content.chunk "
	     "WHERE id = $1 AND last",
	     RC_INVALID},
	    {"UPDATE content.chunk SET last = true WHERE id = $1 AND n = 0", RC_INVALID},
	    {"UPDATE content.chunk SET sealed = set_byte(sealed, 40, get_byte(sealed, 40) # 1) WHERE id = $1 AND n = 1",
	     RC_INVALID},
	    {"UPDATE content.chunk SET kind = 2 WHERE id = $1", RC_INVALID},
	    {"UPDATE content.chunk SET epoch = 2 WHERE id = $1", RC_INVALID},
	    {"DELETE FROM content.chunk WHERE id = $1", RC_OK},
	};
	struct uuid tenant = uuid_v7(clock_wall_us());
	size_t n = 2 * 256 * 1024 + 100;
	uint8_t *body = calloc(1, n);
	random_bytes(body, n);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct uuid id = uuid_v7(clock_wall_us());
		struct content_item item = {CONTENT_BODY, {body, n}};
		struct arena *a = arena_new();
		struct bytes out = {0};
		put(&tenant, &id, &item, 1);
		tamper(cases[i].sql, &id);
		enum content_kind kind = strstr(cases[i].sql, "kind = 2") != NULL ? CONTENT_FACTS : CONTENT_BODY;
		assert_int_equal(get(content, &tenant, &id, kind, 1 << 20, a, &out), cases[i].want);
		assert_null(out.p);
		arena_free(&a);
	}
	free(body);
}

static void
test_secret(void **state)
{
	struct uuid one = uuid_v7(clock_wall_us()), two = uuid_v7(clock_wall_us());
	struct buf sealed, plain;
	buf_init(&sealed, 0);
	buf_init(&plain, 0);
	assert_int_equal(content_seal_secret(content, &one, "dkim/a", bytes_str("key"), &sealed, NULL), RC_OK);
	assert_int_equal(content_seal_secret(content, &two, "dkim/a", bytes_str("key"), &plain, NULL), RC_OK);
	buf_reset(&plain);
	assert_int_equal(content_open_secret(content, &two, "dkim/a", buf_bytes(&sealed), &plain, NULL), RC_INVALID);
	assert_int_equal(content_open_secret(content, &one, "dkim/b", buf_bytes(&sealed), &plain, NULL), RC_INVALID);
	for (size_t i = 0; i < sealed.n; i++) {
		sealed.p[i] ^= 0x80;
		assert_int_equal(content_open_secret(content, &one, "dkim/a", buf_bytes(&sealed), &plain, NULL),
				 RC_INVALID);
		sealed.p[i] ^= 0x80;
		assert_int_equal(content_open_secret(content, &one, "dkim/a", bytes_of(sealed.p, i), &plain, NULL),
				 RC_INVALID);
	}
	assert_int_equal(plain.n, 0);
	assert_int_equal(content_open_secret(content, &one, "dkim/a", buf_bytes(&sealed), &plain, NULL), RC_OK);
	assert_true(bytes_eq(buf_bytes(&plain), bytes_str("key")));
	buf_done(&sealed);
	buf_done(&plain);
}

static struct {
	pthread_barrier_t start;
	struct uuid tenant, ids[8];
} race;

static void *
seal_first(void *ctx)
{
	struct uuid *id = ctx;
	struct content *own = NULL;
	struct content_sealed *s = NULL;
	struct content_item item = {CONTENT_FACTS, bytes_of(id->b, sizeof(id->b))};
	struct db_tx *tx = NULL;
	enum rc rc = content_open(kek, pool, &own, NULL);
	pthread_barrier_wait(&race.start);
	if (rc == RC_OK)
		rc = content_seal(own, &race.tenant, id, &item, 1, &s, NULL);
	if (rc == RC_OK)
		rc = db_begin(pool, &race.tenant, clock_mono_ms() + MS, &tx, NULL);
	if (rc == RC_OK)
		rc = content_put_sealed(tx, s, NULL);
	if (rc == RC_OK)
		rc = db_commit(&tx, NULL);
	db_end(&tx);
	content_sealed_free(&s);
	content_free(&own);
	return rc == RC_OK ? NULL : ctx;
}

/* Eight processes meet a new tenant at once: one key is made, and everybody's content can be read with it. */
static void
test_first_key(void **state)
{
	pthread_t threads[8];
	void *failed = NULL;
	struct arena *a = arena_new();
	race.tenant = uuid_v7(clock_wall_us());
	pthread_barrier_init(&race.start, NULL, 8);
	for (int i = 0; i < 8; i++) {
		race.ids[i] = uuid_v7(clock_wall_us());
		assert_int_equal(pthread_create(&threads[i], NULL, seal_first, &race.ids[i]), 0);
	}
	for (int i = 0; i < 8; i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	for (int i = 0; i < 8; i++) {
		struct bytes out = {0};
		assert_int_equal(get(content, &race.tenant, &race.ids[i], CONTENT_FACTS, 100, a, &out), RC_OK);
		assert_true(bytes_eq(out, bytes_of(race.ids[i].b, 16)));
	}
	pthread_barrier_destroy(&race.start);
	arena_free(&a);
}

/* Many at once: in the order asked, what is missing or broken costs nobody else his; no other tenant's. */
static void
test_many(void **state)
{
	struct uuid tenant = uuid_v7(clock_wall_us()), other = uuid_v7(clock_wall_us()), ids[20];
	struct bytes data[20];
	struct err e = {0};
	struct db_tx *tx = NULL;
	struct arena *a = arena_new();
	size_t bad = 9;
	for (size_t i = 0; i < 20; i++) {
		ids[i] = uuid_v7(clock_wall_us());
		const struct content_item items[] = {{CONTENT_FACTS, bytes_of(ids[i].b, 16)},
						     {CONTENT_DECISION, bytes_str("no")}};
		if (i != 7)
			put(&tenant, &ids[i], items, 1 + i % 2);
	}
	begin(pool, &tenant, &tx);
	assert_int_equal(content_get_many(content, tx, &tenant, ids, 20, CONTENT_FACTS, 16, data, &bad, a, &e), RC_OK);
	assert_int_equal(bad, 0);
	for (size_t i = 0; i < 20; i++) {
		if (i == 7)
			assert_null(data[i].p);
		else
			assert_true(bytes_eq(data[i], bytes_of(ids[i].b, 16)));
	}
	/* One that has more than is wanted, as one that does not open. */
	assert_int_equal(content_get_many(content, tx, &tenant, ids, 20, CONTENT_FACTS, 15, data, &bad, a, &e), RC_OK);
	assert_int_equal(bad, 19);
	for (size_t i = 0; i < 20; i++)
		assert_null(data[i].p);
	assert_int_equal(content_get_many(content, tx, &tenant, ids, 0, CONTENT_FACTS, 16, data, &bad, a, &e), RC_OK);
	db_end(&tx);
	begin(pool, &other, &tx);
	assert_int_equal(content_get_many(content, tx, &other, ids, 20, CONTENT_FACTS, 16, data, &bad, a, &e), RC_OK);
	for (size_t i = 0; i < 20; i++)
		assert_null(data[i].p);
	db_end(&tx);
	arena_free(&a);
}

/* The same for the same tenant, epoch and purpose; another for any other. */
static void
test_derived_keys(void **state)
{
	struct uuid one = uuid_v7(clock_wall_us()), two = uuid_v7(clock_wall_us());
	uint8_t keys[4][CRYPT_KEY_SIZE];
	struct err e;
	int32_t epoch = 0, of_two = 0, missing = 99;
	assert_int_equal(content_derive_key(content, &one, &epoch, "a", keys[0], &e), RC_OK);
	assert_int_equal(epoch, 1);
	assert_int_equal(content_derive_key(content, &one, &epoch, "a", keys[1], &e), RC_OK);
	assert_memory_equal(keys[0], keys[1], CRYPT_KEY_SIZE);
	assert_int_equal(content_derive_key(content, &one, &epoch, "b", keys[2], &e), RC_OK);
	assert_int_equal(content_derive_key(content, &two, &of_two, "a", keys[3], &e), RC_OK);
	assert_memory_not_equal(keys[0], keys[2], CRYPT_KEY_SIZE);
	assert_memory_not_equal(keys[0], keys[3], CRYPT_KEY_SIZE);
	assert_int_equal(content_derive_key(content, &one, &missing, "a", keys[1], &e), RC_NOT_FOUND);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_many),
	    cmocka_unit_test(test_derived_keys),
	    cmocka_unit_test(test_round),
	    cmocka_unit_test(test_bundles),
	    cmocka_unit_test(test_tampered_bundle),
	    cmocka_unit_test(test_other_tenant),
	    cmocka_unit_test(test_tampered),
	    cmocka_unit_test(test_secret),
	    cmocka_unit_test(test_first_key),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
