/* SPDX-License-Identifier: MIT
 *
 * sekisho help: the command table for people, and with --json for programs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static void
help_options(const struct cli_option *o)
{
	for (; o != NULL && o->name != NULL; o++) {
		char left[160];
		snprintf(left, sizeof(left), "%s%s%s", o->name, o->meta != NULL ? " " : "",
			 o->meta != NULL ? o->meta : "");
		printf("  %-26s %s\n", left, o->help);
	}
}

static void
help_command(const struct cli_command *k)
{
	printf("sekisho %s %s\n  %s\n", k->words, k->arguments, k->help);
	if (k->options != NULL)
		puts("\nOptions:");
	help_options(k->options);
	puts("\nFor example:");
	for (const char *const *e = k->examples; *e != NULL; e++)
		printf("  %s\n", *e);
	if (k->operations[0] != '\0')
		printf("\nAPI: %s\n", k->operations);
}

static void
help_all(void)
{
	puts("sekisho: the command line of the checkpoint\n");
	for (const struct cli_command *k = cli_commands; k->words != NULL; k++) {
		char left[64];
		snprintf(left, sizeof(left), "%s %s", k->words, k->arguments);
		printf("  %-30s %s\n", left, k->help);
	}
	puts("\nEverywhere:");
	help_options(cli_globals);
	puts("\nReads SEKISHO_URL, SEKISHO_CA and SEKISHO_API_KEY from the environment, or all of them from\n"
	     "./run/sekisho.env, which is not read if SEKISHO_URL or SEKISHO_API_KEY is set.\n"
	     "Exit codes:");
	for (const struct cli_exit_code *x = cli_exits; x->meaning != NULL; x++)
		printf("  %d  %s\n", x->code, x->meaning);
}

static json_t *
options_json(const struct cli_option *o)
{
	json_t *list = json_array();
	for (; o != NULL && o->name != NULL; o++)
		json_array_append_new(
		    list, json_pack("{s:s, s:s?, s:s}", "name", o->name, "value", o->meta, "help", o->help));
	return list;
}

static json_t *
command_json(const struct cli_command *k)
{
	json_t *examples = json_array(), *operations = json_array();
	for (const char *const *e = k->examples; *e != NULL; e++)
		json_array_append_new(examples, json_string(*e));
	for (const char *p = k->operations; *p != '\0'; p += strspn(p, " ")) {
		size_t n = strcspn(p, " ");
		json_array_append_new(operations, json_stringn(p, n));
		p += n;
	}
	return json_pack("{s:s, s:s, s:i, s:i, s:s, s:o, s:o, s:o}", "command", k->words, "arguments", k->arguments,
			 "min_arguments", k->min_arguments, "max_arguments", k->max_arguments, "help", k->help,
			 "options", options_json(k->options), "operations", operations, "examples", examples);
}

static void
print_document(json_t *take)
{
	char *text = json_dumps(take, JSON_INDENT(1));
	json_decref(take);
	if (text == NULL)
		abort();
	puts(text);
	free(text);
}

static void
print_table(void)
{
	json_t *commands = json_array(), *exits = json_array();
	for (const struct cli_command *k = cli_commands; k->words != NULL; k++)
		json_array_append_new(commands, command_json(k));
	for (const struct cli_exit_code *x = cli_exits; x->meaning != NULL; x++)
		json_array_append_new(exits, json_pack("{s:i, s:s}", "code", x->code, "meaning", x->meaning));
	print_document(json_pack("{s:o, s:o, s:o}", "commands", commands, "everywhere", options_json(cli_globals),
				 "exit_codes", exits));
}

const struct cli_command *
cli_command_of_arguments(struct cli *c)
{
	const char *words = "";
	for (int i = 0; i < c->args.n_arguments; i++)
		words = arena_printf(c->arena, "%s%s%s", words, i > 0 ? " " : "", c->args.argument[i]);
	for (const struct cli_command *k = cli_commands; k->words != NULL; k++)
		if (strcmp(k->words, words) == 0)
			return k;
	cli_error("no such command: %s", words);
	return NULL;
}

int
cmd_help(struct cli *c)
{
	const struct cli_command *k = NULL;
	if (c->args.n_arguments > 0 && (k = cli_command_of_arguments(c)) == NULL)
		return CLI_USAGE;
	if (k != NULL && c->args.json)
		print_document(command_json(k));
	else if (k != NULL)
		help_command(k);
	else if (c->args.json)
		print_table();
	else
		help_all();
	return CLI_OK;
}
