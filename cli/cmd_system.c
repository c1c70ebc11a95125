/* SPDX-License-Identifier: MIT
 *
 * sekisho bus, queue, conservation, health: how the checkpoint is.
 */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "term.h"

static const char *
number(struct cli *c, const json_t *x, const char *name)
{
	return arena_printf(c->arena, "%lld", (long long)cli_int(x, name));
}

int
cmd_bus_status(struct cli *c)
{
	static const char *const head[] = {
	    "STREAM", "MESSAGES", "BYTES", "CREATED (UTC)", "CONSUMER", "PENDING", "UNCONFIRMED", "REDELIVERED", NULL};
	struct cli_answer a = {0};
	int code = cli_call_json(c, "GET", "/v1/bus", NULL, &a);
	if (code == CLI_OK && !cli_print_json(c, &a)) {
		struct term_table t;
		size_t i, k;
		json_t *s, *x;
		term_table_init(&t, c->arena, head);
		json_array_foreach(json_object_get(a.json, "streams"), i, s)
		{
			const json_t *consumers = json_object_get(s, "consumers");
			const char *bytes = number(c, s, "bytes"), *messages = number(c, s, "messages");
			const char *created = cli_time(c, s, "created_at"), *name = cli_str(s, "name");
			if (json_array_size(consumers) == 0)
				term_table_row(&t, (const char *[]){name, messages, bytes, created, "-", "", "", ""});
			json_array_foreach(consumers, k, x)
			{
				term_table_row(&t,
					       (const char *[]){name, messages, bytes, created, cli_str(x, "name"),
								number(c, x, "pending"), number(c, x, "ack_pending"),
								number(c, x, "redelivered")});
			}
		}
		term_table_print(&t, stdout);
	}
	json_decref(a.json);
	return code;
}

int
cmd_queue(struct cli *c)
{
	static const char *const head[] = {"DESTINATION", "STATE", "RECIPIENTS", "OLDEST (UTC)", "NEXT (UTC)", NULL};
	struct cli_answer a = {0};
	int code = cli_call_json(c, "GET", "/v1/queue", NULL, &a);
	if (code == CLI_OK && !cli_print_json(c, &a)) {
		struct term_table t;
		size_t i;
		json_t *x;
		term_table_init(&t, c->arena, head);
		json_array_foreach(json_object_get(a.json, "queue"), i, x)
		{
			term_table_row(&t, (const char *[]){cli_str(x, "destination"), cli_str(x, "state"),
							    number(c, x, "depth"), cli_time(c, x, "oldest_at"),
							    cli_time(c, x, "next_at")});
		}
		term_table_print(&t, stdout);
	}
	json_decref(a.json);
	return code;
}

static void
print_sum(struct cli *c, const json_t *tenant)
{
	printf("tenant %s at %s UTC: %s\n", term_safe(c->arena, bytes_str(cli_str(tenant, "tenant"))),
	       cli_time(c, tenant, "at"), json_is_true(json_object_get(tenant, "holds")) ? "holds" : "DOES NOT HOLD");
	const char *name;
	json_t *v;
	json_object_foreach(json_object_get(tenant, "terms"), name, v)
	{
		printf("  %-12s %lld\n", term_safe(c->arena, bytes_str(name)), (long long)json_integer_value(v));
	}
	size_t i;
	json_array_foreach(json_object_get(tenant, "violations"), i, v)
	{
		const char *text = json_string_value(v);
		printf("  violation: %s\n", term_safe(c->arena, bytes_str(text != NULL ? text : "?")));
	}
}

int
cmd_conservation(struct cli *c)
{
	struct cli_answer a = {0};
	int code = cli_call_json(c, "GET", "/v1/conservation", NULL, &a);
	if (code == CLI_OK) {
		bool printed = cli_print_json(c, &a);
		size_t i;
		json_t *x;
		json_array_foreach(json_object_get(a.json, "tenants"), i, x)
		{
			if (!printed)
				print_sum(c, x);
			if (!json_is_true(json_object_get(x, "holds")))
				code = CLI_FAILED;
		}
	}
	json_decref(a.json);
	return code;
}

int
cmd_health(struct cli *c)
{
	struct cli_answer a = {0};
	int code = cli_call_json(c, "GET", "/v1/health", NULL, &a);
	if (code == CLI_OK && !cli_print_json(c, &a))
		puts(term_safe(c->arena, bytes_str(cli_str(a.json, "status"))));
	json_decref(a.json);
	return code;
}
