/* SPDX-License-Identifier: MIT
 *
 * sekisho completion, sekisho complete: the scripts ask the program itself, so that they know what it knows.
 */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "subjects.h"

/* In each: the words before the cursor and the one under it go to `sekisho complete`; no answer means a file. */
static const char script_bash[] =
    "_sekisho() {\n"
    "\tlocal IFS=$'\\n'\n"
    "\tCOMPREPLY=($(\"${COMP_WORDS[0]}\" complete -- \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null))\n"
    "}\n"
    "complete -o default -F _sekisho sekisho\n";
static const char script_zsh[] =
    "#compdef sekisho\n"
    "_sekisho() {\n"
    "\tlocal -a found\n"
    "\tfound=(${(f)\"$(\"${words[1]}\" complete -- \"${(@)words[2,CURRENT]}\" 2>/dev/null)\"})\n"
    "\tif (( ${#found} )); then compadd -Q -- \"${found[@]}\"; else _files; fi\n"
    "}\n"
    "if [ \"$funcstack[1]\" = _sekisho ]; then _sekisho \"$@\"; else compdef _sekisho sekisho; fi\n";
static const char script_fish[] = "function __sekisho_complete\n"
				  "\tset -l before (commandline -opc)\n"
				  "\t$before[1] complete -- $before[2..-1] (commandline -ct) 2>/dev/null\n"
				  "end\n"
				  "function __sekisho_knows\n"
				  "\ttest -n \"$(__sekisho_complete)\"\n"
				  "end\n"
				  "complete -c sekisho -n __sekisho_knows -f -a '(__sekisho_complete)'\n";

int
cmd_completion(struct cli *c)
{
	static const struct {
		const char *shell, *script;
	} table[] = {{"bash", script_bash}, {"zsh", script_zsh}, {"fish", script_fish}};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(c->args.argument[0], table[i].shell) == 0) {
			fputs(table[i].script, stdout);
			return CLI_OK;
		}
	cli_error("%s: bash, zsh or fish", c->args.argument[0]);
	return CLI_USAGE;
}

static void
offer(const char *word, size_t n, const char *begun)
{
	if (strncmp(word, begun, strlen(begun)) == 0 && n >= strlen(begun))
		printf("%.*s\n", (int)n, word);
}

/* "may|encrypt|verify", "PERMISSION"; for "FILE" and other words nothing: the shell knows files. */
static void
offer_values(const char *meta, const char *begun)
{
	if (strcmp(meta, "PERMISSION") == 0)
		for (const struct subject_permission *p = subject_permissions; p->name != NULL; p++)
			offer(p->name, strlen(p->name), begun);
	if (strchr(meta, '|') == NULL || strchr(meta, ' ') != NULL)
		return;
	for (const char *p = meta;; p++) {
		size_t n = strcspn(p, "|");
		offer(p, n, begun);
		p += n;
		if (*p == '\0')
			return;
	}
}

/* The next word of every command that begins with these n words, once each. */
static void
offer_words(int n, const char *const *before, const char *begun)
{
	const char *last = "";
	size_t last_n = 0;
	for (const struct cli_command *k = cli_commands; k->words != NULL; k++) {
		const char *p = k->words;
		int i = 0;
		for (; i < n; i++) {
			size_t len = strcspn(p, " ");
			if (strlen(before[i]) != len || strncmp(before[i], p, len) != 0 || p[len] == '\0')
				break;
			p += len + 1;
		}
		size_t len = strcspn(p, " ");
		if (i < n || (len == last_n && strncmp(p, last, len) == 0))
			continue;
		last = p;
		last_n = len;
		offer(p, len, begun);
	}
}

static const struct cli_option *
named(const struct cli_option *o, const char *name)
{
	for (; o != NULL && o->name != NULL; o++)
		if (strcmp(o->name, name) == 0)
			return o;
	return NULL;
}

static void
offer_options(const struct cli_option *o, const char *begun)
{
	for (; o != NULL && o->name != NULL; o++)
		offer(o->name, strlen(o->name), begun);
}

int
cmd_complete(struct cli *c)
{
	int n = c->args.n_arguments, used = 0;
	if (n == 0)
		return CLI_OK;
	const char *begun = c->args.argument[n - 1], *before = n > 1 ? c->args.argument[n - 2] : "";
	const struct cli_command *k = cli_find_command(n - 1, (char **)c->args.argument, &used);
	const struct cli_option *o = named(cli_globals, before);
	if (o == NULL && k != NULL)
		o = named(k->options, before);
	if (o != NULL && o->meta != NULL) {
		offer_values(o->meta, begun);
		return CLI_OK;
	}
	if (begun[0] == '-') {
		offer_options(k != NULL ? k->options : NULL, begun);
		offer_options(cli_globals, begun);
		return CLI_OK;
	}
	if (k != NULL && n - 1 == used)
		offer_values(k->arguments, begun);
	if (k == NULL || n - 1 == used)
		offer_words(n - 1, c->args.argument, begun);
	return CLI_OK;
}
