/* SPDX-License-Identifier: MIT
 *
 * All SQL of audit. store_append.c: what the appender does, in transactions of one tenant; store_read.c: what is asked.
 * Functions that take a tx leave its end to the caller.
 */
#ifndef AUDIT_STORE_H
#define AUDIT_STORE_H

#include "db/db.h"
#include "record/tiles.h"

/* --- sources of intents ---------------------------------------------------------------------------------------- */
/* Schemas that may have audit_intent; one that has none (yet) is left out. */
#define STORE_SOURCES 8
const char *store_source_name(int source);
/* Which of them are there: bit n. */
enum rc store_sources(struct db_pool *p, int64_t deadline_ms, unsigned *mask_r, struct err *e) MUST_CHECK;

/* Every transaction below `horizon` has ended, and none from `end` on has begun. */
struct store_horizon {
	int64_t cluster; /* identifies the database whose transaction ids these are */
	int64_t horizon, end;
};
enum rc store_horizon(struct db_pool *p, int64_t deadline_ms, struct store_horizon *out_r, struct err *e) MUST_CHECK;

struct store_waiting {
	struct uuid tenant;
	int64_t oldest_us;
};
enum rc store_waiting(struct db_pool *p, int source, const struct store_horizon *h, const struct uuid *tenants,
		      size_t n, int64_t deadline_ms, struct arena *a, struct store_waiting **v_r, size_t *n_r,
		      struct err *e) MUST_CHECK;

struct store_intent {
	struct uuid id, subject, epoch;
	int64_t at_us, seq, xid;
	const char *writer, *action, *outcome, *trace;
	struct bytes actor, source, detail;
	int32_t number;
	bool known; /* appended already */
};
struct store_mark {
	bool found;
	int64_t xid, cluster;
	struct uuid id;
};
enum rc store_mark(struct db_tx *tx, const struct uuid *tenant, int source, struct store_mark *out_r,
		   struct err *e) MUST_CHECK;
enum rc store_mark_set(struct db_tx *tx, const struct uuid *tenant, int source, const struct store_mark *m,
		       struct err *e) MUST_CHECK;
/* At most limit intents after the mark, in the order of (xid, id). */
enum rc store_intents(struct db_tx *tx, const struct uuid *tenant, int source, const struct store_mark *m,
		      const struct store_horizon *h, int limit, struct arena *a, struct store_intent **v_r, size_t *n_r,
		      struct err *e) MUST_CHECK;
/* Those whose transaction id this database has not given out yet (they came with a dump), and that are not known. */
enum rc store_intents_foreign(struct db_tx *tx, const struct uuid *tenant, int source, const struct store_horizon *h,
			      int limit, struct arena *a, struct store_intent **v_r, size_t *n_r,
			      struct err *e) MUST_CHECK;

/* --- the log ---------------------------------------------------------------------------------------------------- */
/* size 0 and the root of nothing if there is none. */
enum rc store_tree(struct db_tx *tx, const struct uuid *tenant, uint64_t *size_r, struct merkle_hash *root_r,
		   struct err *e) MUST_CHECK;
/* The growing tiles of a tree of that size. RC_INTERNAL if one is missing or short. */
enum rc store_edge(struct db_tx *tx, const struct uuid *tenant, uint64_t size, struct tiles_edge *out,
		   struct err *e) MUST_CHECK;

struct store_entry {
	uint64_t index;
	struct uuid intent, subject;
	int64_t at_us;
	const char *action, *outcome;
	struct bytes actor, source;
	struct merkle_hash leaf;
	struct bytes sealed; /* p NULL: erased */
};
struct store_tile {
	int level;
	uint64_t number;
	struct bytes hashes;
};
/* Entries, tiles and the new size and root; RC_CONFLICT if the tree has not size `before` any more. */
enum rc store_append(struct db_tx *tx, const struct uuid *tenant, uint64_t before, const struct store_entry *v,
		     size_t n, const struct store_tile *tiles, size_t n_tiles, const struct merkle_hash *root,
		     struct err *e) MUST_CHECK;

/* Numbers that were met: ranges[i] is a multirange as text. */
enum rc store_seen(struct db_tx *tx, const char *const *writers, const struct uuid *epochs, const char *const *ranges,
		   size_t n, struct err *e) MUST_CHECK;
struct store_gap {
	const char *writer, *missing, *seen;
	struct uuid epoch;
};
enum rc store_gaps(struct db_pool *p, int64_t deadline_ms, struct arena *a, struct store_gap **v_r, size_t *n_r,
		   struct err *e) MUST_CHECK;
/* Say that it was reported; RC_CONFLICT if it has changed meanwhile. */
enum rc store_gap_close(struct db_tx *tx, const struct store_gap *g, struct err *e) MUST_CHECK;

struct store_head {
	uint64_t size;
	struct merkle_hash root;
	struct bytes checkpoint;
	int64_t at_us;
};
/* Keeps the first head of a size; RC_CONFLICT if that has another root. */
enum rc store_head_put(struct db_pool *p, const struct uuid *tenant, const struct store_head *h, int64_t deadline_ms,
		       struct err *e) MUST_CHECK;

/* Wrapped data keys of a tenant: for the copy outside, and back. */
struct store_key {
	int32_t epoch;
	struct bytes wrapped;
};
enum rc store_keys(struct db_tx *tx, const struct uuid *tenant, struct arena *a, struct store_key **v_r, size_t *n_r,
		   struct err *e) MUST_CHECK;
enum rc store_key_put(struct db_tx *tx, const struct uuid *tenant, const struct store_key *k, struct err *e) MUST_CHECK;

/* --- reading ---------------------------------------------------------------------------------------------------- */
#define STORE_LAST_US INT64_C(253402300799000000) /* the year 9999 */
/* "" and DB_TIME_NULL: no condition. */
struct store_filter {
	struct bytes actor, source;
	const char *action, *action_end; /* action_end: the first text after a prefix; NULL: exact */
	const char *outcome;
	bool has_subject;
	struct uuid subject;
	int64_t from_us, until_us;
};
/* Newest first (at, index), before (before_us, before_index); DB_TIME_NULL: from the newest. */
enum rc store_search(struct db_tx *tx, const struct uuid *tenant, const struct store_filter *f, int64_t before_us,
		     uint64_t before_index, int limit, struct arena *a, struct store_entry **v_r, size_t *n_r,
		     struct err *e) MUST_CHECK;
/* By index: at most limit entries that fit, from first up to before end; f NULL: all. */
enum rc store_range(struct db_tx *tx, const struct uuid *tenant, const struct store_filter *f, uint64_t first,
		    uint64_t end, int limit, struct arena *a, struct store_entry **v_r, size_t *n_r,
		    struct err *e) MUST_CHECK;
/* The same of these actions only. */
enum rc store_of_actions(struct db_tx *tx, const struct uuid *tenant, const char *const *actions, size_t n_actions,
			 uint64_t first, uint64_t end, int limit, struct arena *a, struct store_entry **v_r,
			 size_t *n_r, struct err *e) MUST_CHECK;
/* Heads by size, downwards, below `below`. */
enum rc store_heads(struct db_tx *tx, const struct uuid *tenant, uint64_t below, int limit, struct arena *a,
		    struct store_head **v_r, size_t *n_r, struct err *e) MUST_CHECK;
/* The last head of each thousand entries with first < size <= last. */
enum rc store_heads_between(struct db_tx *tx, const struct uuid *tenant, uint64_t first, uint64_t last, struct arena *a,
			    struct store_head **v_r, size_t *n_r, struct err *e) MUST_CHECK;
/* RC_NOT_FOUND if there is none of that size. */
enum rc store_head_of(struct db_tx *tx, const struct uuid *tenant, uint64_t size, struct arena *a,
		      struct store_head *out_r, struct err *e) MUST_CHECK;

/* Reads tiles and keeps those it read. */
struct store_tiles;
struct store_tiles *store_tiles_new(struct db_tx *tx, const struct uuid *tenant, struct arena *a);
struct tiles_reader store_tiles_reader(struct store_tiles *t);

#endif
