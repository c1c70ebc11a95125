/* SPDX-License-Identifier: MIT
 *
 * Fairness: tenants take turns, none holds more than its slots, what waits too long comes out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <pthread.h>
#include <cmocka.h>

#include "ingest_queue.h"

struct seen {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int n;
	uint8_t order[100];
};

static void
note(void *ctx, struct ask *a)
{
	struct seen *s = ctx;
	pthread_mutex_lock(&s->lock);
	s->order[s->n++] = a->identity.tenant.b[0];
	pthread_cond_signal(&s->changed);
	pthread_mutex_unlock(&s->lock);
	ask_free(&a);
}

static void
wait_until(struct seen *s, int n)
{
	pthread_mutex_lock(&s->lock);
	while (s->n < n)
		pthread_cond_wait(&s->changed, &s->lock);
	pthread_mutex_unlock(&s->lock);
}

static struct uuid
tenant(uint8_t n)
{
	return (struct uuid){{n}};
}

static void
put(struct queue *q, uint8_t of, int64_t received_ms)
{
	struct ask *a = ask_new(ASK_LOGIN);
	struct uuid t = tenant(of);
	a->identity.tenant = t;
	a->received_ms = received_ms;
	queue_put(q, &t, a);
}

static int
count(const struct seen *s, uint8_t of)
{
	int n = 0;
	for (int i = 0; i < s->n; i++)
		n += s->order[i] == of;
	return n;
}

/* Three slots, two per tenant: tenant 1 has ten waiting and gets two, tenant 2 comes later and is not behind them. */
static void
slots_and_turns(void **state)
{
	struct seen s = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, {0}};
	struct queue *q = queue_new(4, true, note, &s);
	struct uuid one = tenant(1), two = tenant(2);
	queue_set_slots(q, 0, 2);
	for (int i = 0; i < 10; i++)
		put(q, 1, 0);
	put(q, 2, 0);
	put(q, 2, 0);
	queue_set_slots(q, 3, 2);
	wait_until(&s, 3);
	assert_int_equal(count(&s, 1) + count(&s, 2), 3);
	assert_true(count(&s, 1) <= 2 && count(&s, 2) >= 1);
	assert_int_equal(queue_waiting(q), 9);
	/* A slot of tenant 1 is free: tenant 2 still has one waiting, or tenant 1 takes it; never a third of one. */
	int ones = count(&s, 1), twos = count(&s, 2);
	queue_release(q, ones > 0 ? &one : &two);
	wait_until(&s, 4);
	ones = count(&s, 1);
	twos = count(&s, 2);
	assert_true(ones <= 3 && twos <= 2);
	queue_set_slots(q, 100, 100);
	wait_until(&s, 12);
	assert_int_equal(count(&s, 1), 10);
	assert_int_equal(count(&s, 2), 2);
	queue_free(&q);
}

static void
old_ones_come_out(void **state)
{
	struct seen s = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, {0}};
	struct queue *q = queue_new(1, true, note, &s);
	queue_set_slots(q, 0, 1);
	for (int i = 0; i < 5; i++)
		put(q, (uint8_t)(1 + i % 2), i * 100);
	struct ask *a = queue_expire(q, 250);
	int n = 0;
	while (a != NULL) {
		struct ask *next = a->next;
		assert_true(a->received_ms < 250);
		ask_free(&a);
		a = next;
		n++;
	}
	assert_int_equal(n, 3);
	assert_int_equal(queue_waiting(q), 2);
	assert_null(queue_expire(q, 250));
	queue_set_slots(q, 10, 10);
	wait_until(&s, 2);
	queue_free(&q);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(slots_and_turns), cmocka_unit_test(old_ones_come_out)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
