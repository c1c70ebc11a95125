/* SPDX-License-Identifier: MIT
 *
 * SQL of the appender: which intents wait, the growing edge of a tree, what is added.
 */
#include <stdio.h>

#include "core/arena.h"
#include "store.h"

#define XID(n)	   "$" #n "::text::xid8"
#define TILES_MOST 256 /* changed by one append: entries / 256 and one per level */

/* Literals per schema, so that each is prepared once and none is put together at run time. OFFSET 0 keeps the planner
 * from answering EXISTS by a hash of all of a tenant's entries, which it does while the table has no statistics
 * (docs/decisions/0052): one probe of the index per intent. */
#define KNOWN "EXISTS (SELECT FROM audit.entry k WHERE k.tenant = $1 AND k.intent = i.id OFFSET 0)"
#define COLUMNS                                                                                                        \
	"i.id, i.writer, i.epoch, i.seq, i.at, i.action, i.outcome, i.actor, i.source, i.subject, i.number, "          \
	"i.detail, i.traceparent, i.xid::text::int8, " KNOWN " "
#define SQL_INTENTS(s)                                                                                                 \
	"SELECT " COLUMNS "FROM " s ".audit_intent i WHERE i.tenant = $1 AND i.xid >= " XID(2) " AND i.xid < " XID(    \
	    4) " AND (i.xid, i.id) > (" XID(2) ", $3) ORDER BY i.xid, i.id LIMIT $5"
#define SQL_FOREIGN(s)                                                                                                 \
	"SELECT " COLUMNS "FROM " s                                                                                    \
	".audit_intent i WHERE i.tenant = $1 AND i.xid >= " XID(2) " AND NOT " KNOWN " ORDER BY i.xid, i.id LIMIT $3"
#define SQL_WAITING(s) "SELECT w.tenant, w.oldest FROM audit.waiting_" s "($1, " XID(2) ", $3) AS w"
#define SOURCE(s)                                                                                                      \
	{                                                                                                              \
		s, SQL_INTENTS(s), SQL_FOREIGN(s), SQL_WAITING(s)                                                      \
	}

static const struct {
	const char *name, *intents, *foreign, *waiting;
} sources[STORE_SOURCES] = {
    SOURCE("ingest"), SOURCE("auth"),	SOURCE("policy"), SOURCE("delivery"),
    SOURCE("audit"),  SOURCE("notify"), SOURCE("api"),	  SOURCE("keeper"),
};

static const char *const sql_sources = "SELECT n.n - 1 FROM unnest($1::text[]) WITH ORDINALITY AS n (name, n) WHERE "
				       "has_table_privilege(to_regclass(n.name "
				       "|| '.audit_intent'), 'SELECT')";
static const char *const sql_horizon =
    "SELECT pg_snapshot_xmin(s)::text::int8, pg_snapshot_xmax(s)::text::int8, c.system_identifier FROM "
    "pg_current_snapshot() AS s, pg_control_system() AS c";
static const char *const sql_mark =
    "SELECT xid::text::int8, id, cluster FROM audit.mark WHERE tenant = $1 AND source = $2";
static const char *const sql_mark_set =
    "INSERT INTO audit.mark (tenant, source, xid, id, cluster) VALUES ($1, $2, " XID(
	3) ", $4, $5) ON CONFLICT (tenant, "
	   "source) DO UPDATE SET xid = excluded.xid, id = excluded.id, cluster = excluded.cluster";
static const char *const sql_tree = "SELECT size, root FROM audit.tree WHERE tenant = $1";
static const char *const sql_edge = "SELECT t.level, t.n, t.hashes FROM unnest($2::int4[], $3::int8[]) AS w (level, n) "
				    "JOIN audit.tile t ON t.tenant = $1 "
				    "AND t.level = w.level AND t.n = w.n";
static const char *const sql_entries =
    "INSERT INTO audit.entry (tenant, index, intent, at, action, outcome, actor, source, subject, leaf, sealed) SELECT "
    "$1, "
    "u.* FROM unnest($2::int8[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[], $7::bytea[], $8::bytea[], "
    "$9::uuid[], $10::bytea[], $11::bytea[]) AS u";
static const char *const sql_tiles =
    "INSERT INTO audit.tile (tenant, level, n, hashes) SELECT $1, u.level, u.n, u.hashes FROM unnest($2::int4[], "
    "$3::int8[], $4::bytea[]) AS u (level, n, hashes) ON CONFLICT (tenant, level, n) DO UPDATE SET hashes = "
    "excluded.hashes";
static const char *const sql_tree_first =
    "INSERT INTO audit.tree (tenant, size, root) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
static const char *const sql_tree_set = "UPDATE audit.tree SET size = $3, root = $4 WHERE tenant = $1 AND size = $2";
static const char *const sql_seen =
    "INSERT INTO audit.writer AS w (writer, epoch, seen) SELECT u.writer, u.epoch, u.seen::int8multirange FROM "
    "unnest($1::text[], $2::uuid[], $3::text[]) AS u (writer, epoch, seen) ON CONFLICT (writer, epoch) DO UPDATE SET "
    "seen "
    "= w.seen + excluded.seen";
static const char *const sql_gaps = "SELECT writer, epoch, (int8multirange(int8range(1, upper(seen))) - seen)::text, "
				    "seen::text FROM audit.writer WHERE "
				    "seen <> int8multirange(int8range(1, upper(seen))) LIMIT 100";
static const char *const sql_gap_close = "UPDATE audit.writer SET seen = int8multirange(int8range(1, upper(seen))) "
					 "WHERE writer = $1 AND epoch = $2 AND seen = "
					 "$3::text::int8multirange";
static const char *const sql_head_put =
    "INSERT INTO audit.head (tenant, size, root, checkpoint, at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
static const char *const sql_keys = "SELECT epoch, wrapped FROM content.tenant_key WHERE tenant = $1 ORDER BY epoch";
static const char *const sql_key_put =
    "INSERT INTO content.tenant_key (tenant, epoch, wrapped) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";

/* --- sources ---------------------------------------------------------------------------------------------------- */
const char *
store_source_name(int source)
{
	return sources[source].name;
}

/* A query in a transaction of its own, without a tenant. */
static enum rc
query_all(struct db_pool *p, const char *sql, struct db_args *args, int64_t deadline_ms, struct db_rows **rows_r,
	  struct err *e)
{
	struct db_tx *tx = NULL;
	enum rc rc = db_begin(p, NULL, deadline_ms, &tx, e);
	if (rc == RC_OK)
		rc = db_query_commit(&tx, sql, args, rows_r, e);
	else if (args != NULL)
		db_args_done(args);
	db_end(&tx);
	return rc;
}

enum rc
store_sources(struct db_pool *p, int64_t deadline_ms, unsigned *mask_r, struct err *e)
{
	const char *names[STORE_SOURCES];
	struct db_args args;
	struct db_rows *rows = NULL;
	for (int i = 0; i < STORE_SOURCES; i++)
		names[i] = sources[i].name;
	db_args_init(&args);
	db_arg_texts(&args, names, STORE_SOURCES);
	enum rc rc = query_all(p, sql_sources, &args, deadline_ms, &rows, e);
	if (rc != RC_OK)
		return rc;
	unsigned mask = 0;
	while (db_rows_next(rows))
		mask |= 1u << db_int(rows, 0);
	db_rows_free(&rows);
	*mask_r = mask;
	return RC_OK;
}

enum rc
store_horizon(struct db_pool *p, int64_t deadline_ms, struct store_horizon *out_r, struct err *e)
{
	struct db_rows *rows = NULL;
	enum rc rc = query_all(p, sql_horizon, NULL, deadline_ms, &rows, e);
	if (rc != RC_OK)
		return rc;
	if (db_rows_next(rows))
		*out_r = (struct store_horizon){
		    .horizon = db_int(rows, 0), .end = db_int(rows, 1), .cluster = db_int(rows, 2)};
	db_rows_free(&rows);
	return RC_OK;
}

/* xid8 travels as text: libs/db has no such type. */
static void
arg_xid(struct db_args *args, int64_t xid, char text[24])
{
	snprintf(text, 24, "%lld", (long long)xid);
	db_arg_text(args, text);
}

enum rc
store_waiting(struct db_pool *p, int source, const struct store_horizon *h, const struct uuid *tenants, size_t n,
	      int64_t deadline_ms, struct arena *a, struct store_waiting **v_r, size_t *n_r, struct err *e)
{
	struct db_args args;
	struct db_rows *rows = NULL;
	char horizon[24];
	db_args_init(&args);
	db_arg_uuids(&args, tenants, n);
	arg_xid(&args, h->horizon, horizon);
	db_arg_long(&args, h->cluster);
	enum rc rc = query_all(p, sources[source].waiting, &args, deadline_ms, &rows, e);
	if (rc != RC_OK)
		return rc;
	struct store_waiting *v = arena_new_array(a, struct store_waiting, (size_t)db_rows_count(rows) + 1);
	size_t k = 0;
	while (db_rows_next(rows))
		v[k++] = (struct store_waiting){db_uuid(rows, 0), db_time(rows, 1)};
	db_rows_free(&rows);
	*v_r = v;
	*n_r = k;
	return RC_OK;
}

/* --- intents ---------------------------------------------------------------------------------------------------- */
enum rc
store_mark(struct db_tx *tx, const struct uuid *tenant, int source, struct store_mark *out_r, struct err *e)
{
	struct db_args args;
	struct db_rows *rows = NULL;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_text(&args, sources[source].name);
	enum rc rc = db_query(tx, sql_mark, &args, &rows, e);
	if (rc != RC_OK)
		return rc;
	*out_r = (struct store_mark){0};
	if (db_rows_next(rows))
		*out_r = (struct store_mark){
		    .found = true, .xid = db_int(rows, 0), .id = db_uuid(rows, 1), .cluster = db_int(rows, 2)};
	db_rows_free(&rows);
	return RC_OK;
}

enum rc
store_mark_set(struct db_tx *tx, const struct uuid *tenant, int source, const struct store_mark *m, struct err *e)
{
	struct db_args args;
	char xid[24];
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_text(&args, sources[source].name);
	arg_xid(&args, m->xid, xid);
	db_arg_uuid(&args, &m->id);
	db_arg_long(&args, m->cluster);
	int64_t count;
	return db_exec_count(tx, sql_mark_set, &args, &count, e);
}

static const char *
keep_text(struct arena *a, const struct db_rows *rows, int col)
{
	const char *t = db_text(rows, col);
	return t != NULL ? arena_strdup(a, t) : "";
}

static enum rc
take_intents(struct db_tx *tx, const char *sql, struct db_args *args, struct arena *a, struct store_intent **v_r,
	     size_t *n_r, struct err *e)
{
	struct db_rows *rows = NULL;
	enum rc rc = db_query(tx, sql, args, &rows, e);
	if (rc != RC_OK)
		return rc;
	struct store_intent *v = arena_new_array(a, struct store_intent, (size_t)db_rows_count(rows) + 1);
	size_t n = 0;
	while (db_rows_next(rows))
		v[n++] = (struct store_intent){
		    .id = db_uuid(rows, 0),
		    .writer = keep_text(a, rows, 1),
		    .epoch = db_uuid(rows, 2),
		    .seq = db_int(rows, 3),
		    .at_us = db_time(rows, 4),
		    .action = keep_text(a, rows, 5),
		    .outcome = keep_text(a, rows, 6),
		    .actor = arena_bytes(a, db_bytes(rows, 7)),
		    .source = arena_bytes(a, db_bytes(rows, 8)),
		    .subject = db_uuid(rows, 9),
		    .number = (int32_t)db_int(rows, 10),
		    .detail = arena_bytes(a, db_bytes(rows, 11)),
		    .trace = keep_text(a, rows, 12),
		    .xid = db_int(rows, 13),
		    .known = db_bool(rows, 14),
		};
	db_rows_free(&rows);
	*v_r = v;
	*n_r = n;
	return RC_OK;
}

enum rc
store_intents(struct db_tx *tx, const struct uuid *tenant, int source, const struct store_mark *m,
	      const struct store_horizon *h, int limit, struct arena *a, struct store_intent **v_r, size_t *n_r,
	      struct err *e)
{
	struct db_args args;
	char after[24], horizon[24];
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	arg_xid(&args, m->xid, after);
	db_arg_uuid(&args, &m->id);
	arg_xid(&args, h->horizon, horizon);
	db_arg_long(&args, limit);
	return take_intents(tx, sources[source].intents, &args, a, v_r, n_r, e);
}

enum rc
store_intents_foreign(struct db_tx *tx, const struct uuid *tenant, int source, const struct store_horizon *h, int limit,
		      struct arena *a, struct store_intent **v_r, size_t *n_r, struct err *e)
{
	struct db_args args;
	char end[24];
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	arg_xid(&args, h->end, end);
	db_arg_long(&args, limit);
	return take_intents(tx, sources[source].foreign, &args, a, v_r, n_r, e);
}

/* --- the log ---------------------------------------------------------------------------------------------------- */
static void
take_hash(struct bytes b, struct merkle_hash *out)
{
	*out = (struct merkle_hash){0};
	if (b.n == MERKLE_SIZE)
		memcpy(out->b, b.p, MERKLE_SIZE);
}

enum rc
store_tree(struct db_tx *tx, const struct uuid *tenant, uint64_t *size_r, struct merkle_hash *root_r, struct err *e)
{
	struct db_args args;
	struct db_rows *rows = NULL;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	enum rc rc = db_query(tx, sql_tree, &args, &rows, e);
	if (rc != RC_OK)
		return rc;
	*size_r = 0;
	merkle_empty(root_r);
	if (db_rows_next(rows)) {
		*size_r = (uint64_t)db_int(rows, 0);
		take_hash(db_bytes(rows, 1), root_r);
	}
	db_rows_free(&rows);
	return RC_OK;
}

enum rc
store_edge(struct db_tx *tx, const struct uuid *tenant, uint64_t size, struct tiles_edge *out, struct err *e)
{
	int32_t levels[TILES_LEVELS];
	int64_t numbers[TILES_LEVELS];
	size_t n = 0, found = 0;
	out->size = size;
	for (int l = 0; l < TILES_LEVELS; l++)
		if (tiles_edge_width(size, l) > 0) {
			levels[n] = l;
			numbers[n++] = (int64_t)tiles_edge_number(size, l);
		}
	if (n == 0)
		return RC_OK;
	struct db_args args;
	struct db_rows *rows = NULL;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_ints(&args, levels, n);
	db_arg_longs(&args, numbers, n);
	enum rc rc = db_query(tx, sql_edge, &args, &rows, e);
	if (rc != RC_OK)
		return rc;
	while (db_rows_next(rows)) {
		int l = (int)db_int(rows, 0);
		struct bytes h = db_bytes(rows, 2);
		size_t need = tiles_edge_width(size, l) * MERKLE_SIZE;
		if (h.n < need)
			break;
		memcpy(out->h[l], h.p, need);
		found++;
	}
	db_rows_free(&rows);
	return found == n ? RC_OK : err_set(e, RC_INTERNAL, "a tile of the tree is missing or short");
}

static enum rc
insert_entries(struct db_tx *tx, const struct uuid *tenant, const struct store_entry *v, size_t n, struct arena *a,
	       struct err *e)
{
	int64_t *index = arena_new_array(a, int64_t, n), *at = arena_new_array(a, int64_t, n);
	struct uuid *intent = arena_new_array(a, struct uuid, n), *subject = arena_new_array(a, struct uuid, n);
	const char **action = arena_new_array(a, const char *, n), **outcome = arena_new_array(a, const char *, n);
	struct bytes *actor = arena_new_array(a, struct bytes, n), *source = arena_new_array(a, struct bytes, n),
		     *leaf = arena_new_array(a, struct bytes, n), *sealed = arena_new_array(a, struct bytes, n);
	for (size_t i = 0; i < n; i++) {
		index[i] = (int64_t)v[i].index;
		at[i] = v[i].at_us;
		intent[i] = v[i].intent;
		subject[i] = v[i].subject;
		action[i] = v[i].action;
		outcome[i] = v[i].outcome;
		actor[i] = v[i].actor.p != NULL ? v[i].actor : bytes_str("");
		source[i] = v[i].source.p != NULL ? v[i].source : bytes_str("");
		leaf[i] = bytes_of(v[i].leaf.b, MERKLE_SIZE);
		sealed[i] = v[i].sealed;
	}
	struct db_args args;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_longs(&args, index, n);
	db_arg_uuids(&args, intent, n);
	db_arg_times(&args, at, n);
	db_arg_texts(&args, action, n);
	db_arg_texts(&args, outcome, n);
	db_arg_bytes_array(&args, actor, n);
	db_arg_bytes_array(&args, source, n);
	db_arg_uuids(&args, subject, n);
	db_arg_bytes_array(&args, leaf, n);
	db_arg_bytes_array(&args, sealed, n);
	return db_exec(tx, sql_entries, &args, e);
}

static enum rc
put_tiles(struct db_tx *tx, const struct uuid *tenant, const struct store_tile *t, size_t n, struct arena *a,
	  struct err *e)
{
	int32_t *level = arena_new_array(a, int32_t, n);
	int64_t *number = arena_new_array(a, int64_t, n);
	struct bytes *hashes = arena_new_array(a, struct bytes, n);
	for (size_t i = 0; i < n; i++) {
		level[i] = t[i].level;
		number[i] = (int64_t)t[i].number;
		hashes[i] = t[i].hashes;
	}
	struct db_args args;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_ints(&args, level, n);
	db_arg_longs(&args, number, n);
	db_arg_bytes_array(&args, hashes, n);
	return db_exec(tx, sql_tiles, &args, e);
}

enum rc
store_append(struct db_tx *tx, const struct uuid *tenant, uint64_t before, const struct store_entry *v, size_t n,
	     const struct store_tile *tiles, size_t n_tiles, const struct merkle_hash *root, struct err *e)
{
	struct db_args args;
	int64_t count = 0;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	if (before > 0)
		db_arg_long(&args, (int64_t)before);
	db_arg_long(&args, (int64_t)(before + n));
	db_arg_bytes(&args, bytes_of(root->b, MERKLE_SIZE));
	enum rc rc = db_exec_count(tx, before > 0 ? sql_tree_set : sql_tree_first, &args, &count, e);
	if (rc == RC_OK && count != 1)
		rc = err_set(e, RC_CONFLICT, "somebody else appended to the log");
	struct arena *a = arena_new();
	if (rc == RC_OK)
		rc = insert_entries(tx, tenant, v, n, a, e);
	if (rc == RC_OK)
		rc = put_tiles(tx, tenant, tiles, n_tiles, a, e);
	arena_free(&a);
	return rc;
}

/* --- gaps ------------------------------------------------------------------------------------------------------- */
enum rc
store_seen(struct db_tx *tx, const char *const *writers, const struct uuid *epochs, const char *const *ranges, size_t n,
	   struct err *e)
{
	struct db_args args;
	db_args_init(&args);
	db_arg_texts(&args, writers, n);
	db_arg_uuids(&args, epochs, n);
	db_arg_texts(&args, ranges, n);
	return db_exec(tx, sql_seen, &args, e);
}

enum rc
store_gaps(struct db_pool *p, int64_t deadline_ms, struct arena *a, struct store_gap **v_r, size_t *n_r, struct err *e)
{
	struct db_rows *rows = NULL;
	enum rc rc = query_all(p, sql_gaps, NULL, deadline_ms, &rows, e);
	if (rc != RC_OK)
		return rc;
	struct store_gap *v = arena_new_array(a, struct store_gap, (size_t)db_rows_count(rows) + 1);
	size_t n = 0;
	while (db_rows_next(rows))
		v[n++] = (struct store_gap){.writer = keep_text(a, rows, 0),
					    .epoch = db_uuid(rows, 1),
					    .missing = keep_text(a, rows, 2),
					    .seen = keep_text(a, rows, 3)};
	db_rows_free(&rows);
	*v_r = v;
	*n_r = n;
	return RC_OK;
}

enum rc
store_gap_close(struct db_tx *tx, const struct store_gap *g, struct err *e)
{
	struct db_args args;
	int64_t count = 0;
	db_args_init(&args);
	db_arg_text(&args, g->writer);
	db_arg_uuid(&args, &g->epoch);
	db_arg_text(&args, g->seen);
	enum rc rc = db_exec_count(tx, sql_gap_close, &args, &count, e);
	return rc != RC_OK || count == 1 ? rc : err_set(e, RC_CONFLICT, "the gap has changed");
}

/* --- heads, keys ------------------------------------------------------------------------------------------------ */
static enum rc
same_head(struct db_tx *tx, const struct uuid *tenant, const struct store_head *h, struct err *e)
{
	struct store_head old;
	struct arena *a = arena_new();
	enum rc rc = store_head_of(tx, tenant, h->size, a, &old, e);
	if (rc == RC_OK && !merkle_eq(&old.root, &h->root))
		rc = err_set(e, RC_CONFLICT, "the database has a head of %llu entries with another root",
			     (unsigned long long)h->size);
	arena_free(&a);
	return rc;
}

enum rc
store_head_put(struct db_pool *p, const struct uuid *tenant, const struct store_head *h, int64_t deadline_ms,
	       struct err *e)
{
	struct db_tx *tx = NULL;
	enum rc rc = db_begin(p, tenant, deadline_ms, &tx, e);
	if (rc != RC_OK)
		return rc;
	struct db_args args;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_long(&args, (int64_t)h->size);
	db_arg_bytes(&args, bytes_of(h->root.b, MERKLE_SIZE));
	db_arg_bytes(&args, h->checkpoint);
	db_arg_time(&args, h->at_us);
	int64_t count = 0;
	rc = db_exec_count(tx, sql_head_put, &args, &count, e);
	if (rc == RC_OK && count == 0)
		rc = same_head(tx, tenant, h, e);
	if (rc == RC_OK)
		rc = db_commit(&tx, e);
	db_end(&tx);
	return rc;
}

enum rc
store_keys(struct db_tx *tx, const struct uuid *tenant, struct arena *a, struct store_key **v_r, size_t *n_r,
	   struct err *e)
{
	struct db_args args;
	struct db_rows *rows = NULL;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	enum rc rc = db_query(tx, sql_keys, &args, &rows, e);
	if (rc != RC_OK)
		return rc;
	struct store_key *v = arena_new_array(a, struct store_key, (size_t)db_rows_count(rows) + 1);
	size_t n = 0;
	while (db_rows_next(rows))
		v[n++] = (struct store_key){(int32_t)db_int(rows, 0), arena_bytes(a, db_bytes(rows, 1))};
	db_rows_free(&rows);
	*v_r = v;
	*n_r = n;
	return RC_OK;
}

enum rc
store_key_put(struct db_tx *tx, const struct uuid *tenant, const struct store_key *k, struct err *e)
{
	struct db_args args;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_int(&args, k->epoch);
	db_arg_bytes(&args, k->wrapped);
	return db_exec(tx, sql_key_put, &args, e);
}
