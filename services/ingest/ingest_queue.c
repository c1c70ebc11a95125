/* SPDX-License-Identifier: MIT
 *
 * One lane per tenant that has something waiting or running. Lanes are few (those with mail at this moment), so a list
 * is enough.
 */
#include "ingest_queue.h"

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

struct lane {
	struct uuid tenant;
	struct ask *head, **tail;
	int active;
	struct lane *next;
};

struct queue {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct lane *lanes; /* the one whose turn it is first */
	int slots_all, slots_tenant, active;
	size_t waiting;
	bool slots, ending;
	void (*run)(void *ctx, struct ask *a);
	void *ctx;
	int n_threads;
	pthread_t threads[];
};

static struct lane **
lane_at(struct queue *q, const struct uuid *tenant)
{
	struct lane **at = &q->lanes;
	while (*at != NULL && !uuid_eq(&(*at)->tenant, tenant))
		at = &(*at)->next;
	return at;
}

static void
drop_if_idle(struct lane **at)
{
	struct lane *l = *at;
	if (l->head != NULL || l->active > 0)
		return;
	*at = l->next;
	free(l);
}

static bool
has_slot(const struct queue *q, const struct lane *l)
{
	return q->active < q->slots_all && l->active < q->slots_tenant;
}

/* The next question whose tenant may have another slot; its lane goes to the end of the line. */
static struct ask *
take(struct queue *q)
{
	for (struct lane **at = &q->lanes; *at != NULL; at = &(*at)->next) {
		struct lane *l = *at;
		if (l->head == NULL || !has_slot(q, l))
			continue;
		struct ask *a = l->head;
		l->head = a->next;
		if (l->head == NULL)
			l->tail = &l->head;
		a->next = NULL;
		q->waiting--;
		if (q->slots) {
			l->active++;
			q->active++;
		}
		*at = l->next;
		l->next = NULL;
		struct lane **end = at;
		while (*end != NULL)
			end = &(*end)->next;
		*end = l;
		drop_if_idle(end);
		return a;
	}
	return NULL;
}

static void *
work(void *arg)
{
	struct queue *q = arg;
	pthread_mutex_lock(&q->lock);
	for (;;) {
		struct ask *a = take(q);
		if (a == NULL && q->ending && q->waiting == 0)
			break;
		if (a == NULL) {
			pthread_cond_wait(&q->work, &q->lock);
			continue;
		}
		pthread_mutex_unlock(&q->lock);
		q->run(q->ctx, a);
		pthread_mutex_lock(&q->lock);
	}
	pthread_cond_broadcast(&q->work);
	pthread_mutex_unlock(&q->lock);
	return NULL;
}

struct queue *
queue_new(int threads, bool slots, void (*run)(void *ctx, struct ask *a), void *ctx)
{
	struct queue *q = calloc(1, sizeof(*q) + (size_t)threads * sizeof(q->threads[0]));
	if (q == NULL)
		abort();
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->work, NULL);
	q->slots = slots;
	q->slots_all = q->slots_tenant = slots ? 1 : INT_MAX;
	q->run = run;
	q->ctx = ctx;
	for (int i = 0; i < threads; i++, q->n_threads++)
		if (pthread_create(&q->threads[i], NULL, work, q) != 0)
			abort();
	return q;
}

void
queue_free(struct queue **qp)
{
	struct queue *q = *qp;
	if (q == NULL)
		return;
	*qp = NULL;
	pthread_mutex_lock(&q->lock);
	q->ending = true;
	pthread_cond_broadcast(&q->work);
	pthread_mutex_unlock(&q->lock);
	for (int i = 0; i < q->n_threads; i++)
		pthread_join(q->threads[i], NULL);
	while (q->lanes != NULL) {
		struct lane *l = q->lanes;
		q->lanes = l->next;
		free(l);
	}
	pthread_cond_destroy(&q->work);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

void
queue_set_slots(struct queue *q, int all, int per_tenant)
{
	pthread_mutex_lock(&q->lock);
	q->slots_all = all;
	q->slots_tenant = per_tenant;
	pthread_cond_broadcast(&q->work);
	pthread_mutex_unlock(&q->lock);
}

void
queue_put(struct queue *q, const struct uuid *tenant, struct ask *a)
{
	a->next = NULL;
	pthread_mutex_lock(&q->lock);
	struct lane **at = lane_at(q, tenant);
	if (*at == NULL) {
		struct lane *l = calloc(1, sizeof(*l));
		if (l == NULL)
			abort();
		l->tenant = *tenant;
		l->tail = &l->head;
		*at = l;
	}
	*(*at)->tail = a;
	(*at)->tail = &a->next;
	q->waiting++;
	if (has_slot(q, *at)) /* else whoever gives a slot back wakes somebody */
		pthread_cond_signal(&q->work);
	pthread_mutex_unlock(&q->lock);
}

void
queue_release(struct queue *q, const struct uuid *tenant)
{
	pthread_mutex_lock(&q->lock);
	struct lane **at = lane_at(q, tenant);
	if (*at != NULL) {
		(*at)->active--;
		q->active--;
		drop_if_idle(at);
	}
	if (q->waiting > 0)
		pthread_cond_signal(&q->work);
	pthread_mutex_unlock(&q->lock);
}

struct ask *
queue_expire(struct queue *q, int64_t received_before_ms)
{
	struct ask *expired = NULL;
	pthread_mutex_lock(&q->lock);
	for (struct lane **at = &q->lanes; *at != NULL;) {
		struct lane *l = *at;
		while (l->head != NULL && l->head->received_ms < received_before_ms) {
			struct ask *a = l->head;
			l->head = a->next;
			if (l->head == NULL)
				l->tail = &l->head;
			a->next = expired;
			expired = a;
			q->waiting--;
		}
		drop_if_idle(at);
		if (*at == l)
			at = &l->next;
	}
	pthread_mutex_unlock(&q->lock);
	return expired;
}

size_t
queue_waiting(struct queue *q)
{
	pthread_mutex_lock(&q->lock);
	size_t n = q->waiting;
	pthread_mutex_unlock(&q->lock);
	return n;
}
