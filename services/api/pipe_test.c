/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/clock.h"
#include "pipe.h"

struct sleeper {
	int slept, woken;
};

static void
on_sleep(void *ctx)
{
	((struct sleeper *)ctx)->slept++;
}

static void
on_wake(void *ctx)
{
	((struct sleeper *)ctx)->woken++;
}

static void
what_is_written_is_read(void **state)
{
	struct pipe *w = pipe_new(8), *r = w;
	struct sleeper s = {0};
	char to[16];
	assert_int_equal(pipe_read(r, to, sizeof(to), on_sleep, on_wake, &s), 0);
	assert_int_equal(s.slept, 1);
	assert_true(pipe_write(w, bytes_str("abcdef")));
	assert_int_equal(s.woken, 1);
	assert_false(pipe_write(w, bytes_str("ghi"))); /* over the bound */
	assert_true(pipe_write(w, bytes_str("gh")));
	assert_int_equal(s.woken, 1); /* nobody sleeps */
	assert_int_equal(pipe_read(r, to, 3, on_sleep, on_wake, &s), 3);
	assert_false(pipe_is_empty(w));
	assert_int_equal(pipe_read(r, to, 16, on_sleep, on_wake, &s), 5);
	assert_memory_equal(to, "defgh", 5);
	assert_true(pipe_is_empty(w));
	assert_true(pipe_wait_empty(w, clock_mono_ms()));
	pipe_end(&w, false);
	assert_int_equal(pipe_read(r, to, 16, on_sleep, on_wake, &s), PIPE_END);
	pipe_close(&r);
	assert_null(r);
}

static void
the_end_wakes(void **state)
{
	struct pipe *w = pipe_new(8), *r = w;
	struct sleeper s = {0};
	char to[4];
	assert_int_equal(pipe_read(r, to, sizeof(to), on_sleep, on_wake, &s), 0);
	pipe_end(&w, true);
	assert_int_equal(s.woken, 1);
	assert_int_equal(pipe_read(r, to, sizeof(to), on_sleep, on_wake, &s), PIPE_BROKEN);
	pipe_close(&r);
}

static void
a_reader_that_went_is_not_woken(void **state)
{
	struct pipe *w = pipe_new(8), *r = w;
	struct sleeper s = {0};
	char to[4];
	assert_int_equal(pipe_read(r, to, sizeof(to), on_sleep, on_wake, &s), 0);
	pipe_close(&r);
	assert_false(pipe_write(w, bytes_str("a")));
	assert_true(pipe_is_closed(w));
	assert_false(pipe_wait_empty(w, clock_mono_ms() + 1000));
	pipe_end(&w, false);
	assert_int_equal(s.woken, 0);
}

static void
a_slow_reader_is_told_by_the_deadline(void **state)
{
	struct pipe *w = pipe_new(8), *r = w;
	assert_true(pipe_write(w, bytes_str("a")));
	assert_false(pipe_wait_empty(w, clock_mono_ms() + 20));
	pipe_end(&w, true);
	pipe_close(&r);
}

static void *
read_all(void *arg)
{
	struct pipe *r = arg;
	struct sleeper s = {0};
	size_t *sum = calloc(1, sizeof(*sum));
	char to[7];
	for (;;) {
		long n = pipe_read(r, to, sizeof(to), on_sleep, on_wake, &s);
		if (n < 0)
			break;
		*sum += (size_t)n;
	}
	pipe_close(&r);
	return sum;
}

static void
across_threads(void **state)
{
	struct pipe *w = pipe_new(64);
	pthread_t reader;
	size_t *sum;
	assert_int_equal(pthread_create(&reader, NULL, read_all, w), 0);
	for (int i = 0; i < 2000; i++) {
		assert_true(pipe_wait_empty(w, clock_mono_ms() + 10000));
		assert_true(pipe_write(w, bytes_str("0123456789")));
	}
	pipe_end(&w, false);
	pthread_join(reader, (void **)&sum);
	assert_int_equal(*sum, 20000);
	free(sum);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_written_is_read),
	    cmocka_unit_test(the_end_wakes),
	    cmocka_unit_test(a_reader_that_went_is_not_woken),
	    cmocka_unit_test(a_slow_reader_is_told_by_the_deadline),
	    cmocka_unit_test(across_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
