/* SPDX-License-Identifier: MIT
 *
 * Reading people. Searches by the beginning of a login or an address are ranges of octets: their comparison is
 * leakproof, so an index serves them under row-level security, which it would not with LIKE.
 */
#include "people_store.h"

#define VIEW                                                                                                           \
	"SELECT a.id, a.login, a.display_name, a.disabled_at, CASE WHEN a.locked_until > $2 THEN a.locked_until END, " \
	"a.created_at, a.version, "                                                                                    \
	"EXISTS (SELECT FROM auth.credential c WHERE c.tenant = a.tenant AND c.account = a.id AND c.kind = "           \
	"'password' "                                                                                                  \
	" AND c.revoked_at IS NULL), "                                                                                 \
	"(SELECT string_agg(s.address, '\\x00'::bytea ORDER BY s.position, s.address) FROM auth.address s "            \
	" WHERE s.tenant = a.tenant AND s.account = a.id), "                                                           \
	"(SELECT string_agg(r.role, '\\x00'::bytea ORDER BY r.role) FROM auth.person_role r "                          \
	" WHERE r.tenant = a.tenant AND r.account = a.id), "                                                           \
	"(SELECT string_agg(m.people_group, '\\x00'::bytea ORDER BY m.people_group) FROM auth.group_member m "         \
	" WHERE m.tenant = a.tenant AND m.account = a.id), "                                                           \
	"(SELECT string_agg(CASE WHEN x.deny THEN '-' ELSE '+' END || x.permission, ' ' ORDER BY x.permission) "       \
	" FROM auth.person_exception x WHERE x.tenant = a.tenant AND x.account = a.id) "

static const char select_by_id[] = VIEW "FROM auth.account a WHERE a.tenant = $1 AND a.id = $3";
static const char select_by_login[] = VIEW "FROM auth.account a WHERE a.tenant = $1 AND a.login = $3";
static const char select_login[] = "SELECT login FROM auth.account WHERE tenant = $1 AND id = $2";
static const char select_all[] =
    VIEW "FROM auth.account a WHERE a.tenant = $1 AND a.login > $3 ORDER BY a.login LIMIT $4";
/* OFFSET 0 keeps the way by the key of each hit: without it a generic plan may read the whole table for them. */
static const char select_found[] =
    VIEW "FROM (SELECT l.id FROM auth.account l WHERE l.tenant = $1 AND l.login >= $5 AND l.login < $6 "
	 "  UNION SELECT s.account FROM auth.address s WHERE s.tenant = $1 AND s.folded >= $7 AND s.folded < $8) hit "
	 "CROSS JOIN LATERAL (SELECT * FROM auth.account o WHERE o.tenant = $1 AND o.id = hit.id AND o.login > $3 "
	 "OFFSET 0) a "
	 "ORDER BY a.login LIMIT $4";
static const char select_contacts[] =
    "SELECT s.address, " STORE_ACCESS_COLUMNS
    " FROM auth.account a JOIN auth.address s ON s.tenant = a.tenant AND s.account = a.id AND s.position = "
    "0" STORE_ACCESS_JOIN(
	"a.tenant",
	"a.id") "WHERE a.tenant = $1 AND a.disabled_at IS NULL "
		"AND ($2 OR g.own IS NOT NULL OR g.built_in IS NOT NULL OR x.exceptions IS NOT NULL) ORDER BY a.login";
static const char select_holders[] =
    "SELECT " STORE_ACCESS_COLUMNS
    " FROM (SELECT DISTINCT s.account FROM auth.address s WHERE s.tenant = $1 AND s.folded = ANY($3) "
    "AND s.account <> $2) h" STORE_ACCESS_JOIN("$1", "h.account");

static struct store_person_view
take_view(const struct db_rows *rows, struct arena *a)
{
	struct store_person_view v = {
	    .id = db_uuid(rows, 0),
	    .login = arena_strdup(a, db_text(rows, 1)),
	    .display_name = arena_bytes(a, db_bytes(rows, 2)),
	    .disabled_us = db_is_null(rows, 3) ? 0 : db_time(rows, 3),
	    .locked_until_us = db_is_null(rows, 4) ? 0 : db_time(rows, 4),
	    .created_us = db_time(rows, 5),
	    .version = (uint64_t)db_int(rows, 6),
	    .has_password = db_bool(rows, 7),
	    .exceptions = db_is_null(rows, 11) ? "" : arena_strdup(a, db_text(rows, 11)),
	};
	v.addresses = store_split(db_bytes(rows, 8), a, &v.n_addresses);
	v.roles = store_split(db_bytes(rows, 9), a, &v.n_roles);
	v.groups = store_split(db_bytes(rows, 10), a, &v.n_groups);
	return v;
}

enum rc
store_get_view(struct store_tx *t, const struct uuid *id, const char *login, struct store_person_view *out_r,
	       struct err *e)
{
	struct db_rows *rows = NULL;
	struct db_args args;
	store_args(t, &args);
	db_arg_time(&args, t->by.now_us);
	if (id != NULL)
		db_arg_uuid(&args, id);
	else
		db_arg_text(&args, login);
	enum rc rc = store_row(t, id != NULL ? select_by_id : select_by_login, &args,
			       id != NULL ? "nobody here has this id" : "nobody here has this login", &rows, e);
	if (rc != RC_OK)
		return rc;
	*out_r = take_view(rows, t->a);
	db_rows_free(&rows);
	return RC_OK;
}

/* Where a page begins. A plain parameter, because COALESCE around a subquery would count as leaky and not be used with
 * an index. */
static enum rc
login_of(struct store_tx *t, const struct uuid *id, const char **login_r, struct err *e)
{
	struct db_rows *rows = NULL;
	struct db_args args;
	store_args(t, &args);
	db_arg_uuid(&args, id);
	enum rc rc = store_row(t, select_login, &args, "", &rows, e);
	if (rc == RC_NOT_FOUND)
		return err_set(e, RC_INVALID, "cursor: not one of ours");
	if (rc == RC_OK)
		*login_r = arena_strdup(t->a, db_text(rows, 0));
	db_rows_free(&rows);
	return rc;
}

enum rc
store_list_views(struct store_tx *t, const struct uuid *after, struct bytes search, int32_t limit,
		 struct store_person_view **v_r, size_t *n_r, struct err *e)
{
	struct db_rows *rows = NULL;
	struct db_args args;
	size_t n = 0;
	const char *from_login = "";
	enum rc rc = after != NULL ? login_of(t, after, &from_login, e) : RC_OK;
	if (rc != RC_OK)
		return rc;
	store_args(t, &args);
	db_arg_time(&args, t->by.now_us);
	db_arg_text(&args, from_login);
	db_arg_int(&args, limit);
	if (search.p != NULL) {
		/* Logins are ASCII: no login sorts after DEL. No octet of UTF-8 is 0xff. */
		bool plain = true;
		for (size_t i = 0; i < search.n; i++)
			plain = plain && search.p[i] > 0x20 && search.p[i] < 0x7f;
		const char *from = plain ? arena_strndup(t->a, search.p, search.n) : "\x7f";
		db_arg_text(&args, from);
		db_arg_text(&args, arena_printf(t->a, "%s\x7f", from));
		uint8_t *to = arena_alloc(t->a, search.n + 1);
		memcpy(to, search.p, search.n);
		to[search.n] = 0xff;
		db_arg_bytes(&args, search);
		db_arg_bytes(&args, bytes_of(to, search.n + 1));
	}
	rc = db_query(t->tx, search.p != NULL ? select_found : select_all, &args, &rows, e);
	if (rc != RC_OK)
		return rc;
	struct store_person_view *v = arena_new_array(t->a, struct store_person_view, (size_t)db_rows_count(rows) + 1);
	while (db_rows_next(rows))
		v[n++] = take_view(rows, t->a);
	db_rows_free(&rows);
	*v_r = v;
	*n_r = n;
	return RC_OK;
}

enum rc
store_list_contacts(struct store_tx *t, size_t i, size_t limit, struct bytes **v_r, size_t *n_r, struct err *e)
{
	struct access nobody = {0};
	struct db_rows *rows = NULL;
	struct db_args args;
	size_t n = 0;
	store_args(t, &args);
	db_arg_bool(&args, permission_has(access_effective(&nobody), i)); /* then those without any role, too */
	enum rc rc = db_query(t->tx, select_contacts, &args, &rows, e);
	if (rc != RC_OK)
		return rc;
	struct bytes *v = arena_new_array(t->a, struct bytes, limit + 1);
	while (n < limit && db_rows_next(rows)) {
		struct access x = store_take_access(rows, 1, false, t->a);
		if (permission_has(access_effective(&x), i))
			v[n++] = arena_bytes(t->a, db_bytes(rows, 0));
	}
	db_rows_free(&rows);
	*v_r = v;
	*n_r = n;
	return RC_OK;
}

enum rc
store_get_holders(struct store_tx *t, const struct uuid *account, const struct store_addresses *v, bool *any_r,
		  struct permission_set *out_r, struct err *e)
{
	struct permission_set held = {0};
	struct db_rows *rows = NULL;
	struct db_args args;
	store_args(t, &args);
	db_arg_uuid(&args, account);
	db_arg_bytes_array(&args, v->folded, v->n);
	enum rc rc = db_query(t->tx, select_holders, &args, &rows, e);
	if (rc != RC_OK)
		return rc;
	*any_r = db_rows_count(rows) > 0;
	while (db_rows_next(rows)) {
		struct access x = store_take_access(rows, 0, false, t->a);
		held = permission_or(held, access_when_enabled(&x));
	}
	db_rows_free(&rows);
	*out_r = held;
	return RC_OK;
}
