/* SPDX-License-Identifier: MIT
 *
 * Roles of a tenant's own making. Whoever adds or takes a permission of a role needs that permission: so nothing is
 * handed on, or taken away, by somebody who does not have it.
 */
#include "auth.h"
#include "change.h"
#include "names.h"

/* --- roles -------------------------------------------------------------------------------------------------- */
static Sekisho__Auth__Role *
wire_role(const struct store_role *v, struct arena *a)
{
	Sekisho__Auth__Role *m = arena_new_array(a, Sekisho__Auth__Role, 1);
	sekisho__auth__role__init(m);
	m->name = arena_strndup(a, v->name.p, v->name.n);
	m->description = arena_strndup(a, v->description.p, v->description.n);
	m->permissions = wire_permissions(v->set, a, &m->n_permissions);
	m->built_in = v->built_in;
	m->version = v->version;
	return m;
}

enum rc
auth_handle_role_list(const struct svc_request *r, struct buf *reply, struct err *e)
{
	Sekisho__Auth__RoleListReply p = SEKISHO__AUTH__ROLE_LIST_REPLY__INIT;
	struct store_by by = wire_by(r, "");
	struct store_role *v = NULL;
	struct store_tx t;
	size_t n = 0;
	enum rc rc = store_begin(&by, &r->actor->tenant, r->in->arena, &t, e);
	if (rc == RC_OK)
		rc = store_end(&t, store_list_roles(&t, &v, &n, e), NULL, e);
	if (rc != RC_OK)
		return rc;
	p.roles = arena_new_array(r->in->arena, Sekisho__Auth__Role *, n + 1);
	for (size_t i = 0; i < n; i++)
		p.roles[p.n_roles++] = wire_role(&v[i], r->in->arena);
	return wire_encode(&p, reply, e);
}

static enum rc
put_role(struct change *c, const Sekisho__Auth__RolePutRequest *q, struct store_role *to, struct buf *reply,
	 struct err *e)
{
	Sekisho__Auth__RolePutReply p = SEKISHO__AUTH__ROLE_PUT_REPLY__INIT;
	struct store_role now = {0};
	struct err none;
	enum rc rc = change_lock(c, e);
	if (rc != RC_OK)
		return rc;
	rc = store_get_role(&c->t, to->name, &now, &none);
	bool there = rc == RC_OK;
	if (rc != RC_OK && rc != RC_NOT_FOUND)
		return err_set(e, rc, "%s", none.text);
	rc = change_check_put(there, now.version, q->if_version, q->must_be_new, "a role", e);
	struct permission_set different =
	    permission_or(permission_without(to->set, now.set), permission_without(now.set, to->set));
	if (rc == RC_OK)
		rc = permission_may_give(different, c->mine, e);
	if (rc != RC_OK)
		return rc;
	to->version = now.version;
	if (!there || different.bits != 0 || !bytes_eq(now.description, to->description)) {
		const struct store_detail detail[] = {
		    {"role", to->name}, {"permissions", bytes_str(permission_text(to->set, c->t.a))}, {0}};
		to->version++;
		rc = store_put_role(&c->t, to, e);
		if (rc == RC_OK)
			rc = store_intent(&c->t, there ? "role.changed" : "role.created", RC_OK, &c->t.tenant, detail,
					  e);
		if (rc == RC_OK)
			rc = change_keep_way_in(c, e);
	} else {
		svc_record_unchanged(c->r);
	}
	p.role = wire_role(to, c->t.a);
	p.created = !there;
	return rc == RC_OK ? wire_encode(&p, reply, e) : rc;
}

enum rc
auth_handle_role_put(const struct svc_request *r, struct buf *reply, struct err *e)
{
	Sekisho__Auth__RolePutRequest *q = NULL;
	struct store_role to = {0};
	struct change c;
	bool done = false;
	enum rc rc = change_need_tenant(r, e);
	if (rc == RC_OK)
		rc = wire_decode(r, &sekisho__auth__role_put_request__descriptor, &q, e);
	if (rc == RC_OK && q->role == NULL)
		rc = err_set(e, RC_INVALID, "the role is missing");
	if (rc == RC_OK)
		rc = change_check_words(q->role->name, q->role->description, "the role's name", e);
	if (rc == RC_OK && permission_role_reserved(bytes_str(q->role->name)))
		rc = err_set(e, RC_CONFLICT, "a built-in role has this name, and cannot be changed");
	if (rc == RC_OK)
		rc = permission_of_names((const char *const *)q->role->permissions, q->role->n_permissions, &to.set, e);
	if (rc == RC_OK)
		rc = change_begin(&c, r, &r->actor->tenant, reply, &done, e);
	if (rc != RC_OK || done)
		return rc;
	to.name = bytes_str(q->role->name);
	to.description = bytes_str(q->role->description);
	return change_end(&c, put_role(&c, q, &to, reply, e), NULL, reply, e);
}

static enum rc
delete_role(struct change *c, struct bytes name, uint64_t if_version, struct buf *reply, struct err *e)
{
	Sekisho__Auth__RoleDeleteReply p = SEKISHO__AUTH__ROLE_DELETE_REPLY__INIT;
	const struct store_detail detail[] = {{"role", name}, {0}};
	struct store_role now;
	enum rc rc = change_lock(c, e);
	if (rc == RC_OK)
		rc = store_get_role(&c->t, name, &now, e);
	if (rc == RC_OK && now.built_in)
		rc = err_set(e, RC_CONFLICT, "a built-in role stays");
	if (rc == RC_OK)
		rc = change_check_version(if_version, now.version, e);
	if (rc == RC_OK)
		rc = store_delete_role(&c->t, name, e);
	if (rc == RC_OK)
		rc = store_intent(&c->t, "role.deleted", RC_OK, &c->t.tenant, detail, e);
	return rc == RC_OK ? wire_encode(&p, reply, e) : rc;
}

enum rc
auth_handle_role_delete(const struct svc_request *r, struct buf *reply, struct err *e)
{
	Sekisho__Auth__RoleDeleteRequest *q = NULL;
	struct change c;
	bool done = false;
	enum rc rc = change_need_tenant(r, e);
	if (rc == RC_OK)
		rc = wire_decode(r, &sekisho__auth__role_delete_request__descriptor, &q, e);
	if (rc == RC_OK)
		rc = change_begin(&c, r, &r->actor->tenant, reply, &done, e);
	if (rc != RC_OK || done)
		return rc;
	return change_end(&c, delete_role(&c, bytes_str(q->name), q->if_version, reply, e), NULL, reply, e);
}
