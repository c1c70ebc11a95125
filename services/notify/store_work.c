/* SPDX-License-Identifier: MIT
 *
 * What is due, turns at webhooks, housekeeping, heads. notify.due has no row-level security and is read across tenants;
 * everything else is of one tenant per transaction.
 */
#include "store.h"

#include <stdio.h>

/* --- claims -------------------------------------------------------------------------------------------------- */
enum rc
store_claim(struct db_pool *pool, const struct store_claim_wish *w, struct arena *a, struct store_claim **v_r,
	    size_t *n_r, int64_t deadline_ms, struct err *e)
{
	struct db_tx *tx = NULL;
	struct db_args args;
	struct db_rows *rows = NULL;
	enum rc rc = db_begin(pool, NULL, deadline_ms, &tx, e);
	if (rc != RC_OK)
		return rc;
	db_args_init(&args);
	db_arg_uuid(&args, &w->owner);
	db_arg_time(&args, w->now_us);
	db_arg_time(&args, w->lease_us);
	db_arg_int(&args, w->limit);
	db_arg_int(&args, w->slow_limit);
	db_arg_int(&args, w->per_tenant);
	db_arg_uuids(&args, w->busy_tenants, w->n_busy);
	db_arg_ints(&args, w->busy, w->n_busy);
	db_arg_int(&args, w->slow_ms);
	/* The conditions stand again at the update: of two that claim at once the second finds the lease taken. */
	rc = db_query_commit(
	    &tx,
	    "WITH ready AS (SELECT d.tenant, d.id, d.due_at, d.kind = 'retry' OR d.number >= $9 AS slow, "
	    "row_number() OVER (PARTITION BY d.tenant ORDER BY d.due_at, d.id) + coalesce(b.n, 0) AS nth "
	    "FROM notify.due d LEFT JOIN unnest($7::uuid[], $8::int4[]) AS b(tenant, n) ON b.tenant = d.tenant "
	    "WHERE d.due_at <= $2 AND d.lease_until <= $2 AND d.kind <> 'off'), "
	    "laned AS (SELECT *, row_number() OVER (PARTITION BY slow ORDER BY due_at, id) AS lane FROM ready "
	    "WHERE nth <= $6), "
	    "pick AS (SELECT tenant, id, slow FROM laned WHERE NOT slow OR lane <= $5 ORDER BY due_at, id LIMIT $4) "
	    "UPDATE notify.due d SET lease_owner = $1, lease_until = $3, epoch = d.epoch + 1 FROM pick p "
	    "WHERE d.tenant = p.tenant AND d.id = p.id AND d.due_at <= $2 AND d.lease_until <= $2 AND d.kind <> 'off' "
	    "RETURNING d.tenant, d.id, d.epoch, d.version, p.slow",
	    &args, &rows, e);
	if (rc == RC_OK) {
		*v_r = arena_new_array(a, struct store_claim, (size_t)db_rows_count(rows));
		*n_r = 0;
		while (db_rows_next(rows))
			(*v_r)[(*n_r)++] = (struct store_claim){
			    .tenant = db_uuid(rows, 0),
			    .id = db_uuid(rows, 1),
			    .epoch = db_int(rows, 2),
			    .version = db_int(rows, 3),
			    .slow = db_bool(rows, 4),
			    .lease_us = w->lease_us,
			};
	}
	db_rows_free(&rows);
	db_end(&tx);
	return rc;
}

enum rc
store_hint(struct db_pool *pool, const struct uuid *tenants, size_t n, int64_t now_us, int64_t deadline_ms,
	   struct err *e)
{
	struct db_tx *tx = NULL;
	struct db_args args;
	enum rc rc = db_begin(pool, NULL, deadline_ms, &tx, e);
	if (rc != RC_OK)
		return rc;
	db_args_init(&args);
	db_arg_uuids(&args, tenants, n);
	db_arg_time(&args, now_us);
	rc = db_exec(tx,
		     "UPDATE notify.due SET version = version + 1, "
		     "due_at = CASE WHEN kind = 'idle' THEN LEAST(due_at, $2) ELSE due_at END "
		     "WHERE tenant = ANY ($1) AND kind <> 'off'",
		     &args, e);
	if (rc == RC_OK)
		rc = db_commit(&tx, e);
	db_end(&tx);
	return rc;
}

enum rc
store_give_back(struct db_pool *pool, const struct store_claim *c, int64_t due_us, int64_t deadline_ms, struct err *e)
{
	struct db_tx *tx = NULL;
	struct db_args args;
	enum rc rc = db_begin(pool, NULL, deadline_ms, &tx, e);
	if (rc != RC_OK)
		return rc;
	db_args_init(&args);
	db_arg_uuid(&args, &c->tenant);
	db_arg_uuid(&args, &c->id);
	db_arg_long(&args, c->epoch);
	db_arg_time(&args, due_us);
	rc = db_exec(tx,
		     "UPDATE notify.due SET lease_until = '2000-01-01 00:00:00+00', due_at = $4 "
		     "WHERE tenant = $1 AND id = $2 AND epoch = $3",
		     &args, e);
	if (rc == RC_OK)
		rc = db_commit(&tx, e);
	db_end(&tx);
	return rc;
}

/* --- turns --------------------------------------------------------------------------------------------------- */
static enum rc
first_replay(struct db_tx *tx, const struct store_claim *c, struct store_replay *out_r, struct err *e)
{
	struct db_args args;
	struct db_rows *rows = NULL;
	db_args_init(&args);
	db_arg_uuid(&args, &c->tenant);
	db_arg_uuid(&args, &c->id);
	enum rc rc = db_query(tx,
			      "SELECT id, next, until, attempts, due_at FROM notify.replay "
			      "WHERE tenant = $1 AND webhook = $2 ORDER BY due_at, id LIMIT 1",
			      &args, &rows, e);
	*out_r = (struct store_replay){.due_us = DB_TIME_NULL};
	if (rc == RC_OK && db_rows_next(rows))
		*out_r = (struct store_replay){
		    .id = db_uuid(rows, 0),
		    .next = db_int(rows, 1),
		    .until = db_int(rows, 2),
		    .attempts = (int32_t)db_int(rows, 3),
		    .due_us = db_time(rows, 4),
		};
	db_rows_free(&rows);
	return rc;
}

enum rc
store_turn_load(struct db_pool *pool, const struct store_claim *c, struct arena *a, struct store_webhook *w_r,
		struct store_replay *replay_r, int64_t deadline_ms, struct err *e)
{
	struct db_tx *tx = NULL;
	enum rc rc = db_begin(pool, &c->tenant, deadline_ms, &tx, e);
	if (rc == RC_OK)
		rc = store_webhook_get(tx, &c->tenant, &c->id, false, a, w_r, e);
	if (rc == RC_OK)
		rc = first_replay(tx, c, replay_r, e);
	if (rc == RC_OK)
		rc = db_commit(&tx, e);
	db_end(&tx);
	return rc;
}

/* Locks the webhook. *changed_r: a person changed it since it was loaded. */
static enum rc
lock_webhook(struct db_tx *tx, const struct store_progress *p, bool *changed_r, struct err *e)
{
	struct db_args args;
	struct db_rows *rows = NULL;
	db_args_init(&args);
	db_arg_uuid(&args, &p->claim->tenant);
	db_arg_uuid(&args, &p->claim->id);
	enum rc rc = db_query(tx, "SELECT version FROM notify.webhook WHERE tenant = $1 AND id = $2 FOR UPDATE", &args,
			      &rows, e);
	if (rc == RC_OK && !db_rows_next(rows))
		rc = err_set(e, RC_NOT_FOUND, "the webhook is deleted");
	if (rc == RC_OK)
		*changed_r = db_int(rows, 0) != p->webhook_version;
	db_rows_free(&rows);
	return rc;
}

/* What a person has changed since it was loaded stands: only what was sent is noted then. */
static enum rc
set_webhook(struct db_tx *tx, const struct store_progress *p, bool changed, struct err *e)
{
	struct db_args args;
	db_args_init(&args);
	db_arg_uuid(&args, &p->claim->tenant);
	db_arg_uuid(&args, &p->claim->id);
	db_arg_long(&args, p->position);
	db_arg_long(&args, p->delivered);
	db_arg_long(&args, p->failed);
	if (changed)
		return db_exec(
		    tx,
		    "UPDATE notify.webhook SET position = $3, delivered = delivered + $4, failed = failed + $5 "
		    "WHERE tenant = $1 AND id = $2",
		    &args, e);
	db_arg_int(&args, p->attempts);
	db_arg_time(&args, p->failing_since_us);
	db_arg_text(&args, p->last_error);
	db_arg_text(&args, p->disable_why);
	return db_exec(tx,
		       "UPDATE notify.webhook SET position = $3, delivered = delivered + $4, failed = failed + $5, "
		       "attempts = $6, failing_since = $7, last_error = $8, enabled = enabled AND $9 IS NULL, "
		       "disabled_why = coalesce($9, disabled_why), "
		       "version = version + CASE WHEN $9 IS NULL THEN 0 ELSE 1 END WHERE tenant = $1 AND id = $2",
		       &args, e);
}

static enum rc
set_due(struct db_tx *tx, const struct store_progress *p, bool changed, struct err *e)
{
	const struct store_claim *c = p->claim;
	struct db_args args;
	int64_t n = 0;
	db_args_init(&args);
	db_arg_uuid(&args, &c->tenant);
	db_arg_uuid(&args, &c->id);
	db_arg_long(&args, c->epoch);
	db_arg_int(&args, p->last_ms);
	enum rc rc;
	if (!p->last) {
		rc = db_exec_count(tx, "UPDATE notify.due SET number = $4 WHERE tenant = $1 AND id = $2 AND epoch = $3",
				   &args, &n, e);
	} else {
		db_arg_long(&args, c->version);
		db_arg_text(&args, p->kind);
		db_arg_time(&args, p->due_us);
		db_arg_time(&args, p->next_at_us);
		db_arg_time(&args, p->now_us);
		db_arg_bool(&args, changed);
		rc = db_exec_count(tx,
				   "UPDATE notify.due SET number = $4, lease_until = '2000-01-01 00:00:00+00', "
				   "kind = CASE WHEN $10 THEN kind ELSE $6 END, "
				   "due_at = CASE WHEN $10 OR ($6 = 'idle' AND version <> $5) THEN LEAST(due_at, $9) "
				   "ELSE $7 END, next_at = $8 WHERE tenant = $1 AND id = $2 AND epoch = $3",
				   &args, &n, e);
	}
	if (rc == RC_OK && n != 1)
		rc = err_set(e, RC_CONFLICT, "the lease is no longer ours");
	return rc;
}

static enum rc
set_replay(struct db_tx *tx, const struct store_claim *c, const struct store_replay *r, struct err *e)
{
	struct db_args args;
	db_args_init(&args);
	db_arg_uuid(&args, &c->tenant);
	db_arg_uuid(&args, &c->id);
	db_arg_uuid(&args, &r->id);
	if (r->next >= r->until)
		return db_exec(tx, "DELETE FROM notify.replay WHERE tenant = $1 AND webhook = $2 AND id = $3", &args,
			       e);
	db_arg_long(&args, r->next);
	db_arg_int(&args, r->attempts);
	db_arg_time(&args, r->due_us);
	return db_exec(tx,
		       "UPDATE notify.replay SET next = $4, attempts = $5, due_at = $6 "
		       "WHERE tenant = $1 AND webhook = $2 AND id = $3",
		       &args, e);
}

enum rc
store_progress(struct db_tx *tx, const struct store_progress *p, bool *changed_r, struct err *e)
{
	enum rc rc = lock_webhook(tx, p, changed_r, e);
	if (rc == RC_OK)
		rc = set_webhook(tx, p, *changed_r, e);
	if (rc == RC_OK)
		rc = set_due(tx, p, *changed_r, e);
	if (rc == RC_OK && p->replay != NULL)
		rc = set_replay(tx, p->claim, p->replay, e);
	if (rc == RC_OK)
		rc = store_attempts_add(tx, &p->claim->tenant, &p->claim->id, p->log, p->n_log, e);
	return rc;
}

/* --- housekeeping -------------------------------------------------------------------------------------------- */
enum rc
store_stats(struct db_pool *pool, int64_t now_us, struct store_stats *out_r, int64_t deadline_ms, struct err *e)
{
	struct db_tx *tx = NULL;
	struct db_args args;
	struct db_rows *rows = NULL;
	enum rc rc = db_begin(pool, NULL, deadline_ms, &tx, e);
	if (rc != RC_OK)
		return rc;
	db_args_init(&args);
	db_arg_time(&args, now_us);
	rc = db_query_commit(&tx,
			     "SELECT count(*) FILTER (WHERE kind = 'off'), count(*) FILTER (WHERE kind = 'idle'), "
			     "count(*) FILTER (WHERE kind = 'ready'), count(*) FILTER (WHERE kind = 'retry'), "
			     "LEAST(min(next_at), min(due_at) FILTER (WHERE kind = 'ready' AND due_at < $1)) "
			     "FROM notify.due",
			     &args, &rows, e);
	if (rc == RC_OK && db_rows_next(rows))
		*out_r = (struct store_stats){db_int(rows, 0), db_int(rows, 1), db_int(rows, 2), db_int(rows, 3),
					      db_time(rows, 4)};
	db_rows_free(&rows);
	db_end(&tx);
	return rc;
}

static enum rc
tidy_one(struct db_pool *pool, const struct store_claim *c, int64_t before_us, int64_t keep, int64_t deadline_ms,
	 struct err *e)
{
	struct uuid floor = uuid_v7_floor(before_us);
	struct db_tx *tx = NULL;
	struct db_args args;
	enum rc rc = db_begin(pool, &c->tenant, deadline_ms, &tx, e);
	if (rc != RC_OK)
		return rc;
	db_args_init(&args);
	db_arg_uuid(&args, &c->tenant);
	db_arg_uuid(&args, &c->id);
	db_arg_uuid(&args, &floor);
	db_arg_long(&args, keep);
	rc = db_exec(
	    tx,
	    "DELETE FROM notify.attempt WHERE tenant = $1 AND webhook = $2 AND (id < $3 OR id <= "
	    "(SELECT id FROM notify.attempt WHERE tenant = $1 AND webhook = $2 ORDER BY id DESC OFFSET $4 LIMIT 1))",
	    &args, e);
	if (rc == RC_OK)
		rc = db_commit(&tx, e);
	db_end(&tx);
	return rc;
}

enum rc
store_tidy(struct db_pool *pool, struct store_claim *from, int64_t before_us, int64_t keep, int32_t limit,
	   struct arena *a, bool *done_r, int64_t deadline_ms, struct err *e)
{
	struct db_tx *tx = NULL;
	struct db_args args;
	struct db_rows *rows = NULL;
	enum rc rc = db_begin(pool, NULL, deadline_ms, &tx, e);
	if (rc != RC_OK)
		return rc;
	db_args_init(&args);
	db_arg_uuid(&args, &from->tenant);
	db_arg_uuid(&args, &from->id);
	db_arg_int(&args, limit);
	rc = db_query_commit(
	    &tx, "SELECT tenant, id FROM notify.due WHERE (tenant, id) > ($1, $2) ORDER BY tenant, id LIMIT $3", &args,
	    &rows, e);
	*done_r = rc == RC_OK && db_rows_count(rows) < limit;
	while (rc == RC_OK && db_rows_next(rows)) {
		from->tenant = db_uuid(rows, 0);
		from->id = db_uuid(rows, 1);
		rc = tidy_one(pool, from, before_us, keep, deadline_ms, e);
	}
	db_rows_free(&rows);
	db_end(&tx);
	return rc;
}

/* --- heads --------------------------------------------------------------------------------------------------- */
enum rc
store_head_get(struct db_tx *tx, const struct uuid *tenant, int64_t *period_r, int64_t *size_r, struct err *e)
{
	struct db_args args;
	struct db_rows *rows = NULL;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	enum rc rc = db_query(tx, "SELECT period, size FROM notify.head_mail WHERE tenant = $1", &args, &rows, e);
	if (rc != RC_OK)
		return rc;
	bool found = db_rows_next(rows);
	*period_r = found ? db_int(rows, 0) : -1;
	*size_r = found ? db_int(rows, 1) : -1;
	db_rows_free(&rows);
	return RC_OK;
}

enum rc
store_head_set(struct db_tx *tx, const struct uuid *tenant, int64_t period, int64_t size, int64_t now_us, bool *first_r,
	       struct err *e)
{
	struct db_args args;
	int64_t n = 0;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_long(&args, period);
	db_arg_long(&args, size);
	db_arg_time(&args, now_us);
	enum rc rc =
	    db_exec_count(tx,
			  "INSERT INTO notify.head_mail AS h (tenant, period, size, mailed_at) VALUES ($1, $2, $3, $4) "
			  "ON CONFLICT (tenant) DO UPDATE SET period = $2, size = $3, mailed_at = $4 "
			  "WHERE h.period < $2",
			  &args, &n, e);
	*first_r = rc == RC_OK && n == 1;
	return rc;
}
