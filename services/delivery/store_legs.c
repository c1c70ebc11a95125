/* SPDX-License-Identifier: MIT
 *
 * SQL of claims and changes. Locks are taken in one order, due row before leg, so that an operator, the scheduler and
 * a worker that reach for the same leg wait for each other and never in a circle. A result is the exception: its due
 * row is under our lease, nobody else picks it.
 */
#include "store.h"

#include "core/clock.h"
#include "store_columns.h"

static const char SQL_CHANGE[] =
    "WITH u AS (SELECT * FROM unnest($2::int4[], $3::uuid[], $4::int4[], $5::text[], $6::int8[], $7::text[], "
    "$8::int8[], "
    "$9::int8[], $10::int4[], $11::timestamptz[], $12::bytea[], $13::bytea[], $14::text[], $15::bytea[], "
    "$16::timestamptz[], "
    "$17::bool[], $18::bool[], $19::text[], $20::timestamptz[], $21::timestamptz[], $23::timestamptz[]) AS u(i, "
    "message, number, "
    "from_state, "
    "from_version, state, version, epoch, attempts, due_at, reply, remote, tls, decided_by, final_at, duplicate, "
    "delay_told, "
    "kind, wake_at, lease_until, sendable_at)), "
    "moved AS (UPDATE delivery.leg l SET state = u.state, version = u.version, epoch = u.epoch, attempts = u.attempts, "
    "due_at = u.due_at, reply = u.reply, remote = u.remote, tls = u.tls, decided_by = u.decided_by, final_at = "
    "u.final_at, "
    "possible_duplicate = u.duplicate, delay_told = u.delay_told, sendable_at = u.sendable_at FROM u WHERE l.tenant = "
    "$1 AND l.message = u.message "
    "AND "
    "l.number = u.number AND l.state = u.from_state AND l.version = u.from_version RETURNING u.i, u.message, u.number, "
    "u.final_at IS NOT NULL AS final, u.kind, u.wake_at, u.lease_until), "
    "gone AS (DELETE FROM delivery.due d USING moved m WHERE m.final AND d.tenant = $1 AND d.message = m.message AND "
    "d.number = m.number), "
    "kept AS (UPDATE delivery.due d SET kind = m.kind, due_at = coalesce(m.wake_at, d.due_at), "
    "lease_until = coalesce(m.lease_until, '2000-01-01 00:00:00+00'), lease_owner = CASE WHEN m.lease_until IS NULL "
    "THEN NULL ELSE $22::uuid END FROM moved m WHERE NOT m.final AND d.tenant = $1 AND d.message = m.message AND "
    "d.number = m.number) "
    "SELECT i FROM moved";

static const char SQL_TENANTS[] =
    "WITH RECURSIVE t AS ((SELECT tenant FROM delivery.due ORDER BY tenant LIMIT 1) UNION ALL "
    "SELECT (SELECT d.tenant FROM delivery.due d WHERE d.tenant > t.tenant ORDER BY d.tenant LIMIT 1) FROM t "
    "WHERE t.tenant IS NOT NULL) "
    "SELECT t.tenant, f.due_at FROM t, LATERAL (SELECT d.due_at FROM delivery.due d WHERE d.tenant = t.tenant AND "
    "d.lease_until < $1 ORDER BY d.due_at LIMIT 1) f WHERE t.tenant IS NOT NULL";

static const char SQL_WAIT[] =
    "SELECT number FROM delivery.due WHERE tenant = $1 AND message = $2 ORDER BY number FOR UPDATE";

static const char SQL_PICK[] =
    "WITH pick AS MATERIALIZED (SELECT message, number, due_at FROM delivery.due WHERE tenant = $1 AND due_at <= $2 "
    "AND "
    "lease_until < $2 ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED) "
    "SELECT coalesce((SELECT s.uncertain = 'ask' FROM delivery.setting s WHERE s.tenant = $1), "
    "false), " STORE_MESSAGE_COLUMNS ", " STORE_LEG_COLUMNS
    " FROM pick p JOIN delivery.leg l ON l.tenant = $1 AND l.message = p.message AND l.number = p.number "
    "JOIN delivery.message m ON m.tenant = $1 AND m.id = p.message ORDER BY p.due_at, p.message, p.number";

static const char SQL_POSTPONE[] =
    "UPDATE delivery.due d SET due_at = $4 FROM unnest($2::uuid[], $3::int4[]) AS u(message, number) "
    "WHERE d.tenant = $1 AND d.message = u.message AND d.number = u.number";

static const char SQL_ALIVE[] = "UPDATE delivery.instance SET alive_until = $2 WHERE id = $1 AND alive_until >= $3";
static const char SQL_BORN[] = "INSERT INTO delivery.instance (id, alive_until) VALUES ($1, $2)";
static const char SQL_RENEW[] = "UPDATE delivery.due SET lease_until = $5 WHERE tenant = $1 AND message = $2 AND "
				"number = ANY($6::int4[]) AND lease_owner = $3 AND lease_until = $4";
static const char SQL_DEAD[] = "DELETE FROM delivery.instance WHERE alive_until < $1 RETURNING id";
static const char SQL_ORPHANS[] =
    "UPDATE delivery.due SET lease_until = '2000-01-01 00:00:00+00' WHERE lease_owner = ANY($1)";
static const char SQL_FAREWELL[] = "DELETE FROM delivery.instance WHERE id = $1";

static const char *
due_str(enum store_due k)
{
	static const char *const names[] = {"hold", "quarantine", "send"};
	return names[k];
}

/* An array of one value of every change, in arena a. */
#define COLUMN(type, expr)                                                                                             \
	({                                                                                                             \
		type *column_ = arena_new_array(a, type, n);                                                           \
		for (size_t i = 0; i < n; i++) {                                                                       \
			const struct store_change *c = &v[i];                                                          \
			column_[i] = (expr);                                                                           \
		}                                                                                                      \
		column_;                                                                                               \
	})

static void
change_args(struct db_args *p, const struct uuid *tenant, const struct uuid *owner, const struct store_change *v,
	    size_t n, struct arena *a)
{
	db_args_init(p);
	db_arg_uuid(p, tenant);
	db_arg_ints(p, COLUMN(int32_t, (int32_t)(c - v)), n);
	db_arg_uuids(p, COLUMN(struct uuid, c->message), n);
	db_arg_ints(p, COLUMN(int32_t, c->was->number), n);
	db_arg_texts(p, COLUMN(const char *, leg_state_str(c->was->state)), n);
	db_arg_longs(p, COLUMN(int64_t, c->was->version), n);
	db_arg_texts(p, COLUMN(const char *, leg_state_str(c->now.state)), n);
	db_arg_longs(p, COLUMN(int64_t, c->now.version), n);
	db_arg_longs(p, COLUMN(int64_t, c->now.epoch), n);
	db_arg_ints(p, COLUMN(int32_t, c->now.attempts), n);
	db_arg_times(p, COLUMN(int64_t, c->now.due_us), n);
	db_arg_bytes_array(p, COLUMN(struct bytes, store_full(c->now.reply)), n);
	db_arg_bytes_array(p, COLUMN(struct bytes, store_full(c->now.remote)), n);
	db_arg_texts(p, COLUMN(const char *, c->now.tls), n);
	db_arg_bytes_array(p, COLUMN(struct bytes, store_full(c->now.decided_by)), n);
	db_arg_times(p, COLUMN(int64_t, leg_is_final(c->now.state) ? c->now.final_us : DB_TIME_NULL), n);
	db_arg_bools(p, COLUMN(bool, c->now.possible_duplicate), n);
	db_arg_bools(p, COLUMN(bool, c->now.delay_told), n);
	db_arg_texts(p, COLUMN(const char *, due_str(c->kind)), n);
	db_arg_times(p, COLUMN(int64_t, c->due_us), n);
	db_arg_times(p, COLUMN(int64_t, c->lease_us != 0 ? c->lease_us : DB_TIME_NULL), n);
	db_arg_uuid(p, owner);
	db_arg_times(p, COLUMN(int64_t, c->now.sendable_us > 0 ? c->now.sendable_us : DB_TIME_NULL), n);
}

enum rc
store_change(struct db_tx *tx, const struct uuid *tenant, const struct uuid *lease_owner, struct store_change *v,
	     size_t n, struct err *e)
{
	if (n == 0)
		return RC_OK;
	struct arena *a = arena_new();
	struct db_args p;
	struct db_rows *r = NULL;
	change_args(&p, tenant, lease_owner, v, n, a);
	enum rc rc = db_query(tx, SQL_CHANGE, &p, &r, e);
	for (size_t i = 0; i < n; i++)
		v[i].done = false;
	while (rc == RC_OK && db_rows_next(r))
		v[db_int(r, 0)].done = true;
	db_rows_free(&r);
	arena_free(&a);
	return rc;
}

enum rc
store_tenants(struct db_pool *p, int64_t deadline_ms, int64_t now_us, struct arena *a, struct store_due_tenant **v_r,
	      size_t *n_r, struct err *e)
{
	struct db_tx *tx = NULL;
	struct db_rows *r = NULL;
	struct db_args args;
	enum rc rc = db_begin(p, NULL, deadline_ms, &tx, e);
	if (rc != RC_OK)
		return rc;
	db_args_init(&args);
	db_arg_time(&args, now_us);
	rc = db_query(tx, SQL_TENANTS, &args, &r, e);
	if (rc == RC_OK)
		rc = db_commit(&tx, e);
	db_end(&tx);
	if (rc != RC_OK) {
		db_rows_free(&r);
		return rc;
	}
	struct store_due_tenant *v = arena_new_array(a, struct store_due_tenant, (size_t)db_rows_count(r));
	size_t n = 0;
	while (db_rows_next(r))
		v[n++] = (struct store_due_tenant){db_uuid(r, 0), db_time(r, 1)};
	db_rows_free(&r);
	*v_r = v;
	*n_r = n;
	return RC_OK;
}

enum rc
store_wait(struct db_tx *tx, const struct uuid *tenant, const struct uuid *message, struct err *e)
{
	struct db_args p;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	db_arg_uuid(&p, message);
	return db_exec(tx, SQL_WAIT, &p, e);
}

enum rc
store_pick(struct db_tx *tx, const struct uuid *tenant, int64_t now_us, int32_t limit, struct arena *a,
	   struct store_picked **v_r, size_t *n_r, struct err *e)
{
	struct db_args p;
	struct db_rows *r = NULL;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	db_arg_time(&p, now_us);
	db_arg_long(&p, limit);
	enum rc rc = db_query(tx, SQL_PICK, &p, &r, e);
	if (rc != RC_OK)
		return rc;
	struct store_picked *v = arena_new_array(a, struct store_picked, (size_t)db_rows_count(r));
	size_t n = 0;
	while (db_rows_next(r)) {
		v[n].ask_uncertain = db_bool(r, 0);
		store_read_message(r, 1, a, &v[n].message);
		store_read_leg(r, 1 + STORE_MESSAGE_N, a, &v[n].leg);
		n++;
	}
	db_rows_free(&r);
	*v_r = v;
	*n_r = n;
	return RC_OK;
}

enum rc
store_postpone(struct db_tx *tx, const struct uuid *tenant, const struct uuid *messages, const int32_t *numbers,
	       size_t n, int64_t due_us, struct err *e)
{
	struct db_args p;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	db_arg_uuids(&p, messages, n);
	db_arg_ints(&p, numbers, n);
	db_arg_time(&p, due_us);
	return db_exec(tx, SQL_POSTPONE, &p, e);
}

/* Hardly ever is somebody dead; only then the whole table is read. */
static enum rc
bury(struct db_tx *tx, int64_t now_us, int64_t *orphans_r, struct err *e)
{
	struct uuid dead[16];
	size_t n = 0;
	struct db_args p;
	struct db_rows *r = NULL;
	db_args_init(&p);
	db_arg_time(&p, now_us);
	enum rc rc = db_query(tx, SQL_DEAD, &p, &r, e);
	if (rc != RC_OK)
		return rc;
	*orphans_r = 0;
	for (bool more = db_rows_next(r); rc == RC_OK && more;) {
		for (n = 0; more && n < sizeof(dead) / sizeof(dead[0]); more = db_rows_next(r))
			dead[n++] = db_uuid(r, 0);
		int64_t count = 0;
		db_args_init(&p);
		db_arg_uuids(&p, dead, n);
		rc = db_exec_count(tx, SQL_ORPHANS, &p, &count, e);
		*orphans_r += count;
	}
	db_rows_free(&r);
	return rc;
}

enum rc
store_heartbeat(struct db_pool *pool, struct uuid *self, int64_t now_us, int64_t until_us, int64_t deadline_ms,
		int64_t *orphans_r, struct err *e)
{
	struct db_tx *tx = NULL;
	struct db_args p;
	struct uuid id = *self;
	int64_t orphans = 0, known = 0;
	enum rc rc = db_begin(pool, NULL, deadline_ms, &tx, e);
	if (rc != RC_OK)
		return rc;
	db_args_init(&p);
	db_arg_uuid(&p, &id);
	db_arg_time(&p, until_us);
	db_arg_time(&p, now_us);
	rc = db_exec_count(tx, SQL_ALIVE, &p, &known, e);
	if (rc == RC_OK && known == 0) {
		id = uuid_v7(now_us);
		db_args_init(&p);
		db_arg_uuid(&p, &id);
		db_arg_time(&p, until_us);
		rc = db_exec(tx, SQL_BORN, &p, e);
	}
	if (rc == RC_OK)
		rc = bury(tx, now_us, &orphans, e);
	if (rc == RC_OK)
		rc = db_commit(&tx, e);
	if (rc == RC_OK) {
		*orphans_r = orphans;
		*self = id;
	}
	db_end(&tx);
	return rc;
}

enum rc
store_farewell(struct db_pool *pool, const struct uuid *self, int64_t deadline_ms, struct err *e)
{
	struct db_tx *tx = NULL;
	struct db_args p;
	enum rc rc = db_begin(pool, NULL, deadline_ms, &tx, e);
	if (rc != RC_OK)
		return rc;
	db_args_init(&p);
	db_arg_uuid(&p, self);
	rc = db_exec(tx, SQL_FAREWELL, &p, e);
	if (rc == RC_OK) {
		db_args_init(&p);
		db_arg_uuids(&p, self, 1);
		rc = db_exec(tx, SQL_ORPHANS, &p, e);
	}
	if (rc == RC_OK)
		return db_commit(&tx, e);
	db_end(&tx);
	return rc;
}

enum rc
store_lease_renew(struct db_pool *pool, const struct store_lease *l, int64_t deadline_ms, struct err *e)
{
	struct db_tx *tx = NULL;
	struct db_args p;
	int64_t count = 0;
	enum rc rc = db_begin(pool, NULL, deadline_ms, &tx, e);
	if (rc != RC_OK)
		return rc;
	db_args_init(&p);
	db_arg_uuid(&p, &l->tenant);
	db_arg_uuid(&p, &l->message);
	db_arg_uuid(&p, &l->owner);
	db_arg_time(&p, l->was_us);
	db_arg_time(&p, l->until_us);
	db_arg_ints(&p, l->numbers, l->n);
	rc = db_exec_count(tx, SQL_RENEW, &p, &count, e);
	if (rc == RC_OK && count != (int64_t)l->n)
		rc = err_set(e, RC_CONFLICT, "the lease has ended");
	if (rc == RC_OK)
		rc = db_commit(&tx, e);
	db_end(&tx);
	return rc;
}
