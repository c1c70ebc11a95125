/* SPDX-License-Identifier: MIT
 *
 * A block of a search segment: the tokens of one bucket (the top bits of their hashes), each with the messages that
 * have it, as ordinals within the segment. What is read comes out of a database: every number is checked.
 *
 *   block   := entry*                       hashes ascending
 *   entry   := varint(hash - the one before) varint(2 * count + dense) list
 *   list    := varint(ordinal)              count 1
 *            | varint(octets) varint(first ordinal) varint(step)*      sparse; steps are at least 1
 *            | varint(octets) varint(first / 8) bitmap                 dense; bit 0 of octet 0 first
 *
 * varint is LEB128, at most 10 octets, no longer than needed.
 */
#ifndef DELIVERY_SEARCH_BLOCK_H
#define DELIVERY_SEARCH_BLOCK_H

#include "core/bytes.h"

#define SEARCH_SEGMENT_MAX (256u * 1024) /* messages */
#define SEARCH_BITS_MAX	   20

/* Bucket of a hash among 2^bits. */
static inline uint32_t
search_bucket(uint64_t hash, int bits)
{
	return bits == 0 ? 0 : (uint32_t)(hash >> (64 - bits));
}

/* --- writing --------------------------------------------------------------------------------------------------- */
/* Append an entry; *last is the hash before, 0 at the beginning of a block. Ordinals ascend, n > 0, hash > *last. */
void search_block_add(struct buf *b, uint64_t *last, uint64_t hash, const uint32_t *ordinals, size_t n);

/* --- reading --------------------------------------------------------------------------------------------------- */
struct search_postings {
	uint64_t hash;
	uint32_t count;
	bool dense;
	struct bytes list; /* into the block */
};
struct search_block {
	struct bytes rest;
	uint64_t hash;
	uint32_t messages; /* of the segment */
};
void search_block_begin(struct search_block *b, struct bytes octets, uint32_t messages);
/* RC_NOT_FOUND at the end, RC_INVALID when it is no block. */
enum rc search_block_next(struct search_block *b, struct search_postings *out_r, struct err *e) MUST_CHECK;
/* The entry of that hash; RC_NOT_FOUND when there is none. */
enum rc search_block_find(struct bytes octets, uint32_t messages, uint64_t hash, struct search_postings *out_r,
			  struct err *e) MUST_CHECK;

/* Ordinals in order; room for p->count. */
enum rc search_postings_list(const struct search_postings *p, uint32_t messages, uint32_t *out,
			     struct err *e) MUST_CHECK;
/* Set the bits of the ordinals; (messages + 63) / 64 words. */
enum rc search_postings_mark(const struct search_postings *p, uint32_t messages, uint64_t *bits,
			     struct err *e) MUST_CHECK;

#endif
