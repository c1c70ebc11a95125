/* SPDX-License-Identifier: MIT */
#include "workers.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct queue {
	void **items;
	int first, n;
};

struct workers {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	workers_fn fn;
	void *ctx;
	int threads, queue_max, long_max, long_running;
	bool stopping;
	struct queue brief, lengthy;
	pthread_t *thread;
};

static void *
queue_pop(struct queue *q, int max)
{
	void *item = q->items[q->first];
	q->first = (q->first + 1) % max;
	q->n--;
	return item;
}

/* With the lock held: something to do now? */
static bool
next_item(struct workers *w, void **item_r, bool *is_long_r)
{
	if (w->brief.n > 0) {
		*item_r = queue_pop(&w->brief, w->queue_max);
		*is_long_r = false;
		return true;
	}
	if (w->lengthy.n > 0 && w->long_running < w->long_max) {
		*item_r = queue_pop(&w->lengthy, w->queue_max);
		*is_long_r = true;
		w->long_running++;
		return true;
	}
	return false;
}

static void *
worker_main(void *arg)
{
	struct workers *w = arg;
	pthread_mutex_lock(&w->lock);
	for (;;) {
		void *item;
		bool is_long;
		if (next_item(w, &item, &is_long)) {
			pthread_mutex_unlock(&w->lock);
			w->fn(w->ctx, item);
			pthread_mutex_lock(&w->lock);
			if (is_long) {
				w->long_running--;
				pthread_cond_broadcast(&w->wake);
			}
		} else if (w->stopping && w->brief.n == 0 && w->lengthy.n == 0) {
			break;
		} else {
			pthread_cond_wait(&w->wake, &w->lock);
		}
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

enum rc
workers_open(int threads, int long_max, int queue_max, workers_fn fn, void *ctx, struct workers **out_r, struct err *e)
{
	struct workers *w = calloc(1, sizeof(*w));
	if (w == NULL)
		abort();
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
	w->fn = fn;
	w->ctx = ctx;
	w->queue_max = queue_max;
	w->long_max = long_max;
	w->brief.items = calloc((size_t)queue_max, sizeof(void *));
	w->lengthy.items = calloc((size_t)queue_max, sizeof(void *));
	w->thread = calloc((size_t)threads, sizeof(pthread_t));
	if (w->brief.items == NULL || w->lengthy.items == NULL || w->thread == NULL)
		abort();
	for (; w->threads < threads; w->threads++) {
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
workers_push(struct workers *w, void *item, bool is_long)
{
	pthread_mutex_lock(&w->lock);
	struct queue *q = is_long ? &w->lengthy : &w->brief;
	bool room = q->n < w->queue_max && !w->stopping;
	if (room) {
		q->items[(q->first + q->n) % w->queue_max] = item;
		q->n++;
		pthread_cond_signal(&w->wake);
	}
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
	free(w->brief.items);
	free(w->lengthy.items);
	free(w->thread);
	free(w);
	*wp = NULL;
}
