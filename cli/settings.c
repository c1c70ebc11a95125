/* SPDX-License-Identifier: MIT
 *
 * Where the API is, who vouches for it, and the key: from the environment or a file.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

#define DEFAULT_FILE "run/sekisho.env"

/* NAME=value, perhaps with "export " before and quotes around the value, as a shell reads it. */
static void
take_line(struct cli *c, char *line)
{
	line += strspn(line, " \t");
	if (strncmp(line, "export ", 7) == 0)
		line += 7;
	char *eq = strchr(line, '=');
	if (line[0] == '#' || eq == NULL)
		return;
	*eq = '\0';
	char *value = eq + 1;
	size_t n = strcspn(value, "\r\n");
	if (n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n - 1] == value[0]) {
		value++;
		n -= 2;
	}
	const char **target = strcmp(line, "SEKISHO_URL") == 0	     ? &c->url
			      : strcmp(line, "SEKISHO_CA") == 0	     ? &c->ca
			      : strcmp(line, "SEKISHO_API_KEY") == 0 ? &c->key
								     : NULL;
	if (target != NULL)
		*target = arena_strndup(c->arena, value, n);
}

static bool
load_file(struct cli *c, const char *path, bool required, const char **why_r)
{
	FILE *f = fopen(path, "re");
	if (f == NULL) {
		if (!required)
			return true;
		*why_r = arena_printf(c->arena, "cannot read %s: %s", path, strerror(errno));
		return false;
	}
	char *line = NULL;
	size_t cap = 0;
	while (getline(&line, &cap, f) >= 0)
		take_line(c, line);
	free(line);
	fclose(f);
	return true;
}

static void
take_environment(struct cli *c)
{
	const char *url = getenv("SEKISHO_URL"), *ca = getenv("SEKISHO_CA"), *key = getenv("SEKISHO_API_KEY");
	c->url = url != NULL ? url : c->url;
	c->ca = ca != NULL ? ca : c->ca;
	c->key = key != NULL ? key : c->key;
}

/* The folder may be a stranger's: its file is taken whole or not at all, so that it neither gets a key of the
 * environment sent to its URL nor vouches for another's. A file that is named by --env is meant. */
bool
cli_settings_load(struct cli *c, const char **why_r)
{
	const char *named = c->args.env_file;
	bool set = getenv("SEKISHO_URL") != NULL || getenv("SEKISHO_API_KEY") != NULL;
	c->url = c->ca = c->key = "";
	if (named != NULL)
		take_environment(c);
	if ((named != NULL || !set) && !load_file(c, named != NULL ? named : DEFAULT_FILE, named != NULL, why_r))
		return false;
	if (named == NULL)
		take_environment(c);
	if (c->url[0] != '\0')
		return true;
	*why_r = set && named == NULL ? "SEKISHO_URL is not set, and ./" DEFAULT_FILE
					" is not read beside SEKISHO_API_KEY of the environment"
				      : "SEKISHO_URL is not set (environment, --env FILE or ./" DEFAULT_FILE ")";
	return false;
}
