/* SPDX-License-Identifier: MIT
 *
 * The reading half of the store: who is it, may they, which tenant. What has no tenant yet asks the content-free
 * directory; the rest runs under row-level security.
 */
#include "auth_store.h"

#include "crypt/crypt.h"

static const char select_login[] = "SELECT tenant, account FROM auth.directory_login WHERE login = $1";
static const char select_domain[] = "SELECT tenant FROM auth.directory_domain WHERE name = $1";
static const char select_key_tenant[] = "SELECT tenant FROM auth.directory_key WHERE lookup = $1";
static const char select_person[] =
    "SELECT a.disabled_at IS NOT NULL, COALESCE(a.locked_until > $4, false), a.failed > 0, p.id, p.hash, k.id "
    "FROM auth.account a "
    "LEFT JOIN auth.credential p ON p.tenant = a.tenant AND p.account = a.id AND p.kind = 'password' "
    "  AND p.revoked_at IS NULL AND (p.expires_at IS NULL OR p.expires_at > $4) "
    "LEFT JOIN auth.credential k ON k.tenant = a.tenant AND k.hash = $3 AND k.kind = 'app' AND k.account = a.id "
    "  AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $4) "
    "WHERE a.tenant = $1 AND a.id = $2";
static const char select_sender[] =
    "SELECT a.login, a.disabled_at IS NOT NULL, "
    "c.id IS NOT NULL AND c.revoked_at IS NULL AND (c.expires_at IS NULL OR c.expires_at > $4), s.address "
    "FROM auth.account a "
    "LEFT JOIN auth.credential c ON c.tenant = a.tenant AND c.id = $3 AND c.account = a.id "
    "LEFT JOIN (auth.address s JOIN auth.domain d ON d.tenant = s.tenant AND d.name = s.domain "
    "  AND d.proven_at IS NOT NULL) ON s.tenant = a.tenant AND s.account = a.id "
    "WHERE a.tenant = $1 AND a.id = $2";
static const char select_key[] =
    "SELECT k.id, k.hash, k.name, k.permissions, a.id, a.login, k.expires_at FROM auth.credential k "
    "LEFT JOIN auth.account a ON a.tenant = k.tenant AND a.id = k.account "
    "WHERE k.tenant = $1 AND k.hash = $2 AND k.kind = 'api' AND k.revoked_at IS NULL "
    "AND (k.expires_at IS NULL OR k.expires_at > $3) AND a.disabled_at IS NULL";
/* An application password has no permissions of its own: it sends mail. */
static const char select_key_permissions[] =
    "SELECT CASE kind WHEN 'app' THEN 'message.send' ELSE permissions END FROM auth.credential "
    "WHERE tenant = $1 AND id = $2 AND kind <> 'password' AND revoked_at IS NULL";
static const char select_tenant[] = "SELECT directory_version, name FROM auth.tenant WHERE tenant = $1";
static const char select_domains[] = "SELECT name, class, proven_at IS NOT NULL FROM auth.domain WHERE tenant = $1 "
				     "ORDER BY name";
static const char select_tenants[] = "SELECT tenant, created_at FROM auth.directory_tenant ORDER BY tenant";

/* One statement in a transaction of its own. */
static enum rc
read_rows(const struct store_by *by, const struct uuid *tenant, const char *sql, struct db_args *args,
	  struct db_rows **rows_r, struct err *e)
{
	struct db_tx *tx = NULL;
	enum rc rc = db_begin(by->db, tenant, by->deadline_ms, &tx, e);
	if (rc == RC_OK)
		return db_query_commit(&tx, sql, args, rows_r, e);
	db_args_done(args);
	return rc;
}

static enum rc
find(const struct store_by *by, const char *sql, const char *name, struct db_rows **rows_r, struct err *e)
{
	struct db_args args;
	db_args_init(&args);
	db_arg_text(&args, name);
	enum rc rc = read_rows(by, NULL, sql, &args, rows_r, e);
	if (rc == RC_OK && !db_rows_next(*rows_r)) {
		db_rows_free(rows_r);
		rc = err_set(e, RC_NOT_FOUND, "not ours");
	}
	return rc;
}

enum rc
store_find_login(const struct store_by *by, const char *login, struct uuid *tenant_r, struct uuid *account_r,
		 struct err *e)
{
	struct db_rows *rows = NULL;
	enum rc rc = find(by, select_login, login, &rows, e);
	if (rc != RC_OK)
		return rc;
	*tenant_r = db_uuid(rows, 0);
	*account_r = db_uuid(rows, 1);
	db_rows_free(&rows);
	return RC_OK;
}

enum rc
store_find_domain(const struct store_by *by, const char *domain, struct uuid *tenant_r, struct err *e)
{
	struct db_rows *rows = NULL;
	enum rc rc = find(by, select_domain, domain, &rows, e);
	if (rc != RC_OK)
		return rc;
	*tenant_r = db_uuid(rows, 0);
	db_rows_free(&rows);
	return RC_OK;
}

enum rc
store_get_person(const struct store_by *by, const struct uuid *tenant, const struct uuid *account,
		 const uint8_t *app_hash, struct arena *a, struct store_person *out_r, struct err *e)
{
	struct store_person out = {0};
	struct db_rows *rows = NULL;
	struct db_args args;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_uuid(&args, account);
	db_arg_bytes(&args, bytes_of(app_hash, app_hash != NULL ? 32 : 0));
	db_arg_time(&args, by->now_us);
	enum rc rc = read_rows(by, tenant, select_person, &args, &rows, e);
	if (rc != RC_OK)
		return rc;
	if (db_rows_next(rows)) {
		out.found = true;
		out.disabled = db_bool(rows, 0);
		out.locked = db_bool(rows, 1);
		out.has_failed = db_bool(rows, 2);
		if (!db_is_null(rows, 3)) {
			out.password = db_uuid(rows, 3);
			out.password_hash = arena_bytes(a, db_bytes(rows, 4));
		}
		out.app_good = !db_is_null(rows, 5);
		if (out.app_good)
			out.app = db_uuid(rows, 5);
	}
	db_rows_free(&rows);
	*out_r = out;
	return RC_OK;
}

enum rc
store_get_sender(const struct store_by *by, const struct uuid *tenant, const struct uuid *account,
		 const struct uuid *credential, struct arena *a, struct store_sender *out_r, struct err *e)
{
	struct store_sender out = {.login = ""};
	struct db_rows *rows = NULL;
	struct db_args args;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_uuid(&args, account);
	db_arg_uuid(&args, credential);
	db_arg_time(&args, by->now_us);
	enum rc rc = read_rows(by, tenant, select_sender, &args, &rows, e);
	if (rc != RC_OK)
		return rc;
	out.addresses = arena_new_array(a, struct bytes, (size_t)db_rows_count(rows) + 1);
	while (db_rows_next(rows)) {
		if (!out.found)
			out.login = arena_strdup(a, db_text(rows, 0));
		out.found = true;
		out.disabled = db_bool(rows, 1);
		out.credential_good = credential == NULL || db_bool(rows, 2);
		if (!db_is_null(rows, 3))
			out.addresses[out.n_addresses++] = arena_bytes(a, db_bytes(rows, 3));
	}
	db_rows_free(&rows);
	*out_r = out;
	return RC_OK;
}

static void
take_key(const struct db_rows *rows, const struct uuid *tenant, struct arena *a, struct store_key *out)
{
	struct bytes name = db_bytes(rows, 2);
	bool own = db_is_null(rows, 4);
	out->tenant = *tenant;
	out->id = db_uuid(rows, 0);
	out->account = own ? out->id : db_uuid(rows, 4);
	out->name = own ? arena_strndup(a, name.p, name.n) : arena_strdup(a, db_text(rows, 5));
	out->permissions = arena_strdup(a, db_text(rows, 3));
	out->expires_us = db_is_null(rows, 6) ? 0 : db_time(rows, 6);
}

enum rc
store_find_key(const struct store_by *by, const char *lookup, const uint8_t hash[32], struct arena *a,
	       struct store_key *out_r, struct uuid *tenant_r, struct err *e)
{
	struct db_rows *rows = NULL;
	struct db_args args;
	struct uuid tenant = {0};
	enum rc rc = find(by, select_key_tenant, lookup, &rows, e);
	*tenant_r = tenant;
	if (rc != RC_OK)
		return rc;
	tenant = db_uuid(rows, 0);
	*tenant_r = tenant;
	db_rows_free(&rows);
	db_args_init(&args);
	db_arg_uuid(&args, &tenant);
	db_arg_bytes(&args, bytes_of(hash, 32));
	db_arg_time(&args, by->now_us);
	rc = read_rows(by, &tenant, select_key, &args, &rows, e);
	if (rc != RC_OK)
		return rc;
	if (!db_rows_next(rows) || db_bytes(rows, 1).n != 32 || !crypt_equal(db_bytes(rows, 1).p, hash, 32))
		rc = err_set(e, RC_NOT_FOUND, "no such key");
	else
		take_key(rows, &tenant, a, out_r);
	db_rows_free(&rows);
	return rc;
}

enum rc
store_get_key_permissions(const struct store_by *by, const struct uuid *tenant, const struct uuid *key, struct arena *a,
			  const char **text_r, struct err *e)
{
	struct db_rows *rows = NULL;
	struct db_args args;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_uuid(&args, key);
	enum rc rc = read_rows(by, tenant, select_key_permissions, &args, &rows, e);
	if (rc != RC_OK)
		return rc;
	if (db_rows_next(rows))
		*text_r = arena_strdup(a, db_text(rows, 0));
	else
		rc = err_set(e, RC_NOT_FOUND, "no such key is in force");
	db_rows_free(&rows);
	return rc;
}

/* --- directory ---------------------------------------------------------------------------------------------- */
static enum rc
read_tenant(struct db_tx *tx, const struct uuid *tenant, struct arena *a, struct store_directory *out, struct err *e)
{
	struct db_rows *rows = NULL;
	struct db_args args;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	enum rc rc = db_query(tx, select_tenant, &args, &rows, e);
	if (rc != RC_OK)
		return rc;
	if (db_rows_next(rows)) {
		out->version = (uint64_t)db_int(rows, 0);
		out->tenant_name = arena_bytes(a, db_bytes(rows, 1));
	} else {
		rc = err_set(e, RC_NOT_FOUND, "no such tenant");
	}
	db_rows_free(&rows);
	return rc;
}

static enum rc
read_domains(struct db_tx *tx, const struct uuid *tenant, struct arena *a, struct store_directory *out, struct err *e)
{
	struct db_rows *rows = NULL;
	struct db_args args;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	enum rc rc = db_query(tx, select_domains, &args, &rows, e);
	if (rc != RC_OK)
		return rc;
	out->domains = arena_new_array(a, struct store_domain, (size_t)db_rows_count(rows) + 1);
	while (db_rows_next(rows))
		out->domains[out->n_domains++] = (struct store_domain){
		    .name = arena_strdup(a, db_text(rows, 0)),
		    .class = (int)db_int(rows, 1),
		    .proven = db_bool(rows, 2),
		};
	db_rows_free(&rows);
	return RC_OK;
}

enum rc
store_get_directory(const struct store_by *by, const struct uuid *tenant, struct arena *a,
		    struct store_directory *out_r, struct err *e)
{
	struct store_directory out = {0};
	struct db_tx *tx = NULL;
	enum rc rc = db_begin_snapshot(by->db, by->deadline_ms, &tx, e);
	if (rc == RC_OK)
		rc = db_set_tenant(tx, tenant, e);
	if (rc == RC_OK)
		rc = read_tenant(tx, tenant, a, &out, e);
	if (rc == RC_OK)
		rc = read_domains(tx, tenant, a, &out, e);
	db_end(&tx);
	if (rc == RC_OK)
		*out_r = out;
	return rc;
}

enum rc
store_list_tenants(const struct store_by *by, bool with_names, struct arena *a, struct store_tenant **out_r,
		   size_t *n_r, struct err *e)
{
	struct db_tx *tx = NULL;
	struct db_rows *rows = NULL;
	size_t n = 0;
	enum rc rc = db_begin_snapshot(by->db, by->deadline_ms, &tx, e);
	if (rc == RC_OK)
		rc = db_query(tx, select_tenants, NULL, &rows, e);
	if (rc != RC_OK) {
		db_end(&tx);
		return rc;
	}
	struct store_tenant *v = arena_new_array(a, struct store_tenant, (size_t)db_rows_count(rows) + 1);
	for (; db_rows_next(rows); n++)
		v[n] = (struct store_tenant){.id = db_uuid(rows, 0), .created_us = db_time(rows, 1)};
	db_rows_free(&rows);
	for (size_t i = 0; with_names && i < n && rc == RC_OK; i++) {
		struct store_directory d = {0};
		rc = db_set_tenant(tx, &v[i].id, e);
		if (rc == RC_OK)
			rc = read_tenant(tx, &v[i].id, a, &d, e);
		v[i].name = d.tenant_name;
	}
	db_end(&tx);
	if (rc != RC_OK)
		return rc;
	*out_r = v;
	*n_r = n;
	return RC_OK;
}
