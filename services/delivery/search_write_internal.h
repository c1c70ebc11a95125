/* SPDX-License-Identifier: MIT
 *
 * Between search_write.c and search_compact.c: rows of a segment on their way into the database.
 */
#ifndef DELIVERY_SEARCH_WRITE_INTERNAL_H
#define DELIVERY_SEARCH_WRITE_INTERNAL_H

#include "search_write.h"

#define SEARCH_ROWS_MAX	   512
#define SEARCH_ROWS_OCTETS (2u * 1024 * 1024)

struct search_writer {
	struct db_pool *pool;
	struct content *content;
	bool (*pace)(void *ctx);
	void *pace_ctx;
};

struct search_rows {
	struct search_writer *w;
	const struct uuid *tenant, *segment;
	struct search_row v[SEARCH_ROWS_MAX];
	size_t n, octets;
	struct arena *a; /* of the rows; reset by flush */
};
void search_rows_init(struct search_rows *r, struct search_writer *w, const struct uuid *tenant,
		      const struct uuid *segment);
void search_rows_done(struct search_rows *r);
/* No further row before a flush. */
bool search_rows_full(const struct search_rows *r);
enum rc search_rows_flush(struct search_rows *r, struct db_tx *tx, struct err *e) MUST_CHECK;
/* Seal and add. */
enum rc search_rows_block(struct search_rows *r, uint32_t bucket, struct bytes plain, struct err *e) MUST_CHECK;
void search_rows_page(struct search_rows *r, size_t page, const struct uuid *ids, size_t n);

/* First octets of the first id of each page. */
struct bytes search_fence(const struct uuid *ids, size_t n, struct arena *a);

#endif
