/* SPDX-License-Identifier: MIT
 *
 * sekisho: the command line. Parses, loads the settings, runs one command.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

static int
run(struct cli *c, int argc, char **argv)
{
	const char *why = NULL;
	if (!cli_args_parse(c->arena, argc, argv, &c->args, &why)) {
		if (why != NULL) {
			cli_error("%s", why);
			return CLI_USAGE;
		}
		(void)cmd_help(c);
		return argc > 1 ? CLI_OK : CLI_USAGE;
	}
	if (c->args.help) {
		c->args.argument[0] = c->args.command->words;
		c->args.n_arguments = 1;
		return cmd_help(c);
	}
	/* What needs no API needs no settings. */
	if (c->args.command->operations[0] != '\0' && !cli_settings_load(c, &why)) {
		cli_error("%s", why);
		return CLI_USAGE;
	}
	int code = c->args.command->run(c);
	/* An answer that could not be written (full disk, closed pipe) was not given. */
	if (fflush(stdout) != 0 && code == CLI_OK)
		code = CLI_FAILED;
	return code;
}

int
main(int argc, char **argv)
{
	struct cli c = {.arena = arena_new()};
	curl_global_init(CURL_GLOBAL_DEFAULT);
	int code = run(&c, argc, argv);
	curl_global_cleanup();
	arena_free(&c.arena);
	return code;
}
