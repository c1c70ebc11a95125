/* SPDX-License-Identifier: MIT
 *
 * All of keeper's SQL. It reads what other services own (SELECT granted to sekisho_keeper by their migrations) and
 * calls the one function that makes partitions.
 */
#include <stdio.h>

#include "core/clock.h"
#include "keeper.h"

/* Row-level security shows one tenant; the tenant in the joins lets them use the primary keys. */
#define SQL_ACCEPTED "SELECT coalesce(sum(cardinality(recipients)), 0)::int8 FROM ingest.acceptance"
#define SQL_LEGS     "SELECT state, cause = 'envelope', count(*)::int8 FROM delivery.leg GROUP BY 1, 2"
#define SQL_WAITING                                                                                                    \
	"SELECT count(*)::int8 FROM ingest.acceptance a CROSS JOIN LATERAL "                                           \
	"generate_series(0, cardinality(a.recipients) - 1) AS n LEFT JOIN delivery.leg l ON l.tenant = a.tenant AND "  \
	"l.message = a.id AND l.number = n AND l.cause = 'envelope' WHERE l.number IS NULL"
/* A leg that says it is of the envelope and is not, or the other way round, or is somebody else's; one that nothing
 * will ever take up; a recipient that should have become a leg long ago. */
#define SQL_VIOLATIONS                                                                                                 \
	"SELECT v.message, v.number, v.what, count(*) OVER ()::int8 FROM (SELECT l.message, l.number, CASE "           \
	"WHEN l.cause = 'envelope' AND a.id IS NULL THEN 'a recipient of the envelope, but nothing was accepted' "     \
	"WHEN l.cause = 'envelope' AND l.number >= cardinality(a.recipients) THEN 'more than were accepted' "          \
	"WHEN l.cause = 'envelope' AND l.address <> a.recipients[l.number + 1] THEN 'not the address accepted' "       \
	"WHEN l.cause <> 'envelope' AND l.number < cardinality(a.recipients) THEN 'added in the place of an accepted " \
	"one' "                                                                                                        \
	"WHEN d.tenant IS NULL AND l.state NOT IN ('delivered', 'bounced', 'refused', 'discarded', 'expired') THEN "   \
	"'not final, and due at no time' "                                                                             \
	"END AS what FROM delivery.leg l LEFT JOIN ingest.acceptance a ON a.tenant = l.tenant AND a.id = l.message "   \
	"LEFT JOIN delivery.due d ON d.tenant = l.tenant AND d.message = l.message AND d.number = l.number "           \
	"UNION ALL SELECT a.id, n, 'accepted long ago, and no leg yet' FROM ingest.acceptance a CROSS JOIN LATERAL "   \
	"generate_series(0, cardinality(a.recipients) - 1) AS n LEFT JOIN delivery.leg l ON l.tenant = a.tenant AND "  \
	"l.message = a.id AND l.number = n WHERE l.number IS NULL AND a.accepted_at < now() - $2 * interval '1 ms') "  \
	"v "                                                                                                           \
	"WHERE v.what IS NOT NULL ORDER BY v.message, v.number LIMIT $1"
#define SQL_NOW "SELECT now()"
#define SQL_PARTITIONS                                                                                                 \
	"SELECT sum(sekisho.partition_make((date_trunc('month', now() AT TIME ZONE 'UTC') + n * interval '1 month')"   \
	"::date))::int8 FROM generate_series(0, 2) AS n"

static enum rc
one_number(struct db_tx *tx, const char *sql, int64_t *out_r, struct err *e)
{
	struct db_args args;
	struct db_rows *rows = NULL;
	db_args_init(&args);
	enum rc rc = db_query(tx, sql, &args, &rows, e);
	if (rc != RC_OK)
		return rc;
	if (!db_rows_next(rows)) {
		db_rows_free(&rows);
		return err_set(e, RC_INTERNAL, "a count without a row");
	}
	*out_r = db_int(rows, 0);
	db_rows_free(&rows);
	return RC_OK;
}

static enum rc
count_legs(struct db_tx *tx, struct conservation *c, struct err *e)
{
	struct db_args args;
	struct db_rows *rows = NULL;
	db_args_init(&args);
	enum rc rc = db_query(tx, SQL_LEGS, &args, &rows, e);
	while (rc == RC_OK && db_rows_next(rows))
		rc = conservation_legs(c, db_text(rows, 0), db_bool(rows, 1), (uint64_t)db_int(rows, 2), e);
	db_rows_free(&rows);
	return rc;
}

static enum rc
list_violations(struct db_tx *tx, struct arena *a, struct keeper_count *c, struct err *e)
{
	struct db_args args;
	struct db_rows *rows = NULL;
	db_args_init(&args);
	db_arg_int(&args, KEEPER_VIOLATIONS_LISTED);
	db_arg_long(&args, keeper_config.stuck_after_ms);
	enum rc rc = db_query(tx, SQL_VIOLATIONS, &args, &rows, e);
	if (rc != RC_OK)
		return rc;
	c->violations = arena_new_array(a, const char *, (size_t)db_rows_count(rows));
	while (db_rows_next(rows)) {
		char id[UUID_STR_SIZE];
		struct uuid message = db_uuid(rows, 0);
		uuid_format(&message, id);
		c->violations[c->n_violations++] =
		    arena_printf(a, "%s/%lld: %s", id, (long long)db_int(rows, 1), db_text(rows, 2));
		c->sum.violations = (uint64_t)db_int(rows, 3);
	}
	db_rows_free(&rows);
	return RC_OK;
}

static enum rc
count_tenant(struct db_tx *tx, struct arena *a, struct keeper_count *c, struct err *e)
{
	int64_t accepted = 0, waiting = 0;
	enum rc rc = db_set_tenant(tx, &c->tenant, e);
	if (rc == RC_OK)
		rc = one_number(tx, SQL_ACCEPTED, &accepted, e);
	if (rc == RC_OK)
		rc = one_number(tx, SQL_WAITING, &waiting, e);
	if (rc == RC_OK)
		rc = count_legs(tx, &c->sum, e);
	if (rc == RC_OK)
		rc = list_violations(tx, a, c, e);
	if (rc != RC_OK)
		return rc;
	conservation_accepted(&c->sum, (uint64_t)accepted);
	conservation_waiting(&c->sum, (uint64_t)waiting);
	return RC_OK;
}

static enum rc
snapshot_time(struct db_tx *tx, int64_t *at_us_r, struct err *e)
{
	struct db_args args;
	struct db_rows *rows = NULL;
	db_args_init(&args);
	enum rc rc = db_query(tx, SQL_NOW, &args, &rows, e);
	if (rc == RC_OK && db_rows_next(rows))
		*at_us_r = db_time(rows, 0);
	db_rows_free(&rows);
	return rc;
}

enum rc
keeper_store_count(struct db_pool *p, const struct uuid *tenants, size_t n, int64_t deadline_ms, struct arena *a,
		   struct keeper_count *counts, struct err *e)
{
	struct db_tx *tx = NULL;
	int64_t at_us = 0;
	enum rc rc = db_begin_snapshot(p, deadline_ms, &tx, e);
	if (rc == RC_OK)
		rc = snapshot_time(tx, &at_us, e);
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		counts[i] = (struct keeper_count){.tenant = tenants[i], .at_us = at_us};
		rc = count_tenant(tx, a, &counts[i], e);
	}
	db_end(&tx);
	return rc;
}

enum rc
keeper_store_partitions(struct db_pool *p, int64_t deadline_ms, int64_t *made_r, struct err *e)
{
	struct db_tx *tx = NULL;
	int64_t made = 0;
	enum rc rc = db_begin(p, NULL, deadline_ms, &tx, e);
	if (rc == RC_OK)
		rc = one_number(tx, SQL_PARTITIONS, &made, e);
	if (rc == RC_OK)
		rc = db_commit(&tx, e);
	db_end(&tx);
	if (rc == RC_OK)
		*made_r = made;
	return rc;
}
