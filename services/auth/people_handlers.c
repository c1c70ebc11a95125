/* SPDX-License-Identifier: MIT
 *
 * People: made, listed, shown, changed. Whoever changes a person needs every permission that the person has, so that
 * nobody gets at a stronger account by its password or its addresses; what a disabled person would have counts too.
 */
#include "people_wire.h"

#include "auth.h"
#include "change.h"
#include "core/clock.h"
#include "names.h"
#include "password.h"

#define SEARCH_MAX 320

static struct permission_set
send_set(void)
{
	return (struct permission_set){UINT64_C(1) << permission_find(bytes_str(PERMISSION_SEND))};
}

/* Who registers an address could send by it as the people who have it already (decision 0065, the second rule). */
static enum rc
may_register(struct change *c, const struct uuid *account, const struct store_addresses *v, struct err *e)
{
	struct permission_set held;
	bool any = false;
	enum rc rc = permission_need(send_set(), c->mine, e);
	if (rc == RC_OK)
		rc = store_get_holders(&c->t, account, v, &any, &held, e);
	if (rc != RC_OK || !any)
		return rc;
	rc = permission_need(held, c->mine, e);
	if (rc != RC_OK)
		err_prefix(e, "another person has such an address and may more than you");
	return rc;
}

/* --- make --------------------------------------------------------------------------------------------------- */
static enum rc
take_addresses(char *const *given, size_t n, struct arena *a, struct store_addresses *v, struct err *e)
{
	if (n > STORE_ADDRESSES_MAX)
		return err_set(e, RC_LIMIT, "more than %d addresses", STORE_ADDRESSES_MAX);
	v->addresses = arena_new_array(a, struct bytes, n + 1);
	v->domains = arena_new_array(a, const char *, n + 1);
	v->folded = arena_new_array(a, struct bytes, n + 1);
	for (size_t i = 0; i < n; i++, v->n++) {
		enum rc rc = names_address(bytes_str(given[i]), a, &v->addresses[i], &v->domains[i], e);
		if (rc != RC_OK)
			return rc;
		v->folded[i] = names_fold(v->addresses[i], a);
	}
	return RC_OK;
}

static enum rc
take_password(const char *password, int64_t deadline_ms, char hash[PASSWORD_HASH_SIZE], struct bytes *hash_r,
	      struct err *e)
{
	if (password[0] == 0)
		return RC_OK;
	enum rc rc = password_acceptable(bytes_str(password), e);
	if (rc == RC_OK)
		rc = password_hash(bytes_str(password), deadline_ms, hash, e);
	if (rc == RC_OK)
		*hash_r = bytes_str(hash);
	return rc;
}

static enum rc
take_user(const Sekisho__Auth__UserCreateRequest *q, struct arena *a, struct store_new_user *u, struct err *e)
{
	if (!names_login(bytes_str(q->login), a, &u->login))
		return err_set(e, RC_INVALID, "a login has 1 to %d of a-z 0-9 . _ @ + -", NAMES_LOGIN_MAX);
	u->display_name = bytes_str(q->display_name);
	enum rc rc = names_check(u->display_name, true, "the display name", e);
	return rc == RC_OK ? take_addresses(q->addresses, q->n_addresses, a, &u->addresses, e) : rc;
}

static enum rc
make_user(struct change *c, const struct store_new_user *u, struct buf *reply, struct err *e)
{
	Sekisho__Auth__UserCreateReply p = SEKISHO__AUTH__USER_CREATE_REPLY__INIT;
	enum rc rc = change_lock(c, e);
	/* Who makes a sender could send through it. */
	if (rc == RC_OK && u->addresses.n > 0)
		rc = may_register(c, &u->id, &u->addresses, e);
	if (rc == RC_OK)
		rc = store_add_user(&c->t, u, e);
	p.account = wire_id(&u->id);
	return rc == RC_OK ? wire_encode(&p, reply, e) : rc;
}

enum rc
auth_handle_user_create(const struct svc_request *r, struct buf *reply, struct err *e)
{
	Sekisho__Auth__UserCreateRequest *q = NULL;
	int64_t now_us = clock_wall_us();
	struct store_new_user u = {.id = uuid_v7(now_us), .password_id = uuid_v7(now_us)};
	char hash[PASSWORD_HASH_SIZE];
	struct change c;
	bool done = false;
	enum rc rc = change_need_tenant(r, e);
	if (rc == RC_OK)
		rc = wire_decode(r, &sekisho__auth__user_create_request__descriptor, &q, e);
	if (rc == RC_OK)
		rc = take_user(q, r->in->arena, &u, e);
	if (rc == RC_OK && u.addresses.n > 0)
		rc = permission_need(send_set(), permission_of_actor(r->actor), e);
	if (rc == RC_OK)
		rc = take_password(q->password, r->in->deadline_ms, hash, &u.password_hash, e);
	if (rc == RC_OK)
		rc = change_begin(&c, r, &r->actor->tenant, reply, &done, e);
	if (rc != RC_OK || done)
		return rc;
	return change_end(&c, make_user(&c, &u, reply, e), "this login is taken", reply, e);
}

/* --- see ---------------------------------------------------------------------------------------------------- */
Sekisho__Auth__User *
people_wire(const struct store_person_view *v, struct arena *a)
{
	Sekisho__Auth__User *m = arena_new_array(a, Sekisho__Auth__User, 1);
	sekisho__auth__user__init(m);
	m->id = wire_bytes(arena_bytes(a, bytes_of(v->id.b, sizeof(v->id.b))));
	m->login = (char *)(uintptr_t)v->login;
	m->display_name = arena_strndup(a, v->display_name.p, v->display_name.n);
	m->addresses = wire_strings(v->addresses, v->n_addresses, a);
	m->n_addresses = v->n_addresses;
	m->disabled_us = v->disabled_us;
	m->locked_until_us = v->locked_until_us;
	m->created_us = v->created_us;
	m->roles = wire_strings(v->roles, v->n_roles, a);
	m->n_roles = v->n_roles;
	m->groups = wire_strings(v->groups, v->n_groups, a);
	m->n_groups = v->n_groups;
	m->version = v->version;
	m->has_password = v->has_password;
	m->exceptions = arena_new_array(a, Sekisho__Auth__Exception *, permission_count() + 1);
	for (const char *at = v->exceptions; *at != 0 && m->n_exceptions < permission_count();) {
		size_t n = strcspn(at, " ");
		Sekisho__Auth__Exception *x = arena_new_array(a, Sekisho__Auth__Exception, 1);
		sekisho__auth__exception__init(x);
		x->deny = *at == '-';
		x->permission = arena_strndup(a, at + 1, n - 1);
		m->exceptions[m->n_exceptions++] = x;
		at += n + (at[n] == ' ');
	}
	return m;
}

enum rc
auth_handle_user_list(const struct svc_request *r, struct buf *reply, struct err *e)
{
	Sekisho__Auth__UserListRequest *q = NULL;
	Sekisho__Auth__UserListReply p = SEKISHO__AUTH__USER_LIST_REPLY__INIT;
	struct store_by by = wire_by(r, "");
	struct store_person_view *v = NULL;
	struct store_tx t;
	struct uuid id;
	const struct uuid *after = NULL;
	int32_t limit = 0;
	size_t n = 0;
	enum rc rc = wire_decode(r, &sekisho__auth__user_list_request__descriptor, &q, e);
	if (rc == RC_OK)
		rc = wire_limit(q->limit, &limit, e);
	if (rc == RC_OK)
		rc = wire_cursor(q->cursor, &id, &after, e);
	if (rc == RC_OK && strlen(q->search) > SEARCH_MAX)
		rc = err_set(e, RC_INVALID, "search: at most %d octets", SEARCH_MAX);
	if (rc == RC_OK)
		rc = store_begin(&by, &r->actor->tenant, r->in->arena, &t, e);
	if (rc != RC_OK)
		return rc;
	struct bytes search = bytes_of(NULL, 0);
	if (q->search[0] != 0)
		search = names_fold(bytes_str(q->search), r->in->arena);
	rc = store_end(&t, store_list_views(&t, after, search, limit + 1, &v, &n, e), NULL, e);
	if (rc != RC_OK)
		return rc;
	p.users = arena_new_array(r->in->arena, Sekisho__Auth__User *, n + 1);
	for (size_t i = 0; i < n && i < (size_t)limit; i++)
		p.users[p.n_users++] = people_wire(&v[i], r->in->arena);
	if (n > (size_t)limit) {
		char text[UUID_STR_SIZE];
		uuid_format(&v[limit - 1].id, text);
		p.next_cursor = arena_strdup(r->in->arena, text);
	}
	return wire_encode(&p, reply, e);
}

enum rc
auth_handle_user_get(const struct svc_request *r, struct buf *reply, struct err *e)
{
	Sekisho__Auth__UserGetRequest *q = NULL;
	Sekisho__Auth__UserGetReply p = SEKISHO__AUTH__USER_GET_REPLY__INIT;
	struct store_by by = wire_by(r, "");
	struct store_person_view v;
	struct store_tx t;
	struct uuid id;
	const char *login = NULL;
	enum rc rc = wire_decode(r, &sekisho__auth__user_get_request__descriptor, &q, e);
	if (rc != RC_OK)
		return rc;
	bool by_id = q->id.len != 0;
	if (by_id)
		rc = wire_uuid(q->id, &id, e);
	else if (!names_login(bytes_str(q->login), r->in->arena, &login))
		rc = err_set(e, RC_NOT_FOUND, "nobody here has this login");
	if (rc == RC_OK && by_id)
		svc_record_subject(r, &id);
	if (rc == RC_OK)
		rc = store_begin(&by, &r->actor->tenant, r->in->arena, &t, e);
	if (rc != RC_OK)
		return rc;
	rc = store_end(&t, store_get_view(&t, by_id ? &id : NULL, login, &v, e), NULL, e);
	if (rc != RC_OK)
		return rc;
	svc_record_subject(r, &v.id);
	p.user = people_wire(&v, r->in->arena);
	return wire_encode(&p, reply, e);
}

/* --- change ------------------------------------------------------------------------------------------------- */
struct update {
	struct uuid id, password_id;
	const Sekisho__Auth__UserUpdateRequest *q;
	struct store_addresses addresses;
	struct bytes password_hash;
	char hash[PASSWORD_HASH_SIZE];
};

static bool
same_addresses(const struct store_person_view *v, const struct store_addresses *a)
{
	if (v->n_addresses != a->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!bytes_eq(v->addresses[i], a->addresses[i]))
			return false;
	return true;
}

/* Those that the person does not have yet. */
static struct store_addresses
new_addresses(const struct store_person_view *v, const struct store_addresses *all, struct arena *a)
{
	struct store_addresses out = {.folded = arena_new_array(a, struct bytes, all->n + 1)};
	for (size_t i = 0; i < all->n; i++) {
		size_t k = 0;
		while (k < v->n_addresses && !bytes_eq(v->addresses[k], all->addresses[i]))
			k++;
		if (k == v->n_addresses)
			out.folded[out.n++] = all->folded[i];
	}
	return out;
}

/* What the caller must have to do this to this person. */
static enum rc
may_update(struct change *c, const struct update *u, const struct store_person_view *now, struct err *e)
{
	struct access x;
	enum rc rc = store_get_access(&c->t, &u->id, &x, e);
	if (rc != RC_OK)
		return rc;
	struct permission_set needed = access_when_enabled(&x);
	struct store_addresses more = new_addresses(now, &u->addresses, c->t.a);
	if (u->password_hash.p != NULL)
		needed = permission_or(needed, send_set());
	if (uuid_eq(&u->id, &c->r->actor->account) && x.disabled && !u->q->disabled)
		return err_set(e, RC_DENIED, "nobody enables himself");
	rc = permission_need(needed, c->mine, e);
	return rc == RC_OK && more.n > 0 ? may_register(c, &u->id, &more, e) : rc;
}

static enum rc
note(struct change *c, const struct update *u, const char *action, const char *name, const char *value, struct err *e)
{
	const struct store_detail detail[] = {{name, bytes_str(value)}, {0}};
	return store_intent(&c->t, action, RC_OK, &u->id, name != NULL ? detail : NULL, e);
}

/* Each thing that is different gets its own entry. */
static enum rc
apply(struct change *c, const struct update *u, const struct store_person_view *now, bool *changed_r, struct err *e)
{
	const Sekisho__Auth__UserUpdateRequest *q = u->q;
	bool renamed = !bytes_eq(now->display_name, bytes_str(q->display_name));
	bool readdressed = !same_addresses(now, &u->addresses), was_disabled = now->disabled_us != 0;
	bool passworded = q->set_password && (u->password_hash.p != NULL || now->has_password);
	bool unlocked = q->unlock && now->locked_until_us != 0;
	int64_t ended = 0;
	enum rc rc = RC_OK;
	*changed_r = renamed || readdressed || was_disabled != (q->disabled != 0) || passworded || unlocked;
	if (*changed_r)
		rc = store_set_person(&c->t, &u->id, bytes_str(q->display_name), q->disabled, e);
	if (rc == RC_OK && readdressed)
		rc = store_set_addresses(&c->t, &u->id, &u->addresses, e);
	if (rc == RC_OK && (renamed || readdressed))
		rc = note(c, u, "user.updated", "what",
			  !readdressed ? "name"
			  : !renamed   ? "addresses"
				       : "name, addresses",
			  e);
	if (rc == RC_OK && passworded)
		rc = store_set_password(&c->t, &u->id, &u->password_id, u->password_hash, e);
	if (rc == RC_OK && passworded)
		rc = note(c, u, "user.password_set", "how", u->password_hash.p != NULL ? "new" : "removed", e);
	if (rc == RC_OK && (unlocked || (q->unlock && *changed_r)))
		rc = store_unlock(&c->t, &u->id, e);
	if (rc == RC_OK && unlocked)
		rc = note(c, u, "user.unlocked", NULL, NULL, e);
	if (rc == RC_OK && q->disabled)
		rc = store_end_credentials(&c->t, &u->id, &ended, e);
	if (rc == RC_OK && q->disabled && !was_disabled)
		rc =
		    note(c, u, "user.disabled", "credentials_ended", arena_printf(c->t.a, "%lld", (long long)ended), e);
	if (rc == RC_OK && !q->disabled && was_disabled)
		rc = note(c, u, "user.enabled", NULL, NULL, e);
	return rc;
}

static enum rc
update_user(struct change *c, const struct update *u, struct buf *reply, struct err *e)
{
	Sekisho__Auth__UserUpdateReply p = SEKISHO__AUTH__USER_UPDATE_REPLY__INIT;
	struct store_person_view v;
	bool changed = false;
	svc_record_subject(c->r, &u->id);
	enum rc rc = change_lock(c, e);
	if (rc == RC_OK)
		rc = store_get_view(&c->t, &u->id, NULL, &v, e);
	if (rc == RC_OK)
		rc = may_update(c, u, &v, e);
	if (rc == RC_OK)
		rc = change_check_version(u->q->if_version, v.version, e);
	if (rc == RC_OK)
		rc = apply(c, u, &v, &changed, e);
	if (rc == RC_OK && !changed)
		svc_record_unchanged(c->r);
	if (rc == RC_OK && changed)
		rc = change_keep_way_in(c, e);
	if (rc == RC_OK && changed)
		rc = store_get_view(&c->t, &u->id, NULL, &v, e);
	if (rc != RC_OK)
		return rc;
	p.user = people_wire(&v, c->t.a);
	return wire_encode(&p, reply, e);
}

enum rc
auth_handle_user_update(const struct svc_request *r, struct buf *reply, struct err *e)
{
	Sekisho__Auth__UserUpdateRequest *q = NULL;
	struct update u = {.password_id = uuid_v7(clock_wall_us())};
	struct change c;
	bool done = false;
	enum rc rc = wire_decode(r, &sekisho__auth__user_update_request__descriptor, &q, e);
	u.q = q;
	if (rc == RC_OK)
		rc = wire_uuid(q->id, &u.id, e);
	if (rc == RC_OK)
		rc = names_check(bytes_str(q->display_name), true, "the display name", e);
	if (rc == RC_OK)
		rc = take_addresses(q->addresses, q->n_addresses, r->in->arena, &u.addresses, e);
	if (rc == RC_OK && q->disabled && q->set_password && q->password[0] != 0)
		rc = err_set(e, RC_INVALID, "a disabled person gets no password");
	if (rc == RC_OK && q->set_password)
		rc = take_password(q->password, r->in->deadline_ms, u.hash, &u.password_hash, e);
	if (rc == RC_OK)
		rc = change_begin(&c, r, &r->actor->tenant, reply, &done, e);
	if (rc != RC_OK || done)
		return rc;
	return change_end(&c, update_user(&c, &u, reply, e), NULL, reply, e);
}
