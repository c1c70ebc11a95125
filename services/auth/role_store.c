/* SPDX-License-Identifier: MIT
 *
 * Roles of a tenant's own making, and groups of people.
 */
#include "access_store.h"

static const char select_roles[] = "SELECT name, description, permissions, version FROM auth.role WHERE tenant = $1 "
				   "AND ($2::bytea IS NULL OR name = $2) "
				   "ORDER BY name";
static const char upsert_role[] =
    "INSERT INTO auth.role (tenant, name, description, permissions, version, created_at) "
    "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant, name) DO UPDATE SET description = $3, permissions = $4, "
    "version = $5";
static const char select_holders[] = "SELECT (SELECT count(*) FROM auth.person_role WHERE tenant = $1 AND role = $2), "
				     "(SELECT count(*) FROM auth.group_role WHERE tenant = $1 AND role = $2)";
static const char delete_role[] = "DELETE FROM auth.role WHERE tenant = $1 AND name = $2";
static const char select_groups[] =
    "SELECT g.name, g.description, g.version, "
    "(SELECT string_agg(convert_to(a.login, 'UTF8'), '\\x00'::bytea ORDER BY a.login) FROM auth.group_member m "
    " JOIN auth.account a ON a.tenant = m.tenant AND a.id = m.account "
    " WHERE m.tenant = g.tenant AND m.people_group = g.name), "
    "(SELECT string_agg(r.role, '\\x00'::bytea ORDER BY r.role) FROM auth.group_role r "
    " WHERE r.tenant = g.tenant AND r.people_group = g.name) "
    "FROM auth.people_group g WHERE g.tenant = $1 AND ($2::bytea IS NULL OR g.name = $2) ORDER BY g.name";
static const char upsert_group[] =
    "INSERT INTO auth.people_group (tenant, name, description, version, created_at) VALUES ($1, $2, $3, $4, $5) "
    "ON CONFLICT (tenant, name) DO UPDATE SET description = $3, version = $4";
static const char delete_members[] = "DELETE FROM auth.group_member WHERE tenant = $1 AND people_group = $2";
static const char insert_members[] =
    "INSERT INTO auth.group_member (tenant, people_group, account) SELECT $1, $2, a.id FROM auth.account a "
    "WHERE a.tenant = $1 AND a.login = ANY ($3::text[])";
static const char delete_group_roles[] = "DELETE FROM auth.group_role WHERE tenant = $1 AND people_group = $2";
static const char insert_group_roles[] =
    "INSERT INTO auth.group_role (tenant, people_group, role) "
    "SELECT DISTINCT $1::uuid, $2::bytea, u.role FROM unnest($3::bytea[]) AS u(role)";
static const char delete_group[] = "DELETE FROM auth.people_group WHERE tenant = $1 AND name = $2";

/* --- roles -------------------------------------------------------------------------------------------------- */
static enum rc
own_roles(struct store_tx *t, struct bytes name, struct db_rows **rows_r, struct err *e)
{
	struct db_args args;
	store_args(t, &args);
	db_arg_bytes(&args, name);
	return db_query(t->tx, select_roles, &args, rows_r, e);
}

static struct store_role
take_role(const struct db_rows *rows, struct arena *a)
{
	return (struct store_role){
	    .name = arena_bytes(a, db_bytes(rows, 0)),
	    .description = arena_bytes(a, db_bytes(rows, 1)),
	    .set = permission_of_text(db_text(rows, 2), NULL),
	    .version = (uint64_t)db_int(rows, 3),
	};
}

enum rc
store_get_role(struct store_tx *t, struct bytes name, struct store_role *out_r, struct err *e)
{
	struct store_role out = {.name = name, .description = bytes_str(""), .built_in = true, .version = 1};
	struct db_rows *rows = NULL;
	if (permission_role(name, &out.set)) {
		*out_r = out;
		return RC_OK;
	}
	enum rc rc = own_roles(t, name, &rows, e);
	if (rc != RC_OK)
		return rc;
	if (db_rows_next(rows))
		*out_r = take_role(rows, t->a);
	else
		rc = err_set(e, RC_NOT_FOUND, "no such role");
	db_rows_free(&rows);
	return rc;
}

enum rc
store_list_roles(struct store_tx *t, struct store_role **v_r, size_t *n_r, struct err *e)
{
	struct db_rows *rows = NULL;
	size_t n = 0, built_in = 0;
	enum rc rc = own_roles(t, bytes_of(NULL, 0), &rows, e);
	if (rc != RC_OK)
		return rc;
	while (permission_role_name(built_in) != NULL)
		built_in++;
	struct store_role *v = arena_new_array(t->a, struct store_role, built_in + (size_t)db_rows_count(rows) + 1);
	for (; n < built_in; n++) {
		v[n] = (struct store_role){.name = bytes_str(permission_role_name(n)),
					   .description = bytes_str(""),
					   .built_in = true,
					   .version = 1};
		if (!permission_role(v[n].name, &v[n].set))
			v[n].set = (struct permission_set){0};
	}
	while (db_rows_next(rows))
		v[n++] = take_role(rows, t->a);
	db_rows_free(&rows);
	*v_r = v;
	*n_r = n;
	return RC_OK;
}

enum rc
store_join_roles(struct store_tx *t, const struct bytes *names, size_t n, struct permission_set *out_r, struct err *e)
{
	struct permission_set s = {0};
	for (size_t i = 0; i < n; i++) {
		struct store_role role;
		enum rc rc = store_get_role(t, names[i], &role, e);
		if (rc == RC_NOT_FOUND)
			return err_set(e, RC_INVALID, "no role \"%.*s\"", (int)(names[i].n < 60 ? names[i].n : 60),
				       (const char *)names[i].p);
		if (rc != RC_OK)
			return rc;
		s = permission_or(s, role.set);
	}
	*out_r = s;
	return RC_OK;
}

enum rc
store_put_role(struct store_tx *t, const struct store_role *role, struct err *e)
{
	struct db_args args;
	store_args(t, &args);
	db_arg_bytes(&args, role->name);
	db_arg_bytes(&args, role->description);
	db_arg_text(&args, permission_text(role->set, t->a));
	db_arg_long(&args, (int64_t)role->version);
	db_arg_time(&args, t->by.now_us);
	return db_exec(t->tx, upsert_role, &args, e);
}

enum rc
store_delete_role(struct store_tx *t, struct bytes name, struct err *e)
{
	struct db_rows *rows = NULL;
	struct db_args args;
	store_args(t, &args);
	db_arg_bytes(&args, name);
	enum rc rc = store_row(t, select_holders, &args, "", &rows, e);
	if (rc != RC_OK)
		return rc;
	int64_t people = db_int(rows, 0), groups = db_int(rows, 1);
	db_rows_free(&rows);
	if (people + groups > 0)
		return err_set(e, RC_CONFLICT, "%lld people and %lld groups have this role", (long long)people,
			       (long long)groups);
	store_args(t, &args);
	db_arg_bytes(&args, name);
	return db_exec(t->tx, delete_role, &args, e);
}

/* --- groups ------------------------------------------------------------------------------------------------- */
enum rc
store_list_groups(struct store_tx *t, struct bytes name, struct store_group **v_r, size_t *n_r, struct err *e)
{
	struct db_rows *rows = NULL;
	struct db_args args;
	size_t n = 0;
	store_args(t, &args);
	db_arg_bytes(&args, name);
	enum rc rc = db_query(t->tx, select_groups, &args, &rows, e);
	if (rc != RC_OK)
		return rc;
	struct store_group *v = arena_new_array(t->a, struct store_group, (size_t)db_rows_count(rows) + 1);
	for (; db_rows_next(rows); n++) {
		v[n].name = arena_bytes(t->a, db_bytes(rows, 0));
		v[n].description = arena_bytes(t->a, db_bytes(rows, 1));
		v[n].version = (uint64_t)db_int(rows, 2);
		v[n].members = store_split(db_bytes(rows, 3), t->a, &v[n].n_members);
		v[n].roles = store_split(db_bytes(rows, 4), t->a, &v[n].n_roles);
	}
	db_rows_free(&rows);
	*v_r = v;
	*n_r = n;
	return RC_OK;
}

static enum rc
put_members(struct store_tx *t, const struct store_group *g, struct err *e)
{
	const char **logins = arena_new_array(t->a, const char *, g->n_members + 1);
	struct db_args args;
	int64_t found = 0;
	for (size_t i = 0; i < g->n_members; i++)
		logins[i] = arena_strndup(t->a, g->members[i].p, g->members[i].n);
	store_args(t, &args);
	db_arg_bytes(&args, g->name);
	db_arg_texts(&args, logins, g->n_members);
	enum rc rc = db_exec_count(t->tx, insert_members, &args, &found, e);
	if (rc == RC_OK && found != (int64_t)g->n_members)
		rc = err_set(e, RC_INVALID, "a member's login is not there, or stands there twice");
	return rc;
}

enum rc
store_put_group(struct store_tx *t, const struct store_group *g, struct err *e)
{
	const char *const deletes[] = {delete_members, delete_group_roles};
	struct db_args args;
	store_args(t, &args);
	db_arg_bytes(&args, g->name);
	db_arg_bytes(&args, g->description);
	db_arg_long(&args, (int64_t)g->version);
	db_arg_time(&args, t->by.now_us);
	enum rc rc = db_exec(t->tx, upsert_group, &args, e);
	for (int i = 0; i < 2 && rc == RC_OK; i++) {
		store_args(t, &args);
		db_arg_bytes(&args, g->name);
		rc = db_exec(t->tx, deletes[i], &args, e);
	}
	if (rc == RC_OK)
		rc = put_members(t, g, e);
	if (rc != RC_OK)
		return rc;
	store_args(t, &args);
	db_arg_bytes(&args, g->name);
	db_arg_bytes_array(&args, g->roles, g->n_roles);
	return db_exec(t->tx, insert_group_roles, &args, e);
}

enum rc
store_delete_group(struct store_tx *t, struct bytes name, struct err *e)
{
	struct db_args args;
	store_args(t, &args);
	db_arg_bytes(&args, name);
	return db_exec(t->tx, delete_group, &args, e);
}
