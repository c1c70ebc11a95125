/* SPDX-License-Identifier: MIT
 *
 * The journal in a folder of its own: opened again it knows what it knew; ends torn at every octet; segments; the lock.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "journal.h"

static char folder[64];
static const struct uuid one = {{1}}, two = {{2}};

static struct journal *
open_with(int64_t segment)
{
	struct journal *j = NULL;
	struct err e = {.text = ""};
	struct journal_options o = {folder, segment, NULL};
	if (journal_open(&o, &j, &e) != RC_OK)
		fail_msg("%s", e.text);
	return j;
}

static int
setup(void **state)
{
	snprintf(folder, sizeof(folder), "/tmp/journal-test-XXXXXX");
	return mkdtemp(folder) == NULL;
}

static int
teardown(void **state)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command) != 0;
}

static void
add(struct journal *j, const struct uuid *tenant, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++) {
		char sealed[100];
		struct journal_entry v = {.tenant = *tenant, .index = i, .at_us = (int64_t)i * 7};
		memcpy(v.intent.b, &i, sizeof(i));
		merkle_leaf(bytes_of(&i, sizeof(i)), &v.leaf);
		memset(sealed, (int)i, sizeof(sealed));
		if (i % 5 != 4) /* that one is erased */
			v.sealed = bytes_of(sealed, i % sizeof(sealed));
		assert_int_equal(journal_add(j, &v, NULL), RC_OK);
	}
}

static void
root_of(uint64_t n, struct merkle_hash *out)
{
	struct merkle_frontier f = {0};
	for (uint64_t i = 0; i < n; i++) {
		struct merkle_hash leaf;
		merkle_leaf(bytes_of(&i, sizeof(i)), &leaf);
		merkle_frontier_add(&f, &leaf);
	}
	merkle_frontier_root(&f, out);
}

static void
holds(struct journal *j, const struct uuid *tenant, uint64_t n, uint64_t head)
{
	struct journal_log l;
	struct merkle_hash root;
	journal_log(j, tenant, &l);
	root_of(n, &root);
	assert_int_equal(l.synced, n);
	assert_int_equal(l.tree.size, n);
	assert_int_equal(l.head, head);
	assert_memory_equal(&l.root, &root, sizeof(root));
}

static void
path_of(uint64_t segment, char out[128])
{
	snprintf(out, 128, "%s/%012llu.journal", folder, (unsigned long long)segment);
}

static void
opened_again(void **state)
{
	struct journal *j = open_with(1 << 20);
	holds(j, &one, 0, 0);
	add(j, &one, 0, 100);
	add(j, &two, 0, 3);
	struct journal_log l;
	journal_log(j, &one, &l);
	assert_int_equal(l.synced, 0); /* nothing counts before it is on disk */
	assert_int_equal(journal_sync(j, NULL), RC_OK);
	assert_int_equal(journal_add_key(j, &one, 1, bytes_str("wrapped"), NULL), RC_OK);
	assert_int_equal(journal_add_head(j, &one, 100, 42, bytes_str("note"), NULL), RC_OK);
	assert_int_equal(journal_sync(j, NULL), RC_OK);
	holds(j, &one, 100, 100);
	/* Not the next one. */
	struct journal_entry v = {.tenant = one, .index = 105};
	assert_int_equal(journal_add(j, &v, NULL), RC_INTERNAL);
	/* Only one process at a time. */
	struct journal *other = NULL;
	struct journal_options o = {folder, 1 << 20, NULL};
	assert_int_equal(journal_open(&o, &other, NULL), RC_CONFLICT);
	journal_close(&j);
	j = open_with(1 << 20);
	holds(j, &one, 100, 100);
	holds(j, &two, 3, 0);
	journal_log(j, &one, &l);
	assert_int_equal(l.keys, 1);
	journal_close(&j);
}

/* --- segments --------------------------------------------------------------------------------------------------- */
struct replayed {
	uint64_t entries[3], keys, heads;
};

static enum rc
on_entry(void *ctx, const struct journal_entry *v, struct err *e)
{
	struct replayed *r = ctx;
	struct merkle_hash leaf;
	assert_int_equal(v->index, r->entries[v->tenant.b[0]]);
	merkle_leaf(bytes_of(&v->index, sizeof(v->index)), &leaf);
	assert_memory_equal(&leaf, &v->leaf, sizeof(leaf));
	assert_int_equal(v->sealed.p == NULL, v->index % 5 == 4);
	assert_int_equal(v->sealed.n, v->index % 5 == 4 ? 0 : v->index % 100);
	assert_int_equal(v->at_us, (int64_t)v->index * 7);
	r->entries[v->tenant.b[0]]++;
	return RC_OK;
}
static enum rc
on_key(void *ctx, const struct uuid *tenant, int32_t epoch, struct bytes wrapped, struct err *e)
{
	((struct replayed *)ctx)->keys++;
	assert_true(bytes_eq(wrapped, bytes_str("wrapped")));
	return RC_OK;
}
static enum rc
on_head(void *ctx, const struct uuid *tenant, uint64_t size, int64_t at_us, struct bytes note, struct err *e)
{
	struct replayed *r = ctx;
	r->heads++;
	assert_int_equal(size, r->entries[tenant->b[0]]); /* just behind what it is of */
	return RC_OK;
}

static void
many_segments(void **state)
{
	struct journal *j = open_with(4096);
	for (uint64_t i = 0; i < 2000; i += 50) {
		add(j, &one, i, i + 50);
		if (i % 100 == 0)
			add(j, &two, i / 100, i / 100 + 1);
		assert_int_equal(journal_sync(j, NULL), RC_OK);
		assert_int_equal(journal_add_head(j, &one, i + 50, 1, bytes_str("note"), NULL), RC_OK);
		if (i % 500 == 0) { /* and opened again now and then */
			assert_int_equal(journal_sync(j, NULL), RC_OK);
			journal_close(&j);
			j = open_with(4096);
			holds(j, &one, i + 50, i + 50);
		}
	}
	assert_int_equal(journal_add_key(j, &two, 1, bytes_str("wrapped"), NULL), RC_OK);
	assert_int_equal(journal_sync(j, NULL), RC_OK);
	holds(j, &one, 2000, 2000);
	holds(j, &two, 20, 0);
	struct replayed r = {{0}};
	struct journal_reader reader = {on_entry, on_key, on_head, &r};
	assert_int_equal(journal_replay(j, &reader, NULL), RC_OK);
	assert_int_equal(r.entries[1], 2000);
	assert_int_equal(r.entries[2], 20);
	assert_int_equal(r.heads, 40);
	assert_int_equal(r.keys, 1);
	journal_close(&j);
	/* An octet changed in an old segment shows. */
	char path[128];
	struct stat st;
	path_of(3, path);
	assert_int_equal(stat(path, &st), 0);
	FILE *f = fopen(path, "r+");
	assert_int_equal(fseek(f, st.st_size / 2, SEEK_SET), 0);
	int c = fgetc(f);
	assert_int_equal(fseek(f, -1, SEEK_CUR), 0);
	fputc(c ^ 1, f);
	fclose(f);
	j = open_with(4096);
	memset(&r, 0, sizeof(r));
	struct err e;
	assert_int_equal(journal_replay(j, &reader, &e), RC_INVALID);
	assert_non_null(strstr(e.text, "damaged"));
	journal_close(&j);
}

/* --- torn ends --------------------------------------------------------------------------------------------------- */
static void
torn_at_every_octet(void **state)
{
	char path[128], kept[128];
	struct stat before, after;
	struct journal *j = open_with(1 << 20);
	add(j, &one, 0, 10);
	assert_int_equal(journal_sync(j, NULL), RC_OK);
	path_of(1, path);
	assert_int_equal(stat(path, &before), 0);
	add(j, &one, 10, 11);
	assert_int_equal(journal_sync(j, NULL), RC_OK);
	assert_int_equal(stat(path, &after), 0);
	journal_close(&j);
	snprintf(kept, sizeof(kept), "%s/kept", folder);
	assert_int_equal(rename(path, kept), 0);
	for (off_t n = before.st_size; n <= after.st_size; n++) {
		char command[320];
		snprintf(command, sizeof(command), "head -c %lld %s > %s", (long long)n, kept, path);
		assert_int_equal(system(command), 0);
		j = open_with(1 << 20);
		holds(j, &one, n == after.st_size ? 11 : 10, 0);
		if (n < after.st_size) { /* and goes on where it was cut */
			add(j, &one, 10, 12);
			assert_int_equal(journal_sync(j, NULL), RC_OK);
			holds(j, &one, 12, 0);
		}
		journal_close(&j);
	}
}

/* --- damage ------------------------------------------------------------------------------------------------------- */
static void
flip(const char *path, off_t at)
{
	FILE *f = fopen(path, "r+");
	assert_int_equal(fseek(f, at, SEEK_SET), 0);
	int c = fgetc(f);
	assert_int_equal(fseek(f, at, SEEK_SET), 0);
	fputc(c ^ 1, f);
	fclose(f);
}

static off_t
size_of(const char *path)
{
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

/* Not opened, and not touched either. */
static void
refused(const char *path, uint64_t (*published)(const struct uuid *))
{
	struct journal *j = NULL;
	struct err e = {.text = ""};
	struct journal_options o = {folder, 1 << 20, published};
	off_t before = size_of(path);
	assert_int_equal(journal_open(&o, &j, &e), RC_INVALID);
	assert_non_null(strstr(e.text, ".journal"));
	assert_int_equal(size_of(path), before);
}

/* The power went while a segment was begun, before it had its number: the one before counts. */
static void
torn_beginning(void **state)
{
	char path[128], fresh[160];
	struct journal *j = open_with(4096);
	add(j, &one, 0, 30);
	assert_int_equal(journal_sync(j, NULL), RC_OK);
	journal_close(&j);
	path_of(2, path);
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	static const char *const beginnings[] = {"", "SKAJ", "SKAJ0001", "rubbish that is longer"};
	for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
		FILE *f = fopen(fresh, "w");
		fputs(beginnings[i], f);
		fclose(f);
		j = open_with(4096);
		holds(j, &one, 30, 0);
		journal_close(&j);
	}
	j = open_with(4096); /* and what lies there is in nobody's way */
	add(j, &one, 30, 100);
	assert_int_equal(journal_sync(j, NULL), RC_OK);
	journal_close(&j);
	assert_int_not_equal(access(fresh, F_OK), 0);
	assert_int_equal(access(path, F_OK), 0);
	j = open_with(4096);
	holds(j, &one, 100, 0);
	journal_close(&j);
}

/* A segment that has its number was whole: whatever octet of its beginning is wrong, it is neither read nor removed. */
static void
damaged_beginning(void **state)
{
	char path[128];
	struct journal *j = open_with(4096);
	add(j, &one, 0, 100);
	assert_int_equal(journal_sync(j, NULL), RC_OK); /* and a new segment: magic, state, begun */
	off_t begun = 0;
	path_of(2, path);
	begun = size_of(path);
	add(j, &one, 100, 110);
	assert_int_equal(journal_sync(j, NULL), RC_OK);
	journal_close(&j);
	for (off_t at = 0; at < begun; at++) {
		flip(path, at);
		refused(path, NULL);
		flip(path, at);
	}
	j = open_with(1 << 20);
	holds(j, &one, 110, 0);
	journal_close(&j);
	path_of(3, path);
	FILE *f = fopen(path, "w");
	fclose(f);
	refused(path, NULL);
}

static uint64_t
published_11(const struct uuid *tenant)
{
	return uuid_eq(tenant, &one) ? 11 : 0;
}

/* Only what has no whole record behind it is a torn end, and only if nobody outside has seen more. */
static void
damage_in_the_middle(void **state)
{
	char path[128];
	struct journal *j = open_with(1 << 20);
	add(j, &one, 0, 10);
	assert_int_equal(journal_sync(j, NULL), RC_OK);
	path_of(1, path);
	off_t ten = size_of(path);
	add(j, &one, 10, 11);
	assert_int_equal(journal_sync(j, NULL), RC_OK);
	off_t eleven = size_of(path);
	assert_int_equal(journal_add_head(j, &one, 11, 1, bytes_str("note"), NULL), RC_OK);
	assert_int_equal(journal_sync(j, NULL), RC_OK);
	journal_close(&j);
	for (off_t at = 100; at < eleven; at++) { /* a head lies behind */
		flip(path, at);
		refused(path, NULL);
		flip(path, at);
	}
	/* The last record: it may be torn, unless a head says that it was whole. */
	assert_int_equal(truncate(path, eleven), 0);
	flip(path, ten + 20);
	refused(path, published_11);
	j = open_with(1 << 20);
	holds(j, &one, 10, 0);
	journal_close(&j);
	assert_int_equal(size_of(path), ten);
}

/* --- brought forward ---------------------------------------------------------------------------------------------- */
struct given {
	struct journal_entry v[40];
	size_t n;
};

static enum rc
give(void *ctx, uint64_t from, const struct journal_entry **v_r, size_t *n_r, struct err *e)
{
	struct given *g = ctx;
	*v_r = &g->v[from];
	*n_r = g->n > from + 7 ? 7 : g->n > from ? g->n - from : 0;
	return RC_OK;
}

/* What does not make the root is not written at all. */
static void
brought_forward(void **state)
{
	static struct given g;
	struct merkle_hash root;
	struct journal_source s = {give, &g};
	struct journal *j = open_with(1 << 20);
	add(j, &one, 0, 10);
	assert_int_equal(journal_sync(j, NULL), RC_OK);
	g.n = 40;
	for (uint64_t i = 0; i < 40; i++) {
		g.v[i] = (struct journal_entry){.tenant = one, .index = i};
		merkle_leaf(bytes_of(&i, sizeof(i)), &g.v[i].leaf);
	}
	root_of(40, &root);
	g.v[30].leaf.b[3] ^= 1;
	assert_int_equal(journal_forward(j, &one, 40, &root, &s, NULL), RC_CONFLICT);
	g.v[30].leaf.b[3] ^= 1;
	g.v[31].index = 32;
	assert_int_equal(journal_forward(j, &one, 40, &root, &s, NULL), RC_CONFLICT);
	g.v[31].index = 31;
	g.n = 35;
	assert_int_equal(journal_forward(j, &one, 40, &root, &s, NULL), RC_CONFLICT);
	assert_int_equal(journal_sync(j, NULL), RC_OK);
	holds(j, &one, 10, 0);
	g.n = 40;
	assert_int_equal(journal_forward(j, &one, 40, &root, &s, NULL), RC_OK);
	assert_int_equal(journal_sync(j, NULL), RC_OK);
	journal_close(&j);
	j = open_with(1 << 20);
	holds(j, &one, 40, 0);
	journal_close(&j);
}

/* A log that was only announced is known, also when the journal is opened again. */
static void
announced(void **state)
{
	struct journal_log l;
	struct journal *j = open_with(1 << 20);
	journal_log(j, &one, &l);
	assert_false(l.known);
	assert_int_equal(journal_add_log(j, &one, NULL), RC_OK);
	assert_int_equal(journal_sync(j, NULL), RC_OK);
	journal_close(&j);
	j = open_with(1 << 20);
	journal_log(j, &one, &l);
	assert_true(l.known);
	journal_log(j, &two, &l);
	assert_false(l.known);
	add(j, &one, 0, 3);
	assert_int_equal(journal_sync(j, NULL), RC_OK);
	journal_close(&j);
	j = open_with(1 << 20);
	holds(j, &one, 3, 0);
	journal_close(&j);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(opened_again, setup, teardown),
	    cmocka_unit_test_setup_teardown(many_segments, setup, teardown),
	    cmocka_unit_test_setup_teardown(torn_at_every_octet, setup, teardown),
	    cmocka_unit_test_setup_teardown(torn_beginning, setup, teardown),
	    cmocka_unit_test_setup_teardown(damaged_beginning, setup, teardown),
	    cmocka_unit_test_setup_teardown(damage_in_the_middle, setup, teardown),
	    cmocka_unit_test_setup_teardown(brought_forward, setup, teardown),
	    cmocka_unit_test_setup_teardown(announced, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
