/* SPDX-License-Identifier: MIT
 *
 * Two queries for all messages; facts are decoded a few at a time, because they may be large.
 */
#include "search_read.h"

#include <stdio.h>

#include "core/clock.h"
#include "mail/facts.h"
#include "search_text.h"

#define FACTS_OCTETS (16u * 1024 * 1024) /* in memory at once, about */
#define FACTS_OWN    (64u * 1024)	 /* of a message, besides its text */

static void
document_of(const struct store_view *v, struct bytes encoded, struct arena *scratch, struct arena *a,
	    struct search_read *out)
{
	struct facts *facts = NULL;
	if (encoded.p != NULL && facts_decode(encoded, scratch, &facts, NULL) != RC_OK)
		facts = NULL;
	struct bytes *recipients = arena_new_array(scratch, struct bytes, v->n_legs + 1);
	for (size_t i = 0; i < v->n_legs; i++)
		recipients[i] = v->legs[i].address;
	struct search_message m = {v->message.mail_from, recipients, v->n_legs, facts};
	*out = (struct search_read){
	    .view = *v,
	    .document = arena_bytes(a, search_document(scratch, &m)),
	    .subject = facts != NULL ? arena_strdup(a, facts->subject) : "",
	};
}

enum rc
search_in_time(int64_t deadline_ms, struct err *e)
{
	return clock_left_ms(deadline_ms) > 0 ? RC_OK : err_set(e, RC_RETRY, "no time is left for the search");
}

enum rc
search_read(struct content *c, struct db_tx *tx, const struct uuid *tenant, const struct uuid *ids, size_t n,
	    int64_t deadline_ms, struct arena *a, struct search_read **v_r, size_t *n_r, struct err *e)
{
	struct store_view *views = NULL;
	size_t found = 0;
	enum rc rc = search_store_views(tx, tenant, ids, n, a, &views, &found, e);
	struct search_read *v = arena_new_array(a, struct search_read, found + 1);
	struct arena *scratch = arena_new();
	for (size_t at = 0, end; rc == RC_OK && at < found; at = end) {
		uint64_t octets = 0;
		struct uuid some[SEARCH_READ_MAX];
		struct bytes data[SEARCH_READ_MAX];
		for (end = at; end < found && end - at < SEARCH_READ_MAX && octets < FACTS_OCTETS; end++) {
			uint64_t size = views[end].message.size;
			octets += FACTS_OWN + (size < FACTS_ENCODED_MAX ? size : FACTS_ENCODED_MAX);
			some[end - at] = views[end].message.id;
		}
		rc = content_get_many(c, tx, tenant, some, end - at, CONTENT_FACTS, FACTS_ENCODED_MAX, data, NULL,
				      scratch, e);
		for (size_t i = at; rc == RC_OK && i < end; i++) {
			rc = search_in_time(deadline_ms, e);
			if (rc == RC_OK)
				document_of(&views[i], data[i - at], scratch, a, &v[i]);
		}
		arena_reset(scratch);
	}
	arena_free(&scratch);
	if (rc != RC_OK)
		return rc;
	*v_r = v;
	*n_r = found;
	return RC_OK;
}

const char *
search_direction(const char *direction, char out[40])
{
	snprintf(out, 40, "direction:%s", direction);
	return out;
}
