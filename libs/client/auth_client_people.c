/* SPDX-License-Identifier: MIT
 *
 * The part of the stub that is about people, roles and groups.
 */
#include "client/auth_client_internal.h"
#include "subjects.h"

static enum rc
call(const struct auth_call *c, const char *subject, const void *in, const ProtobufCMessageDescriptor *out,
     struct arena *a, void *reply_r, struct err *e)
{
	return auth_client_call(c, NULL, subject, in, out, a, reply_r, e);
}

/* Strings of a question are the caller's; an array of them is an array of a message. */
static char **
names(const char *const *v)
{
	return (char **)(uintptr_t)v;
}

static char *
word(const char *s)
{
	return (char *)(uintptr_t)s;
}

static enum rc
addresses(const struct bytes *v, size_t n, struct arena *a, char ***out_r, struct err *e)
{
	if (n > AUTH_ADDRESSES_MAX)
		return err_set(e, RC_LIMIT, "more than %d addresses", AUTH_ADDRESSES_MAX);
	char **out = arena_new_array(a, char *, n + 1);
	for (size_t i = 0; i < n; i++) {
		enum rc rc = auth_client_text(v[i], AUTH_ADDRESS_MAX, a, &out[i], e);
		if (rc != RC_OK)
			return rc;
	}
	*out_r = out;
	return RC_OK;
}

static enum rc
take_person(const Sekisho__Auth__User *m, struct arena *a, struct auth_person *out, struct err *e)
{
	if (m == NULL)
		return err_set(e, RC_INTERNAL, "auth's answer holds no person");
	*out = (struct auth_person){
	    .login = m->login,
	    .display_name = m->display_name,
	    .addresses = (const char **)m->addresses,
	    .n_addresses = m->n_addresses,
	    .disabled_us = m->disabled_us,
	    .locked_until_us = m->locked_until_us,
	    .created_us = m->created_us,
	    .roles = (const char **)m->roles,
	    .n_roles = m->n_roles,
	    .groups = (const char **)m->groups,
	    .n_groups = m->n_groups,
	    .exceptions = arena_new_array(a, struct auth_exception, m->n_exceptions + 1),
	    .n_exceptions = m->n_exceptions,
	    .version = m->version,
	    .has_password = m->has_password,
	};
	for (size_t i = 0; i < m->n_exceptions; i++)
		out->exceptions[i] = (struct auth_exception){m->exceptions[i]->permission, m->exceptions[i]->deny};
	return auth_client_take_id(m->id, &out->id, e);
}

/* --- people ------------------------------------------------------------------------------------------------- */
enum rc
auth_user_create(const struct auth_call *c, const struct auth_user *u, struct arena *a, struct uuid *account_r,
		 struct err *e)
{
	Sekisho__Auth__UserCreateRequest q = SEKISHO__AUTH__USER_CREATE_REQUEST__INIT;
	Sekisho__Auth__UserCreateReply *p = NULL;
	q.login = (char *)(uintptr_t)u->login;
	q.n_addresses = u->n_addresses;
	enum rc rc = auth_client_text(u->display_name, AUTH_NAME_MAX, a, &q.display_name, e);
	if (rc == RC_OK)
		rc = auth_client_text(u->password, AUTH_PASSWORD_MAX, a, &q.password, e);
	if (rc == RC_OK)
		rc = addresses(u->addresses, u->n_addresses, a, &q.addresses, e);
	if (rc == RC_OK)
		rc = call(c, RPC_AUTH_USER_CREATE, &q, &sekisho__auth__user_create_reply__descriptor, a, &p, e);
	return rc == RC_OK ? auth_client_take_id(p->account, account_r, e) : rc;
}

enum rc
auth_user_list(const struct auth_call *c, uint32_t limit, const char *cursor, const char *search, struct arena *a,
	       struct auth_people *out_r, struct err *e)
{
	Sekisho__Auth__UserListRequest q = SEKISHO__AUTH__USER_LIST_REQUEST__INIT;
	Sekisho__Auth__UserListReply *p = NULL;
	q.limit = limit;
	q.cursor = word(cursor);
	q.search = word(search);
	enum rc rc = call(c, RPC_AUTH_USER_LIST, &q, &sekisho__auth__user_list_reply__descriptor, a, &p, e);
	if (rc != RC_OK)
		return rc;
	struct auth_person *v = arena_new_array(a, struct auth_person, p->n_users + 1);
	for (size_t i = 0; i < p->n_users && rc == RC_OK; i++)
		rc = take_person(p->users[i], a, &v[i], e);
	if (rc == RC_OK)
		*out_r = (struct auth_people){v, p->n_users, p->next_cursor};
	return rc;
}

enum rc
auth_user_get(const struct auth_call *c, const struct uuid *id, const char *login, struct arena *a,
	      struct auth_person *out_r, struct err *e)
{
	Sekisho__Auth__UserGetRequest q = SEKISHO__AUTH__USER_GET_REQUEST__INIT;
	Sekisho__Auth__UserGetReply *p = NULL;
	if (id != NULL)
		q.id = auth_client_id(id);
	else
		q.login = word(login);
	enum rc rc = call(c, RPC_AUTH_USER_GET, &q, &sekisho__auth__user_get_reply__descriptor, a, &p, e);
	return rc == RC_OK ? take_person(p->user, a, out_r, e) : rc;
}

enum rc
auth_user_update(const struct auth_call *c, const struct auth_user_change *u, struct arena *a,
		 struct auth_person *out_r, struct err *e)
{
	Sekisho__Auth__UserUpdateRequest q = SEKISHO__AUTH__USER_UPDATE_REQUEST__INIT;
	Sekisho__Auth__UserUpdateReply *p = NULL;
	q.id = auth_client_id(&u->id);
	q.if_version = u->if_version;
	q.disabled = u->disabled;
	q.unlock = u->unlock;
	q.set_password = u->set_password;
	q.n_addresses = u->n_addresses;
	enum rc rc = auth_client_text(u->display_name, AUTH_NAME_MAX, a, &q.display_name, e);
	if (rc == RC_OK)
		rc = auth_client_text(u->password, AUTH_PASSWORD_MAX, a, &q.password, e);
	if (rc == RC_OK)
		rc = addresses(u->addresses, u->n_addresses, a, &q.addresses, e);
	if (rc == RC_OK)
		rc = call(c, RPC_AUTH_USER_UPDATE, &q, &sekisho__auth__user_update_reply__descriptor, a, &p, e);
	return rc == RC_OK ? take_person(p->user, a, out_r, e) : rc;
}

enum rc
auth_user_access(const struct auth_call *c, const struct auth_access_change *u, struct arena *a,
		 struct auth_person *out_r, struct err *e)
{
	Sekisho__Auth__UserAccessRequest q = SEKISHO__AUTH__USER_ACCESS_REQUEST__INIT;
	Sekisho__Auth__UserAccessReply *p = NULL;
	Sekisho__Auth__Exception *x = arena_new_array(a, Sekisho__Auth__Exception, u->n_exceptions + 1);
	q.id = auth_client_id(&u->id);
	q.if_version = u->if_version;
	q.roles = names(u->roles);
	q.n_roles = u->n_roles;
	q.exceptions = arena_new_array(a, Sekisho__Auth__Exception *, u->n_exceptions + 1);
	for (size_t i = 0; i < u->n_exceptions; i++) {
		sekisho__auth__exception__init(&x[i]);
		x[i].permission = word(u->exceptions[i].permission);
		x[i].deny = u->exceptions[i].deny;
		q.exceptions[q.n_exceptions++] = &x[i];
	}
	enum rc rc = call(c, RPC_AUTH_USER_ACCESS, &q, &sekisho__auth__user_access_reply__descriptor, a, &p, e);
	return rc == RC_OK ? take_person(p->user, a, out_r, e) : rc;
}

enum rc
auth_user_permissions(const struct auth_call *c, const struct uuid *id, struct arena *a, struct auth_effective **v_r,
		      size_t *n_r, struct err *e)
{
	Sekisho__Auth__UserPermissionsRequest q = SEKISHO__AUTH__USER_PERMISSIONS_REQUEST__INIT;
	Sekisho__Auth__UserPermissionsReply *p = NULL;
	q.id = auth_client_id(id);
	enum rc rc =
	    call(c, RPC_AUTH_USER_PERMISSIONS, &q, &sekisho__auth__user_permissions_reply__descriptor, a, &p, e);
	if (rc != RC_OK)
		return rc;
	struct auth_effective *v = arena_new_array(a, struct auth_effective, p->n_permissions + 1);
	for (size_t i = 0; i < p->n_permissions; i++)
		v[i] = (struct auth_effective){p->permissions[i]->permission, p->permissions[i]->allowed,
					       (const char **)p->permissions[i]->why, p->permissions[i]->n_why};
	*v_r = v;
	*n_r = p->n_permissions;
	return RC_OK;
}

/* --- roles -------------------------------------------------------------------------------------------------- */
static struct auth_role
take_role(const Sekisho__Auth__Role *m)
{
	return (struct auth_role){m->name,	    m->description, (const char **)m->permissions,
				  m->n_permissions, m->built_in,    m->version};
}

enum rc
auth_role_list(const struct auth_call *c, struct arena *a, struct auth_role **v_r, size_t *n_r, struct err *e)
{
	Sekisho__Auth__RoleListRequest q = SEKISHO__AUTH__ROLE_LIST_REQUEST__INIT;
	Sekisho__Auth__RoleListReply *p = NULL;
	enum rc rc = call(c, RPC_AUTH_ROLE_LIST, &q, &sekisho__auth__role_list_reply__descriptor, a, &p, e);
	if (rc != RC_OK)
		return rc;
	struct auth_role *v = arena_new_array(a, struct auth_role, p->n_roles + 1);
	for (size_t i = 0; i < p->n_roles; i++)
		v[i] = take_role(p->roles[i]);
	*v_r = v;
	*n_r = p->n_roles;
	return RC_OK;
}

enum rc
auth_role_put(const struct auth_call *c, const struct auth_role *role, uint64_t if_version, bool must_be_new,
	      struct arena *a, struct auth_role *out_r, bool *created_r, struct err *e)
{
	Sekisho__Auth__Role m = SEKISHO__AUTH__ROLE__INIT;
	Sekisho__Auth__RolePutRequest q = SEKISHO__AUTH__ROLE_PUT_REQUEST__INIT;
	Sekisho__Auth__RolePutReply *p = NULL;
	m.name = word(role->name);
	m.description = word(role->description);
	m.permissions = names(role->permissions);
	m.n_permissions = role->n_permissions;
	q.role = &m;
	q.if_version = if_version;
	q.must_be_new = must_be_new;
	enum rc rc = call(c, RPC_AUTH_ROLE_PUT, &q, &sekisho__auth__role_put_reply__descriptor, a, &p, e);
	if (rc == RC_OK && p->role == NULL)
		rc = err_set(e, RC_INTERNAL, "auth's answer holds no role");
	if (rc != RC_OK)
		return rc;
	*out_r = take_role(p->role);
	*created_r = p->created;
	return RC_OK;
}

enum rc
auth_role_delete(const struct auth_call *c, const char *name, uint64_t if_version, struct arena *a, struct err *e)
{
	Sekisho__Auth__RoleDeleteRequest q = SEKISHO__AUTH__ROLE_DELETE_REQUEST__INIT;
	Sekisho__Auth__RoleDeleteReply *p = NULL;
	q.name = word(name);
	q.if_version = if_version;
	return call(c, RPC_AUTH_ROLE_DELETE, &q, &sekisho__auth__role_delete_reply__descriptor, a, &p, e);
}

/* --- groups ------------------------------------------------------------------------------------------------- */
static struct auth_group
take_group(const Sekisho__Auth__Group *m)
{
	return (struct auth_group){m->name,	 m->description,	  (const char **)m->members,
				   m->n_members, (const char **)m->roles, m->n_roles,
				   m->version};
}

enum rc
auth_group_list(const struct auth_call *c, struct arena *a, struct auth_group **v_r, size_t *n_r, struct err *e)
{
	Sekisho__Auth__GroupListRequest q = SEKISHO__AUTH__GROUP_LIST_REQUEST__INIT;
	Sekisho__Auth__GroupListReply *p = NULL;
	enum rc rc = call(c, RPC_AUTH_GROUP_LIST, &q, &sekisho__auth__group_list_reply__descriptor, a, &p, e);
	if (rc != RC_OK)
		return rc;
	struct auth_group *v = arena_new_array(a, struct auth_group, p->n_groups + 1);
	for (size_t i = 0; i < p->n_groups; i++)
		v[i] = take_group(p->groups[i]);
	*v_r = v;
	*n_r = p->n_groups;
	return RC_OK;
}

enum rc
auth_group_put(const struct auth_call *c, const struct auth_group *group, uint64_t if_version, bool must_be_new,
	       struct arena *a, struct auth_group *out_r, bool *created_r, struct err *e)
{
	Sekisho__Auth__Group m = SEKISHO__AUTH__GROUP__INIT;
	Sekisho__Auth__GroupPutRequest q = SEKISHO__AUTH__GROUP_PUT_REQUEST__INIT;
	Sekisho__Auth__GroupPutReply *p = NULL;
	m.name = word(group->name);
	m.description = word(group->description);
	m.members = names(group->members);
	m.n_members = group->n_members;
	m.roles = names(group->roles);
	m.n_roles = group->n_roles;
	q.group = &m;
	q.if_version = if_version;
	q.must_be_new = must_be_new;
	enum rc rc = call(c, RPC_AUTH_GROUP_PUT, &q, &sekisho__auth__group_put_reply__descriptor, a, &p, e);
	if (rc == RC_OK && p->group == NULL)
		rc = err_set(e, RC_INTERNAL, "auth's answer holds no group");
	if (rc != RC_OK)
		return rc;
	*out_r = take_group(p->group);
	*created_r = p->created;
	return RC_OK;
}

enum rc
auth_group_delete(const struct auth_call *c, const char *name, uint64_t if_version, struct arena *a, struct err *e)
{
	Sekisho__Auth__GroupDeleteRequest q = SEKISHO__AUTH__GROUP_DELETE_REQUEST__INIT;
	Sekisho__Auth__GroupDeleteReply *p = NULL;
	q.name = word(name);
	q.if_version = if_version;
	return call(c, RPC_AUTH_GROUP_DELETE, &q, &sekisho__auth__group_delete_reply__descriptor, a, &p, e);
}
