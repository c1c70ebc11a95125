/* SPDX-License-Identifier: MIT
 *
 * What one person may, and why; and changing it. Nobody gives what he does not have: not by a role, not by an
 * exception, not by lifting a denial, nor by taking the last role of somebody who then has "member". Nobody takes from
 * a person who has more, and nobody's own access grows by his own hand.
 */
#include "auth.h"
#include "change.h"
#include "people_wire.h"

#define ROLES_MAX 64

struct wish {
	struct uuid id;
	uint64_t if_version;
	struct bytes *roles;
	size_t n_roles;
	struct store_exception *exceptions;
	size_t n_exceptions;
	struct permission_set allowed, denied;
};

static enum rc
take_exceptions(const Sekisho__Auth__UserAccessRequest *q, struct wish *w, struct err *e)
{
	for (size_t i = 0; i < q->n_exceptions; i++) {
		size_t p = permission_find(bytes_str(q->exceptions[i]->permission));
		struct permission_set one = {UINT64_C(1) << p};
		if (p == permission_count())
			return err_set(e, RC_INVALID, "exceptions[%zu]: unknown permission \"%.40s\"", i,
				       q->exceptions[i]->permission);
		if ((permission_or(w->allowed, w->denied).bits & one.bits) != 0)
			return err_set(e, RC_INVALID, "exceptions[%zu]: two exceptions for %s", i, permission_name(p));
		if (q->exceptions[i]->deny)
			w->denied = permission_or(w->denied, one);
		else
			w->allowed = permission_or(w->allowed, one);
		w->exceptions[w->n_exceptions++] = (struct store_exception){p, q->exceptions[i]->deny};
	}
	return RC_OK;
}

static enum rc
take_wish(const Sekisho__Auth__UserAccessRequest *q, struct arena *a, struct wish *w, struct err *e)
{
	enum rc rc = wire_uuid(q->id, &w->id, e);
	if (rc != RC_OK)
		return rc;
	if (q->n_roles > ROLES_MAX || q->n_exceptions > permission_count())
		return err_set(e, RC_LIMIT, "too many roles or exceptions");
	w->if_version = q->if_version;
	w->roles = arena_new_array(a, struct bytes, q->n_roles + 1);
	w->exceptions = arena_new_array(a, struct store_exception, q->n_exceptions + 1);
	for (size_t i = 0; i < q->n_roles; i++)
		w->roles[w->n_roles++] = bytes_str(q->roles[i]);
	return take_exceptions(q, w, e);
}

static bool
in(struct bytes name, const struct bytes *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (bytes_eq(v[i], name))
			return true;
	return false;
}

/* How the person would stand: own roles and exceptions of the wish, groups as they are. */
static enum rc
after_wish(struct change *c, const struct wish *w, const struct access *now, struct access *out, struct err *e)
{
	*out = (struct access){.disabled = now->disabled, .allowed = w->allowed, .denied = w->denied};
	out->grants = arena_new_array(c->t.a, struct access_grant, now->n_grants + w->n_roles + 1);
	for (size_t i = 0; i < now->n_grants; i++)
		if (now->grants[i].group.p != NULL)
			out->grants[out->n_grants++] = now->grants[i];
	for (size_t i = 0; i < w->n_roles; i++) {
		struct access_grant *g = &out->grants[out->n_grants++];
		g->role = w->roles[i];
		enum rc rc = store_join_roles(&c->t, &w->roles[i], 1, &g->set, e);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

/* Everything that the wish gives, also what a denial hides for now. */
static struct permission_set
given(const struct access *now, const struct access *then)
{
	struct permission_set s = permission_without(access_when_enabled(then), access_when_enabled(now));
	s = permission_or(s, permission_without(then->allowed, now->allowed));
	s = permission_or(s, permission_without(now->denied, then->denied));
	for (size_t i = 0; i < then->n_grants; i++) {
		bool is_new = then->grants[i].group.p == NULL;
		for (size_t k = 0; k < now->n_grants && is_new; k++)
			is_new = now->grants[k].group.p != NULL || !bytes_eq(now->grants[k].role, then->grants[i].role);
		if (is_new)
			s = permission_or(s, then->grants[i].set);
	}
	return s;
}

static enum rc
may_set(struct change *c, const struct wish *w, const struct access *now, const struct access *then, struct err *e)
{
	struct permission_set more = permission_without(access_when_enabled(then), access_when_enabled(now));
	if (uuid_eq(&w->id, &c->r->actor->account) && more.bits != 0)
		return err_set(e, RC_DENIED, "nobody's own access grows by his own hand");
	enum rc rc = permission_need(access_when_enabled(now), c->mine, e);
	return rc == RC_OK ? permission_may_give(given(now, then), c->mine, e) : rc;
}

static bool
same(const struct wish *w, const struct access *now)
{
	size_t own = 0, distinct = 0;
	for (size_t i = 0; i < now->n_grants; i++)
		if (now->grants[i].group.p == NULL) {
			own++;
			if (!in(now->grants[i].role, w->roles, w->n_roles))
				return false;
		}
	for (size_t i = 0; i < w->n_roles; i++)
		distinct += !in(w->roles[i], w->roles, i);
	return own == distinct && w->allowed.bits == now->allowed.bits && w->denied.bits == now->denied.bits;
}

static enum rc
write_access(struct change *c, const struct wish *w, const struct store_person_view *v, struct err *e)
{
	struct buf roles;
	buf_init(&roles, 0);
	for (size_t i = 0; i < w->n_roles; i++) {
		buf_add_str(&roles, i > 0 ? ", " : "");
		buf_add_bytes(&roles, w->roles[i]);
	}
	const struct store_detail detail[] = {{"roles", arena_bytes(c->t.a, buf_bytes(&roles))},
					      {"allowed", bytes_str(permission_text(w->allowed, c->t.a))},
					      {"denied", bytes_str(permission_text(w->denied, c->t.a))},
					      {0}};
	buf_done(&roles);
	enum rc rc = store_set_access(&c->t, &w->id, w->roles, w->n_roles, w->exceptions, w->n_exceptions, e);
	if (rc == RC_OK) /* and one version more */
		rc = store_set_person(&c->t, &w->id, v->display_name, v->disabled_us != 0, e);
	if (rc == RC_OK)
		rc = store_intent(&c->t, "user.access_changed", RC_OK, &w->id, detail, e);
	return rc == RC_OK ? change_keep_way_in(c, e) : rc;
}

static enum rc
set_access(struct change *c, const struct wish *w, struct buf *reply, struct err *e)
{
	Sekisho__Auth__UserAccessReply p = SEKISHO__AUTH__USER_ACCESS_REPLY__INIT;
	struct store_person_view v;
	struct access now, then;
	svc_record_subject(c->r, &w->id);
	enum rc rc = change_lock(c, e);
	if (rc == RC_OK)
		rc = store_get_view(&c->t, &w->id, NULL, &v, e);
	if (rc == RC_OK)
		rc = store_get_access(&c->t, &w->id, &now, e);
	if (rc == RC_OK)
		rc = change_check_version(w->if_version, v.version, e);
	if (rc == RC_OK)
		rc = after_wish(c, w, &now, &then, e);
	if (rc == RC_OK)
		rc = may_set(c, w, &now, &then, e);
	if (rc == RC_OK && !same(w, &now)) {
		rc = write_access(c, w, &v, e);
		if (rc == RC_OK)
			rc = store_get_view(&c->t, &w->id, NULL, &v, e);
	} else if (rc == RC_OK) {
		svc_record_unchanged(c->r);
	}
	if (rc != RC_OK)
		return rc;
	p.user = people_wire(&v, c->t.a);
	return wire_encode(&p, reply, e);
}

enum rc
auth_handle_user_access(const struct svc_request *r, struct buf *reply, struct err *e)
{
	Sekisho__Auth__UserAccessRequest *q = NULL;
	struct wish w = {0};
	struct change c;
	bool done = false;
	enum rc rc = wire_decode(r, &sekisho__auth__user_access_request__descriptor, &q, e);
	if (rc == RC_OK)
		rc = take_wish(q, r->in->arena, &w, e);
	if (rc == RC_OK)
		rc = change_begin(&c, r, &r->actor->tenant, reply, &done, e);
	if (rc != RC_OK || done)
		return rc;
	return change_end(&c, set_access(&c, &w, reply, e), NULL, reply, e);
}

/* --- why ---------------------------------------------------------------------------------------------------- */
enum rc
auth_handle_user_permissions(const struct svc_request *r, struct buf *reply, struct err *e)
{
	Sekisho__Auth__UserPermissionsRequest *q = NULL;
	Sekisho__Auth__UserPermissionsReply p = SEKISHO__AUTH__USER_PERMISSIONS_REPLY__INIT;
	struct store_by by = wire_by(r, "");
	struct arena *a = r->in->arena;
	struct access x;
	struct store_tx t;
	struct uuid id;
	size_t n = permission_count();
	enum rc rc = wire_decode(r, &sekisho__auth__user_permissions_request__descriptor, &q, e);
	if (rc == RC_OK)
		rc = wire_uuid(q->id, &id, e);
	if (rc != RC_OK)
		return rc;
	svc_record_subject(r, &id);
	rc = store_begin(&by, &r->actor->tenant, a, &t, e);
	if (rc == RC_OK)
		rc = store_end(&t, store_get_access(&t, &id, &x, e), NULL, e);
	if (rc != RC_OK)
		return rc;
	p.permissions = arena_new_array(a, Sekisho__Auth__Effective *, n + 1);
	for (size_t i = 0; i < n; i++) {
		if (!permission_has(permission_all(false), i))
			continue;
		Sekisho__Auth__Effective *m = arena_new_array(a, Sekisho__Auth__Effective, 1);
		const char **why = NULL;
		sekisho__auth__effective__init(m);
		m->permission = (char *)(uintptr_t)permission_name(i);
		m->allowed = permission_has(access_effective(&x), i);
		m->n_why = access_why(&x, i, a, &why);
		m->why = (char **)why;
		p.permissions[p.n_permissions++] = m;
	}
	return wire_encode(&p, reply, e);
}
