/* SPDX-License-Identifier: MIT
 *
 * sekisho audit, sandbox: the record and its proofs; what a sandbox's sink received.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "record/verify.h"
#include "term.h"

static const char *
filtered(struct cli *c, const char *path)
{
	static const char *const names[] = {"limit",  "cursor",	 "actor",  "action", "outcome",
					    "source", "subject", "format", "first",  NULL};
	return cli_add_times(c, cli_query(c, path, names));
}

int
cmd_audit_search(struct cli *c)
{
	static const struct cli_column columns[] = {
	    {"INDEX", "index", CLI_NUMBER}, {"WHEN (UTC)", "at", CLI_TIME},
	    {"WHO", "actor", CLI_TEXT},	    {"FROM", "source", CLI_TEXT},
	    {"WHAT", "action", CLI_TEXT},   {"RESULT", "outcome", CLI_TEXT},
	    {"ABOUT", "subject", CLI_TEXT}, {"NO", "recipient", CLI_NUMBER},
	    {"DETAIL", "detail", CLI_JSON}, {NULL},
	};
	return cli_get_list(c, filtered(c, "/v1/audit/entries"), "entries", columns);
}

/* The newest head's signed text, or the key, octet for octet: both go into files that verify reads. */
static void
print_plain(struct cli *c, const json_t *heads, bool checkpoint)
{
	const char *text = checkpoint ? cli_str(json_array_get(json_object_get(heads, "heads"), 0), "checkpoint")
				      : cli_str(heads, "verifier_key");
	for (const char *p = text; *p != '\0';) {
		size_t n = strcspn(p, "\n");
		puts(term_safe(c->arena, bytes_of(p, n)));
		p += n + (p[n] == '\n' ? 1 : 0);
	}
}

int
cmd_audit_heads(struct cli *c)
{
	static const struct cli_column columns[] = {
	    {"SIZE", "size", CLI_NUMBER}, {"SIGNED (UTC)", "at", CLI_TIME}, {"ROOT", "root", CLI_TEXT}, {NULL}};
	bool checkpoint = cli_has(c, "--checkpoint"), key = cli_has(c, "--verifier-key");
	if (checkpoint && key) {
		cli_error("--checkpoint or --verifier-key, not both");
		return CLI_USAGE;
	}
	if (!checkpoint && !key)
		return cli_get_list(c, filtered(c, "/v1/audit/heads"), "heads", columns);
	struct cli_answer a = {0};
	int code = cli_call_json(c, "GET", "/v1/audit/heads?limit=1", NULL, &a);
	if (code == CLI_OK && checkpoint && json_array_size(json_object_get(a.json, "heads")) == 0) {
		cli_error("no head has been signed yet");
		code = CLI_FAILED;
	}
	if (code == CLI_OK && !cli_print_json(c, &a))
		print_plain(c, a.json, checkpoint);
	json_decref(a.json);
	return code;
}

static void
print_proof(struct cli *c, const json_t *proof, bool inclusion)
{
	static const struct cli_column of_entry[] = {
	    {"index", "index", CLI_NUMBER}, {"size", "size", CLI_NUMBER}, {"leaf", "leaf", CLI_TEXT}, {NULL}};
	static const struct cli_column of_log[] = {
	    {"first", "first", CLI_NUMBER}, {"size", "size", CLI_NUMBER}, {NULL}};
	size_t i;
	json_t *x;
	cli_print_object(c, proof, inclusion ? of_entry : of_log);
	json_array_foreach(json_object_get(proof, "hashes"), i, x)
	{
		const char *hash = json_string_value(x);
		printf("hash   %s\n", term_safe(c->arena, bytes_str(hash != NULL ? hash : "?")));
	}
	puts("signed by the head:");
	const char *p = cli_str(json_object_get(proof, "head"), "checkpoint");
	while (*p != '\0') {
		size_t n = strcspn(p, "\n");
		printf("  %s\n", term_safe(c->arena, bytes_of(p, n)));
		p += n + (p[n] == '\n' ? 1 : 0);
	}
}

int
cmd_audit_prove(struct cli *c)
{
	static const char *const names[] = {"first", "size", NULL};
	bool inclusion = c->args.n_arguments == 1;
	if (inclusion == cli_has(c, "--first")) {
		cli_error("audit prove needs the INDEX of an entry, or --first SIZE");
		return CLI_USAGE;
	}
	const char *path = inclusion ? "/v1/audit/proofs/inclusion" : "/v1/audit/proofs/consistency";
	path = cli_query(c, path, names);
	if (inclusion)
		path = cli_add_query(c, path, "index", c->args.argument[0]);
	struct cli_answer a = {0};
	int code = cli_call_json(c, "GET", path, NULL, &a);
	if (code == CLI_OK && !cli_print_json(c, &a))
		print_proof(c, a.json, inclusion);
	json_decref(a.json);
	return code;
}

int
cmd_audit_export(struct cli *c)
{
	return cli_save(c, filtered(c, "/v1/audit/export"), "export");
}

/* What the verifier said, line by line: it quotes the export, which may be anybody's. */
static void
print_said(struct cli *c, const char *text, FILE *to)
{
	for (const char *p = text; *p != '\0';) {
		size_t n = strcspn(p, "\n");
		fprintf(to, "%s\n", term_safe(c->arena, bytes_of(p, n)));
		p += n + (p[n] == '\n' ? 1 : 0);
	}
}

static void
print_verdict(struct cli *c, int code, const char *text)
{
	static const char *const words[] = {"good", "manipulated", "unclear"};
	json_t *lines = json_array();
	for (const char *p = text; *p != '\0';) {
		size_t n = strcspn(p, "\n");
		json_array_append_new(lines, json_string(term_safe(c->arena, bytes_of(p, n))));
		p += n + (p[n] == '\n' ? 1 : 0);
	}
	json_t *verdict = json_pack("{s:s, s:o}", "result", words[code >= 0 && code < 2 ? code : 2], "text", lines);
	char *out = json_dumps(verdict, JSON_COMPACT);
	puts(out != NULL ? out : "{}");
	free(out);
	json_decref(verdict);
}

/* The verifier is libs/record's, the same as in the static sekisho-audit-verify; its exit codes mean what ours do. */
int
cmd_audit_verify(struct cli *c)
{
	char **argv = arena_calloc(c->arena, (size_t)(2 * c->args.n_options + 4), sizeof(char *)), *said[2] = {NULL};
	size_t n[2];
	int argc = 0;
	argv[argc++] = (char *)"sekisho audit verify";
	for (int i = 0; i < c->args.n_options; i++) {
		argv[argc++] = (char *)c->args.option[i].name;
		if (strcmp(c->args.option[i].name, "--quiet") != 0)
			argv[argc++] = (char *)c->args.option[i].value;
	}
	argv[argc++] = (char *)c->args.argument[0];
	FILE *out = open_memstream(&said[0], &n[0]), *err = open_memstream(&said[1], &n[1]);
	if (out == NULL || err == NULL)
		abort();
	int code = record_verify_main(argc, argv, out, err);
	fclose(out);
	fclose(err);
	if (c->args.json)
		print_verdict(c, code, said[0]);
	else
		print_said(c, said[0], stdout);
	print_said(c, said[1], stderr);
	free(said[0]);
	free(said[1]);
	return code;
}

static const struct cli_column mail_columns[] = {
    {"mail", "id", CLI_TEXT},
    {"message", "message", CLI_TEXT},
    {"received", "at", CLI_TIME},
    {"sender", "sender", CLI_TEXT},
    {"recipients", "recipients", CLI_LIST},
    {"size", "size", CLI_NUMBER},
    {"subject", "subject", CLI_TEXT},
    {NULL},
};

int
cmd_sandbox_list(struct cli *c)
{
	static const struct cli_column columns[] = {
	    {"ID", "id", CLI_TEXT},	      {"RECEIVED (UTC)", "at", CLI_TIME},     {"SENDER", "sender", CLI_TEXT},
	    {"SUBJECT", "subject", CLI_TEXT}, {"RECIPIENTS", "recipients", CLI_LIST}, {NULL},
	};
	static const char *const names[] = {"limit", "cursor", "recipient", NULL};
	return cli_get_list(c, cli_query(c, "/v1/sandbox/mails", names), "mails", columns);
}

int
cmd_sandbox_show(struct cli *c)
{
	const char *path = arena_printf(c->arena, "/v1/sandbox/mails/%s", cli_encode(c, c->args.argument[0]));
	return cli_get_object(c, path, mail_columns);
}

int
cmd_sandbox_content(struct cli *c)
{
	const char *path = arena_printf(c->arena, "/v1/sandbox/mails/%s/content", cli_encode(c, c->args.argument[0]));
	return cli_save(c, path, "mail");
}
