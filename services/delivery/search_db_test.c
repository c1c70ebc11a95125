/* SPDX-License-Identifier: MIT
 *
 * The index in a real database under row-level security, as the role of the service (tools/with-postgres.sh gives
 * SEKISHO_TEST_DB): thousands of mails arrive out of order, are indexed, merged, searched; every answer is that of a
 * scan of all mails.
 */
#include "search_find.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "search_read.h"
#include "search_testing.h"
#include "search_write.h"

#define MS	20000
#define MAILS	3000
#define SECOND	INT64_C(1000000)
#define IDS_MAX (2 * MAILS)

static char dir[] = "/tmp/sekisho-search-XXXXXX", kek[64], psql[512];
static struct db_pool *pool;
static struct content *content;
static struct search_corpus *corpus;
static struct search_writer *writer;
static int64_t base_us; /* ids begin here, in this month's partition */

/* One mail as it is known here. */
struct mail {
	struct uuid id;
	int64_t accepted_us;
	enum store_direction direction;
	struct bytes document;
};
struct tenant {
	struct uuid id;
	struct mail v[MAILS];
	size_t n;
	struct arena *a;
};
static struct tenant ours, theirs;

static int
setup(void **state)
{
	const char *conninfo = getenv("SEKISHO_TEST_DB");
	char command[2048], as_delivery[600];
	if (conninfo == NULL) {
		fprintf(stderr, "SEKISHO_TEST_DB is not set: run by tools/with-postgres.sh\n");
		return 1;
	}
	snprintf(psql, sizeof(psql), "%s dbname=search_test", conninfo);
	snprintf(as_delivery, sizeof(as_delivery), "%s user=sekisho_delivery", psql);
	snprintf(command, sizeof(command),
		 "psql -qX \"%s\" -v ON_ERROR_STOP=1 -c 'CREATE DATABASE search_test OWNER sekisho_owner' && "
		 "psql -qX \"%s\" -v ON_ERROR_STOP=1 -o /dev/null -c 'SET ROLE sekisho_owner' "
		 "-f libs/db/migrations/0001_base.sql -f libs/content/migrations/0001_content.sql "
		 "-f services/delivery/migrations/0001_delivery.sql -f services/delivery/migrations/0002_search.sql",
		 conninfo, psql);
	if (system(command) != 0 || mkdtemp(dir) == NULL)
		return 1;
	snprintf(kek, sizeof(kek), "%s/kek", dir);
	int fd = open(kek, O_WRONLY | O_CREAT, 0600);
	if (write(fd, "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n", 65) != 65)
		return 1;
	close(fd);
	struct db_options o = {.conninfo = as_delivery,
			       .size = 6,
			       .settings = "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off"};
	if (db_pool_new(&o, &pool, NULL) != RC_OK || content_open(kek, pool, &content, NULL) != RC_OK)
		return 1;
	corpus = search_corpus_new(200);
	writer = search_writer_new(pool, content);
	base_us = clock_wall_us();
	ours = (struct tenant){.id = uuid_v7(base_us), .a = arena_new()};
	theirs = (struct tenant){.id = uuid_v7(base_us), .a = arena_new()};
	return 0;
}

static int
teardown(void **state)
{
	arena_free(&ours.a);
	arena_free(&theirs.a);
	search_writer_free(&writer);
	search_corpus_free(&corpus);
	content_free(&content);
	db_pool_free(&pool);
	unlink(kek);
	return rmdir(dir);
}

#define OK(call)                                                                                                       \
	do {                                                                                                           \
		struct err e_ = {0};                                                                                   \
		struct err *e = &e_;                                                                                   \
		if ((call) != RC_OK)                                                                                   \
			fail_msg("%s: %s", #call, e_.text);                                                            \
	} while (0)

/* A number out of the database, by the superuser. */
static long
number(const char *sql)
{
	char command[2048], line[64] = "";
	snprintf(command, sizeof(command), "psql -qAtX \"%s\" -v ON_ERROR_STOP=1 -c \"%s\"", psql, sql);
	FILE *f = popen(command, "r");
	assert_non_null(f);
	assert_non_null(fgets(line, sizeof(line), f));
	assert_int_equal(pclose(f), 0);
	return strtol(line, NULL, 10);
}

static void
run_sql(const char *sql)
{
	char command[2048];
	snprintf(command, sizeof(command), "psql -qX \"%s\" -v ON_ERROR_STOP=1 -o /dev/null -c \"%s\"", psql, sql);
	assert_int_equal(system(command), 0);
}

/* n more mails in one commit, not in the order of their times. */
static void
arrive(struct tenant *t, size_t n)
{
	struct arena *a = arena_new();
	struct store_arrival *v = arena_new_array(a, struct store_arrival, n);
	struct facts *f = arena_new_array(a, struct facts, n);
	for (size_t i = 0; i < n; i++) {
		size_t k = t->n++;
		int64_t at = base_us + (int64_t)((k * 7919) % MAILS) * SECOND / 4; /* scattered over MAILS / 4 s */
		search_corpus_message(corpus, k, at, a, &v[i], &f[i]);
		struct search_message m = {v[i].message.mail_from, &v[i].legs[0].address, 1, &f[i]};
		t->v[k] = (struct mail){v[i].message.id, at, v[i].message.direction,
					arena_bytes(t->a, search_document(a, &m))};
	}
	OK(search_corpus_store(pool, content, &t->id, v, f, n, a, e));
	arena_free(&a);
}

/* As the indexer does: all that waits, then merges as long as there are any. */
static void
index_all(struct tenant *t, size_t batch)
{
	size_t n = 1;
	bool merged = true;
	while (n > 0)
		OK(search_write_waiting(writer, &t->id, batch, &n, e));
	while (merged)
		OK(search_write_merge(writer, &t->id, &merged, e));
}

/* --- against a scan -------------------------------------------------------------------------------------------- */
static int
newest_first(const void *x, const void *y)
{
	return memcmp(y, x, sizeof(struct uuid));
}

static size_t
scan(const struct tenant *t, const struct search_ask *ask, struct uuid *out)
{
	size_t n = 0;
	for (size_t i = 0; i < t->n; i++) {
		const struct mail *m = &t->v[i];
		if ((ask->from_us == 0 || m->accepted_us >= ask->from_us) &&
		    (ask->until_us == 0 || m->accepted_us < ask->until_us) &&
		    (ask->direction == NULL || strcmp(ask->direction, store_direction_str(m->direction)) == 0) &&
		    search_query_matches(ask->query, m->document))
			out[n++] = m->id;
	}
	qsort(out, n, sizeof(*out), newest_first);
	return n;
}

/* All pages. */
static size_t
search(const struct tenant *t, struct search_ask ask, struct uuid *out)
{
	size_t n = 0;
	for (int page = 0;; page++) {
		struct arena *a = arena_new();
		struct search_answer found;
		OK(search_find(pool, content, &t->id, &ask, clock_mono_ms() + MS, a, &found, e));
		assert_in_range(found.n, 0, ask.limit);
		assert_int_equal(found.indexed_until_us, 0);
		for (size_t i = 0; i < found.n; i++)
			out[n++] = found.v[i].view.message.id;
		ask.has_before = true;
		ask.before = found.next;
		bool more = found.more;
		arena_free(&a);
		if (!more)
			return n;
		assert_in_range(page, 0, MAILS);
	}
}

static size_t
compare(const struct tenant *t, const char *text, struct search_ask ask)
{
	static struct uuid want[IDS_MAX], got[IDS_MAX];
	struct arena *a = arena_new();
	struct search_query q;
	OK(search_query_parse(a, text, &q, e));
	ask.query = &q;
	size_t n = scan(t, &ask, want), k = search(t, ask, got);
	if (n != k || memcmp(want, got, n * sizeof(*want)) != 0)
		fail_msg("\"%s\": %zu found, %zu there", text, k, n);
	arena_free(&a);
	return n;
}

static void
compare_many(const struct tenant *t)
{
	static const char *const fixed[] = {CORPUS_GREETING, CORPUS_SELDOM,	 "お世話 監査",		  "について",
					    "person1",	     "team1.example",	 "person1@team1.example", "pdf",
					    "\"tel 03\"",    "見つからない言葉", "nowheretobefound",	  "03"};
	struct search_ask ask = {.limit = 200};
	size_t hits = 0;
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		hits += compare(t, fixed[i], ask);
	assert_in_range(hits, t->n, 100 * t->n); /* the greeting alone is in all */
	for (size_t i = 0; i < 60; i++) {
		char text[200];
		bool in_english = i % 3 == 0;
		struct bytes one = search_corpus_word(corpus, in_english, i * i * 5),
			     two = search_corpus_word(corpus, i % 2 == 0, i);
		snprintf(text, sizeof(text), i % 4 == 3 ? "%s %s" : "%s", one.p, two.p);
		ask.limit = i % 5 == 0 ? 7 : 200;
		ask.direction = i % 7 == 1 ? "incoming" : NULL;
		ask.from_us = i % 6 == 2 ? base_us + (int64_t)i * 3 * SECOND : 0;
		ask.until_us = i % 6 == 4 || i % 6 == 2 ? base_us + (int64_t)(MAILS / 6 + i) * SECOND : 0;
		hits += compare(t, text, ask);
	}
	assert_true(hits > 0);
}

static void
what_waits_is_found(void **state)
{
	arrive(&ours, 40);
	arrive(&ours, 1);
	assert_int_equal(number("SELECT count(*) FROM delivery.search_arrival"), 2);
	compare_many(&ours);
}

static void
what_is_indexed_is_found(void **state)
{
	index_all(&ours, 512);
	assert_int_equal(number("SELECT count(*) FROM delivery.search_arrival"), 0);
	assert_int_equal(number("SELECT sum(messages) FROM delivery.search_segment"), 41);
	compare_many(&ours);
}

/* More waits than is looked at without an index: the answer says from when on something may be missing. */
static void
a_backlog_is_told(const struct tenant *t)
{
	struct search_query q;
	struct search_answer found;
	struct search_ask ask = {.limit = 200, .query = &q};
	struct arena *a = arena_new();
	const struct mail *oldest = &t->v[0];
	for (size_t i = 1; i < t->n; i++)
		if (memcmp(&t->v[i].id, &oldest->id, sizeof(oldest->id)) < 0)
			oldest = &t->v[i];
	assert_in_range(t->n, 400, MAILS);
	OK(search_query_parse(a, CORPUS_GREETING, &q, e));
	OK(search_find(pool, content, &t->id, &ask, clock_mono_ms() + MS, a, &found, e));
	assert_int_equal(found.n, 200);
	assert_int_equal(found.indexed_until_us, oldest->accepted_us / 1000 * 1000);
	arena_free(&a);
}

/* Segments of all sizes that overlap in time, merged as they come, and some that wait. */
static void
everything_is_found(void **state)
{
	static const size_t batches[] = {1, 3, 60, 20, 7, 100, 2};
	for (size_t i = 0; ours.n + 100 < MAILS - 50; i++) {
		arrive(&ours, batches[i % 7]);
		if (i % 3 == 0)
			index_all(&ours, 64);
		if (theirs.n + 20 < MAILS && i % 5 == 0)
			arrive(&theirs, 20);
	}
	arrive(&ours, 30);
	a_backlog_is_told(&theirs);
	index_all(&theirs, 100);
	arrive(&theirs, 20);
	assert_int_equal(number("SELECT count(*) FROM delivery.search_segment WHERE building"), 0);
	assert_in_range(number("SELECT max(messages) FROM delivery.search_segment"), 256, MAILS);
	assert_in_range(number("SELECT count(*) FROM delivery.search_segment"), 2, 60);
	compare_many(&ours);
	compare_many(&theirs);
	index_all(&theirs, 512);
	index_all(&ours, 512);
	compare_many(&ours);
	compare_many(&theirs);
	/* Every message is in one segment, every block belongs to one. */
	assert_int_equal(number("SELECT sum(messages) FROM delivery.search_segment"), ours.n + theirs.n);
	assert_int_equal(number("SELECT count(*) FROM delivery.search_block b WHERE NOT EXISTS (SELECT 1 FROM "
				"delivery.search_segment s WHERE s.tenant = b.tenant AND s.id = b.segment)"),
			 0);
}

/* The greeting is in every mail of both: nobody finds the other's, and a stranger finds nothing. */
static void
tenants_do_not_meet(void **state)
{
	struct tenant nobody = {.id = uuid_v7(base_us)};
	struct search_ask ask = {.limit = 200};
	assert_int_equal(compare(&ours, CORPUS_GREETING, ask), ours.n);
	assert_int_equal(compare(&theirs, CORPUS_GREETING, ask), theirs.n);
	assert_int_equal(compare(&nobody, CORPUS_GREETING, ask), 0);
}

/* The database shows no words: not the text, and not the same hash for the same word of two tenants. */
static void
nothing_is_readable(void **state)
{
	struct search_key one, two;
	struct search_set a, b;
	int32_t epoch = 0;
	assert_int_equal(number("SELECT count(*) FROM delivery.search_block WHERE position(convert_to('お世話に', "
				"'UTF8') in data) > 0 OR position(convert_to('person1', 'UTF8') in data) > 0"),
			 0);
	OK(search_key(content, &ours.id, &epoch, &one, e));
	epoch = 0;
	OK(search_key(content, &theirs.id, &epoch, &two, e));
	search_set_init(&a);
	search_set_init(&b);
	search_tokens_term(&one, bytes_str("見積書"), &a);
	search_tokens_term(&two, bytes_str("見積書"), &b);
	assert_int_equal(a.n, 2);
	for (size_t i = 0; i < a.n; i++)
		for (size_t k = 0; k < b.n; k++)
			assert_true(a.v[i] != b.v[k]);
	search_set_done(&a);
	search_set_done(&b);
}

static void *
write_all(void *ctx)
{
	struct search_writer *w = search_writer_new(pool, content);
	struct err e = {0};
	size_t n = 1;
	bool merged = true;
	enum rc rc = RC_OK;
	for (int i = 0; i < 20 && rc == RC_OK; i++) {
		rc = search_write_waiting(w, &theirs.id, 5, &n, &e);
		if (rc == RC_OK)
			rc = search_write_merge(w, &theirs.id, &merged, &e);
	}
	search_writer_free(&w);
	if (rc != RC_OK)
		fprintf(stderr, "writer: %s\n", e.text);
	return rc == RC_OK ? NULL : ctx;
}

/* Two writers at once: each message goes into one segment. */
static void
writers_at_once(void **state)
{
	pthread_t threads[2];
	for (int i = 0; i < 60; i++)
		arrive(&theirs, 1);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_all, &theirs), 0);
	for (int i = 0; i < 2; i++) {
		void *failed;
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	index_all(&theirs, 512);
	assert_int_equal(number("SELECT sum(messages) FROM delivery.search_segment"), ours.n + theirs.n);
	compare_many(&theirs);
}

/* A merge that ended in the middle: nothing is lost, nobody sees the torso, and the next writer clears it away. */
static bool
stop_soon(void *ctx)
{
	int *left = ctx;
	return --*left > 0;
}

static void
a_torn_merge(void **state)
{
	struct err why;
	bool merged = false;
	size_t n = 0;
	int left = 1;
	for (int i = 0; i < 16; i++) {
		arrive(&ours, 1);
		OK(search_write_waiting(writer, &ours.id, 512, &n, e));
		assert_int_equal(n, 1);
	}
	search_writer_set_pace(writer, stop_soon, &left);
	assert_int_equal(search_write_merge(writer, &ours.id, &merged, &why), RC_RETRY);
	assert_int_equal(number("SELECT count(*) FROM delivery.search_segment WHERE building"), 1);
	search_writer_set_pace(writer, NULL, NULL);
	compare_many(&ours);
	index_all(&ours, 512);
	assert_int_equal(number("SELECT count(*) FROM delivery.search_segment WHERE building"), 0);
	assert_int_equal(number("SELECT sum(messages) FROM delivery.search_segment"), ours.n + theirs.n);
	compare_many(&ours);
}

/* The tenant gets a new data key: new segments hash their tokens anew, a query finds both. */
static void
a_new_key(void **state)
{
	struct keyring *ring = NULL;
	struct buf wrapped;
	char sql[1024], id[UUID_STR_SIZE];
	buf_init(&wrapped, 0);
	uuid_format(&theirs.id, id);
	OK(keyring_open(kek, &ring, e));
	OK(keyring_make(ring, &theirs.id, 2, &wrapped, e));
	size_t at = (size_t)snprintf(sql, sizeof(sql), "INSERT INTO content.tenant_key VALUES ('%s', 2, '\\x", id);
	for (size_t i = 0; i < wrapped.n; i++)
		at += (size_t)snprintf(sql + at, sizeof(sql) - at, "%02x", wrapped.p[i]);
	snprintf(sql + at, sizeof(sql) - at, "')");
	run_sql(sql);
	search_writer_free(&writer);
	content_free(&content);
	OK(content_open(kek, pool, &content, e));
	writer = search_writer_new(pool, content);
	arrive(&theirs, 50);
	index_all(&theirs, 512);
	assert_int_equal(number("SELECT count(DISTINCT epoch) FROM delivery.search_segment"), 2);
	compare_many(&theirs);
	keyring_free(&ring);
	buf_done(&wrapped);
}

/* Facts that do not open cost that mail its text, not the others theirs. */
static void
broken_facts(void **state)
{
	struct search_ask ask = {.limit = 200};
	arrive(&ours, 3);
	run_sql("UPDATE content.chunk SET sealed = sealed || '\\x00' WHERE id = (SELECT id FROM content.chunk ORDER BY "
		"id DESC LIMIT 1)");
	index_all(&ours, 512);
	static struct uuid got[IDS_MAX];
	struct search_query q;
	struct arena *a = arena_new();
	OK(search_query_parse(a, CORPUS_GREETING, &q, e));
	ask.query = &q;
	assert_in_range(search(&ours, ask, got) + search(&theirs, ask, got), ours.n + theirs.n - 1,
			ours.n + theirs.n - 1);
	arena_free(&a);
}

/* A block that was changed, or put in another's place, is not believed. */
/* Numbers out of the database go into sizes and shifts: neither a search nor a merge believes them. */
static void
broken_numbers(void **state)
{
	static const char *const columns[] = {"messages = -messages", "messages = 2000000000", "bits = 40",
					      "bits = -1"};
	struct search_answer found;
	struct search_query q;
	struct err e;
	struct arena *a = arena_new();
	struct search_ask ask = {.limit = 10, .query = &q};
	bool merged = false;
	assert_int_equal(search_query_parse(a, CORPUS_GREETING, &q, NULL), RC_OK);
	run_sql("CREATE TABLE kept AS SELECT id, messages, bits FROM delivery.search_segment");
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		char sql[300], id[UUID_STR_SIZE];
		uuid_format(&ours.id, id);
		snprintf(sql, sizeof(sql), "UPDATE delivery.search_segment SET %s WHERE tenant = '%s'", columns[i], id);
		run_sql(sql);
		assert_int_equal(search_write_merge(writer, &ours.id, &merged, &e), RC_INVALID);
		assert_int_equal(search_find(pool, content, &ours.id, &ask, clock_mono_ms() + MS, a, &found, &e),
				 RC_INVALID);
		run_sql("UPDATE delivery.search_segment s SET messages = k.messages, bits = k.bits FROM kept k WHERE "
			"k.id = s.id");
	}
	run_sql("DROP TABLE kept");
	arena_free(&a);
}

/* What has begun in time is not gone on with when it is over: no group of messages is read to its end. */
static void
no_time_left(void **state)
{
	struct search_read *v = NULL;
	struct db_tx *tx = NULL;
	struct err err = {.text = ""};
	size_t n = 0;
	OK(db_begin(pool, &ours.id, clock_mono_ms() + MS, &tx, e));
	OK(search_read(content, tx, &ours.id, &ours.v[0].id, 1, clock_mono_ms() + MS, ours.a, &v, &n, e));
	assert_int_equal(n, 1);
	assert_int_equal(search_read(content, tx, &ours.id, &ours.v[0].id, 1, clock_mono_ms(), ours.a, &v, &n, &err),
			 RC_RETRY);
	db_end(&tx);
}

static void
moved_blocks(void **state)
{
	struct search_query q;
	struct search_answer found;
	struct err e;
	struct arena *a = arena_new();
	struct search_ask ask = {.limit = 10, .query = &q};
	assert_int_equal(search_query_parse(a, CORPUS_GREETING, &q, NULL), RC_OK);
	run_sql("UPDATE delivery.search_block b SET data = (SELECT c.data FROM delivery.search_block c WHERE c.bucket "
		">= 0 AND c.segment <> b.segment LIMIT 1) WHERE b.bucket >= 0");
	assert_int_equal(search_find(pool, content, &ours.id, &ask, clock_mono_ms() + MS, a, &found, &e), RC_INVALID);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_waits_is_found), cmocka_unit_test(what_is_indexed_is_found),
	    cmocka_unit_test(everything_is_found), cmocka_unit_test(tenants_do_not_meet),
	    cmocka_unit_test(nothing_is_readable), cmocka_unit_test(writers_at_once),
	    cmocka_unit_test(a_torn_merge),	   cmocka_unit_test(a_new_key),
	    cmocka_unit_test(broken_facts),	   cmocka_unit_test(broken_numbers),
	    cmocka_unit_test(moved_blocks),	   cmocka_unit_test(no_time_left),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
