/* SPDX-License-Identifier: MIT
 *
 * One query for each group. No state of its own.
 */
#include "facts_read.h"

#define AT_ONCE	  128
#define FACTS_OWN (64u * 1024) /* of a message, besides its text */

enum rc
facts_read(struct content *c, struct db_tx *tx, const struct uuid *tenant, const struct uuid *ids,
	   const uint64_t *sizes, size_t n, facts_read_each *each, void *ctx, struct err *e)
{
	struct bytes data[AT_ONCE];
	struct arena *scratch = arena_new();
	enum rc rc = RC_OK;
	for (size_t at = 0, end; rc == RC_OK && at < n; at = end) {
		uint64_t octets = 0;
		for (end = at; end < n && end - at < AT_ONCE && octets < FACTS_READ_OCTETS; end++)
			octets += FACTS_OWN + (sizes[end] < FACTS_ENCODED_MAX ? sizes[end] : FACTS_ENCODED_MAX);
		rc = content_get_many(c, tx, tenant, ids + at, end - at, CONTENT_FACTS, FACTS_ENCODED_MAX, data, NULL,
				      scratch, e);
		for (size_t i = at; rc == RC_OK && i < end; i++) {
			struct facts *facts = NULL;
			if (data[i - at].p != NULL && facts_decode(data[i - at], scratch, &facts, NULL) != RC_OK)
				facts = NULL;
			rc = each(ctx, i, facts, scratch, e);
		}
		arena_reset(scratch);
	}
	arena_free(&scratch);
	return rc;
}
