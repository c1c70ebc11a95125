/* SPDX-License-Identifier: MIT
 *
 * People: who there is, what they may send from, what they may do.
 */
#include <string.h>

#include "json_in.h"
#include "ops.h"

#define CALL(c)                                                                                                        \
	struct auth_call c = OP_CALL(api, r, "auth");                                                                  \
	c.idempotency_key = r->idempotency_key
#define STRING(at, name, required, max) ((const char *)json_in_string((at), (name), (required), (max)).p)

static void
put_exceptions(struct json_out *o, const struct auth_person *p)
{
	json_out_open(o, "exceptions", '[');
	for (size_t i = 0; i < p->n_exceptions; i++) {
		json_out_open(o, NULL, '{');
		json_out_str(o, "permission", p->exceptions[i].permission);
		json_out_bool(o, "deny", p->exceptions[i].deny);
		json_out_close(o, '}');
	}
	json_out_close(o, ']');
}

static void
put_person_fields(struct json_out *o, const struct auth_person *p)
{
	json_out_uuid(o, "id", &p->id);
	json_out_str(o, "login", p->login);
	json_out_str(o, "display_name", p->display_name);
	op_put_words(o, "addresses", p->addresses, p->n_addresses);
	json_out_time(o, "disabled_at", p->disabled_us);
	json_out_time(o, "locked_until", p->locked_until_us);
	json_out_time(o, "created_at", p->created_us);
	op_put_words(o, "roles", p->roles, p->n_roles);
	op_put_words(o, "groups", p->groups, p->n_groups);
	put_exceptions(o, p);
	json_out_bool(o, "has_password", p->has_password);
	json_out_int(o, "version", (int64_t)p->version);
}

/* Lock and groups change without the version. */
static enum rc
put_person(const struct api_request *r, struct api_response *w, const struct auth_person *p)
{
	struct json_out o = op_begin(w);
	put_person_fields(&o, p);
	enum rc rc = op_end(&o, w, 200);
	op_version(r, w, p->version, true);
	return rc;
}

OP(op_users_list)
{
	CALL(c);
	uint32_t limit;
	struct auth_people page;
	const char *search = api_query(r, "search"), *cursor = api_query(r, "cursor");
	if (!op_limit(r, w, AUTH_LIST_MAX, &limit) || !op_text(r, w, "search", AUTH_ADDRESS_MAX))
		return RC_OK;
	enum rc rc =
	    auth_user_list(&c, limit, cursor != NULL ? cursor : "", search != NULL ? search : "", r->arena, &page, e);
	if (rc != RC_OK)
		return rc;
	struct json_out o = op_begin(w);
	json_out_open(&o, "users", '[');
	for (size_t i = 0; i < page.n; i++) {
		json_out_open(&o, NULL, '{');
		put_person_fields(&o, &page.v[i]);
		json_out_close(&o, '}');
	}
	json_out_close(&o, ']');
	op_put_cursor(&o, page.next_cursor);
	return op_end(&o, w, 200);
}

OP(op_users_create)
{
	CALL(c);
	static const char *const names[] = {"login", "display_name", "password", "addresses", NULL};
	struct json_in in;
	struct json_at root = json_in_root(&in, r->arena, r->json);
	json_in_object(root, names);
	struct bytes *addresses;
	struct auth_user u = {
	    .login = STRING(root, "login", true, AUTH_NAME_MAX),
	    .display_name = json_in_string(root, "display_name", false, AUTH_NAME_MAX),
	    .password = json_in_string(root, "password", false, AUTH_PASSWORD_MAX),
	    .n_addresses = op_read_strings(root, "addresses", AUTH_ADDRESSES_MAX, AUTH_ADDRESS_MAX, &addresses),
	};
	u.addresses = addresses;
	if (!op_json_ok(&in, r, w))
		return RC_OK;
	struct uuid account;
	enum rc rc = auth_user_create(&c, &u, r->arena, &account, e);
	if (rc != RC_OK)
		return rc;
	char id[UUID_STR_SIZE];
	uuid_format(&account, id);
	struct json_out o = op_begin(w);
	json_out_str(&o, "id", id);
	json_out_str(&o, "login", u.login);
	api_response_header(w, "Location", arena_printf(r->arena, "/v1/users/%s", id));
	return op_end(&o, w, 201);
}

/* By id, else by login. */
OP(op_users_get)
{
	CALL(c);
	struct uuid id;
	struct auth_person p;
	bool by_id = uuid_parse(r->param, &id);
	enum rc rc = auth_user_get(&c, by_id ? &id : NULL, by_id ? "" : r->param, r->arena, &p, e);
	return rc == RC_OK ? put_person(r, w, &p) : rc;
}

/* A change replaces everything; what would do harm if it were forgotten has to be said. */
static bool
read_change(struct api_request *r, struct api_response *w, struct auth_user_change *u)
{
	static const char *const names[] = {"display_name", "addresses", "disabled", "unlock", "password", NULL};
	struct json_in in;
	struct bytes *addresses;
	struct json_at root = json_in_root(&in, r->arena, r->json);
	json_in_object(root, names);
	u->display_name = json_in_string(root, "display_name", true, AUTH_NAME_MAX);
	u->n_addresses = op_read_strings(root, "addresses", AUTH_ADDRESSES_MAX, AUTH_ADDRESS_MAX, &addresses);
	u->addresses = addresses;
	u->disabled = json_in_bool(root, "disabled");
	u->unlock = json_in_bool(root, "unlock");
	for (size_t i = 1; i < 3; i++)
		if (!json_in_has(root, names[i]))
			json_in_fail(root, names[i], "is required");
	u->set_password = json_in_has(root, "password");
	if (u->set_password && !json_is_null(json_in_member(root, "password").value)) {
		u->password = json_in_string(root, "password", true, AUTH_PASSWORD_MAX);
		if (u->password.n == 0)
			json_in_fail(root, "password", "must not be empty; null takes it away");
	}
	return op_json_ok(&in, r, w);
}

OP(op_users_put)
{
	CALL(c);
	struct auth_user_change u = {.password = bytes_str("")};
	bool must_be_new;
	struct auth_person p;
	if (!op_param_uuid(r, w, &u.id) || !op_condition(r, w, &u.if_version, &must_be_new) || !read_change(r, w, &u))
		return RC_OK;
	enum rc rc = auth_user_update(&c, &u, r->arena, &p, e);
	return rc == RC_OK ? put_person(r, w, &p) : rc;
}

static bool
read_access(struct api_request *r, struct api_response *w, struct auth_access_change *u)
{
	static const char *const names[] = {"roles", "exceptions", NULL};
	static const char *const inner[] = {"permission", "deny", NULL};
	struct json_in in;
	struct json_at root = json_in_root(&in, r->arena, r->json), list;
	const char **roles;
	json_in_object(root, names);
	for (size_t i = 0; names[i] != NULL; i++)
		if (!json_in_has(root, names[i]))
			json_in_fail(root, names[i], "is required");
	u->n_roles = op_read_words(root, "roles", AUTH_ROLES_MAX, AUTH_NAME_MAX, &roles);
	u->roles = roles;
	u->n_exceptions = json_in_array(root, "exceptions", ACTOR_PERMISSIONS_MAX, &list);
	struct auth_exception *v = arena_new_array(r->arena, struct auth_exception, u->n_exceptions + 1);
	for (size_t i = 0; i < u->n_exceptions; i++) {
		struct json_at at = json_in_element(list, i);
		json_in_object(at, inner);
		v[i].permission = STRING(at, "permission", true, 64);
		v[i].deny = json_in_bool(at, "deny");
		if (!json_in_has(at, "deny"))
			json_in_fail(at, "deny", "is required");
	}
	u->exceptions = v;
	return op_json_ok(&in, r, w);
}

OP(op_users_access)
{
	CALL(c);
	struct auth_access_change u = {0};
	bool must_be_new;
	struct auth_person p;
	if (!op_param_uuid(r, w, &u.id) || !op_condition(r, w, &u.if_version, &must_be_new) || !read_access(r, w, &u))
		return RC_OK;
	enum rc rc = auth_user_access(&c, &u, r->arena, &p, e);
	return rc == RC_OK ? put_person(r, w, &p) : rc;
}

OP(op_users_permissions)
{
	CALL(c);
	struct uuid id;
	struct auth_effective *v;
	size_t n;
	if (!op_param_uuid(r, w, &id))
		return RC_OK;
	enum rc rc = auth_user_permissions(&c, &id, r->arena, &v, &n, e);
	if (rc != RC_OK)
		return rc;
	struct json_out o = op_begin(w);
	json_out_open(&o, "permissions", '[');
	for (size_t i = 0; i < n; i++) {
		json_out_open(&o, NULL, '{');
		json_out_str(&o, "permission", v[i].permission);
		json_out_bool(&o, "allowed", v[i].allowed);
		op_put_words(&o, "why", v[i].why, v[i].n_why);
		json_out_close(&o, '}');
	}
	json_out_close(&o, ']');
	return op_end(&o, w, 200);
}
