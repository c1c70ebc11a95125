/* SPDX-License-Identifier: MIT
 *
 * Per segment a bitmap of the messages that have all tokens; their ids come by pages of SEARCH_PAGE. Segments are
 * opened in growing groups, one query for all their blocks: a common word needs the newest ones only, a word that is
 * nowhere needs a few round trips.
 */
#include "search_source.h"

#include <stdlib.h>

#include "search_block.h"
#include "search_read.h"
#include "search_write_internal.h"

#define TOKENS_MAX	 24  /* of a query that are looked up; the rest is checked */
#define TOKENS_FIRST	 3   /* of these, at first */
#define SPREAD		 4   /* every how manieth of the words comes first */
#define FEW		 4   /* candidates of a segment that need no further look-up */
#define WAITING_ROWS	 128 /* of arrivals that are checked without the index */
#define WAITING_MESSAGES 256
#define GROUP_FIRST	 1    /* segments opened first; then four times as many each time */
#define BLOCKS_MAX	 2048 /* read at once */
#define QUEUE		 32   /* ids a segment has ready */
#define REFILL		 4    /* segments whose ids are read at once */
#define TIME_SLACK_US	 2000 /* an id is not of the very microsecond */

struct source {
	const struct search_segment *s; /* NULL: what waits */
	uint64_t *bits;
	int64_t at; /* ordinals below may follow the queue */
	struct uuid *queue;
	size_t n, next;
};

struct tokens {
	int32_t epoch;
	uint64_t v[TOKENS_MAX];
	size_t n;
	struct tokens *next;
};

struct search_sources {
	struct db_tx *tx;
	struct content *c;
	const struct uuid *tenant;
	const struct search_ask *ask;
	struct arena *a;
	struct uuid low, high; /* low <= id < high */
	struct search_segment *segments;
	struct source *v;
	size_t n_segments, opened, group, n; /* segments; opened of them; to open next; sources */
	struct tokens *tokens;		     /* for each epoch met */
	size_t blocks;
	int64_t indexed_until_us;
};

static int
compare(const struct uuid *a, const struct uuid *b)
{
	return memcmp(a, b, sizeof(*a));
}

/* Tokens under the key of that epoch. */
static enum rc
tokens_of(struct search_sources *s, int32_t epoch, const struct tokens **out_r, struct err *e)
{
	for (const struct tokens *known = s->tokens; known != NULL; known = known->next)
		if (known->epoch == epoch) {
			*out_r = known;
			return RC_OK;
		}
	struct search_key key;
	struct search_set set;
	char direction[40];
	enum rc rc = search_key(s->c, s->tenant, &epoch, &key, e);
	if (rc != RC_OK)
		return rc;
	struct tokens *t = arena_new_array(s->a, struct tokens, 1);
	*t = (struct tokens){.epoch = epoch, .next = s->tokens};
	if (s->ask->direction != NULL)
		t->v[t->n++] = search_token_property(&key, search_direction(s->ask->direction, direction));
	search_set_init(&set);
	for (size_t i = 0; i < s->ask->query->n; i++)
		search_tokens_term(&key, s->ask->query->terms[i], &set);
	/* Of too many, some from everywhere; and first some from everywhere, for they tell most. */
	size_t room = TOKENS_MAX - t->n, take = set.n < room ? set.n : room;
	for (size_t first = 0; first < SPREAD; first++)
		for (size_t i = first; i < take; i += SPREAD)
			t->v[t->n++] = set.v[i * set.n / take];
	search_set_done(&set);
	s->tokens = t;
	*out_r = t;
	return RC_OK;
}

/* --- opening --------------------------------------------------------------------------------------------------- */
/* A segment on the way to its candidates. */
struct opening {
	struct source source;
	const struct tokens *tokens;
	size_t done; /* tokens looked up */
	size_t rows[TOKENS_MAX];
	uint32_t left; /* messages that have these */
};

struct wanted {
	struct search_row *rows;
	struct bytes *plain; /* of the rows, once opened */
	size_t n;
};

/* The row of that bucket among the segment's, asked for once. */
static size_t
row_of(struct wanted *w, size_t first, const struct uuid *segment, int32_t bucket)
{
	for (size_t i = first; i < w->n; i++)
		if (w->rows[i].bucket == bucket)
			return i;
	w->rows[w->n] = (struct search_row){*segment, bucket, bytes_of(NULL, 0)};
	return w->n++;
}

static enum rc
open_row(struct search_sources *s, struct wanted *w, size_t i, struct arena *scratch, struct err *e)
{
	struct buf plain;
	if (w->plain[i].p != NULL)
		return RC_OK;
	buf_init(&plain, 0);
	enum rc rc = search_block_open(s->c, s->tenant, &w->rows[i].segment, (uint32_t)w->rows[i].bucket,
				       w->rows[i].data, &plain, e);
	if (rc == RC_OK)
		w->plain[i] = arena_bytes(scratch, buf_bytes(&plain));
	buf_done(&plain);
	return rc;
}

/* Keep the messages that have token i. */
static enum rc
intersect(struct search_sources *s, struct opening *o, size_t i, struct wanted *w, uint64_t *one, struct arena *scratch,
	  struct err *e)
{
	struct search_postings p;
	uint32_t messages = (uint32_t)o->source.s->messages;
	size_t words = (messages + 63) / 64, row = o->rows[i];
	bool first = o->source.bits == NULL;
	o->left = 0;
	if (w->rows[row].data.p == NULL)
		return RC_OK;
	enum rc rc = open_row(s, w, row, scratch, e);
	if (rc == RC_OK)
		rc = search_block_find(w->plain[row], messages, o->tokens->v[i], &p, e);
	if (rc != RC_OK)
		return rc == RC_NOT_FOUND ? RC_OK : rc;
	if (first)
		o->source.bits = arena_new_array(s->a, uint64_t, words);
	else
		memset(one, 0, words * sizeof(*one));
	rc = search_postings_mark(&p, messages, first ? o->source.bits : one, e);
	for (size_t k = 0; rc == RC_OK && k < words; k++) {
		if (!first)
			o->source.bits[k] &= one[k];
		o->left += (uint32_t)__builtin_popcountll(o->source.bits[k]);
	}
	return rc;
}

/* Some more tokens of each segment that still has many candidates; few are quicker read than looked up further. */
static enum rc
look_up(struct search_sources *s, struct opening *v, size_t n, size_t most, struct err *e)
{
	struct arena *scratch = arena_new();
	struct wanted w = {arena_new_array(scratch, struct search_row, n * most + 1),
			   arena_new_array(scratch, struct bytes, n * most + 1), 0};
	uint64_t *one = arena_new_array(scratch, uint64_t, SEARCH_SEGMENT_MAX / 64);
	size_t *until = arena_new_array(scratch, size_t, n + 1);
	for (size_t i = 0; i < n; i++) {
		struct opening *o = &v[i];
		size_t left = o->tokens->n - o->done, first = w.n;
		until[i] = o->done;
		if (o->left <= (o->done > 0 ? FEW : 0))
			continue;
		until[i] += left < most ? left : most;
		for (size_t k = o->done; k < until[i]; k++)
			o->rows[k] = row_of(&w, first, &o->source.s->id,
					    (int32_t)search_bucket(o->tokens->v[k], o->source.s->bits));
	}
	enum rc rc = w.n > 0 ? search_store_blocks(s->tx, s->tenant, w.rows, w.n, scratch, e) : RC_OK;
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		for (; rc == RC_OK && v[i].done < until[i] && v[i].left > 0; v[i].done++)
			rc = intersect(s, &v[i], v[i].done, &w, one, scratch, e);
	s->blocks += w.n;
	arena_free(&scratch);
	return rc;
}

/* Ordinals from here on are too new, by their pages. */
static int64_t
end_of(const struct search_segment *g, const struct uuid *high)
{
	size_t pages = g->fence.n / SEARCH_FENCE, low = 0, up = pages;
	while (low < up) { /* the first page that begins after high */
		size_t middle = (low + up) / 2;
		if (memcmp(g->fence.p + middle * SEARCH_FENCE, high->b, SEARCH_FENCE) > 0)
			up = middle;
		else
			low = middle + 1;
	}
	int64_t end = (int64_t)low * SEARCH_PAGE;
	return end < g->messages ? end : g->messages;
}

static enum rc
open_group(struct search_sources *s, struct err *e)
{
	size_t n = s->n_segments - s->opened < s->group ? s->n_segments - s->opened : s->group;
	if (n > BLOCKS_MAX / TOKENS_MAX)
		n = BLOCKS_MAX / TOKENS_MAX;
	struct arena *scratch = arena_new();
	struct opening *v = arena_new_array(scratch, struct opening, n);
	enum rc rc = RC_OK;
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		v[i].source.s = &s->segments[s->opened + i];
		v[i].left = (uint32_t)v[i].source.s->messages;
		rc = tokens_of(s, v[i].source.s->epoch, &v[i].tokens, e);
	}
	if (rc == RC_OK)
		rc = look_up(s, v, n, TOKENS_FIRST, e);
	if (rc == RC_OK)
		rc = look_up(s, v, n, TOKENS_MAX, e);
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		if (v[i].left == 0)
			continue;
		struct source *to = &s->v[s->n++];
		*to = v[i].source;
		to->at = end_of(to->s, &s->high);
		to->queue = arena_new_array(s->a, struct uuid, QUEUE);
	}
	s->opened += n;
	s->group *= 4;
	arena_free(&scratch);
	return rc;
}

/* --- what waits ------------------------------------------------------------------------------------------------ */
static int
newest_first(const void *x, const void *y)
{
	return memcmp(y, x, sizeof(struct uuid));
}

static enum rc
open_waiting(struct search_sources *s, struct err *e)
{
	struct search_arrival *rows = NULL, *oldest = NULL;
	size_t n = 0, used = 0, one = 0;
	enum rc rc = search_store_arrivals(s->tx, s->tenant, true, WAITING_ROWS, s->a, &rows, &n, e);
	if (rc != RC_OK || n == 0)
		return rc;
	struct source v = {.s = NULL, .queue = arena_new_array(s->a, struct uuid, 2 * WAITING_MESSAGES)};
	for (; used < n && v.n + rows[used].n <= 2 * WAITING_MESSAGES && v.n < WAITING_MESSAGES; used++)
		for (size_t i = 0; i < rows[used].n; i++)
			if (compare(&rows[used].ids[i], &s->high) < 0 && compare(&rows[used].ids[i], &s->low) >= 0)
				v.queue[v.n++] = rows[used].ids[i];
	qsort(v.queue, v.n, sizeof(*v.queue), newest_first);
	s->v[s->n++] = v;
	if (used == n && n < WAITING_ROWS)
		return RC_OK;
	rc = search_store_arrivals(s->tx, s->tenant, false, 1, s->a, &oldest, &one, e);
	if (rc == RC_OK && one == 1 && (used == 0 || compare(&oldest[0].first, &rows[used - 1].first) < 0))
		s->indexed_until_us = uuid_time_us(&oldest[0].first);
	return rc;
}

enum rc
search_sources_open(struct db_tx *tx, struct content *c, const struct uuid *tenant, const struct search_ask *ask,
		    struct arena *a, struct search_sources **out_r, struct err *e)
{
	struct search_sources *s = arena_new_array(a, struct search_sources, 1);
	size_t n = 0;
	*s = (struct search_sources){.tx = tx, .c = c, .tenant = tenant, .ask = ask, .a = a, .group = GROUP_FIRST};
	memset(&s->high, 0xff, sizeof(s->high));
	if (ask->until_us > 0)
		s->high = uuid_v7_floor(ask->until_us + TIME_SLACK_US);
	if (ask->has_before && compare(&ask->before, &s->high) < 0)
		s->high = ask->before;
	if (ask->from_us > TIME_SLACK_US)
		s->low = uuid_v7_floor(ask->from_us - TIME_SLACK_US);
	enum rc rc = search_store_segments(tx, tenant, a, &s->segments, &n, e);
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		const struct search_segment *g = &s->segments[i];
		if (!g->building && compare(&g->first, &s->high) < 0 && compare(&g->last, &s->low) >= 0)
			s->segments[s->n_segments++] = *g;
	}
	if (rc != RC_OK)
		return rc;
	s->v = arena_new_array(a, struct source, s->n_segments + 1);
	rc = open_waiting(s, e);
	*out_r = s;
	return rc;
}

/* --- in order -------------------------------------------------------------------------------------------------- */
/* The highest set bit below at, -1: none. */
static int64_t
bit_below(const uint64_t *bits, int64_t at)
{
	if (at <= 0)
		return -1;
	int64_t word = (at - 1) / 64;
	uint64_t w = bits[word] & (UINT64_MAX >> (63 - (at - 1) % 64));
	while (w == 0 && word > 0)
		w = bits[--word];
	return w == 0 ? -1 : word * 64 + 63 - __builtin_clzll(w);
}

static bool
is_dry(const struct source *v)
{
	return v->next == v->n && v->bits != NULL && v->at > 0;
}

/* Ordinals whose ids come next, and the pages these stand on. */
struct refill {
	uint32_t ordinals[QUEUE];
	size_t n, rows[QUEUE];
};

static void
plan_refill(struct source *v, struct refill *f, struct search_row *rows, size_t *n)
{
	f->n = 0;
	while (f->n < QUEUE) {
		v->at = bit_below(v->bits, v->at);
		if (v->at < 0)
			break;
		int32_t bucket = -1 - (int32_t)(v->at / SEARCH_PAGE);
		if (f->n == 0 || rows[*n - 1].bucket != bucket)
			rows[(*n)++] = (struct search_row){v->s->id, bucket, bytes_of(NULL, 0)};
		f->rows[f->n] = *n - 1;
		f->ordinals[f->n++] = (uint32_t)v->at;
	}
}

static enum rc
fill(const struct search_sources *s, struct source *v, const struct refill *f, const struct search_row *rows,
     struct err *e)
{
	v->n = v->next = 0;
	for (size_t i = 0; i < f->n; i++) {
		struct bytes id, page = rows[f->rows[i]].data;
		if (!bytes_slice(page, f->ordinals[i] % SEARCH_PAGE * sizeof(struct uuid), sizeof(struct uuid), &id))
			return err_set(e, RC_INVALID, "a segment of the search index lacks ids");
		memcpy(&v->queue[v->n], id.p, sizeof(struct uuid));
		if (compare(&v->queue[v->n], &s->low) < 0) {
			v->at = 0; /* older ones are too old, too */
			break;
		}
		if (compare(&v->queue[v->n], &s->high) < 0)
			v->n++;
	}
	return RC_OK;
}

/* What a source that has no id ready may have next is not above this. */
static const struct uuid *
bound_of(const struct source *v)
{
	return v->n > 0 ? &v->queue[v->n - 1] : &v->s->last;
}

/* The newest id that is ready; NULL: none is. */
static struct source *
best_of(struct search_sources *s)
{
	struct source *best = NULL;
	for (size_t i = 0; i < s->n; i++) {
		struct source *v = &s->v[i];
		if (v->next < v->n && (best == NULL || compare(&v->queue[v->next], &best->queue[best->next]) > 0))
			best = v;
	}
	return best;
}

/* The sources that come first among those that may have something above best but have no id ready. */
static size_t
dry_ones(struct search_sources *s, const struct source *best, struct source *out[REFILL])
{
	size_t n = 0;
	for (size_t i = 0; i < s->n; i++) {
		struct source *v = &s->v[i];
		if (!is_dry(v) || (best != NULL && compare(bound_of(v), &best->queue[best->next]) <= 0))
			continue;
		size_t at = n;
		while (at > 0 && compare(bound_of(out[at - 1]), bound_of(v)) < 0)
			at--;
		if (at == REFILL)
			continue;
		n += n < REFILL;
		for (size_t k = n - 1; k > at; k--)
			out[k] = out[k - 1];
		out[at] = v;
	}
	return n;
}

static enum rc
refill(struct search_sources *s, struct source *const *who, size_t k, struct err *e)
{
	size_t n = 0;
	struct arena *scratch = arena_new();
	struct search_row *rows = arena_new_array(scratch, struct search_row, k * QUEUE);
	struct refill *plans = arena_new_array(scratch, struct refill, k);
	for (size_t i = 0; i < k; i++)
		plan_refill(who[i], &plans[i], rows, &n);
	enum rc rc = n > 0 ? search_store_blocks(s->tx, s->tenant, rows, n, scratch, e) : RC_OK;
	for (size_t i = 0; rc == RC_OK && i < k; i++)
		rc = fill(s, who[i], &plans[i], rows, e);
	s->blocks += n;
	arena_free(&scratch);
	return rc;
}

enum rc
search_sources_next(struct search_sources *s, struct uuid *id_r, struct err *e)
{
	for (;;) {
		struct source *best = best_of(s), *dry[REFILL];
		size_t n = dry_ones(s, best, dry);
		enum rc rc = RC_OK;
		if (n > 0)
			rc = refill(s, dry, n, e);
		else if (s->opened < s->n_segments &&
			 (best == NULL || compare(&best->queue[best->next], &s->segments[s->opened].last) <= 0))
			rc = open_group(s, e);
		else if (best == NULL)
			return err_set(e, RC_NOT_FOUND, "no further message");
		else {
			*id_r = best->queue[best->next++];
			return RC_OK;
		}
		if (rc != RC_OK)
			return rc;
	}
}

int64_t
search_sources_indexed_until(const struct search_sources *s)
{
	return s->indexed_until_us;
}

void
search_sources_effort(const struct search_sources *s, size_t *segments_r, size_t *blocks_r)
{
	*segments_r = s->opened;
	*blocks_r = s->blocks;
}
