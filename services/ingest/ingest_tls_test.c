/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "ingest_tls.h"

static void
put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void
a_change_of_either_file_is_seen(void **state)
{
	char folder[] = "/tmp/ingest-tls-XXXXXX", cert[64], key[64], other[64];
	assert_non_null(mkdtemp(folder));
	snprintf(cert, sizeof(cert), "%s/cert", folder);
	snprintf(key, sizeof(key), "%s/key", folder);
	snprintf(other, sizeof(other), "%s/other", folder);
	put(cert, "a");
	assert_int_equal(tls_files_version(cert, key), 0);
	put(key, "b");
	uint64_t first = tls_files_version(cert, key);
	assert_int_not_equal(first, 0);
	assert_int_equal(tls_files_version(cert, key), first);
	put(key, "bb");
	uint64_t second = tls_files_version(cert, key);
	assert_int_not_equal(second, first);
	/* as Kubernetes does it: another file under the same name, of the same size and time */
	struct stat st;
	assert_int_equal(stat(cert, &st), 0);
	put(other, "c");
	struct timespec times[2] = {st.st_atim, st.st_mtim};
	assert_int_equal(utimensat(AT_FDCWD, other, times, 0), 0);
	assert_int_equal(rename(other, cert), 0);
	uint64_t third = tls_files_version(cert, key);
	assert_int_not_equal(third, second);
	assert_int_equal(unlink(key), 0);
	assert_int_equal(tls_files_version(cert, key), 0);
	assert_int_equal(unlink(cert), 0);
	assert_int_equal(rmdir(folder), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_change_of_either_file_is_seen)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
