/* SPDX-License-Identifier: MIT
 *
 * What administrators ask through api, and what policy and keeper read: tenants, people, keys, domains, the directory.
 * The skeleton has verified the actor token and the endpoint's permission.
 */
#include "auth.h"

#include "core/clock.h"
#include "core/log.h"
#include "crypt/token.h"
#include "names.h"
#include "password.h"
#include "permission.h"
#include "proof.h"
#include "subjects.h"
#include "wire.h"

#define DNS_RESERVE_MS 1000 /* of the deadline, for the commit after the look-up */

/* A hint: whoever misses it reads again by itself sooner or later. */
static void
directory_changed(const struct svc_request *r, const struct uuid *tenant)
{
	struct err err;
	if (r->svc->bus != NULL &&
	    bus_publish(r->svc->bus, SIG_DIRECTORY_CHANGED, bytes_of(tenant->b, sizeof(tenant->b)), &err) != RC_OK)
		log_debug("directory hint not sent", LOG_TENANT(tenant), LOG_ERR(&err));
}

static enum rc
need_tenant(const struct svc_request *r, struct err *e)
{
	return uuid_is_nil(&r->actor->tenant) ? err_set(e, RC_INVALID, "a platform key belongs to no tenant") : RC_OK;
}

/* Who makes a sender, or a credential that sends, could send through it. */
static enum rc
need_send(const struct svc_request *r, struct err *e)
{
	return actor_may(r->actor, PERMISSION_SEND)
		   ? RC_OK
		   : err_set(e, RC_DENIED, "permission %s is missing", PERMISSION_SEND);
}

/* secret is for the answer only; what is stored is its hash. */
static struct store_new_key
new_key(const char *kind, const char *prefix, struct bytes name, char secret[TOKEN_SIZE])
{
	struct store_new_key k = {
	    .id = uuid_v7(clock_wall_us()), .kind = kind, .name = name, .permissions = "", .expires_us = DB_TIME_NULL};
	token_make(prefix, secret);
	memcpy(k.lookup, secret + strlen(prefix) + 1, STORE_LOOKUP_SIZE - 1);
	token_hash(bytes_str(secret), k.hash);
	return k;
}

/* --- tenants ------------------------------------------------------------------------------------------------ */
enum rc
auth_handle_tenant_create(const struct svc_request *r, struct buf *reply, struct err *e)
{
	Sekisho__Auth__TenantCreateRequest *q = NULL;
	Sekisho__Auth__TenantCreateReply p = SEKISHO__AUTH__TENANT_CREATE_REPLY__INIT;
	struct store_by by = wire_by(r, "");
	char secret[TOKEN_SIZE];
	enum rc rc = wire_decode(r, &sekisho__auth__tenant_create_request__descriptor, &q, e);
	if (rc == RC_OK)
		rc = names_check(bytes_str(q->name), false, "the tenant's name", e);
	if (rc != RC_OK)
		return rc;
	struct uuid tenant = uuid_v7(by.now_us);
	struct store_new_key admin = new_key("api", "skapi", bytes_str("admin"), secret);
	admin.permissions = permission_all(r->in->arena, false);
	rc = store_add_tenant(&by, &tenant, bytes_str(q->name), &admin, e);
	if (rc != RC_OK)
		return rc;
	directory_changed(r, &tenant);
	p.tenant = wire_id(&tenant);
	p.admin_key = secret;
	return wire_encode(&p, reply, e);
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
	Sekisho__Auth__Tenant *tenants = arena_new_array(r->in->arena, Sekisho__Auth__Tenant, n + 1);
	p.tenants = arena_new_array(r->in->arena, Sekisho__Auth__Tenant *, n + 1);
	for (size_t i = 0; i < n; i++) {
		sekisho__auth__tenant__init(&tenants[i]);
		tenants[i].id = wire_id(&v[i].id);
		tenants[i].name = arena_strndup(r->in->arena, v[i].name.p, v[i].name.n);
		tenants[i].created_us = v[i].created_us;
		p.tenants[p.n_tenants++] = &tenants[i];
	}
	return wire_encode(&p, reply, e);
}

/* --- people ------------------------------------------------------------------------------------------------- */
static enum rc
take_user(const Sekisho__Auth__UserCreateRequest *q, struct arena *a, struct store_new_user *u, struct err *e)
{
	if (!names_login(bytes_str(q->login), a, &u->login))
		return err_set(e, RC_INVALID, "a login has 1 to %d of a-z 0-9 . _ @ + -", NAMES_LOGIN_MAX);
	u->display_name = bytes_str(q->display_name);
	enum rc rc = names_check(u->display_name, true, "the display name", e);
	if (rc == RC_OK && q->n_addresses > STORE_ADDRESSES_MAX)
		rc = err_set(e, RC_LIMIT, "more than %d addresses", STORE_ADDRESSES_MAX);
	if (rc != RC_OK)
		return rc;
	u->addresses = arena_new_array(a, struct bytes, q->n_addresses + 1);
	u->domains = arena_new_array(a, const char *, q->n_addresses + 1);
	for (; u->n_addresses < q->n_addresses && rc == RC_OK; u->n_addresses++) {
		size_t i = u->n_addresses;
		rc = names_address(bytes_str(q->addresses[i]), a, &u->addresses[i], &u->domains[i], e);
	}
	return rc;
}

enum rc
auth_handle_user_create(const struct svc_request *r, struct buf *reply, struct err *e)
{
	Sekisho__Auth__UserCreateRequest *q = NULL;
	Sekisho__Auth__UserCreateReply p = SEKISHO__AUTH__USER_CREATE_REPLY__INIT;
	struct store_by by = wire_by(r, "");
	struct store_new_user u = {.id = uuid_v7(by.now_us), .password_id = uuid_v7(by.now_us)};
	char hash[PASSWORD_HASH_SIZE];
	enum rc rc = need_tenant(r, e);
	if (rc == RC_OK)
		rc = wire_decode(r, &sekisho__auth__user_create_request__descriptor, &q, e);
	if (rc == RC_OK)
		rc = take_user(q, r->in->arena, &u, e);
	if (rc == RC_OK && u.n_addresses > 0)
		rc = need_send(r, e);
	if (rc == RC_OK && q->password[0] != 0) {
		rc = password_acceptable(bytes_str(q->password), e);
		if (rc == RC_OK)
			rc = password_hash(bytes_str(q->password), by.deadline_ms, hash, e);
		u.password_hash = bytes_str(hash);
	}
	if (rc == RC_OK)
		rc = store_add_user(&by, &r->actor->tenant, &u, e);
	if (rc != RC_OK)
		return rc;
	p.account = wire_id(&u.id);
	return wire_encode(&p, reply, e);
}

/* --- keys --------------------------------------------------------------------------------------------------- */
static enum rc
take_key(const struct svc_request *r, const Sekisho__Auth__KeyCreateRequest *q, const char **login_r,
	 const char **permissions_r, struct err *e)
{
	bool app = q->kind == SEKISHO__AUTH__KEY_CREATE_REQUEST__KIND__APP_PASSWORD;
	if (!app && q->kind != SEKISHO__AUTH__KEY_CREATE_REQUEST__KIND__API_KEY)
		return err_set(e, RC_INVALID, "unknown kind of key");
	enum rc rc = names_check(bytes_str(q->name), app, "the key's name", e);
	if (rc != RC_OK)
		return rc;
	if (q->expires_us < 0 || (q->expires_us != 0 && q->expires_us <= clock_wall_us()))
		return err_set(e, RC_INVALID, "the key would have expired already");
	*login_r = "";
	if (q->login[0] != 0 && !names_login(bytes_str(q->login), r->in->arena, login_r))
		return err_set(e, RC_NOT_FOUND, "nobody here has this login");
	if (app && (*login_r)[0] == 0)
		return err_set(e, RC_INVALID, "an application password needs a login");
	if (app && q->n_permissions > 0)
		return err_set(e, RC_INVALID, "an application password has no permissions: it sends mail");
	*permissions_r = "";
	if (app)
		return need_send(r, e);
	return permission_grant((const char *const *)q->permissions, q->n_permissions, r->actor, r->in->arena,
				permissions_r, e);
}

/* A key made by a key that ends does not outlive it. */
static enum rc
take_expiry(const struct svc_request *r, int64_t wished_us, int64_t *expires_r, struct err *e)
{
	int64_t own = r->actor->key_expires_us;
	if (own != 0 && wished_us > own)
		return err_set(e, RC_DENIED, "your own key expires before that");
	*expires_r = wished_us != 0 ? wished_us : own != 0 ? own : DB_TIME_NULL;
	return RC_OK;
}

enum rc
auth_handle_key_create(const struct svc_request *r, struct buf *reply, struct err *e)
{
	Sekisho__Auth__KeyCreateRequest *q = NULL;
	Sekisho__Auth__KeyCreateReply p = SEKISHO__AUTH__KEY_CREATE_REPLY__INIT;
	struct store_by by = wire_by(r, "");
	char secret[TOKEN_SIZE];
	const char *login = NULL, *permissions = NULL;
	int64_t expires_us = DB_TIME_NULL;
	enum rc rc = wire_decode(r, &sekisho__auth__key_create_request__descriptor, &q, e);
	if (rc == RC_OK)
		rc = take_key(r, q, &login, &permissions, e);
	if (rc == RC_OK)
		rc = take_expiry(r, q->expires_us, &expires_us, e);
	if (rc != RC_OK)
		return rc;
	bool app = q->kind == SEKISHO__AUTH__KEY_CREATE_REQUEST__KIND__APP_PASSWORD;
	struct store_new_key k = new_key(app ? "app" : "api", app ? "skapp" : "skapi", bytes_str(q->name), secret);
	k.permissions = permissions;
	k.expires_us = expires_us;
	rc = store_add_key(&by, &r->actor->tenant, login, &k, e);
	if (rc != RC_OK)
		return rc;
	p.key_id = wire_id(&k.id);
	p.secret = secret;
	p.login = (char *)(uintptr_t)login;
	return wire_encode(&p, reply, e);
}

enum rc
auth_handle_key_revoke(const struct svc_request *r, struct buf *reply, struct err *e)
{
	Sekisho__Auth__KeyRevokeRequest *q = NULL;
	Sekisho__Auth__KeyRevokeReply p = SEKISHO__AUTH__KEY_REVOKE_REPLY__INIT;
	struct store_by by = wire_by(r, "");
	const char *permissions = NULL;
	struct uuid key;
	enum rc rc = wire_decode(r, &sekisho__auth__key_revoke_request__descriptor, &q, e);
	if (rc == RC_OK)
		rc = wire_uuid(q->key_id, &key, e);
	if (rc == RC_OK)
		rc = store_get_key_permissions(&by, &r->actor->tenant, &key, r->in->arena, &permissions, e);
	if (rc == RC_OK) /* a weak key does not end a stronger one */
		rc = permission_covers(permissions, r->actor, e);
	if (rc == RC_OK)
		rc = store_revoke_key(&by, &r->actor->tenant, &key, e);
	return rc == RC_OK ? wire_encode(&p, reply, e) : rc;
}

/* --- domains ------------------------------------------------------------------------------------------------ */
static enum rc
whose_domain(const struct svc_request *r, const Sekisho__Auth__DomainAddRequest *q, struct uuid *tenant_r,
	     struct err *e)
{
	bool platform = actor_may(r->actor, PERMISSION_PLATFORM);
	if (q->assert_proven && !platform)
		return err_set(e, RC_DENIED, "permission %s is missing", PERMISSION_PLATFORM);
	if (q->tenant.len == 0) {
		*tenant_r = r->actor->tenant;
		return uuid_is_nil(tenant_r) ? err_set(e, RC_INVALID, "a platform key has to name the tenant") : RC_OK;
	}
	enum rc rc = wire_uuid(q->tenant, tenant_r, e);
	if (rc != RC_OK)
		return rc;
	if (!platform && !uuid_eq(tenant_r, &r->actor->tenant))
		return err_set(e, RC_DENIED, "permission %s is missing", PERMISSION_PLATFORM);
	return RC_OK;
}

/* The claim stands unproven: is the proof in DNS by now? Not there or no answer leaves it as it is. */
static enum rc
try_proof(const struct svc_request *r, const struct store_by *by, const struct uuid *tenant, struct store_claim *c,
	  struct store_domain *d, bool *changed, struct err *e)
{
	struct proof_resolver resolver = {auth.dns_server, auth.dns_anchor};
	int64_t until = clock_mono_ms() + auth.dns_ms;
	if (until > by->deadline_ms - DNS_RESERVE_MS)
		until = by->deadline_ms - DNS_RESERVE_MS;
	enum rc rc = proof_look_up(&resolver, d->name, d->challenge, until, e);
	if (rc == RC_NOT_FOUND || rc == RC_RETRY)
		return RC_OK;
	if (rc != RC_OK)
		return rc;
	c->proven = true;
	c->how = "dns";
	return store_set_domain(by, tenant, c, r->in->arena, d, changed, e);
}

enum rc
auth_handle_domain_add(const struct svc_request *r, struct buf *reply, struct err *e)
{
	Sekisho__Auth__DomainAddRequest *q = NULL;
	Sekisho__Auth__DomainAddReply p = SEKISHO__AUTH__DOMAIN_ADD_REPLY__INIT;
	struct store_by by = wire_by(r, "");
	struct store_domain d;
	struct uuid tenant;
	char challenge[TOKEN_SIZE];
	const char *name = NULL;
	bool changed = false, proven_now = false;
	enum rc rc = wire_decode(r, &sekisho__auth__domain_add_request__descriptor, &q, e);
	if (rc == RC_OK)
		rc = names_domain(bytes_str(q->name), r->in->arena, &name, e);
	if (rc == RC_OK)
		rc = whose_domain(r, q, &tenant, e);
	if (rc != RC_OK)
		return rc;
	bool internal = q->class_ == SEKISHO__AUTH__CLASS__INTERNAL;
	if (!internal && q->class_ != SEKISHO__AUTH__CLASS__AFFILIATE && q->class_ != SEKISHO__AUTH__CLASS__EXTERNAL)
		return err_set(e, RC_INVALID, "unknown class of domain");
	if (q->assert_proven && !internal)
		return err_set(e, RC_INVALID, "only an internal domain is proven");
	token_make("skdom", challenge);
	struct store_claim c = {
	    .name = name,
	    .class = (int)q->class_,
	    .challenge = internal ? challenge : NULL,
	    .proven = q->assert_proven,
	    .how = q->assert_proven ? "asserted" : "claimed",
	};
	rc = store_set_domain(&by, &tenant, &c, r->in->arena, &d, &changed, e);
	if (rc == RC_OK && internal && !d.proven && !changed)
		rc = try_proof(r, &by, &tenant, &c, &d, &proven_now, e);
	if (rc != RC_OK)
		return rc;
	if (changed || proven_now)
		directory_changed(r, &tenant);
	p.proven = d.proven;
	if (internal && !d.proven) {
		p.txt_name = arena_printf(r->in->arena, "%s%s", PROOF_LABEL, name);
		p.txt_value = (char *)(uintptr_t)d.challenge;
	}
	return wire_encode(&p, reply, e);
}

/* --- directory ---------------------------------------------------------------------------------------------- */
enum rc
auth_handle_directory(const struct svc_request *r, struct buf *reply, struct err *e)
{
	Sekisho__Auth__DirectoryRequest *q = NULL;
	Sekisho__Auth__DirectoryReply p = SEKISHO__AUTH__DIRECTORY_REPLY__INIT;
	struct store_by by = wire_by(r, "");
	struct store_directory d;
	struct uuid tenant;
	struct arena *a = r->in->arena;
	enum rc rc = wire_decode(r, &sekisho__auth__directory_request__descriptor, &q, e);
	if (rc == RC_OK)
		rc = wire_uuid(q->tenant, &tenant, e);
	if (rc == RC_OK)
		rc = store_get_directory(&by, &tenant, a, &d, e);
	if (rc != RC_OK)
		return rc;
	Sekisho__Auth__Domain *domains = arena_new_array(a, Sekisho__Auth__Domain, d.n_domains + 1);
	p.version = d.version;
	p.tenant_name = arena_strndup(a, d.tenant_name.p, d.tenant_name.n);
	p.domains = arena_new_array(a, Sekisho__Auth__Domain *, d.n_domains + 1);
	for (size_t i = 0; i < d.n_domains; i++) {
		sekisho__auth__domain__init(&domains[i]);
		domains[i].name = (char *)(uintptr_t)d.domains[i].name;
		domains[i].class_ = (Sekisho__Auth__Class)d.domains[i].class;
		domains[i].proven = d.domains[i].proven;
		p.domains[p.n_domains++] = &domains[i];
	}
	return wire_encode(&p, reply, e);
}
