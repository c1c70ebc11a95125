/* SPDX-License-Identifier: MIT
 *
 * sekisho-audit --repair: a database that was restored to an earlier point is brought forward from the journal, entry
 * by entry as they were, so that every head ever published is consistent again. The service must not run (the journal
 * has a lock). A log whose beginning in the database is not that of the journal is left alone and named: that is no
 * restore.
 */
#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

#include "audit.h"
#include "config.h"
#include "core/clock.h"
#include "core/log.h"
#include "record/entry.h"
#include "store.h"

#define BATCH	    1000
#define DEADLINE_MS 60000

struct repaired {
	struct uuid tenant;
	uint64_t size; /* of the database's log */
	struct merkle_hash root;
	struct merkle_frontier seen; /* of the journal, as far as it was read */
	bool fits, refused;
	struct store_entry *v; /* not written yet */
	size_t n;
	struct arena *a;
	uint64_t added;
	UT_hash_handle hh;
};

static struct {
	struct svc svc;
	struct repaired *logs;
	const char *db, *kek;
} repair;

/* --- one log ------------------------------------------------------------------------------------------------------ */
static enum rc
log_of(const struct uuid *tenant, struct repaired **out_r, struct err *e)
{
	struct repaired *l;
	HASH_FIND(hh, repair.logs, tenant, sizeof(*tenant), l);
	if (l == NULL) {
		struct db_tx *tx = NULL;
		l = calloc(1, sizeof(*l));
		if (l == NULL)
			abort();
		l->tenant = *tenant;
		l->a = arena_new();
		HASH_ADD(hh, repair.logs, tenant, sizeof(l->tenant), l);
		enum rc rc = db_begin(repair.svc.db, tenant, clock_mono_ms() + DEADLINE_MS, &tx, e);
		if (rc == RC_OK)
			rc = store_tree(tx, tenant, &l->size, &l->root, e);
		db_end(&tx);
		if (rc != RC_OK)
			return rc;
		l->fits = l->size == 0;
	}
	*out_r = l;
	return RC_OK;
}

struct grown {
	struct arena *a;
	struct store_tile *tiles;
	size_t n;
};

static void
put_tile(void *ctx, int level, uint64_t number, const struct merkle_hash *h, unsigned width)
{
	struct grown *g = ctx;
	g->tiles[g->n++] = (struct store_tile){level, number, arena_bytes(g->a, bytes_of(h, width * MERKLE_SIZE))};
}

static enum rc
write_batch(struct repaired *l, struct err *e)
{
	static struct tiles_edge edge;
	struct db_tx *tx = NULL;
	struct merkle_hash root;
	if (l->n == 0)
		return RC_OK;
	struct grown g = {.a = l->a, .tiles = arena_new_array(l->a, struct store_tile, BATCH / 128 + 3 * TILES_LEVELS)};
	enum rc rc = db_begin(repair.svc.db, &l->tenant, clock_mono_ms() + DEADLINE_MS, &tx, e);
	if (rc == RC_OK)
		rc = store_edge(tx, &l->tenant, l->size, &edge, e);
	if (rc == RC_OK) {
		for (size_t i = 0; i < l->n; i++)
			tiles_edge_add(&edge, &l->v[i].leaf, put_tile, &g);
		tiles_edge_flush(&edge, l->size, put_tile, &g);
		tiles_edge_root(&edge, &root);
		rc = store_append(tx, &l->tenant, l->size, l->v, l->n, g.tiles, g.n, &root, e);
	}
	if (rc == RC_OK)
		rc = db_commit(&tx, e);
	db_end(&tx);
	if (rc != RC_OK)
		return rc;
	l->size += l->n;
	l->added += l->n;
	l->n = 0;
	l->v = NULL;
	arena_reset(l->a);
	return RC_OK;
}

/* The plain columns come from the record; of one that does not open (its key is gone) place and time are known. */
static enum rc
restore_columns(const struct journal_entry *j, struct store_entry *v, struct arena *a, struct err *e)
{
	struct opened o;
	struct record_entry r;
	*v = (struct store_entry){.index = j->index,
				  .intent = j->intent,
				  .at_us = j->at_us,
				  .action = "",
				  .outcome = "",
				  .leaf = j->leaf,
				  .sealed = j->sealed.p != NULL ? arena_bytes(a, j->sealed) : (struct bytes){0}};
	enum rc rc = entry_open(&j->tenant, v, a, &o, e);
	if (rc == RC_OK && !o.erased && record_entry_parse(o.record, a, &r, e) == RC_OK) {
		v->action = r.action;
		v->outcome = r.outcome;
		v->actor = r.actor;
		v->source = r.source;
		v->subject = r.subject;
	}
	return rc == RC_INTERNAL ? RC_OK : rc;
}

static void
refuse(struct repaired *l, const char *why)
{
	char id[UUID_STR_SIZE];
	uuid_format(&l->tenant, id);
	fprintf(stderr, "sekisho-audit: log %s: %s\n", id, why);
	l->refused = true;
}

static enum rc
on_entry(void *ctx, const struct journal_entry *j, struct err *e)
{
	struct repaired *l;
	struct merkle_hash root;
	enum rc rc = log_of(&j->tenant, &l, e);
	if (rc != RC_OK || l->refused)
		return rc;
	if (j->index != l->seen.size) {
		refuse(l, "the journal has a hole");
		return RC_OK;
	}
	merkle_frontier_add(&l->seen, &j->leaf);
	if (l->seen.size == l->size && !l->fits && l->n == 0) {
		merkle_frontier_root(&l->seen, &root);
		l->fits = merkle_eq(&root, &l->root);
		if (!l->fits)
			refuse(l, "the entries in the database are not those of the journal; nothing was changed");
		return RC_OK;
	}
	if (j->index < l->size)
		return RC_OK;
	if (l->v == NULL)
		l->v = arena_new_array(l->a, struct store_entry, BATCH);
	rc = restore_columns(j, &l->v[l->n], l->a, e);
	if (rc == RC_OK && ++l->n == BATCH)
		rc = write_batch(l, e);
	return rc;
}

static enum rc
on_key(void *ctx, const struct uuid *tenant, int32_t epoch, struct bytes wrapped, struct err *e)
{
	struct db_tx *tx = NULL;
	struct store_key k = {epoch, wrapped};
	enum rc rc = db_begin(repair.svc.db, tenant, clock_mono_ms() + DEADLINE_MS, &tx, e);
	if (rc == RC_OK)
		rc = store_key_put(tx, tenant, &k, e);
	if (rc == RC_OK)
		rc = db_commit(&tx, e);
	db_end(&tx);
	return rc;
}

static enum rc
on_head(void *ctx, const struct uuid *tenant, uint64_t size, int64_t at_us, struct bytes checkpoint, struct err *e)
{
	struct repaired *l;
	struct store_head h = {.size = size, .checkpoint = checkpoint, .at_us = at_us};
	enum rc rc = log_of(tenant, &l, e);
	if (rc != RC_OK || l->refused || size != l->seen.size)
		return rc;
	rc = write_batch(l, e);
	merkle_frontier_root(&l->seen, &h.root);
	if (rc == RC_OK)
		rc = store_head_put(repair.svc.db, tenant, &h, clock_mono_ms() + DEADLINE_MS, e);
	if (rc == RC_CONFLICT) {
		refuse(l, e->text);
		rc = RC_OK;
	}
	return rc;
}

/* --- all ---------------------------------------------------------------------------------------------------------- */
static enum rc
set_up(struct err *e)
{
	static const struct config_entry own[] = {
	    {"SEKISHO_AUDIT_DB", CONFIG_STRING, &repair.db, NULL, 0, 0,
	     "libpq connection string of the service's role"},
	    {"SEKISHO_KEK", CONFIG_PATH, &repair.kek, NULL, 0, 0, "file with the key-encryption key"},
	    CONFIG_END,
	};
	static const struct config_entry *const tables[] = {own, audit_config_table, NULL};
	enum rc rc = config_load(tables, "SEKISHO_AUDIT_REPAIR_", e);
	if (rc == RC_OK)
		rc = audit_config_check(e);
	log_init("audit", LOG_LEVEL_WARN);
	struct db_options o = {.conninfo = repair.db, .size = 4};
	if (rc == RC_OK)
		rc = db_pool_new(&o, &repair.svc.db, e);
	if (rc == RC_OK)
		rc = content_open(repair.kek, repair.svc.db, &repair.svc.content, e);
	repair.svc.name = "audit";
	audit.svc = &repair.svc;
	if (rc == RC_OK)
		rc = note_signer_open(audit.config.key, &audit.signer, e);
	struct journal_options jo = {audit.config.journal, audit.config.segment_octets, heads_published};
	return rc == RC_OK ? journal_open(&jo, &audit.journal, e) : rc;
}

struct met {
	enum rc rc;
	struct err *e;
};

static void
meet(void *ctx, const struct uuid *tenant)
{
	struct met *m = ctx;
	struct repaired *l;
	if (m->rc == RC_OK)
		m->rc = log_of(tenant, &l, m->e);
}

static enum rc
finish(struct err *e, bool *all_r)
{
	struct met m = {RC_OK, e};
	heads_each(meet, &m); /* those the journal does not know too */
	enum rc rc = m.rc;
	*all_r = true;
	for (struct repaired *l = repair.logs; l != NULL && rc == RC_OK; l = l->hh.next) {
		char id[UUID_STR_SIZE];
		uuid_format(&l->tenant, id);
		if (!l->refused)
			rc = write_batch(l, e);
		uint64_t published = heads_published(&l->tenant);
		if (rc == RC_OK && !l->refused && published > l->size) {
			char why[120];
			snprintf(why, sizeof(why), "it has %llu entries, but a head of %llu was published",
				 (unsigned long long)l->size, (unsigned long long)published);
			refuse(l, why);
		} else if (rc == RC_OK && !l->refused && l->size > 0 && l->seen.size == 0) {
			refuse(l, "the journal does not have it: is this its folder? See --adopt");
		}
		if (rc == RC_OK && !l->refused && l->size > l->seen.size)
			printf(
			    "log %s: %llu entries, more than the journal: the service will bring the journal forward\n",
			    id, (unsigned long long)l->size);
		else if (rc == RC_OK && !l->refused)
			printf("log %s: %llu entries, %llu of them from the journal\n", id, (unsigned long long)l->size,
			       (unsigned long long)l->added);
		*all_r = *all_r && !l->refused;
	}
	return rc;
}

static void
forget_all(void)
{
	struct repaired *l, *more;
	HASH_ITER(hh, repair.logs, l, more)
	{
		HASH_DEL(repair.logs, l);
		arena_free(&l->a);
		free(l);
	}
	journal_close(&audit.journal);
	note_signer_free(&audit.signer);
	content_free(&repair.svc.content);
	db_pool_free(&repair.svc.db);
}

int
repair_main(void)
{
	struct err e;
	bool all = false;
	struct journal_reader r = {on_entry, on_key, on_head, NULL};
	enum rc rc = set_up(&e);
	bool began = rc == RC_OK;
	if (rc == RC_OK)
		rc = journal_replay(audit.journal, &r, &e);
	if (rc == RC_OK)
		rc = finish(&e, &all);
	forget_all();
	if (rc != RC_OK)
		fprintf(stderr, "sekisho-audit: %s\n", e.text);
	return rc != RC_OK ? (began ? 1 : CONFIG_EXIT) : all ? 0 : 1;
}
