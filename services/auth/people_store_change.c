/* SPDX-License-Identifier: MIT
 *
 * Making and changing people. The unique key of the directory decides who was first with a login.
 */
#include "key_store.h"
#include "people_store.h"

static const char insert_directory_login[] =
    "INSERT INTO auth.directory_login (login, tenant, account) VALUES ($2, $1, $3)";
static const char insert_account[] =
    "INSERT INTO auth.account (tenant, id, login, display_name, created_at) VALUES ($1, $2, $3, $4, $5)";
static const char select_unproven[] =
    "SELECT u.domain FROM unnest($2::text[]) AS u(domain) WHERE NOT EXISTS (SELECT FROM auth.domain d "
    "WHERE d.tenant = $1 AND d.name = u.domain AND d.proven_at IS NOT NULL) LIMIT 1";
static const char delete_addresses[] = "DELETE FROM auth.address WHERE tenant = $1 AND account = $2";
static const char insert_addresses[] =
    "INSERT INTO auth.address (tenant, account, address, domain, folded, position) "
    "SELECT $1, $2, o.address, o.domain, o.folded, row_number() OVER (ORDER BY o.n) - 1 FROM ("
    " SELECT DISTINCT ON (u.address) u.address, u.domain, u.folded, u.n "
    " FROM unnest($3::bytea[], $4::text[], $5::bytea[]) WITH ORDINALITY AS u(address, domain, folded, n) "
    " ORDER BY u.address, u.n) o";
static const char update_person[] =
    "UPDATE auth.account SET display_name = $3, disabled_at = CASE WHEN $4 THEN COALESCE(disabled_at, $5) END, "
    "version = version + 1 WHERE tenant = $1 AND id = $2";
static const char update_password[] = "UPDATE auth.credential SET revoked_at = $3 WHERE tenant = $1 AND account = $2 "
				      "AND kind = 'password' AND revoked_at IS NULL";
static const char update_credentials[] =
    "UPDATE auth.credential SET revoked_at = $3 WHERE tenant = $1 AND account = $2 AND revoked_at IS NULL";
static const char update_unlocked[] =
    "UPDATE auth.account SET failed = 0, locked_until = NULL WHERE tenant = $1 AND id = $2";

static enum rc
check_domains(struct store_tx *t, const struct store_addresses *v, struct err *e)
{
	struct db_rows *rows = NULL;
	struct db_args args;
	store_args(t, &args);
	db_arg_texts(&args, v->domains, v->n);
	enum rc rc = db_query(t->tx, select_unproven, &args, &rows, e);
	if (rc != RC_OK)
		return rc;
	if (db_rows_next(rows))
		rc = err_set(e, RC_INVALID, "%s is not a proven domain of this tenant", db_text(rows, 0));
	db_rows_free(&rows);
	return rc;
}

static enum rc
add_addresses(struct store_tx *t, const struct uuid *account, const struct store_addresses *v, struct err *e)
{
	struct db_args args;
	store_args(t, &args);
	db_arg_uuid(&args, account);
	db_arg_bytes_array(&args, v->addresses, v->n);
	db_arg_texts(&args, v->domains, v->n);
	db_arg_bytes_array(&args, v->folded, v->n);
	return db_exec(t->tx, insert_addresses, &args, e);
}

static enum rc
add_account(struct store_tx *t, const struct store_new_user *u, struct err *e)
{
	struct db_args args;
	store_args(t, &args);
	db_arg_uuid(&args, &u->id);
	db_arg_text(&args, u->login);
	db_arg_bytes(&args, u->display_name.p != NULL ? u->display_name : bytes_str(""));
	db_arg_time(&args, t->by.now_us);
	enum rc rc = db_exec(t->tx, insert_account, &args, e);
	if (rc != RC_OK)
		return rc;
	store_args(t, &args);
	db_arg_text(&args, u->login);
	db_arg_uuid(&args, &u->id);
	return db_exec(t->tx, insert_directory_login, &args, e);
}

enum rc
store_add_user(struct store_tx *t, const struct store_new_user *u, struct err *e)
{
	const struct store_detail detail[] = {{"login", bytes_str(u->login)}, {0}};
	enum rc rc = check_domains(t, &u->addresses, e);
	if (rc == RC_OK)
		rc = add_account(t, u, e);
	if (rc == RC_OK)
		rc = add_addresses(t, &u->id, &u->addresses, e);
	if (rc == RC_OK && u->password_hash.p != NULL)
		rc = store_add_password(t, &u->id, &u->password_id, u->password_hash, e);
	return rc == RC_OK ? store_intent(t, "user.created", RC_OK, &u->id, detail, e) : rc;
}

enum rc
store_set_addresses(struct store_tx *t, const struct uuid *account, const struct store_addresses *v, struct err *e)
{
	struct db_args args;
	enum rc rc = check_domains(t, v, e);
	if (rc != RC_OK)
		return rc;
	store_args(t, &args);
	db_arg_uuid(&args, account);
	rc = db_exec(t->tx, delete_addresses, &args, e);
	return rc == RC_OK ? add_addresses(t, account, v, e) : rc;
}

enum rc
store_set_person(struct store_tx *t, const struct uuid *account, struct bytes display_name, bool disabled,
		 struct err *e)
{
	struct db_args args;
	store_args(t, &args);
	db_arg_uuid(&args, account);
	db_arg_bytes(&args, display_name.p != NULL ? display_name : bytes_str(""));
	db_arg_bool(&args, disabled);
	db_arg_time(&args, t->by.now_us);
	return db_exec(t->tx, update_person, &args, e);
}

/* One statement about a person and the present moment. */
static enum rc
end_some(struct store_tx *t, const char *sql, const struct uuid *account, int64_t *n_r, struct err *e)
{
	struct db_args args;
	store_args(t, &args);
	db_arg_uuid(&args, account);
	db_arg_time(&args, t->by.now_us);
	return db_exec_count(t->tx, sql, &args, n_r, e);
}

enum rc
store_set_password(struct store_tx *t, const struct uuid *account, const struct uuid *id, struct bytes hash,
		   struct err *e)
{
	int64_t n = 0;
	enum rc rc = end_some(t, update_password, account, &n, e);
	return rc == RC_OK && hash.p != NULL ? store_add_password(t, account, id, hash, e) : rc;
}

enum rc
store_end_credentials(struct store_tx *t, const struct uuid *account, int64_t *n_r, struct err *e)
{
	return end_some(t, update_credentials, account, n_r, e);
}

enum rc
store_unlock(struct store_tx *t, const struct uuid *account, struct err *e)
{
	struct db_args args;
	store_args(t, &args);
	db_arg_uuid(&args, account);
	return db_exec(t->tx, update_unlocked, &args, e);
}
