/* SPDX-License-Identifier: MIT
 *
 * The command line `sekisho`: what its commands share. One command table (commands.c), one function per command; a
 * function returns the exit code. Single-threaded; everything is allocated in one arena that ends with the program.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <jansson.h>

#include "core/arena.h"
#include "core/bytes.h"

enum cli_exit {
	CLI_OK = 0,
	CLI_FAILED = 1,	     /* refused, not found, conflict, or an error on the other side */
	CLI_USAGE = 2,	     /* the command line or a file named by it is wrong; nothing was sent */
	CLI_UNREACHABLE = 3, /* no answer: nothing is known about what happened */
};

struct cli_option {
	const char *name; /* "--from" */
	const char *meta; /* "ADDRESS"; NULL: takes no value */
	const char *help;
};
#define CLI_OPTIONS_MAX 512 /* values on one command line */

struct cli;
struct cli_command {
	const char *words;		  /* "message list" */
	const char *arguments;		  /* "ID [NUMBER...]": shown in help */
	int min_arguments, max_arguments; /* -1: no bound */
	const struct cli_option *options; /* name NULL at the end; NULL: none */
	const char *help;
	int (*run)(struct cli *c);
};
extern const struct cli_command cli_commands[]; /* words NULL at the end */

struct cli_args {
	const struct cli_command *command;
	const char *argument[CLI_OPTIONS_MAX];
	int n_arguments;
	struct {
		const char *name, *value;
	} option[CLI_OPTIONS_MAX];
	int n_options;
	bool json, help;
	const char *env_file; /* --env; NULL: none given */
};

struct cli {
	struct arena *arena;
	struct cli_args args;
	const char *url, *ca, *key; /* "" if not set */
};

/* --- args.c: the command line, pure ------------------------------------------------------------------------ */
/* false: why_r is one line that says what is wrong. */
bool cli_args_parse(struct arena *a, int argc, char **argv, struct cli_args *out_r, const char **why_r) MUST_CHECK;
bool cli_has(const struct cli *c, const char *option);
/* Last value of an option, NULL if it was not given. */
const char *cli_value(const struct cli *c, const char *option);
/* Every value: start with *at = 0; NULL when there are no more. */
const char *cli_next_value(const struct cli *c, const char *option, int *at);
/* "Name <a@b>" or "a@b"; name "" if there is none. */
void cli_split_address(struct arena *a, const char *text, const char **name_r, const char **address_r);

/* --- settings.c -------------------------------------------------------------------------------------------- */
/* Environment, then the file (lines NAME=value); a file named by --env comes before the environment. */
bool cli_settings_load(struct cli *c, const char **why_r) MUST_CHECK;

/* --- call.c: the API ---------------------------------------------------------------------------------------- */
struct cli_header {
	const char *name, *value;
};
struct cli_request {
	const char *method, *path; /* path with query, encoded */
	const char *content_type;  /* NULL: no body */
	struct bytes body;
	struct cli_header headers[4]; /* name NULL ends */
};
struct cli_answer {
	int status;
	struct bytes body;
	json_t *json;	  /* NULL if the body is no JSON */
	const char *etag; /* "" if none */
};
/* CLI_OK: a 2xx; else the error was printed as one line (or, with --json, as the API's own problem). */
int cli_call(struct cli *c, const struct cli_request *r, struct cli_answer *out_r);
/* The usual case: GET, or a JSON document (stolen) with another method. */
int cli_call_json(struct cli *c, const char *method, const char *path, json_t *body_take, struct cli_answer *out_r);
/* Percent-encoded for a path segment or a query value. */
const char *cli_encode(struct cli *c, const char *s);

/* --- words about JSON answers ------------------------------------------------------------------------------- */
/* With --json: prints the answer and returns true. */
bool cli_print_json(const struct cli *c, const struct cli_answer *a);
const char *cli_str(const json_t *object, const char *name); /* "" if absent or no string */
json_int_t cli_int(const json_t *object, const char *name);  /* 0 if absent */
/* "2026-11-22 03:04:05" of an RFC 3339 time; "-" if absent. */
const char *cli_time(struct cli *c, const json_t *object, const char *name);
void cli_error(const char *fmt, ...) PRINTF_LIKE(1, 2); /* one line on standard error, safe to print */
/* A whole file, or standard input for "-"; prints what is wrong. */
bool cli_read_file(struct cli *c, const char *path, size_t max, struct bytes *out_r) MUST_CHECK;

/* --- trace.c ------------------------------------------------------------------------------------------------ */
void trace_print_timeline(struct cli *c, const json_t *message);
void trace_print_decision(struct cli *c, const json_t *decision);

/* --- the commands ------------------------------------------------------------------------------------------- */
int cmd_send(struct cli *c);
int cmd_message_list(struct cli *c);
int cmd_message_show(struct cli *c);
int cmd_message_trace(struct cli *c);
int cmd_hold_list(struct cli *c);
int cmd_hold_release(struct cli *c);
int cmd_hold_discard(struct cli *c);
int cmd_policy_get(struct cli *c);
int cmd_policy_put(struct cli *c);
int cmd_policy_check(struct cli *c);
int cmd_tenant_create(struct cli *c);
int cmd_tenant_list(struct cli *c);
int cmd_user_create(struct cli *c);
int cmd_key_create(struct cli *c);
int cmd_key_revoke(struct cli *c);
int cmd_domain_add(struct cli *c);
int cmd_domain_dkim(struct cli *c);
int cmd_route_get(struct cli *c);
int cmd_route_set(struct cli *c);
int cmd_bus_status(struct cli *c);
int cmd_queue(struct cli *c);
int cmd_conservation(struct cli *c);
int cmd_health(struct cli *c);
int cmd_help(struct cli *c);

#endif
