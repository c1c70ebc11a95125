/* SPDX-License-Identifier: MIT
 *
 * The reading half of the store: who is it, may they, which tenant. What has no tenant yet asks the content-free
 * directory; the rest runs under row-level security.
 */
#include "auth_store.h"

#include "crypt/crypt.h"

static const char select_login[] = "SELECT tenant, account FROM auth.directory_login WHERE login = $1";
static const char select_domain[] = "SELECT tenant FROM auth.directory_domain WHERE name = $1";
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
    "c.id IS NOT NULL AND c.revoked_at IS NULL AND (c.expires_at IS NULL OR c.expires_at > $4), "
    "(SELECT string_agg(s.address, '\\x00'::bytea ORDER BY s.position, s.address) FROM auth.address s "
    " JOIN auth.domain d ON d.tenant = s.tenant AND d.name = s.domain AND d.proven_at IS NOT NULL "
    " WHERE s.tenant = a.tenant AND s.account = a.id), " STORE_ACCESS_COLUMNS
    " FROM auth.account a LEFT JOIN auth.credential c ON c.tenant = a.tenant AND c.id = $3 AND c.account = "
    "a.id" STORE_ACCESS_JOIN("a.tenant", "a.id") "WHERE a.tenant = $1 AND a.id = $2";
/* The key's digits name the tenant, and the rest runs under that tenant's row-level security: one round trip, because
 * every request to the API waits for it (decision 0066). A tenant that is not there leaves the setting empty. */
static const char set_key_tenant[] =
    "SELECT set_config('sekisho.tenant', COALESCE((SELECT d.tenant::text FROM auth.directory_key d "
    "WHERE d.lookup = $1), ''), true)";
static const char select_key[] =
    "SELECT d.tenant, k.id, k.hash, k.name, k.permissions, k.expires_at, k.revoked_at IS NOT NULL, "
    "k.expires_at <= $3, a.id, a.login, a.disabled_at IS NOT NULL, " STORE_ACCESS_COLUMNS
    " FROM auth.directory_key d LEFT JOIN auth.credential k ON k.tenant = d.tenant AND k.hash = $2 AND k.kind = 'api' "
    "LEFT JOIN auth.account a ON a.tenant = k.tenant AND a.id = k.account" STORE_ACCESS_JOIN(
	"k.tenant", "k.account") "WHERE d.lookup = $1";
static const char select_tenant[] = "SELECT directory_version, name, created_at, sandbox, language, head_mail, version "
				    "FROM auth.tenant WHERE tenant = $1";
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
	if (db_rows_next(rows)) {
		struct access x = store_take_access(rows, 4, db_bool(rows, 1), a);
		out.found = true;
		out.login = arena_strdup(a, db_text(rows, 0));
		out.disabled = x.disabled;
		out.credential_good = credential == NULL || db_bool(rows, 2);
		out.addresses = store_split(db_bytes(rows, 3), a, &out.n_addresses);
		out.may = access_effective(&x);
	}
	db_rows_free(&rows);
	*out_r = out;
	return RC_OK;
}

static const char *
why_not(const struct db_rows *rows, const uint8_t hash[32])
{
	if (db_is_null(rows, 1) || db_bytes(rows, 2).n != 32 || !crypt_equal(db_bytes(rows, 2).p, hash, 32))
		return "unknown";
	if (db_bool(rows, 6))
		return "revoked";
	if (!db_is_null(rows, 7) && db_bool(rows, 7))
		return "expired";
	return !db_is_null(rows, 8) && db_bool(rows, 10) ? "disabled" : NULL;
}

static struct store_key
take_key(const struct db_rows *rows, const uint8_t hash[32], struct arena *a)
{
	struct store_key out = {.tenant = db_uuid(rows, 0), .why_not = why_not(rows, hash)};
	if (!db_is_null(rows, 1))
		out.id = db_uuid(rows, 1);
	if (out.why_not != NULL)
		return out;
	out.may = permission_of_text(db_text(rows, 4), NULL);
	out.expires_us = db_is_null(rows, 5) ? 0 : db_time(rows, 5);
	if (db_is_null(rows, 8)) {
		struct bytes name = db_bytes(rows, 3);
		out.account = out.id;
		out.name = arena_strndup(a, name.p, name.n);
		return out;
	}
	struct access x = store_take_access(rows, 11, false, a);
	out.account = db_uuid(rows, 8);
	out.name = arena_strdup(a, db_text(rows, 9));
	out.may = permission_and(out.may, access_effective(&x));
	return out;
}

enum rc
store_find_key(const struct store_by *by, const char *lookup, const uint8_t hash[32], struct arena *a,
	       struct store_key *out_r, struct err *e)
{
	struct db_tx *tx = NULL;
	struct db_rows *rows = NULL;
	struct db_args args;
	enum rc rc = db_begin(by->db, NULL, by->deadline_ms, &tx, e);
	if (rc != RC_OK)
		return rc;
	db_args_init(&args);
	db_arg_text(&args, lookup);
	rc = db_exec(tx, set_key_tenant, &args, e);
	if (rc != RC_OK) {
		db_end(&tx);
		return rc;
	}
	db_args_init(&args);
	db_arg_text(&args, lookup);
	db_arg_bytes(&args, bytes_of(hash, 32));
	db_arg_time(&args, by->now_us);
	rc = db_query_commit(&tx, select_key, &args, &rows, e);
	if (rc != RC_OK)
		return rc;
	if (db_rows_next(rows))
		*out_r = take_key(rows, hash, a);
	else
		*out_r = (struct store_key){.why_not = "unknown"};
	db_rows_free(&rows);
	return RC_OK;
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
		out->sandbox = db_bool(rows, 3);
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
store_get_tenant(struct store_tx *t, struct store_tenant *out_r, struct err *e)
{
	struct db_rows *rows = NULL;
	struct db_args args;
	store_args(t, &args);
	enum rc rc = store_row(t, select_tenant, &args, "no such tenant", &rows, e);
	if (rc != RC_OK)
		return rc;
	*out_r = (struct store_tenant){
	    .id = t->tenant,
	    .name = arena_bytes(t->a, db_bytes(rows, 1)),
	    .created_us = db_time(rows, 2),
	    .sandbox = db_bool(rows, 3),
	    .language = arena_strdup(t->a, db_text(rows, 4)),
	    .head_mail = db_bool(rows, 5),
	    .version = (uint64_t)db_int(rows, 6),
	};
	db_rows_free(&rows);
	return RC_OK;
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
	struct store_tx t = {.tx = tx, .by = *by, .a = a};
	for (size_t i = 0; with_names && i < n && rc == RC_OK; i++) {
		t.tenant = v[i].id;
		rc = db_set_tenant(tx, &v[i].id, e);
		if (rc == RC_OK)
			rc = store_get_tenant(&t, &v[i], e);
	}
	db_end(&tx);
	if (rc != RC_OK)
		return rc;
	*out_r = v;
	*n_r = n;
	return RC_OK;
}
