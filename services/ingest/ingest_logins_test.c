/* SPDX-License-Identifier: MIT
 *
 * Checks that end only when they are told to: who is being checked, and who waits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <pthread.h>
#include <cmocka.h>

#include "ingest_logins.h"

struct desk {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int at_work, most, ended;
	int by_mark[4];
	bool open[4]; /* checks with this mark may end */
};

/* The mark is the password's first octet. */
static void
check(void *ctx, struct ask *a)
{
	struct desk *d = ctx;
	int mark = a->password.p[0] - '0';
	pthread_mutex_lock(&d->lock);
	d->by_mark[mark]++;
	if (++d->at_work > d->most)
		d->most = d->at_work;
	pthread_cond_broadcast(&d->changed);
	while (!d->open[mark])
		pthread_cond_wait(&d->changed, &d->lock);
	d->at_work--;
	d->ended++;
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
	ask_free(&a);
}

static void
put(struct logins *l, const char *ip, const char *name, const char *mark)
{
	struct ask *a = ask_new(ASK_LOGIN);
	a->client_ip = arena_strdup(a->arena, ip);
	a->name = arena_bytes(a->arena, bytes_str(name));
	a->password = arena_bytes(a->arena, bytes_str(mark));
	logins_put(l, a);
}

static void
wait_for(struct desk *d, const int *value, int wanted)
{
	pthread_mutex_lock(&d->lock);
	while (*value < wanted)
		pthread_cond_wait(&d->changed, &d->lock);
	pthread_mutex_unlock(&d->lock);
}

static void
let(struct desk *d, int mark)
{
	pthread_mutex_lock(&d->lock);
	d->open[mark] = true;
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
}

static void
desk_init(struct desk *d)
{
	*d = (struct desk){.most = 0};
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->changed, NULL);
}

/* A hundred guesses from one address, each for another login; a login from elsewhere is checked meanwhile. */
static void
guesses_hold_up_nobody_else(void **state)
{
	struct desk d;
	desk_init(&d);
	struct logins *l = logins_new(4, check, &d);
	char name[] = "user00";
	for (int i = 0; i < 100; i++) {
		name[4] = (char)('0' + i / 10);
		name[5] = (char)('0' + i % 10);
		put(l, "192.0.2.1", name, "0");
	}
	wait_for(&d, &d.by_mark[0], LOGINS_PER_CLIENT);
	let(&d, 1);
	put(l, "192.0.2.2", "me", "1");
	wait_for(&d, &d.ended, 1); /* while every guess is still under way or waits */
	pthread_mutex_lock(&d.lock);
	assert_int_equal(d.by_mark[0], LOGINS_PER_CLIENT);
	pthread_mutex_unlock(&d.lock);
	let(&d, 0);
	logins_free(&l);
	assert_int_equal(d.ended, 101);
	assert_int_equal(d.most, LOGINS_PER_CLIENT + 1);
}

/* From many addresses against one login: no more of them at a time, and others are checked meanwhile. */
static void
a_login_is_checked_twice_at_a_time(void **state)
{
	struct desk d;
	desk_init(&d);
	struct logins *l = logins_new(4, check, &d);
	static const char *const ips[] = {"192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1", "2001:db8:1::1"};
	for (int i = 0; i < 50; i++)
		put(l, ips[i % 5], i % 2 == 0 ? "Boss@own.test" : "boss@own.test", "0");
	wait_for(&d, &d.by_mark[0], LOGINS_PER_NAME);
	let(&d, 1);
	put(l, "192.0.2.1", "me", "1");
	wait_for(&d, &d.ended, 1);
	pthread_mutex_lock(&d.lock);
	assert_int_equal(d.by_mark[0], LOGINS_PER_NAME);
	pthread_mutex_unlock(&d.lock);
	let(&d, 0);
	logins_free(&l);
	assert_int_equal(d.ended, 51);
}

/* One thread, and a hundred that came first from one address: who comes from elsewhere is next. */
static void
clients_take_turns(void **state)
{
	struct desk d;
	desk_init(&d);
	struct logins *l = logins_new(1, check, &d);
	char name[] = "user00";
	for (int i = 0; i < 100; i++) {
		name[4] = (char)('0' + i / 10);
		name[5] = (char)('0' + i % 10);
		put(l, "192.0.2.1", name, "0");
	}
	wait_for(&d, &d.by_mark[0], 1);
	put(l, "192.0.2.2", "me", "1");
	let(&d, 0);
	wait_for(&d, &d.by_mark[1], 1);
	pthread_mutex_lock(&d.lock);
	assert_true(d.by_mark[0] <= 2);
	pthread_mutex_unlock(&d.lock);
	let(&d, 1);
	logins_free(&l);
	assert_int_equal(d.ended, 101);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(guesses_hold_up_nobody_else),
	    cmocka_unit_test(a_login_is_checked_twice_at_a_time),
	    cmocka_unit_test(clients_take_turns),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
