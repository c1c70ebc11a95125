/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "facts/archive.h"

/* One stored member "a" of one octet: local header at 0, octet at 31, entry at 32, end record at 79. */
static const char one_zip[] =
    "PK\3\4\12\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0ax"
    "PK\1\2\12\0\12\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
    "a"
    "PK\5\6\0\0\0\0\1\0\1\0\57\0\0\0\40\0\0\0\0\0";
enum { ENTRY = 32, END = 79, ZIP = 101 };

static void
a_zip_is_listed_or_broken(void **state)
{
	static const struct {
		size_t at;
		char value;
		const char *what;
	} t[] = {
	    {END + 20, 1, "a comment longer than the file"},
	    {END + 10, 2, "more entries than there are"},
	    {END + 10, 0, "fewer"},
	    {END + 16, 33, "a directory before the file"},
	    {END + 12, 48, "a directory that begins elsewhere"},
	    {END + 4, 1, "another disk"},
	    {ENTRY, 'Q', "no entry"},
	    {ENTRY + 10, 8, "another method"},
	    {ENTRY + 8, 1, "encrypted in the directory only"},
	    {ENTRY + 20, 2, "another size"},
	    {ENTRY + 42, 1, "a member elsewhere"},
	    {0, 'Q', "no local header"},
	};
	struct archive_list list;
	char zip[2 * ZIP + 4];
	assert_int_equal(sizeof(one_zip) - 1, ZIP);
	assert_int_equal(archive_list_zip(bytes_of(one_zip, ZIP), 0, &list), ARCHIVE_LISTED);
	assert_int_equal(list.members, 1);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		memcpy(zip, one_zip, ZIP);
		zip[t[i].at] = t[i].value;
		if (archive_list_zip(bytes_of(zip, ZIP), 0, &list) != ARCHIVE_BROKEN)
			fail_msg("%s", t[i].what);
	}
	memcpy(zip, "junk", 4);
	memcpy(zip + 4, one_zip, ZIP);
	assert_int_equal(archive_list_zip(bytes_of(zip, 4 + ZIP), 0, &list), ARCHIVE_LISTED);
	assert_int_equal(list.base, 4);
	memcpy(zip, one_zip, ZIP);
	memcpy(zip + ZIP, one_zip, ZIP);
	assert_int_equal(archive_list_zip(bytes_of(zip, 2 * ZIP), 0, &list), ARCHIVE_BROKEN);
	assert_int_equal(archive_list_zip(bytes_of(zip, ZIP + 1), 0, &list), ARCHIVE_BROKEN);
	assert_int_equal(archive_list_zip(bytes_of(zip, END), 0, &list), ARCHIVE_NONE);
}

static void
directories_do_not_lead_outside(void **state)
{
	struct archive_list list;
	static const char end_only[] = "PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
	static const char far_directory[] = "PK\5\6\0\0\0\0\1\0\1\0\x2e\0\0\0\xff\xff\xff\x7f\0\0";
	static const char far_tnef[] = "\x78\x9f\x3e\x22\0\0\2\x0f\x80\6\0\xff\xff\xff\xff";
	assert_int_equal(archive_list_zip(bytes_of(end_only, 22), 5, &list), ARCHIVE_LISTED);
	assert_int_equal(list.members, 0);
	assert_int_equal(archive_list_zip(bytes_of(far_directory, 22), 5, &list), ARCHIVE_BROKEN);
	assert_int_equal(archive_list_zip(bytes_of(end_only, 21), 5, &list), ARCHIVE_NONE);
	assert_int_equal(archive_list_tnef(bytes_of(far_tnef, 15), 5, &list), ARCHIVE_BROKEN);
	assert_int_equal(archive_list_tnef(bytes_of(far_tnef, 6), 5, &list), ARCHIVE_LISTED);
}

static void
put_head(uint8_t *block, const char *name, uint8_t kind, const char *size)
{
	unsigned sum = 0;
	memset(block, 0, 512);
	memcpy(block, name, strlen(name));
	memcpy(block + 124, size, 11);
	block[156] = kind;
	memset(block + 148, ' ', 8);
	for (size_t i = 0; i < 512; i++)
		sum += block[i];
	snprintf((char *)block + 148, 8, "%06o", sum);
}

static void
a_tar_ends_with_zeros(void **state)
{
	static uint8_t tar[6 * 512];
	struct archive_list list;
	put_head(tar, "a", '0', "00000001000");
	assert_int_equal(archive_list_tar(bytes_of(tar, sizeof(tar)), 5, &list), ARCHIVE_LISTED);
	assert_int_equal(list.members, 1);
	put_head(tar, "a", '0', "\x80\0\0\0\0\0\0\0\0\0\2"); /* 512 in 11 of 12 octets: its last one is 0 */
	assert_int_equal(archive_list_tar(bytes_of(tar, sizeof(tar)), 5, &list), ARCHIVE_LISTED);
	assert_int_equal(list.members, 1);
	put_head(tar, "a", '0', "\x80\xff\0\0\0\0\0\0\0\0\2");
	assert_int_equal(archive_list_tar(bytes_of(tar, sizeof(tar)), 5, &list), ARCHIVE_BROKEN);
	put_head(tar, "", '5', "00000000000"); /* no name, but no block of zeros either */
	put_head(tar + 512, "b", '0', "00000001000");
	assert_int_equal(archive_list_tar(bytes_of(tar, sizeof(tar)), 5, &list), ARCHIVE_LISTED);
	assert_int_equal(list.members, 1);
	tar[sizeof(tar) - 1] = 1;
	assert_int_equal(archive_list_tar(bytes_of(tar, sizeof(tar)), 5, &list), ARCHIVE_BROKEN);
	tar[sizeof(tar) - 1] = 0;
	tar[512 + 150]++;
	assert_int_equal(archive_list_tar(bytes_of(tar, sizeof(tar)), 5, &list), ARCHIVE_BROKEN);
	put_head(tar + 512, "b", '0', "00000010000");
	assert_int_equal(archive_list_tar(bytes_of(tar, sizeof(tar)), 5, &list), ARCHIVE_BROKEN);
	put_head(tar + 512, "b", '1', "00000001000");
	assert_int_equal(archive_list_tar(bytes_of(tar, sizeof(tar)), 5, &list), ARCHIVE_BROKEN);
}

static void
streams_end_with_the_file(void **state)
{
	static const char empty[] = "BZh9\x17\x72\x45\x38\x50\x90\0\0\0\0\0"; /* and one octet more */
	assert_true(archive_bzip2_is_single(bytes_of(empty, 14)));
	assert_false(archive_bzip2_is_single(bytes_of(empty, 15)));
	assert_false(archive_bzip2_is_single(bytes_of(empty, 13)));
	for (unsigned shift = 1; shift < 8; shift++) {
		uint8_t moved[15] = {0};
		for (size_t i = 0; i < 14; i++) {
			moved[i] |= (uint8_t)((uint8_t)empty[i] >> shift);
			moved[i + 1] |= (uint8_t)((uint8_t)empty[i] << (8 - shift));
		}
		assert_true(archive_bzip2_is_single(bytes_of(moved, 15)));
		assert_false(archive_bzip2_is_single(bytes_of(moved, 14)));
	}
	assert_string_equal(archive_find_embedded(bytes_str("behind: Rar!\x1a\x07\x01")), "rar");
	assert_string_equal(archive_find_embedded(bytes_str("behind: 7z\xbc\xaf\x27\x1c")), "7z");
	assert_null(archive_find_embedded(bytes_str("Rar! and 7z")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_zip_is_listed_or_broken),
	    cmocka_unit_test(directories_do_not_lead_outside),
	    cmocka_unit_test(a_tar_ends_with_zeros),
	    cmocka_unit_test(streams_end_with_the_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
