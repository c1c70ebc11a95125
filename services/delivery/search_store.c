/* SPDX-License-Identifier: MIT
 *
 * Conditions are equality and ranges on uuid and int4 only: their operators are leakproof, so the primary keys serve
 * them under row-level security.
 */
#include "search_store.h"

#include "core/clock.h"
#include "search_block.h"
#include "store_columns.h"

#define WAITING_MAX  1000
#define SEGMENTS_MAX 5000
#define LEGS_MAX     500 /* of one message, in a list of many */

static const char SQL_ARRIVED[] =
    "INSERT INTO delivery.search_arrival (tenant, first, messages) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";

static const char SQL_WAITING[] = "SELECT tenant, min(at), (sum(length(messages)) / 16)::int8 FROM "
				  "delivery.search_arrival GROUP BY tenant ORDER BY 2 LIMIT $1";

static const char SQL_OLDEST[] =
    "SELECT first, messages FROM delivery.search_arrival WHERE tenant = $1 ORDER BY first LIMIT $2";
static const char SQL_NEWEST[] =
    "SELECT first, messages FROM delivery.search_arrival WHERE tenant = $1 ORDER BY first DESC LIMIT $2";

static const char SQL_TAKEN[] = "DELETE FROM delivery.search_arrival WHERE tenant = $1 AND first = ANY($2::uuid[])";

static const char SQL_LOCK[] =
    "SELECT pg_try_advisory_xact_lock(hashtextextended('delivery.search.' || $1::uuid::text, 0))";

/* By way of each key (docs/decisions/0052). */
static const char SQL_VIEWS[] =
    "SELECT " STORE_MESSAGE_COLUMNS ", " STORE_LEG_COLUMNS " FROM unnest($2::uuid[]) AS u(id) "
    "CROSS JOIN LATERAL (SELECT x.* FROM delivery.message x WHERE x.tenant = $1 AND x.id = u.id OFFSET 0) AS m "
    "CROSS JOIN LATERAL (SELECT x.* FROM delivery.leg x WHERE x.tenant = $1 AND x.message = u.id AND x.number < $3 "
    "OFFSET 0) AS l ORDER BY m.id DESC, l.number";

static const char SQL_SEGMENTS[] = "SELECT id, epoch, messages, bits, first, last, fence, building FROM "
				   "delivery.search_segment WHERE tenant = $1 ORDER BY last DESC LIMIT $2";

static const char SQL_SEGMENT_ADD[] =
    "INSERT INTO delivery.search_segment (tenant, id, epoch, messages, bits, first, last, fence, building) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

static const char SQL_SEGMENT_BUILT[] =
    "UPDATE delivery.search_segment SET building = false WHERE tenant = $1 AND id = $2 AND building";

static const char SQL_SEGMENTS_DROP[] =
    "DELETE FROM delivery.search_segment WHERE tenant = $1 AND id = ANY($2::uuid[])";
static const char SQL_BLOCKS_DROP[] = "DELETE FROM delivery.search_block WHERE tenant = $1 AND segment = $2";

static const char SQL_BLOCKS_ADD[] =
    "INSERT INTO delivery.search_block (tenant, segment, bucket, data) SELECT $1, $2, u.bucket, u.data FROM "
    "unnest($3::int4[], $4::bytea[]) AS u(bucket, data) WHERE EXISTS (SELECT 1 FROM delivery.search_segment s WHERE "
    "s.tenant = $1 AND s.id = $2)";

static const char SQL_BLOCKS[] =
    "SELECT u.place, b.data FROM unnest($2::uuid[], $3::int4[]) WITH ORDINALITY AS u(segment, bucket, place) "
    "CROSS JOIN LATERAL (SELECT x.data FROM delivery.search_block x WHERE x.tenant = $1 AND x.segment = u.segment AND "
    "x.bucket = u.bucket OFFSET 0) AS b";

static const char SQL_RANGE[] = "SELECT bucket, data FROM delivery.search_block WHERE tenant = $1 AND segment = $2 AND "
				"bucket >= $3 AND bucket < $4 ORDER BY bucket";

/* --- what waits ------------------------------------------------------------------------------------------------ */
enum rc
search_store_arrived(struct db_tx *tx, const struct uuid *tenant, const struct uuid *ids, size_t n, struct err *e)
{
	struct db_args p;
	const struct uuid *first = &ids[0];
	for (size_t i = 1; i < n; i++)
		if (memcmp(&ids[i], first, sizeof(*first)) < 0)
			first = &ids[i];
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	db_arg_uuid(&p, first);
	db_arg_bytes(&p, bytes_of(ids, n * sizeof(*ids)));
	return db_exec(tx, SQL_ARRIVED, &p, e);
}

enum rc
search_store_waiting(struct db_pool *pool, int64_t deadline_ms, struct arena *a, struct search_waiting **v_r,
		     size_t *n_r, struct err *e)
{
	struct db_tx *tx = NULL;
	struct db_args p;
	struct db_rows *r = NULL;
	enum rc rc = db_begin(pool, NULL, deadline_ms, &tx, e);
	if (rc != RC_OK)
		return rc;
	db_args_init(&p);
	db_arg_int(&p, WAITING_MAX);
	rc = db_query(tx, SQL_WAITING, &p, &r, e);
	db_end(&tx);
	if (rc != RC_OK)
		return rc;
	struct search_waiting *v = arena_new_array(a, struct search_waiting, (size_t)db_rows_count(r));
	size_t n = 0;
	for (; db_rows_next(r); n++)
		v[n] = (struct search_waiting){db_uuid(r, 0), db_time(r, 1), db_int(r, 2)};
	db_rows_free(&r);
	*v_r = v;
	*n_r = n;
	return RC_OK;
}

enum rc
search_store_arrivals(struct db_tx *tx, const struct uuid *tenant, bool newest, int32_t limit, struct arena *a,
		      struct search_arrival **v_r, size_t *n_r, struct err *e)
{
	struct db_args p;
	struct db_rows *r = NULL;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	db_arg_int(&p, limit);
	enum rc rc = db_query(tx, newest ? SQL_NEWEST : SQL_OLDEST, &p, &r, e);
	if (rc != RC_OK)
		return rc;
	struct search_arrival *v = arena_new_array(a, struct search_arrival, (size_t)db_rows_count(r));
	size_t n = 0;
	for (; db_rows_next(r); n++) {
		struct bytes ids = db_bytes(r, 1);
		v[n].first = db_uuid(r, 0);
		v[n].n = ids.n / sizeof(*v[n].ids);
		v[n].ids = arena_new_array(a, struct uuid, v[n].n + 1);
		memcpy(v[n].ids, ids.p, v[n].n * sizeof(*v[n].ids));
	}
	db_rows_free(&r);
	*v_r = v;
	*n_r = n;
	return RC_OK;
}

static enum rc
all_or_conflict(struct db_tx *tx, const char *sql, const struct uuid *tenant, const struct uuid *ids, size_t n,
		struct err *e)
{
	struct db_args p;
	int64_t count = 0;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	db_arg_uuids(&p, ids, n);
	enum rc rc = db_exec_count(tx, sql, &p, &count, e);
	if (rc == RC_OK && count != (int64_t)n)
		rc = err_set(e, RC_CONFLICT, "somebody else was at the search index");
	return rc;
}

enum rc
search_store_taken(struct db_tx *tx, const struct uuid *tenant, const struct uuid *firsts, size_t n, struct err *e)
{
	return all_or_conflict(tx, SQL_TAKEN, tenant, firsts, n, e);
}

enum rc
search_store_lock(struct db_tx *tx, const struct uuid *tenant, bool *got_r, struct err *e)
{
	struct db_args p;
	struct db_rows *r = NULL;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	enum rc rc = db_query(tx, SQL_LOCK, &p, &r, e);
	if (rc != RC_OK)
		return rc;
	*got_r = db_rows_next(r) && db_bool(r, 0);
	db_rows_free(&r);
	return RC_OK;
}

/* --- messages -------------------------------------------------------------------------------------------------- */
enum rc
search_store_views(struct db_tx *tx, const struct uuid *tenant, const struct uuid *ids, size_t n, struct arena *a,
		   struct store_view **v_r, size_t *n_r, struct err *e)
{
	struct db_args p;
	struct db_rows *r = NULL;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	db_arg_uuids(&p, ids, n);
	db_arg_int(&p, LEGS_MAX);
	enum rc rc = db_query(tx, SQL_VIEWS, &p, &r, e);
	if (rc == RC_OK)
		store_read_views(r, a, v_r, n_r);
	return rc;
}

/* --- segments -------------------------------------------------------------------------------------------------- */
static bool
is_whole(const struct search_segment *g)
{
	size_t pages = ((size_t)g->messages + SEARCH_PAGE - 1) / SEARCH_PAGE;
	return g->messages > 0 && g->messages <= (int32_t)SEARCH_SEGMENT_MAX && g->bits >= 0 &&
	       g->bits <= SEARCH_BITS_MAX && g->fence.n == pages * SEARCH_FENCE;
}

enum rc
search_store_segments(struct db_tx *tx, const struct uuid *tenant, struct arena *a, struct search_segment **v_r,
		      size_t *n_r, struct err *e)
{
	struct db_args p;
	struct db_rows *r = NULL;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	db_arg_int(&p, SEGMENTS_MAX);
	enum rc rc = db_query(tx, SQL_SEGMENTS, &p, &r, e);
	if (rc != RC_OK)
		return rc;
	struct search_segment *v = arena_new_array(a, struct search_segment, (size_t)db_rows_count(r));
	size_t n = 0;
	for (; rc == RC_OK && db_rows_next(r); n++) {
		v[n] = (struct search_segment){
		    .id = db_uuid(r, 0),
		    .epoch = (int32_t)db_int(r, 1),
		    .messages = (int32_t)db_int(r, 2),
		    .bits = (int32_t)db_int(r, 3),
		    .first = db_uuid(r, 4),
		    .last = db_uuid(r, 5),
		    .fence = arena_bytes(a, db_bytes(r, 6)),
		    .building = db_bool(r, 7),
		};
		if (!is_whole(&v[n]))
			rc = err_set(e, RC_INVALID, "a segment of the search index is broken");
	}
	db_rows_free(&r);
	if (rc != RC_OK)
		return rc;
	*v_r = v;
	*n_r = n;
	return RC_OK;
}

enum rc
search_store_segment_add(struct db_tx *tx, const struct uuid *tenant, const struct search_segment *s, struct err *e)
{
	struct db_args p;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	db_arg_uuid(&p, &s->id);
	db_arg_int(&p, s->epoch);
	db_arg_int(&p, s->messages);
	db_arg_int(&p, s->bits);
	db_arg_uuid(&p, &s->first);
	db_arg_uuid(&p, &s->last);
	db_arg_bytes(&p, s->fence);
	db_arg_bool(&p, s->building);
	return db_exec(tx, SQL_SEGMENT_ADD, &p, e);
}

enum rc
search_store_segment_built(struct db_tx *tx, const struct uuid *tenant, const struct uuid *id, struct err *e)
{
	struct db_args p;
	int64_t count = 0;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	db_arg_uuid(&p, id);
	enum rc rc = db_exec_count(tx, SQL_SEGMENT_BUILT, &p, &count, e);
	if (rc == RC_OK && count != 1)
		rc = err_set(e, RC_CONFLICT, "somebody else was at the search index");
	return rc;
}

enum rc
search_store_segments_drop(struct db_tx *tx, const struct uuid *tenant, const struct uuid *ids, size_t n, struct err *e)
{
	struct db_args p;
	enum rc rc = all_or_conflict(tx, SQL_SEGMENTS_DROP, tenant, ids, n, e);
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		db_args_init(&p);
		db_arg_uuid(&p, tenant);
		db_arg_uuid(&p, &ids[i]);
		rc = db_exec(tx, SQL_BLOCKS_DROP, &p, e);
	}
	return rc;
}

enum rc
search_store_blocks_add(struct db_tx *tx, const struct uuid *tenant, const struct uuid *segment,
			const struct search_row *v, size_t n, struct err *e)
{
	struct db_args p;
	int64_t count = 0;
	struct arena *a = arena_new();
	int32_t *buckets = arena_new_array(a, int32_t, n + 1);
	struct bytes *data = arena_new_array(a, struct bytes, n + 1);
	for (size_t i = 0; i < n; i++) {
		buckets[i] = v[i].bucket;
		data[i] = v[i].data;
	}
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	db_arg_uuid(&p, segment);
	db_arg_ints(&p, buckets, n);
	db_arg_bytes_array(&p, data, n);
	arena_free(&a);
	enum rc rc = db_exec_count(tx, SQL_BLOCKS_ADD, &p, &count, e);
	if (rc == RC_OK && count != (int64_t)n)
		rc = err_set(e, RC_CONFLICT, "somebody else was at the search index");
	return rc;
}

enum rc
search_store_blocks(struct db_tx *tx, const struct uuid *tenant, struct search_row *v, size_t n, struct arena *a,
		    struct err *e)
{
	struct db_args p;
	struct db_rows *r = NULL;
	struct uuid *segments = arena_new_array(a, struct uuid, n + 1);
	int32_t *buckets = arena_new_array(a, int32_t, n + 1);
	for (size_t i = 0; i < n; i++) {
		segments[i] = v[i].segment;
		buckets[i] = v[i].bucket;
		v[i].data = bytes_of(NULL, 0);
	}
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	db_arg_uuids(&p, segments, n);
	db_arg_ints(&p, buckets, n);
	enum rc rc = db_query(tx, SQL_BLOCKS, &p, &r, e);
	if (rc != RC_OK)
		return rc;
	while (db_rows_next(r))
		v[db_int(r, 0) - 1].data = arena_bytes(a, store_full(db_bytes(r, 1)));
	db_rows_free(&r);
	return RC_OK;
}

enum rc
search_store_range(struct db_tx *tx, const struct uuid *tenant, const struct uuid *segment, int32_t from, int32_t to,
		   struct arena *a, struct search_row **v_r, size_t *n_r, struct err *e)
{
	struct db_args p;
	struct db_rows *r = NULL;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	db_arg_uuid(&p, segment);
	db_arg_int(&p, from);
	db_arg_int(&p, to);
	enum rc rc = db_query(tx, SQL_RANGE, &p, &r, e);
	if (rc != RC_OK)
		return rc;
	struct search_row *v = arena_new_array(a, struct search_row, (size_t)db_rows_count(r) + 1);
	size_t n = 0;
	for (; db_rows_next(r); n++)
		v[n] = (struct search_row){*segment, (int32_t)db_int(r, 0), arena_bytes(a, store_full(db_bytes(r, 1)))};
	db_rows_free(&r);
	*v_r = v;
	*n_r = n;
	return RC_OK;
}
