/* SPDX-License-Identifier: MIT
 *
 * Merging segments. The new one is written range by range in small transactions, invisible; one short transaction at
 * the end shows it and drops the old ones. The lock is held by a transaction that does nothing else.
 */
#include <stdlib.h>

#include "core/clock.h"
#include "search_write_internal.h"

#define LOCK_MS	     1800000 /* a merge takes seconds */
#define STEP_MS	     60000
#define RANGE_BITS   6	  /* 2^6 blocks of the result are made at once */
#define BLOCK_OCTETS 3000 /* of a block, about, when the size of the result is guessed: tokens come together */
#define CLASSES	     4	  /* segments beyond stay as they are */

/* 1, 16, 256, 4096, 65536 messages. */
static int
class_of(const struct search_segment *s)
{
	int c = 0;
	for (int32_t n = s->messages; n >= 16 && c < CLASSES; n /= 16)
		c++;
	return c;
}

static int
group_compare(const void *x, const void *y)
{
	const struct search_segment *a = x, *b = y;
	int order = search_month(&a->first) - search_month(&b->first);
	if (order == 0)
		order = class_of(a) - class_of(b);
	if (order == 0)
		order = a->epoch - b->epoch;
	return order != 0 ? order : memcmp(&a->first, &b->first, sizeof(a->first));
}

static bool
same_group(const struct search_segment *a, const struct search_segment *b)
{
	return search_month(&a->first) == search_month(&b->first) && class_of(a) == class_of(b) && a->epoch == b->epoch;
}

/* The first SEARCH_MERGE_MAX of a kind; 0 when there is no such kind. Sorts v. */
static size_t
choose(struct search_segment *v, size_t n, const struct search_segment **first_r)
{
	if (n < SEARCH_MERGE_MAX)
		return 0;
	qsort(v, n, sizeof(*v), group_compare);
	for (size_t at = 0, end; at < n; at = end) {
		for (end = at; end < n && same_group(&v[at], &v[end]);)
			end++;
		if (class_of(&v[at]) >= CLASSES || end - at < SEARCH_MERGE_MAX)
			continue;
		uint32_t total = 0;
		size_t k = 0;
		while (k < SEARCH_MERGE_MAX && total + (uint32_t)v[at + k].messages <= SEARCH_SEGMENT_MAX)
			total += (uint32_t)v[at + k++].messages;
		*first_r = &v[at];
		return k >= 2 ? k : 0;
	}
	return 0;
}

struct merging {
	struct search_writer *w;
	const struct uuid *tenant;
	const struct search_segment *in;
	size_t n;
	struct search_segment out;
	struct search_order order;
	struct search_rows rows;
	struct arena *a;
};

static enum rc
drop(struct search_writer *w, const struct uuid *tenant, const struct uuid *ids, size_t n, struct err *e)
{
	struct db_tx *tx = NULL;
	enum rc rc = db_begin(w->pool, tenant, clock_mono_ms() + STEP_MS, &tx, e);
	if (rc == RC_OK)
		rc = search_store_segments_drop(tx, tenant, ids, n, e);
	if (rc == RC_OK)
		rc = db_commit(&tx, e);
	db_end(&tx);
	return rc;
}

static enum rc
flush(struct merging *m, struct err *e)
{
	struct db_tx *tx = NULL;
	if (m->rows.n == 0)
		return RC_OK;
	enum rc rc = db_begin(m->w->pool, m->tenant, clock_mono_ms() + STEP_MS, &tx, e);
	if (rc == RC_OK)
		rc = search_rows_flush(&m->rows, tx, e);
	if (rc == RC_OK)
		rc = db_commit(&tx, e);
	db_end(&tx);
	return rc;
}

static enum rc
emit(void *ctx, uint32_t bucket, struct bytes block, struct err *e)
{
	struct merging *m = ctx;
	enum rc rc = search_rows_full(&m->rows) ? flush(m, e) : RC_OK;
	return rc == RC_OK ? search_rows_block(&m->rows, bucket, block, e) : rc;
}

/* Ids of all messages of a segment, by its pages. */
static enum rc
read_ids(struct db_tx *tx, const struct uuid *tenant, const struct search_segment *s, struct arena *a,
	 struct uuid **ids_r, struct err *e)
{
	struct search_row *v = NULL;
	size_t n = 0, total = (size_t)s->messages, pages = (total + SEARCH_PAGE - 1) / SEARCH_PAGE;
	enum rc rc = search_store_range(tx, tenant, &s->id, -(int32_t)pages, 0, a, &v, &n, e);
	if (rc != RC_OK)
		return rc;
	struct uuid *ids = arena_new_array(a, struct uuid, total + 1);
	for (size_t i = 0; i < n && n == pages; i++) { /* the last page comes first */
		size_t at = (pages - 1 - i) * SEARCH_PAGE, want = total - at < SEARCH_PAGE ? total - at : SEARCH_PAGE;
		if (v[i].bucket != (int32_t)i - (int32_t)pages || v[i].data.n != want * sizeof(*ids))
			return err_set(e, RC_INVALID, "a segment of the search index lacks ids");
		memcpy(ids + at, v[i].data.p, v[i].data.n);
	}
	if (n != pages)
		return err_set(e, RC_INVALID, "a segment of the search index lacks ids");
	*ids_r = ids;
	return RC_OK;
}

/* Who goes where, and the row of the new segment. */
static enum rc
plan(struct merging *m, struct db_tx *tx, struct err *e)
{
	const struct uuid *ids[SEARCH_MERGE_MAX];
	uint32_t counts[SEARCH_MERGE_MAX];
	uint64_t octets = 0;
	enum rc rc = RC_OK;
	for (size_t i = 0; rc == RC_OK && i < m->n; i++) {
		struct uuid *v = NULL;
		rc = read_ids(tx, m->tenant, &m->in[i], m->a, &v, e);
		ids[i] = v;
		counts[i] = (uint32_t)m->in[i].messages;
		octets += (UINT64_C(1) << m->in[i].bits) * BLOCK_OCTETS;
	}
	if (rc == RC_OK)
		rc = search_order_make(m->a, ids, counts, m->n, &m->order, e);
	if (rc != RC_OK)
		return rc;
	m->out = (struct search_segment){
	    .id = uuid_v7(uuid_time_us(&m->order.ids[0])),
	    .first = m->order.ids[0],
	    .last = m->order.ids[m->order.n - 1],
	    .messages = (int32_t)m->order.n,
	    .epoch = m->in[0].epoch,
	    .bits = search_bits_for(octets),
	    .fence = search_fence(m->order.ids, m->order.n, m->a),
	    .building = true,
	};
	struct db_tx *own = NULL;
	rc = db_begin(m->w->pool, m->tenant, clock_mono_ms() + STEP_MS, &own, e);
	if (rc == RC_OK)
		rc = search_store_segment_add(own, m->tenant, &m->out, e);
	if (rc == RC_OK)
		rc = db_commit(&own, e);
	db_end(&own);
	return rc;
}

/* The buckets of s that cover range of 2^bits. */
static void
buckets_of(const struct search_segment *s, uint32_t range, int bits, uint32_t *from, uint32_t *to)
{
	if (s->bits >= bits) {
		*from = range << (s->bits - bits);
		*to = (range + 1) << (s->bits - bits);
	} else {
		*from = range >> (bits - s->bits);
		*to = *from + 1;
	}
}

/* One range of hashes: read, open, merge. */
static enum rc
merge_range(struct merging *m, struct db_tx *tx, uint32_t range, int bits, struct arena *a, struct err *e)
{
	struct search_input inputs[SEARCH_MERGE_MAX];
	struct bytes *blocks[SEARCH_MERGE_MAX];
	size_t n = 0;
	uint32_t from, to;
	for (size_t i = 0; i < m->n; i++) {
		buckets_of(&m->in[i], range, bits, &from, &to);
		n += to - from;
	}
	struct search_row *rows = arena_new_array(a, struct search_row, n);
	n = 0;
	for (size_t i = 0; i < m->n; i++) {
		buckets_of(&m->in[i], range, bits, &from, &to);
		for (uint32_t k = from; k < to; k++)
			rows[n++] = (struct search_row){m->in[i].id, (int32_t)k, bytes_of(NULL, 0)};
	}
	enum rc rc = search_store_blocks(tx, m->tenant, rows, n, a, e);
	struct buf plain;
	buf_init(&plain, 0);
	for (size_t i = 0, at = 0; rc == RC_OK && i < m->n; i++) {
		buckets_of(&m->in[i], range, bits, &from, &to);
		size_t k = 0;
		blocks[i] = arena_new_array(a, struct bytes, to - from);
		for (uint32_t b = from; rc == RC_OK && b < to; b++, at++) {
			if (rows[at].data.p == NULL)
				continue;
			buf_reset(&plain);
			rc = search_block_open(m->w->content, m->tenant, &m->in[i].id, b, rows[at].data, &plain, e);
			blocks[i][k++] = arena_bytes(a, buf_bytes(&plain));
		}
		inputs[i] = (struct search_input){m->order.maps[i], (uint32_t)m->in[i].messages, blocks[i], k};
	}
	buf_done(&plain);
	if (rc != RC_OK)
		return rc;
	struct search_range r = {.bits = bits, .range = range};
	return search_merge(inputs, m->n, &r, (uint32_t)m->order.n, m->out.bits, emit, m, e);
}

static enum rc
write_blocks(struct merging *m, struct db_tx *tx, struct err *e)
{
	int bits = m->out.bits > RANGE_BITS ? m->out.bits - RANGE_BITS : 0;
	enum rc rc = RC_OK;
	struct arena *a = arena_new();
	for (uint32_t range = 0; rc == RC_OK && range < 1u << bits; range++) {
		rc = merge_range(m, tx, range, bits, a, e);
		arena_reset(a);
		if (rc == RC_OK && m->w->pace != NULL && !m->w->pace(m->w->pace_ctx))
			rc = err_set(e, RC_RETRY, "the merge was stopped");
	}
	arena_free(&a);
	for (size_t at = 0; rc == RC_OK && at < m->order.n; at += SEARCH_PAGE) {
		size_t left = m->order.n - at;
		if (search_rows_full(&m->rows))
			rc = flush(m, e);
		if (rc == RC_OK)
			search_rows_page(&m->rows, at / SEARCH_PAGE, m->order.ids + at,
					 left < SEARCH_PAGE ? left : SEARCH_PAGE);
	}
	return rc == RC_OK ? flush(m, e) : rc;
}

static enum rc
show(struct merging *m, struct err *e)
{
	struct db_tx *tx = NULL;
	struct uuid ids[SEARCH_MERGE_MAX];
	for (size_t i = 0; i < m->n; i++)
		ids[i] = m->in[i].id;
	enum rc rc = db_begin(m->w->pool, m->tenant, clock_mono_ms() + STEP_MS, &tx, e);
	if (rc == RC_OK)
		rc = search_store_segment_built(tx, m->tenant, &m->out.id, e);
	if (rc == RC_OK)
		rc = search_store_segments_drop(tx, m->tenant, ids, m->n, e);
	if (rc == RC_OK)
		rc = db_commit(&tx, e);
	db_end(&tx);
	return rc;
}

static enum rc
merge(struct merging *m, struct db_tx *lock, struct err *e)
{
	enum rc rc = plan(m, lock, e);
	if (rc != RC_OK)
		return rc;
	search_rows_init(&m->rows, m->w, m->tenant, &m->out.id);
	rc = write_blocks(m, lock, e);
	search_rows_done(&m->rows);
	return rc == RC_OK ? show(m, e) : rc;
}

enum rc
search_write_merge(struct search_writer *w, const struct uuid *tenant, bool *merged_r, struct err *e)
{
	struct db_tx *lock = NULL;
	struct search_segment *v = NULL;
	size_t n = 0, k = 0;
	bool got = false;
	struct merging m = {.w = w, .tenant = tenant, .a = arena_new()};
	*merged_r = false;
	enum rc rc = db_begin(w->pool, tenant, clock_mono_ms() + LOCK_MS, &lock, e);
	if (rc == RC_OK)
		rc = search_store_lock(lock, tenant, &got, e);
	if (rc == RC_OK && got)
		rc = search_store_segments(lock, tenant, m.a, &v, &n, e);
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		if (v[i].building) /* of one who is no more */
			rc = drop(w, tenant, &v[i].id, 1, e);
		else
			v[k++] = v[i];
	}
	if (rc == RC_OK)
		m.n = choose(v, k, &m.in);
	if (rc == RC_OK && m.n > 0) {
		rc = merge(&m, lock, e);
		*merged_r = rc == RC_OK;
	}
	db_end(&lock);
	arena_free(&m.a);
	return rc;
}
