/* SPDX-License-Identifier: MIT
 *
 * Candidates of a search, newest first, out of any number of segments whose times may overlap. Segments are opened only
 * when their newest message may be next.
 */
#ifndef DELIVERY_SEARCH_SOURCE_H
#define DELIVERY_SEARCH_SOURCE_H

#include "content/content.h"
#include "search_find.h"

struct search_sources;
/* tx: one snapshot, of the tenant; everything lives in a. */
enum rc search_sources_open(struct db_tx *tx, struct content *c, const struct uuid *tenant,
			    const struct search_ask *ask, struct arena *a, struct search_sources **out_r,
			    struct err *e) MUST_CHECK;
/* The next one, RC_NOT_FOUND when there is none. No id comes twice. */
enum rc search_sources_next(struct search_sources *s, struct uuid *id_r, struct err *e) MUST_CHECK;
/* What waits beyond what is looked at: the time of the first such message, or 0. */
int64_t search_sources_indexed_until(const struct search_sources *s);
void search_sources_effort(const struct search_sources *s, size_t *segments_r, size_t *blocks_r);

#endif
