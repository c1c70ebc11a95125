/* SPDX-License-Identifier: MIT
 *
 * What the index and the check of its candidates read of messages: the same bytes.
 */
#ifndef DELIVERY_SEARCH_READ_H
#define DELIVERY_SEARCH_READ_H

#include "content/content.h"
#include "search_store.h"

#define SEARCH_READ_MAX 128 /* messages at once */

struct search_read {
	struct store_view view;
	struct bytes document; /* search_text.h */
	const char *subject;
};
/* Those of the n ids that there are, newest first. A message whose facts are gone or do not decode has its envelope
 * only. RC_RETRY when the deadline is over, looked at before each message: a text takes milliseconds. */
enum rc search_read(struct content *c, struct db_tx *tx, const struct uuid *tenant, const struct uuid *ids, size_t n,
		    int64_t deadline_ms, struct arena *a, struct search_read **v_r, size_t *n_r,
		    struct err *e) MUST_CHECK;
enum rc search_in_time(int64_t deadline_ms, struct err *e) MUST_CHECK;

/* "direction:incoming", a token like those of the text. */
const char *search_direction(const char *direction, char out[40]);

#endif
