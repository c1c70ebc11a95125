/* SPDX-License-Identifier: MIT
 *
 * The cache, with a source and a clock that the test moves.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "cache.h"
#include "core/clock.h"
#include "policy_testing.h"

#define FAR (clock_mono_ms() + 20000)

/* What the source says, guarded by lock; `asked` moves on with each look, which is what tests wait for. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t asked_more;
	int rules_asked, directory_asked;
	uint64_t version;
	enum rc rules_rc, directory_rc;
	bool has_copy;
	void (*during)(void); /* while rules are looked at */
} world = {.lock = PTHREAD_MUTEX_INITIALIZER, .asked_more = PTHREAD_COND_INITIALIZER};
static _Atomic int64_t now = 1000000;
static struct cache *cache;
static const struct uuid tenant = {{1, 2, 3}}, other = {{4, 5, 6}};

static int64_t
get_now(void)
{
	return now;
}

static struct ruleset *
some_rules(void)
{
	struct arena *a = arena_new();
	struct ruleset *set = testing_rules("{\"format\":1,\"rules\":[]}", a);
	arena_free(&a);
	return set;
}

static enum rc
look_rules(void *ctx, const struct uuid *t, const struct ruleset *known, uint64_t known_version, int64_t deadline_ms,
	   struct ruleset **out_r, uint64_t *version_r, struct err *e)
{
	pthread_mutex_lock(&world.lock);
	enum rc rc = world.rules_rc;
	uint64_t version = world.version;
	void (*during)(void) = world.during;
	pthread_mutex_unlock(&world.lock);
	if (during != NULL)
		during();
	if (rc == RC_OK && (known == NULL || known_version != version)) {
		*out_r = some_rules();
		*version_r = version;
	}
	pthread_mutex_lock(&world.lock);
	world.rules_asked++;
	pthread_cond_broadcast(&world.asked_more);
	pthread_mutex_unlock(&world.lock);
	return rc == RC_OK ? RC_OK : err_set(e, rc, "rules");
}

static enum rc
look_directory(void *ctx, const struct uuid *t, const struct directory *known, int64_t deadline_ms,
	       struct directory **out_r, struct err *e)
{
	pthread_mutex_lock(&world.lock);
	enum rc rc = world.directory_rc;
	if (known == NULL && (rc == RC_OK || world.has_copy))
		*out_r = testing_directory();
	world.directory_asked++;
	pthread_cond_broadcast(&world.asked_more);
	pthread_mutex_unlock(&world.lock);
	return rc == RC_OK ? RC_OK : err_set(e, rc, "directory");
}

static int
setup(void **state)
{
	world.rules_asked = world.directory_asked = 0;
	world.version = 1;
	world.rules_rc = world.directory_rc = RC_OK;
	world.has_copy = false;
	world.during = NULL;
	struct cache_source source = {.rules = look_rules, .directory = look_directory, .now_ms = get_now};
	cache = cache_new(&source);
	return 0;
}

static int
teardown(void **state)
{
	cache_stop(cache);
	cache_free(&cache);
	return 0;
}

/* The version in force, or minus the code. */
static int64_t
lease(const struct uuid *t)
{
	struct cache_lease l;
	struct err e;
	enum rc rc = cache_lease(cache, t, FAR, &l, &e);
	if (rc != RC_OK)
		return -(int64_t)rc;
	int64_t version = (int64_t)l.version;
	cache_return(&l);
	return version;
}

static void
wait_for_rules_asked(int n)
{
	pthread_mutex_lock(&world.lock);
	while (world.rules_asked < n)
		pthread_cond_wait(&world.asked_more, &world.lock);
	pthread_mutex_unlock(&world.lock);
}

static void
asks_once(void **state)
{
	for (int i = 0; i < 100; i++)
		assert_int_equal(lease(&tenant), 1);
	assert_int_equal(world.rules_asked, 1);
	assert_int_equal(world.directory_asked, 1);
	assert_int_equal(lease(&other), 1);
	assert_int_equal(world.rules_asked, 2);
}

static void
mark_makes_the_next_one_look(void **state)
{
	assert_int_equal(lease(&tenant), 1);
	world.version = 2;
	assert_int_equal(lease(&tenant), 1);
	cache_mark(cache, &other, CACHE_RULES);
	assert_int_equal(lease(&tenant), 1);
	cache_mark(cache, &tenant, CACHE_RULES);
	assert_int_equal(lease(&tenant), 2);
	world.version = 3;
	cache_mark(cache, NULL, CACHE_RULES);
	assert_int_equal(lease(&tenant), 3);
	assert_int_equal(world.directory_asked, 1);
	cache_mark(cache, &tenant, CACHE_DIRECTORY);
	assert_int_equal(lease(&tenant), 3);
	assert_int_equal(world.directory_asked, 2);
}

static void
mark_now(void)
{
	world.during = NULL;
	world.version = 9;
	cache_mark(cache, &tenant, CACHE_RULES);
}

static void
mark_during_a_look_is_not_lost(void **state)
{
	assert_int_equal(lease(&tenant), 1);
	world.version = 2;
	world.during = mark_now;
	cache_mark(cache, &tenant, CACHE_RULES);
	/* This look began before version 9 was there. */
	assert_int_equal(lease(&tenant), 2);
	assert_int_equal(lease(&tenant), 9);
}

static void
looks_again_in_the_background(void **state)
{
	assert_int_equal(lease(&tenant), 1);
	world.version = 2;
	now += CACHE_FRESH_MS + 1;
	/* Answered from what is there; the look follows. */
	assert_int_equal(lease(&tenant), 1);
	wait_for_rules_asked(2);
	/* The look's result is stored under the cache's lock, after the source has answered: ask until it shows. */
	while (lease(&tenant) == 1)
		sched_yield();
	assert_int_equal(lease(&tenant), 2);
}

static void
old_rules_are_not_used(void **state)
{
	assert_int_equal(lease(&tenant), 1);
	world.rules_rc = RC_RETRY;
	now += CACHE_OLD_MS + 1;
	assert_int_equal(lease(&tenant), -RC_RETRY);
	world.rules_rc = RC_OK;
	world.version = 2;
	assert_int_equal(lease(&tenant), 2);
}

static void
marked_rules_are_not_used(void **state)
{
	assert_int_equal(lease(&tenant), 1);
	world.rules_rc = RC_RETRY;
	cache_mark(cache, &tenant, CACHE_RULES);
	assert_int_equal(lease(&tenant), -RC_RETRY);
	assert_int_equal(lease(&tenant), -RC_RETRY);
}

static void
unknown_without_directory_is_retry(void **state)
{
	world.directory_rc = RC_RETRY;
	assert_int_equal(lease(&tenant), -RC_RETRY);
	world.directory_rc = RC_NOT_FOUND;
	assert_int_equal(lease(&tenant), -RC_NOT_FOUND);
	world.directory_rc = RC_OK;
	assert_int_equal(lease(&tenant), 1);
}

static void
copy_serves_and_is_asked_for_again(void **state)
{
	world.directory_rc = RC_RETRY;
	world.has_copy = true;
	for (int i = 0; i < 50; i++)
		assert_int_equal(lease(&tenant), 1);
	assert_int_equal(world.directory_asked, 1);
	now += CACHE_FRESH_MS;
	assert_int_equal(lease(&tenant), 1);
	assert_int_equal(world.directory_asked, 2);
	world.directory_rc = RC_OK;
	now += CACHE_FRESH_MS;
	assert_int_equal(lease(&tenant), 1);
	assert_int_equal(world.directory_asked, 3);
	assert_int_equal(lease(&tenant), 1);
	assert_int_equal(world.directory_asked, 3);
}

static void *
many(void *ctx)
{
	for (int i = 0; i < 2000; i++) {
		if (i % 50 == 0)
			cache_mark(cache, NULL, i % 100 == 0 ? CACHE_RULES : CACHE_DIRECTORY);
		if (i % 200 == 0) {
			pthread_mutex_lock(&world.lock);
			world.version++;
			pthread_mutex_unlock(&world.lock);
			now += CACHE_FRESH_MS;
		}
		if (lease(i % 3 == 0 ? &other : &tenant) <= 0)
			return (void *)1;
	}
	return NULL;
}

static void
many_threads(void **state)
{
	pthread_t threads[6];
	for (int i = 0; i < 6; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, many, NULL), 0);
	for (int i = 0; i < 6; i++) {
		void *failed;
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	cache_mark(cache, NULL, CACHE_RULES);
	assert_int_equal(lease(&tenant), world.version);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(asks_once),
	    TEST(mark_makes_the_next_one_look),
	    TEST(mark_during_a_look_is_not_lost),
	    TEST(looks_again_in_the_background),
	    TEST(old_rules_are_not_used),
	    TEST(marked_rules_are_not_used),
	    TEST(unknown_without_directory_is_retry),
	    TEST(copy_serves_and_is_asked_for_again),
	    TEST(many_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
