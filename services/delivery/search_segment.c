/* SPDX-License-Identifier: MIT
 *
 * New segments are sorted in memory: pairs of (hash, ordinal), by radix, because a batch of 512 mails has half a
 * million. Segments are merged range by range; what is in memory is one range of all inputs.
 */
#include "search_segment.h"

#include <stdlib.h>

#define BLOCK_AIM  5500 /* octets; rows up to 8 KiB stay in their page, and hashes spread evenly but not quite */
#define PAIR_COST  2	/* octets of a pair in a small segment, about */
#define TOKEN_COST 9	/* and of a token */
#define RADIX_FROM 4096 /* below, qsort is quicker */
#define RADIX_BITS 16

struct pair {
	uint64_t hash;
	uint32_t ordinal;
};

struct search_builder {
	struct pair *v, *other;
	size_t n, cap;
	uint32_t *ordinals; /* scratch of emit */
	size_t cap_ordinals;
};

static void *
grown(void *p, size_t n, size_t size)
{
	void *more = reallocarray(p, n, size);
	if (more == NULL)
		abort();
	return more;
}

struct search_builder *
search_builder_new(void)
{
	struct search_builder *b = calloc(1, sizeof(*b));
	if (b == NULL)
		abort();
	return b;
}

void
search_builder_free(struct search_builder **bp)
{
	struct search_builder *b = *bp;
	if (b == NULL)
		return;
	free(b->v);
	free(b->other);
	free(b->ordinals);
	free(b);
	*bp = NULL;
}

void
search_builder_add(struct search_builder *b, uint32_t ordinal, const struct search_set *tokens)
{
	if (b->cap - b->n < tokens->n) {
		b->cap = 2 * b->cap + tokens->n;
		b->v = grown(b->v, b->cap, sizeof(*b->v));
		free(b->other);
		b->other = grown(NULL, b->cap, sizeof(*b->other));
	}
	for (size_t i = 0; i < tokens->n; i++)
		b->v[b->n++] = (struct pair){tokens->v[i], ordinal};
}

size_t
search_builder_pairs(const struct search_builder *b)
{
	return b->n;
}

static int
pair_compare(const void *x, const void *y)
{
	const struct pair *a = x, *b = y;
	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	return a->ordinal < b->ordinal ? -1 : a->ordinal > b->ordinal;
}

/* From the lowest digit on; each pass keeps the order of equals, and ordinals came in order. */
static void
radix_sort(struct search_builder *b)
{
	uint32_t *count = grown(NULL, (1u << RADIX_BITS), sizeof(*count));
	for (int shift = 0; shift < 64; shift += RADIX_BITS) {
		memset(count, 0, sizeof(*count) << RADIX_BITS);
		for (size_t i = 0; i < b->n; i++)
			count[b->v[i].hash >> shift & ((1u << RADIX_BITS) - 1)]++;
		uint32_t at = 0;
		for (size_t i = 0; i < 1u << RADIX_BITS; i++) {
			uint32_t here = count[i];
			count[i] = at;
			at += here;
		}
		for (size_t i = 0; i < b->n; i++)
			b->other[count[b->v[i].hash >> shift & ((1u << RADIX_BITS) - 1)]++] = b->v[i];
		struct pair *swap = b->v;
		b->v = b->other;
		b->other = swap;
	}
	free(count);
}

int
search_bits_for(uint64_t octets)
{
	int bits = 0;
	while (bits < SEARCH_BITS_MAX && octets >> bits > BLOCK_AIM)
		bits++;
	return bits;
}

void
search_builder_sort(struct search_builder *b, int *bits_r)
{
	if (b->n >= RADIX_FROM)
		radix_sort(b);
	else if (b->n > 0)
		qsort(b->v, b->n, sizeof(*b->v), pair_compare);
	uint64_t tokens = 0;
	for (size_t i = 0; i < b->n; i++)
		tokens += i == 0 || b->v[i].hash != b->v[i - 1].hash;
	*bits_r = search_bits_for(b->n * PAIR_COST + tokens * TOKEN_COST);
}

/* The block under way. */
struct out {
	struct buf block;
	uint64_t last;
	uint32_t bucket;
	int bits;
	search_emit_fn emit;
	void *ctx;
};

static enum rc
out_flush(struct out *o, struct err *e)
{
	enum rc rc = o->block.n > 0 ? o->emit(o->ctx, o->bucket, buf_bytes(&o->block), e) : RC_OK;
	buf_reset(&o->block);
	o->last = 0;
	return rc;
}

static enum rc
out_add(struct out *o, uint64_t hash, const uint32_t *v, size_t n, struct err *e)
{
	uint32_t bucket = search_bucket(hash, o->bits);
	enum rc rc = bucket != o->bucket ? out_flush(o, e) : RC_OK;
	if (rc != RC_OK)
		return rc;
	o->bucket = bucket;
	search_block_add(&o->block, &o->last, hash, v, n);
	return RC_OK;
}

enum rc
search_builder_emit(struct search_builder *b, int bits, search_emit_fn emit, void *ctx, struct err *e)
{
	struct out o = {.bits = bits, .emit = emit, .ctx = ctx};
	enum rc rc = RC_OK;
	buf_init(&o.block, 0);
	for (size_t i = 0, end; rc == RC_OK && i < b->n; i = end) {
		for (end = i; end < b->n && b->v[end].hash == b->v[i].hash;)
			end++;
		if (end - i > b->cap_ordinals) {
			b->cap_ordinals = 2 * (end - i);
			b->ordinals = grown(b->ordinals, b->cap_ordinals, sizeof(*b->ordinals));
		}
		for (size_t k = i; k < end; k++)
			b->ordinals[k - i] = b->v[k].ordinal;
		rc = out_add(&o, b->v[i].hash, b->ordinals, end - i, e);
	}
	if (rc == RC_OK)
		rc = out_flush(&o, e);
	buf_done(&o.block);
	return rc;
}

/* --- merging --------------------------------------------------------------------------------------------------- */
enum rc
search_order_make(struct arena *a, const struct uuid *const *ids, const uint32_t *counts, size_t n,
		  struct search_order *out_r, struct err *e)
{
	struct search_order o = {.n = 0};
	uint32_t at[SEARCH_MERGE_MAX] = {0};
	size_t total = 0;
	if (n > SEARCH_MERGE_MAX)
		return err_set(e, RC_LIMIT, "%zu segments to merge", n);
	for (size_t i = 0; i < n; i++) {
		total += counts[i];
		o.maps[i] = arena_new_array(a, uint32_t, counts[i] + 1);
	}
	if (total > SEARCH_SEGMENT_MAX)
		return err_set(e, RC_LIMIT, "a segment of %zu messages", total);
	o.ids = arena_new_array(a, struct uuid, total + 1);
	while (o.n < total) {
		size_t least = SIZE_MAX;
		for (size_t i = 0; i < n; i++)
			if (at[i] < counts[i] &&
			    (least == SIZE_MAX || memcmp(&ids[i][at[i]], &ids[least][at[least]], 16) < 0))
				least = i;
		o.ids[o.n] = ids[least][at[least]];
		if (o.n > 0 && memcmp(&o.ids[o.n - 1], &o.ids[o.n], 16) >= 0)
			return err_set(e, RC_INVALID, "segments of the search index are out of order");
		o.maps[least][at[least]++] = (uint32_t)o.n++;
	}
	*out_r = o;
	return RC_OK;
}

/* Where an input stands. */
struct feed {
	const struct search_input *in;
	size_t block; /* the next one */
	struct search_block reader;
	struct search_postings now;
	bool more;
	const struct search_range *range;
};

static enum rc
feed_next(struct feed *f, struct err *e)
{
	uint64_t before = f->now.hash;
	for (;;) {
		enum rc rc = search_block_next(&f->reader, &f->now, e);
		f->more = rc == RC_OK;
		if (rc == RC_OK && f->now.hash <= before)
			return err_set(e, RC_INVALID, "blocks of the search index are out of order");
		if (rc == RC_OK && search_bucket(f->now.hash, f->range->bits) != f->range->range) {
			before = f->now.hash;
			continue;
		}
		if (rc != RC_NOT_FOUND)
			return rc;
		if (f->block == f->in->n_blocks)
			return RC_OK;
		search_block_begin(&f->reader, f->in->blocks[f->block++], f->in->messages);
	}
}

static int
ordinal_compare(const void *x, const void *y)
{
	uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
	return a < b ? -1 : a > b;
}

/* What feed f has for the token, behind the n that are there; *sorted goes when they do not follow. */
static enum rc
gather(struct feed *f, uint32_t total, uint32_t *v, size_t *n, bool *sorted, struct err *e)
{
	if (f->now.count > total - *n)
		return err_set(e, RC_INVALID, "a token of the search index has too many messages");
	enum rc rc = search_postings_list(&f->now, f->in->messages, v + *n, e);
	for (size_t i = *n; rc == RC_OK && i < *n + f->now.count; i++) {
		v[i] = f->in->map[v[i]];
		if (i > 0 && v[i] <= v[i - 1])
			*sorted = false;
	}
	*n += f->now.count;
	return rc;
}

static enum rc
merge(struct feed *feeds, size_t n, uint32_t total, uint32_t *v, struct out *o, struct err *e)
{
	for (;;) {
		const struct feed *least = NULL;
		for (size_t i = 0; i < n; i++)
			if (feeds[i].more && (least == NULL || feeds[i].now.hash < least->now.hash))
				least = &feeds[i];
		if (least == NULL)
			return out_flush(o, e);
		uint64_t hash = least->now.hash;
		size_t count = 0;
		bool sorted = true;
		for (size_t i = 0; i < n; i++) {
			if (!feeds[i].more || feeds[i].now.hash != hash)
				continue;
			enum rc rc = gather(&feeds[i], total, v, &count, &sorted, e);
			if (rc == RC_OK)
				rc = feed_next(&feeds[i], e);
			if (rc != RC_OK)
				return rc;
		}
		if (!sorted)
			qsort(v, count, sizeof(*v), ordinal_compare);
		enum rc rc = out_add(o, hash, v, count, e);
		if (rc != RC_OK)
			return rc;
	}
}

enum rc
search_merge(const struct search_input *in, size_t n, const struct search_range *range, uint32_t total, int bits,
	     search_emit_fn emit, void *ctx, struct err *e)
{
	struct feed feeds[SEARCH_MERGE_MAX] = {0};
	struct out o = {.bits = bits, .emit = emit, .ctx = ctx};
	enum rc rc = n <= SEARCH_MERGE_MAX ? RC_OK : err_set(e, RC_LIMIT, "%zu segments to merge", n);
	uint32_t *v = grown(NULL, (size_t)total + 1, sizeof(*v));
	buf_init(&o.block, 0);
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		feeds[i].in = &in[i];
		feeds[i].range = range;
		rc = feed_next(&feeds[i], e);
	}
	if (rc == RC_OK)
		rc = merge(feeds, n, total, v, &o, e);
	buf_done(&o.block);
	free(v);
	return rc;
}
