/* SPDX-License-Identifier: MIT
 *
 * The timeline with times relative to acceptance, and the decision record in words.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"
#include "term.h"

/* Microseconds of "2026-11-22T03:04:05.678901Z"; false if it is not one. */
static bool
parse_time(const char *s, int64_t *us_r)
{
	struct tm tm = {0};
	char *rest = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
	if (rest == NULL)
		return false;
	int64_t us = 0;
	if (*rest == '.') {
		char digits[7] = "000000";
		size_t n = strspn(++rest, "0123456789");
		memcpy(digits, rest, n < 6 ? n : 6);
		us = strtol(digits, NULL, 10);
	}
	*us_r = (int64_t)timegm(&tm) * 1000000 + us;
	return true;
}

/* "+0.004 s", "+20.1 s", "+3 m 20 s" */
static const char *
relative(struct cli *c, int64_t us)
{
	const char *sign = us < 0 ? "-" : "+";
	int64_t ms = (us < 0 ? -us : us) / 1000, s = ms / 1000;
	if (s < 60)
		return arena_printf(c->arena, "%s%lld.%03lld s", sign, (long long)s, (long long)(ms % 1000));
	if (s < 3600)
		return arena_printf(c->arena, "%s%lld m %02lld s", sign, (long long)(s / 60), (long long)(s % 60));
	return arena_printf(c->arena, "%s%lld h %02lld m", sign, (long long)(s / 3600), (long long)(s / 60 % 60));
}

/* {"reason":"x","by":"timer"} -> "reason: x, by: timer" */
static const char *
detail_words(struct cli *c, const json_t *detail)
{
	const char *out = "", *key;
	json_t *v;
	json_object_foreach((json_t *)detail, key, v)
	{
		char *text = json_is_string(v) ? NULL : json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
		out = arena_printf(c->arena, "%s%s%s: %s", out, out[0] != '\0' ? ", " : "", key,
				   json_is_string(v) ? json_string_value(v)
				   : text != NULL    ? text
						     : "?");
		free(text);
	}
	return out;
}

void
trace_print_timeline(struct cli *c, const json_t *message)
{
	static const char *const head[] = {"WHEN", "NO", "WHAT", "BY", "OUTCOME", "DETAIL", NULL};
	struct term_table t;
	size_t i;
	json_t *x;
	int64_t zero = 0, at;
	bool known = parse_time(cli_str(message, "accepted_at"), &zero);
	term_table_init(&t, c->arena, head);
	json_array_foreach(json_object_get(message, "timeline"), i, x)
	{
		const json_t *n = json_object_get(x, "recipient");
		const char *when = known && parse_time(cli_str(x, "at"), &at) ? relative(c, at - zero) : "?";
		const char *number =
		    json_is_integer(n) ? arena_printf(c->arena, "%lld", (long long)json_integer_value(n)) : "";
		term_table_row(&t,
			       (const char *[]){when, number, cli_str(x, "action"), cli_str(x, "actor"),
						cli_str(x, "outcome"), detail_words(c, json_object_get(x, "detail"))});
	}
	term_table_print(&t, stdout);
}

/* One piece of evidence: subject has "secret" */
static const char *
evidence_words(struct cli *c, const json_t *v)
{
	const char *field = cli_str(v, "field"), *pattern = cli_str(v, "pattern");
	bool absent = json_is_true(json_object_get(v, "absent"));
	const char *cut =
	    json_is_true(json_object_get(v, "truncated")) ? " (the text was cut, which counts as matched)" : "";
	if (pattern[0] == '\0')
		return arena_printf(c->arena, "%s%s%s", absent ? "no " : "", field, cut);
	return arena_printf(c->arena, "%s %s \"%s\"%s", field, absent ? "does not match" : "matches", pattern, cut);
}

static void
print_rule(struct cli *c, const json_t *rule)
{
	const char *why = "";
	size_t i;
	json_t *v;
	json_array_foreach(json_object_get(rule, "on"), i, v)
	{
		why = arena_printf(c->arena, "%s%s%s", why, i > 0 ? "; " : "", evidence_words(c, v));
	}
	const char *name = cli_str(rule, "name")[0] != '\0' ? cli_str(rule, "name") : cli_str(rule, "rule");
	const char *line = arena_printf(c->arena, "rule \"%s\" says %s%s%s", name, cli_str(rule, "action"),
					why[0] != '\0' ? ", because " : "", why);
	printf("      %s\n", term_safe(c->arena, bytes_str(line)));
}

void
trace_print_decision(struct cli *c, const json_t *d)
{
	if (!json_is_object(d)) {
		puts("why: no decision record");
		return;
	}
	const json_t *set = json_object_get(d, "rule_set"), *refusal = json_object_get(d, "refusal");
	const char *line =
	    arena_printf(c->arena, "why: rule set \"%s\", version %lld; scan says %s", cli_str(set, "name"),
			 (long long)cli_int(set, "version"), cli_str(json_object_get(d, "facts"), "verdict"));
	puts(term_safe(c->arena, bytes_str(line)));
	if (json_is_object(refusal)) {
		line = arena_printf(c->arena, "  refused by rule \"%s\": %s", cli_str(refusal, "rule"),
				    cli_str(refusal, "message"));
		puts(term_safe(c->arena, bytes_str(line)));
	}
	size_t i, k;
	json_t *r, *rule;
	json_array_foreach(json_object_get(d, "recipients"), i, r)
	{
		const char *until = cli_str(r, "until")[0] != '\0'
					? arena_printf(c->arena, " until %s UTC", cli_time(c, r, "until"))
					: "";
		line = arena_printf(c->arena, "  %zu %s (%s): %s%s; next: %s", i, cli_str(r, "address"),
				    cli_str(r, "class"), cli_str(r, "action"), until, cli_str(r, "next"));
		puts(term_safe(c->arena, bytes_str(line)));
		json_array_foreach(json_object_get(r, "matched"), k, rule)
		{
			print_rule(c, rule);
		}
		if (json_array_size(json_object_get(r, "matched")) == 0)
			printf("      no rule matched: %s\n", term_safe(c->arena, bytes_str(cli_str(r, "rule"))));
	}
}
