/* SPDX-License-Identifier: MIT
 *
 * sekisho policy, tenant, user, key, domain, route: what administrators set.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "term.h"

#define POLICY_MAX (256u * 1024)

static const char *
safe(struct cli *c, const char *s)
{
	return term_safe(c->arena, bytes_str(s));
}

int
cmd_policy_get(struct cli *c)
{
	const char *version = cli_value(c, "--version");
	const char *path =
	    version != NULL ? arena_printf(c->arena, "/v1/policy/%s", cli_encode(c, version)) : "/v1/policy";
	struct cli_answer a = {0};
	int code = cli_call_json(c, "GET", path, NULL, &a);
	/* A rule set is JSON for people too, so that what is printed can be edited and put. */
	c->args.json = true;
	if (code == CLI_OK)
		(void)cli_print_json(c, &a);
	json_decref(a.json);
	return code;
}

static void
print_findings(struct cli *c, const json_t *list)
{
	size_t i;
	json_t *f;
	json_array_foreach(list, i, f)
	{
		printf("%s %s: %s\n", safe(c, cli_str(f, "severity")), safe(c, cli_str(f, "pointer")),
		       safe(c, cli_str(f, "detail")));
	}
}

static bool
policy_request(struct cli *c, struct cli_request *r)
{
	r->content_type = "application/json";
	return cli_read_file(c, c->args.argument[0], POLICY_MAX, &r->body);
}

int
cmd_policy_put(struct cli *c)
{
	struct cli_request r = {.method = "PUT", .path = "/v1/policy"};
	struct cli_answer a = {0};
	if (!policy_request(c, &r))
		return CLI_USAGE;
	const char *version = cli_value(c, "--if-version");
	if (version != NULL)
		r.headers[0] = (struct cli_header){"If-Match", arena_printf(c->arena, "\"%s\"", version)};
	int code = cli_call(c, &r, &a);
	if (code == CLI_OK && !cli_print_json(c, &a)) {
		print_findings(c, json_object_get(a.json, "findings"));
		printf("version %lld is in force\n", (long long)cli_int(a.json, "version"));
	}
	json_decref(a.json);
	return code;
}

int
cmd_policy_check(struct cli *c)
{
	struct cli_request r = {.method = "POST", .path = "/v1/policy/check"};
	struct cli_answer a = {0};
	if (!policy_request(c, &r))
		return CLI_USAGE;
	int code = cli_call(c, &r, &a);
	if (code == CLI_OK) {
		bool valid = json_is_true(json_object_get(a.json, "valid"));
		if (!cli_print_json(c, &a)) {
			print_findings(c, json_object_get(a.json, "findings"));
			puts(valid ? "valid" : "not valid");
		}
		code = valid ? CLI_OK : CLI_FAILED;
	}
	json_decref(a.json);
	return code;
}

int
cmd_tenant_create(struct cli *c)
{
	struct cli_answer a = {0};
	int code = cli_call_json(c, "POST", "/v1/tenants", json_pack("{s:s}", "name", c->args.argument[0]), &a);
	if (code == CLI_OK && !cli_print_json(c, &a))
		printf("tenant     %s\nadmin key  %s\n", safe(c, cli_str(a.json, "id")),
		       safe(c, cli_str(a.json, "admin_key")));
	json_decref(a.json);
	return code;
}

int
cmd_tenant_list(struct cli *c)
{
	static const char *const head[] = {"ID", "NAME", "CREATED (UTC)", NULL};
	struct cli_answer a = {0};
	int code = cli_call_json(c, "GET", "/v1/tenants", NULL, &a);
	if (code == CLI_OK && !cli_print_json(c, &a)) {
		struct term_table t;
		size_t i;
		json_t *x;
		term_table_init(&t, c->arena, head);
		json_array_foreach(json_object_get(a.json, "tenants"), i, x)
		{
			term_table_row(
			    &t, (const char *[]){cli_str(x, "id"), cli_str(x, "name"), cli_time(c, x, "created_at")});
		}
		term_table_print(&t, stdout);
	}
	json_decref(a.json);
	return code;
}

static json_t *
all_values(struct cli *c, const char *option)
{
	json_t *list = json_array();
	const char *v;
	for (int at = 0; (v = cli_next_value(c, option, &at)) != NULL;)
		json_array_append_new(list, json_string(v));
	return list;
}

static void
set_if_given(struct cli *c, json_t *body, const char *option, const char *member)
{
	const char *v = cli_value(c, option);
	if (v != NULL)
		json_object_set_new(body, member, json_string(v));
}

/* Secrets come from files, never from the command line, where every process can read them. */
static bool
set_password(struct cli *c, json_t *body)
{
	const char *path = cli_value(c, "--password-file");
	struct bytes text;
	if (path == NULL)
		return true;
	if (!cli_read_file(c, path, 4096, &text))
		return false;
	size_t n = 0;
	while (n < text.n && text.p[n] != '\n' && text.p[n] != '\r')
		n++;
	json_t *s = json_stringn((const char *)text.p, n);
	if (s == NULL) {
		cli_error("the password is not UTF-8");
		return false;
	}
	json_object_set_new(body, "password", s);
	return true;
}

int
cmd_user_create(struct cli *c)
{
	json_t *body = json_pack("{s:s}", "login", c->args.argument[0]);
	set_if_given(c, body, "--name", "display_name");
	json_object_set_new(body, "addresses", all_values(c, "--address"));
	if (!set_password(c, body)) {
		json_decref(body);
		return CLI_USAGE;
	}
	struct cli_answer a = {0};
	int code = cli_call_json(c, "POST", "/v1/users", body, &a);
	if (code == CLI_OK && !cli_print_json(c, &a))
		printf("user  %s\n", safe(c, cli_str(a.json, "id")));
	json_decref(a.json);
	return code;
}

int
cmd_key_create(struct cli *c)
{
	bool app = cli_has(c, "--app-password");
	json_t *body = json_pack("{s:s, s:s}", "kind", app ? "app_password" : "api_key", "name", c->args.argument[0]);
	set_if_given(c, body, "--login", "login");
	set_if_given(c, body, "--expires", "expires_at");
	json_object_set_new(body, "permissions", all_values(c, "--permission"));
	struct cli_answer a = {0};
	int code = cli_call_json(c, "POST", "/v1/keys", body, &a);
	if (code == CLI_OK && !cli_print_json(c, &a)) {
		printf("key     %s\nsecret  %s\n", safe(c, cli_str(a.json, "id")), safe(c, cli_str(a.json, "secret")));
		if (cli_str(a.json, "login")[0] != '\0')
			printf("login   %s\n", safe(c, cli_str(a.json, "login")));
	}
	json_decref(a.json);
	return code;
}

int
cmd_key_revoke(struct cli *c)
{
	struct cli_answer a = {0};
	const char *path = arena_printf(c->arena, "/v1/keys/%s", cli_encode(c, c->args.argument[0]));
	int code = cli_call_json(c, "DELETE", path, NULL, &a);
	if (code == CLI_OK && !c->args.json)
		puts("revoked");
	json_decref(a.json);
	return code;
}

/* As they stand in a zone file, but on one line each: name, type, value. */
static void
print_records(struct cli *c, const json_t *list)
{
	size_t i;
	json_t *r;
	json_array_foreach(list, i, r)
	{
		printf("%s %s \"%s\"\n", safe(c, cli_str(r, "name")), safe(c, cli_str(r, "type")),
		       safe(c, cli_str(r, "value")));
	}
}

int
cmd_domain_add(struct cli *c)
{
	json_t *body = json_pack("{s:s}", "name", c->args.argument[0]);
	set_if_given(c, body, "--class", "class");
	set_if_given(c, body, "--tenant", "tenant");
	if (cli_has(c, "--assert-proven"))
		json_object_set_new(body, "assert_proven", json_true());
	struct cli_answer a = {0};
	int code = cli_call_json(c, "POST", "/v1/domains", body, &a);
	if (code == CLI_OK && !cli_print_json(c, &a)) {
		const json_t *records = json_object_get(a.json, "records");
		bool proven = json_is_true(json_object_get(a.json, "proven"));
		printf("%s: %s, %s\n", safe(c, cli_str(a.json, "name")), safe(c, cli_str(a.json, "class")),
		       proven ? "proven" : "not proven");
		if (json_array_size(records) > 0)
			puts(proven ? "publish, so that others can verify its mail:"
				    : "publish, then run the same command again:");
		print_records(c, records);
	}
	json_decref(a.json);
	return code;
}

int
cmd_domain_dkim(struct cli *c)
{
	struct cli_answer a = {0};
	const char *path = arena_printf(c->arena, "/v1/domains/%s/dkim", cli_encode(c, c->args.argument[0]));
	int code = cli_call_json(c, "GET", path, NULL, &a);
	if (code == CLI_OK && !cli_print_json(c, &a))
		print_records(c, json_object_get(a.json, "records"));
	json_decref(a.json);
	return code;
}

static int
route(struct cli *c, const char *method, json_t *body)
{
	struct cli_answer a = {0};
	const char *path = arena_printf(c->arena, "/v1/routes/%s", cli_encode(c, c->args.argument[0]));
	int code = cli_call_json(c, method, path, body, &a);
	if (code == CLI_OK && !cli_print_json(c, &a)) {
		const char *host = cli_str(a.json, "smarthost");
		printf("%s: %s, tls %s%s%s\n", safe(c, cli_str(a.json, "direction")),
		       host[0] != '\0' ? safe(c, host) : "by MX", safe(c, cli_str(a.json, "tls")),
		       cli_str(a.json, "username")[0] != '\0' ? ", as " : "", safe(c, cli_str(a.json, "username")));
	}
	json_decref(a.json);
	return code;
}

int
cmd_route_get(struct cli *c)
{
	return route(c, "GET", NULL);
}

int
cmd_route_set(struct cli *c)
{
	const char *tls = cli_value(c, "--tls"), *host = cli_value(c, "--smarthost");
	if (host == NULL) {
		cli_error("route set needs --smarthost (empty: by MX)");
		return CLI_USAGE;
	}
	json_t *body = json_pack("{s:s, s:s}", "smarthost", host, "tls", tls != NULL ? tls : "encrypt");
	set_if_given(c, body, "--username", "username");
	if (!set_password(c, body)) {
		json_decref(body);
		return CLI_USAGE;
	}
	return route(c, "PUT", body);
}
