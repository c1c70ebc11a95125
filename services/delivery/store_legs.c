/* SPDX-License-Identifier: MIT
 *
 * SQL of claims and changes. Locks are taken in one order, due row before leg, so that an operator, the scheduler and
 * a worker that reach for the same leg wait for each other and never in a circle. A result is the exception: its due
 * row is under our lease, nobody else picks it.
 */
#include "store.h"

#include "core/clock.h"
#include "store_columns.h"

/* One leg at a time, many in one round trip: joined with arrays the planner has a choice, and on a table it knows
 * nothing of yet it takes the one that reads all of a tenant's rows (docs/decisions/0052). */
#define MOVE_LEG                                                                                                       \
	"WITH moved AS (UPDATE delivery.leg SET state = $6, version = $7, epoch = $8, attempts = $9, due_at = $10, "   \
	"reply = $11, remote = $12, tls = $13, decided_by = $14, final_at = $15, possible_duplicate = $16, "           \
	"delay_told = $17, sendable_at = $18 "                                                                         \
	"WHERE tenant = $1 AND message = $2 AND number = $3 AND state = $4 AND version = $5 RETURNING 1), "
static const char SQL_FINISH[] = MOVE_LEG "gone AS (DELETE FROM delivery.due WHERE tenant = $1 AND message = $2 AND "
					  "number = $3 AND EXISTS (SELECT FROM moved)) SELECT FROM moved";
static const char SQL_MOVE[] =
    MOVE_LEG "kept AS (UPDATE delivery.due SET kind = $19, due_at = coalesce($20, due_at), lease_owner = $21, "
	     "lease_until = coalesce($22, '2000-01-01 00:00:00+00') WHERE tenant = $1 AND message = $2 AND number = $3 "
	     "AND EXISTS (SELECT FROM moved)) SELECT FROM moved";

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
    "false), " STORE_MESSAGE_COLUMNS ", " STORE_LEG_COLUMNS " FROM pick p "
    "CROSS JOIN LATERAL (SELECT x.* FROM delivery.leg x WHERE x.tenant = $1 AND x.message = p.message AND "
    "x.number = p.number OFFSET 0) AS l "
    "CROSS JOIN LATERAL (SELECT x.* FROM delivery.message x WHERE x.tenant = $1 AND x.id = p.message OFFSET 0) AS m "
    "ORDER BY p.due_at, p.message, p.number";

static const char SQL_POSTPONE[] =
    "UPDATE delivery.due SET due_at = $4 WHERE tenant = $1 AND message = $2 AND number = $3";

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

static enum rc
queue_change(struct db_tx *tx, const struct uuid *tenant, const struct uuid *owner, const struct store_change *c,
	     int64_t *count_r, struct err *e)
{
	struct db_args p;
	bool final = leg_is_final(c->now.state);
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	db_arg_uuid(&p, &c->message);
	db_arg_int(&p, c->was->number);
	db_arg_text(&p, leg_state_str(c->was->state));
	db_arg_long(&p, c->was->version);
	db_arg_text(&p, leg_state_str(c->now.state));
	db_arg_long(&p, c->now.version);
	db_arg_long(&p, c->now.epoch);
	db_arg_int(&p, c->now.attempts);
	db_arg_time(&p, c->now.due_us);
	db_arg_bytes(&p, store_full(c->now.reply));
	db_arg_bytes(&p, store_full(c->now.remote));
	db_arg_text(&p, c->now.tls);
	db_arg_bytes(&p, store_full(c->now.decided_by));
	db_arg_time(&p, final ? c->now.final_us : DB_TIME_NULL);
	db_arg_bool(&p, c->now.possible_duplicate);
	db_arg_bool(&p, c->now.delay_told);
	db_arg_time(&p, c->now.sendable_us > 0 ? c->now.sendable_us : DB_TIME_NULL);
	if (final)
		return db_exec_counted(tx, SQL_FINISH, &p, count_r, e);
	db_arg_text(&p, due_str(c->kind));
	db_arg_time(&p, c->due_us);
	db_arg_uuid(&p, c->lease_us != 0 ? owner : NULL);
	db_arg_time(&p, c->lease_us != 0 ? c->lease_us : DB_TIME_NULL);
	return db_exec_counted(tx, SQL_MOVE, &p, count_r, e);
}

enum rc
store_change(struct db_tx *tx, const struct uuid *tenant, const struct uuid *lease_owner, struct store_change *v,
	     size_t n, struct err *e)
{
	if (n == 0)
		return RC_OK;
	struct arena *a = arena_new();
	int64_t *counts = arena_new_array(a, int64_t, n);
	enum rc rc = RC_OK;
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		rc = queue_change(tx, tenant, lease_owner, &v[i], &counts[i], e);
	if (rc == RC_OK)
		rc = db_wait(tx, e);
	for (size_t i = 0; i < n; i++)
		v[i].done = rc == RC_OK && counts[i] == 1;
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
	enum rc rc = RC_OK;
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		struct db_args p;
		db_args_init(&p);
		db_arg_uuid(&p, tenant);
		db_arg_uuid(&p, &messages[i]);
		db_arg_int(&p, numbers[i]);
		db_arg_time(&p, due_us);
		rc = db_exec(tx, SQL_POSTPONE, &p, e);
	}
	return rc;
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
