/* SPDX-License-Identifier: MIT
 *
 * SQL of what is asked. A search walks the index of its most selective condition in the order of time, so that it
 * touches about as many entries as it gives back; the plans are generic, hence one literal per condition. Only
 * operators that row-level security lets into an index are used (leakproof ones).
 */
#include "core/arena.h"
#include "store.h"

#define COLUMNS	   "e.index, e.intent, e.at, e.action, e.outcome, e.actor, e.source, e.subject, e.leaf, e.sealed "
#define ACTOR_ANY  "AND ($7::bytea IS NULL OR e.actor = $7) "
#define SOURCE_ANY "AND ($8::bytea IS NULL OR e.source = $8) "
#define ACTION_ANY                                                                                                     \
	"AND ($9::text IS NULL OR CASE WHEN $10::text IS NULL THEN e.action = $9 ELSE e.action >= $9 AND e.action < "  \
	"$10 END) "
#define OUTCOME_ANY	   "AND ($11::text IS NULL OR e.outcome = $11) "
#define SUBJECT_ANY	   "AND ($12::uuid IS NULL OR e.subject = $12) "
#define WHERE		   "WHERE e.tenant = $1 AND e.at >= $2 AND e.at < $3 AND (e.at, e.index) < ($4, $5) "
#define NEWEST		   "ORDER BY e.at DESC, e.index DESC LIMIT $6"
#define SEARCH(conditions) "SELECT " COLUMNS "FROM audit.entry e " WHERE conditions NEWEST

static const char *const sql_by_subject = SEARCH("AND e.subject = $12 " ACTOR_ANY SOURCE_ANY ACTION_ANY OUTCOME_ANY);
static const char *const sql_by_actor = SEARCH("AND e.actor = $7 " SOURCE_ANY ACTION_ANY OUTCOME_ANY SUBJECT_ANY);
static const char *const sql_by_source =
    SEARCH("AND e.source = $8 AND e.source <> '' " ACTOR_ANY ACTION_ANY OUTCOME_ANY SUBJECT_ANY);
static const char *const sql_by_outcome =
    SEARCH("AND e.outcome = $11 AND e.outcome <> 'ok' " ACTOR_ANY SOURCE_ANY ACTION_ANY SUBJECT_ANY);
static const char *const sql_by_action =
    SEARCH("AND e.action = $9 " ACTOR_ANY SOURCE_ANY ACTION_ANY OUTCOME_ANY SUBJECT_ANY);
static const char *const sql_by_time = SEARCH(ACTOR_ANY SOURCE_ANY ACTION_ANY OUTCOME_ANY SUBJECT_ANY);
/* The actions with that prefix, one index probe each; then the newest of each. */
static const char *const sql_by_prefix =
    "WITH RECURSIVE a (action) AS ((SELECT f.action FROM audit.entry f WHERE f.tenant = $1 AND f.action >= $9 AND "
    "f.action < "
    "$10 ORDER BY f.action LIMIT 1) UNION ALL SELECT (SELECT f.action FROM audit.entry f WHERE f.tenant = $1 AND "
    "f.action > "
    "a.action AND f.action < $10 ORDER BY f.action LIMIT 1) FROM a WHERE a.action IS NOT NULL) SELECT " COLUMNS
    "FROM a CROSS JOIN LATERAL (SELECT " COLUMNS "FROM audit.entry e " WHERE
    "AND e.action = a.action " ACTOR_ANY SOURCE_ANY OUTCOME_ANY SUBJECT_ANY NEWEST
    ") AS e WHERE a.action IS NOT NULL " NEWEST;

#define RANGE_WHERE "FROM audit.entry e WHERE e.tenant = $1 AND e.index >= $2 AND e.index < $3 "
#define RANGE_END   "ORDER BY e.index LIMIT $4"
static const char *const sql_range_all = "SELECT " COLUMNS RANGE_WHERE RANGE_END;
static const char *const sql_range_filtered =
    "SELECT " COLUMNS RANGE_WHERE
    "AND e.at >= $5 AND e.at < $6 " ACTOR_ANY SOURCE_ANY ACTION_ANY OUTCOME_ANY SUBJECT_ANY RANGE_END;
static const char *const sql_of_actions = "SELECT " COLUMNS RANGE_WHERE "AND e.action = ANY ($5) " RANGE_END;

#define HEAD "SELECT h.size, h.root, h.checkpoint, h.at FROM audit.head h WHERE h.tenant = $1 "
static const char *const sql_heads = HEAD "AND h.size < $2 ORDER BY h.size DESC LIMIT $3";
static const char *const sql_heads_between = "SELECT DISTINCT ON ((h.size - 1) / 1000) h.size, h.root, h.checkpoint, "
					     "h.at FROM audit.head h WHERE h.tenant = $1 AND "
					     "h.size > $2 AND h.size <= $3 ORDER BY (h.size - 1) / 1000, h.size DESC";
static const char *const sql_head_of = HEAD "AND h.size = $2";
static const char *const sql_tile = "SELECT hashes FROM audit.tile WHERE tenant = $1 AND level = $2 AND n = $3";

/* --- entries ---------------------------------------------------------------------------------------------------- */
static enum rc
take_entries(struct db_tx *tx, const char *sql, struct db_args *args, struct arena *a, struct store_entry **v_r,
	     size_t *n_r, struct err *e)
{
	struct db_rows *rows = NULL;
	enum rc rc = db_query(tx, sql, args, &rows, e);
	if (rc != RC_OK)
		return rc;
	struct store_entry *v = arena_new_array(a, struct store_entry, (size_t)db_rows_count(rows) + 1);
	size_t n = 0;
	while (db_rows_next(rows)) {
		struct bytes leaf = db_bytes(rows, 8);
		v[n] = (struct store_entry){
		    .index = (uint64_t)db_int(rows, 0),
		    .intent = db_uuid(rows, 1),
		    .at_us = db_time(rows, 2),
		    .action = arena_strdup(a, db_text(rows, 3)),
		    .outcome = arena_strdup(a, db_text(rows, 4)),
		    .actor = arena_bytes(a, db_bytes(rows, 5)),
		    .source = arena_bytes(a, db_bytes(rows, 6)),
		    .subject = db_uuid(rows, 7),
		};
		if (leaf.n == MERKLE_SIZE)
			memcpy(v[n].leaf.b, leaf.p, MERKLE_SIZE);
		if (!db_is_null(rows, 9))
			v[n].sealed = arena_bytes(a, db_bytes(rows, 9));
		n++;
	}
	db_rows_free(&rows);
	*v_r = v;
	*n_r = n;
	return RC_OK;
}

static void
arg_optional(struct db_args *args, const char *text)
{
	db_arg_text(args, text != NULL && text[0] != 0 ? text : NULL);
}

/* $7 to $12 */
static void
arg_filter(struct db_args *args, const struct store_filter *f)
{
	db_arg_bytes(args, f->actor.n > 0 ? f->actor : (struct bytes){0});
	db_arg_bytes(args, f->source.n > 0 ? f->source : (struct bytes){0});
	arg_optional(args, f->action);
	arg_optional(args, f->action_end);
	arg_optional(args, f->outcome);
	db_arg_uuid(args, f->has_subject ? &f->subject : NULL);
}

static const char *
sql_of_filter(const struct store_filter *f)
{
	if (f->has_subject)
		return sql_by_subject;
	if (f->actor.n > 0)
		return sql_by_actor;
	if (f->source.n > 0)
		return sql_by_source;
	if (f->outcome != NULL && f->outcome[0] != 0 && strcmp(f->outcome, "ok") != 0)
		return sql_by_outcome;
	if (f->action != NULL && f->action[0] != 0)
		return f->action_end != NULL ? sql_by_prefix : sql_by_action;
	return sql_by_time;
}

enum rc
store_search(struct db_tx *tx, const struct uuid *tenant, const struct store_filter *f, int64_t before_us,
	     uint64_t before_index, int limit, struct arena *a, struct store_entry **v_r, size_t *n_r, struct err *e)
{
	struct db_args args;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_time(&args, f->from_us != DB_TIME_NULL ? f->from_us : 0);
	db_arg_time(&args, f->until_us != DB_TIME_NULL ? f->until_us : STORE_LAST_US);
	db_arg_time(&args, before_us != DB_TIME_NULL ? before_us : STORE_LAST_US);
	db_arg_long(&args, before_us != DB_TIME_NULL ? (int64_t)before_index : INT64_MAX);
	db_arg_long(&args, limit);
	arg_filter(&args, f);
	return take_entries(tx, sql_of_filter(f), &args, a, v_r, n_r, e);
}

static void
arg_range(struct db_args *args, const struct uuid *tenant, uint64_t first, uint64_t end, int limit)
{
	db_args_init(args);
	db_arg_uuid(args, tenant);
	db_arg_long(args, (int64_t)first);
	db_arg_long(args, (int64_t)end);
	db_arg_long(args, limit);
}

enum rc
store_range(struct db_tx *tx, const struct uuid *tenant, const struct store_filter *f, uint64_t first, uint64_t end,
	    int limit, struct arena *a, struct store_entry **v_r, size_t *n_r, struct err *e)
{
	struct db_args args;
	arg_range(&args, tenant, first, end, limit);
	if (f == NULL)
		return take_entries(tx, sql_range_all, &args, a, v_r, n_r, e);
	db_arg_time(&args, f->from_us != DB_TIME_NULL ? f->from_us : 0);
	db_arg_time(&args, f->until_us != DB_TIME_NULL ? f->until_us : STORE_LAST_US);
	arg_filter(&args, f);
	return take_entries(tx, sql_range_filtered, &args, a, v_r, n_r, e);
}

enum rc
store_of_actions(struct db_tx *tx, const struct uuid *tenant, const char *const *actions, size_t n_actions,
		 uint64_t first, uint64_t end, int limit, struct arena *a, struct store_entry **v_r, size_t *n_r,
		 struct err *e)
{
	struct db_args args;
	arg_range(&args, tenant, first, end, limit);
	db_arg_texts(&args, actions, n_actions);
	return take_entries(tx, sql_of_actions, &args, a, v_r, n_r, e);
}

/* --- heads ------------------------------------------------------------------------------------------------------ */
static enum rc
take_heads(struct db_tx *tx, const char *sql, struct db_args *args, struct arena *a, struct store_head **v_r,
	   size_t *n_r, struct err *e)
{
	struct db_rows *rows = NULL;
	enum rc rc = db_query(tx, sql, args, &rows, e);
	if (rc != RC_OK)
		return rc;
	struct store_head *v = arena_new_array(a, struct store_head, (size_t)db_rows_count(rows) + 1);
	size_t n = 0;
	while (db_rows_next(rows)) {
		struct bytes root = db_bytes(rows, 1);
		v[n] = (struct store_head){.size = (uint64_t)db_int(rows, 0),
					   .checkpoint = arena_bytes(a, db_bytes(rows, 2)),
					   .at_us = db_time(rows, 3)};
		if (root.n == MERKLE_SIZE)
			memcpy(v[n].root.b, root.p, MERKLE_SIZE);
		n++;
	}
	db_rows_free(&rows);
	*v_r = v;
	*n_r = n;
	return RC_OK;
}

enum rc
store_heads(struct db_tx *tx, const struct uuid *tenant, uint64_t below, int limit, struct arena *a,
	    struct store_head **v_r, size_t *n_r, struct err *e)
{
	struct db_args args;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_long(&args, below > INT64_MAX ? INT64_MAX : (int64_t)below);
	db_arg_long(&args, limit);
	return take_heads(tx, sql_heads, &args, a, v_r, n_r, e);
}

enum rc
store_heads_between(struct db_tx *tx, const struct uuid *tenant, uint64_t first, uint64_t last, struct arena *a,
		    struct store_head **v_r, size_t *n_r, struct err *e)
{
	struct db_args args;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_long(&args, (int64_t)first);
	db_arg_long(&args, (int64_t)last);
	return take_heads(tx, sql_heads_between, &args, a, v_r, n_r, e);
}

enum rc
store_head_of(struct db_tx *tx, const struct uuid *tenant, uint64_t size, struct arena *a, struct store_head *out_r,
	      struct err *e)
{
	struct db_args args;
	struct store_head *v;
	size_t n;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_long(&args, (int64_t)size);
	enum rc rc = take_heads(tx, sql_head_of, &args, a, &v, &n, e);
	if (rc == RC_OK && n == 0)
		return err_set(e, RC_NOT_FOUND, "no head of size %llu was signed", (unsigned long long)size);
	if (rc == RC_OK)
		*out_r = v[0];
	return rc;
}

/* --- tiles ------------------------------------------------------------------------------------------------------ */
#define BUCKETS 64

struct tile {
	int level;
	uint64_t number;
	struct bytes hashes;
	struct tile *next;
};
struct store_tiles {
	struct db_tx *tx;
	struct uuid tenant;
	struct arena *a;
	struct tile *tiles[BUCKETS];
};

struct store_tiles *
store_tiles_new(struct db_tx *tx, const struct uuid *tenant, struct arena *a)
{
	struct store_tiles *t = arena_alloc(a, sizeof(*t));
	t->tx = tx;
	t->tenant = *tenant;
	t->a = a;
	return t;
}

static enum rc
read_tile(struct store_tiles *s, struct tile *t, struct err *e)
{
	struct db_args args;
	struct db_rows *rows = NULL;
	db_args_init(&args);
	db_arg_uuid(&args, &s->tenant);
	db_arg_int(&args, t->level);
	db_arg_long(&args, (int64_t)t->number);
	enum rc rc = db_query(s->tx, sql_tile, &args, &rows, e);
	if (rc != RC_OK)
		return rc;
	if (db_rows_next(rows))
		t->hashes = arena_bytes(s->a, db_bytes(rows, 0));
	db_rows_free(&rows);
	return RC_OK;
}

static enum rc
get_tile(void *ctx, int level, uint64_t number, unsigned width, const struct merkle_hash **h_r, struct err *e)
{
	struct store_tiles *s = ctx;
	struct tile **bucket = &s->tiles[(number + (uint64_t)level * 31) % BUCKETS], *t = *bucket;
	while (t != NULL && (t->level != level || t->number != number))
		t = t->next;
	if (t == NULL) {
		t = arena_alloc(s->a, sizeof(*t));
		t->level = level;
		t->number = number;
		enum rc rc = read_tile(s, t, e);
		if (rc != RC_OK)
			return rc;
		t->next = *bucket;
		*bucket = t;
	}
	if (t->hashes.n < (size_t)width * MERKLE_SIZE)
		return err_set(e, RC_INTERNAL, "a tile of the tree is missing or short");
	*h_r = (const struct merkle_hash *)t->hashes.p;
	return RC_OK;
}

struct tiles_reader
store_tiles_reader(struct store_tiles *t)
{
	return (struct tiles_reader){get_tile, t};
}
