/* SPDX-License-Identifier: MIT
 *
 * sekisho man: manual pages from the command table, in the man macros. One page for sekisho and one for each command.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

/* Text of ours, but "\", a leading "." or "'" and "-" mean something to roff. */
static void
put(FILE *to, const char *s)
{
	if (*s == '.' || *s == '\'')
		fputs("\\&", to);
	for (; *s != '\0'; s++) {
		if (*s == '\\')
			fputs("\\e", to);
		else if (*s == '-')
			fputs("\\-", to);
		else if (*s == '\'')
			fputs("\\(aq", to);
		else
			fputc(*s, to);
	}
}

static void
line(FILE *to, const char *macro, const char *s)
{
	fputs(macro, to);
	put(to, s);
	fputc('\n', to);
}

/* "message list" -> "sekisho-message-list" */
static const char *
page_name(struct cli *c, const struct cli_command *k)
{
	if (k == NULL)
		return "sekisho";
	char *name = arena_printf(c->arena, "sekisho-%s", k->words);
	for (char *p = name; *p != '\0'; p++)
		*p = *p == ' ' ? '-' : *p;
	return name;
}

static void
page_head(struct cli *c, FILE *to, const struct cli_command *k)
{
	const char *name = page_name(c, k);
	fputs(".\\\" Made from the command table by sekisho man.\n.TH \"", to);
	for (const char *p = name; *p != '\0'; p++)
		fputc(*p >= 'a' && *p <= 'z' ? *p - 32 : *p, to);
	fputs("\" 1 \"\" Sekisho \"Sekisho\"\n.SH NAME\n", to);
	put(to, name);
	fputs(" \\- ", to);
	put(to, k != NULL ? k->help : "the command line of the checkpoint");
	fputc('\n', to);
}

static void
synopsis(FILE *to, const struct cli_command *k)
{
	fputs(".SH SYNOPSIS\n.B sekisho\n", to);
	if (k == NULL) {
		fputs(".I COMMAND\n[\\fIOPTION\\fR...] [\\fIARGUMENT\\fR...]\n", to);
		return;
	}
	line(to, ".B ", k->words);
	for (const struct cli_option *o = k->options; o != NULL && o->name != NULL; o++) {
		fputs("[\\fB", to);
		put(to, o->name);
		fputs("\\fR", to);
		if (o->meta != NULL) {
			fputs(" \\fI", to);
			put(to, o->meta);
			fputs("\\fR", to);
		}
		fputs("]\n", to);
	}
	if (k->arguments[0] != '\0')
		line(to, ".I ", k->arguments);
}

static void
option_list(FILE *to, const struct cli_option *o)
{
	for (; o != NULL && o->name != NULL; o++) {
		fputs(".TP\n\\fB", to);
		put(to, o->name);
		fputs("\\fR", to);
		if (o->meta != NULL) {
			fputs(" \\fI", to);
			put(to, o->meta);
			fputs("\\fR", to);
		}
		fputc('\n', to);
		line(to, "", o->help);
	}
}

static void
description(struct cli *c, FILE *to, const struct cli_command *k)
{
	fputs(".SH DESCRIPTION\n", to);
	if (k != NULL) {
		line(to, "",
		     arena_printf(c->arena, "%c%s.", k->help[0] - (k->help[0] >= 'a' && k->help[0] <= 'z' ? 32 : 0),
				  k->help + 1));
		if (k->operations[0] != '\0')
			line(to, ".PP\n", arena_printf(c->arena, "A client of the API: %s.", k->operations));
		return;
	}
	fputs("Sekisho is a checkpoint for mail; this is its command line, a client of its API. "
	      "Tables are for people; with \\-\\-json the answer of the API is printed as it is. "
	      "Errors are one line on standard error.\n.SH COMMANDS\n",
	      to);
	for (const struct cli_command *x = cli_commands; x->words != NULL; x++) {
		fputs(".TP\n\\fB", to);
		put(to, x->words);
		fputs("\\fR \\fI", to);
		put(to, x->arguments);
		fputs("\\fR\n", to);
		line(to, "", x->help);
	}
}

static void
foot(struct cli *c, FILE *to, const struct cli_command *k)
{
	static const struct {
		const char *name, *what;
	} environment[] = {
	    {"SEKISHO_URL", "where the API is; https only"},
	    {"SEKISHO_CA", "PEM file of the authority that vouches for it (default: the system's)"},
	    {"SEKISHO_API_KEY", "the key; it names the tenant"},
	    {"SEKISHO_WEBHOOK_SECRET", "for webhook listen: the secret of the webhook"},
	};
	fputs(".SH EXIT STATUS\n", to);
	for (const struct cli_exit_code *x = cli_exits; x->meaning != NULL; x++) {
		fprintf(to, ".TP\n%d\n", x->code);
		line(to, "", x->meaning);
	}
	fputs(".SH EXAMPLES\n", to);
	const struct cli_command *from = k != NULL ? k : cli_commands;
	for (const char *const *e = from->examples; *e != NULL; e++) {
		fputs(e != from->examples ? ".PP\n.nf\n" : ".nf\n", to);
		line(to, "", *e);
		fputs(".fi\n", to);
	}
	fputs(".SH ENVIRONMENT\nUnless the URL or the key is set, the first three are read from ./run/sekisho.env if "
	      "it is there.\n",
	      to);
	for (size_t i = 0; i < sizeof(environment) / sizeof(environment[0]); i++) {
		line(to, ".TP\n", environment[i].name);
		line(to, "", environment[i].what);
	}
	fputs(".SH SEE ALSO\n", to);
	if (k != NULL) {
		fputs(".BR sekisho (1)\n", to);
		return;
	}
	for (const struct cli_command *x = cli_commands; x->words != NULL; x++) {
		fputs(".BR ", to);
		put(to, page_name(c, x));
		fprintf(to, " (1)%s\n", x[1].words != NULL ? "," : "");
	}
}

static void
page(struct cli *c, FILE *to, const struct cli_command *k)
{
	page_head(c, to, k);
	synopsis(to, k);
	description(c, to, k);
	fputs(".SH OPTIONS\n", to);
	option_list(to, k != NULL ? k->options : NULL);
	option_list(to, cli_globals);
	foot(c, to, k);
}

static bool
write_page(struct cli *c, const char *folder, const struct cli_command *k)
{
	const char *path = arena_printf(c->arena, "%s/%s.1", folder, page_name(c, k));
	FILE *f = fopen(path, "we");
	if (f != NULL)
		page(c, f, k);
	if (f == NULL || fclose(f) != 0) {
		cli_error("cannot write %s: %s", path, strerror(errno));
		return false;
	}
	return true;
}

int
cmd_man(struct cli *c)
{
	const char *folder = cli_value(c, "--output");
	const struct cli_command *k = NULL;
	if (c->args.n_arguments > 0 && (k = cli_command_of_arguments(c)) == NULL)
		return CLI_USAGE;
	if (folder == NULL) {
		page(c, stdout, k);
		return CLI_OK;
	}
	bool ok = write_page(c, folder, NULL);
	for (k = cli_commands; ok && k->words != NULL; k++)
		ok = write_page(c, folder, k);
	return ok ? CLI_OK : CLI_USAGE;
}
