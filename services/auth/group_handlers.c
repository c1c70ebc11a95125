/* SPDX-License-Identifier: MIT
 *
 * Groups of people: departments, teams. Whoever changes the members or the roles of a group needs all that it gave and
 * all that it will give: so nothing is handed on, or taken away, by somebody who does not have it.
 */
#include <stdlib.h>

#include "auth.h"
#include "change.h"
#include "names.h"

#define ROLES_MAX   64
#define MEMBERS_MAX 5000

static Sekisho__Auth__Group *
wire_group(const struct store_group *v, struct arena *a)
{
	Sekisho__Auth__Group *m = arena_new_array(a, Sekisho__Auth__Group, 1);
	sekisho__auth__group__init(m);
	m->name = arena_strndup(a, v->name.p, v->name.n);
	m->description = arena_strndup(a, v->description.p, v->description.n);
	m->members = wire_strings(v->members, v->n_members, a);
	m->n_members = v->n_members;
	m->roles = wire_strings(v->roles, v->n_roles, a);
	m->n_roles = v->n_roles;
	m->version = v->version;
	return m;
}

enum rc
auth_handle_group_list(const struct svc_request *r, struct buf *reply, struct err *e)
{
	Sekisho__Auth__GroupListReply p = SEKISHO__AUTH__GROUP_LIST_REPLY__INIT;
	struct store_by by = wire_by(r, "");
	struct store_group *v = NULL;
	struct store_tx t;
	size_t n = 0;
	enum rc rc = store_begin(&by, &r->actor->tenant, r->in->arena, &t, e);
	if (rc == RC_OK)
		rc = store_end(&t, store_list_groups(&t, bytes_of(NULL, 0), &v, &n, e), NULL, e);
	if (rc != RC_OK)
		return rc;
	p.groups = arena_new_array(r->in->arena, Sekisho__Auth__Group *, n + 1);
	for (size_t i = 0; i < n; i++)
		p.groups[p.n_groups++] = wire_group(&v[i], r->in->arena);
	return wire_encode(&p, reply, e);
}

static int
compare(const void *a, const void *b)
{
	const struct bytes *x = a, *y = b;
	int c = memcmp(x->p, y->p, x->n < y->n ? x->n : y->n);
	return c != 0 ? c : (x->n > y->n) - (x->n < y->n);
}

/* In order, each once: as they are stored and given out. */
static size_t
sort_names(struct bytes *v, size_t n)
{
	size_t kept = 0;
	if (n > 0)
		qsort(v, n, sizeof(*v), compare);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || !bytes_eq(v[kept - 1], v[i]))
			v[kept++] = v[i];
	return kept;
}

static bool
same_names(const struct bytes *a, size_t n_a, const struct bytes *b, size_t n_b)
{
	bool same = n_a == n_b;
	for (size_t i = 0; i < n_a && same; i++)
		same = bytes_eq(a[i], b[i]);
	return same;
}

/* A change of members or roles touches everything that the group gave and gives; somebody who leaves his last group has
 * the built-in "member" from then on. */
static enum rc
may_put_group(struct change *c, const struct store_group *now, const struct store_group *to, struct err *e)
{
	struct permission_set before = {0}, after = {0}, none = {0};
	if (now != NULL && same_names(now->members, now->n_members, to->members, to->n_members) &&
	    same_names(now->roles, now->n_roles, to->roles, to->n_roles))
		return RC_OK;
	enum rc rc = store_join_roles(&c->t, to->roles, to->n_roles, &after, e);
	if (rc == RC_OK && now != NULL) {
		rc = store_join_roles(&c->t, now->roles, now->n_roles, &before, e);
		if (rc == RC_OK && now->n_roles > 0 && !permission_role(bytes_str(PERMISSION_ROLE_NONE), &none))
			none = (struct permission_set){0};
	}
	return rc == RC_OK ? permission_may_give(permission_or(permission_or(before, after), none), c->mine, e) : rc;
}

static enum rc
write_group(struct change *c, const struct store_group *to, bool there, struct err *e)
{
	const struct store_detail detail[] = {{"group", to->name},
					      {"members", bytes_str(arena_printf(c->t.a, "%zu", to->n_members))},
					      {"roles", bytes_str(arena_printf(c->t.a, "%zu", to->n_roles))},
					      {0}};
	enum rc rc = store_put_group(&c->t, to, e);
	if (rc == RC_OK)
		rc = store_intent(&c->t, there ? "group.changed" : "group.created", RC_OK, &c->t.tenant, detail, e);
	return rc == RC_OK ? change_keep_way_in(c, e) : rc;
}

static enum rc
put_group(struct change *c, const Sekisho__Auth__GroupPutRequest *q, struct store_group *to, struct buf *reply,
	  struct err *e)
{
	Sekisho__Auth__GroupPutReply p = SEKISHO__AUTH__GROUP_PUT_REPLY__INIT;
	struct store_group *v = NULL;
	size_t n = 0;
	enum rc rc = change_lock(c, e);
	if (rc == RC_OK)
		rc = store_list_groups(&c->t, to->name, &v, &n, e);
	if (rc != RC_OK)
		return rc;
	const struct store_group *now = n > 0 ? &v[0] : NULL;
	rc = change_check_put(now != NULL, now != NULL ? now->version : 0, q->if_version, q->must_be_new, "a group", e);
	if (rc == RC_OK)
		rc = may_put_group(c, now, to, e);
	if (rc != RC_OK)
		return rc;
	bool same = now != NULL && bytes_eq(now->description, to->description) &&
		    same_names(now->members, now->n_members, to->members, to->n_members) &&
		    same_names(now->roles, now->n_roles, to->roles, to->n_roles);
	to->version = now != NULL ? now->version : 0;
	if (!same) {
		to->version++;
		rc = write_group(c, to, now != NULL, e);
	} else {
		svc_record_unchanged(c->r);
	}
	p.group = wire_group(to, c->t.a);
	p.created = now == NULL;
	return rc == RC_OK ? wire_encode(&p, reply, e) : rc;
}

static enum rc
take_group(const Sekisho__Auth__Group *g, struct arena *a, struct store_group *to, struct err *e)
{
	enum rc rc = change_check_words(g->name, g->description, "the group's name", e);
	if (rc != RC_OK)
		return rc;
	if (g->n_members > MEMBERS_MAX || g->n_roles > ROLES_MAX)
		return err_set(e, RC_LIMIT, "at most %d members and %d roles", MEMBERS_MAX, ROLES_MAX);
	to->name = bytes_str(g->name);
	to->description = bytes_str(g->description);
	to->members = arena_new_array(a, struct bytes, g->n_members + 1);
	to->roles = arena_new_array(a, struct bytes, g->n_roles + 1);
	for (size_t i = 0; i < g->n_members; i++) {
		const char *login = NULL;
		if (!names_login(bytes_str(g->members[i]), a, &login))
			return err_set(e, RC_INVALID, "a member's login is not there");
		to->members[i] = bytes_str(login);
	}
	for (size_t i = 0; i < g->n_roles; i++)
		to->roles[i] = bytes_str(g->roles[i]);
	to->n_members = sort_names(to->members, g->n_members);
	to->n_roles = sort_names(to->roles, g->n_roles);
	return RC_OK;
}

enum rc
auth_handle_group_put(const struct svc_request *r, struct buf *reply, struct err *e)
{
	Sekisho__Auth__GroupPutRequest *q = NULL;
	struct store_group to = {0};
	struct change c;
	bool done = false;
	enum rc rc = change_need_tenant(r, e);
	if (rc == RC_OK)
		rc = wire_decode(r, &sekisho__auth__group_put_request__descriptor, &q, e);
	if (rc == RC_OK && q->group == NULL)
		rc = err_set(e, RC_INVALID, "the group is missing");
	if (rc == RC_OK)
		rc = take_group(q->group, r->in->arena, &to, e);
	if (rc == RC_OK)
		rc = change_begin(&c, r, &r->actor->tenant, reply, &done, e);
	if (rc != RC_OK || done)
		return rc;
	return change_end(&c, put_group(&c, q, &to, reply, e), NULL, reply, e);
}

static enum rc
delete_group(struct change *c, struct bytes name, uint64_t if_version, struct buf *reply, struct err *e)
{
	Sekisho__Auth__GroupDeleteReply p = SEKISHO__AUTH__GROUP_DELETE_REPLY__INIT;
	const struct store_detail detail[] = {{"group", name}, {0}};
	struct store_group *v = NULL, none = {.name = name};
	size_t n = 0;
	enum rc rc = change_lock(c, e);
	if (rc == RC_OK)
		rc = store_list_groups(&c->t, name, &v, &n, e);
	if (rc == RC_OK && n == 0)
		rc = err_set(e, RC_NOT_FOUND, "there is no such group");
	if (rc == RC_OK)
		rc = change_check_version(if_version, v[0].version, e);
	if (rc == RC_OK)
		rc = may_put_group(c, &v[0], &none, e);
	if (rc == RC_OK)
		rc = store_delete_group(&c->t, name, e);
	if (rc == RC_OK)
		rc = store_intent(&c->t, "group.deleted", RC_OK, &c->t.tenant, detail, e);
	if (rc == RC_OK)
		rc = change_keep_way_in(c, e);
	return rc == RC_OK ? wire_encode(&p, reply, e) : rc;
}

enum rc
auth_handle_group_delete(const struct svc_request *r, struct buf *reply, struct err *e)
{
	Sekisho__Auth__GroupDeleteRequest *q = NULL;
	struct change c;
	bool done = false;
	enum rc rc = change_need_tenant(r, e);
	if (rc == RC_OK)
		rc = wire_decode(r, &sekisho__auth__group_delete_request__descriptor, &q, e);
	if (rc == RC_OK)
		rc = change_begin(&c, r, &r->actor->tenant, reply, &done, e);
	if (rc != RC_OK || done)
		return rc;
	return change_end(&c, delete_group(&c, bytes_str(q->name), q->if_version, reply, e), NULL, reply, e);
}
