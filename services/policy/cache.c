/* SPDX-License-Identifier: MIT
 *
 * One lock over the table and all entries: it is held for pointer work only, never while a source is asked. An entry is
 * asked about by one thread at a time; others that need the answer wait for it. Entries live as long as the process:
 * there is one per tenant that ever sent through it.
 */
#include "cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "core/log.h"

#define BUCKETS	       1024
#define BACKGROUND_MS  2000
#define QUEUE_PAUSE_MS 500 /* between two background looks at the same entry */

struct part {
	bool marked;	    /* a change is known of: look before the next use */
	uint64_t marks;	    /* so that a mark set during a look is not lost */
	int64_t checked_ms; /* last look that the source answered */
	int64_t tried_ms;   /* last look */
	bool tried;
};

struct entry {
	struct uuid tenant;
	struct entry *next;	 /* in its bucket */
	struct entry *next_task; /* for the background */
	bool queued, busy;
	int64_t queued_ms;
	struct part rules_part, directory_part;
	struct ruleset *rules;
	uint64_t version;
	struct directory *directory;
};

struct cache {
	struct cache_source source;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* an entry is no longer busy, a task is there, or stopping; CLOCK_MONOTONIC */
	struct entry *buckets[BUCKETS];
	struct entry *first_task, **last_task;
	bool stopping;
	pthread_t thread;
	struct cache_stats stats;
};

/* --- looks at the source ------------------------------------------------------------------------------------ */

static void
part_checked(struct part *p, uint64_t marks, int64_t now_ms)
{
	p->checked_ms = now_ms;
	if (p->marks == marks)
		p->marked = false;
}

static bool
is_due(const struct part *p, bool present, int64_t now_ms, int64_t age_ms)
{
	return !present || p->marked || now_ms - p->checked_ms > age_ms;
}

/* A directory that could not be had lately is not asked for again at once: the copy serves. */
static bool
directory_is_due(const struct entry *n, int64_t now_ms, int64_t age_ms)
{
	const struct part *p = &n->directory_part;
	bool lately = p->tried && now_ms - p->tried_ms < CACHE_FRESH_MS && p->tried_ms != p->checked_ms;
	return is_due(p, n->directory != NULL, now_ms, age_ms) && !(lately && n->directory != NULL);
}

static enum rc
look_at_rules(struct cache *c, struct entry *n, int64_t deadline_ms, struct err *e)
{
	struct ruleset *known = n->rules, *fresh = NULL;
	uint64_t version = n->version, marks = n->rules_part.marks;
	int64_t now = c->source.now_ms();
	pthread_mutex_unlock(&c->lock);
	/* known cannot go away: only the busy thread replaces it. */
	enum rc rc = c->source.rules(c->source.ctx, &n->tenant, known, version, deadline_ms, &fresh, &version, e);
	pthread_mutex_lock(&c->lock);
	c->stats.refreshes++;
	if (rc != RC_OK) {
		c->stats.failures++;
		return rc;
	}
	if (fresh != NULL) {
		ruleset_release(&n->rules);
		n->rules = fresh;
		n->version = version;
	}
	part_checked(&n->rules_part, marks, now);
	return RC_OK;
}

static enum rc
look_at_directory(struct cache *c, struct entry *n, int64_t deadline_ms, struct err *e)
{
	struct directory *known = n->directory, *fresh = NULL;
	uint64_t marks = n->directory_part.marks;
	int64_t now = c->source.now_ms();
	n->directory_part.tried = true;
	n->directory_part.tried_ms = now;
	pthread_mutex_unlock(&c->lock);
	enum rc rc = c->source.directory(c->source.ctx, &n->tenant, known, deadline_ms, &fresh, e);
	pthread_mutex_lock(&c->lock);
	c->stats.refreshes++;
	if (fresh != NULL) {
		directory_release(&n->directory);
		n->directory = fresh;
	}
	if (rc != RC_OK) {
		c->stats.failures++;
		if (rc != RC_RETRY || n->directory == NULL)
			return rc;
		log_warn("directory not read again, the copy serves", LOG_TENANT(&n->tenant), LOG_ERR(e));
		return RC_OK;
	}
	part_checked(&n->directory_part, marks, now);
	return RC_OK;
}

/* With the lock held; makes the entry busy meanwhile. */
static enum rc
look(struct cache *c, struct entry *n, int64_t age_ms, int64_t deadline_ms, struct err *e)
{
	enum rc rc = RC_OK;
	n->busy = true;
	if (is_due(&n->rules_part, n->rules != NULL, c->source.now_ms(), age_ms))
		rc = look_at_rules(c, n, deadline_ms, e);
	if (rc == RC_OK && directory_is_due(n, c->source.now_ms(), age_ms))
		rc = look_at_directory(c, n, deadline_ms, e);
	n->busy = false;
	pthread_cond_broadcast(&c->changed);
	return rc;
}

/* --- background --------------------------------------------------------------------------------------------- */

static void
queue(struct cache *c, struct entry *n)
{
	int64_t now = c->source.now_ms();
	if (n->queued || n->busy || (n->queued_ms != 0 && now - n->queued_ms < QUEUE_PAUSE_MS))
		return;
	n->queued = true;
	n->queued_ms = now;
	n->next_task = NULL;
	*c->last_task = n;
	c->last_task = &n->next_task;
	pthread_cond_broadcast(&c->changed);
}

static void *
background(void *ctx)
{
	struct cache *c = ctx;
	pthread_mutex_lock(&c->lock);
	while (!c->stopping) {
		struct entry *n = c->first_task;
		if (n == NULL) {
			pthread_cond_wait(&c->changed, &c->lock);
			continue;
		}
		c->first_task = n->next_task;
		if (c->first_task == NULL)
			c->last_task = &c->first_task;
		n->queued = false;
		struct err err;
		if (!n->busy && look(c, n, CACHE_FRESH_MS, c->source.now_ms() + BACKGROUND_MS, &err) != RC_OK)
			log_warn("rules or directory not read again", LOG_TENANT(&n->tenant), LOG_ERR(&err));
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

struct cache *
cache_new(const struct cache_source *source)
{
	struct cache *c = calloc(1, sizeof(*c));
	if (c == NULL)
		abort();
	c->source = *source;
	c->last_task = &c->first_task;
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->changed, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&c->thread, NULL, background, c) != 0)
		abort();
	return c;
}

void
cache_stop(struct cache *c)
{
	pthread_mutex_lock(&c->lock);
	c->stopping = true;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
}

void
cache_free(struct cache **cp)
{
	if (cp == NULL || *cp == NULL)
		return;
	struct cache *c = *cp;
	*cp = NULL;
	for (int i = 0; i < BUCKETS; i++) {
		for (struct entry *n = c->buckets[i]; n != NULL;) {
			struct entry *next = n->next;
			ruleset_release(&n->rules);
			directory_release(&n->directory);
			free(n);
			n = next;
		}
	}
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* --- use ---------------------------------------------------------------------------------------------------- */

static unsigned
bucket_of(const struct uuid *u)
{
	/* The end of a version 7 id is random. */
	return ((unsigned)u->b[14] << 8 | u->b[15]) % BUCKETS;
}

static struct entry *
find(struct cache *c, const struct uuid *tenant)
{
	struct entry *n = c->buckets[bucket_of(tenant)];
	while (n != NULL && !uuid_eq(&n->tenant, tenant))
		n = n->next;
	return n;
}

static struct entry *
find_or_make(struct cache *c, const struct uuid *tenant)
{
	struct entry *n = find(c, tenant);
	if (n != NULL)
		return n;
	n = calloc(1, sizeof(*n));
	if (n == NULL)
		abort();
	n->tenant = *tenant;
	n->next = c->buckets[bucket_of(tenant)];
	c->buckets[bucket_of(tenant)] = n;
	c->stats.tenants++;
	return n;
}

static bool
wait_until(struct cache *c, int64_t deadline_ms)
{
	struct timespec t = {deadline_ms / 1000, deadline_ms % 1000 * 1000000};
	return pthread_cond_timedwait(&c->changed, &c->lock, &t) != ETIMEDOUT;
}

static bool
needs_look(struct cache *c, const struct entry *n, int64_t age_ms)
{
	int64_t now = c->source.now_ms();
	return is_due(&n->rules_part, n->rules != NULL, now, age_ms) || directory_is_due(n, now, age_ms);
}

static enum rc
make_current(struct cache *c, struct entry *n, int64_t deadline_ms, struct err *e)
{
	while (needs_look(c, n, CACHE_OLD_MS)) {
		if (!n->busy)
			return look(c, n, CACHE_OLD_MS, deadline_ms, e);
		if (!wait_until(c, deadline_ms))
			return err_set(e, RC_RETRY, "the rules are being read");
	}
	if (needs_look(c, n, CACHE_FRESH_MS))
		queue(c, n);
	return RC_OK;
}

enum rc
cache_lease(struct cache *c, const struct uuid *tenant, int64_t deadline_ms, struct cache_lease *out_r, struct err *e)
{
	pthread_mutex_lock(&c->lock);
	struct entry *n = find_or_make(c, tenant);
	enum rc rc = make_current(c, n, deadline_ms, e);
	if (rc == RC_OK)
		*out_r = (struct cache_lease){ruleset_keep(n->rules), n->version, directory_keep(n->directory)};
	pthread_mutex_unlock(&c->lock);
	return rc;
}

void
cache_return(struct cache_lease *l)
{
	ruleset_release(&l->rules);
	directory_release(&l->directory);
}

static void
mark(struct entry *n, enum cache_part part)
{
	struct part *p = part == CACHE_RULES ? &n->rules_part : &n->directory_part;
	p->marked = true;
	p->marks++;
	p->tried = false; /* a change is news: ask at once */
}

void
cache_mark(struct cache *c, const struct uuid *tenant, enum cache_part part)
{
	pthread_mutex_lock(&c->lock);
	for (int i = 0; i < BUCKETS; i++)
		for (struct entry *n = c->buckets[i]; n != NULL; n = n->next)
			if (tenant == NULL || uuid_eq(&n->tenant, tenant))
				mark(n, part);
	pthread_mutex_unlock(&c->lock);
}

void
cache_stats(struct cache *c, struct cache_stats *out_r)
{
	pthread_mutex_lock(&c->lock);
	*out_r = c->stats;
	pthread_mutex_unlock(&c->lock);
}
