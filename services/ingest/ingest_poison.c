/* SPDX-License-Identifier: MIT
 *
 * A ring: few messages are ever in it, so it is simply looked through.
 */
#include "ingest_poison.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define KEPT 1024
#define SLOW 32 /* the last ones are enough to see a second message among them */

struct entry {
	struct uuid tenant;
	uint8_t sha256[32];
	int64_t at_ms;
};

struct poison {
	pthread_mutex_t lock;
	size_t n, next, n_slow, next_slow;
	struct entry v[KEPT], slow[SLOW];
};

struct poison *
poison_new(void)
{
	struct poison *p = calloc(1, sizeof(*p));
	if (p == NULL)
		abort();
	pthread_mutex_init(&p->lock, NULL);
	return p;
}

void
poison_free(struct poison **p)
{
	free(*p);
	*p = NULL;
}

static bool
is_it(const struct entry *e, const struct uuid *tenant, const uint8_t sha256[32])
{
	return memcmp(e->sha256, sha256, sizeof(e->sha256)) == 0 && uuid_eq(&e->tenant, tenant);
}

static void
put(struct entry *v, size_t size, size_t *n, size_t *next, const struct uuid *tenant, const uint8_t sha256[32],
    int64_t now_ms)
{
	struct entry *e = &v[*next];
	e->tenant = *tenant;
	memcpy(e->sha256, sha256, sizeof(e->sha256));
	e->at_ms = now_ms;
	*next = (*next + 1) % size;
	*n += *n < size;
}

bool
poison_has(struct poison *p, const struct uuid *tenant, const uint8_t sha256[32], int64_t now_ms)
{
	bool found = false;
	pthread_mutex_lock(&p->lock);
	for (size_t i = 0; i < p->n && !found; i++)
		found = is_it(&p->v[i], tenant, sha256) && now_ms - p->v[i].at_ms < POISON_KEEP_MS;
	pthread_mutex_unlock(&p->lock);
	return found;
}

void
poison_add(struct poison *p, const struct uuid *tenant, const uint8_t sha256[32], int64_t now_ms)
{
	pthread_mutex_lock(&p->lock);
	put(p->v, KEPT, &p->n, &p->next, tenant, sha256, now_ms);
	pthread_mutex_unlock(&p->lock);
}

bool
poison_slow_alone(struct poison *p, const struct uuid *tenant, const uint8_t sha256[32], int64_t now_ms,
		  int64_t lately_ms)
{
	bool alone = true;
	pthread_mutex_lock(&p->lock);
	for (size_t i = 0; i < p->n_slow && alone; i++)
		alone = now_ms - p->slow[i].at_ms >= lately_ms || is_it(&p->slow[i], tenant, sha256);
	put(p->slow, SLOW, &p->n_slow, &p->next_slow, tenant, sha256, now_ms);
	pthread_mutex_unlock(&p->lock);
	return alone;
}
