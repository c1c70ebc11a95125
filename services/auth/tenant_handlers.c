/* SPDX-License-Identifier: MIT
 *
 * Tenants: made by the platform, read and changed by their administrators; who the caller is; whom notify writes to.
 * The skeleton has verified the actor token and the endpoint's permission.
 */
#include "auth.h"
#include "change.h"
#include "key_make.h"
#include "core/clock.h"
#include "names.h"
#include "people_store.h"

static Sekisho__Auth__Tenant *
wire_tenant(const struct store_tenant *t, struct arena *a)
{
	Sekisho__Auth__Tenant *m = arena_new_array(a, Sekisho__Auth__Tenant, 1);
	sekisho__auth__tenant__init(m);
	m->id = wire_bytes(arena_bytes(a, bytes_of(t->id.b, sizeof(t->id.b))));
	m->name = arena_strndup(a, t->name.p, t->name.n);
	m->created_us = t->created_us;
	m->sandbox = t->sandbox;
	m->version = t->version;
	m->language = (char *)(uintptr_t)t->language;
	m->head_mail = t->head_mail;
	return m;
}

enum rc
auth_handle_tenant_create(const struct svc_request *r, struct buf *reply, struct err *e)
{
	Sekisho__Auth__TenantCreateRequest *q = NULL;
	Sekisho__Auth__TenantCreateReply p = SEKISHO__AUTH__TENANT_CREATE_REPLY__INIT;
	struct change c;
	char secret[TOKEN_SIZE];
	bool done = false;
	enum rc rc = wire_decode(r, &sekisho__auth__tenant_create_request__descriptor, &q, e);
	if (rc == RC_OK)
		rc = names_check(bytes_str(q->name), false, "the tenant's name", e);
	if (rc != RC_OK)
		return rc;
	struct uuid tenant = uuid_v7(clock_wall_us());
	rc = change_begin(&c, r, &tenant, reply, &done, e);
	if (rc != RC_OK || done)
		return rc;
	struct store_new_key admin = key_make("api", bytes_str("admin"), secret);
	admin.permissions = permission_text(permission_all(false), r->in->arena);
	rc = store_add_tenant(&c.t, bytes_str(q->name), q->sandbox, &admin, e);
	if (rc == RC_OK) {
		p.tenant = wire_id(&tenant);
		p.admin_key = secret;
		rc = wire_encode(&p, reply, e);
	}
	rc = change_end(&c, rc, NULL, reply, e);
	explicit_bzero(secret, sizeof(secret));
	if (rc == RC_OK)
		auth_directory_changed(r, &tenant);
	return rc;
}

enum rc
auth_handle_tenants(const struct svc_request *r, struct buf *reply, struct err *e)
{
	Sekisho__Auth__TenantsReply p = SEKISHO__AUTH__TENANTS_REPLY__INIT;
	struct store_by by = wire_by(r, "");
	struct store_tenant *v = NULL;
	size_t n = 0;
	enum rc rc = store_list_tenants(&by, false, r->in->arena, &v, &n, e);
	if (rc != RC_OK)
		return rc;
	p.ids = arena_new_array(r->in->arena, ProtobufCBinaryData, n + 1);
	for (size_t i = 0; i < n; i++)
		p.ids[p.n_ids++] = wire_id(&v[i].id);
	return wire_encode(&p, reply, e);
}

enum rc
auth_handle_tenant_list(const struct svc_request *r, struct buf *reply, struct err *e)
{
	Sekisho__Auth__TenantListReply p = SEKISHO__AUTH__TENANT_LIST_REPLY__INIT;
	struct store_by by = wire_by(r, "");
	struct store_tenant *v = NULL;
	size_t n = 0;
	enum rc rc = store_list_tenants(&by, true, r->in->arena, &v, &n, e);
	if (rc != RC_OK)
		return rc;
	p.tenants = arena_new_array(r->in->arena, Sekisho__Auth__Tenant *, n + 1);
	for (size_t i = 0; i < n; i++)
		p.tenants[p.n_tenants++] = wire_tenant(&v[i], r->in->arena);
	return wire_encode(&p, reply, e);
}

enum rc
auth_handle_tenant_get(const struct svc_request *r, struct buf *reply, struct err *e)
{
	Sekisho__Auth__TenantGetReply p = SEKISHO__AUTH__TENANT_GET_REPLY__INIT;
	struct store_by by = wire_by(r, "");
	struct store_tenant tenant;
	struct store_tx t;
	enum rc rc = store_begin(&by, &r->actor->tenant, r->in->arena, &t, e);
	if (rc == RC_OK)
		rc = store_end(&t, store_get_tenant(&t, &tenant, e), NULL, e);
	if (rc != RC_OK)
		return rc;
	p.tenant = wire_tenant(&tenant, r->in->arena);
	return wire_encode(&p, reply, e);
}

/* What q asks for differs from what there is: change it. */
static enum rc
update_tenant(struct change *c, const Sekisho__Auth__TenantUpdateRequest *q, bool *changed_r, struct buf *reply,
	      struct err *e)
{
	Sekisho__Auth__TenantUpdateReply p = SEKISHO__AUTH__TENANT_UPDATE_REPLY__INIT;
	struct store_tenant now;
	enum rc rc = store_lock_tenant(&c->t, e);
	if (rc == RC_OK)
		rc = store_get_tenant(&c->t, &now, e);
	if (rc == RC_OK)
		rc = change_check_version(q->if_version, now.version, e);
	if (rc != RC_OK)
		return rc;
	struct store_tenant to = now;
	to.name = bytes_str(q->name);
	to.language = q->language;
	to.head_mail = q->head_mail;
	*changed_r =
	    !bytes_eq(to.name, now.name) || strcmp(to.language, now.language) != 0 || to.head_mail != now.head_mail;
	if (*changed_r) {
		to.version++;
		rc = store_set_tenant(&c->t, &to, e);
	} else {
		svc_record_unchanged(c->r);
	}
	p.tenant = wire_tenant(&to, c->t.a);
	return rc == RC_OK ? wire_encode(&p, reply, e) : rc;
}

enum rc
auth_handle_tenant_update(const struct svc_request *r, struct buf *reply, struct err *e)
{
	Sekisho__Auth__TenantUpdateRequest *q = NULL;
	struct change c;
	bool done = false, changed = false;
	enum rc rc = change_need_tenant(r, e);
	if (rc == RC_OK)
		rc = wire_decode(r, &sekisho__auth__tenant_update_request__descriptor, &q, e);
	if (rc == RC_OK)
		rc = names_check(bytes_str(q->name), false, "the tenant's name", e);
	if (rc == RC_OK && strcmp(q->language, "ja") != 0 && strcmp(q->language, "en") != 0)
		rc = err_set(e, RC_INVALID, "language: \"ja\" or \"en\"");
	if (rc == RC_OK)
		rc = change_begin(&c, r, &r->actor->tenant, reply, &done, e);
	if (rc != RC_OK || done)
		return rc;
	rc = change_end(&c, update_tenant(&c, q, &changed, reply, e), NULL, reply, e);
	if (rc == RC_OK && changed)
		auth_directory_changed(r, &r->actor->tenant);
	return rc;
}

enum rc
auth_handle_who(const struct svc_request *r, struct buf *reply, struct err *e)
{
	Sekisho__Auth__WhoReply p = SEKISHO__AUTH__WHO_REPLY__INIT;
	const struct actor *actor = r->actor;
	struct store_by by = wire_by(r, "");
	struct store_tenant tenant = {.name = bytes_str("")};
	struct store_tx t;
	if (!uuid_is_nil(&actor->tenant)) {
		enum rc rc = store_begin(&by, &actor->tenant, r->in->arena, &t, e);
		if (rc == RC_OK)
			rc = store_end(&t, store_get_tenant(&t, &tenant, e), NULL, e);
		if (rc != RC_OK)
			return rc;
		p.tenant = wire_id(&actor->tenant);
	}
	p.account = wire_id(&actor->account);
	p.name = (char *)(uintptr_t)actor->name;
	p.permissions = (char **)(uintptr_t)actor->permissions;
	p.n_permissions = actor->n_permissions;
	p.tenant_name = arena_strndup(r->in->arena, tenant.name.p, tenant.name.n);
	p.sandbox = tenant.sandbox;
	return wire_encode(&p, reply, e);
}

/* Asked by notify for itself: the tenant is the request's. */
enum rc
auth_handle_contacts(const struct svc_request *r, struct buf *reply, struct err *e)
{
	Sekisho__Auth__ContactsRequest *q = NULL;
	Sekisho__Auth__ContactsReply p = SEKISHO__AUTH__CONTACTS_REPLY__INIT;
	struct store_by by = wire_by(r, "");
	struct store_tenant tenant;
	struct store_tx t;
	struct bytes *v = NULL;
	size_t n = 0;
	enum rc rc = wire_decode(r, &sekisho__auth__contacts_request__descriptor, &q, e);
	if (rc != RC_OK)
		return rc;
	size_t permission = permission_find(bytes_str(q->permission));
	if (permission == permission_count() || !r->in->has_tenant)
		return err_set(e, RC_INVALID, "a permission and a tenant are needed");
	rc = store_begin(&by, &r->in->tenant, r->in->arena, &t, e);
	if (rc != RC_OK)
		return rc;
	rc = store_get_tenant(&t, &tenant, e);
	if (rc == RC_OK)
		rc = store_list_contacts(&t, permission, WIRE_LIST_MAX, &v, &n, e);
	rc = store_end(&t, rc, NULL, e);
	if (rc != RC_OK)
		return rc;
	p.addresses = wire_strings(v, n, r->in->arena);
	p.n_addresses = n;
	p.language = (char *)(uintptr_t)tenant.language;
	p.head_mail = tenant.head_mail;
	return wire_encode(&p, reply, e);
}
