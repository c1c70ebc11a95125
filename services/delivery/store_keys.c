/* SPDX-License-Identifier: MIT
 *
 * SQL of signing keys and routes.
 */
#include "store_columns.h"

static const char SQL_KEYS[] = "SELECT domain, sealed, public, selector, algorithm FROM delivery.dkim_key "
			       "WHERE tenant = $1 AND domain = $2 ORDER BY algorithm";
static const char SQL_KEY_ADD[] =
    "INSERT INTO delivery.dkim_key (tenant, domain, selector, algorithm, sealed, public, made_at) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
static const char SQL_ROUTE[] = "SELECT smarthost, username, sealed_password, tls FROM delivery.route "
				"WHERE tenant = $1 AND direction = $2";
static const char SQL_ROUTE_SET[] =
    "INSERT INTO delivery.route (tenant, direction, smarthost, username, sealed_password, tls, changed_at) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (tenant, direction) DO UPDATE SET smarthost = excluded.smarthost, "
    "username = excluded.username, sealed_password = excluded.sealed_password, tls = excluded.tls, "
    "changed_at = excluded.changed_at";

static const char *
text(const struct db_rows *r, int col, struct arena *a)
{
	struct bytes b = db_bytes(r, col);
	return arena_strndup(a, b.p, b.n);
}

enum rc
store_keys(struct db_tx *tx, const struct uuid *tenant, struct bytes domain, struct arena *a, struct store_key **v_r,
	   size_t *n_r, struct err *e)
{
	struct db_args p;
	struct db_rows *r = NULL;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	db_arg_bytes(&p, store_full(domain));
	enum rc rc = db_query(tx, SQL_KEYS, &p, &r, e);
	if (rc != RC_OK)
		return rc;
	struct store_key *v = arena_new_array(a, struct store_key, (size_t)db_rows_count(r));
	size_t n = 0;
	while (db_rows_next(r)) {
		v[n].domain = arena_bytes(a, db_bytes(r, 0));
		v[n].sealed = arena_bytes(a, db_bytes(r, 1));
		v[n].public_ = arena_bytes(a, db_bytes(r, 2));
		v[n].selector = text(r, 3, a);
		v[n].algorithm = text(r, 4, a);
		n++;
	}
	db_rows_free(&r);
	*v_r = v;
	*n_r = n;
	return RC_OK;
}

enum rc
store_key_add(struct db_tx *tx, const struct uuid *tenant, const struct store_key *k, int64_t now_us, struct err *e)
{
	struct db_args p;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	db_arg_bytes(&p, k->domain);
	db_arg_text(&p, k->selector);
	db_arg_text(&p, k->algorithm);
	db_arg_bytes(&p, k->sealed);
	db_arg_bytes(&p, k->public_);
	db_arg_time(&p, now_us);
	return db_exec(tx, SQL_KEY_ADD, &p, e);
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
	}
	db_rows_free(&r);
	return RC_OK;
}

enum rc
store_route_set(struct db_tx *tx, const struct uuid *tenant, const struct store_route *r, int64_t now_us, struct err *e)
{
	struct db_args p;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	db_arg_text(&p, r->direction);
	db_arg_bytes(&p, store_full(r->smarthost));
	db_arg_bytes(&p, store_full(r->username));
	db_arg_bytes(&p, r->sealed_password);
	db_arg_text(&p, r->tls);
	db_arg_time(&p, now_us);
	return db_exec(tx, SQL_ROUTE_SET, &p, e);
}
