/* SPDX-License-Identifier: MIT
 *
 * SQL of signing keys.
 */
#include "store_columns.h"

static const char SQL_KEYS[] = "SELECT domain, sealed, public, selector, algorithm FROM delivery.dkim_key "
			       "WHERE tenant = $1 AND domain = $2 ORDER BY algorithm";
static const char SQL_KEY_DOMAIN[] =
    "SELECT domain FROM delivery.dkim_key WHERE tenant = $1 ORDER BY domain <> $2, domain LIMIT 1";
static const char SQL_KEY_ADD[] =
    "INSERT INTO delivery.dkim_key (tenant, domain, selector, algorithm, sealed, public, made_at) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";

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
store_key_domain(struct db_tx *tx, const struct uuid *tenant, struct bytes preferred, struct arena *a,
		 const char **domain_r, struct err *e)
{
	struct db_args p;
	struct db_rows *r = NULL;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	db_arg_bytes(&p, store_full(preferred));
	enum rc rc = db_query(tx, SQL_KEY_DOMAIN, &p, &r, e);
	if (rc != RC_OK)
		return rc;
	*domain_r = db_rows_next(r) ? text(r, 0, a) : NULL;
	db_rows_free(&r);
	return RC_OK;
}
