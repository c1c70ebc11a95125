/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "cli.h"

static struct arena *arena;

#define PARSE(c, why, ...)                                                                                             \
	({                                                                                                             \
		char *argv[] = {"sekisho", __VA_ARGS__};                                                               \
		(c)->arena = arena;                                                                                    \
		cli_args_parse(arena, (int)(sizeof(argv) / sizeof(argv[0])), argv, &(c)->args, (why));                 \
	})

static void
options_and_arguments(void **state)
{
	struct cli c = {0};
	const char *why = NULL;
	assert_true(
	    PARSE(&c, &why, "--json", "send", "--from", "a@x", "--to=b@x", "--to", "c@x", "--subject", "--json"));
	assert_string_equal(c.args.command->words, "send");
	assert_true(c.args.json);
	int at = 0;
	assert_string_equal(cli_next_value(&c, "--to", &at), "b@x");
	assert_string_equal(cli_next_value(&c, "--to", &at), "c@x");
	assert_null(cli_next_value(&c, "--to", &at));
	/* A value may look like an option. */
	assert_string_equal(cli_value(&c, "--subject"), "--json");
	assert_false(cli_has(&c, "--cc"));

	assert_true(PARSE(&c, &why, "hold", "release", "ID", "--env", "f", "0", "--", "-1"));
	assert_string_equal(c.args.env_file, "f");
	assert_int_equal(c.args.n_arguments, 3);
	assert_string_equal(c.args.argument[2], "-1");
	assert_true(PARSE(&c, &why, "policy", "check", "-"));
	assert_true(PARSE(&c, &why, "hold", "list", "--idempotency-key=k1", "--env=g"));
	assert_string_equal(c.args.idempotency_key, "k1");
	assert_string_equal(c.args.env_file, "g");
	assert_true(PARSE(&c, &why, "message", "show", "--help"));
	assert_true(c.args.help);
}

static void
mistakes(void **state)
{
	struct cli c = {0};
	const char *why = NULL;
	assert_false(PARSE(&c, &why, "message"));
	assert_string_equal(why, "no such command: message (sekisho help lists them)");
	assert_false(PARSE(&c, &why, "message", "burn"));
	assert_string_equal(why, "no such command: message burn (sekisho help lists them)");
	assert_false(PARSE(&c, &why, "message", "show"));
	assert_string_equal(why, "usage: sekisho message show ID");
	assert_false(PARSE(&c, &why, "message", "show", "1", "2"));
	assert_false(PARSE(&c, &why, "send", "--form", "x"));
	assert_string_equal(why, "send has no option --form");
	assert_false(PARSE(&c, &why, "send", "--from"));
	assert_string_equal(why, "--from needs a value (ADDRESS)");
	assert_false(PARSE(&c, &why, "domain", "add", "x", "--assert-proven=yes"));
	assert_string_equal(why, "--assert-proven takes no value");
	assert_false(PARSE(&c, &why, "health", "--env"));
	assert_string_equal(why, "--env needs a value (FILE)");
	assert_false(PARSE(&c, &why, "health", "--idempotency-key"));
	assert_false(PARSE(&c, &why, "message", "show", "\xff"));
	assert_string_equal(why, "word 3 of the command line is not UTF-8");
	assert_false(PARSE(&c, &why, "--json"));
	assert_null(why); /* nothing asked: help */
}

static void
every_command_is_found(void **state)
{
	for (const struct cli_command *k = cli_commands; k->words != NULL; k++) {
		char words[64], *argv[8] = {"sekisho"};
		int n = 1;
		struct cli_args args;
		const char *why;
		snprintf(words, sizeof(words), "%s", k->words);
		for (char *w = strtok(words, " "); w != NULL; w = strtok(NULL, " "))
			argv[n++] = w;
		for (int i = 0; i < k->min_arguments; i++)
			argv[n++] = "x";
		assert_true(cli_args_parse(arena, n, argv, &args, &why));
		assert_ptr_equal(args.command, k);
		assert_non_null(k->run);
		assert_non_null(k->operations);
		assert_true(k->help[0] != '\0' && k->examples[0] != NULL);
	}
}

static void
numbers(void **state)
{
	static const struct {
		const char *text;
		json_int_t max, value; /* -1: refused */
	} table[] = {
	    {"0", 10, 0},
	    {"10", 10, 10},
	    {"11", 10, -1},
	    {"007", 10, 7},
	    {"", 10, -1},
	    {"-1", 10, -1},
	    {"1x", 10, -1},
	    {" 1", 10, -1},
	    {"9223372036854775807", INT64_MAX, INT64_MAX},
	    {"9223372036854775808", INT64_MAX, -1},
	    {"99999999999999999999999", INT64_MAX, -1},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct cli c = {.arena = arena};
		json_int_t got = -5;
		c.args.option[0].name = "--limit";
		c.args.option[0].value = table[i].text;
		c.args.n_options = 1;
		bool ok = cli_number(&c, "--limit", 0, table[i].max, &got);
		assert_int_equal(ok ? got : -1, table[i].value);
	}
}

static void
addresses_with_names(void **state)
{
	static const struct {
		const char *text, *name, *address;
	} table[] = {
	    {"a@x.example", "", "a@x.example"},
	    {"山田 太郎 <a@x.example>", "山田 太郎", "a@x.example"},
	    {"\"Doe, J.\" <a@x.example>", "Doe, J.", "a@x.example"},
	    {"<a@x.example>", "", "a@x.example"},
	    {"a <b", "", "a <b"},
	    {"", "", ""},
	    {"\" <a@x>", "\"", "a@x"},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const char *name, *address;
		cli_split_address(arena, table[i].text, &name, &address);
		assert_string_equal(name, table[i].name);
		assert_string_equal(address, table[i].address);
	}
}

int
main(void)
{
	arena = arena_new();
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(options_and_arguments),  cmocka_unit_test(mistakes),
	    cmocka_unit_test(every_command_is_found), cmocka_unit_test(numbers),
	    cmocka_unit_test(addresses_with_names),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	arena_free(&arena);
	return failed;
}
