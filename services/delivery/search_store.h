/* SPDX-License-Identifier: MIT
 *
 * SQL of the search index. As in store.h: everything read lies in the arena given, every function works inside a
 * transaction of its tenant unless it takes a pool.
 */
#ifndef DELIVERY_SEARCH_STORE_H
#define DELIVERY_SEARCH_STORE_H

#include "store.h"

#define SEARCH_PAGE  128 /* ids in a row */
#define SEARCH_FENCE 6	 /* octets of an id: its milliseconds */

/* --- what waits ------------------------------------------------------------------------------------------------ */
/* These messages are not in the index yet; n > 0. */
enum rc search_store_arrived(struct db_tx *tx, const struct uuid *tenant, const struct uuid *ids, size_t n,
			     struct err *e) MUST_CHECK;

struct search_waiting {
	struct uuid tenant;
	int64_t oldest_us; /* since when */
	int64_t messages;
};
enum rc search_store_waiting(struct db_pool *p, int64_t deadline_ms, struct arena *a, struct search_waiting **v_r,
			     size_t *n_r, struct err *e) MUST_CHECK;

struct search_arrival {
	struct uuid first;
	struct uuid *ids;
	size_t n;
};
/* Rows of arrivals by their first message, oldest or newest ones. */
enum rc search_store_arrivals(struct db_tx *tx, const struct uuid *tenant, bool newest, int32_t limit, struct arena *a,
			      struct search_arrival **v_r, size_t *n_r, struct err *e) MUST_CHECK;
/* RC_CONFLICT unless all of them were there: somebody else has indexed them. */
enum rc search_store_taken(struct db_tx *tx, const struct uuid *tenant, const struct uuid *firsts, size_t n,
			   struct err *e) MUST_CHECK;
/* Until the transaction ends nobody else gets it for that tenant. No write, no lock that others could meet. */
enum rc search_store_lock(struct db_tx *tx, const struct uuid *tenant, bool *got_r, struct err *e) MUST_CHECK;

/* --- messages -------------------------------------------------------------------------------------------------- */
/* Those of the ids that there are, newest first, legs by number. */
enum rc search_store_views(struct db_tx *tx, const struct uuid *tenant, const struct uuid *ids, size_t n,
			   struct arena *a, struct store_view **v_r, size_t *n_r, struct err *e) MUST_CHECK;

/* --- segments -------------------------------------------------------------------------------------------------- */
struct search_segment {
	struct uuid id, first, last;
	int32_t epoch, messages, bits;
	struct bytes fence;
	bool building;
};
/* Segments by their last message, newest first. RC_INVALID when one's numbers cannot be: whoever searches or merges
 * goes by them. */
enum rc search_store_segments(struct db_tx *tx, const struct uuid *tenant, struct arena *a, struct search_segment **v_r,
			      size_t *n_r, struct err *e) MUST_CHECK;
enum rc search_store_segment_add(struct db_tx *tx, const struct uuid *tenant, const struct search_segment *s,
				 struct err *e) MUST_CHECK;
/* From now on it is read; RC_CONFLICT when it is not there or was built before. */
enum rc search_store_segment_built(struct db_tx *tx, const struct uuid *tenant, const struct uuid *id,
				   struct err *e) MUST_CHECK;
/* With their blocks; RC_CONFLICT unless all of them were there. */
enum rc search_store_segments_drop(struct db_tx *tx, const struct uuid *tenant, const struct uuid *ids, size_t n,
				   struct err *e) MUST_CHECK;

struct search_row {
	struct uuid segment;
	int32_t bucket;
	struct bytes data; /* read: p NULL when there is no such block */
};
/* RC_CONFLICT when the segment is gone. */
enum rc search_store_blocks_add(struct db_tx *tx, const struct uuid *tenant, const struct uuid *segment,
				const struct search_row *v, size_t n, struct err *e) MUST_CHECK;
/* Fill in data. */
enum rc search_store_blocks(struct db_tx *tx, const struct uuid *tenant, struct search_row *v, size_t n,
			    struct arena *a, struct err *e) MUST_CHECK;
/* All blocks of one segment with from <= bucket < to, in order. */
enum rc search_store_range(struct db_tx *tx, const struct uuid *tenant, const struct uuid *segment, int32_t from,
			   int32_t to, struct arena *a, struct search_row **v_r, size_t *n_r, struct err *e) MUST_CHECK;

#endif
