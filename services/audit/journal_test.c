/* SPDX-License-Identifier: MIT
 *
 * The journal: opened again it knows what it knew; segments; the lock; brought forward.
 */
#include "journal_testing.h"

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
	    cmocka_unit_test_setup_teardown(brought_forward, setup, teardown),
	    cmocka_unit_test_setup_teardown(announced, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
