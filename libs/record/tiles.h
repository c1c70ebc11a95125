/* SPDX-License-Identifier: MIT
 *
 * A tree kept in tiles of 256 hashes, so that appending and proving touch O(log n) of them: tile (level L, number n)
 * holds the roots of the perfect subtrees of height 8 L from 256 n on (level 0: leaf hashes). Full tiles never change;
 * one per level grows. The idea is that of C2SP tlog-tiles. Pure: whoever keeps the tiles lends a function.
 */
#ifndef RECORD_TILES_H
#define RECORD_TILES_H

#include "core/rc.h"
#include "record/merkle.h"

#define TILES_WIDTH  256
#define TILES_LEVELS 8

/* --- append --------------------------------------------------------------------------------------------------- */
/* The growing tile of each level. */
struct tiles_edge {
	uint64_t size;
	struct merkle_hash h[TILES_LEVELS][TILES_WIDTH];
};
/* Number and width (0..255) of the growing tile of a level in a tree of that size. */
uint64_t tiles_edge_number(uint64_t size, int level);
unsigned tiles_edge_width(uint64_t size, int level);

/* Tile `number` of `level` has these hashes now; width 256: it is full. */
typedef void (*tiles_put)(void *ctx, int level, uint64_t number, const struct merkle_hash *h, unsigned width);
/* Add a leaf; put is called for each tile that is full now. */
void tiles_edge_add(struct tiles_edge *t, const struct merkle_hash *leaf, tiles_put put, void *ctx);
/* put is called for each level's growing tile that holds something new since the tree had `before` leaves. */
void tiles_edge_flush(const struct tiles_edge *t, uint64_t before, tiles_put put, void *ctx);
void tiles_edge_root(const struct tiles_edge *t, struct merkle_hash *out);

/* --- read ----------------------------------------------------------------------------------------------------- */
/* Lends at least `width` hashes of a tile until the next call. */
struct tiles_reader {
	enum rc (*get)(void *ctx, int level, uint64_t number, unsigned width, const struct merkle_hash **h_r,
		       struct err *e);
	void *ctx;
};
enum rc tiles_root(const struct tiles_reader *r, uint64_t size, struct merkle_hash *out_r, struct err *e) MUST_CHECK;
enum rc tiles_leaf(const struct tiles_reader *r, uint64_t index, struct merkle_hash *out_r, struct err *e) MUST_CHECK;
enum rc tiles_frontier(const struct tiles_reader *r, uint64_t size, struct merkle_frontier *out_r,
		       struct err *e) MUST_CHECK;
/* RFC 9162, 2.1.3.1 and 2.1.4.1. RC_INVALID unless index < size; first <= second. */
enum rc tiles_inclusion(const struct tiles_reader *r, uint64_t index, uint64_t size,
			struct merkle_hash proof[MERKLE_PROOF_MAX], size_t *n_r, struct err *e) MUST_CHECK;
enum rc tiles_consistency(const struct tiles_reader *r, uint64_t first, uint64_t second,
			  struct merkle_hash proof[MERKLE_PROOF_MAX], size_t *n_r, struct err *e) MUST_CHECK;

#endif
