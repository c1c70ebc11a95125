/* SPDX-License-Identifier: MIT
 *
 * Segments of the search index, made and merged. A segment holds messages in the order of their ids; 2^bits blocks
 * (search_block.h) hold its tokens. Pure: blocks come in and go out, where they are kept is the caller's business.
 */
#ifndef DELIVERY_SEARCH_SEGMENT_H
#define DELIVERY_SEARCH_SEGMENT_H

#include "core/arena.h"
#include "core/id.h"
#include "search_block.h"
#include "search_text.h"

#define SEARCH_MERGE_MAX 16 /* segments merged at once */

/* Takes a finished block; buckets come in order, empty ones do not come. */
typedef enum rc (*search_emit_fn)(void *ctx, uint32_t bucket, struct bytes block, struct err *e);

struct search_builder;
struct search_builder *search_builder_new(void);
void search_builder_free(struct search_builder **b);
/* The tokens of message number ordinal; ordinals ascend from call to call. */
void search_builder_add(struct search_builder *b, uint32_t ordinal, const struct search_set *tokens);
/* Pairs of token and message so far. */
size_t search_builder_pairs(const struct search_builder *b);
/* Sort; say into how many buckets (2^*bits_r) it goes; then hand out. */
void search_builder_sort(struct search_builder *b, int *bits_r);
enum rc search_builder_emit(struct search_builder *b, int bits, search_emit_fn emit, void *ctx,
			    struct err *e) MUST_CHECK;

/* --- merging --------------------------------------------------------------------------------------------------- */
/* Ids of n segments, each in order, into one order: where each one's messages go to. Lives in a. */
struct search_order {
	struct uuid *ids;
	size_t n;
	uint32_t *maps[SEARCH_MERGE_MAX];
};
enum rc search_order_make(struct arena *a, const struct uuid *const *ids, const uint32_t *counts, size_t n,
			  struct search_order *out_r, struct err *e) MUST_CHECK;

struct search_input {
	const uint32_t *map;
	uint32_t messages;
	const struct bytes *blocks; /* in order */
	size_t n_blocks;
};
/* Number range of 2^bits equal ones. */
struct search_range {
	uint32_t range;
	int bits;
};
/* Blocks of all inputs that cover the range, into blocks of 2^bits buckets, at least as many as there are ranges; what
 * they hold beyond the range is left out. total: messages of the result. */
enum rc search_merge(const struct search_input *v, size_t n, const struct search_range *range, uint32_t total, int bits,
		     search_emit_fn emit, void *ctx, struct err *e) MUST_CHECK;

/* Buckets for that many octets: blocks that stay within their row. */
int search_bits_for(uint64_t octets);

#endif
