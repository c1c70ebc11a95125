/* SPDX-License-Identifier: MIT
 *
 * Writing the search index: waiting messages into a segment, small segments into a bigger one. Any number of processes
 * may try; a lock per tenant keeps them from doing the same work, and the commit compares what it replaces, so that one
 * of two who did it anyway fails. A crash at any point leaves what waited waiting, or a segment that is still being
 * built, which the next writer removes. One thread per writer.
 */
#ifndef DELIVERY_SEARCH_WRITE_H
#define DELIVERY_SEARCH_WRITE_H

#include "content/content.h"
#include "search_segment.h"
#include "search_store.h"

struct search_writer;
struct search_writer *search_writer_new(struct db_pool *pool, struct content *content);
void search_writer_free(struct search_writer **w);
/* Asked between steps of a long merge: it may sleep, and ends the merge with RC_RETRY by returning false. */
void search_writer_set_pace(struct search_writer *w, bool (*pace)(void *ctx), void *ctx);

/* At most about max waiting messages of the tenant, oldest first, become segments; *n_r of them did. */
enum rc search_write_waiting(struct search_writer *w, const struct uuid *tenant, size_t max, size_t *n_r,
			     struct err *e) MUST_CHECK;
/* One merge, if there are enough segments of one size. */
enum rc search_write_merge(struct search_writer *w, const struct uuid *tenant, bool *merged_r,
			   struct err *e) MUST_CHECK;

/* A segment of n messages in the order of their ids, all of one month; tokens[i] of ids[i]. In the caller's
 * transaction. */
enum rc search_write_segment(struct search_writer *w, struct db_tx *tx, const struct uuid *tenant,
			     const struct uuid *ids, struct search_builder *b, size_t n, struct err *e) MUST_CHECK;
/* Key of the token hashes; epoch 0: of the newest data key. */
enum rc search_key(struct content *c, const struct uuid *tenant, int32_t *epoch, struct search_key *key_r,
		   struct err *e) MUST_CHECK;

/* Sealed blocks. The name binds a block to its place. */
enum rc search_block_seal(struct content *c, const struct uuid *tenant, const struct uuid *segment, uint32_t bucket,
			  struct bytes plain, struct buf *out, struct err *e) MUST_CHECK;
enum rc search_block_open(struct content *c, const struct uuid *tenant, const struct uuid *segment, uint32_t bucket,
			  struct bytes sealed, struct buf *out, struct err *e) MUST_CHECK;

/* Months since year 0 of an id's time, UTC. */
int search_month(const struct uuid *id);

#endif
