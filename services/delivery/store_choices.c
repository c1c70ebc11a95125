/* SPDX-License-Identifier: MIT
 *
 * SQL of what a tenant chose: routes and settings. Each row has a version that counts its changes; a change that names
 * another version than there is finds no row to change, and is told which there is.
 */
#include "store_columns.h"
#include "svc/once.h"

static const char SQL_ROUTE[] = "SELECT smarthost, username, sealed_password, tls, version FROM delivery.route "
				"WHERE tenant = $1 AND direction = $2";
/* $8: the version there must be; 0: any. Without a row there is version 0 only. */
static const char SQL_ROUTE_SET[] =
    "INSERT INTO delivery.route AS r (tenant, direction, smarthost, username, sealed_password, tls, changed_at) "
    "SELECT $1, $2, $3, $4, $5, $6, $7 WHERE $8 = 0 OR EXISTS (SELECT FROM delivery.route x WHERE x.tenant = $1 AND "
    "x.direction = $2) ON CONFLICT (tenant, direction) DO UPDATE SET smarthost = excluded.smarthost, "
    "username = excluded.username, sealed_password = excluded.sealed_password, tls = excluded.tls, "
    "changed_at = excluded.changed_at, version = r.version + 1 WHERE $8 = 0 OR r.version = $8 RETURNING version";
static const char SQL_ROUTE_VERSION[] = "SELECT version FROM delivery.route WHERE tenant = $1 AND direction = $2";
static const char SQL_SETTINGS[] = "SELECT uncertain, version FROM delivery.setting WHERE tenant = $1";
static const char SQL_SETTINGS_PUT[] =
    "INSERT INTO delivery.setting AS s (tenant, uncertain) SELECT $1, $2 WHERE $3 = 0 OR EXISTS (SELECT FROM "
    "delivery.setting x WHERE x.tenant = $1) ON CONFLICT (tenant) DO UPDATE SET uncertain = excluded.uncertain, "
    "version = s.version + 1 WHERE $3 = 0 OR s.version = $3 RETURNING version";
static const char SQL_SETTINGS_VERSION[] = "SELECT version FROM delivery.setting WHERE tenant = $1";

const struct svc_once_sql store_once_sql = SVC_ONCE_SQL("delivery");

static const char *
text(const struct db_rows *r, int col, struct arena *a)
{
	struct bytes b = db_bytes(r, col);
	return arena_strndup(a, b.p, b.n);
}

/* One row with one number, or none. */
static enum rc
number(struct db_tx *tx, const char *sql, struct db_args *p, bool *found_r, int64_t *n_r, struct err *e)
{
	struct db_rows *r = NULL;
	enum rc rc = db_query(tx, sql, p, &r, e);
	if (rc != RC_OK)
		return rc;
	*found_r = db_rows_next(r);
	*n_r = *found_r ? db_int(r, 0) : 0;
	db_rows_free(&r);
	return RC_OK;
}

static enum rc
conflict(struct db_tx *tx, const char *sql, struct db_args *p, struct err *e)
{
	bool found = false;
	int64_t is = 0;
	enum rc rc = number(tx, sql, p, &found, &is, e);
	return rc == RC_OK ? err_set(e, RC_CONFLICT, "version is %lld", (long long)is) : rc;
}

enum rc
store_route(struct db_tx *tx, const struct uuid *tenant, const char *direction, struct arena *a,
	    struct store_route *out_r, bool *found_r, struct err *e)
{
	struct db_args p;
	struct db_rows *r = NULL;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	db_arg_text(&p, direction);
	enum rc rc = db_query(tx, SQL_ROUTE, &p, &r, e);
	if (rc != RC_OK)
		return rc;
	*found_r = db_rows_next(r);
	if (*found_r) {
		out_r->direction = direction;
		out_r->smarthost = arena_bytes(a, db_bytes(r, 0));
		out_r->username = arena_bytes(a, db_bytes(r, 1));
		out_r->sealed_password = arena_bytes(a, db_bytes(r, 2));
		out_r->tls = text(r, 3, a);
		out_r->version = db_int(r, 4);
	}
	db_rows_free(&r);
	return RC_OK;
}

enum rc
store_route_set(struct db_tx *tx, const struct uuid *tenant, const struct store_route *r, int64_t if_version,
		int64_t now_us, int64_t *version_r, struct err *e)
{
	struct db_args p;
	bool done = false;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	db_arg_text(&p, r->direction);
	db_arg_bytes(&p, store_full(r->smarthost));
	db_arg_bytes(&p, store_full(r->username));
	db_arg_bytes(&p, r->sealed_password);
	db_arg_text(&p, r->tls);
	db_arg_time(&p, now_us);
	db_arg_long(&p, if_version);
	enum rc rc = number(tx, SQL_ROUTE_SET, &p, &done, version_r, e);
	if (rc != RC_OK || done)
		return rc;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	db_arg_text(&p, r->direction);
	return conflict(tx, SQL_ROUTE_VERSION, &p, e);
}

enum rc
store_settings(struct db_tx *tx, const struct uuid *tenant, struct arena *a, struct store_settings *out_r,
	       struct err *e)
{
	struct db_args p;
	struct db_rows *r = NULL;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	enum rc rc = db_query(tx, SQL_SETTINGS, &p, &r, e);
	if (rc != RC_OK)
		return rc;
	*out_r = (struct store_settings){.uncertain = "retry"};
	if (db_rows_next(r)) {
		out_r->uncertain = text(r, 0, a);
		out_r->version = db_int(r, 1);
	}
	db_rows_free(&r);
	return RC_OK;
}

enum rc
store_settings_put(struct db_tx *tx, const struct uuid *tenant, const char *uncertain, int64_t if_version,
		   int64_t *version_r, struct err *e)
{
	struct db_args p;
	bool done = false;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	db_arg_text(&p, uncertain);
	db_arg_long(&p, if_version);
	enum rc rc = number(tx, SQL_SETTINGS_PUT, &p, &done, version_r, e);
	if (rc != RC_OK || done)
		return rc;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	return conflict(tx, SQL_SETTINGS_VERSION, &p, e);
}
