/* SPDX-License-Identifier: MIT
 *
 * sekisho whoami, tenant, key, domain, route, settings: what administrators set.
 */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "term.h"

static const struct cli_column tenant_columns[] = {
    {"tenant", "id", CLI_TEXT},		 {"name", "name", CLI_TEXT},
    {"created", "created_at", CLI_TIME}, {"language", "language", CLI_TEXT},
    {"sandbox", "sandbox", CLI_YES},	 {"head mail", "head_mail", CLI_YES},
    {"version", "version", CLI_NUMBER},	 {NULL},
};

static const char *
safe(struct cli *c, const char *s)
{
	return term_safe(c->arena, bytes_str(s));
}

int
cmd_whoami(struct cli *c)
{
	static const struct cli_column columns[] = {
	    {"name", "name", CLI_TEXT},
	    {"account", "account", CLI_TEXT},
	    {"tenant", "tenant", CLI_TEXT},
	    {"tenant name", "tenant_name", CLI_TEXT},
	    {"sandbox", "sandbox", CLI_YES},
	    {"permissions", "permissions", CLI_LIST},
	    {NULL},
	};
	return cli_get_object(c, "/v1/me", columns);
}

int
cmd_tenant_create(struct cli *c)
{
	static const struct cli_column columns[] = {
	    {"tenant", "id", CLI_TEXT}, {"admin key", "admin_key", CLI_TEXT}, {NULL}};
	json_t *body = json_pack("{s:s}", "name", c->args.argument[0]);
	if (cli_has(c, "--sandbox"))
		json_object_set_new(body, "sandbox", json_true());
	return cli_change(c, "POST", "/v1/tenants", body, NULL, columns, NULL);
}

int
cmd_tenant_list(struct cli *c)
{
	static const struct cli_column columns[] = {{"ID", "id", CLI_TEXT},
						    {"NAME", "name", CLI_TEXT},
						    {"CREATED (UTC)", "created_at", CLI_TIME},
						    {"SANDBOX", "sandbox", CLI_YES},
						    {NULL}};
	return cli_get_list(c, "/v1/tenants", "tenants", columns);
}

int
cmd_tenant_show(struct cli *c)
{
	return cli_get_object(c, "/v1/tenant", tenant_columns);
}

int
cmd_tenant_update(struct cli *c)
{
	const char *mail = cli_value(c, "--head-mail"), *if_match;
	if (mail != NULL && strcmp(mail, "yes") != 0 && strcmp(mail, "no") != 0) {
		cli_error("--head-mail is yes or no");
		return CLI_USAGE;
	}
	if (mail == NULL && !cli_has(c, "--name") && !cli_has(c, "--language")) {
		cli_error("tenant update needs --name, --language or --head-mail");
		return CLI_USAGE;
	}
	struct cli_answer a = {0};
	int code = cli_call_json(c, "GET", "/v1/tenant", NULL, &a);
	if (code == CLI_OK && !cli_if_version(c, a.etag, &if_match))
		code = CLI_USAGE;
	if (code != CLI_OK) {
		json_decref(a.json);
		return code;
	}
	json_t *body =
	    json_pack("{s:O*, s:O*, s:O*}", "name", json_object_get(a.json, "name"), "language",
		      json_object_get(a.json, "language"), "head_mail", json_object_get(a.json, "head_mail"));
	json_decref(a.json);
	cli_set_text(c, body, "--name", "name");
	cli_set_text(c, body, "--language", "language");
	if (mail != NULL)
		json_object_set_new(body, "head_mail", json_boolean(mail[0] == 'y'));
	return cli_change(c, "PUT", "/v1/tenant", body, if_match, tenant_columns, NULL);
}

int
cmd_key_list(struct cli *c)
{
	static const struct cli_column columns[] = {
	    {"ID", "id", CLI_TEXT},
	    {"KIND", "kind", CLI_TEXT},
	    {"NAME", "name", CLI_TEXT},
	    {"LOGIN", "login", CLI_TEXT},
	    {"BEGINS", "prefix", CLI_TEXT},
	    {"CREATED (UTC)", "created_at", CLI_TIME},
	    {"EXPIRES (UTC)", "expires_at", CLI_TIME},
	    {"REVOKED (UTC)", "revoked_at", CLI_TIME},
	    {"PERMISSIONS", "permissions", CLI_LIST},
	    {NULL},
	};
	static const char *const names[] = {"limit", "cursor", "login", NULL};
	const char *path = cli_query(c, "/v1/keys", names);
	if (cli_has(c, "--ended"))
		path = cli_add_query(c, path, "ended", "true");
	return cli_get_list(c, path, "keys", columns);
}

int
cmd_key_create(struct cli *c)
{
	static const struct cli_column columns[] = {
	    {"key", "id", CLI_TEXT}, {"secret", "secret", CLI_TEXT}, {"login", "login", CLI_TEXT}, {NULL}};
	bool app = cli_has(c, "--app-password");
	json_t *body = json_pack("{s:s, s:s}", "kind", app ? "app_password" : "api_key", "name", c->args.argument[0]);
	cli_set_text(c, body, "--login", "login");
	cli_set_text(c, body, "--expires", "expires_at");
	json_object_set_new(body, "permissions", cli_values(c, "--permission"));
	return cli_change(c, "POST", "/v1/keys", body, NULL, columns, NULL);
}

int
cmd_key_rotate(struct cli *c)
{
	static const struct cli_column columns[] = {
	    {"key", "id", CLI_TEXT}, {"secret", "secret", CLI_TEXT}, {"old until", "old_expires_at", CLI_TIME}, {NULL}};
	json_int_t overlap;
	if (!cli_number(c, "--overlap", 0, 30 * 86400, &overlap))
		return CLI_USAGE;
	const char *path = arena_printf(c->arena, "/v1/keys/%s/rotate", cli_encode(c, c->args.argument[0]));
	return cli_change(c, "POST", path, json_pack("{s:I}", "overlap_seconds", overlap), NULL, columns, NULL);
}

int
cmd_key_revoke(struct cli *c)
{
	const char *path = arena_printf(c->arena, "/v1/keys/%s", cli_encode(c, c->args.argument[0]));
	return cli_change(c, "DELETE", path, NULL, NULL, NULL, "revoked");
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
cmd_domain_list(struct cli *c)
{
	static const struct cli_column columns[] = {
	    {"NAME", "name", CLI_TEXT}, {"CLASS", "class", CLI_TEXT}, {"PROVEN", "proven", CLI_YES}, {NULL}};
	return cli_get_list(c, "/v1/domains", "domains", columns);
}

int
cmd_domain_add(struct cli *c)
{
	json_t *body = json_pack("{s:s}", "name", c->args.argument[0]);
	cli_set_text(c, body, "--class", "class");
	cli_set_text(c, body, "--tenant", "tenant");
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
route(struct cli *c, const char *method, json_t *body_take, const char *if_match)
{
	struct cli_answer a = {0};
	const char *path = arena_printf(c->arena, "/v1/routes/%s", cli_encode(c, c->args.argument[0]));
	int code = cli_call_if(c, method, path, body_take, if_match, &a);
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
	return route(c, "GET", NULL, NULL);
}

int
cmd_route_set(struct cli *c)
{
	const char *tls = cli_value(c, "--tls"), *host = cli_value(c, "--smarthost"), *if_match;
	if (host == NULL) {
		cli_error("route set needs --smarthost (empty: by MX)");
		return CLI_USAGE;
	}
	json_t *body = json_pack("{s:s, s:s}", "smarthost", host, "tls", tls != NULL ? tls : "encrypt");
	cli_set_text(c, body, "--username", "username");
	if (!cli_set_password(c, body) || !cli_if_version(c, NULL, &if_match)) {
		json_decref(body);
		return CLI_USAGE;
	}
	return route(c, "PUT", body, if_match);
}

static const struct cli_column settings_columns[] = {
    {"uncertain", "uncertain", CLI_TEXT}, {"version", "version", CLI_NUMBER}, {NULL}};

int
cmd_settings_get(struct cli *c)
{
	return cli_get_object(c, "/v1/settings/delivery", settings_columns);
}

int
cmd_settings_set(struct cli *c)
{
	const char *uncertain = cli_value(c, "--uncertain"), *if_match;
	if (uncertain == NULL) {
		cli_error("settings set needs --uncertain");
		return CLI_USAGE;
	}
	if (!cli_if_version(c, NULL, &if_match))
		return CLI_USAGE;
	json_t *body = json_pack("{s:s}", "uncertain", uncertain);
	return cli_change(c, "PUT", "/v1/settings/delivery", body, if_match, settings_columns, NULL);
}
