/* SPDX-License-Identifier: MIT
 *
 * A query for all messages, then their facts.
 */
#include "search_read.h"

#include <stdio.h>

#include "core/clock.h"
#include "facts_read.h"
#include "search_text.h"

struct reading {
	const struct store_view *views;
	struct search_read *v;
	int64_t deadline_ms;
	struct arena *a;
};

enum rc
search_in_time(int64_t deadline_ms, struct err *e)
{
	return clock_left_ms(deadline_ms) > 0 ? RC_OK : err_set(e, RC_RETRY, "no time is left for the search");
}

static enum rc
document_of(void *ctx, size_t at, const struct facts *facts, struct arena *scratch, struct err *e)
{
	struct reading *r = ctx;
	const struct store_view *v = &r->views[at];
	enum rc rc = search_in_time(r->deadline_ms, e);
	if (rc != RC_OK)
		return rc;
	struct bytes *recipients = arena_new_array(scratch, struct bytes, v->n_legs + 1);
	for (size_t i = 0; i < v->n_legs; i++)
		recipients[i] = v->legs[i].address;
	struct search_message m = {v->message.mail_from, recipients, v->n_legs, facts};
	r->v[at] = (struct search_read){
	    .view = *v,
	    .document = arena_bytes(r->a, search_document(scratch, &m)),
	    .subject = facts != NULL ? arena_strdup(r->a, facts->subject) : "",
	};
	return RC_OK;
}

enum rc
search_read(struct content *c, struct db_tx *tx, const struct uuid *tenant, const struct uuid *ids, size_t n,
	    int64_t deadline_ms, struct arena *a, struct search_read **v_r, size_t *n_r, struct err *e)
{
	struct store_view *views = NULL;
	size_t found = 0;
	enum rc rc = search_store_views(tx, tenant, ids, n, a, &views, &found, e);
	if (rc != RC_OK)
		return rc;
	struct reading r = {views, arena_new_array(a, struct search_read, found + 1), deadline_ms, a};
	struct uuid *some = arena_new_array(a, struct uuid, found + 1);
	uint64_t *sizes = arena_new_array(a, uint64_t, found + 1);
	for (size_t i = 0; i < found; i++) {
		some[i] = views[i].message.id;
		sizes[i] = views[i].message.size;
	}
	rc = facts_read(c, tx, tenant, some, sizes, found, document_of, &r, e);
	if (rc != RC_OK)
		return rc;
	*v_r = r.v;
	*n_r = found;
	return RC_OK;
}

const char *
search_direction(const char *direction, char out[40])
{
	snprintf(out, 40, "direction:%s", direction);
	return out;
}
