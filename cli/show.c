/* SPDX-License-Identifier: MIT
 *
 * Answers of the API as tables and lines. An answer that is not what the document promises (a hostile or a later
 * server) shows as empty cells; nothing here trusts a type.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "term.h"

bool
cli_print_json(const struct cli *c, const struct cli_answer *a)
{
	if (!c->args.json)
		return false;
	struct buf b;
	buf_init(&b, 0);
	term_json(&b, a->body);
	if (b.n > 0) {
		fwrite(b.p, 1, b.n, stdout);
		if (b.p[b.n - 1] != '\n')
			putchar('\n');
	}
	buf_done(&b);
	return true;
}

const char *
cli_str(const json_t *object, const char *name)
{
	const char *s = json_string_value(json_object_get(object, name));
	return s != NULL ? s : "";
}

json_int_t
cli_int(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

const char *
cli_time(struct cli *c, const json_t *object, const char *name)
{
	const char *s = cli_str(object, name);
	if (strlen(s) < 19)
		return "-";
	char *out = arena_strndup(c->arena, s, 19);
	out[10] = ' ';
	return out;
}

static const char *
joined(struct cli *c, const json_t *list)
{
	const char *out = "";
	size_t i;
	json_t *x;
	json_array_foreach(list, i, x)
	{
		if (json_is_string(x))
			out = arena_printf(c->arena, "%s%s%s", out, i > 0 ? ", " : "", json_string_value(x));
	}
	return out;
}

static const char *
compact(struct cli *c, const json_t *v)
{
	char *text = v == NULL || json_is_null(v) ? NULL : json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
	const char *out = text != NULL ? arena_strdup(c->arena, text) : "";
	free(text);
	return out;
}

const char *
cli_cell(struct cli *c, const json_t *object, const struct cli_column *column)
{
	const json_t *v = json_object_get(object, column->member);
	switch (column->kind) {
	case CLI_TEXT:
		return cli_str(object, column->member);
	case CLI_NUMBER:
		return json_is_integer(v) ? arena_printf(c->arena, "%lld", (long long)json_integer_value(v)) : "";
	case CLI_TIME:
		return cli_time(c, object, column->member);
	case CLI_YES:
		return json_is_true(v) ? "yes" : "no";
	case CLI_LIST:
		return joined(c, v);
	case CLI_JSON:
		return compact(c, v);
	}
	return "";
}

void
cli_print_table(struct cli *c, const json_t *list, const struct cli_column *columns)
{
	const char *head[TERM_COLUMNS_MAX + 1] = {NULL}, *cells[TERM_COLUMNS_MAX];
	size_t n = 0, i;
	for (; columns[n].title != NULL && n < TERM_COLUMNS_MAX; n++)
		head[n] = columns[n].title;
	struct term_table t;
	json_t *x;
	term_table_init(&t, c->arena, head);
	json_array_foreach(list, i, x)
	{
		for (size_t k = 0; k < n; k++)
			cells[k] = cli_cell(c, x, &columns[k]);
		term_table_row(&t, cells);
	}
	term_table_print(&t, stdout);
}

void
cli_print_object(struct cli *c, const json_t *object, const struct cli_column *columns)
{
	size_t width = 0;
	for (const struct cli_column *k = columns; k->title != NULL; k++)
		width = strlen(k->title) > width ? strlen(k->title) : width;
	for (const struct cli_column *k = columns; k->title != NULL; k++) {
		const char *value = cli_cell(c, object, k);
		if (value[0] != '\0' && strcmp(value, "-") != 0)
			printf("%-*s  %s\n", (int)width, k->title, term_safe(c->arena, bytes_str(value)));
	}
}

void
cli_print_more(struct cli *c, const json_t *page)
{
	const char *cursor = cli_str(page, "next_cursor");
	if (cursor[0] != '\0')
		printf("more: --cursor %s\n", term_safe(c->arena, bytes_str(cursor)));
}

int
cli_get_list(struct cli *c, const char *path, const char *member, const struct cli_column *columns)
{
	struct cli_answer a = {0};
	int code = cli_call_json(c, "GET", path, NULL, &a);
	if (code == CLI_OK && !cli_print_json(c, &a)) {
		cli_print_table(c, json_object_get(a.json, member), columns);
		cli_print_more(c, a.json);
	}
	json_decref(a.json);
	return code;
}

int
cli_get_object(struct cli *c, const char *path, const struct cli_column *columns)
{
	return cli_change(c, "GET", path, NULL, NULL, columns, NULL);
}

int
cli_change(struct cli *c, const char *method, const char *path, json_t *body_take, const char *if_match,
	   const struct cli_column *columns, const char *done)
{
	struct cli_answer a = {0};
	int code = cli_call_if(c, method, path, body_take, if_match, &a);
	if (code == CLI_OK && !cli_print_json(c, &a)) {
		if (columns != NULL)
			cli_print_object(c, a.json, columns);
		if (done != NULL)
			puts(done);
	}
	json_decref(a.json);
	return code;
}
