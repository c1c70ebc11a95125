/* SPDX-License-Identifier: MIT
 *
 * Logins as they are counted and recorded; tenants made and changed.
 */
#include <stdio.h>

#include "auth_store.h"

static const char update_failed[] =
    "UPDATE auth.account SET failed = CASE WHEN locked_until IS NULL THEN failed + 1 ELSE 1 END, "
    "locked_until = CASE WHEN (CASE WHEN locked_until IS NULL THEN failed + 1 ELSE 1 END) >= $4 "
    "THEN $5::timestamptz END "
    "WHERE tenant = $1 AND id = $2 AND (locked_until IS NULL OR locked_until <= $3) RETURNING locked_until IS NOT NULL";
static const char update_cleared[] = "UPDATE auth.account SET failed = 0, locked_until = NULL "
				     "WHERE tenant = $1 AND id = $2 AND (locked_until IS NULL OR locked_until <= $3)";
static const char insert_directory_tenant[] = "INSERT INTO auth.directory_tenant (tenant, created_at) VALUES ($1, $2)";
static const char insert_tenant[] =
    "INSERT INTO auth.tenant (tenant, name, sandbox, created_at) VALUES ($1, $2, $3, $4)";
static const char update_tenant[] =
    "UPDATE auth.tenant SET name = $2, language = $3, head_mail = $4, "
    "version = version + 1, directory_version = directory_version + 1 WHERE tenant = $1";

/* --- logins ------------------------------------------------------------------------------------------------- */
static enum rc
count_failure(struct store_tx *t, const struct uuid *account, int64_t lock_after, int64_t until_us, struct err *e)
{
	struct db_rows *rows = NULL;
	struct db_args args;
	store_args(t, &args);
	db_arg_uuid(&args, account);
	db_arg_time(&args, t->by.now_us);
	db_arg_int(&args, (int32_t)lock_after);
	db_arg_time(&args, until_us);
	enum rc rc = db_query(t->tx, update_failed, &args, &rows, e);
	if (rc != RC_OK)
		return rc;
	bool locked = db_rows_next(rows) && db_bool(rows, 0);
	db_rows_free(&rows);
	const struct store_detail detail[] = {{"reason", bytes_str("wrong passwords")}, {0}};
	return locked ? store_intent(t, "user.locked", RC_OK, account, detail, e) : RC_OK;
}

enum rc
store_login_failed(const struct store_by *by, const struct uuid *tenant, const struct uuid *account, const char *reason,
		   int64_t lock_after, int64_t lock_until_us, struct err *e)
{
	const struct store_detail detail[] = {{"reason", bytes_str(reason)}, {0}};
	struct store_tx t;
	enum rc rc = store_begin(by, tenant, NULL, &t, e);
	if (rc != RC_OK)
		return rc;
	rc = store_intent(&t, "auth.login", RC_DENIED, account, detail, e);
	if (rc == RC_OK)
		rc = count_failure(&t, account, lock_after, lock_until_us, e);
	return store_end(&t, rc, NULL, e);
}

enum rc
store_login_cleared(const struct store_by *by, const struct uuid *tenant, const struct uuid *account, struct err *e)
{
	const struct store_detail detail[] = {{"reason", bytes_str("after wrong passwords")}, {0}};
	struct store_tx t;
	struct db_args args;
	int64_t n = 0;
	enum rc rc = store_begin(by, tenant, NULL, &t, e);
	if (rc != RC_OK)
		return rc;
	store_args(&t, &args);
	db_arg_uuid(&args, account);
	db_arg_time(&args, by->now_us);
	rc = db_exec_count(t.tx, update_cleared, &args, &n, e);
	if (rc == RC_OK && n == 0)
		rc = err_set(e, RC_DENIED, "locked meanwhile");
	if (rc == RC_OK)
		rc = store_intent(&t, "auth.login", RC_OK, account, detail, e);
	return store_end(&t, rc, NULL, e);
}

enum rc
store_note_times(const struct store_by *by, const struct uuid *tenant, const struct uuid *subject, const char *action,
		 enum rc outcome, const char *reason, int64_t count, struct err *e)
{
	char times[24];
	struct store_tx t;
	snprintf(times, sizeof(times), "%lld", (long long)count);
	const struct store_detail detail[] = {{"reason", bytes_str(reason)}, {"count", bytes_str(times)}, {0}};
	enum rc rc = store_begin(by, tenant, NULL, &t, e);
	if (rc == RC_OK)
		rc = store_end(&t, store_intent(&t, action, outcome, subject, detail, e), NULL, e);
	return rc;
}

/* --- tenants ------------------------------------------------------------------------------------------------ */
enum rc
store_add_tenant(struct store_tx *t, struct bytes name, bool sandbox, const struct store_new_key *admin, struct err *e)
{
	const struct store_detail detail[] = {{"name", name}, {"sandbox", bytes_str(sandbox ? "yes" : "no")}, {0}};
	struct db_args args;
	store_args(t, &args);
	db_arg_time(&args, t->by.now_us);
	enum rc rc = db_exec(t->tx, insert_directory_tenant, &args, e);
	if (rc != RC_OK)
		return rc;
	store_args(t, &args);
	db_arg_bytes(&args, name);
	db_arg_bool(&args, sandbox);
	db_arg_time(&args, t->by.now_us);
	rc = db_exec(t->tx, insert_tenant, &args, e);
	if (rc == RC_OK)
		rc = store_intent(t, "tenant.created", RC_OK, &t->tenant, detail, e);
	return rc == RC_OK ? store_add_key(t, NULL, admin, e) : rc;
}

enum rc
store_set_tenant(struct store_tx *t, const struct store_tenant *to, struct err *e)
{
	const struct store_detail detail[] = {{"name", to->name},
					      {"language", bytes_str(to->language)},
					      {"head_mail", bytes_str(to->head_mail ? "yes" : "no")},
					      {0}};
	struct db_args args;
	store_args(t, &args);
	db_arg_bytes(&args, to->name);
	db_arg_text(&args, to->language);
	db_arg_bool(&args, to->head_mail);
	enum rc rc = db_exec(t->tx, update_tenant, &args, e);
	return rc == RC_OK ? store_intent(t, "tenant.updated", RC_OK, &t->tenant, detail, e) : rc;
}
