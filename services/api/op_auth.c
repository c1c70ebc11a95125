/* SPDX-License-Identifier: MIT
 *
 * Tenants, people, keys, domains. Secrets appear once, in the answer that makes them, and in no log.
 */
#include <string.h>
#include <time.h>

#include "client/delivery_client.h"
#include "json_in.h"
#include "ops.h"

#define CALL(c)				struct auth_call c = OP_CALL(api, r, "auth")
#define STRING(at, name, required, max) ((const char *)json_in_string((at), (name), (required), (max)).p)

OP(op_tenants_list)
{
	CALL(c);
	struct auth_tenant *v;
	size_t n;
	enum rc rc = auth_tenant_list(&c, r->arena, &v, &n, e);
	if (rc != RC_OK)
		return rc;
	struct json_out o = op_begin(w);
	json_out_open(&o, "tenants", '[');
	for (size_t i = 0; i < n; i++) {
		json_out_open(&o, NULL, '{');
		json_out_uuid(&o, "id", &v[i].id);
		json_out_bytes(&o, "name", v[i].name);
		json_out_time(&o, "created_at", v[i].created_us);
		json_out_close(&o, '}');
	}
	json_out_close(&o, ']');
	return op_end(&o, w, 200);
}

OP(op_tenants_create)
{
	CALL(c);
	static const char *const names[] = {"name", NULL};
	struct json_in in;
	struct json_at root = json_in_root(&in, r->arena, r->json);
	json_in_object(root, names);
	struct bytes name = json_in_string(root, "name", true, AUTH_NAME_MAX);
	if (!op_json_ok(&in, r, w))
		return RC_OK;
	struct uuid tenant;
	const char *key;
	enum rc rc = auth_tenant_create(&c, name, false, r->arena, &tenant, &key, e);
	if (rc != RC_OK)
		return rc;
	struct json_out o = op_begin(w);
	json_out_uuid(&o, "id", &tenant);
	json_out_bytes(&o, "name", name);
	json_out_str(&o, "admin_key", key);
	return op_end(&o, w, 201);
}

/* Strings of an array member. */
static size_t
read_strings(struct json_at at, const char *name, size_t max_n, size_t max_octets, struct bytes **out_r)
{
	struct json_at list;
	size_t n = json_in_array(at, name, max_n, &list);
	*out_r = arena_new_array(at.in->arena, struct bytes, n + 1);
	for (size_t i = 0; i < n; i++)
		(*out_r)[i] = json_in_string_here(json_in_element(list, i), max_octets);
	return n;
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
	    .n_addresses = read_strings(root, "addresses", AUTH_ADDRESSES_MAX, AUTH_ADDRESS_MAX, &addresses),
	};
	u.addresses = addresses;
	if (!op_json_ok(&in, r, w))
		return RC_OK;
	struct uuid account;
	enum rc rc = auth_user_create(&c, &u, r->arena, &account, e);
	if (rc != RC_OK)
		return rc;
	struct json_out o = op_begin(w);
	json_out_uuid(&o, "id", &account);
	json_out_str(&o, "login", u.login);
	return op_end(&o, w, 201);
}

/* "2027-01-31T00:00:00Z" to microseconds; 0 if it is not such a time. Only UTC, whole seconds: what is written back
 * must be what was read. */
static int64_t
parse_time(const char *s)
{
	static const char form[] = "%Y-%m-%dT%H:%M:%SZ";
	struct tm tm = {0};
	char again[32] = "";
	if (strptime(s, form, &tm) == NULL)
		return 0;
	time_t t = timegm(&tm);
	if (t <= 0 || gmtime_r(&t, &tm) == NULL || strftime(again, sizeof(again), form, &tm) == 0)
		return 0;
	return strcmp(s, again) == 0 ? (int64_t)t * 1000000 : 0;
}

OP(op_keys_create)
{
	CALL(c);
	static const char *const names[] = {"kind", "name", "login", "permissions", "expires_at", NULL};
	struct json_in in;
	struct json_at root = json_in_root(&in, r->arena, r->json);
	json_in_object(root, names);
	const char *kind = STRING(root, "kind", true, 32);
	struct bytes *permissions;
	struct auth_key_wish wish = {
	    .kind = strcmp(kind, "app_password") == 0 ? AUTH_APP_PASSWORD : AUTH_API_KEY,
	    .name = json_in_string(root, "name", true, AUTH_NAME_MAX),
	    .login = STRING(root, "login", false, AUTH_NAME_MAX),
	    .n_permissions = read_strings(root, "permissions", ACTOR_PERMISSIONS_MAX, 64, &permissions),
	};
	if (wish.kind == AUTH_API_KEY && strcmp(kind, "api_key") != 0)
		json_in_fail(root, "kind", "must be api_key or app_password");
	const char *expires = STRING(root, "expires_at", false, 64);
	wish.expires_us = parse_time(expires);
	if (expires[0] != '\0' && wish.expires_us == 0)
		json_in_fail(root, "expires_at", "must be a time in UTC such as 2027-01-31T00:00:00Z");
	const char **words = arena_new_array(r->arena, const char *, wish.n_permissions + 1);
	for (size_t i = 0; i < wish.n_permissions; i++)
		words[i] = (const char *)permissions[i].p;
	wish.permissions = words;
	if (!op_json_ok(&in, r, w))
		return RC_OK;
	struct auth_new_key key;
	enum rc rc = auth_key_create(&c, &wish, r->arena, &key, e);
	if (rc != RC_OK)
		return rc;
	struct json_out o = op_begin(w);
	json_out_uuid(&o, "id", &key.id);
	json_out_str(&o, "secret", key.secret);
	json_out_str(&o, "login", key.login);
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

static bool
read_domain(struct api_request *r, struct api_response *w, struct auth_domain_wish *wish, struct uuid *tenant)
{
	static const char *const names[] = {"name", "class", "assert_proven", "tenant", NULL};
	struct json_in in;
	struct json_at root = json_in_root(&in, r->arena, r->json);
	json_in_object(root, names);
	wish->name = STRING(root, "name", true, 255);
	const char *class = STRING(root, "class", false, 16);
	wish->class = AUTH_INTERNAL;
	if (strcmp(class, "affiliate") == 0)
		wish->class = AUTH_AFFILIATE;
	else if (strcmp(class, "external") == 0)
		wish->class = AUTH_EXTERNAL;
	else if (class[0] != '\0' && strcmp(class, "internal") != 0)
		json_in_fail(root, "class", "must be internal, affiliate or external");
	wish->assert_proven = json_in_bool(root, "assert_proven");
	if (json_in_has(root, "tenant")) {
		if (!uuid_parse(STRING(root, "tenant", false, 64), tenant))
			json_in_fail(root, "tenant", "must be the id of a tenant");
		wish->tenant = tenant;
	}
	return op_json_ok(&in, r, w);
}

/* Not proven: the record to publish first. Proven and ours: the keys that sign for it, as records to publish. */
OP(op_domains_add)
{
	CALL(c);
	struct uuid tenant;
	struct auth_domain_wish wish = {0};
	struct auth_domain_answer answer;
	struct delivery_dns_records records = {0};
	if (!read_domain(r, w, &wish, &tenant))
		return RC_OK;
	enum rc rc = auth_domain_add(&c, &wish, r->arena, &answer, e);
	if (rc == RC_OK && answer.proven && wish.class == AUTH_INTERNAL && wish.tenant == NULL) {
		struct delivery_call d = OP_CALL(api, r, "delivery");
		d.tenant = &r->holder.tenant;
		rc = delivery_dkim(&d, wish.name, r->arena, &records, e);
	}
	if (rc != RC_OK)
		return rc;
	struct delivery_dns_record challenge = {
	    .name = answer.txt_name, .type = "TXT", .value = answer.txt_value, .selector = "", .algorithm = ""};
	if (!answer.proven && answer.txt_name[0] != '\0')
		records = (struct delivery_dns_records){&challenge, 1};
	struct json_out o = op_begin(w);
	json_out_str(&o, "name", wish.name);
	json_out_str(&o, "class", auth_class_str(wish.class));
	json_out_bool(&o, "proven", answer.proven);
	op_put_records(&o, &records);
	return op_end(&o, w, 200);
}
