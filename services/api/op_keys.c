/* SPDX-License-Identifier: MIT
 *
 * API keys and application passwords. A secret appears once, in the answer that makes it.
 */
#include <string.h>

#include "json_in.h"
#include "ops.h"

#define CALL(c)                                                                                                        \
	struct auth_call c = OP_CALL(api, r, "auth");                                                                  \
	c.idempotency_key = r->idempotency_key
#define STRING(at, name, required, max) ((const char *)json_in_string((at), (name), (required), (max)).p)

static void
put_key(struct json_out *o, const struct auth_key *k)
{
	json_out_open(o, NULL, '{');
	json_out_uuid(o, "id", &k->id);
	json_out_str(o, "kind", k->kind == AUTH_APP_PASSWORD ? "app_password" : "api_key");
	json_out_str(o, "name", k->name);
	json_out_str(o, "login", k->login);
	op_put_words(o, "permissions", k->permissions, k->n_permissions);
	json_out_str(o, "prefix", k->prefix);
	json_out_time(o, "created_at", k->created_us);
	json_out_time(o, "expires_at", k->expires_us);
	json_out_time(o, "revoked_at", k->revoked_us);
	op_put_uuid_or_null(o, "replaced_by", &k->replaced_by);
	json_out_close(o, '}');
}

OP(op_keys_list)
{
	CALL(c);
	uint32_t limit;
	bool ended;
	struct auth_keys page;
	const char *login = api_query(r, "login"), *cursor = api_query(r, "cursor");
	if (!op_limit(r, w, AUTH_LIST_MAX, &limit) || !op_bool(r, w, "ended", &ended) ||
	    !op_text(r, w, "login", AUTH_NAME_MAX))
		return RC_OK;
	enum rc rc = auth_key_list(&c, limit, cursor != NULL ? cursor : "", login != NULL ? login : "", ended, r->arena,
				   &page, e);
	if (rc != RC_OK)
		return rc;
	struct json_out o = op_begin(w);
	json_out_open(&o, "keys", '[');
	for (size_t i = 0; i < page.n; i++)
		put_key(&o, &page.v[i]);
	json_out_close(&o, ']');
	op_put_cursor(&o, page.next_cursor);
	return op_end(&o, w, 200);
}

static bool
read_wish(struct api_request *r, struct api_response *w, struct auth_key_wish *wish, struct uuid *tenant)
{
	static const char *const names[] = {"kind", "name", "login", "permissions", "expires_at", "tenant", NULL};
	struct json_in in;
	const char **permissions;
	struct json_at root = json_in_root(&in, r->arena, r->json);
	json_in_object(root, names);
	const char *kind = STRING(root, "kind", true, 32);
	wish->kind = strcmp(kind, "app_password") == 0 ? AUTH_APP_PASSWORD : AUTH_API_KEY;
	if (wish->kind == AUTH_API_KEY && strcmp(kind, "api_key") != 0)
		json_in_fail(root, "kind", "must be api_key or app_password");
	wish->name = json_in_string(root, "name", true, AUTH_NAME_MAX);
	wish->login = STRING(root, "login", false, AUTH_NAME_MAX);
	wish->n_permissions = op_read_words(root, "permissions", ACTOR_PERMISSIONS_MAX, 64, &permissions);
	wish->permissions = permissions;
	if (json_in_has(root, "expires_at")) {
		const char *s = STRING(root, "expires_at", false, 64);
		/* Whole seconds: what is shown later is what was asked for. */
		wish->expires_us = strchr(s, '.') == NULL ? op_parse_time(s) : 0;
		if (wish->expires_us == 0)
			json_in_fail(root, "expires_at", "must be a time in UTC such as 2027-01-31T00:00:00Z");
	}
	if (json_in_has(root, "tenant")) {
		if (!uuid_parse(STRING(root, "tenant", false, 64), tenant))
			json_in_fail(root, "tenant", "must be the id of a tenant");
		wish->tenant = tenant;
	}
	return op_json_ok(&in, r, w);
}

OP(op_keys_create)
{
	CALL(c);
	struct auth_key_wish wish = {0};
	struct uuid tenant;
	struct auth_new_key key;
	if (!read_wish(r, w, &wish, &tenant))
		return RC_OK;
	enum rc rc = auth_key_create(&c, &wish, r->arena, &key, e);
	if (rc != RC_OK)
		return rc;
	struct json_out o = op_begin(w);
	json_out_uuid(&o, "id", &key.id);
	json_out_str(&o, "secret", key.secret);
	json_out_str(&o, "login", key.login);
	return op_end(&o, w, 201);
}

OP(op_keys_rotate)
{
	CALL(c);
	struct uuid id;
	uint32_t overlap;
	struct auth_new_key key;
	int64_t old_expires_us;
	if (!op_param_uuid(r, w, &id) || !op_read_overlap(r, w, AUTH_OVERLAP_SECONDS_MAX, &overlap))
		return RC_OK;
	enum rc rc = auth_key_rotate(&c, &id, overlap, r->arena, &key, &old_expires_us, e);
	if (rc != RC_OK)
		return rc;
	struct json_out o = op_begin(w);
	json_out_uuid(&o, "id", &key.id);
	json_out_str(&o, "secret", key.secret);
	json_out_time(&o, "old_expires_at", old_expires_us);
	return op_end(&o, w, 201);
}

OP(op_keys_revoke)
{
	CALL(c);
	struct uuid id;
	if (!op_param_uuid(r, w, &id))
		return RC_OK;
	enum rc rc = auth_key_revoke(&c, &id, r->arena, e);
	if (rc == RC_OK)
		w->status = 204;
	return rc;
}
