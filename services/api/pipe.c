/* SPDX-License-Identifier: MIT */
#include "pipe.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "core/clock.h"

struct pipe {
	pthread_mutex_t lock;
	pthread_cond_t drained;
	struct buf data;
	size_t max, at; /* at: read so far */
	int refs;
	bool ended, broken, closed;
	void (*wake)(void *ctx); /* the reader sleeps; else NULL */
	void *wake_ctx;
};

struct pipe *
pipe_new(size_t max)
{
	struct pipe *p = calloc(1, sizeof(*p));
	pthread_condattr_t monotonic;
	if (p == NULL)
		abort();
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&p->drained, &monotonic);
	pthread_condattr_destroy(&monotonic);
	buf_init(&p->data, 0);
	p->max = max;
	p->refs = 2;
	return p;
}

/* With the lock held; gives it up. */
static void
let_go(struct pipe **pp)
{
	struct pipe *p = *pp;
	bool last = --p->refs == 0;
	pthread_mutex_unlock(&p->lock);
	*pp = NULL;
	if (!last)
		return;
	buf_done(&p->data);
	pthread_cond_destroy(&p->drained);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

/* With the lock held: after pipe_close() nobody is woken, so the connection is still there now. */
static void
wake_reader(struct pipe *p)
{
	if (p->wake != NULL)
		p->wake(p->wake_ctx);
	p->wake = NULL;
}

bool
pipe_write(struct pipe *p, struct bytes b)
{
	pthread_mutex_lock(&p->lock);
	bool ok = !p->closed && p->data.n - p->at + b.n <= p->max;
	if (ok && b.n > 0) {
		buf_drop_front(&p->data, p->at);
		p->at = 0;
		buf_add_bytes(&p->data, b);
		ok = buf_ok(&p->data);
		wake_reader(p);
	}
	pthread_mutex_unlock(&p->lock);
	return ok;
}

bool
pipe_is_empty(struct pipe *p)
{
	pthread_mutex_lock(&p->lock);
	bool empty = p->closed || p->at == p->data.n;
	pthread_mutex_unlock(&p->lock);
	return empty;
}

bool
pipe_is_closed(struct pipe *p)
{
	pthread_mutex_lock(&p->lock);
	bool closed = p->closed;
	pthread_mutex_unlock(&p->lock);
	return closed;
}

bool
pipe_wait_empty(struct pipe *p, int64_t deadline_ms)
{
	struct timespec until = {.tv_sec = deadline_ms / 1000, .tv_nsec = deadline_ms % 1000 * 1000000};
	pthread_mutex_lock(&p->lock);
	while (!p->closed && p->at < p->data.n && clock_left_ms(deadline_ms) > 0)
		pthread_cond_timedwait(&p->drained, &p->lock, &until);
	bool empty = !p->closed && p->at == p->data.n;
	pthread_mutex_unlock(&p->lock);
	return empty;
}

void
pipe_end(struct pipe **pp, bool broken)
{
	struct pipe *p = *pp;
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->ended = true;
	p->broken = broken;
	wake_reader(p);
	let_go(pp);
}

long
pipe_read(struct pipe *p, void *to, size_t max, void (*sleep)(void *ctx), void (*wake)(void *ctx), void *ctx)
{
	pthread_mutex_lock(&p->lock);
	size_t n = p->data.n - p->at;
	long got = 0;
	if (n > max)
		n = max;
	if (n > 0) {
		memcpy(to, p->data.p + p->at, n);
		p->at += n;
		got = (long)n;
		if (p->at == p->data.n)
			pthread_cond_broadcast(&p->drained);
	} else if (p->ended) {
		got = p->broken ? PIPE_BROKEN : PIPE_END;
	} else {
		/* Under the lock: a writer that comes now wakes whoever sleeps already. */
		sleep(ctx);
		p->wake = wake;
		p->wake_ctx = ctx;
	}
	pthread_mutex_unlock(&p->lock);
	return got;
}

void
pipe_close(struct pipe **pp)
{
	struct pipe *p = *pp;
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->closed = true;
	p->wake = NULL;
	pthread_cond_broadcast(&p->drained);
	let_go(pp);
}
