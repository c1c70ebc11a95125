/* SPDX-License-Identifier: MIT
 *
 * The engine without what it needs: no writable folder, no room in it, no descriptors. libclamav says "clean" to some
 * of these; we never may. Each case in a child, whose limits die with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cage.h"
#include "inspect.h"
#include "selftest.h"

static char folder[64], signatures[80];
static struct engine *engine;

static const char plain[] = "From: a@example.jp\r\nSubject: x\r\n\r\nhello\r\n";
/* A zip with one small text, deflated. */
static const char zip_mail[] = "From: a@example.jp\r\nMIME-Version: 1.0\r\nContent-Type: application/zip\r\n"
			       "Content-Transfer-Encoding: base64\r\n\r\n"
			       "UEsDBBQAAAAIAAAAIQDjUT2NCgAAABcAAAAFAAAAYS50eHTLSM3JyVfIQCcBUEsBAhQDFAAAAAgA\r\n"
			       "AAAhAONRPY0KAAAAFwAAAAUAAAAAAAAAAAAAAIABAAAAAGEudHh0UEsFBgAAAAABAAEAMwAAAC0A\r\n"
			       "AAAAAA==\r\n";

static enum facts_verdict
verdict(struct bytes msg)
{
	bool anomaly;
	struct arena *a = arena_new();
	enum facts_verdict v = inspect_message(engine, msg, a, &anomaly)->verdict;
	arena_free(&a);
	return v;
}

static void
no_descriptors(void)
{
	struct rlimit r = {3, 3};
	setrlimit(RLIMIT_NOFILE, &r);
}

static void
no_room(void)
{
	struct rlimit r = {0, 0};
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &r);
}

static void
no_folder(void)
{
	struct err e;
	if (engine_set_folder(engine, "/nonexistent/folder", &e) != RC_OK)
		_exit(100);
}

static void
enough(void)
{
}

/* The verdict of a message in a child that starves in that way. */
static enum facts_verdict
starved(void (*starve)(void), struct bytes msg)
{
	int status;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		starve();
		_exit((int)verdict(msg));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return (enum facts_verdict)WEXITSTATUS(status);
}

static enum selftest_result
starved_selftest(void (*starve)(void))
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		starve();
		_exit((int)selftest_run(selftest_new(), engine));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return (enum selftest_result)WEXITSTATUS(status);
}

static void
test_enough(void **state)
{
	assert_int_equal(starved(enough, bytes_str(plain)), FACTS_CLEAN);
	assert_int_equal(starved(enough, bytes_str(zip_mail)), FACTS_CLEAN);
	assert_int_equal(starved_selftest(enough), SELFTEST_PASSED);
}

static void
test_starved(void **state)
{
	void (*const ways[])(void) = {no_descriptors, no_room, no_folder};
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		assert_int_equal(starved(ways[i], bytes_str(zip_mail)), FACTS_UNSCANNABLE);
		assert_int_equal(starved_selftest(ways[i]), SELFTEST_BLIND);
	}
}

static void
test_no_signatures(void **state)
{
	struct err e;
	struct engine *none = NULL;
	struct engine_limits limits = {1000, 1 << 20, 1 << 20};
	assert_int_equal(engine_load(folder, &limits, &none, &e), RC_NOT_FOUND);
	assert_int_equal(engine_load("/nonexistent", &limits, &none, &e), RC_NOT_FOUND);
	assert_null(none);
}

static void
test_folder_print(void **state)
{
	uint64_t before = engine_folder_print(signatures);
	assert_int_not_equal(before, 0);
	assert_int_equal(before, engine_folder_print(signatures));
	char path[128];
	snprintf(path, sizeof(path), "%s/other.ndb", signatures);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fclose(f);
	assert_int_not_equal(before, engine_folder_print(signatures));
	assert_true(engine_folder_time_us(signatures) > 0);
	unlink(path);
	assert_int_equal(before, engine_folder_print(signatures));
	assert_int_equal(engine_folder_print(folder), 0);
}

static void
put_file(const char *name, const char *content)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", signatures, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "%-512s", content);
	fclose(f);
}

static void
drop_file(const char *name)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", signatures, name);
	assert_int_equal(unlink(path), 0);
}

/* Only what the world's signatures are dated by counts, not what the operator wrote this morning. */
static void
test_folder_time(void **state)
{
	int64_t own = engine_folder_time_us(signatures);
	assert_true(own > 0);
	put_file("main.cvd", "ClamAV-VDB:01 Jan 2001 00-00 +0000:1:1:90:x:x:x:978307200");
	assert_int_equal(engine_folder_time_us(signatures), own);
	put_file("daily.cvd", "ClamAV-VDB:01 Feb 2001 00-00 +0000:1:1:90:x:x:x:980985600");
	assert_int_equal(engine_folder_time_us(signatures), INT64_C(980985600) * 1000000);
	put_file("local.ndb", "");
	put_file("local.ign2", "");
	assert_int_equal(engine_folder_time_us(signatures), INT64_C(980985600) * 1000000);
	put_file("daily.cld", "ClamAV-VDB:02 Feb 2001 00-00 +0000:2:1:90:x:x:x:981072000");
	assert_int_equal(engine_folder_time_us(signatures), INT64_C(981072000) * 1000000);
	drop_file("daily.cvd");
	drop_file("daily.cld");
	drop_file("main.cvd");
	drop_file("local.ndb");
	drop_file("local.ign2");
}

static void
write_signature(void)
{
	static const char eicar[] =
	    "58354f2150254041505b345c505a58353428505e2937434329377d2445494341522d5354414e444152442d"
	    "414e544956495255532d544553542d46494c452124482b482a";
	char path[128];
	snprintf(path, sizeof(path), "%s/test.ndb", signatures);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "Test.EICAR:0:0:%s\n", eicar);
	fclose(f);
}

static int
setup(void **state)
{
	struct err e;
	struct engine_limits limits = {10000, 16 << 20, 64 << 20};
	strcpy(folder, "/tmp/starved-test-XXXXXX");
	strcpy(signatures, "/tmp/starved-db-XXXXXX");
	if (mkdtemp(folder) == NULL || mkdtemp(signatures) == NULL)
		return -1;
	write_signature();
	inspect_preload();
	return engine_load(signatures, &limits, &engine, &e) == RC_OK && engine_set_folder(engine, folder, &e) == RC_OK
		   ? 0
		   : -1;
}

static int
teardown(void **state)
{
	engine_free(&engine);
	return cage_empty_folder(folder) && rmdir(folder) == 0 && cage_empty_folder(signatures) &&
		       rmdir(signatures) == 0
		   ? 0
		   : -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_enough),	  cmocka_unit_test(test_starved),
	    cmocka_unit_test(test_no_signatures), cmocka_unit_test(test_folder_print),
	    cmocka_unit_test(test_folder_time),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
