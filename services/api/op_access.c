/* SPDX-License-Identifier: MIT
 *
 * Roles and groups. They are named by their name, and made and changed by the same PUT.
 */
#include "json_in.h"
#include "ops.h"

#define CALL(c)                                                                                                        \
	struct auth_call c = OP_CALL(api, r, "auth");                                                                  \
	c.idempotency_key = r->idempotency_key
#define STRING(at, name, required, max) ((const char *)json_in_string((at), (name), (required), (max)).p)

static void
put_role(struct json_out *o, const struct auth_role *x)
{
	json_out_str(o, "name", x->name);
	json_out_str(o, "description", x->description);
	op_put_words(o, "permissions", x->permissions, x->n_permissions);
	json_out_bool(o, "built_in", x->built_in);
	json_out_int(o, "version", (int64_t)x->version);
}

static void
put_group(struct json_out *o, const struct auth_group *x)
{
	json_out_str(o, "name", x->name);
	json_out_str(o, "description", x->description);
	op_put_words(o, "members", x->members, x->n_members);
	op_put_words(o, "roles", x->roles, x->n_roles);
	json_out_int(o, "version", (int64_t)x->version);
}

OP(op_roles_list)
{
	CALL(c);
	struct auth_role *v;
	size_t n;
	enum rc rc = auth_role_list(&c, r->arena, &v, &n, e);
	if (rc != RC_OK)
		return rc;
	struct json_out o = op_begin(w);
	json_out_open(&o, "roles", '[');
	for (size_t i = 0; i < n; i++) {
		json_out_open(&o, NULL, '{');
		put_role(&o, &v[i]);
		json_out_close(&o, '}');
	}
	json_out_close(&o, ']');
	return op_end(&o, w, 200);
}

static enum rc
end_put(struct json_out *o, const struct api_request *r, struct api_response *w, bool created, uint64_t version)
{
	/* The path as it was asked for names it. */
	if (created)
		api_response_header(w, "Location", r->path);
	enum rc rc = op_end(o, w, created ? 201 : 200);
	op_version(r, w, version, false);
	return rc;
}

OP(op_roles_put)
{
	CALL(c);
	static const char *const names[] = {"description", "permissions", NULL};
	struct json_in in;
	struct auth_role wish = {.name = r->param}, role;
	uint64_t if_version;
	bool must_be_new, created;
	if (!op_condition(r, w, &if_version, &must_be_new))
		return RC_OK;
	struct json_at root = json_in_root(&in, r->arena, r->json);
	json_in_object(root, names);
	wish.description = STRING(root, "description", false, AUTH_DESCRIPTION_MAX);
	wish.n_permissions = op_read_words(root, "permissions", ACTOR_PERMISSIONS_MAX, 64, &wish.permissions);
	if (!json_in_has(root, "permissions"))
		json_in_fail(root, "permissions", "is required");
	if (!op_json_ok(&in, r, w))
		return RC_OK;
	enum rc rc = auth_role_put(&c, &wish, if_version, must_be_new, r->arena, &role, &created, e);
	if (rc != RC_OK)
		return rc;
	struct json_out o = op_begin(w);
	put_role(&o, &role);
	return end_put(&o, r, w, created, role.version);
}

OP(op_roles_delete)
{
	CALL(c);
	uint64_t if_version;
	bool must_be_new;
	if (!op_condition(r, w, &if_version, &must_be_new))
		return RC_OK;
	enum rc rc = auth_role_delete(&c, r->param, if_version, r->arena, e);
	if (rc == RC_OK)
		w->status = 204;
	return rc;
}

OP(op_groups_list)
{
	CALL(c);
	struct auth_group *v;
	size_t n;
	enum rc rc = auth_group_list(&c, r->arena, &v, &n, e);
	if (rc != RC_OK)
		return rc;
	struct json_out o = op_begin(w);
	json_out_open(&o, "groups", '[');
	for (size_t i = 0; i < n; i++) {
		json_out_open(&o, NULL, '{');
		put_group(&o, &v[i]);
		json_out_close(&o, '}');
	}
	json_out_close(&o, ']');
	return op_end(&o, w, 200);
}

OP(op_groups_put)
{
	CALL(c);
	static const char *const names[] = {"members", "roles", "description", NULL};
	struct json_in in;
	struct auth_group wish = {.name = r->param}, group;
	uint64_t if_version;
	bool must_be_new, created;
	if (!op_condition(r, w, &if_version, &must_be_new))
		return RC_OK;
	struct json_at root = json_in_root(&in, r->arena, r->json);
	json_in_object(root, names);
	wish.description = STRING(root, "description", false, AUTH_DESCRIPTION_MAX);
	wish.n_members = op_read_words(root, "members", AUTH_MEMBERS_MAX, AUTH_NAME_MAX, &wish.members);
	wish.n_roles = op_read_words(root, "roles", AUTH_ROLES_MAX, AUTH_NAME_MAX, &wish.roles);
	for (size_t i = 0; i < 2; i++)
		if (!json_in_has(root, names[i]))
			json_in_fail(root, names[i], "is required");
	if (!op_json_ok(&in, r, w))
		return RC_OK;
	enum rc rc = auth_group_put(&c, &wish, if_version, must_be_new, r->arena, &group, &created, e);
	if (rc != RC_OK)
		return rc;
	struct json_out o = op_begin(w);
	put_group(&o, &group);
	return end_put(&o, r, w, created, group.version);
}

OP(op_groups_delete)
{
	CALL(c);
	uint64_t if_version;
	bool must_be_new;
	if (!op_condition(r, w, &if_version, &must_be_new))
		return RC_OK;
	enum rc rc = auth_group_delete(&c, r->param, if_version, r->arena, e);
	if (rc == RC_OK)
		w->status = 204;
	return rc;
}
