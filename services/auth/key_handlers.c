/* SPDX-License-Identifier: MIT
 *
 * API keys and application passwords: made, listed, rotated, ended. A key never makes a key with a permission that its
 * holder does not have at this moment, nor one that outlives it, nor ends or rotates one that may more.
 */
#include "key_make.h"

#include "auth.h"
#include "change.h"
#include "core/clock.h"
#include "names.h"

#define SHOWN	      8				 /* digits of a secret that lists show */
#define OVERLAP_MAX_S (UINT32_C(30) * 24 * 3600) /* for how long an old key may go on beside the new one */
#define SECOND_US     INT64_C(1000000)

const char *
key_prefix(bool app)
{
	return app ? "skapp" : "skapi";
}

struct store_new_key
key_make(const char *kind, struct bytes name, char secret[TOKEN_SIZE])
{
	const char *prefix = key_prefix(strcmp(kind, "app") == 0);
	struct store_new_key k = {
	    .id = uuid_v7(clock_wall_us()), .kind = kind, .name = name, .permissions = "", .expires_us = DB_TIME_NULL};
	token_make(prefix, secret);
	memcpy(k.lookup, secret + strlen(prefix) + 1, STORE_LOOKUP_SIZE - 1);
	token_hash(bytes_str(secret), k.hash);
	return k;
}

/* --- make --------------------------------------------------------------------------------------------------- */
struct wish {
	bool app;
	struct uuid tenant;
	const char *login; /* "": the tenant's own */
	struct permission_set set;
	int64_t expires_us; /* DB_TIME_NULL: never */
};

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

static enum rc
take_tenant(const struct svc_request *r, ProtobufCBinaryData given, struct uuid *tenant_r, struct err *e)
{
	*tenant_r = r->actor->tenant;
	if (given.len == 0)
		return RC_OK;
	enum rc rc = wire_uuid(given, tenant_r, e);
	if (rc == RC_OK && !uuid_eq(tenant_r, &r->actor->tenant) && !actor_may(r->actor, PERMISSION_PLATFORM))
		rc = err_set(e, RC_DENIED, "permission %s is missing", PERMISSION_PLATFORM);
	return rc;
}

static enum rc
take_wish(const struct svc_request *r, const Sekisho__Auth__KeyCreateRequest *q, struct wish *w, struct err *e)
{
	w->app = q->kind == SEKISHO__AUTH__KEY_CREATE_REQUEST__KIND__APP_PASSWORD;
	w->login = "";
	if (!w->app && q->kind != SEKISHO__AUTH__KEY_CREATE_REQUEST__KIND__API_KEY)
		return err_set(e, RC_INVALID, "unknown kind of key");
	enum rc rc = names_check(bytes_str(q->name), w->app, "the key's name", e);
	if (rc != RC_OK)
		return rc;
	if (q->expires_us < 0 || (q->expires_us != 0 && q->expires_us <= clock_wall_us()))
		return err_set(e, RC_INVALID, "the key would have expired already");
	if (q->login[0] != 0 && !names_login(bytes_str(q->login), r->in->arena, &w->login))
		return err_set(e, RC_NOT_FOUND, "nobody here has this login");
	if (w->app && w->login[0] == 0)
		return err_set(e, RC_INVALID, "an application password needs a login");
	if (w->app && q->n_permissions > 0)
		return err_set(e, RC_INVALID, "an application password has no permissions: it sends mail");
	if (!w->app && q->n_permissions == 0)
		return err_set(e, RC_INVALID, "a key needs at least one permission");
	rc = permission_of_names((const char *const *)q->permissions, q->n_permissions, &w->set, e);
	if (rc == RC_OK)
		rc = take_tenant(r, q->tenant, &w->tenant, e);
	if (rc == RC_OK)
		rc = take_expiry(r, q->expires_us, &w->expires_us, e);
	return rc;
}

/* Nobody gives what he does not have; and what belongs to a tenant never holds the platform's. */
static enum rc
may_make(const struct change *c, const struct wish *w, struct err *e)
{
	struct permission_set mine = c->mine, send = {UINT64_C(1) << permission_find(bytes_str(PERMISSION_SEND))};
	if (w->app)
		return permission_need(send, mine, e);
	if (!uuid_is_nil(&w->tenant))
		mine = permission_and(mine, permission_all(false));
	return permission_may_give(w->set, mine, e);
}

/* A key speaks with its owner's name, and an application password sends from his addresses: nobody gets one of somebody
 * who has more than he has himself. */
static enum rc
may_speak_for(struct change *c, const struct uuid *account, struct err *e)
{
	struct access x;
	if (uuid_eq(account, &c->r->actor->account))
		return RC_OK;
	enum rc rc = store_get_access(&c->t, account, &x, e);
	return rc == RC_OK ? permission_need(access_when_enabled(&x), c->mine, e) : rc;
}

static enum rc
make_key(struct change *c, const struct wish *w, struct bytes name, struct buf *reply, struct err *e)
{
	Sekisho__Auth__KeyCreateReply p = SEKISHO__AUTH__KEY_CREATE_REPLY__INIT;
	char secret[TOKEN_SIZE];
	struct uuid account;
	bool own = w->login[0] == 0;
	enum rc rc = change_lock(c, e);
	if (rc == RC_OK)
		rc = may_make(c, w, e);
	if (rc == RC_OK && !own)
		rc = store_find_account(&c->t, w->login, &account, e);
	if (rc == RC_OK && !own)
		rc = may_speak_for(c, &account, e);
	if (rc != RC_OK)
		return rc;
	struct store_new_key k = key_make(w->app ? "app" : "api", name, secret);
	k.permissions = w->app ? "" : permission_text(w->set, c->t.a);
	k.expires_us = w->expires_us;
	rc = store_add_key(&c->t, own ? NULL : &account, &k, e);
	if (rc == RC_OK) {
		p.key_id = wire_id(&k.id);
		p.secret = secret;
		p.login = (char *)(uintptr_t)w->login;
		rc = wire_encode(&p, reply, e);
	}
	explicit_bzero(secret, sizeof(secret));
	return rc;
}

enum rc
auth_handle_key_create(const struct svc_request *r, struct buf *reply, struct err *e)
{
	Sekisho__Auth__KeyCreateRequest *q = NULL;
	struct wish w = {.expires_us = DB_TIME_NULL};
	struct change c;
	bool done = false;
	enum rc rc = wire_decode(r, &sekisho__auth__key_create_request__descriptor, &q, e);
	if (rc == RC_OK)
		rc = take_wish(r, q, &w, e);
	if (rc == RC_OK)
		rc = change_begin(&c, r, &w.tenant, reply, &done, e);
	if (rc != RC_OK || done)
		return rc;
	return change_end(&c, make_key(&c, &w, bytes_str(q->name), reply, e), "a key of this name is in force", reply,
			  e);
}

/* --- rotate, end -------------------------------------------------------------------------------------------- */
/* A key in force that the caller may touch. */
static enum rc
find_weaker(struct change *c, const struct uuid *id, struct store_key_view *v, struct err *e)
{
	bool known = false;
	svc_record_subject(c->r, id);
	enum rc rc = change_lock(c, e);
	if (rc == RC_OK)
		rc = store_get_key(&c->t, id, v, e);
	if (rc != RC_OK)
		return rc;
	struct permission_set set = permission_of_text(v->permissions, &known);
	if (!known)
		return err_set(e, RC_DENIED, "the key has a permission that is not known here");
	return permission_need(set, c->mine, e);
}

static enum rc
rotate(struct change *c, const struct uuid *id, uint32_t overlap_s, struct buf *reply, struct err *e)
{
	Sekisho__Auth__KeyRotateReply p = SEKISHO__AUTH__KEY_ROTATE_REPLY__INIT;
	struct store_key_view old;
	char secret[TOKEN_SIZE];
	enum rc rc = find_weaker(c, id, &old, e);
	if (rc == RC_OK && old.has_account)
		rc = may_speak_for(c, &old.account, e);
	if (rc != RC_OK)
		return rc;
	int64_t own = c->r->actor->key_expires_us, ends = c->t.by.now_us + overlap_s * SECOND_US;
	if (own != 0 && (old.expires_us == 0 || old.expires_us > own))
		return err_set(e, RC_DENIED, "your own key expires before that");
	if (old.expires_us != 0 && old.expires_us < ends)
		ends = old.expires_us;
	struct store_new_key k = key_make(old.app ? "app" : "api", old.name, secret);
	k.permissions = old.app ? "" : old.permissions;
	k.expires_us = old.expires_us != 0 ? old.expires_us : DB_TIME_NULL;
	rc = store_rotate_key(&c->t, &old, &k, ends, e);
	if (rc == RC_OK) {
		p.key_id = wire_id(&k.id);
		p.secret = secret;
		p.login = old.app ? (char *)(uintptr_t)old.login : "";
		p.old_expires_us = ends;
		rc = wire_encode(&p, reply, e);
	}
	explicit_bzero(secret, sizeof(secret));
	return rc;
}

enum rc
auth_handle_key_rotate(const struct svc_request *r, struct buf *reply, struct err *e)
{
	Sekisho__Auth__KeyRotateRequest *q = NULL;
	struct uuid id;
	struct change c;
	bool done = false;
	enum rc rc = wire_decode(r, &sekisho__auth__key_rotate_request__descriptor, &q, e);
	if (rc == RC_OK)
		rc = wire_uuid(q->key_id, &id, e);
	if (rc == RC_OK && q->overlap_seconds > OVERLAP_MAX_S)
		rc = err_set(e, RC_INVALID, "overlap_seconds: at most %u, which is 30 days", OVERLAP_MAX_S);
	if (rc == RC_OK)
		rc = change_begin(&c, r, &r->actor->tenant, reply, &done, e);
	if (rc != RC_OK || done)
		return rc;
	return change_end(&c, rotate(&c, &id, q->overlap_seconds, reply, e), NULL, reply, e);
}

static enum rc
revoke(struct change *c, const struct uuid *id, struct buf *reply, struct err *e)
{
	Sekisho__Auth__KeyRevokeReply p = SEKISHO__AUTH__KEY_REVOKE_REPLY__INIT;
	struct store_key_view v;
	enum rc rc = find_weaker(c, id, &v, e);
	if (rc == RC_OK)
		rc = store_revoke_key(&c->t, id, e);
	if (rc == RC_OK)
		rc = change_keep_way_in(c, e);
	return rc == RC_OK ? wire_encode(&p, reply, e) : rc;
}

enum rc
auth_handle_key_revoke(const struct svc_request *r, struct buf *reply, struct err *e)
{
	Sekisho__Auth__KeyRevokeRequest *q = NULL;
	struct uuid id;
	struct change c;
	bool done = false;
	enum rc rc = wire_decode(r, &sekisho__auth__key_revoke_request__descriptor, &q, e);
	if (rc == RC_OK)
		rc = wire_uuid(q->key_id, &id, e);
	if (rc == RC_OK)
		rc = change_begin(&c, r, &r->actor->tenant, reply, &done, e);
	if (rc != RC_OK || done)
		return rc;
	return change_end(&c, revoke(&c, &id, reply, e), NULL, reply, e);
}

/* --- list --------------------------------------------------------------------------------------------------- */
static Sekisho__Auth__Key *
wire_key(const struct store_key_view *v, struct arena *a)
{
	Sekisho__Auth__Key *m = arena_new_array(a, Sekisho__Auth__Key, 1);
	sekisho__auth__key__init(m);
	m->id = wire_id(&v->id);
	m->kind = v->app ? SEKISHO__AUTH__KEY_CREATE_REQUEST__KIND__APP_PASSWORD
			 : SEKISHO__AUTH__KEY_CREATE_REQUEST__KIND__API_KEY;
	m->name = arena_strndup(a, v->name.p, v->name.n);
	m->login = (char *)(uintptr_t)v->login;
	m->permissions = wire_permissions(permission_of_text(v->permissions, NULL), a, &m->n_permissions);
	m->prefix = arena_printf(a, "%s_%.*s", key_prefix(v->app), SHOWN, v->lookup);
	m->created_us = v->created_us;
	m->expires_us = v->expires_us;
	m->revoked_us = v->revoked_us;
	if (!uuid_is_nil(&v->replaced_by))
		m->replaced_by = wire_id(&v->replaced_by);
	return m;
}

static enum rc
read_keys(struct store_tx *t, const Sekisho__Auth__KeyListRequest *q, const struct uuid *before, int32_t limit,
	  struct store_key_view **v, size_t *n, struct err *e)
{
	const char *login = NULL;
	struct uuid account;
	bool one = q->login[0] != 0;
	if (one && !names_login(bytes_str(q->login), t->a, &login))
		return err_set(e, RC_NOT_FOUND, "nobody here has this login");
	enum rc rc = one ? store_find_account(t, login, &account, e) : RC_OK;
	return rc == RC_OK ? store_list_keys(t, before, one ? &account : NULL, q->ended, limit + 1, v, n, e) : rc;
}

enum rc
auth_handle_key_list(const struct svc_request *r, struct buf *reply, struct err *e)
{
	Sekisho__Auth__KeyListRequest *q = NULL;
	Sekisho__Auth__KeyListReply p = SEKISHO__AUTH__KEY_LIST_REPLY__INIT;
	struct store_by by = wire_by(r, "");
	struct store_key_view *v = NULL;
	struct store_tx t;
	struct uuid id;
	const struct uuid *before = NULL;
	int32_t limit = 0;
	size_t n = 0;
	enum rc rc = wire_decode(r, &sekisho__auth__key_list_request__descriptor, &q, e);
	if (rc == RC_OK)
		rc = wire_limit(q->limit, &limit, e);
	if (rc == RC_OK)
		rc = wire_cursor(q->cursor, &id, &before, e);
	if (rc == RC_OK)
		rc = store_begin(&by, &r->actor->tenant, r->in->arena, &t, e);
	if (rc != RC_OK)
		return rc;
	rc = store_end(&t, read_keys(&t, q, before, limit, &v, &n, e), NULL, e);
	if (rc != RC_OK)
		return rc;
	p.keys = arena_new_array(r->in->arena, Sekisho__Auth__Key *, n + 1);
	for (size_t i = 0; i < n && i < (size_t)limit; i++)
		p.keys[p.n_keys++] = wire_key(&v[i], r->in->arena);
	if (n > (size_t)limit) {
		char text[UUID_STR_SIZE];
		uuid_format(&v[limit - 1].id, text);
		p.next_cursor = arena_strdup(r->in->arena, text);
	}
	return wire_encode(&p, reply, e);
}
