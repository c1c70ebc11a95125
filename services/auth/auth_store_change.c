/* SPDX-License-Identifier: MIT
 *
 * The changing half of the store: one commit each, with its audit intent. The unique keys of the directory decide who
 * was first.
 */
#include "auth_store.h"

static const char update_failed[] =
    "UPDATE auth.account SET failed = CASE WHEN locked_until IS NULL THEN failed + 1 ELSE 1 END, "
    "locked_until = CASE WHEN (CASE WHEN locked_until IS NULL THEN failed + 1 ELSE 1 END) >= $4 "
    "THEN $5::timestamptz END "
    "WHERE tenant = $1 AND id = $2 AND (locked_until IS NULL OR locked_until <= $3)";
static const char update_cleared[] = "UPDATE auth.account SET failed = 0, locked_until = NULL "
				     "WHERE tenant = $1 AND id = $2 AND (locked_until IS NULL OR locked_until <= $3)";
static const char insert_directory_tenant[] = "INSERT INTO auth.directory_tenant (tenant, created_at) VALUES ($1, $2)";
static const char insert_tenant[] = "INSERT INTO auth.tenant (tenant, name, created_at) VALUES ($1, $2, $3)";
static const char insert_credential[] =
    "INSERT INTO auth.credential (tenant, id, account, kind, name, lookup, hash, permissions, created_at, expires_at) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
static const char insert_directory_key[] = "INSERT INTO auth.directory_key (lookup, tenant) VALUES ($1, $2)";
static const char insert_directory_login[] =
    "INSERT INTO auth.directory_login (login, tenant, account) VALUES ($1, $2, $3)";
static const char insert_account[] =
    "INSERT INTO auth.account (tenant, id, login, display_name, created_at) VALUES ($1, $2, $3, $4, $5)";
static const char insert_addresses[] = "INSERT INTO auth.address (tenant, account, address, domain) "
				       "SELECT DISTINCT $1::uuid, $2::uuid, u.address, u.domain FROM "
				       "unnest($3::bytea[], $4::text[]) AS u(address, domain)";
static const char select_unproven[] =
    "SELECT u.domain FROM unnest($2::text[]) AS u(domain) WHERE NOT EXISTS (SELECT FROM auth.domain d "
    "WHERE d.tenant = $1 AND d.name = u.domain AND d.proven_at IS NOT NULL) LIMIT 1";
static const char select_account[] = "SELECT id FROM auth.account WHERE tenant = $1 AND login = $2";
static const char update_revoked[] = "UPDATE auth.credential SET revoked_at = $3 "
				     "WHERE tenant = $1 AND id = $2 AND kind <> 'password' AND revoked_at IS NULL";
static const char update_version[] =
    "UPDATE auth.tenant SET directory_version = directory_version + 1 WHERE tenant = $1";
static const char select_domain[] = "SELECT class, proven_at IS NOT NULL, challenge FROM auth.domain "
				    "WHERE tenant = $1 AND name = $2 FOR UPDATE";
static const char insert_domain[] =
    "INSERT INTO auth.domain (tenant, name, class, challenge, proven_at, created_at) VALUES ($1, $2, $3::int4, $4, $5, "
    "$6)";
static const char update_domain[] = "UPDATE auth.domain SET class = $3::int4, challenge = $4, proven_at = $5 "
				    "WHERE tenant = $1 AND name = $2";
static const char insert_directory_domain[] = "INSERT INTO auth.directory_domain (name, tenant) VALUES ($1, $2)";
static const char lock_platform[] = "SELECT pg_advisory_xact_lock(hashtext('sekisho_auth platform key')) IS NULL";
static const char select_platform[] = "SELECT id FROM auth.credential WHERE tenant = $1 AND revoked_at IS NULL";
static const char update_platform[] =
    "UPDATE auth.credential SET revoked_at = $2 WHERE tenant = $1 AND revoked_at IS NULL";

static const struct uuid nil;

/* JSON of up to two members; values are foreign. */
static void
detail(struct buf *b, const char *key, struct bytes value, const char *client_ip)
{
	buf_init(b, 0);
	buf_add_str(b, "{");
	buf_add_json(b, bytes_str(key));
	buf_add_str(b, ":");
	buf_add_json(b, value);
	if (client_ip != NULL && client_ip[0] != 0) {
		buf_add_str(b, ",\"client_ip\":");
		buf_add_json(b, bytes_str(client_ip));
	}
	buf_add_str(b, "}");
}

static enum rc
intent(struct db_tx *tx, const struct store_by *by, const char *action, enum rc outcome, const struct uuid *subject,
       const char *key, struct bytes value, struct err *e)
{
	struct buf b;
	detail(&b, key, value, by->client_ip);
	struct audit_intent i = {
	    .action = action,
	    .outcome = rc_str(outcome),
	    .actor = bytes_str(by->actor),
	    .subject = *subject,
	    .number = -1,
	    .at_us = by->now_us,
	    .detail = buf_bytes(&b),
	    .traceparent = by->traceparent,
	};
	enum rc rc = db_intent(tx, &i, e);
	buf_done(&b);
	return rc;
}

/* Commit what went well so far; a conflict gets words that its cause deserves. */
static enum rc
finish(struct db_tx **tx, enum rc rc, const char *on_conflict, struct err *e)
{
	if (rc == RC_OK)
		rc = db_commit(tx, e);
	db_end(tx);
	return rc == RC_CONFLICT && on_conflict != NULL ? err_set(e, RC_CONFLICT, "%s", on_conflict) : rc;
}

/* --- logins ------------------------------------------------------------------------------------------------- */
enum rc
store_login_failed(const struct store_by *by, const struct uuid *tenant, const struct uuid *account, const char *action,
		   const char *reason, int64_t lock_after, int64_t count_until_us, struct err *e)
{
	struct db_tx *tx = NULL;
	struct db_args args;
	enum rc rc = db_begin(by->db, tenant, by->deadline_ms, &tx, e);
	if (rc == RC_OK && count_until_us != 0) {
		db_args_init(&args);
		db_arg_uuid(&args, tenant);
		db_arg_uuid(&args, account);
		db_arg_time(&args, by->now_us);
		db_arg_int(&args, (int32_t)lock_after);
		db_arg_time(&args, count_until_us);
		rc = db_exec(tx, update_failed, &args, e);
	}
	if (rc == RC_OK)
		rc = intent(tx, by, action, RC_DENIED, account, "reason", bytes_str(reason), e);
	return finish(&tx, rc, NULL, e);
}

enum rc
store_login_cleared(const struct store_by *by, const struct uuid *tenant, const struct uuid *account, struct err *e)
{
	struct db_tx *tx = NULL;
	struct db_args args;
	int64_t n = 0;
	enum rc rc = db_begin(by->db, tenant, by->deadline_ms, &tx, e);
	if (rc == RC_OK) {
		db_args_init(&args);
		db_arg_uuid(&args, tenant);
		db_arg_uuid(&args, account);
		db_arg_time(&args, by->now_us);
		rc = db_exec_count(tx, update_cleared, &args, &n, e);
	}
	if (rc == RC_OK && n == 0)
		rc = err_set(e, RC_DENIED, "locked meanwhile");
	if (rc == RC_OK)
		rc = intent(tx, by, "auth.login", RC_OK, account, "reason", bytes_str("after wrong passwords"), e);
	return finish(&tx, rc, NULL, e);
}

/* --- tenants, people, keys ---------------------------------------------------------------------------------- */
static enum rc
add_credential(struct db_tx *tx, const struct store_by *by, const struct uuid *tenant, const struct uuid *account,
	       const struct store_new_key *k, struct bytes hash, struct err *e)
{
	bool has_lookup = k->lookup[0] != 0;
	struct db_args args;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_uuid(&args, &k->id);
	db_arg_uuid(&args, account);
	db_arg_text(&args, k->kind);
	db_arg_bytes(&args, k->name.p != NULL ? k->name : bytes_str(""));
	db_arg_text(&args, has_lookup ? k->lookup : NULL);
	db_arg_bytes(&args, hash);
	db_arg_text(&args, k->permissions);
	db_arg_time(&args, by->now_us);
	db_arg_time(&args, k->expires_us);
	enum rc rc = db_exec(tx, insert_credential, &args, e);
	if (rc != RC_OK || !has_lookup)
		return rc;
	db_args_init(&args);
	db_arg_text(&args, k->lookup);
	db_arg_uuid(&args, tenant);
	return db_exec(tx, insert_directory_key, &args, e);
}

static enum rc
add_key(struct db_tx *tx, const struct store_by *by, const struct uuid *tenant, const struct uuid *account,
	const struct store_new_key *k, struct err *e)
{
	enum rc rc = add_credential(tx, by, tenant, account, k, bytes_of(k->hash, sizeof(k->hash)), e);
	return rc == RC_OK ? intent(tx, by, "key.created", RC_OK, &k->id, "permissions", bytes_str(k->permissions), e)
			   : rc;
}

enum rc
store_add_tenant(const struct store_by *by, const struct uuid *tenant, struct bytes name,
		 const struct store_new_key *admin, struct err *e)
{
	struct db_tx *tx = NULL;
	struct db_args args;
	enum rc rc = db_begin(by->db, tenant, by->deadline_ms, &tx, e);
	if (rc == RC_OK) {
		db_args_init(&args);
		db_arg_uuid(&args, tenant);
		db_arg_time(&args, by->now_us);
		rc = db_exec(tx, insert_directory_tenant, &args, e);
	}
	if (rc == RC_OK) {
		db_args_init(&args);
		db_arg_uuid(&args, tenant);
		db_arg_bytes(&args, name);
		db_arg_time(&args, by->now_us);
		rc = db_exec(tx, insert_tenant, &args, e);
	}
	if (rc == RC_OK)
		rc = intent(tx, by, "tenant.created", RC_OK, tenant, "name", name, e);
	if (rc == RC_OK)
		rc = add_key(tx, by, tenant, NULL, admin, e);
	return finish(&tx, rc, NULL, e);
}

static enum rc
check_domains(struct db_tx *tx, const struct uuid *tenant, const struct store_new_user *u, struct err *e)
{
	struct db_rows *rows = NULL;
	struct db_args args;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_texts(&args, u->domains, u->n_addresses);
	enum rc rc = db_query(tx, select_unproven, &args, &rows, e);
	if (rc != RC_OK)
		return rc;
	if (db_rows_next(rows))
		rc = err_set(e, RC_INVALID, "%s is not a proven domain of this tenant", db_text(rows, 0));
	db_rows_free(&rows);
	return rc;
}

static enum rc
add_account(struct db_tx *tx, const struct store_by *by, const struct uuid *tenant, const struct store_new_user *u,
	    struct err *e)
{
	struct db_args args;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_uuid(&args, &u->id);
	db_arg_text(&args, u->login);
	db_arg_bytes(&args, u->display_name.p != NULL ? u->display_name : bytes_str(""));
	db_arg_time(&args, by->now_us);
	enum rc rc = db_exec(tx, insert_account, &args, e);
	if (rc != RC_OK)
		return rc;
	db_args_init(&args);
	db_arg_text(&args, u->login);
	db_arg_uuid(&args, tenant);
	db_arg_uuid(&args, &u->id);
	rc = db_exec(tx, insert_directory_login, &args, e);
	if (rc != RC_OK)
		return rc;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_uuid(&args, &u->id);
	db_arg_bytes_array(&args, u->addresses, u->n_addresses);
	db_arg_texts(&args, u->domains, u->n_addresses);
	return db_exec(tx, insert_addresses, &args, e);
}

enum rc
store_add_user(const struct store_by *by, const struct uuid *tenant, const struct store_new_user *u, struct err *e)
{
	struct db_tx *tx = NULL;
	enum rc rc = db_begin(by->db, tenant, by->deadline_ms, &tx, e);
	if (rc == RC_OK)
		rc = check_domains(tx, tenant, u, e);
	if (rc == RC_OK)
		rc = add_account(tx, by, tenant, u, e);
	if (rc == RC_OK && u->password_hash.p != NULL) {
		struct store_new_key k = {
		    .id = u->password_id, .kind = "password", .permissions = "", .expires_us = DB_TIME_NULL};
		rc = add_credential(tx, by, tenant, &u->id, &k, u->password_hash, e);
	}
	if (rc == RC_OK)
		rc = intent(tx, by, "user.created", RC_OK, &u->id, "login", bytes_str(u->login), e);
	return finish(&tx, rc, "this login is taken", e);
}

static enum rc
find_account(struct db_tx *tx, const struct uuid *tenant, const char *login, struct uuid *account_r, struct err *e)
{
	struct db_rows *rows = NULL;
	struct db_args args;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_text(&args, login);
	enum rc rc = db_query(tx, select_account, &args, &rows, e);
	if (rc != RC_OK)
		return rc;
	if (db_rows_next(rows))
		*account_r = db_uuid(rows, 0);
	else
		rc = err_set(e, RC_NOT_FOUND, "nobody here has this login");
	db_rows_free(&rows);
	return rc;
}

enum rc
store_add_key(const struct store_by *by, const struct uuid *tenant, const char *login, const struct store_new_key *k,
	      struct err *e)
{
	struct db_tx *tx = NULL;
	struct uuid account;
	bool own = login[0] == 0;
	enum rc rc = db_begin(by->db, tenant, by->deadline_ms, &tx, e);
	if (rc == RC_OK && !own)
		rc = find_account(tx, tenant, login, &account, e);
	if (rc == RC_OK)
		rc = add_key(tx, by, tenant, own ? NULL : &account, k, e);
	return finish(&tx, rc, "a key of this name is in force", e);
}

enum rc
store_revoke_key(const struct store_by *by, const struct uuid *tenant, const struct uuid *key, struct err *e)
{
	struct db_tx *tx = NULL;
	struct db_args args;
	int64_t n = 0;
	enum rc rc = db_begin(by->db, tenant, by->deadline_ms, &tx, e);
	if (rc == RC_OK) {
		db_args_init(&args);
		db_arg_uuid(&args, tenant);
		db_arg_uuid(&args, key);
		db_arg_time(&args, by->now_us);
		rc = db_exec_count(tx, update_revoked, &args, &n, e);
	}
	if (rc == RC_OK && n == 0)
		rc = err_set(e, RC_NOT_FOUND, "no such key is in force");
	if (rc == RC_OK)
		rc = intent(tx, by, "key.revoked", RC_OK, key, "by", bytes_str(by->actor), e);
	return finish(&tx, rc, NULL, e);
}

/* --- domains ------------------------------------------------------------------------------------------------ */
static enum rc
read_domain(struct db_tx *tx, const struct uuid *tenant, const char *name, struct arena *a, bool *there_r,
	    struct store_domain *out, struct err *e)
{
	struct db_rows *rows = NULL;
	struct db_args args;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_text(&args, name);
	enum rc rc = db_query(tx, select_domain, &args, &rows, e);
	if (rc != RC_OK)
		return rc;
	*out = (struct store_domain){.name = name};
	*there_r = db_rows_next(rows);
	if (*there_r) {
		out->class = (int)db_int(rows, 0);
		out->proven = db_bool(rows, 1);
		out->challenge = db_is_null(rows, 2) ? NULL : arena_strdup(a, db_text(rows, 2));
	}
	db_rows_free(&rows);
	return RC_OK;
}

static enum rc
write_domain(struct db_tx *tx, const struct store_by *by, const struct uuid *tenant, bool there,
	     const struct store_domain *d, struct err *e)
{
	struct db_args args;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_text(&args, d->name);
	db_arg_int(&args, d->class);
	db_arg_text(&args, d->challenge);
	db_arg_time(&args, d->proven ? by->now_us : DB_TIME_NULL);
	if (!there)
		db_arg_time(&args, by->now_us);
	enum rc rc = db_exec(tx, there ? update_domain : insert_domain, &args, e);
	if (rc != RC_OK || !d->proven)
		return rc;
	db_args_init(&args);
	db_arg_text(&args, d->name);
	db_arg_uuid(&args, tenant);
	return db_exec(tx, insert_directory_domain, &args, e);
}

static enum rc
next_version(struct db_tx *tx, const struct uuid *tenant, struct err *e)
{
	struct db_args args;
	int64_t n = 0;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	enum rc rc = db_exec_count(tx, update_version, &args, &n, e);
	return rc == RC_OK && n == 0 ? err_set(e, RC_NOT_FOUND, "no such tenant") : rc;
}

enum rc
store_set_domain(const struct store_by *by, const struct uuid *tenant, const struct store_claim *c, struct arena *a,
		 struct store_domain *found_r, bool *changed_r, struct err *e)
{
	struct db_tx *tx = NULL;
	struct store_domain now = {0};
	bool there = false;
	enum rc rc = db_begin(by->db, tenant, by->deadline_ms, &tx, e);
	if (rc == RC_OK)
		rc = read_domain(tx, tenant, c->name, a, &there, &now, e);
	if (rc == RC_OK && there && now.class == c->class && (now.proven || !c->proven)) {
		db_end(&tx);
		*found_r = now;
		*changed_r = false;
		return RC_OK;
	}
	if (rc == RC_OK && now.proven)
		rc = err_set(e, RC_CONFLICT, "the domain is proven and stays internal");
	if (rc != RC_OK) {
		db_end(&tx);
		return rc;
	}
	now.class = c->class;
	now.proven = c->proven;
	if (now.challenge == NULL)
		now.challenge = c->challenge;
	rc = next_version(tx, tenant, e); /* also the lock that orders the tenant's changes */
	if (rc == RC_OK)
		rc = write_domain(tx, by, tenant, there, &now, e);
	if (rc == RC_OK)
		rc = intent(tx, by, c->proven ? "domain.proven" : "domain.added", RC_OK, tenant, c->how,
			    bytes_str(c->name), e);
	rc = finish(&tx, rc, "the domain belongs to another tenant", e);
	if (rc == RC_OK) {
		*found_r = now;
		*changed_r = true;
	}
	return rc;
}

/* --- the platform's key ------------------------------------------------------------------------------------- */
static enum rc
end_platform_keys(struct db_tx *tx, const struct store_by *by, bool rotate, struct err *e)
{
	struct db_rows *rows = NULL;
	struct db_args args;
	enum rc rc = db_query(tx, lock_platform, NULL, &rows, e);
	if (rc != RC_OK)
		return rc;
	db_rows_free(&rows);
	db_args_init(&args);
	db_arg_uuid(&args, &nil);
	rc = db_query(tx, select_platform, &args, &rows, e);
	if (rc != RC_OK)
		return rc;
	int n = db_rows_count(rows);
	db_rows_free(&rows);
	if (n == 0)
		return RC_OK;
	if (!rotate)
		return err_set(e, RC_CONFLICT, "the platform has a key already; --rotate ends it and makes a new one");
	db_args_init(&args);
	db_arg_uuid(&args, &nil);
	db_arg_time(&args, by->now_us);
	return db_exec(tx, update_platform, &args, e);
}

enum rc
store_set_platform_key(const struct store_by *by, const struct store_new_key *k, bool rotate,
		       enum rc (*before_commit)(void *ctx, struct err *e), void *ctx, struct err *e)
{
	struct db_tx *tx = NULL;
	enum rc rc = db_begin(by->db, &nil, by->deadline_ms, &tx, e);
	if (rc == RC_OK)
		rc = end_platform_keys(tx, by, rotate, e);
	if (rc == RC_OK)
		rc = add_key(tx, by, &nil, NULL, k, e);
	if (rc == RC_OK)
		rc = before_commit(ctx, e);
	return finish(&tx, rc, NULL, e);
}
