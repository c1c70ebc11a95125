/* SPDX-License-Identifier: MIT
 *
 * The part of the stub that is about tenants, domains and keys.
 */
#include "client/auth_client_internal.h"
#include "subjects.h"

static enum rc
call(const struct auth_call *c, const char *subject, const void *in, const ProtobufCMessageDescriptor *out,
     struct arena *a, void *reply_r, struct err *e)
{
	return auth_client_call(c, NULL, subject, in, out, a, reply_r, e);
}

static enum rc
take_tenant(const Sekisho__Auth__Tenant *m, struct auth_tenant *out, struct err *e)
{
	if (m == NULL)
		return err_set(e, RC_INTERNAL, "auth's answer holds no tenant");
	*out = (struct auth_tenant){
	    .name = bytes_str(m->name),
	    .created_us = m->created_us,
	    .sandbox = m->sandbox,
	    .version = m->version,
	    .language = m->language,
	    .head_mail = m->head_mail,
	};
	return auth_client_take_id(m->id, &out->id, e);
}

enum rc
auth_tenant_create(const struct auth_call *c, struct bytes name, bool sandbox, struct arena *a, struct uuid *tenant_r,
		   const char **admin_key_r, struct err *e)
{
	Sekisho__Auth__TenantCreateRequest q = SEKISHO__AUTH__TENANT_CREATE_REQUEST__INIT;
	Sekisho__Auth__TenantCreateReply *p = NULL;
	q.sandbox = sandbox;
	enum rc rc = auth_client_text(name, AUTH_NAME_MAX, a, &q.name, e);
	if (rc == RC_OK)
		rc = call(c, RPC_AUTH_TENANT_CREATE, &q, &sekisho__auth__tenant_create_reply__descriptor, a, &p, e);
	if (rc == RC_OK)
		rc = auth_client_take_id(p->tenant, tenant_r, e);
	if (rc == RC_OK)
		*admin_key_r = p->admin_key;
	return rc;
}

enum rc
auth_tenants(const struct auth_call *c, struct arena *a, struct uuid **ids_r, size_t *n_r, struct err *e)
{
	Sekisho__Auth__TenantsRequest q = SEKISHO__AUTH__TENANTS_REQUEST__INIT;
	Sekisho__Auth__TenantsReply *p = NULL;
	enum rc rc = call(c, RPC_AUTH_TENANTS, &q, &sekisho__auth__tenants_reply__descriptor, a, &p, e);
	if (rc != RC_OK)
		return rc;
	struct uuid *v = arena_new_array(a, struct uuid, p->n_ids + 1);
	for (size_t i = 0; i < p->n_ids && rc == RC_OK; i++)
		rc = auth_client_take_id(p->ids[i], &v[i], e);
	if (rc != RC_OK)
		return rc;
	*ids_r = v;
	*n_r = p->n_ids;
	return RC_OK;
}

enum rc
auth_tenant_list(const struct auth_call *c, struct arena *a, struct auth_tenant **tenants_r, size_t *n_r, struct err *e)
{
	Sekisho__Auth__TenantListRequest q = SEKISHO__AUTH__TENANT_LIST_REQUEST__INIT;
	Sekisho__Auth__TenantListReply *p = NULL;
	enum rc rc = call(c, RPC_AUTH_TENANT_LIST, &q, &sekisho__auth__tenant_list_reply__descriptor, a, &p, e);
	if (rc != RC_OK)
		return rc;
	struct auth_tenant *v = arena_new_array(a, struct auth_tenant, p->n_tenants + 1);
	for (size_t i = 0; i < p->n_tenants && rc == RC_OK; i++)
		rc = take_tenant(p->tenants[i], &v[i], e);
	if (rc != RC_OK)
		return rc;
	*tenants_r = v;
	*n_r = p->n_tenants;
	return RC_OK;
}

enum rc
auth_tenant_get(const struct auth_call *c, struct arena *a, struct auth_tenant *out_r, struct err *e)
{
	Sekisho__Auth__TenantGetRequest q = SEKISHO__AUTH__TENANT_GET_REQUEST__INIT;
	Sekisho__Auth__TenantGetReply *p = NULL;
	enum rc rc = call(c, RPC_AUTH_TENANT_GET, &q, &sekisho__auth__tenant_get_reply__descriptor, a, &p, e);
	return rc == RC_OK ? take_tenant(p->tenant, out_r, e) : rc;
}

enum rc
auth_tenant_update(const struct auth_call *c, const struct auth_tenant_settings *s, struct arena *a,
		   struct auth_tenant *out_r, struct err *e)
{
	Sekisho__Auth__TenantUpdateRequest q = SEKISHO__AUTH__TENANT_UPDATE_REQUEST__INIT;
	Sekisho__Auth__TenantUpdateReply *p = NULL;
	q.if_version = s->if_version;
	q.language = (char *)(uintptr_t)s->language;
	q.head_mail = s->head_mail;
	enum rc rc = auth_client_text(s->name, AUTH_NAME_MAX, a, &q.name, e);
	if (rc == RC_OK)
		rc = call(c, RPC_AUTH_TENANT_UPDATE, &q, &sekisho__auth__tenant_update_reply__descriptor, a, &p, e);
	return rc == RC_OK ? take_tenant(p->tenant, out_r, e) : rc;
}

enum rc
auth_who(const struct auth_call *c, struct arena *a, struct auth_who *out_r, struct err *e)
{
	Sekisho__Auth__WhoRequest q = SEKISHO__AUTH__WHO_REQUEST__INIT;
	Sekisho__Auth__WhoReply *p = NULL;
	struct auth_who out = {0};
	enum rc rc = call(c, RPC_AUTH_WHO, &q, &sekisho__auth__who_reply__descriptor, a, &p, e);
	if (rc == RC_OK && p->tenant.len != 0) /* empty: the platform's */
		rc = auth_client_take_id(p->tenant, &out.tenant, e);
	if (rc == RC_OK)
		rc = auth_client_take_id(p->account, &out.account, e);
	if (rc != RC_OK)
		return rc;
	out.name = p->name;
	out.permissions = (const char **)p->permissions;
	out.n_permissions = p->n_permissions;
	out.tenant_name = bytes_str(p->tenant_name);
	out.sandbox = p->sandbox;
	*out_r = out;
	return RC_OK;
}

/* --- domains ------------------------------------------------------------------------------------------------ */
enum rc
auth_domain_add(const struct auth_call *c, const struct auth_domain_wish *w, struct arena *a,
		struct auth_domain_answer *out_r, struct err *e)
{
	Sekisho__Auth__DomainAddRequest q = SEKISHO__AUTH__DOMAIN_ADD_REQUEST__INIT;
	Sekisho__Auth__DomainAddReply *p = NULL;
	q.name = (char *)(uintptr_t)w->name;
	q.class_ = (Sekisho__Auth__Class)w->class;
	q.assert_proven = w->assert_proven;
	if (w->tenant != NULL)
		q.tenant = auth_client_id(w->tenant);
	enum rc rc = call(c, RPC_AUTH_DOMAIN_ADD, &q, &sekisho__auth__domain_add_reply__descriptor, a, &p, e);
	if (rc == RC_OK)
		*out_r = (struct auth_domain_answer){p->proven, p->txt_name, p->txt_value};
	return rc;
}

enum rc
auth_domain_list(const struct auth_call *c, struct arena *a, struct auth_directory *out_r, struct err *e)
{
	Sekisho__Auth__DomainListRequest q = SEKISHO__AUTH__DOMAIN_LIST_REQUEST__INIT;
	Sekisho__Auth__DomainListReply *p = NULL;
	enum rc rc = call(c, RPC_AUTH_DOMAIN_LIST, &q, &sekisho__auth__domain_list_reply__descriptor, a, &p, e);
	if (rc == RC_OK)
		*out_r = (struct auth_directory){
		    .version = p->version,
		    .tenant_name = bytes_str(""),
		    .domains = auth_client_domains(p->domains, p->n_domains, a),
		    .n_domains = p->n_domains,
		};
	return rc;
}

/* --- keys --------------------------------------------------------------------------------------------------- */
enum rc
auth_key_create(const struct auth_call *c, const struct auth_key_wish *w, struct arena *a, struct auth_new_key *out_r,
		struct err *e)
{
	Sekisho__Auth__KeyCreateRequest q = SEKISHO__AUTH__KEY_CREATE_REQUEST__INIT;
	Sekisho__Auth__KeyCreateReply *p = NULL;
	struct auth_new_key out;
	q.kind = w->kind == AUTH_APP_PASSWORD ? SEKISHO__AUTH__KEY_CREATE_REQUEST__KIND__APP_PASSWORD
					      : SEKISHO__AUTH__KEY_CREATE_REQUEST__KIND__API_KEY;
	q.login = (char *)(uintptr_t)w->login;
	q.permissions = (char **)(uintptr_t)w->permissions;
	q.n_permissions = w->n_permissions;
	q.expires_us = w->expires_us;
	if (w->tenant != NULL)
		q.tenant = auth_client_id(w->tenant);
	enum rc rc = auth_client_text(w->name, AUTH_NAME_MAX, a, &q.name, e);
	if (rc == RC_OK)
		rc = call(c, RPC_AUTH_KEY_CREATE, &q, &sekisho__auth__key_create_reply__descriptor, a, &p, e);
	if (rc == RC_OK)
		rc = auth_client_take_id(p->key_id, &out.id, e);
	if (rc != RC_OK)
		return rc;
	out.secret = p->secret;
	out.login = p->login;
	*out_r = out;
	return RC_OK;
}

enum rc
auth_key_revoke(const struct auth_call *c, const struct uuid *key, struct arena *a, struct err *e)
{
	Sekisho__Auth__KeyRevokeRequest q = SEKISHO__AUTH__KEY_REVOKE_REQUEST__INIT;
	Sekisho__Auth__KeyRevokeReply *p = NULL;
	q.key_id = auth_client_id(key);
	return call(c, RPC_AUTH_KEY_REVOKE, &q, &sekisho__auth__key_revoke_reply__descriptor, a, &p, e);
}

enum rc
auth_key_list(const struct auth_call *c, uint32_t limit, const char *cursor, const char *login, bool ended,
	      struct arena *a, struct auth_keys *out_r, struct err *e)
{
	Sekisho__Auth__KeyListRequest q = SEKISHO__AUTH__KEY_LIST_REQUEST__INIT;
	Sekisho__Auth__KeyListReply *p = NULL;
	q.limit = limit;
	q.cursor = (char *)(uintptr_t)cursor;
	q.login = (char *)(uintptr_t)login;
	q.ended = ended;
	enum rc rc = call(c, RPC_AUTH_KEY_LIST, &q, &sekisho__auth__key_list_reply__descriptor, a, &p, e);
	if (rc != RC_OK)
		return rc;
	struct auth_key *v = arena_new_array(a, struct auth_key, p->n_keys + 1);
	for (size_t i = 0; i < p->n_keys && rc == RC_OK; i++) {
		const Sekisho__Auth__Key *m = p->keys[i];
		v[i] = (struct auth_key){
		    .kind = m->kind == SEKISHO__AUTH__KEY_CREATE_REQUEST__KIND__APP_PASSWORD ? AUTH_APP_PASSWORD
											     : AUTH_API_KEY,
		    .name = m->name,
		    .login = m->login,
		    .permissions = (const char **)m->permissions,
		    .n_permissions = m->n_permissions,
		    .prefix = m->prefix,
		    .created_us = m->created_us,
		    .expires_us = m->expires_us,
		    .revoked_us = m->revoked_us,
		};
		rc = auth_client_take_id(m->id, &v[i].id, e);
		if (rc == RC_OK && m->replaced_by.len != 0)
			rc = auth_client_take_id(m->replaced_by, &v[i].replaced_by, e);
	}
	if (rc == RC_OK)
		*out_r = (struct auth_keys){v, p->n_keys, p->next_cursor};
	return rc;
}

enum rc
auth_key_rotate(const struct auth_call *c, const struct uuid *key, uint32_t overlap_seconds, struct arena *a,
		struct auth_new_key *out_r, int64_t *old_expires_us_r, struct err *e)
{
	Sekisho__Auth__KeyRotateRequest q = SEKISHO__AUTH__KEY_ROTATE_REQUEST__INIT;
	Sekisho__Auth__KeyRotateReply *p = NULL;
	struct auth_new_key out;
	q.key_id = auth_client_id(key);
	q.overlap_seconds = overlap_seconds;
	enum rc rc = call(c, RPC_AUTH_KEY_ROTATE, &q, &sekisho__auth__key_rotate_reply__descriptor, a, &p, e);
	if (rc == RC_OK)
		rc = auth_client_take_id(p->key_id, &out.id, e);
	if (rc != RC_OK)
		return rc;
	out.secret = p->secret;
	out.login = p->login;
	*out_r = out;
	*old_expires_us_r = p->old_expires_us;
	return RC_OK;
}
