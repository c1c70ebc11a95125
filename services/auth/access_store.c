/* SPDX-License-Identifier: MIT
 *
 * What people may: reading it in one statement each, the administrator's last way in, and replacing what a person has.
 */
#include "access_store.h"

/* Kind 0 is the person, 1 a role (its group, and its permissions if the tenant made it), 2 an exception. */
static const char select_access[] =
    "SELECT 0, NULL::bytea, NULL::bytea, NULL::text, a.disabled_at IS NOT NULL FROM auth.account a "
    "WHERE a.tenant = $1 AND a.id = $2 "
    "UNION ALL SELECT 1, h.role, h.people_group, r.permissions, false FROM ("
    " SELECT pr.role, NULL::bytea AS people_group FROM auth.person_role pr WHERE pr.tenant = $1 AND pr.account = $2 "
    " UNION ALL SELECT gr.role, gr.people_group FROM auth.group_member gm JOIN auth.group_role gr "
    "  ON gr.tenant = gm.tenant AND gr.people_group = gm.people_group WHERE gm.tenant = $1 AND gm.account = $2) h "
    " LEFT JOIN auth.role r ON r.tenant = $1 AND r.name = h.role "
    "UNION ALL SELECT 2, NULL, NULL, x.permission, x.deny FROM auth.person_exception x "
    "WHERE x.tenant = $1 AND x.account = $2 "
    "ORDER BY 1, 3 NULLS FIRST, 2";
static const char select_own_key[] =
    "SELECT permissions FROM auth.credential WHERE tenant = $1 AND id = $2 AND account IS NULL AND kind = 'api' "
    "AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $3)";
/* The tenant's own keys first, then those that last longest. */
static const char select_ways[] =
    "SELECT k.expires_at, k.account IS NULL, a.disabled_at IS NOT NULL, " STORE_ACCESS_COLUMNS
    " FROM auth.credential k LEFT JOIN auth.account a ON a.tenant = k.tenant AND a.id = k.account" STORE_ACCESS_JOIN(
	"k.tenant",
	"k.account") "WHERE k.tenant = $1 AND k.kind = 'api' AND k.permissions = $2 AND k.revoked_at IS NULL "
		     "AND (k.expires_at IS NULL OR k.expires_at > $3) "
		     "ORDER BY k.expires_at DESC NULLS FIRST, k.account IS NULL DESC";
static const char delete_person_roles[] = "DELETE FROM auth.person_role WHERE tenant = $1 AND account = $2";
static const char insert_person_roles[] =
    "INSERT INTO auth.person_role (tenant, account, role) "
    "SELECT DISTINCT $1::uuid, $2::uuid, u.role FROM unnest($3::bytea[]) AS u(role)";
static const char delete_exceptions[] = "DELETE FROM auth.person_exception WHERE tenant = $1 AND account = $2";
static const char insert_exceptions[] = "INSERT INTO auth.person_exception (tenant, account, permission, deny) "
					"SELECT $1, $2, u.permission, u.deny "
					"FROM unnest($3::text[], $4::bool[]) AS u(permission, deny)";

/* --- reading ------------------------------------------------------------------------------------------------ */
static void
add_exception(struct access *x, struct bytes permission, bool deny)
{
	struct permission_set s = {0};
	size_t i = permission_find(permission);
	if (i < permission_count())
		s.bits = UINT64_C(1) << i;
	if (deny)
		x->denied = permission_or(x->denied, s);
	else
		x->allowed = permission_or(x->allowed, s);
}

static void
add_grant(struct access *x, const struct db_rows *rows, struct arena *a)
{
	struct access_grant g = {.role = arena_bytes(a, db_bytes(rows, 1))};
	if (!db_is_null(rows, 2))
		g.group = arena_bytes(a, db_bytes(rows, 2));
	if (!permission_role(g.role, &g.set) && !db_is_null(rows, 3))
		g.set = permission_of_text(db_text(rows, 3), NULL);
	x->grants[x->n_grants++] = g;
}

enum rc
store_get_access(struct store_tx *t, const struct uuid *account, struct access *out_r, struct err *e)
{
	struct access out = {0};
	struct db_rows *rows = NULL;
	struct db_args args;
	store_args(t, &args);
	db_arg_uuid(&args, account);
	enum rc rc = store_row(t, select_access, &args, "nobody here has this id", &rows, e);
	if (rc == RC_OK && db_int(rows, 0) != 0)
		rc = err_set(e, RC_NOT_FOUND, "nobody here has this id");
	if (rc != RC_OK) {
		db_rows_free(&rows);
		return rc;
	}
	out.grants = arena_new_array(t->a, struct access_grant, (size_t)db_rows_count(rows) + 1);
	out.disabled = db_bool(rows, 4);
	while (db_rows_next(rows))
		if (db_int(rows, 0) == 1)
			add_grant(&out, rows, t->a);
		else
			add_exception(&out, bytes_str(db_text(rows, 3)), db_bool(rows, 4));
	db_rows_free(&rows);
	*out_r = out;
	return RC_OK;
}

enum rc
store_get_actor_access(struct store_tx *t, const struct uuid *account, struct permission_set *out_r, struct err *e)
{
	struct access x;
	struct db_rows *rows = NULL;
	struct db_args args;
	struct err own;
	enum rc rc = store_get_access(t, account, &x, &own);
	if (rc == RC_OK)
		*out_r = access_effective(&x);
	if (rc != RC_NOT_FOUND) {
		if (rc != RC_OK && e != NULL)
			*e = own;
		return rc;
	}
	store_args(t, &args);
	db_arg_uuid(&args, account);
	db_arg_time(&args, t->by.now_us);
	rc = db_query(t->tx, select_own_key, &args, &rows, e);
	if (rc != RC_OK)
		return rc;
	*out_r = db_rows_next(rows) ? permission_of_text(db_text(rows, 0), NULL) : (struct permission_set){0};
	db_rows_free(&rows);
	return RC_OK;
}

struct access
store_take_access(const struct db_rows *rows, int col, bool disabled, struct arena *a)
{
	struct access x = {.disabled = disabled};
	size_t n = 0;
	struct bytes *names = store_split(db_bytes(rows, col + 1), a, &n);
	x.grants = arena_new_array(a, struct access_grant, n + 1);
	if (!db_is_null(rows, col))
		x.grants[x.n_grants++].set = permission_of_text(db_text(rows, col), NULL);
	for (size_t i = 0; i < n; i++)
		if (!permission_role(names[i], &x.grants[x.n_grants++].set))
			x.grants[x.n_grants - 1].set = (struct permission_set){0};
	for (const char *at = db_is_null(rows, col + 2) ? "" : db_text(rows, col + 2); *at != 0;) {
		size_t len = strcspn(at, " ");
		add_exception(&x, bytes_of(at + 1, len - 1), *at == '-');
		at += len + (at[len] == ' ');
	}
	return x;
}

enum rc
store_last_way_in(struct store_tx *t, int64_t *until_us_r, struct err *e)
{
	struct permission_set all = permission_all(false);
	struct db_rows *rows = NULL;
	struct db_args args;
	int64_t until = 0;
	store_args(t, &args);
	db_arg_text(&args, permission_text(all, t->a));
	db_arg_time(&args, t->by.now_us);
	enum rc rc = db_query(t->tx, select_ways, &args, &rows, e);
	if (rc != RC_OK)
		return rc;
	while (until == 0 && db_rows_next(rows)) {
		struct permission_set has = all;
		if (!db_bool(rows, 1)) {
			struct access x = store_take_access(rows, 3, db_bool(rows, 2), t->a);
			has = access_effective(&x);
		}
		if (has.bits == all.bits)
			until = db_is_null(rows, 0) ? INT64_MAX : db_time(rows, 0);
	}
	db_rows_free(&rows);
	*until_us_r = until;
	return RC_OK;
}

/* --- changing ----------------------------------------------------------------------------------------------- */
enum rc
store_set_access(struct store_tx *t, const struct uuid *account, const struct bytes *roles, size_t n_roles,
		 const struct store_exception *x, size_t n_exceptions, struct err *e)
{
	const char **names = arena_new_array(t->a, const char *, n_exceptions + 1);
	bool *denies = arena_new_array(t->a, bool, n_exceptions + 1);
	struct db_args args;
	for (size_t i = 0; i < n_exceptions; i++) {
		names[i] = permission_name(x[i].permission);
		denies[i] = x[i].deny;
	}
	const char *const deletes[] = {delete_person_roles, delete_exceptions};
	for (int i = 0; i < 2; i++) {
		store_args(t, &args);
		db_arg_uuid(&args, account);
		enum rc rc = db_exec(t->tx, deletes[i], &args, e);
		if (rc != RC_OK)
			return rc;
	}
	store_args(t, &args);
	db_arg_uuid(&args, account);
	db_arg_bytes_array(&args, roles, n_roles);
	enum rc rc = db_exec(t->tx, insert_person_roles, &args, e);
	if (rc != RC_OK)
		return rc;
	store_args(t, &args);
	db_arg_uuid(&args, account);
	db_arg_texts(&args, names, n_exceptions);
	db_arg_bools(&args, denies, n_exceptions);
	return db_exec(t->tx, insert_exceptions, &args, e);
}
