/* SPDX-License-Identifier: MIT
 *
 * One batch of one log: intents are read, become entries, leaves and tiles, and are committed together with how far was
 * read; then they go to the journal. Before that the log must fit the journal (fit.c).
 */
#include <stdio.h>
#include <stdlib.h>

#include "audit.h"
#include "core/clock.h"
#include "core/log.h"
#include "record/entry.h"
#include "store.h"

#define BATCH	    2000
#define OCTETS_MOST (4u * 1024 * 1024) /* of one source in one transaction */
#define DEADLINE_MS 60000

/* --- reading intents --------------------------------------------------------------------------------------------- */
struct batch {
	struct arena *a;
	struct store_intent *v[STORE_SOURCES];
	size_t n[STORE_SOURCES];
	struct store_mark mark[STORE_SOURCES];
	bool read[STORE_SOURCES]; /* in the order of transaction ids; else not at all, or with those of another cluster
				   */
	bool limited[STORE_SOURCES]; /* there may be more */
	size_t total;
	unsigned done; /* sources read up to the horizon */
};

/* As many of them as one transaction should hold; at least one. */
static size_t
cut_octets(const struct store_intent *v, size_t n)
{
	size_t octets = 0;
	for (size_t i = 0; i < n; i++) {
		octets += v[i].detail.n + v[i].actor.n + v[i].source.n;
		if (octets > OCTETS_MOST)
			return i > 0 ? i : 1;
	}
	return n;
}

static enum rc
read_source(struct db_tx *tx, const struct uuid *tenant, int source, const struct store_horizon *h, struct batch *b,
	    struct err *e)
{
	struct store_mark *m = &b->mark[source], next = {.cluster = h->cluster};
	size_t n = 0;
	enum rc rc = store_mark(tx, tenant, source, m, e);
	if (rc != RC_OK)
		return rc;
	/* One that was never read is read from the first transaction on, which is where its mark is. */
	bool foreign = m->found && m->cluster != h->cluster;
	b->read[source] = !foreign;
	if (foreign) {
		/* The database came from a dump: transaction ids begin anew, and some of those in the rows lie in the
		 * future. Such rows first; then all others from the beginning, known or not. */
		log_warn("this is another database cluster: intents are read again", LOG_TENANT(tenant),
			 LOG_STR("source", store_source_name(source)));
		rc = store_intents_foreign(tx, tenant, source, h, BATCH, b->a, &b->v[source], &n, e);
	} else {
		rc = store_intents(tx, tenant, source, m, h, BATCH, b->a, &b->v[source], &n, e);
	}
	if (rc != RC_OK)
		return rc;
	b->n[source] = cut_octets(b->v[source], n);
	b->limited[source] = n == BATCH || b->n[source] < n;
	/* The next batch goes on here if there are more, else in the order of transaction ids. */
	return foreign && !b->limited[source] ? store_mark_set(tx, tenant, source, &next, e) : RC_OK;
}

static int
compare_places(const struct store_intent *a, const struct store_intent *b)
{
	if (a->xid != b->xid)
		return a->xid < b->xid ? -1 : 1;
	return memcmp(a->id.b, b->id.b, sizeof(a->id.b));
}

static int
compare_marks(const struct store_mark *a, const struct store_mark *b)
{
	if (a->xid != b->xid)
		return a->xid < b->xid ? -1 : 1;
	return memcmp(a->id.b, b->id.b, sizeof(a->id.b));
}

/* What one service did because of what another had committed has the higher transaction id. So that it also has the
 * higher index, no source is read beyond the place where the first of them met its limit. */
static const struct store_intent *
place_of_cut(const struct batch *b)
{
	const struct store_intent *cut = NULL;
	for (int s = 0; s < STORE_SOURCES; s++) {
		if (!b->read[s] || !b->limited[s])
			continue;
		const struct store_intent *last = &b->v[s][b->n[s] - 1];
		if (cut == NULL || compare_places(last, cut) < 0)
			cut = last;
	}
	return cut;
}

static enum rc
read_all(struct db_tx *tx, const struct uuid *tenant, unsigned sources, const struct store_horizon *h, struct batch *b,
	 struct err *e)
{
	enum rc rc = RC_OK;
	for (int s = 0; rc == RC_OK && s < STORE_SOURCES; s++)
		if ((sources >> s & 1) != 0)
			rc = read_source(tx, tenant, s, h, b, e);
	const struct store_intent *cut = rc == RC_OK ? place_of_cut(b) : NULL;
	for (int s = 0; rc == RC_OK && s < STORE_SOURCES; s++) {
		struct store_mark next = {.cluster = h->cluster, .xid = h->horizon};
		if (cut != NULL) {
			next.xid = cut->xid;
			next.id = cut->id;
		}
		/* A source that was read on by itself is beyond the cut already: back would be to read all again. */
		if (b->read[s] && compare_marks(&b->mark[s], &next) > 0)
			next = b->mark[s];
		if (b->read[s]) {
			while (cut != NULL && b->n[s] > 0 && compare_places(&b->v[s][b->n[s] - 1], cut) > 0)
				b->n[s]--;
			if (cut == NULL)
				b->done |= 1u << s;
			rc = store_mark_set(tx, tenant, s, &next, e);
		}
		b->total += b->n[s];
	}
	return rc;
}

/* --- numbers of writers ------------------------------------------------------------------------------------------ */
static int
compare_numbers(const void *x, const void *y)
{
	const struct store_intent *a = *(const struct store_intent *const *)x,
				  *b = *(const struct store_intent *const *)y;
	int c = strcmp(a->writer, b->writer);
	if (c == 0)
		c = memcmp(a->epoch.b, b->epoch.b, sizeof(a->epoch.b));
	return c != 0 ? c : a->seq < b->seq ? -1 : a->seq > b->seq;
}

static enum rc
note_numbers(struct db_tx *tx, const struct batch *b, struct err *e)
{
	const struct store_intent **v = arena_new_array(b->a, const struct store_intent *, b->total + 1);
	const char **writers = arena_new_array(b->a, const char *, b->total + 1);
	const char **ranges = arena_new_array(b->a, const char *, b->total + 1);
	struct uuid *epochs = arena_new_array(b->a, struct uuid, b->total + 1);
	size_t n = 0, groups = 0;
	for (int s = 0; s < STORE_SOURCES; s++)
		for (size_t i = 0; i < b->n[s]; i++)
			v[n++] = &b->v[s][i];
	qsort(v, n, sizeof(*v), compare_numbers);
	for (size_t i = 0; i < n;) {
		const struct store_intent *first = v[i];
		struct buf text;
		buf_init(&text, 0);
		while (i < n && strcmp(v[i]->writer, first->writer) == 0 && uuid_eq(&v[i]->epoch, &first->epoch)) {
			int64_t from = v[i]->seq, to = from + 1;
			for (i++; i < n && v[i]->seq == to && uuid_eq(&v[i]->epoch, &first->epoch) &&
				  strcmp(v[i]->writer, first->writer) == 0;
			     i++)
				to++;
			buf_addf(&text, "%s[%lld,%lld)", text.n == 0 ? "{" : ",", (long long)from, (long long)to);
		}
		buf_add_str(&text, "}");
		writers[groups] = first->writer;
		epochs[groups] = first->epoch;
		ranges[groups++] = arena_strdup(b->a, (const char *)text.p);
		buf_done(&text);
	}
	return groups > 0 ? store_seen(tx, writers, epochs, ranges, groups, e) : RC_OK;
}

/* --- entries and tiles ------------------------------------------------------------------------------------------- */
struct grown {
	struct arena *a;
	struct store_tile *tiles;
	size_t n, cap;
};

static void
put_tile(void *ctx, int level, uint64_t number, const struct merkle_hash *h, unsigned width)
{
	struct grown *g = ctx;
	if (g->n == g->cap)
		abort(); /* sized for the batch */
	g->tiles[g->n++] = (struct store_tile){level, number, arena_bytes(g->a, bytes_of(h, width * MERKLE_SIZE))};
}

/* The source whose next intent comes first: those of another cluster before all others. -1: none is left. */
static int
next_source(const struct batch *b, const size_t at[STORE_SOURCES])
{
	int first = -1;
	for (int s = 0; s < STORE_SOURCES; s++) {
		if (at[s] == b->n[s])
			continue;
		if (!b->read[s])
			return s;
		if (first < 0 || compare_places(&b->v[s][at[s]], &b->v[first][at[first]]) < 0)
			first = s;
	}
	return first;
}

static enum rc
seal_all(const struct uuid *tenant, const struct batch *b, uint64_t size, struct store_entry *out, size_t *n_r,
	 struct err *e)
{
	size_t n = 0, at[STORE_SOURCES] = {0};
	for (int s; (s = next_source(b, at)) >= 0;) {
		const struct store_intent *v = &b->v[s][at[s]++];
		if (v->known)
			continue;
		struct record_entry r = {.id = v->id,
					 .at_us = v->at_us,
					 .service = store_source_name(s),
					 .action = v->action,
					 .outcome = v->outcome,
					 .actor = v->actor,
					 .source = v->source,
					 .subject = v->subject,
					 .number = v->number,
					 .detail = v->detail,
					 .trace = v->trace};
		enum rc rc = entry_seal(tenant, size + n, &r, b->a, &out[n], e);
		if (rc != RC_OK)
			return rc;
		n++;
	}
	*n_r = n;
	return RC_OK;
}

static enum rc
add_entries(struct db_tx *tx, const struct uuid *tenant, uint64_t size, const struct batch *b,
	    const struct store_entry *v, size_t n, struct err *e)
{
	static struct tiles_edge edge; /* the appender is one thread, and so is the repair */
	struct merkle_hash root;
	/* Per level one full tile in 256 entries, one more, and the growing one. */
	struct grown g = {.a = b->a, .cap = n / 128 + 3 * TILES_LEVELS};
	g.tiles = arena_new_array(b->a, struct store_tile, g.cap);
	enum rc rc = store_edge(tx, tenant, size, &edge, e);
	if (rc != RC_OK)
		return rc;
	for (size_t i = 0; i < n; i++)
		tiles_edge_add(&edge, &v[i].leaf, put_tile, &g);
	tiles_edge_flush(&edge, size, put_tile, &g);
	tiles_edge_root(&edge, &root);
	return store_append(tx, tenant, size, v, n, g.tiles, g.n, &root, e);
}

static enum rc
to_journal(const struct uuid *tenant, const struct store_entry *v, size_t n, const struct store_key *keys,
	   size_t n_keys, struct err *e)
{
	struct journal_log l;
	enum rc rc = RC_OK;
	journal_log(audit.journal, tenant, &l);
	for (size_t i = l.keys; rc == RC_OK && i < n_keys; i++)
		rc = journal_add_key(audit.journal, tenant, keys[i].epoch, keys[i].wrapped, e);
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		struct journal_entry j = {*tenant, v[i].intent, v[i].index, v[i].at_us, v[i].leaf, v[i].sealed};
		rc = journal_add(audit.journal, &j, e);
	}
	if (rc == RC_CONFLICT)
		rc = RC_INTERNAL;
	return rc;
}

/* One batch in a transaction; *v_r, *n_r are the entries it made, to be written to the journal once it is committed. */
static enum rc
batch_tx(struct db_tx *tx, struct append_state *s, const struct store_horizon *h, struct batch *b,
	 struct store_entry **v_r, size_t *n_r, struct store_key **keys_r, size_t *n_keys_r, struct err *e)
{
	uint64_t size = 0;
	struct merkle_hash root;
	enum rc rc = store_tree(tx, &s->tenant, &size, &root, e);
	if (rc == RC_OK)
		rc = fit_log(tx, &s->tenant, size, &root, e);
	if (rc != RC_OK)
		return rc;
	rc = read_all(tx, &s->tenant, s->sources, h, b, e);
	if (rc == RC_OK)
		rc = note_numbers(tx, b, e);
	*v_r = arena_new_array(b->a, struct store_entry, b->total + 1);
	if (rc == RC_OK)
		rc = seal_all(&s->tenant, b, size, *v_r, n_r, e);
	if (rc == RC_OK && *n_r > 0)
		rc = add_entries(tx, &s->tenant, size, b, *v_r, *n_r, e);
	if (rc == RC_OK && *n_r > 0)
		rc = store_keys(tx, &s->tenant, b->a, keys_r, n_keys_r, e);
	s->size = size + *n_r;
	return rc == RC_CONFLICT ? RC_RETRY : rc; /* of rows, not of the journal */
}

enum rc
append_batch(struct append_state *s, const struct store_horizon *h, struct err *e)
{
	struct batch b = {.a = arena_new()};
	struct db_tx *tx = NULL;
	struct store_entry *v = NULL;
	struct store_key *keys = NULL;
	size_t n = 0, n_keys = 0;
	enum rc rc = db_begin(audit.svc->db, &s->tenant, clock_mono_ms() + DEADLINE_MS, &tx, e);
	if (rc == RC_OK)
		rc = batch_tx(tx, s, h, &b, &v, &n, &keys, &n_keys, e);
	if (rc == RC_OK) {
		rc = db_commit(&tx, e);
		if (rc == RC_CONFLICT)
			rc = RC_RETRY;
	}
	db_end(&tx);
	if (rc == RC_OK)
		rc = to_journal(&s->tenant, v, n, keys, n_keys, e);
	if (rc == RC_OK) {
		int64_t now = clock_wall_us();
		for (size_t i = 0; i < n; i++)
			metric_observe_us(&audit_metric_delay, now > v[i].at_us ? now - v[i].at_us : 0);
		metric_add(&audit_metric_appended, 0, (int64_t)n);
		s->appended += n;
		s->sources &= ~b.done;
	}
	arena_free(&b.a);
	return rc;
}
