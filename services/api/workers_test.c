/* SPDX-License-Identifier: MIT
 *
 * Items that run until they are let go, so that who waits for whom is seen and not measured.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <pthread.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/clock.h"
#include "workers.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool let_go;
static int running[4], done[4]; /* by owner */

static void
run(void *ctx, void *item)
{
	int who = *(int *)item;
	pthread_mutex_lock(&lock);
	running[who]++;
	while (!let_go && who != 2)
		pthread_cond_wait(&changed, &lock);
	running[who]--;
	done[who]++;
	pthread_mutex_unlock(&lock);
}

static int
count_of(const int *n)
{
	pthread_mutex_lock(&lock);
	int now = *n;
	pthread_mutex_unlock(&lock);
	return now;
}

static void
wait_for_count(const int *n, int want)
{
	int64_t deadline = clock_mono_ms() + 10000;
	while (count_of(n) != want && clock_left_ms(deadline) > 0)
		usleep(1000);
	assert_int_equal(count_of(n), want);
}

static bool
push(struct workers *w, int *who, enum workers_kind kind)
{
	return workers_push(w, who, kind, bytes_of(who, sizeof(*who)));
}

static struct workers *
begin(void)
{
	static const struct workers_options o = {
	    .threads = 6, .long_max = 4, .slow_max = 2, .queue_max = 16, .owner_max = 3, .owner_queue_max = 8};
	struct workers *w = NULL;
	struct err e;
	let_go = false;
	for (int i = 0; i < 4; i++)
		running[i] = done[i] = 0;
	assert_int_equal(workers_open(&o, run, NULL, &w, &e), RC_OK);
	return w;
}

static void
end(struct workers *w)
{
	pthread_mutex_lock(&lock);
	let_go = true;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	workers_close(&w);
}

static int slow = 1, quick = 2, other = 3;

static void
one_owner_leaves_threads_and_places(void **state)
{
	struct workers *w = begin();
	int taken = 0;
	for (int i = 0; i < 3; i++)
		taken += push(w, &slow, WORKERS_BRIEF);
	wait_for_count(&running[1], 3);
	for (int i = 0; i < 20; i++)
		taken += push(w, &slow, WORKERS_BRIEF);
	assert_int_equal(taken, 3 + 8);
	/* Whoever comes behind them is served at once, and often. */
	for (int i = 1; i <= 20; i++) {
		assert_true(push(w, &quick, WORKERS_BRIEF));
		wait_for_count(&done[2], i);
	}
	assert_int_equal(count_of(&running[1]), 3);
	end(w);
	assert_int_equal(done[1], taken);
}

static void
slow_work_has_a_part_of_the_long(void **state)
{
	struct workers *w = begin();
	for (int i = 0; i < 3; i++)
		assert_true(push(w, &slow, WORKERS_SLOW) && push(w, &other, WORKERS_SLOW));
	int64_t deadline = clock_mono_ms() + 10000;
	while (count_of(&running[1]) + count_of(&running[3]) < 2 && clock_left_ms(deadline) > 0)
		usleep(1000);
	assert_true(push(w, &quick, WORKERS_LONG));
	wait_for_count(&done[2], 1);
	assert_int_equal(count_of(&running[1]) + count_of(&running[3]), 2);
	end(w);
	assert_int_equal(done[1] + done[3], 6);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_owner_leaves_threads_and_places),
	    cmocka_unit_test(slow_work_has_a_part_of_the_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
