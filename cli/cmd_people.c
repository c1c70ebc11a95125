/* SPDX-License-Identifier: MIT
 *
 * sekisho user, role, group: people and what they may do. A change of a person reads them first and is refused if
 * somebody else changed them meanwhile.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli.h"
#include "core/id.h"

static const struct cli_column user_columns[] = {
    {"id", "id", CLI_TEXT},
    {"login", "login", CLI_TEXT},
    {"name", "display_name", CLI_TEXT},
    {"addresses", "addresses", CLI_LIST},
    {"password", "has_password", CLI_YES},
    {"roles", "roles", CLI_LIST},
    {"groups", "groups", CLI_LIST},
    {"exceptions", "exceptions", CLI_JSON},
    {"created", "created_at", CLI_TIME},
    {"disabled", "disabled_at", CLI_TIME},
    {"locked until", "locked_until", CLI_TIME},
    {"version", "version", CLI_NUMBER},
    {NULL},
};

int
cmd_user_list(struct cli *c)
{
	static const struct cli_column columns[] = {
	    {"ID", "id", CLI_TEXT},
	    {"LOGIN", "login", CLI_TEXT},
	    {"NAME", "display_name", CLI_TEXT},
	    {"ROLES", "roles", CLI_LIST},
	    {"GROUPS", "groups", CLI_LIST},
	    {"DISABLED (UTC)", "disabled_at", CLI_TIME},
	    {NULL},
	};
	static const char *const names[] = {"limit", "cursor", "search", NULL};
	return cli_get_list(c, cli_query(c, "/v1/users", names), "users", columns);
}

/* /v1/users/{id} of the first argument, an id or a login. CLI_OK, or what was printed. */
static int
user_path(struct cli *c, const char **path_r)
{
	const char *given = c->args.argument[0], *id = NULL, *cursor = "";
	struct uuid u;
	if (uuid_parse(given, &u)) {
		*path_r = arena_printf(c->arena, "/v1/users/%s", cli_encode(c, given));
		return CLI_OK;
	}
	do {
		struct cli_answer a = {0};
		size_t i;
		json_t *x;
		int code =
		    cli_call_json(c, "GET",
				  arena_printf(c->arena, "/v1/users?limit=200&search=%s%s%s", cli_encode(c, given),
					       cursor[0] != '\0' ? "&cursor=" : "", cli_encode(c, cursor)),
				  NULL, &a);
		if (code != CLI_OK)
			return code;
		json_array_foreach(json_object_get(a.json, "users"), i, x)
		{
			if (strcasecmp(cli_str(x, "login"), given) == 0)
				id = arena_strdup(c->arena, cli_str(x, "id"));
		}
		const char *next = cli_str(a.json, "next_cursor");
		cursor = strcmp(next, cursor) != 0 ? arena_strdup(c->arena, next) : "";
		json_decref(a.json);
	} while (id == NULL && cursor[0] != '\0');
	if (id == NULL) {
		cli_error("there is no person with the login %s", given);
		return CLI_FAILED;
	}
	*path_r = arena_printf(c->arena, "/v1/users/%s", cli_encode(c, id));
	return CLI_OK;
}

int
cmd_user_show(struct cli *c)
{
	const char *path;
	int code = user_path(c, &path);
	return code != CLI_OK ? code : cli_get_object(c, path, user_columns);
}

int
cmd_user_create(struct cli *c)
{
	static const struct cli_column columns[] = {{"user", "id", CLI_TEXT}, {NULL}};
	json_t *body = json_pack("{s:s}", "login", c->args.argument[0]);
	cli_set_text(c, body, "--name", "display_name");
	json_object_set_new(body, "addresses", cli_values(c, "--address"));
	if (!cli_set_password(c, body)) {
		json_decref(body);
		return CLI_USAGE;
	}
	return cli_change(c, "POST", "/v1/users", body, NULL, columns, NULL);
}

/* Reads the person, lets the caller change what will be put (change_take is merged into it), puts. */
static int
update(struct cli *c, json_t *change_take, const char *done)
{
	const char *path, *if_match;
	struct cli_answer a = {0};
	int code = user_path(c, &path);
	if (code == CLI_OK)
		code = cli_call_json(c, "GET", path, NULL, &a);
	if (code == CLI_OK && !cli_if_version(c, a.etag, &if_match))
		code = CLI_USAGE;
	if (code != CLI_OK) {
		json_decref(a.json);
		json_decref(change_take);
		return code;
	}
	json_t *body = json_pack("{s:O*, s:O*, s:b}", "display_name", json_object_get(a.json, "display_name"),
				 "addresses", json_object_get(a.json, "addresses"), "disabled",
				 json_is_string(json_object_get(a.json, "disabled_at")));
	json_object_update(body, change_take);
	json_decref(change_take);
	json_decref(a.json);
	return cli_change(c, "PUT", path, body, if_match, done != NULL ? NULL : user_columns, done);
}

int
cmd_user_update(struct cli *c)
{
	json_t *change = json_object();
	cli_set_text(c, change, "--name", "display_name");
	cli_set_values(c, change, "--address", "addresses");
	if (cli_has(c, "--no-address"))
		json_object_set_new(change, "addresses", json_array());
	if (json_object_size(change) == 0) {
		cli_error("user update needs --name, --address or --no-address");
		json_decref(change);
		return CLI_USAGE;
	}
	return update(c, change, NULL);
}

int
cmd_user_disable(struct cli *c)
{
	return update(c, json_pack("{s:b}", "disabled", 1), "disabled");
}

int
cmd_user_enable(struct cli *c)
{
	return update(c, json_pack("{s:b}", "disabled", 0), "enabled");
}

int
cmd_user_unlock(struct cli *c)
{
	return update(c, json_pack("{s:b}", "unlock", 1), "unlocked");
}

int
cmd_user_password(struct cli *c)
{
	bool none = cli_has(c, "--none");
	json_t *change = json_object();
	if (none == cli_has(c, "--password-file")) {
		cli_error("user password needs --password-file or --none");
		json_decref(change);
		return CLI_USAGE;
	}
	if (none) {
		json_object_set_new(change, "password", json_null());
	} else if (!cli_set_password(c, change)) {
		json_decref(change);
		return CLI_USAGE;
	}
	return update(c, change, none ? "no password any more" : "password set");
}

static void
add_exceptions(struct cli *c, json_t *list, const char *option, bool deny)
{
	const char *v;
	for (int at = 0; (v = cli_next_value(c, option, &at)) != NULL;)
		json_array_append_new(list, json_pack("{s:s, s:b}", "permission", v, "deny", deny));
}

int
cmd_user_access(struct cli *c)
{
	bool any = cli_has(c, "--role") || cli_has(c, "--allow") || cli_has(c, "--deny");
	if (any == cli_has(c, "--none")) {
		cli_error("user access sets all of it: give --role, --allow and --deny, or --none");
		return CLI_USAGE;
	}
	const char *path, *if_match;
	int code = user_path(c, &path);
	if (code != CLI_OK)
		return code;
	if (!cli_if_version(c, NULL, &if_match))
		return CLI_USAGE;
	json_t *exceptions = json_array();
	add_exceptions(c, exceptions, "--allow", false);
	add_exceptions(c, exceptions, "--deny", true);
	json_t *body = json_pack("{s:o, s:o}", "roles", cli_values(c, "--role"), "exceptions", exceptions);
	return cli_change(c, "PUT", arena_printf(c->arena, "%s/access", path), body, if_match, user_columns, NULL);
}

int
cmd_user_permissions(struct cli *c)
{
	static const struct cli_column columns[] = {
	    {"PERMISSION", "permission", CLI_TEXT}, {"ALLOWED", "allowed", CLI_YES}, {"WHY", "why", CLI_LIST}, {NULL}};
	const char *path;
	int code = user_path(c, &path);
	return code != CLI_OK ? code
			      : cli_get_list(c, arena_printf(c->arena, "%s/permissions", path), "permissions", columns);
}

/* Roles and groups have no page of their own: a PUT with If-Match, If-None-Match or neither. */
static int
put_named(struct cli *c, const char *kind, json_t *body_take, const struct cli_column *columns)
{
	struct cli_request r = {.method = "PUT", .content_type = "application/json"};
	struct cli_answer a = {0};
	const char *if_match;
	char *text = json_dumps(body_take, JSON_COMPACT);
	json_decref(body_take);
	r.path = arena_printf(c->arena, "/v1/%s/%s", kind, cli_encode(c, c->args.argument[0]));
	r.body = arena_bytes(c->arena, bytes_str(text));
	free(text);
	if (!cli_if_version(c, NULL, &if_match))
		return CLI_USAGE;
	if (cli_has(c, "--new"))
		r.headers[0] = (struct cli_header){"If-None-Match", "*"};
	else if (if_match != NULL)
		r.headers[0] = (struct cli_header){"If-Match", if_match};
	int code = cli_call(c, &r, &a);
	if (code == CLI_OK && !cli_print_json(c, &a))
		cli_print_object(c, a.json, columns);
	json_decref(a.json);
	return code;
}

static int
delete_named(struct cli *c, const char *kind)
{
	const char *if_match, *path = arena_printf(c->arena, "/v1/%s/%s", kind, cli_encode(c, c->args.argument[0]));
	if (!cli_if_version(c, NULL, &if_match))
		return CLI_USAGE;
	return cli_change(c, "DELETE", path, NULL, if_match, NULL, "deleted");
}

int
cmd_role_list(struct cli *c)
{
	static const struct cli_column columns[] = {
	    {"NAME", "name", CLI_TEXT},
	    {"BUILT IN", "built_in", CLI_YES},
	    {"VERSION", "version", CLI_NUMBER},
	    {"DESCRIPTION", "description", CLI_TEXT},
	    {"PERMISSIONS", "permissions", CLI_LIST},
	    {NULL},
	};
	return cli_get_list(c, "/v1/roles", "roles", columns);
}

int
cmd_role_put(struct cli *c)
{
	static const struct cli_column columns[] = {{"role", "name", CLI_TEXT},
						    {"permissions", "permissions", CLI_LIST},
						    {"version", "version", CLI_NUMBER},
						    {NULL}};
	json_t *body = json_pack("{s:o}", "permissions", cli_values(c, "--permission"));
	cli_set_text(c, body, "--description", "description");
	return put_named(c, "roles", body, columns);
}

int
cmd_role_delete(struct cli *c)
{
	return delete_named(c, "roles");
}

int
cmd_group_list(struct cli *c)
{
	static const struct cli_column columns[] = {
	    {"NAME", "name", CLI_TEXT},	  {"VERSION", "version", CLI_NUMBER}, {"DESCRIPTION", "description", CLI_TEXT},
	    {"ROLES", "roles", CLI_LIST}, {"MEMBERS", "members", CLI_LIST},   {NULL},
	};
	return cli_get_list(c, "/v1/groups", "groups", columns);
}

int
cmd_group_put(struct cli *c)
{
	static const struct cli_column columns[] = {
	    {"group", "name", CLI_TEXT},
	    {"members", "members", CLI_LIST},
	    {"roles", "roles", CLI_LIST},
	    {"version", "version", CLI_NUMBER},
	    {NULL},
	};
	json_t *body = json_pack("{s:o, s:o}", "members", cli_values(c, "--member"), "roles", cli_values(c, "--role"));
	cli_set_text(c, body, "--description", "description");
	return put_named(c, "groups", body, columns);
}

int
cmd_group_delete(struct cli *c)
{
	return delete_named(c, "groups");
}
