/* SPDX-License-Identifier: MIT
 *
 * The rpc of search.
 */
#include "codec.h"
#include "handlers.h"
#include "search_find.h"

#define LIMIT_DEFAULT 50

static enum rc
parse(const Sekisho__Delivery__SearchRequest *q, struct arena *a, struct search_query *query, struct search_ask *ask,
      struct err *e)
{
	if (q->limit > SEARCH_LIMIT_MAX)
		return err_set(e, RC_INVALID, "limit: at most %d", SEARCH_LIMIT_MAX);
	if (!codec_cursor(q->cursor, &ask->has_before, &ask->before))
		return err_set(e, RC_INVALID, "cursor: not one of ours");
	if (q->from_us < 0 || q->until_us < 0 || q->from_us > STORE_NEVER_US || q->until_us > STORE_NEVER_US)
		return err_set(e, RC_INVALID, "from, until: not a time");
	for (int d = STORE_OUTGOING; d <= STORE_SYSTEM; d++)
		if (strcmp(q->direction, store_direction_str((enum store_direction)d)) == 0)
			ask->direction = store_direction_str((enum store_direction)d);
	if (q->direction[0] != '\0' && ask->direction == NULL)
		return err_set(e, RC_INVALID, "direction: outgoing, incoming or system");
	ask->limit = q->limit != 0 ? q->limit : LIMIT_DEFAULT;
	ask->from_us = q->from_us;
	ask->until_us = q->until_us;
	ask->query = query;
	return search_query_parse(a, q->query, query, e);
}

enum rc
handle_search(const struct svc_request *r, struct buf *reply, struct err *e)
{
	struct arena *a = r->in->arena;
	const Sekisho__Delivery__SearchRequest *q = CODEC_UNPACK(search_request, r);
	struct search_query query;
	struct search_ask ask = {0};
	struct search_answer found;
	if (q == NULL)
		return err_set(e, RC_INVALID, "request does not decode");
	if (!r->in->has_tenant)
		return err_set(e, RC_DENIED, "only for a tenant");
	enum rc rc = parse(q, a, &query, &ask, e);
	if (rc == RC_OK)
		rc = search_find(r->svc->db, r->svc->content, &r->in->tenant, &ask, r->in->deadline_ms, a, &found, e);
	if (rc != RC_OK)
		return rc;
	Sekisho__Delivery__SearchReply m = SEKISHO__DELIVERY__SEARCH_REPLY__INIT;
	m.n_messages = found.n;
	m.messages = arena_new_array(a, Sekisho__Delivery__Message *, found.n + 1);
	for (size_t i = 0; i < found.n; i++) {
		m.messages[i] = codec_message(&found.v[i].view, a);
		m.messages[i]->subject = arena_strdup(a, found.v[i].subject);
	}
	m.next_cursor = arena_alloc(a, UUID_STR_SIZE);
	if (found.more)
		uuid_format(&found.next, m.next_cursor);
	m.indexed_until_us = found.indexed_until_us;
	return codec_pack(&m.base, reply, e);
}
