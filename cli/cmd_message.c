/* SPDX-License-Identifier: MIT
 *
 * sekisho message, hold: lists, one message, what happened and why.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "term.h"

/* "2 delivered, 1 held" */
static const char *
summary(struct cli *c, const json_t *recipients)
{
	const char *seen[16];
	size_t count[16], n = 0, i;
	json_t *x;
	json_array_foreach(recipients, i, x)
	{
		const char *state = cli_str(x, "state");
		size_t k = 0;
		while (k < n && strcmp(seen[k], state) != 0)
			k++;
		if (k == n && n < 16) {
			seen[n] = state;
			count[n++] = 0;
		}
		if (k < n)
			count[k]++;
	}
	const char *out = "";
	for (size_t k = 0; k < n; k++)
		out = arena_printf(c->arena, "%s%s%zu %s", out, k > 0 ? ", " : "", count[k], seen[k]);
	return out;
}

static const char *
sender_of(const json_t *message)
{
	const char *s = cli_str(message, "sender");
	return s[0] != '\0' ? s : "<>";
}

static const char *const list_names[] = {"limit", "cursor", "state", "sender", "recipient", "direction", NULL};

int
cmd_message_list(struct cli *c)
{
	static const char *const head[] = {"ID", "ACCEPTED (UTC)", "DIRECTION", "SENDER", "RECIPIENTS", NULL};
	struct cli_answer a = {0};
	int code = cli_call_json(c, "GET", cli_query(c, "/v1/messages", list_names), NULL, &a);
	if (code == CLI_OK && !cli_print_json(c, &a)) {
		struct term_table t;
		size_t i;
		json_t *m;
		term_table_init(&t, c->arena, head);
		json_array_foreach(json_object_get(a.json, "messages"), i, m)
		{
			term_table_row(&t, (const char *[]){cli_str(m, "id"), cli_time(c, m, "accepted_at"),
							    cli_str(m, "direction"), sender_of(m),
							    summary(c, json_object_get(m, "recipients"))});
		}
		term_table_print(&t, stdout);
		cli_print_more(c, a.json);
	}
	json_decref(a.json);
	return code;
}

static void
print_line(struct cli *c, const char *name, const char *value)
{
	if (value[0] != '\0')
		printf("%-11s %s\n", name, term_safe(c->arena, bytes_str(value)));
}

static void
print_head(struct cli *c, const json_t *m)
{
	print_line(c, "message", cli_str(m, "id"));
	print_line(c, "accepted", arena_printf(c->arena, "%s UTC", cli_time(c, m, "accepted_at")));
	print_line(c, "direction", cli_str(m, "direction"));
	print_line(c, "sender", sender_of(m));
	print_line(c, "subject", cli_str(m, "subject"));
	print_line(c, "size", arena_printf(c->arena, "%lld octets", (long long)cli_int(m, "size")));
	print_line(c, "scan", cli_str(m, "verdict"));
	print_line(c, "trace", cli_str(m, "trace_id"));
}

static void
print_recipients(struct cli *c, const json_t *m)
{
	static const char *const head[] = {"NO", "RECIPIENT", "STATE", "DUE (UTC)", "RULE", "TRIES", "REPLY", NULL};
	struct term_table t;
	size_t i;
	json_t *x;
	term_table_init(&t, c->arena, head);
	json_array_foreach(json_object_get(m, "recipients"), i, x)
	{
		const char *state = json_is_true(json_object_get(x, "possible_duplicate"))
					? arena_printf(c->arena, "%s (perhaps twice)", cli_str(x, "state"))
					: cli_str(x, "state");
		term_table_row(&t, (const char *[]){arena_printf(c->arena, "%lld", (long long)cli_int(x, "number")),
						    cli_str(x, "address"), state, cli_time(c, x, "due_at"),
						    cli_str(x, "rule"),
						    arena_printf(c->arena, "%lld", (long long)cli_int(x, "attempts")),
						    cli_str(x, "reply")});
	}
	term_table_print(&t, stdout);
}

static int
show(struct cli *c, struct cli_answer *a)
{
	const char *id = cli_encode(c, c->args.argument[0]);
	return cli_call_json(c, "GET", arena_printf(c->arena, "/v1/messages/%s", id), NULL, a);
}

int
cmd_message_show(struct cli *c)
{
	struct cli_answer a = {0};
	int code = show(c, &a);
	if (code == CLI_OK && !cli_print_json(c, &a)) {
		print_head(c, a.json);
		putchar('\n');
		print_recipients(c, a.json);
	}
	json_decref(a.json);
	return code;
}

int
cmd_message_trace(struct cli *c)
{
	struct cli_answer a = {0};
	int code = show(c, &a);
	if (code == CLI_OK && !cli_print_json(c, &a)) {
		print_head(c, a.json);
		putchar('\n');
		trace_print_timeline(c, a.json);
		putchar('\n');
		trace_print_decision(c, json_object_get(a.json, "decision"));
	}
	json_decref(a.json);
	return code;
}

int
cmd_message_search(struct cli *c)
{
	static const char *const head[] = {"ID",      "ACCEPTED (UTC)", "DIRECTION", "SENDER",
					   "SUBJECT", "RECIPIENTS",	NULL};
	static const char *const names[] = {"limit", "cursor", "direction", NULL};
	const char *words = "", *path = cli_query(c, "/v1/messages/search", names);
	for (int i = 0; i < c->args.n_arguments; i++)
		words = arena_printf(c->arena, "%s%s%s", words, i > 0 ? " " : "", c->args.argument[i]);
	path = cli_add_query(c, path, "q", words);
	path = cli_add_times(c, path);
	struct cli_answer a = {0};
	int code = cli_call_json(c, "GET", path, NULL, &a);
	if (code == CLI_OK && !cli_print_json(c, &a)) {
		struct term_table t;
		size_t i;
		json_t *m;
		term_table_init(&t, c->arena, head);
		json_array_foreach(json_object_get(a.json, "messages"), i, m)
		{
			term_table_row(&t,
				       (const char *[]){cli_str(m, "id"), cli_time(c, m, "accepted_at"),
							cli_str(m, "direction"), sender_of(m), cli_str(m, "subject"),
							summary(c, json_object_get(m, "recipients"))});
		}
		term_table_print(&t, stdout);
		cli_print_more(c, a.json);
		if (json_is_string(json_object_get(a.json, "indexed_until")))
			printf("accepted after %s UTC: may be missing yet\n",
			       term_safe(c->arena, bytes_str(cli_time(c, a.json, "indexed_until"))));
	}
	json_decref(a.json);
	return code;
}

int
cmd_message_lookup(struct cli *c)
{
	static const struct cli_column columns[] = {
	    {"message", "id", CLI_TEXT}, {"accepted", "accepted_at", CLI_TIME}, {NULL}};
	const char *path = arena_printf(c->arena, "/v1/submissions/%s", cli_encode(c, c->args.argument[0]));
	return cli_get_object(c, path, columns);
}

int
cmd_hold_list(struct cli *c)
{
	static const char *const head[] = {"ID", "NO", "RECIPIENT", "SENDER", "HELD UNTIL (UTC)", "RULE", NULL};
	struct cli_answer a = {0};
	int code = cli_call_json(c, "GET", cli_query(c, "/v1/holds", list_names), NULL, &a);
	if (code == CLI_OK && !cli_print_json(c, &a)) {
		struct term_table t;
		size_t i, k;
		json_t *m, *x;
		term_table_init(&t, c->arena, head);
		json_array_foreach(json_object_get(a.json, "messages"), i, m)
		{
			json_array_foreach(json_object_get(m, "recipients"), k, x)
			{
				const char *number = arena_printf(c->arena, "%lld", (long long)cli_int(x, "number"));
				term_table_row(&t, (const char *[]){cli_str(m, "id"), number, cli_str(x, "address"),
								    sender_of(m), cli_time(c, x, "due_at"),
								    cli_str(x, "rule")});
			}
		}
		term_table_print(&t, stdout);
		cli_print_more(c, a.json);
	}
	json_decref(a.json);
	return code;
}

static void
print_results(struct cli *c, const json_t *answer)
{
	static const char *const head[] = {"NO", "RESULT", "STATE", "DECIDED BY", NULL};
	struct term_table t;
	size_t i;
	json_t *x;
	term_table_init(&t, c->arena, head);
	json_array_foreach(json_object_get(answer, "results"), i, x)
	{
		const char *number = arena_printf(c->arena, "%lld", (long long)cli_int(x, "recipient"));
		term_table_row(
		    &t, (const char *[]){number, cli_str(x, "status"), cli_str(x, "state"), cli_str(x, "decided_by")});
	}
	term_table_print(&t, stdout);
}

/* Exit 0 only if every recipient that was meant was acted on. */
static int
act(struct cli *c, const char *verb)
{
	json_t *body = json_object(), *numbers = json_array();
	for (int i = 1; i < c->args.n_arguments; i++) {
		char *end;
		long v = strtol(c->args.argument[i], &end, 10);
		if (c->args.argument[i][0] == '\0' || *end != '\0' || v < 0) {
			cli_error("%s is no recipient's number", c->args.argument[i]);
			json_decref(numbers);
			json_decref(body);
			return CLI_USAGE;
		}
		json_array_append_new(numbers, json_integer(v));
	}
	if (json_array_size(numbers) > 0)
		json_object_set(body, "recipients", numbers);
	json_decref(numbers);
	const char *reason = cli_value(c, "--reason");
	if (reason != NULL)
		json_object_set_new(body, "reason", json_string(reason));
	struct cli_answer a = {0};
	const char *id = cli_encode(c, c->args.argument[0]);
	int code = cli_call_json(c, "POST", arena_printf(c->arena, "/v1/messages/%s/%s", id, verb), body, &a);
	if (code == CLI_OK && !cli_print_json(c, &a))
		print_results(c, a.json);
	size_t i;
	json_t *x;
	json_array_foreach(json_object_get(a.json, "results"), i, x)
	{
		if (code == CLI_OK && strcmp(cli_str(x, "status"), "ok") != 0)
			code = CLI_FAILED;
	}
	json_decref(a.json);
	return code;
}

int
cmd_hold_release(struct cli *c)
{
	return act(c, "release");
}

int
cmd_hold_discard(struct cli *c)
{
	return act(c, "discard");
}
