/* SPDX-License-Identifier: MIT
 *
 * Choices, kinds of tenants, the sink and the keys of notices in a real database (tools/with-postgres.sh gives
 * SEKISHO_TEST_DB): what is kept once stays as it is, and only what the sink took can be deleted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "content/content.h"
#include "core/clock.h"
#include "facts_read.h"
#include "store.h"

#define MS     20000
#define SECOND INT64_C(1000000)
static struct db_pool *pool;
static struct uuid tenant, other;
static struct arena *a;
static struct err err;

static int
setup(void **state)
{
	const char *conninfo = getenv("SEKISHO_TEST_DB");
	char command[2048], psql[512], as_delivery[600];
	if (conninfo == NULL) {
		fprintf(stderr, "SEKISHO_TEST_DB is not set: run by tools/with-postgres.sh\n");
		return 1;
	}
	snprintf(psql, sizeof(psql), "%s dbname=sandbox_test", conninfo);
	snprintf(as_delivery, sizeof(as_delivery), "%s user=sekisho_delivery", psql);
	snprintf(command, sizeof(command),
		 "psql -qX \"%s\" -v ON_ERROR_STOP=1 -c 'CREATE DATABASE sandbox_test OWNER sekisho_owner' && "
		 "psql -qX \"%s\" -v ON_ERROR_STOP=1 -o /dev/null -c 'SET ROLE sekisho_owner' "
		 "-f libs/db/migrations/0001_base.sql -f libs/content/migrations/0001_content.sql "
		 "-f services/delivery/migrations/0001_delivery.sql",
		 conninfo, psql);
	struct db_options o = {.conninfo = as_delivery, .size = 3};
	tenant = uuid_v7(clock_wall_us());
	other = uuid_v7(clock_wall_us());
	a = arena_new();
	return system(command) == 0 && db_pool_new(&o, &pool, &err) == RC_OK ? 0 : 1;
}

static int
teardown(void **state)
{
	db_pool_free(&pool);
	arena_free(&a);
	return 0;
}

static struct db_tx *
begin(const struct uuid *t)
{
	struct db_tx *tx = NULL;
	if (db_begin(pool, t, clock_mono_ms() + MS, &tx, &err) != RC_OK)
		fail_msg("%s", err.text);
	return tx;
}

static void
commit(struct db_tx *tx)
{
	if (db_commit(&tx, &err) != RC_OK)
		fail_msg("%s", err.text);
}

static void
routes_have_versions(void **state)
{
	static const struct {
		int64_t if_version;
		enum rc rc;
		int64_t version;
	} rows[] = {{3, RC_CONFLICT, 0}, {0, RC_OK, 1}, {1, RC_OK, 2},
		    {1, RC_CONFLICT, 0}, {0, RC_OK, 3}, {3, RC_OK, 4}};
	struct store_route r = {.direction = "outbound", .smarthost = bytes_str("mx.example:25"), .tls = "may"}, got;
	bool found = false;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct db_tx *tx = begin(&tenant);
		int64_t version = 0;
		assert_int_equal(store_route_set(tx, &tenant, &r, rows[i].if_version, SECOND, &version, &err),
				 rows[i].rc);
		if (rows[i].rc == RC_OK)
			assert_int_equal(version, rows[i].version);
		else
			assert_non_null(strstr(err.text, i == 0 ? "version is 0" : "version is 2"));
		commit(tx);
	}
	struct db_tx *tx = begin(&other);
	assert_int_equal(store_route(tx, &other, "outbound", a, &got, &found, &err), RC_OK);
	assert_false(found);
	db_end(&tx);
}

static void
settings_have_versions(void **state)
{
	struct store_settings s;
	int64_t version = 0;
	struct db_tx *tx = begin(&tenant);
	assert_int_equal(store_settings(tx, &tenant, a, &s, &err), RC_OK);
	assert_string_equal(s.uncertain, "retry");
	assert_int_equal(s.version, 0);
	assert_int_equal(store_settings_put(tx, &tenant, "ask", 1, &version, &err), RC_CONFLICT);
	assert_int_equal(store_settings_put(tx, &tenant, "ask", 0, &version, &err), RC_OK);
	assert_int_equal(version, 1);
	assert_int_equal(store_settings_put(tx, &tenant, "ask", 1, &version, &err), RC_OK);
	assert_int_equal(store_settings(tx, &tenant, a, &s, &err), RC_OK);
	assert_string_equal(s.uncertain, "ask");
	assert_int_equal(s.version, 2);
	commit(tx);
}

static void
a_kind_stays(void **state)
{
	struct uuid *v = NULL;
	size_t n = 0;
	bool found = true, is = false;
	struct db_tx *tx = begin(NULL);
	assert_int_equal(store_kind(tx, &tenant, &found, &is, &err), RC_OK);
	assert_false(found);
	assert_int_equal(store_kind_add(tx, &tenant, true, &is, &err), RC_OK);
	assert_true(is);
	assert_int_equal(store_kind_add(tx, &tenant, false, &is, &err), RC_OK); /* whoever comes second is told */
	assert_true(is);
	assert_int_equal(store_kind_add(tx, &other, false, &is, &err), RC_OK);
	assert_false(is);
	commit(tx);
	assert_int_equal(store_sandboxes(pool, clock_mono_ms() + MS, a, &v, &n, &err), RC_OK);
	assert_int_equal(n, 1);
	assert_true(uuid_eq(&v[0], &tenant));
}

/* Changing a kind is refused below the code. */
static void
a_kind_cannot_be_changed(void **state)
{
	struct db_tx *tx = begin(NULL);
	assert_int_equal(
	    db_exec_count(tx, "UPDATE delivery.tenant_kind SET sandbox = false", NULL, &(int64_t){0}, &err), RC_DENIED);
	db_end(&tx);
	tx = begin(NULL);
	assert_int_equal(db_exec_count(tx, "DELETE FROM delivery.tenant_kind", NULL, &(int64_t){0}, &err), RC_DENIED);
	db_end(&tx);
}

static struct store_sandbox_mail
mail(const struct uuid *message, int64_t at_us)
{
	return (struct store_sandbox_mail){.id = uuid_v7(at_us),
					   .message = *message,
					   .at_us = at_us,
					   .mail_from = bytes_str("a@b.example"),
					   .size = 5};
}

static size_t
count(const struct uuid *t, const char *recipient)
{
	struct store_filter f = {.limit = 10,
				 .recipient = recipient != NULL ? bytes_str(recipient) : bytes_of(NULL, 0)};
	struct store_sandbox_mail *v = NULL;
	size_t n = 0;
	struct db_tx *tx = begin(t);
	if (store_sandbox_list(tx, t, &f, a, &v, &n, &err) != RC_OK)
		fail_msg("%s", err.text);
	db_end(&tx);
	return n;
}

static void
add(const struct store_sandbox_mail *m, const int32_t *numbers, const char *const *to, size_t n, bool wanted)
{
	bool fresh = !wanted;
	struct bytes addresses[4];
	for (size_t i = 0; i < n; i++)
		addresses[i] = bytes_str(to[i]);
	struct db_tx *tx = begin(&tenant);
	if (store_sandbox_add(tx, &tenant, m, numbers, addresses, n, &fresh, &err) != RC_OK)
		fail_msg("%s", err.text);
	assert_int_equal(fresh, wanted);
	commit(tx);
}

static void
the_sink_keeps_once(void **state)
{
	static const int32_t numbers[] = {0, 1, 2};
	static const char *const to[] = {"x@y.example", "xx@y.example", "z@y.example"};
	int64_t now = clock_wall_us(), old = now - 100 * SECOND;
	struct uuid message = uuid_v7(now), *ids = NULL;
	struct store_sandbox_mail one = mail(&message, old), again = mail(&message, now), two = mail(&message, now);
	size_t n = 0;
	add(&one, numbers, to, 2, true);
	add(&again, numbers, to, 1, false);
	add(&again, numbers, to, 2, false);
	add(&two, numbers, to, 3, true); /* again, and of one more: that one gets it */
	assert_int_equal(count(&tenant, "z@y.example"), 1);
	assert_int_equal(count(&tenant, "xx@y.example"), 1);
	assert_int_equal(count(&tenant, NULL), 2);
	assert_int_equal(count(&tenant, "x@y.example"), 1);
	assert_int_equal(count(&tenant, "@y.example"), 0); /* whole addresses only */
	assert_int_equal(count(&tenant, "x@y.example\nxx@y.example"), 1);
	assert_int_equal(count(&other, NULL), 0);
	struct db_tx *tx = begin(&other);
	assert_int_equal(store_sandbox_get(tx, &other, &one.id, a, &again, &err), RC_NOT_FOUND);
	db_end(&tx);
	tx = begin(&tenant);
	assert_int_equal(store_sandbox_purge(tx, &tenant, now - 50 * SECOND, 10, a, &ids, &n, &err), RC_OK);
	assert_int_equal(n, 1);
	assert_true(uuid_eq(&ids[0], &one.id));
	commit(tx);
	assert_int_equal(count(&tenant, NULL), 1);
}

static int64_t
chunks(const struct uuid *id)
{
	struct db_args p;
	struct db_rows *r = NULL;
	struct db_tx *tx = begin(&tenant);
	db_args_init(&p);
	db_arg_uuid(&p, id);
	assert_int_equal(db_query(tx, "SELECT count(*) FROM content.chunk WHERE id = $1", &p, &r, &err), RC_OK);
	assert_true(db_rows_next(r));
	int64_t n = db_int(r, 0);
	db_rows_free(&r);
	db_end(&tx);
	return n;
}

/* Even a statement that asks for everything deletes what the sink took, and no body. */
static void
bodies_cannot_be_deleted(void **state)
{
	struct uuid id = uuid_v7(clock_wall_us());
	struct db_args p;
	int64_t gone = 0;
	struct db_tx *tx = begin(&tenant);
	for (int kind = CONTENT_BODY; kind <= CONTENT_SANDBOX; kind++) {
		db_args_init(&p);
		db_arg_uuid(&p, &tenant);
		db_arg_uuid(&p, &id);
		db_arg_int(&p, kind);
		assert_int_equal(
		    db_exec(tx,
			    "INSERT INTO content.chunk (tenant, id, kind, n, last, epoch, sealed) VALUES ($1, "
			    "$2, $3, 0, true, 1, '')",
			    &p, &err),
		    RC_OK);
	}
	commit(tx);
	assert_int_equal(chunks(&id), 5);
	tx = begin(&tenant);
	assert_int_equal(db_exec_count(tx, "DELETE FROM content.chunk", NULL, &gone, &err), RC_OK);
	assert_int_equal(gone, 1);
	db_end(&tx);
	tx = begin(&tenant);
	assert_int_equal(content_drop(tx, &tenant, &id, 1, &err), RC_OK);
	commit(tx);
	assert_int_equal(chunks(&id), 4);
}

/* --- facts --------------------------------------------------------------------------------------------------- */
#define FACTS	   50
#define FACTS_TEXT (500 * 1024)

struct seen {
	size_t n, most;
};

static enum rc
look(void *ctx, size_t i, const struct facts *f, struct arena *scratch, struct err *e)
{
	struct seen *s = ctx;
	char subject[20];
	assert_int_equal(i, s->n++);
	snprintf(subject, sizeof(subject), "subject %zu", i);
	if (i == 1)
		assert_null(f); /* there are none */
	else
		assert_string_equal(f->subject, subject);
	s->most = arena_used(scratch) > s->most ? arena_used(scratch) : s->most;
	return RC_OK;
}

/* Of fifty mails with long texts a few are in memory at once, whatever is asked for. */
static void
facts_a_few_at_a_time(void **state)
{
	char kek[] = "/tmp/sekisho-sandbox-XXXXXX", *text = malloc(FACTS_TEXT + 1);
	struct content *content = NULL;
	struct uuid ids[FACTS];
	uint64_t sizes[FACTS];
	struct seen seen = {0};
	int fd = mkstemp(kek);
	assert_int_equal(write(fd, "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n", 65), 65);
	close(fd);
	assert_int_equal(content_open(kek, pool, &content, &err), RC_OK);
	uint64_t random = 88172645463325252; /* so that it does not compress to nothing */
	for (size_t i = 0; i < FACTS_TEXT; i++) {
		random = random * 6364136223846793005 + 1442695040888963407;
		text[i] = (char)('a' + (random >> 33) % 26);
	}
	text[FACTS_TEXT] = '\0';
	for (size_t i = 0; i < FACTS; i++) {
		char subject[20];
		struct facts f = {.subject = subject, .text = text, .size = FACTS_ENCODED_MAX};
		struct content_sealed *sealed = NULL;
		struct buf b;
		ids[i] = uuid_v7(clock_wall_us());
		sizes[i] = FACTS_ENCODED_MAX;
		if (i == 1)
			continue;
		snprintf(subject, sizeof(subject), "subject %zu", i);
		buf_init(&b, 0);
		assert_int_equal(facts_encode(&f, &b, &err), RC_OK);
		const struct content_item item = {CONTENT_FACTS, buf_bytes(&b)};
		assert_int_equal(content_seal(content, &tenant, &ids[i], &item, 1, &sealed, &err), RC_OK);
		struct db_tx *tx = begin(&tenant);
		assert_int_equal(content_put_sealed(tx, sealed, &err), RC_OK);
		commit(tx);
		content_sealed_free(&sealed);
		buf_done(&b);
	}
	struct db_tx *tx = begin(&tenant);
	if (facts_read(content, tx, &tenant, ids, sizes, FACTS, look, &seen, &err) != RC_OK)
		fail_msg("%s", err.text);
	db_end(&tx);
	assert_int_equal(seen.n, FACTS);
	assert_in_range(seen.most, FACTS_TEXT, FACTS_READ_OCTETS);
	content_free(&content);
	unlink(kek);
	free(text);
}

static void
notices_once(void **state)
{
	struct uuid first = uuid_v7(clock_wall_us()), second = uuid_v7(clock_wall_us()), was = first;
	bool fresh = false;
	struct db_tx *tx = begin(&tenant);
	assert_int_equal(store_notice(tx, &tenant, "head.2026-11-22", &first, &fresh, &err), RC_OK);
	assert_true(fresh && uuid_eq(&first, &was));
	commit(tx);
	tx = begin(&tenant);
	assert_int_equal(store_notice(tx, &tenant, "head.2026-11-22", &second, &fresh, &err), RC_OK);
	assert_true(!fresh && uuid_eq(&second, &first));
	db_end(&tx);
	tx = begin(&other);
	second = uuid_v7(clock_wall_us());
	assert_int_equal(store_notice(tx, &other, "head.2026-11-22", &second, &fresh, &err), RC_OK);
	assert_true(fresh); /* another tenant's key is another key */
	db_end(&tx);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(routes_have_versions), cmocka_unit_test(settings_have_versions),
	    cmocka_unit_test(a_kind_stays),	    cmocka_unit_test(a_kind_cannot_be_changed),
	    cmocka_unit_test(the_sink_keeps_once),  cmocka_unit_test(bodies_cannot_be_deleted),
	    cmocka_unit_test(notices_once),	    cmocka_unit_test(facts_a_few_at_a_time),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
