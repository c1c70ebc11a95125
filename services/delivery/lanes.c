/* SPDX-License-Identifier: MIT
 *
 * Two tables (lanes by tenant and destination, destinations by name) and one ring of the lanes that have jobs.
 */
#include "lanes.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

#define KEY_MAX 400

struct destination {
	char name[KEY_MAX];
	int active, limit, lanes;
	UT_hash_handle hh;
};

struct lane {
	char key[KEY_MAX + UUID_STR_SIZE];
	struct destination *to;
	struct job *head, **tail;
	size_t n;
	struct lane *prev, *next; /* ring */
	UT_hash_handle hh;
};

struct lanes {
	pthread_mutex_t mutex;
	pthread_cond_t work;
	size_t capacity, n;
	int per_destination, per_hop;
	bool stopping;
	struct lane *by_key, *cursor; /* cursor: NULL when no lane has jobs */
	struct destination *by_name;
};

struct batch *
batch_new(void)
{
	struct batch *b = calloc(1, sizeof(*b));
	if (b == NULL)
		abort();
	b->arena = arena_new();
	atomic_init(&b->refs, 1);
	return b;
}

void
batch_unref(struct batch *b)
{
	if (atomic_fetch_sub(&b->refs, 1) != 1)
		return;
	arena_free(&b->arena);
	free(b);
}

struct lanes *
lanes_new(size_t capacity, int per_destination, int per_hop)
{
	struct lanes *l = calloc(1, sizeof(*l));
	if (l == NULL)
		abort();
	pthread_mutex_init(&l->mutex, NULL);
	pthread_cond_init(&l->work, NULL);
	l->capacity = capacity;
	l->per_destination = per_destination;
	l->per_hop = per_hop;
	return l;
}

void
lanes_free(struct lanes **lp)
{
	if (lp == NULL || *lp == NULL)
		return;
	struct lane *a, *b;
	struct destination *c, *d;
	HASH_ITER(hh, (*lp)->by_key, a, b)
	{
		HASH_DEL((*lp)->by_key, a);
		free(a);
	}
	HASH_ITER(hh, (*lp)->by_name, c, d)
	{
		HASH_DEL((*lp)->by_name, c);
		free(c);
	}
	pthread_mutex_destroy(&(*lp)->mutex);
	pthread_cond_destroy(&(*lp)->work);
	free(*lp);
	*lp = NULL;
}

static void
key_of(const struct uuid *tenant, const char *destination, char out[KEY_MAX + UUID_STR_SIZE])
{
	char t[UUID_STR_SIZE];
	uuid_format(tenant, t);
	snprintf(out, KEY_MAX + UUID_STR_SIZE, "%s %s", t, destination);
}

size_t
lanes_room(struct lanes *l)
{
	pthread_mutex_lock(&l->mutex);
	size_t room = l->stopping ? 0 : l->capacity - (l->n < l->capacity ? l->n : l->capacity);
	pthread_mutex_unlock(&l->mutex);
	return room;
}

bool
lanes_open(struct lanes *l, const struct uuid *tenant, const char *destination)
{
	char key[KEY_MAX + UUID_STR_SIZE];
	struct lane *lane;
	key_of(tenant, destination, key);
	pthread_mutex_lock(&l->mutex);
	HASH_FIND_STR(l->by_key, key, lane);
	bool open = !l->stopping && (lane == NULL || lane->n < l->capacity / 4 * 3);
	pthread_mutex_unlock(&l->mutex);
	return open;
}

static struct destination *
destination_of(struct lanes *l, const char *name)
{
	struct destination *d;
	HASH_FIND_STR(l->by_name, name, d);
	if (d != NULL)
		return d;
	d = calloc(1, sizeof(*d));
	if (d == NULL)
		abort();
	snprintf(d->name, sizeof(d->name), "%s", name);
	/* The configured hop is ours and takes what it is given; other servers are treated with care, and one that
	 * hangs must not hold every sender. */
	d->limit = strncmp(name, "hop ", 4) == 0 ? l->per_hop : l->per_destination;
	HASH_ADD_STR(l->by_name, name, d);
	return d;
}

static struct lane *
lane_of(struct lanes *l, const struct job *j)
{
	char key[KEY_MAX + UUID_STR_SIZE];
	struct lane *lane;
	key_of(&j->tenant, j->destination, key);
	HASH_FIND_STR(l->by_key, key, lane);
	if (lane != NULL)
		return lane;
	lane = calloc(1, sizeof(*lane));
	if (lane == NULL)
		abort();
	memcpy(lane->key, key, sizeof(key));
	lane->to = destination_of(l, j->destination);
	lane->to->lanes++;
	lane->tail = &lane->head;
	HASH_ADD_STR(l->by_key, key, lane);
	return lane;
}

static void
ring_in(struct lanes *l, struct lane *lane)
{
	if (l->cursor == NULL) {
		l->cursor = lane->prev = lane->next = lane;
		return;
	}
	lane->next = l->cursor; /* behind everybody */
	lane->prev = l->cursor->prev;
	lane->prev->next = lane;
	lane->next->prev = lane;
}

static void
ring_out(struct lanes *l, struct lane *lane)
{
	if (lane->next == lane) {
		l->cursor = NULL;
		return;
	}
	lane->prev->next = lane->next;
	lane->next->prev = lane->prev;
	if (l->cursor == lane)
		l->cursor = lane->next;
}

static void
destination_drop(struct lanes *l, struct destination *d)
{
	if (d->lanes > 0 || d->active > 0)
		return;
	HASH_DEL(l->by_name, d);
	free(d);
}

void
lanes_put(struct lanes *l, struct job *j)
{
	pthread_mutex_lock(&l->mutex);
	struct lane *lane = lane_of(l, j);
	j->next = NULL;
	*lane->tail = j;
	lane->tail = &j->next;
	if (lane->n++ == 0)
		ring_in(l, lane);
	l->n++;
	pthread_cond_signal(&l->work);
	pthread_mutex_unlock(&l->mutex);
}

static struct job *
take_one(struct lanes *l)
{
	struct lane *lane = l->cursor;
	if (lane == NULL)
		return NULL;
	while (lane->to->active >= lane->to->limit) {
		lane = lane->next;
		if (lane == l->cursor)
			return NULL;
	}
	struct job *j = lane->head;
	lane->head = j->next;
	if (lane->head == NULL)
		lane->tail = &lane->head;
	lane->to->active++;
	l->n--;
	l->cursor = lane->next;
	if (--lane->n == 0) {
		ring_out(l, lane);
		lane->to->lanes--;
		HASH_DEL(l->by_key, lane);
		free(lane);
	}
	j->next = NULL;
	return j;
}

struct job *
lanes_take(struct lanes *l)
{
	struct job *j = NULL;
	pthread_mutex_lock(&l->mutex);
	while (!l->stopping && (j = take_one(l)) == NULL)
		pthread_cond_wait(&l->work, &l->mutex);
	pthread_mutex_unlock(&l->mutex);
	return j;
}

void
lanes_done(struct lanes *l, const struct job *j)
{
	struct destination *d;
	pthread_mutex_lock(&l->mutex);
	HASH_FIND_STR(l->by_name, j->destination, d);
	if (d != NULL) {
		d->active--;
		destination_drop(l, d);
	}
	pthread_cond_signal(&l->work);
	pthread_mutex_unlock(&l->mutex);
}

struct job *
lanes_stop(struct lanes *l)
{
	struct job *list = NULL;
	struct lane *lane, *next;
	pthread_mutex_lock(&l->mutex);
	l->stopping = true;
	HASH_ITER(hh, l->by_key, lane, next)
	{
		*lane->tail = list;
		list = lane->head;
		lane->head = NULL;
		lane->tail = &lane->head;
		lane->n = 0;
	}
	l->cursor = NULL;
	l->n = 0;
	pthread_cond_broadcast(&l->work);
	pthread_mutex_unlock(&l->mutex);
	return list;
}
