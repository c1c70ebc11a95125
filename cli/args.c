/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "cli.h"

/* How many words of argv the command's name takes; 0: not this one. */
static int
words_match(const char *words, int argc, char **argv)
{
	int n = 0;
	while (*words != '\0') {
		size_t len = strcspn(words, " ");
		if (n >= argc || strlen(argv[n]) != len || strncmp(argv[n], words, len) != 0)
			return 0;
		words += len + (words[len] == ' ' ? 1 : 0);
		n++;
	}
	return n;
}

static bool
is_utf8(const char *s)
{
	json_t *j = json_string(s);
	json_decref(j);
	return j != NULL;
}

static const struct cli_option *
find_option(const struct cli_command *command, const char *name, size_t n)
{
	for (const struct cli_option *o = command->options; o != NULL && o->name != NULL; o++)
		if (strlen(o->name) == n && strncmp(o->name, name, n) == 0)
			return o;
	return NULL;
}

/* --json, --env FILE, --idempotency-key KEY and --help stand anywhere. Returns the words taken, 0 if it is none of
 * them, -1 if wrong. */
static int
take_global(struct arena *a, int left, char **at, struct cli_args *out, const char **why_r)
{
	static const char *const with_value[] = {"--env", "--idempotency-key"};
	const char **value[] = {&out->env_file, &out->idempotency_key};
	if (strcmp(at[0], "--json") == 0) {
		out->json = true;
		return 1;
	}
	if (strcmp(at[0], "--help") == 0 || strcmp(at[0], "-h") == 0) {
		out->help = true;
		return 1;
	}
	for (size_t i = 0; i < 2; i++) {
		size_t n = strlen(with_value[i]);
		if (strncmp(at[0], with_value[i], n) != 0 || (at[0][n] != '\0' && at[0][n] != '='))
			continue;
		if (at[0][n] == '\0' && left < 2) {
			*why_r = arena_printf(a, "%s needs a value (%s)", with_value[i], i == 0 ? "FILE" : "KEY");
			return -1;
		}
		*value[i] = arena_strdup(a, at[0][n] == '=' ? at[0] + n + 1 : at[1]);
		return at[0][n] == '=' ? 1 : 2;
	}
	return 0;
}

static bool
take_option(struct arena *a, int argc, char **argv, int *i, struct cli_args *out, const char **why_r)
{
	const char *word = argv[*i];
	size_t n = strcspn(word, "=");
	const struct cli_option *o = find_option(out->command, word, n);
	if (o == NULL) {
		*why_r = arena_printf(a, "%s has no option %.*s", out->command->words, (int)n, word);
		return false;
	}
	const char *value = "";
	if (o->meta == NULL && word[n] == '=') {
		*why_r = arena_printf(a, "%s takes no value", o->name);
		return false;
	}
	if (o->meta != NULL && word[n] == '=') {
		value = word + n + 1;
	} else if (o->meta != NULL) {
		if (*i + 1 >= argc) {
			*why_r = arena_printf(a, "%s needs a value (%s)", o->name, o->meta);
			return false;
		}
		value = argv[++*i];
	}
	if (out->n_options == CLI_OPTIONS_MAX) {
		*why_r = "too many options";
		return false;
	}
	out->option[out->n_options].name = o->name;
	out->option[out->n_options++].value = value;
	return true;
}

static bool
take_rest(struct arena *a, int argc, char **argv, struct cli_args *out, const char **why_r)
{
	bool only_arguments = false;
	for (int i = 0; i < argc; i++) {
		int taken = only_arguments ? 0 : take_global(a, argc - i, argv + i, out, why_r);
		if (taken < 0)
			return false;
		if (taken > 0) {
			i += taken - 1;
			continue;
		}
		if (!only_arguments && strcmp(argv[i], "--") == 0) {
			only_arguments = true;
		} else if (!only_arguments && argv[i][0] == '-' && argv[i][1] != '\0') {
			if (!take_option(a, argc, argv, &i, out, why_r))
				return false;
		} else if (out->n_arguments == CLI_OPTIONS_MAX) {
			*why_r = "too many arguments";
			return false;
		} else {
			out->argument[out->n_arguments++] = argv[i];
		}
	}
	return true;
}

const struct cli_command *
cli_find_command(int n, char **words, int *used_r)
{
	const struct cli_command *found = NULL;
	*used_r = 0;
	for (const struct cli_command *c = cli_commands; c->words != NULL; c++) {
		int used = words_match(c->words, n, words);
		if (used > *used_r) {
			*used_r = used;
			found = c;
		}
	}
	return found;
}

bool
cli_args_parse(struct arena *a, int argc, char **argv, struct cli_args *out_r, const char **why_r)
{
	struct cli_args out = {0};
	int i = 1;
	for (int k = 1; k < argc; k++)
		if (!is_utf8(argv[k])) {
			*why_r = arena_printf(a, "word %d of the command line is not UTF-8", k);
			return false;
		}
	while (i < argc) {
		int taken = take_global(a, argc - i, argv + i, &out, why_r);
		if (taken < 0)
			return false;
		if (taken == 0)
			break;
		i += taken;
	}
	int used = 0;
	out.command = cli_find_command(argc - i, argv + i, &used);
	for (int k = i; out.command == NULL && k < argc; k++)
		out.help = out.help || strcmp(argv[k], "--help") == 0 || strcmp(argv[k], "-h") == 0;
	if (out.command == NULL && (i == argc || out.help)) {
		*why_r = NULL; /* nothing asked: help */
		return false;
	}
	if (out.command == NULL) {
		*why_r = arena_printf(a, "no such command: %s%s%s (sekisho help lists them)", argv[i],
				      i + 1 < argc && argv[i + 1][0] != '-' ? " " : "",
				      i + 1 < argc && argv[i + 1][0] != '-' ? argv[i + 1] : "");
		return false;
	}
	if (!take_rest(a, argc - i - used, argv + i + used, &out, why_r))
		return false;
	const struct cli_command *c = out.command;
	if (!out.help &&
	    (out.n_arguments < c->min_arguments || (c->max_arguments >= 0 && out.n_arguments > c->max_arguments))) {
		*why_r = arena_printf(a, "usage: sekisho %s %s", c->words, c->arguments);
		return false;
	}
	*out_r = out;
	return true;
}

const char *
cli_next_value(const struct cli *c, const char *option, int *at)
{
	for (; *at < c->args.n_options; ++*at)
		if (strcmp(c->args.option[*at].name, option) == 0)
			return c->args.option[(*at)++].value;
	return NULL;
}

const char *
cli_value(const struct cli *c, const char *option)
{
	const char *last = NULL, *v;
	for (int at = 0; (v = cli_next_value(c, option, &at)) != NULL;)
		last = v;
	return last;
}

bool
cli_has(const struct cli *c, const char *option)
{
	return cli_value(c, option) != NULL;
}

bool
cli_number(const struct cli *c, const char *option, json_int_t otherwise, json_int_t max, json_int_t *out_r)
{
	const char *text = cli_value(c, option);
	*out_r = otherwise;
	if (text == NULL)
		return true;
	json_int_t v = 0;
	for (const char *p = text; *p != '\0'; p++) {
		if (*p < '0' || *p > '9' || v > (max - (*p - '0')) / 10) {
			v = -1;
			break;
		}
		v = v * 10 + (*p - '0');
	}
	if (v < 0 || text[0] == '\0') {
		cli_error("%s %s: a number from 0 to %lld is needed", option, text, (long long)max);
		return false;
	}
	*out_r = v;
	return true;
}

void
cli_split_address(struct arena *a, const char *text, const char **name_r, const char **address_r)
{
	*name_r = "";
	*address_r = text;
	size_t n = strlen(text);
	const char *open = strrchr(text, '<');
	if (open == NULL || n == 0 || text[n - 1] != '>')
		return;
	size_t name = (size_t)(open - text);
	while (name > 0 && text[name - 1] == ' ')
		name--;
	if (name >= 2 && text[0] == '"' && text[name - 1] == '"') {
		text++;
		name -= 2;
	}
	*name_r = arena_strndup(a, text, name);
	*address_r = arena_strndup(a, open + 1, strlen(open) - 2);
}
