/* SPDX-License-Identifier: MIT
 *
 * A hash table with open places under one lock; a place is free again when nothing waits in it and its minute is over.
 */
#include "tally.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypt/crypt.h"

struct place {
	bool used;
	uint8_t key[16];
	int64_t written_us;
	struct tally_entry e;
};
struct tally {
	pthread_mutex_t lock;
	struct place places[TALLY_PLACES];
	size_t next; /* where tally_take() goes on */
};

struct tally *
tally_new(void)
{
	struct tally *t = calloc(1, sizeof(*t));
	if (t == NULL)
		abort();
	pthread_mutex_init(&t->lock, NULL);
	return t;
}

void
tally_free(struct tally **t)
{
	if (t == NULL || *t == NULL)
		return;
	pthread_mutex_destroy(&(*t)->lock);
	free(*t);
	*t = NULL;
}

static void
key_of(const struct tally_entry *e, uint8_t key[16])
{
	uint8_t hash[32];
	struct buf b;
	buf_init(&b, 0);
	buf_add(&b, e->tenant.b, 16);
	buf_add(&b, e->subject.b, 16);
	buf_addf(&b, "%s %d %s %s", e->action, (int)e->outcome, e->reason, e->source);
	crypt_sha256(buf_bytes(&b), hash);
	buf_done(&b);
	memcpy(key, hash, 16);
}

#define PROBES 16

/* The place of this key, or a free one near it; NULL: neither. */
static struct place *
find(struct tally *t, const uint8_t key[16], int64_t now_us)
{
	struct place *open = NULL;
	size_t at = 0;
	memcpy(&at, key, sizeof(at));
	for (size_t i = 0; i < PROBES; i++) {
		struct place *p = &t->places[(at + i) % (TALLY_PLACES - 1)]; /* the last place is everybody else's */
		if (p->used && memcmp(p->key, key, 16) == 0)
			return p;
		if (p->used && p->e.count == 0 && now_us - p->written_us >= TALLY_MINUTE_US)
			p->used = false;
		if (!p->used && open == NULL)
			open = p;
	}
	return open;
}

static struct place *
place_of(struct tally *t, struct tally_entry *what, int64_t now_us)
{
	uint8_t key[16];
	key_of(what, key);
	struct place *p = find(t, key, now_us);
	if (p == NULL) {
		static const struct uuid nil;
		what->tenant = what->subject = nil;
		snprintf(what->source, sizeof(what->source), "%s", "");
		snprintf(what->reason, sizeof(what->reason), "%s", "many sources");
		p = &t->places[TALLY_PLACES - 1];
		memset(key, 0, sizeof(key));
	}
	if (!p->used) {
		*p = (struct place){.used = true, .written_us = INT64_MIN / 2, .e = *what};
		p->e.count = 0;
		memcpy(p->key, key, sizeof(key));
	}
	return p;
}

bool
tally_add(struct tally *t, struct tally_entry *what, int64_t now_us)
{
	pthread_mutex_lock(&t->lock);
	struct place *p = place_of(t, what, now_us);
	p->e.count++;
	p->e.last_us = now_us;
	bool due = now_us - p->written_us >= TALLY_MINUTE_US;
	if (due) {
		*what = p->e;
		p->e.count = 0;
		p->written_us = now_us;
	}
	pthread_mutex_unlock(&t->lock);
	return due;
}

void
tally_failed(struct tally *t, const struct tally_entry *what)
{
	struct tally_entry again = *what;
	pthread_mutex_lock(&t->lock);
	struct place *p = place_of(t, &again, what->last_us);
	p->e.count += what->count;
	p->e.last_us = what->last_us;
	pthread_mutex_unlock(&t->lock);
}

bool
tally_take(struct tally *t, int64_t now_us, bool all, struct tally_entry *out_r)
{
	bool found = false;
	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < TALLY_PLACES && !found; i++) {
		struct place *p = &t->places[t->next];
		t->next = (t->next + 1) % TALLY_PLACES;
		found = p->used && p->e.count > 0 && (all || now_us - p->written_us >= TALLY_MINUTE_US);
		if (found) {
			*out_r = p->e;
			p->e.count = 0;
			p->written_us = now_us;
		}
	}
	pthread_mutex_unlock(&t->lock);
	return found;
}
