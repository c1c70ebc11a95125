/* SPDX-License-Identifier: MIT */
#include "workers.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define KINDS 3

/* Whoever has something waiting or running. */
struct owner {
	struct owner *next;
	int waiting, running;
	size_t n;
	uint8_t name[];
};

struct entry {
	struct entry *next;
	void *item;
	struct owner *owner;
	enum workers_kind kind;
};

struct queue {
	struct entry *first, **last;
	int n, running;
};

struct workers {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	workers_fn fn;
	void *ctx;
	struct workers_options o;
	int threads;
	bool stopping;
	struct queue queues[KINDS];
	struct owner *owners;
	pthread_t *thread;
};

/* --- owners; the lock is held
 * -----------------------------------------------------------------------------------
 */
static struct owner *
owner_of(struct workers *w, struct bytes name)
{
	struct owner *x = w->owners;
	while (x != NULL && !bytes_eq(bytes_of(x->name, x->n), name))
		x = x->next;
	if (x != NULL)
		return x;
	x = calloc(1, sizeof(*x) + name.n);
	if (x == NULL)
		abort();
	if (name.n > 0)
		memcpy(x->name, name.p, name.n);
	x->n = name.n;
	x->next = w->owners;
	return w->owners = x;
}

static void
owner_forget(struct workers *w, struct owner *x)
{
	if (x->waiting > 0 || x->running > 0)
		return;
	struct owner **at = &w->owners;
	while (*at != x)
		at = &(*at)->next;
	*at = x->next;
	free(x);
}

/* --- items; the lock is held
 * -------------------------------------------------------------------------------------
 */
static bool
may_run(const struct workers *w, enum workers_kind kind)
{
	int slow = w->queues[WORKERS_SLOW].running, lengthy = w->queues[WORKERS_LONG].running + slow;
	return kind == WORKERS_BRIEF || (lengthy < w->o.long_max && (kind == WORKERS_LONG || slow < w->o.slow_max));
}

/* The oldest of a kind whose owner has a thread left; NULL: there is none now. */
static struct entry *
next_entry(struct workers *w)
{
	for (int kind = 0; kind < KINDS; kind++) {
		struct queue *q = &w->queues[kind];
		struct entry **at = &q->first;
		if (!may_run(w, (enum workers_kind)kind))
			continue;
		while (*at != NULL && (*at)->owner->running >= w->o.owner_max)
			at = &(*at)->next;
		struct entry *x = *at;
		if (x == NULL)
			continue;
		*at = x->next;
		if (*at == NULL)
			q->last = at;
		q->n--;
		q->running++;
		x->owner->waiting--;
		x->owner->running++;
		return x;
	}
	return NULL;
}

static bool
is_empty(const struct workers *w)
{
	return w->queues[WORKERS_BRIEF].n + w->queues[WORKERS_LONG].n + w->queues[WORKERS_SLOW].n == 0;
}

static void
finished(struct workers *w, struct entry *x)
{
	w->queues[x->kind].running--;
	x->owner->running--;
	owner_forget(w, x->owner);
	free(x);
	/* What was held back may run now, and this thread takes one of them only. */
	if (!is_empty(w) || w->stopping)
		pthread_cond_broadcast(&w->wake);
}

static void *
worker_main(void *arg)
{
	struct workers *w = arg;
	pthread_mutex_lock(&w->lock);
	for (;;) {
		struct entry *x = next_entry(w);
		if (x != NULL) {
			pthread_mutex_unlock(&w->lock);
			w->fn(w->ctx, x->item);
			pthread_mutex_lock(&w->lock);
			finished(w, x);
		} else if (w->stopping && is_empty(w)) {
			break;
		} else {
			pthread_cond_wait(&w->wake, &w->lock);
		}
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

enum rc
workers_open(const struct workers_options *o, workers_fn fn, void *ctx, struct workers **out_r, struct err *e)
{
	struct workers *w = calloc(1, sizeof(*w));
	if (w == NULL)
		abort();
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
	w->fn = fn;
	w->ctx = ctx;
	w->o = *o;
	for (int i = 0; i < KINDS; i++)
		w->queues[i].last = &w->queues[i].first;
	w->thread = calloc((size_t)o->threads, sizeof(pthread_t));
	if (w->thread == NULL)
		abort();
	for (; w->threads < o->threads; w->threads++) {
		int no = pthread_create(&w->thread[w->threads], NULL, worker_main, w);
		if (no != 0) {
			workers_close(&w);
			return err_set(e, RC_INTERNAL, "worker thread: %s", strerror(no));
		}
	}
	*out_r = w;
	return RC_OK;
}

bool
workers_push(struct workers *w, void *item, enum workers_kind kind, struct bytes owner)
{
	pthread_mutex_lock(&w->lock);
	struct queue *q = &w->queues[kind];
	struct owner *o = owner_of(w, owner);
	bool room = q->n < w->o.queue_max && o->waiting < w->o.owner_queue_max && !w->stopping;
	if (room) {
		struct entry *x = calloc(1, sizeof(*x));
		if (x == NULL)
			abort();
		*x = (struct entry){.item = item, .owner = o, .kind = kind};
		*q->last = x;
		q->last = &x->next;
		q->n++;
		o->waiting++;
		pthread_cond_signal(&w->wake);
	}
	owner_forget(w, o);
	pthread_mutex_unlock(&w->lock);
	return room;
}

void
workers_close(struct workers **wp)
{
	struct workers *w = *wp;
	if (w == NULL)
		return;
	pthread_mutex_lock(&w->lock);
	w->stopping = true;
	pthread_cond_broadcast(&w->wake);
	pthread_mutex_unlock(&w->lock);
	for (int i = 0; i < w->threads; i++)
		pthread_join(w->thread[i], NULL);
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	free(w->thread);
	free(w);
	*wp = NULL;
}
