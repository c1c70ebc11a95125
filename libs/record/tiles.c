/* SPDX-License-Identifier: MIT */
#include "record/tiles.h"

/* --- append --------------------------------------------------------------------------------------------------- */
uint64_t
tiles_edge_number(uint64_t size, int level)
{
	return level >= 7 ? 0 : size >> (8 * (level + 1));
}

unsigned
tiles_edge_width(uint64_t size, int level)
{
	return (unsigned)(size >> (8 * level) & 0xff);
}

/* The root of 2^bits hashes side by side. */
static void
fold(const struct merkle_hash *h, unsigned bits, struct merkle_hash *out)
{
	struct merkle_hash v[TILES_WIDTH / 2];
	if (bits == 0) {
		*out = *h;
		return;
	}
	unsigned n = 1u << (bits - 1);
	for (unsigned i = 0; i < n; i++)
		merkle_node(&h[2 * i], &h[2 * i + 1], &v[i]);
	for (; n > 1; n /= 2)
		for (unsigned i = 0; i < n / 2; i++)
			merkle_node(&v[2 * i], &v[2 * i + 1], &v[i]);
	*out = v[0];
}

void
tiles_edge_add(struct tiles_edge *t, const struct merkle_hash *leaf, tiles_put put, void *ctx)
{
	struct merkle_hash h = *leaf;
	for (int level = 0; level < TILES_LEVELS; level++) {
		unsigned width = tiles_edge_width(t->size, level);
		t->h[level][width] = h;
		if (width + 1 < TILES_WIDTH)
			break;
		put(ctx, level, tiles_edge_number(t->size, level), t->h[level], TILES_WIDTH);
		fold(t->h[level], 8, &h);
	}
	t->size++;
}

void
tiles_edge_flush(const struct tiles_edge *t, uint64_t before, tiles_put put, void *ctx)
{
	for (int level = 0; level < TILES_LEVELS; level++) {
		/* Hashes of the level there were, and there are. */
		uint64_t was = before >> (8 * level), is = t->size >> (8 * level);
		if (is == was)
			break;
		unsigned width = tiles_edge_width(t->size, level);
		if (width > 0)
			put(ctx, level, tiles_edge_number(t->size, level), t->h[level], width);
	}
}

static enum rc
edge_get(void *ctx, int level, uint64_t number, unsigned width, const struct merkle_hash **h_r, struct err *e)
{
	const struct tiles_edge *t = ctx;
	*h_r = t->h[level];
	return RC_OK;
}

void
tiles_edge_root(const struct tiles_edge *t, struct merkle_hash *out)
{
	/* The root needs the growing tiles only. */
	struct tiles_reader r = {edge_get, (void *)t};
	if (tiles_root(&r, t->size, out, NULL) != RC_OK)
		merkle_empty(out); /* cannot be: edge_get() does not fail */
}

/* --- read ----------------------------------------------------------------------------------------------------- */
/* Root of the perfect subtree of that height, the pos-th of its kind. */
static enum rc
perfect(const struct tiles_reader *r, int height, uint64_t pos, struct merkle_hash *out, struct err *e)
{
	int level = height / 8, bits = height % 8;
	uint64_t first = pos << bits;
	unsigned at = (unsigned)(first % TILES_WIDTH);
	const struct merkle_hash *h;
	enum rc rc = r->get(r->ctx, level, first / TILES_WIDTH, at + (1u << bits), &h, e);
	if (rc == RC_OK)
		fold(h + at, (unsigned)bits, out);
	return rc;
}

/* Root of the leaves from lo to hi, where lo is a multiple of the largest power of two in their number. */
static enum rc
range(const struct tiles_reader *r, uint64_t lo, uint64_t hi, struct merkle_hash *out, struct err *e)
{
	struct merkle_hash part, sum;
	bool any = false;
	/* From the right, small to large. */
	for (uint64_t n = hi - lo; n != 0; n &= n - 1) {
		int height = __builtin_ctzll(n);
		hi -= UINT64_C(1) << height;
		enum rc rc = perfect(r, height, hi >> height, &part, e);
		if (rc != RC_OK)
			return rc;
		if (any)
			merkle_node(&part, &sum, &sum);
		else
			sum = part;
		any = true;
	}
	if (any)
		*out = sum;
	else
		merkle_empty(out);
	return RC_OK;
}

enum rc
tiles_root(const struct tiles_reader *r, uint64_t size, struct merkle_hash *out_r, struct err *e)
{
	return range(r, 0, size, out_r, e);
}

enum rc
tiles_leaf(const struct tiles_reader *r, uint64_t index, struct merkle_hash *out_r, struct err *e)
{
	return perfect(r, 0, index, out_r, e);
}

enum rc
tiles_frontier(const struct tiles_reader *r, uint64_t size, struct merkle_frontier *out_r, struct err *e)
{
	struct merkle_frontier f = {.size = size};
	uint64_t lo = 0;
	for (int height = 63; height >= 0; height--) {
		if ((size >> height & 1) == 0)
			continue;
		enum rc rc = perfect(r, height, lo >> height, &f.h[f.n++], e);
		if (rc != RC_OK)
			return rc;
		lo += UINT64_C(1) << height;
	}
	*out_r = f;
	return RC_OK;
}

/* The largest power of two smaller than n; n >= 2. */
static uint64_t
split(uint64_t n)
{
	return UINT64_C(1) << (63 - __builtin_clzll(n - 1));
}

enum rc
tiles_inclusion(const struct tiles_reader *r, uint64_t index, uint64_t size, struct merkle_hash proof[MERKLE_PROOF_MAX],
		size_t *n_r, struct err *e)
{
	if (index >= size)
		return err_set(e, RC_INVALID, "no such leaf");
	/* Downwards, so the hashes come in the wrong order. */
	uint64_t lo = 0, hi = size;
	size_t n = 0;
	while (hi - lo > 1) {
		uint64_t k = lo + split(hi - lo);
		enum rc rc = index < k ? range(r, k, hi, &proof[n], e) : range(r, lo, k, &proof[n], e);
		if (rc != RC_OK)
			return rc;
		n++;
		if (index < k)
			hi = k;
		else
			lo = k;
	}
	for (size_t i = 0; i < n / 2; i++) {
		struct merkle_hash h = proof[i];
		proof[i] = proof[n - 1 - i];
		proof[n - 1 - i] = h;
	}
	*n_r = n;
	return RC_OK;
}

enum rc
tiles_consistency(const struct tiles_reader *r, uint64_t first, uint64_t second,
		  struct merkle_hash proof[MERKLE_PROOF_MAX], size_t *n_r, struct err *e)
{
	if (first > second)
		return err_set(e, RC_INVALID, "the first tree is larger than the second");
	size_t n = 0;
	if (first == 0 || first == second) {
		*n_r = 0;
		return RC_OK;
	}
	uint64_t lo = 0, hi = second;
	enum rc rc = RC_OK;
	/* Until the subtree in hand is a whole part of the first tree. */
	while (rc == RC_OK && hi != first) {
		uint64_t k = lo + split(hi - lo);
		if (first <= k) {
			rc = range(r, k, hi, &proof[n++], e);
			hi = k;
		} else {
			rc = range(r, lo, k, &proof[n++], e);
			lo = k;
		}
	}
	if (rc == RC_OK && lo != 0)
		rc = range(r, lo, hi, &proof[n++], e);
	if (rc != RC_OK)
		return rc;
	for (size_t i = 0; i < n / 2; i++) {
		struct merkle_hash h = proof[i];
		proof[i] = proof[n - 1 - i];
		proof[n - 1 - i] = h;
	}
	*n_r = n;
	return RC_OK;
}
