/* SPDX-License-Identifier: MIT
 *
 * Who the caller is, tenants and domains. Secrets appear once, in the answer that makes them, and in no log.
 */
#include <string.h>

#include "client/delivery_client.h"
#include "json_in.h"
#include "ops.h"

#define CALL(c)                                                                                                        \
	struct auth_call c = OP_CALL(api, r, "auth");                                                                  \
	c.idempotency_key = r->idempotency_key
#define STRING(at, name, required, max) ((const char *)json_in_string((at), (name), (required), (max)).p)

OP(op_me_get)
{
	CALL(c);
	struct auth_who who;
	enum rc rc = auth_who(&c, r->arena, &who, e);
	if (rc != RC_OK)
		return rc;
	struct json_out o = op_begin(w);
	op_put_uuid_or_null(&o, "tenant", &who.tenant);
	json_out_bytes(&o, "tenant_name", who.tenant_name);
	json_out_bool(&o, "sandbox", who.sandbox);
	json_out_uuid(&o, "account", &who.account);
	json_out_str(&o, "name", who.name);
	op_put_words(&o, "permissions", who.permissions, who.n_permissions);
	return op_end(&o, w, 200);
}

/* --- tenants
 * -------------------------------------------------------------------------------------------------
 */
static void
put_tenant_fields(struct json_out *o, const struct auth_tenant *t)
{
	json_out_uuid(o, "id", &t->id);
	json_out_bytes(o, "name", t->name);
	json_out_time(o, "created_at", t->created_us);
	json_out_bool(o, "sandbox", t->sandbox);
	json_out_str(o, "language", t->language);
	json_out_bool(o, "head_mail", t->head_mail);
	json_out_int(o, "version", (int64_t)t->version);
}

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
		put_tenant_fields(&o, &v[i]);
		json_out_close(&o, '}');
	}
	json_out_close(&o, ']');
	return op_end(&o, w, 200);
}

OP(op_tenants_create)
{
	CALL(c);
	static const char *const names[] = {"name", "sandbox", NULL};
	struct json_in in;
	struct json_at root = json_in_root(&in, r->arena, r->json);
	json_in_object(root, names);
	struct bytes name = json_in_string(root, "name", true, AUTH_NAME_MAX);
	bool sandbox = json_in_bool(root, "sandbox");
	if (!op_json_ok(&in, r, w))
		return RC_OK;
	struct uuid tenant;
	const char *key;
	enum rc rc = auth_tenant_create(&c, name, sandbox, r->arena, &tenant, &key, e);
	if (rc != RC_OK)
		return rc;
	struct json_out o = op_begin(w);
	json_out_uuid(&o, "id", &tenant);
	json_out_bytes(&o, "name", name);
	json_out_bool(&o, "sandbox", sandbox);
	json_out_str(&o, "admin_key", key);
	return op_end(&o, w, 201);
}

static enum rc
put_tenant(const struct api_request *r, struct api_response *w, const struct auth_tenant *t)
{
	struct json_out o = op_begin(w);
	put_tenant_fields(&o, t);
	enum rc rc = op_end(&o, w, 200);
	op_version(r, w, t->version, false);
	return rc;
}

OP(op_tenant_get)
{
	CALL(c);
	struct auth_tenant t;
	enum rc rc = auth_tenant_get(&c, r->arena, &t, e);
	return rc == RC_OK ? put_tenant(r, w, &t) : rc;
}

OP(op_tenant_put)
{
	CALL(c);
	static const char *const names[] = {"name", "language", "head_mail", NULL};
	struct json_in in;
	struct auth_tenant_settings s = {0};
	bool must_be_new;
	if (!op_condition(r, w, &s.if_version, &must_be_new))
		return RC_OK;
	struct json_at root = json_in_root(&in, r->arena, r->json);
	json_in_object(root, names);
	s.name = json_in_string(root, "name", true, AUTH_NAME_MAX);
	s.language = STRING(root, "language", true, 8);
	if (strcmp(s.language, "ja") != 0 && strcmp(s.language, "en") != 0)
		json_in_fail(root, "language", "must be ja or en");
	s.head_mail = json_in_bool(root, "head_mail");
	if (!json_in_has(root, "head_mail"))
		json_in_fail(root, "head_mail", "is required");
	if (!op_json_ok(&in, r, w))
		return RC_OK;
	struct auth_tenant t;
	enum rc rc = auth_tenant_update(&c, &s, r->arena, &t, e);
	return rc == RC_OK ? put_tenant(r, w, &t) : rc;
}

/* --- domains
 * -------------------------------------------------------------------------------------------------
 */
OP(op_domains_list)
{
	CALL(c);
	struct auth_directory d;
	enum rc rc = auth_domain_list(&c, r->arena, &d, e);
	if (rc != RC_OK)
		return rc;
	struct json_out o = op_begin(w);
	json_out_open(&o, "domains", '[');
	for (size_t i = 0; i < d.n_domains; i++) {
		json_out_open(&o, NULL, '{');
		json_out_str(&o, "name", d.domains[i].name);
		json_out_str(&o, "class", auth_class_str(d.domains[i].class));
		json_out_bool(&o, "proven", d.domains[i].proven);
		json_out_close(&o, '}');
	}
	json_out_close(&o, ']');
	return op_end(&o, w, 200);
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
	else if (json_in_has(root, "class") && strcmp(class, "internal") != 0)
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
	/* Keys are the tenant's own affair: who asserts a domain for another tenant gets none of its records. */
	if (rc == RC_OK && answer.proven && wish.class == AUTH_INTERNAL && wish.tenant == NULL) {
		struct delivery_call d = OP_CALL(api, r, "delivery");
		d.tenant = &r->holder.tenant;
		d.idempotency_key = r->idempotency_key;
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
