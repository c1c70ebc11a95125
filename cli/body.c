/* SPDX-License-Identifier: MIT
 *
 * Files and options that become a request.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

bool
cli_read_file(struct cli *c, const char *path, size_t max, struct bytes *out_r)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	if (f == NULL) {
		cli_error("cannot read %s: %s", path, strerror(errno));
		return false;
	}
	struct buf b;
	buf_init(&b, max);
	char piece[65536];
	size_t n;
	while ((n = fread(piece, 1, sizeof(piece), f)) > 0 && buf_ok(&b))
		buf_add(&b, piece, n);
	bool ok = buf_ok(&b) && !ferror(f);
	if (!buf_ok(&b))
		cli_error("%s is larger than %zu octets", path, max);
	else if (!ok)
		cli_error("cannot read %s: %s", path, strerror(errno));
	if (f != stdin)
		fclose(f);
	if (ok)
		*out_r = arena_bytes(c->arena, buf_bytes(&b));
	buf_done(&b);
	return ok;
}

bool
cli_read_line(struct cli *c, const char *path, const char **out_r)
{
	struct bytes text;
	if (!cli_read_file(c, path, 4096, &text))
		return false;
	size_t n = 0;
	while (n < text.n && text.p[n] != '\n' && text.p[n] != '\r' && text.p[n] != '\0')
		n++;
	*out_r = arena_strndup(c->arena, text.p, n);
	return true;
}

json_t *
cli_values(struct cli *c, const char *option)
{
	json_t *list = json_array();
	const char *v;
	for (int at = 0; (v = cli_next_value(c, option, &at)) != NULL;)
		json_array_append_new(list, json_string(v));
	return list;
}

void
cli_set_text(struct cli *c, json_t *body, const char *option, const char *member)
{
	const char *v = cli_value(c, option);
	if (v != NULL)
		json_object_set_new(body, member, json_string(v));
}

void
cli_set_values(struct cli *c, json_t *body, const char *option, const char *member)
{
	if (cli_has(c, option))
		json_object_set_new(body, member, cli_values(c, option));
}

bool
cli_set_password(struct cli *c, json_t *body)
{
	const char *path = cli_value(c, "--password-file"), *line;
	if (path == NULL)
		return true;
	if (!cli_read_line(c, path, &line))
		return false;
	json_t *s = json_string(line);
	if (s == NULL) {
		cli_error("the password is not UTF-8");
		return false;
	}
	json_object_set_new(body, "password", s);
	return true;
}

bool
cli_if_version(struct cli *c, const char *otherwise, const char **if_match_r)
{
	json_int_t version;
	*if_match_r = otherwise;
	if (!cli_has(c, "--if-version"))
		return true;
	if (!cli_number(c, "--if-version", 0, INT64_MAX, &version))
		return false;
	*if_match_r = arena_printf(c->arena, "\"%lld\"", (long long)version);
	return true;
}
