/* SPDX-License-Identifier: MIT
 *
 * Answering a search: the index says who may have all words, newest first; each of these is read and checked, so that
 * the answer is what a scan of all messages would give. Messages that wait for the index are checked without it.
 */
#ifndef DELIVERY_SEARCH_FIND_H
#define DELIVERY_SEARCH_FIND_H

#include "content/content.h"
#include "search_store.h"
#include "search_text.h"

#define SEARCH_LIMIT_MAX 200

struct search_ask {
	const struct search_query *query;
	const char *direction;	   /* NULL: any */
	int64_t from_us, until_us; /* accepted: inclusive, exclusive; 0: no bound */
	bool has_before;
	struct uuid before; /* messages older than this one */
	size_t limit;	    /* 1..SEARCH_LIMIT_MAX */
};
struct search_hit {
	struct store_view view;
	const char *subject;
};
struct search_answer {
	struct search_hit *v; /* newest first */
	size_t n;
	bool more; /* there may be: go on before next. Possible with any n, for the work of a call is bounded */
	struct uuid next;
	int64_t indexed_until_us;	   /* messages accepted later may be missing yet; 0: none is */
	size_t segments, blocks, examined; /* what it took */
};
enum rc search_find(struct db_pool *pool, struct content *c, const struct uuid *tenant, const struct search_ask *ask,
		    int64_t deadline_ms, struct arena *a, struct search_answer *out_r, struct err *e) MUST_CHECK;

#endif
