/* SPDX-License-Identifier: MIT
 *
 * sekisho policy: rule sets and their versions.
 */
#include <stdio.h>
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
	const char *if_match;
	if (!cli_if_version(c, NULL, &if_match) || !policy_request(c, &r))
		return CLI_USAGE;
	if (if_match != NULL)
		r.headers[0] = (struct cli_header){"If-Match", if_match};
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
cmd_policy_versions(struct cli *c)
{
	static const struct cli_column columns[] = {
	    {"VERSION", "version", CLI_NUMBER}, {"MADE (UTC)", "made_at", CLI_TIME}, {"BY", "made_by", CLI_TEXT},
	    {"RULES", "rules", CLI_NUMBER},	{"IN FORCE", "active", CLI_YES},     {NULL},
	};
	static const char *const names[] = {"limit", "cursor", NULL};
	return cli_get_list(c, cli_query(c, "/v1/policy/versions", names), "versions", columns);
}
