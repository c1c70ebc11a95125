/* SPDX-License-Identifier: MIT
 *
 * Candidates in groups: what is asked for at first, so that a page of a common word is one reading.
 */
#include "search_find.h"

#include "search_read.h"
#include "search_source.h"

#define EXAMINE_MAX 400		       /* messages read in one call */
#define OCTETS_MAX  (6u * 1024 * 1024) /* and their texts */
#define GROUP_LEAST 16

struct finding {
	struct db_tx *tx;
	struct content *c;
	const struct uuid *tenant;
	const struct search_ask *ask;
	int64_t deadline_ms;
	struct arena *a;
	size_t octets;
	struct search_answer out;
};

static bool
is_hit(const struct search_ask *ask, const struct search_read *r)
{
	const struct store_message *m = &r->view.message;
	return (ask->from_us <= 0 || m->accepted_us >= ask->from_us) &&
	       (ask->until_us <= 0 || m->accepted_us < ask->until_us) &&
	       (ask->direction == NULL || strcmp(ask->direction, store_direction_str(m->direction)) == 0) &&
	       search_query_matches(ask->query, r->document);
}

/* ids newest first. The views live in the request's arena, the texts do not. */
static enum rc
examine(struct finding *f, const struct uuid *ids, size_t n, struct err *e)
{
	struct search_read *v = NULL;
	size_t found = 0;
	enum rc rc = search_read(f->c, f->tx, f->tenant, ids, n, f->deadline_ms, f->a, &v, &found, e);
	if (rc != RC_OK)
		return rc;
	f->out.examined += n;
	for (size_t i = 0; i < found; i++) {
		rc = search_in_time(f->deadline_ms, e);
		if (rc != RC_OK)
			return rc;
		f->octets += v[i].document.n;
		if (!is_hit(f->ask, &v[i]))
			continue;
		f->out.v[f->out.n++] = (struct search_hit){v[i].view, v[i].subject};
		if (f->out.n == f->ask->limit) {
			f->out.next = v[i].view.message.id;
			f->out.more = true;
			return RC_OK;
		}
	}
	f->out.next = ids[n - 1];
	return RC_OK;
}

static enum rc
find(struct finding *f, struct search_sources *s, struct err *e)
{
	struct uuid ids[SEARCH_READ_MAX];
	size_t least = GROUP_LEAST;
	for (;; least *= 2) { /* when few of them are hits, more at once */
		size_t want = f->ask->limit - f->out.n, n = 0;
		want = want < least ? least : want;
		want = want > SEARCH_READ_MAX ? SEARCH_READ_MAX : want;
		enum rc rc = RC_OK;
		while (rc == RC_OK && n < want) {
			rc = search_sources_next(s, &ids[n], e);
			n += rc == RC_OK;
		}
		if (rc != RC_OK && rc != RC_NOT_FOUND)
			return rc;
		bool last = rc == RC_NOT_FOUND;
		rc = n > 0 ? examine(f, ids, n, e) : RC_OK;
		if (rc != RC_OK || last || f->out.more)
			return rc;
		if (f->out.examined >= EXAMINE_MAX || f->octets >= OCTETS_MAX) {
			f->out.more = true;
			return RC_OK;
		}
	}
}

enum rc
search_find(struct db_pool *pool, struct content *c, const struct uuid *tenant, const struct search_ask *ask,
	    int64_t deadline_ms, struct arena *a, struct search_answer *out_r, struct err *e)
{
	struct search_sources *s = NULL;
	struct finding f = {.c = c, .tenant = tenant, .ask = ask, .deadline_ms = deadline_ms, .a = a};
	f.out.v = arena_new_array(a, struct search_hit, ask->limit);
	enum rc rc = db_begin_snapshot(pool, deadline_ms, &f.tx, e);
	if (rc == RC_OK)
		rc = db_set_tenant(f.tx, tenant, e);
	if (rc == RC_OK)
		rc = search_sources_open(f.tx, c, tenant, ask, a, &s, e);
	if (rc == RC_OK)
		rc = find(&f, s, e);
	db_end(&f.tx);
	if (rc != RC_OK)
		return rc;
	f.out.indexed_until_us = search_sources_indexed_until(s);
	search_sources_effort(s, &f.out.segments, &f.out.blocks);
	*out_r = f.out;
	return RC_OK;
}
