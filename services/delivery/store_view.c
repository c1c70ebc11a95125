/* SPDX-License-Identifier: MIT
 *
 * SQL of what people look at. Lists walk the primary key of message from the newest on; what is open is found by way
 * of the due table, which holds open legs only.
 */
#include "store_columns.h"

#define LEGS_MAX 2000 /* of one message */

/* By way of each key (docs/decisions/0052). */
#define LEGS_OF(id)    "LATERAL (SELECT x.* FROM delivery.leg x WHERE x.tenant = $1 AND x.message = " id " OFFSET 0)"
#define MESSAGE_OF(id) "LATERAL (SELECT x.* FROM delivery.message x WHERE x.tenant = $1 AND x.id = " id " OFFSET 0)"

static const char SQL_LIST[] =
    "WITH page AS MATERIALIZED (SELECT m.* FROM delivery.message m WHERE m.tenant = $1 AND ($2::uuid IS NULL OR m.id < "
    "$2) "
    "AND ($4::bytea IS NULL OR m.mail_from = $4) AND ($6::text IS NULL OR m.direction = $6) AND "
    "(($3::text IS NULL AND $5::bytea IS NULL) OR EXISTS (SELECT 1 FROM delivery.leg l WHERE l.tenant = $1 AND "
    "l.message = m.id AND ($3::text IS NULL OR l.state = $3) AND ($5::bytea IS NULL OR l.address = $5) OFFSET 0)) "
    "ORDER BY m.tenant DESC, m.id DESC LIMIT $7) "
    "SELECT " STORE_MESSAGE_COLUMNS ", " STORE_LEG_COLUMNS
    " FROM page m CROSS JOIN " LEGS_OF("m.id") " AS l ORDER BY m.id DESC, l.number";

static const char SQL_HOLDS[] =
    "WITH page AS MATERIALIZED (SELECT DISTINCT d.message FROM delivery.due d "
    "WHERE d.tenant = $1 AND d.kind = 'hold' AND ($2::uuid IS NULL OR d.message < $2) AND EXISTS (SELECT FROM "
    "delivery.leg l WHERE l.tenant = $1 AND l.message = d.message AND l.number = d.number AND l.state = 'held' OFFSET "
    "0) "
    "ORDER BY d.message DESC LIMIT $3) "
    "SELECT " STORE_MESSAGE_COLUMNS ", " STORE_LEG_COLUMNS
    " FROM page p CROSS JOIN " MESSAGE_OF("p.message") " AS m CROSS JOIN " LEGS_OF(
	"p.message") " AS l WHERE l.state = 'held' ORDER BY m.id DESC, l.number";

static const char SQL_LOCK[] =
    "SELECT number FROM delivery.due WHERE tenant = $1 AND message = $2 ORDER BY number FOR UPDATE";

static const char SQL_SHOW[] = "SELECT " STORE_MESSAGE_COLUMNS ", " STORE_LEG_COLUMNS
			       " FROM delivery.message m JOIN delivery.leg l ON l.tenant = $1 AND l.message = m.id "
			       "WHERE m.tenant = $1 AND m.id = $2 ORDER BY l.number LIMIT $3";

/* What became of it, not who looked at it: that is for readers of the record. */
static const char SQL_TIMELINE[] =
    "SELECT at, action, outcome, traceparent, actor, detail, number FROM delivery.audit_intent "
    "WHERE tenant = $1 AND subject = $2 AND left(action, 9) <> 'delivery.' ORDER BY at, id LIMIT 5000";

static const char SQL_QUEUE[] =
    "SELECT l.domain, l.state, count(*)::int8, min(m.accepted_at), min(l.due_at) FROM delivery.due d "
    "CROSS JOIN LATERAL (SELECT x.* FROM delivery.leg x WHERE x.tenant = $1 AND x.message = d.message AND "
    "x.number = d.number OFFSET 0) AS l CROSS JOIN " MESSAGE_OF(
	"d.message") " AS m WHERE d.tenant = $1 "
		     "GROUP BY l.domain, l.state ORDER BY 3 DESC LIMIT 1000";

static const char SQL_DEPTH[] =
    "SELECT count(*) FILTER (WHERE kind = 'hold')::int8, count(*) FILTER (WHERE kind = 'quarantine')::int8, "
    "count(*) FILTER (WHERE kind = 'send')::int8, min(due_at) FILTER (WHERE lease_until < $1 AND due_at <= $1) "
    "FROM delivery.due";

static const char *
text_or_null(const struct db_rows *r, int col, struct arena *a)
{
	struct bytes b = db_bytes(r, col);
	return b.p != NULL ? arena_strndup(a, b.p, b.n) : NULL;
}

void
store_read_views(struct db_rows *r, struct arena *a, struct store_view **v_r, size_t *n_r)
{
	size_t rows = (size_t)db_rows_count(r), n = 0;
	struct store_view *v = arena_new_array(a, struct store_view, rows);
	struct store_leg *legs = arena_new_array(a, struct store_leg, rows);
	for (size_t i = 0; db_rows_next(r); i++) {
		struct uuid id = db_uuid(r, 0);
		if (n == 0 || !uuid_eq(&v[n - 1].message.id, &id)) {
			store_read_message(r, 0, a, &v[n].message);
			v[n++].legs = &legs[i];
		}
		store_read_leg(r, STORE_MESSAGE_N, a, &legs[i]);
		v[n - 1].n_legs++;
	}
	db_rows_free(&r);
	*v_r = v;
	*n_r = n;
}

enum rc
store_list(struct db_tx *tx, const struct uuid *tenant, const struct store_filter *f, struct arena *a,
	   struct store_view **v_r, size_t *n_r, struct err *e)
{
	struct db_args p;
	struct db_rows *r = NULL;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	db_arg_uuid(&p, f->has_before ? &f->before : NULL);
	db_arg_text(&p, f->state);
	db_arg_bytes(&p, f->sender);
	db_arg_bytes(&p, f->recipient);
	db_arg_text(&p, f->direction);
	db_arg_long(&p, f->limit);
	enum rc rc = db_query(tx, SQL_LIST, &p, &r, e);
	if (rc == RC_OK)
		store_read_views(r, a, v_r, n_r);
	return rc;
}

enum rc
store_holds(struct db_tx *tx, const struct uuid *tenant, const struct store_filter *f, struct arena *a,
	    struct store_view **v_r, size_t *n_r, struct err *e)
{
	struct db_args p;
	struct db_rows *r = NULL;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	db_arg_uuid(&p, f->has_before ? &f->before : NULL);
	db_arg_long(&p, f->limit);
	enum rc rc = db_query(tx, SQL_HOLDS, &p, &r, e);
	if (rc == RC_OK)
		store_read_views(r, a, v_r, n_r);
	return rc;
}

enum rc
store_show(struct db_tx *tx, const struct uuid *tenant, const struct uuid *id, bool lock, struct arena *a,
	   struct store_view *out_r, struct err *e)
{
	struct db_args p;
	struct db_rows *r = NULL;
	struct store_view *v = NULL;
	size_t n = 0;
	enum rc rc = RC_OK;
	if (lock) {
		db_args_init(&p);
		db_arg_uuid(&p, tenant);
		db_arg_uuid(&p, id);
		rc = db_exec(tx, SQL_LOCK, &p, e);
	}
	if (rc != RC_OK)
		return rc;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	db_arg_uuid(&p, id);
	db_arg_long(&p, LEGS_MAX);
	rc = db_query(tx, SQL_SHOW, &p, &r, e);
	if (rc != RC_OK)
		return rc;
	store_read_views(r, a, &v, &n);
	if (n == 0)
		return err_set(e, RC_NOT_FOUND, "no such message");
	*out_r = v[0];
	return RC_OK;
}

enum rc
store_timeline(struct db_tx *tx, const struct uuid *tenant, const struct uuid *message, struct arena *a,
	       struct store_event **v_r, size_t *n_r, struct err *e)
{
	struct db_args p;
	struct db_rows *r = NULL;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	db_arg_uuid(&p, message);
	enum rc rc = db_query(tx, SQL_TIMELINE, &p, &r, e);
	if (rc != RC_OK)
		return rc;
	struct store_event *v = arena_new_array(a, struct store_event, (size_t)db_rows_count(r));
	size_t n = 0;
	while (db_rows_next(r)) {
		v[n].at_us = db_time(r, 0);
		v[n].action = text_or_null(r, 1, a);
		v[n].outcome = text_or_null(r, 2, a);
		v[n].traceparent = text_or_null(r, 3, a);
		v[n].actor = arena_bytes(a, db_bytes(r, 4));
		v[n].detail = arena_bytes(a, db_bytes(r, 5));
		v[n].number = (int32_t)db_int(r, 6);
		n++;
	}
	db_rows_free(&r);
	*v_r = v;
	*n_r = n;
	return RC_OK;
}

enum rc
store_queue(struct db_tx *tx, const struct uuid *tenant, struct arena *a, struct store_queue_line **v_r, size_t *n_r,
	    struct err *e)
{
	struct db_args p;
	struct db_rows *r = NULL;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	enum rc rc = db_query(tx, SQL_QUEUE, &p, &r, e);
	if (rc != RC_OK)
		return rc;
	struct store_queue_line *v = arena_new_array(a, struct store_queue_line, (size_t)db_rows_count(r));
	size_t n = 0;
	while (db_rows_next(r)) {
		v[n].domain = arena_bytes(a, db_bytes(r, 0));
		v[n].state = text_or_null(r, 1, a);
		v[n].depth = db_int(r, 2);
		v[n].oldest_us = db_time(r, 3);
		v[n].next_us = db_time(r, 4);
		n++;
	}
	db_rows_free(&r);
	*v_r = v;
	*n_r = n;
	return RC_OK;
}

enum rc
store_depth(struct db_pool *pool, int64_t now_us, int64_t deadline_ms, struct store_depth *out_r, struct err *e)
{
	struct db_tx *tx = NULL;
	struct db_args p;
	struct db_rows *r = NULL;
	enum rc rc = db_begin(pool, NULL, deadline_ms, &tx, e);
	if (rc != RC_OK)
		return rc;
	db_args_init(&p);
	db_arg_time(&p, now_us);
	rc = db_query(tx, SQL_DEPTH, &p, &r, e);
	db_end(&tx);
	if (rc != RC_OK)
		return rc;
	if (db_rows_next(r)) {
		int64_t first = db_time(r, 3);
		*out_r = (struct store_depth){
		    .hold = db_int(r, 0),
		    .quarantine = db_int(r, 1),
		    .send = db_int(r, 2),
		    .overdue_us = first != DB_TIME_NULL && first < now_us ? now_us - first : 0,
		};
	}
	db_rows_free(&r);
	return RC_OK;
}
