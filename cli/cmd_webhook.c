/* SPDX-License-Identifier: MIT
 *
 * sekisho webhook, but for listen: make, change, test, replay.
 */
#include <stdio.h>
#include <string.h>

#include "cli.h"

static const struct cli_column webhook_columns[] = {
    {"webhook", "id", CLI_TEXT},
    {"url", "url", CLI_TEXT},
    {"description", "description", CLI_TEXT},
    {"types", "types", CLI_LIST},
    {"enabled", "enabled", CLI_YES},
    {"because", "disabled_why", CLI_TEXT},
    {"position", "position", CLI_NUMBER},
    {"delivered", "delivered", CLI_NUMBER},
    {"failed", "failed", CLI_NUMBER},
    {"failing since", "failing_since", CLI_TIME},
    {"last error", "last_error", CLI_TEXT},
    {"next attempt", "next_attempt_at", CLI_TIME},
    {"version", "version", CLI_NUMBER},
    {"secret", "secret", CLI_TEXT}, /* when it was made */
    {NULL},
};

static const char *
webhook_path(struct cli *c, const char *verb)
{
	return arena_printf(c->arena, "/v1/webhooks/%s%s", cli_encode(c, c->args.argument[0]), verb);
}

int
cmd_webhook_list(struct cli *c)
{
	static const struct cli_column columns[] = {
	    {"ID", "id", CLI_TEXT},	      {"URL", "url", CLI_TEXT},
	    {"ENABLED", "enabled", CLI_YES},  {"DELIVERED", "delivered", CLI_NUMBER},
	    {"FAILED", "failed", CLI_NUMBER}, {"FAILING SINCE (UTC)", "failing_since", CLI_TIME},
	    {"TYPES", "types", CLI_LIST},     {NULL},
	};
	static const char *const names[] = {"limit", "cursor", NULL};
	return cli_get_list(c, cli_query(c, "/v1/webhooks", names), "webhooks", columns);
}

int
cmd_webhook_show(struct cli *c)
{
	return cli_get_object(c, webhook_path(c, ""), webhook_columns);
}

int
cmd_webhook_create(struct cli *c)
{
	json_t *body = json_pack("{s:s, s:b}", "url", c->args.argument[0], "enabled", cli_has(c, "--disabled") ? 0 : 1);
	cli_set_text(c, body, "--description", "description");
	cli_set_values(c, body, "--type", "types");
	return cli_change(c, "POST", "/v1/webhooks", body, NULL, webhook_columns, NULL);
}

int
cmd_webhook_update(struct cli *c)
{
	if (cli_has(c, "--enable") && cli_has(c, "--disable")) {
		cli_error("--enable or --disable, not both");
		return CLI_USAGE;
	}
	if (c->args.n_options == 0) {
		cli_error("webhook update needs something to change");
		return CLI_USAGE;
	}
	struct cli_answer a = {0};
	const char *if_match;
	int code = cli_call_json(c, "GET", webhook_path(c, ""), NULL, &a);
	if (code == CLI_OK && !cli_if_version(c, a.etag, &if_match))
		code = CLI_USAGE;
	if (code != CLI_OK) {
		json_decref(a.json);
		return code;
	}
	json_t *body = json_pack("{s:O*, s:O*, s:O*, s:O*}", "url", json_object_get(a.json, "url"), "description",
				 json_object_get(a.json, "description"), "types", json_object_get(a.json, "types"),
				 "enabled", json_object_get(a.json, "enabled"));
	json_decref(a.json);
	cli_set_text(c, body, "--url", "url");
	cli_set_text(c, body, "--description", "description");
	cli_set_values(c, body, "--type", "types");
	if (cli_has(c, "--all-types"))
		json_object_set_new(body, "types", json_array());
	if (cli_has(c, "--enable") || cli_has(c, "--disable"))
		json_object_set_new(body, "enabled", json_boolean(cli_has(c, "--enable")));
	return cli_change(c, "PUT", webhook_path(c, ""), body, if_match, webhook_columns, NULL);
}

int
cmd_webhook_delete(struct cli *c)
{
	const char *if_match;
	if (!cli_if_version(c, NULL, &if_match))
		return CLI_USAGE;
	return cli_change(c, "DELETE", webhook_path(c, ""), NULL, if_match, NULL, "deleted");
}

int
cmd_webhook_rotate(struct cli *c)
{
	static const struct cli_column columns[] = {
	    {"secret", "secret", CLI_TEXT}, {"old until", "old_until", CLI_TIME}, {NULL}};
	json_int_t overlap;
	if (!cli_number(c, "--overlap", 0, 7 * 86400, &overlap))
		return CLI_USAGE;
	json_t *body = json_pack("{s:I}", "overlap_seconds", overlap);
	return cli_change(c, "POST", webhook_path(c, "/rotate"), body, NULL, columns, NULL);
}

int
cmd_webhook_test(struct cli *c)
{
	static const struct cli_column columns[] = {
	    {"event", "event", CLI_TEXT},
	    {"status", "status", CLI_NUMBER},
	    {"took (ms)", "duration_ms", CLI_NUMBER},
	    {"answer", "response", CLI_TEXT},
	    {"error", "error", CLI_TEXT},
	    {"taken", "ok", CLI_YES},
	    {NULL},
	};
	struct cli_answer a = {0};
	int code = cli_call_json(c, "POST", webhook_path(c, "/test"), NULL, &a);
	if (code == CLI_OK) {
		if (!cli_print_json(c, &a))
			cli_print_object(c, a.json, columns);
		code = json_is_true(json_object_get(a.json, "ok")) ? CLI_OK : CLI_FAILED;
	}
	json_decref(a.json);
	return code;
}

int
cmd_webhook_attempts(struct cli *c)
{
	static const struct cli_column columns[] = {
	    {"WHEN (UTC)", "at", CLI_TIME}, {"EVENT", "event", CLI_TEXT},     {"TYPE", "type", CLI_TEXT},
	    {"TRY", "number", CLI_NUMBER},  {"STATUS", "status", CLI_NUMBER}, {"MS", "duration_ms", CLI_NUMBER},
	    {"TAKEN", "ok", CLI_YES},	    {"ERROR", "error", CLI_TEXT},     {NULL},
	};
	static const char *const names[] = {"limit", "cursor", NULL};
	const char *path = cli_query(c, webhook_path(c, "/attempts"), names);
	if (cli_has(c, "--failed"))
		path = cli_add_query(c, path, "failed", "true");
	return cli_get_list(c, path, "attempts", columns);
}

int
cmd_webhook_replay(struct cli *c)
{
	static const struct cli_column columns[] = {{"events", "count", CLI_NUMBER}, {NULL}};
	json_int_t from, until;
	const json_int_t max = 9007199254740991;
	bool range = cli_has(c, "--from");
	if (range == cli_has(c, "--event") || (!range && cli_has(c, "--until"))) {
		cli_error("webhook replay needs --from (and perhaps --until), or --event");
		return CLI_USAGE;
	}
	if (!cli_number(c, "--from", 0, max, &from) || !cli_number(c, "--until", 0, max, &until))
		return CLI_USAGE;
	json_t *body = json_object();
	if (range)
		json_object_set_new(body, "from", json_integer(from));
	if (cli_has(c, "--until"))
		json_object_set_new(body, "until", json_integer(until));
	cli_set_values(c, body, "--event", "events");
	return cli_change(c, "POST", webhook_path(c, "/replay"), body, NULL, columns, NULL);
}
