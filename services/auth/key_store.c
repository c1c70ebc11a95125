/* SPDX-License-Identifier: MIT */
#include "key_store.h"

static const char insert_credential[] =
    "INSERT INTO auth.credential (tenant, id, account, kind, name, lookup, hash, permissions, created_at, expires_at) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
static const char insert_directory_key[] = "INSERT INTO auth.directory_key (tenant, lookup) VALUES ($1, $2)";
static const char select_account[] = "SELECT id FROM auth.account WHERE tenant = $1 AND login = $2";
/* An application password has no permissions of its own: it sends mail. */
#define VIEW                                                                                                           \
	"SELECT k.id, k.kind = 'app', k.name, k.account, COALESCE(a.login, ''), "                                      \
	"CASE k.kind WHEN 'app' THEN 'message.send' ELSE k.permissions END, k.lookup, k.created_at, k.expires_at, "    \
	"k.revoked_at, k.replaced_by FROM auth.credential k "                                                          \
	"LEFT JOIN auth.account a ON a.tenant = k.tenant AND a.id = k.account "
static const char select_key[] = VIEW "WHERE k.tenant = $1 AND k.id = $2 AND k.kind <> 'password' "
				      "AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $3)";
static const char select_keys[] = VIEW
    "WHERE k.tenant = $1 AND k.kind <> 'password' AND ($2::uuid IS NULL OR k.id < $2) "
    "AND ($3::uuid IS NULL OR k.account = $3) "
    "AND ($4 OR (k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $5))) ORDER BY k.id DESC LIMIT $6";
static const char update_revoked[] = "UPDATE auth.credential SET revoked_at = $3 "
				     "WHERE tenant = $1 AND id = $2 AND kind <> 'password' AND revoked_at IS NULL";
static const char update_replaced[] =
    "UPDATE auth.credential SET replaced_by = $3, expires_at = COALESCE($4, expires_at), revoked_at = $5 "
    "WHERE tenant = $1 AND id = $2 AND revoked_at IS NULL AND replaced_by IS NULL";
static const char lock_platform[] = "SELECT pg_advisory_xact_lock(hashtext('sekisho_auth platform key')) IS NULL";
static const char select_platform[] = "SELECT id FROM auth.credential WHERE tenant = $1 AND revoked_at IS NULL";
static const char update_platform[] =
    "UPDATE auth.credential SET revoked_at = $2 WHERE tenant = $1 AND revoked_at IS NULL";

static enum rc
add_credential(struct store_tx *t, const struct uuid *account, const struct store_new_key *k, struct bytes hash,
	       struct err *e)
{
	bool has_lookup = k->lookup[0] != 0;
	struct db_args args;
	store_args(t, &args);
	db_arg_uuid(&args, &k->id);
	db_arg_uuid(&args, account);
	db_arg_text(&args, k->kind);
	db_arg_bytes(&args, k->name.p != NULL ? k->name : bytes_str(""));
	db_arg_text(&args, has_lookup ? k->lookup : NULL);
	db_arg_bytes(&args, hash);
	db_arg_text(&args, k->permissions);
	db_arg_time(&args, t->by.now_us);
	db_arg_time(&args, k->expires_us);
	enum rc rc = db_exec(t->tx, insert_credential, &args, e);
	if (rc != RC_OK || !has_lookup)
		return rc;
	store_args(t, &args);
	db_arg_text(&args, k->lookup);
	return db_exec(t->tx, insert_directory_key, &args, e);
}

enum rc
store_add_password(struct store_tx *t, const struct uuid *account, const struct uuid *id, struct bytes hash,
		   struct err *e)
{
	struct store_new_key k = {.id = *id, .kind = "password", .permissions = "", .expires_us = DB_TIME_NULL};
	return add_credential(t, account, &k, hash, e);
}

enum rc
store_add_key(struct store_tx *t, const struct uuid *account, const struct store_new_key *k, struct err *e)
{
	const struct store_detail detail[] = {
	    {"name", k->name}, {"kind", bytes_str(k->kind)}, {"permissions", bytes_str(k->permissions)}, {0}};
	enum rc rc = add_credential(t, account, k, bytes_of(k->hash, sizeof(k->hash)), e);
	return rc == RC_OK ? store_intent(t, "key.created", RC_OK, &k->id, detail, e) : rc;
}

enum rc
store_find_account(struct store_tx *t, const char *login, struct uuid *account_r, struct err *e)
{
	struct db_rows *rows = NULL;
	struct db_args args;
	store_args(t, &args);
	db_arg_text(&args, login);
	enum rc rc = store_row(t, select_account, &args, "nobody here has this login", &rows, e);
	if (rc == RC_OK)
		*account_r = db_uuid(rows, 0);
	db_rows_free(&rows);
	return rc;
}

/* --- reading ------------------------------------------------------------------------------------------------ */
static struct store_key_view
take_view(const struct db_rows *rows, struct arena *a)
{
	struct store_key_view v = {
	    .id = db_uuid(rows, 0),
	    .app = db_bool(rows, 1),
	    .name = arena_bytes(a, db_bytes(rows, 2)),
	    .has_account = !db_is_null(rows, 3),
	    .login = arena_strdup(a, db_text(rows, 4)),
	    .permissions = arena_strdup(a, db_text(rows, 5)),
	    .lookup = db_is_null(rows, 6) ? "" : arena_strdup(a, db_text(rows, 6)),
	    .created_us = db_time(rows, 7),
	    .expires_us = db_is_null(rows, 8) ? 0 : db_time(rows, 8),
	    .revoked_us = db_is_null(rows, 9) ? 0 : db_time(rows, 9),
	};
	if (v.has_account)
		v.account = db_uuid(rows, 3);
	if (!db_is_null(rows, 10))
		v.replaced_by = db_uuid(rows, 10);
	return v;
}

enum rc
store_get_key(struct store_tx *t, const struct uuid *id, struct store_key_view *out_r, struct err *e)
{
	struct db_rows *rows = NULL;
	struct db_args args;
	store_args(t, &args);
	db_arg_uuid(&args, id);
	db_arg_time(&args, t->by.now_us);
	enum rc rc = store_row(t, select_key, &args, "no such key is in force", &rows, e);
	if (rc == RC_OK)
		*out_r = take_view(rows, t->a);
	db_rows_free(&rows);
	return rc;
}

enum rc
store_list_keys(struct store_tx *t, const struct uuid *before, const struct uuid *account, bool ended, int32_t limit,
		struct store_key_view **v_r, size_t *n_r, struct err *e)
{
	struct db_rows *rows = NULL;
	struct db_args args;
	size_t n = 0;
	store_args(t, &args);
	db_arg_uuid(&args, before);
	db_arg_uuid(&args, account);
	db_arg_bool(&args, ended);
	db_arg_time(&args, t->by.now_us);
	db_arg_int(&args, limit);
	enum rc rc = db_query(t->tx, select_keys, &args, &rows, e);
	if (rc != RC_OK)
		return rc;
	struct store_key_view *v = arena_new_array(t->a, struct store_key_view, (size_t)db_rows_count(rows) + 1);
	while (db_rows_next(rows))
		v[n++] = take_view(rows, t->a);
	db_rows_free(&rows);
	*v_r = v;
	*n_r = n;
	return RC_OK;
}

/* --- changing ----------------------------------------------------------------------------------------------- */
enum rc
store_revoke_key(struct store_tx *t, const struct uuid *id, struct err *e)
{
	struct db_args args;
	int64_t n = 0;
	store_args(t, &args);
	db_arg_uuid(&args, id);
	db_arg_time(&args, t->by.now_us);
	enum rc rc = db_exec_count(t->tx, update_revoked, &args, &n, e);
	if (rc == RC_OK && n == 0)
		rc = err_set(e, RC_NOT_FOUND, "no such key is in force");
	return rc == RC_OK ? store_intent(t, "key.revoked", RC_OK, id, NULL, e) : rc;
}

enum rc
store_rotate_key(struct store_tx *t, const struct store_key_view *old, const struct store_new_key *k,
		 int64_t old_expires_us, struct err *e)
{
	char new_id[UUID_STR_SIZE];
	struct db_args args;
	int64_t n = 0;
	bool ends_now = old_expires_us <= t->by.now_us;
	store_args(t, &args);
	db_arg_uuid(&args, &old->id);
	db_arg_uuid(&args, &k->id);
	db_arg_time(&args, ends_now ? DB_TIME_NULL : old_expires_us);
	db_arg_time(&args, ends_now ? t->by.now_us : DB_TIME_NULL);
	enum rc rc = db_exec_count(t->tx, update_replaced, &args, &n, e);
	if (rc == RC_OK && n == 0)
		rc = err_set(e, RC_CONFLICT, "the key was rotated already");
	if (rc == RC_OK)
		rc = add_credential(t, old->has_account ? &old->account : NULL, k, bytes_of(k->hash, sizeof(k->hash)),
				    e);
	if (rc != RC_OK)
		return rc;
	uuid_format(&k->id, new_id);
	const struct store_detail detail[] = {{"new_key", bytes_str(new_id)}, {"name", old->name}, {0}};
	return store_intent(t, "key.rotated", RC_OK, &old->id, detail, e);
}

/* --- the platform's key ------------------------------------------------------------------------------------- */
static enum rc
end_platform_keys(struct store_tx *t, bool rotate, struct err *e)
{
	struct db_rows *rows = NULL;
	struct db_args args;
	enum rc rc = db_query(t->tx, lock_platform, NULL, &rows, e);
	if (rc != RC_OK)
		return rc;
	db_rows_free(&rows);
	store_args(t, &args);
	rc = db_query(t->tx, select_platform, &args, &rows, e);
	if (rc != RC_OK)
		return rc;
	int n = db_rows_count(rows);
	db_rows_free(&rows);
	if (n == 0)
		return RC_OK;
	if (!rotate)
		return err_set(e, RC_CONFLICT, "the platform has a key already; --rotate ends it and makes a new one");
	store_args(t, &args);
	db_arg_time(&args, t->by.now_us);
	return db_exec(t->tx, update_platform, &args, e);
}

enum rc
store_set_platform_key(const struct store_by *by, const struct store_new_key *k, bool rotate,
		       enum rc (*before_commit)(void *ctx, struct err *e), void *ctx, struct err *e)
{
	static const struct uuid nil;
	struct store_tx t;
	struct arena *a = arena_new();
	enum rc rc = store_begin(by, &nil, a, &t, e);
	if (rc == RC_OK) {
		rc = end_platform_keys(&t, rotate, e);
		if (rc == RC_OK)
			rc = store_add_key(&t, NULL, k, e);
		if (rc == RC_OK)
			rc = before_commit(ctx, e);
		rc = store_end(&t, rc, NULL, e);
	}
	arena_free(&a);
	return rc;
}
