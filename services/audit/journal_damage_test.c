/* SPDX-License-Identifier: MIT
 *
 * A journal whose end is torn at every octet goes on where it was; one that is damaged anywhere else is left as it is.
 */
#include "journal_testing.h"

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(torn_at_every_octet, setup, teardown),
	    cmocka_unit_test_setup_teardown(torn_beginning, setup, teardown),
	    cmocka_unit_test_setup_teardown(damaged_beginning, setup, teardown),
	    cmocka_unit_test_setup_teardown(damage_in_the_middle, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
