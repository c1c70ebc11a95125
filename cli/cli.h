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
	CLI_FAILED = 1,
	CLI_USAGE = 2,
	CLI_UNREACHABLE = 3,
};
/* The one table of exit codes, for help and manual pages. */
struct cli_exit_code {
	int code;
	const char *meaning;
};
extern const struct cli_exit_code cli_exits[]; /* meaning NULL at the end */

struct cli_option {
	const char *name; /* "--from" */
	const char *meta; /* "ADDRESS", "may|encrypt|verify"; NULL: takes no value */
	const char *help;
};
#define CLI_OPTIONS_MAX 512 /* values on one command line */

struct cli;
struct cli_command {
	const char *words;		  /* "message list" */
	const char *arguments;		  /* "ID [NUMBER...]": shown in help */
	int min_arguments, max_arguments; /* -1: no bound */
	const struct cli_option *options; /* name NULL at the end; NULL: none */
	const char *help;		  /* one line */
	const char *operations;		  /* operationIds of docs/openapi.yaml, spaces between; "": needs no API */
	const char *const *examples;	  /* shell lines, NULL at the end; tests run them */
	int (*run)(struct cli *c);
};
extern const struct cli_command cli_commands[]; /* words NULL at the end */
extern const struct cli_option cli_globals[];	/* understood by every command */

struct cli_args {
	const struct cli_command *command;
	const char *argument[CLI_OPTIONS_MAX];
	int n_arguments;
	struct {
		const char *name, *value;
	} option[CLI_OPTIONS_MAX];
	int n_options;
	bool json, help;
	const char *env_file;	     /* --env; NULL: none given */
	const char *idempotency_key; /* --idempotency-key; NULL: none given */
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

/* The value of a number option. false: it is none, or over max; what is wrong was printed. Not given: otherwise. */
bool cli_number(const struct cli *c, const char *option, json_int_t otherwise, json_int_t max,
		json_int_t *out_r) MUST_CHECK;
/* The command of these words (an array of n), NULL if there is none; *used_r words are its name. */
const struct cli_command *cli_find_command(int n, char **words, int *used_r);

/* The command that the arguments name (help, man); NULL: there is none, which was said. */
const struct cli_command *cli_command_of_arguments(struct cli *c);

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
/* CLI_OK: a 2xx; else the error was printed as one line (or, with --json, as the API's own problem). A POST carries an
 * idempotency key (--idempotency-key, else a new one); if no answer came, the line says how to repeat it. */
int cli_call(struct cli *c, const struct cli_request *r, struct cli_answer *out_r);
/* The usual case: GET, or a JSON document (stolen) with another method. if_match: NULL none, else an ETag. */
int cli_call_json(struct cli *c, const char *method, const char *path, json_t *body_take, struct cli_answer *out_r);
int cli_call_if(struct cli *c, const char *method, const char *path, json_t *body_take, const char *if_match,
		struct cli_answer *out_r);
/* Percent-encoded for a path segment or a query value. */
const char *cli_encode(struct cli *c, const char *s);
/* path?name=value&... of those options (without "--", '-' for '_', NULL at the end) that were given. */
const char *cli_query(struct cli *c, const char *path, const char *const *names);

/* path with one more name=value. */
const char *cli_add_query(struct cli *c, const char *path, const char *name, const char *value);
/* path with --from and --until, if given; a day means its beginning. */
const char *cli_add_times(struct cli *c, const char *path);

/* An answer that is taken as it comes (export, events). on_body false: enough. CLI_OK: it ended; *last_r is true when
 * on_body said so. Errors are printed as cli_call does. */
struct cli_stream {
	struct cli_request request;
	bool (*on_body)(void *ctx, struct bytes piece);
	void *ctx;
	bool quiet;	 /* say nothing about a lost connection: the caller resumes */
	bool answered;	 /* set: the answer was a 2xx */
	bool enough;	 /* set: on_body ended it */
	int status;	 /* set: of the answer, 0: none came */
	int retry_after; /* set: seconds, 0: not said */
};
int cli_call_stream(struct cli *c, struct cli_stream *s);
/* An answer that goes as it is to --output FILE or standard output (a terminal gets it made harmless). what: "export".
 */
int cli_save(struct cli *c, const char *path, const char *what);

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

/* --- show.c: answers as tables and lines ---------------------------------------------------------------------- */
enum cli_kind { CLI_TEXT, CLI_NUMBER, CLI_TIME, CLI_YES, CLI_LIST, CLI_JSON };
struct cli_column {
	const char *title, *member; /* title NULL at the end */
	enum cli_kind kind;
};
const char *cli_cell(struct cli *c, const json_t *object, const struct cli_column *column);
void cli_print_table(struct cli *c, const json_t *list, const struct cli_column *columns);
void cli_print_object(struct cli *c, const json_t *object, const struct cli_column *columns);
/* GET path, and print its list (and how to go on), or the object itself. */
int cli_get_list(struct cli *c, const char *path, const char *member, const struct cli_column *columns);
int cli_get_object(struct cli *c, const char *path, const struct cli_column *columns);
/* Send, and print what comes back, or with columns NULL just `done`. if_match: as cli_call_if. */
int cli_change(struct cli *c, const char *method, const char *path, json_t *body_take, const char *if_match,
	       const struct cli_column *columns, const char *done);
void cli_print_more(struct cli *c, const json_t *page);

/* --- body.c: options that become JSON ----------------------------------------------------------------------- */
json_t *cli_values(struct cli *c, const char *option);					  /* all of them */
void cli_set_text(struct cli *c, json_t *body, const char *option, const char *member);	  /* if given */
void cli_set_values(struct cli *c, json_t *body, const char *option, const char *member); /* if given */
/* The first line of --password-file as "password". Secrets come from files, never from the command line. */
bool cli_set_password(struct cli *c, json_t *body) MUST_CHECK;
/* The first line of a file ("-": standard input); prints what is wrong. */
bool cli_read_line(struct cli *c, const char *path, const char **out_r) MUST_CHECK;
/* If-Match of --if-version N; otherwise: what to say without it (NULL: nothing). false: it is no number. */
bool cli_if_version(struct cli *c, const char *otherwise, const char **if_match_r) MUST_CHECK;

/* --- trace.c ------------------------------------------------------------------------------------------------ */
void trace_print_timeline(struct cli *c, const json_t *message);
void trace_print_decision(struct cli *c, const json_t *decision);

/* --- the commands ------------------------------------------------------------------------------------------- */
int cmd_send(struct cli *c);
int cmd_message_list(struct cli *c);
int cmd_message_search(struct cli *c);
int cmd_message_show(struct cli *c);
int cmd_message_trace(struct cli *c);
int cmd_message_lookup(struct cli *c);
int cmd_hold_list(struct cli *c);
int cmd_hold_release(struct cli *c);
int cmd_hold_discard(struct cli *c);
int cmd_policy_get(struct cli *c);
int cmd_policy_put(struct cli *c);
int cmd_policy_check(struct cli *c);
int cmd_policy_versions(struct cli *c);
int cmd_whoami(struct cli *c);
int cmd_tenant_create(struct cli *c);
int cmd_tenant_list(struct cli *c);
int cmd_tenant_show(struct cli *c);
int cmd_tenant_update(struct cli *c);
int cmd_user_list(struct cli *c);
int cmd_user_show(struct cli *c);
int cmd_user_create(struct cli *c);
int cmd_user_update(struct cli *c);
int cmd_user_disable(struct cli *c);
int cmd_user_enable(struct cli *c);
int cmd_user_unlock(struct cli *c);
int cmd_user_password(struct cli *c);
int cmd_user_access(struct cli *c);
int cmd_user_permissions(struct cli *c);
int cmd_role_list(struct cli *c);
int cmd_role_put(struct cli *c);
int cmd_role_delete(struct cli *c);
int cmd_group_list(struct cli *c);
int cmd_group_put(struct cli *c);
int cmd_group_delete(struct cli *c);
int cmd_key_list(struct cli *c);
int cmd_key_create(struct cli *c);
int cmd_key_rotate(struct cli *c);
int cmd_key_revoke(struct cli *c);
int cmd_domain_list(struct cli *c);
int cmd_domain_add(struct cli *c);
int cmd_domain_dkim(struct cli *c);
int cmd_route_get(struct cli *c);
int cmd_route_set(struct cli *c);
int cmd_settings_get(struct cli *c);
int cmd_settings_set(struct cli *c);
int cmd_sandbox_list(struct cli *c);
int cmd_sandbox_show(struct cli *c);
int cmd_sandbox_content(struct cli *c);
int cmd_audit_search(struct cli *c);
int cmd_audit_heads(struct cli *c);
int cmd_audit_prove(struct cli *c);
int cmd_audit_export(struct cli *c);
int cmd_audit_verify(struct cli *c);
int cmd_events(struct cli *c);
int cmd_webhook_list(struct cli *c);
int cmd_webhook_show(struct cli *c);
int cmd_webhook_create(struct cli *c);
int cmd_webhook_update(struct cli *c);
int cmd_webhook_delete(struct cli *c);
int cmd_webhook_rotate(struct cli *c);
int cmd_webhook_test(struct cli *c);
int cmd_webhook_attempts(struct cli *c);
int cmd_webhook_replay(struct cli *c);
int cmd_webhook_listen(struct cli *c);
int cmd_bus_status(struct cli *c);
int cmd_queue(struct cli *c);
int cmd_conservation(struct cli *c);
int cmd_health(struct cli *c);
int cmd_help(struct cli *c);
int cmd_man(struct cli *c);
int cmd_completion(struct cli *c);
int cmd_complete(struct cli *c);

#endif
