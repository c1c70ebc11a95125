/* SPDX-License-Identifier: MIT
 *
 * Who may what, as it stands in the tables: roles, groups, what single people have. Everything works inside a
 * transaction of the caller; what changes something wants store_lock_tenant() before and writes its audit intent.
 * Roles and groups are called by their names, which are foreign bytes.
 */
#ifndef AUTH_ACCESS_STORE_H
#define AUTH_ACCESS_STORE_H

#include "access.h"
#include "store_tx.h"

/* --- one person --------------------------------------------------------------------------------------------- */
/* With every role by its name and the group it came by. RC_NOT_FOUND: nobody of this tenant. */
enum rc store_get_access(struct store_tx *t, const struct uuid *account, struct access *out_r,
			 struct err *e) MUST_CHECK;
/* What an actor of this tenant may at this moment, by the tables: a person, or a tenant's own key in force. Somebody
 * who is neither may nothing. */
enum rc store_get_actor_access(struct store_tx *t, const struct uuid *account, struct permission_set *out_r,
			       struct err *e) MUST_CHECK;

/* The same in columns of a statement that has more to ask, for the credential or account of that expression. */
#define STORE_ACCESS_COLUMNS "g.own, g.built_in, x.exceptions"
#define STORE_ACCESS_JOIN(tenant, account)                                                                             \
	" LEFT JOIN LATERAL (SELECT string_agg(r.permissions, ' ') AS own, "                                           \
	"  string_agg(h.role, '\\x00'::bytea) FILTER (WHERE r.name IS NULL) AS built_in FROM ("                        \
	"   SELECT pr.role FROM auth.person_role pr WHERE pr.tenant = " tenant " AND pr.account = " account            \
	"   UNION SELECT gr.role FROM auth.group_member gm JOIN auth.group_role gr ON gr.tenant = gm.tenant "          \
	"    AND gr.people_group = gm.people_group WHERE gm.tenant = " tenant " AND gm.account = " account ") h "      \
	"  LEFT JOIN auth.role r ON r.tenant = " tenant " AND r.name = h.role) g ON true "                             \
	" LEFT JOIN LATERAL (SELECT string_agg(CASE WHEN pe.deny THEN '-' ELSE '+' END || pe.permission, ' ') "        \
	"  AS exceptions FROM auth.person_exception pe WHERE pe.tenant = " tenant " AND pe.account = " account         \
	") x ON true "
/* From the current row, first of the columns at col. The grants have no names: for what, not for why. */
struct access store_take_access(const struct db_rows *rows, int col, bool disabled, struct arena *a);

/* The moment at which the last key in force ends that has every permission of a tenant's, together with its person if
 * it is one's: the way in for an administrator. INT64_MAX: never; 0: there is none. */
enum rc store_last_way_in(struct store_tx *t, int64_t *until_us_r, struct err *e) MUST_CHECK;

struct store_exception {
	size_t permission;
	bool deny;
};
/* Replace a person's own roles and exceptions. */
enum rc store_set_access(struct store_tx *t, const struct uuid *account, const struct bytes *roles, size_t n_roles,
			 const struct store_exception *x, size_t n_exceptions, struct err *e) MUST_CHECK;

/* --- roles -------------------------------------------------------------------------------------------------- */
struct store_role {
	struct bytes name, description;
	struct permission_set set;
	bool built_in;
	uint64_t version;
};
/* By name, a built-in one too. RC_NOT_FOUND. */
enum rc store_get_role(struct store_tx *t, struct bytes name, struct store_role *out_r, struct err *e) MUST_CHECK;
/* Built-in ones first. */
enum rc store_list_roles(struct store_tx *t, struct store_role **v_r, size_t *n_r, struct err *e) MUST_CHECK;
/* What these roles hold together. RC_INVALID: one is not there. */
enum rc store_join_roles(struct store_tx *t, const struct bytes *names, size_t n, struct permission_set *out_r,
			 struct err *e) MUST_CHECK;
/* version of role: the new one, 1 makes it. */
enum rc store_put_role(struct store_tx *t, const struct store_role *role, struct err *e) MUST_CHECK;
/* RC_CONFLICT: a person or a group has it. */
enum rc store_delete_role(struct store_tx *t, struct bytes name, struct err *e) MUST_CHECK;

/* --- groups ------------------------------------------------------------------------------------------------- */
struct store_group {
	struct bytes name, description;
	struct bytes *members; /* logins */
	size_t n_members;
	struct bytes *roles;
	size_t n_roles;
	uint64_t version;
};
/* name p NULL: all, by name. A name that is not there: n 0. */
enum rc store_list_groups(struct store_tx *t, struct bytes name, struct store_group **v_r, size_t *n_r,
			  struct err *e) MUST_CHECK;
/* Lists and description become what g says. RC_INVALID: a login that is not there. */
enum rc store_put_group(struct store_tx *t, const struct store_group *g, struct err *e) MUST_CHECK;
enum rc store_delete_group(struct store_tx *t, struct bytes name, struct err *e) MUST_CHECK;

#endif
