/* SPDX-License-Identifier: MIT */
#include "core/config.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_OCTETS 4096

static enum rc
parse_scaled(const char *s, const char *const *suffixes, const int64_t *scales, size_t n, bool suffix_required,
	     int64_t *out_r)
{
	if (s == NULL || !isdigit((unsigned char)s[0]))
		return RC_INVALID;
	char *end;
	errno = 0;
	long long v = strtoll(s, &end, 10);
	if (errno != 0)
		return RC_INVALID;
	int64_t scale = 0;
	if (*end == 0 && (!suffix_required || v == 0))
		scale = 1;
	for (size_t i = 0; scale == 0 && i < n; i++)
		if (strcasecmp(end, suffixes[i]) == 0)
			scale = scales[i];
	if (scale == 0 || v > INT64_MAX / scale)
		return RC_INVALID;
	*out_r = v * scale;
	return RC_OK;
}

enum rc
config_parse_duration(const char *s, int64_t *ms_r)
{
	static const char *const suffix[] = {"ms", "s", "m", "h", "d"};
	static const int64_t scale[] = {1, 1000, 60000, 3600000, 86400000};
	return parse_scaled(s, suffix, scale, 5, true, ms_r);
}

enum rc
config_parse_size(const char *s, int64_t *octets_r)
{
	static const char *const suffix[] = {"K", "M", "G"};
	static const int64_t scale[] = {1 << 10, 1 << 20, 1 << 30};
	return parse_scaled(s, suffix, scale, 3, false, octets_r);
}

static enum rc
parse_bool(const char *s, bool *out_r)
{
	static const char *const yes[] = {"true", "yes", "1", "on"}, *const no[] = {"false", "no", "0", "off"};
	for (int i = 0; i < 4; i++) {
		if (strcasecmp(s, yes[i]) == 0 || strcasecmp(s, no[i]) == 0) {
			*out_r = strcasecmp(s, yes[i]) == 0;
			return RC_OK;
		}
	}
	return RC_INVALID;
}

static enum rc
set_number(const struct config_entry *c, enum rc parsed, int64_t v, const char *text, const char *want, struct err *e)
{
	if (parsed != RC_OK)
		return err_set(e, RC_INVALID, "%s: \"%.60s\" is not %s", c->name, text, want);
	bool any = c->min == 0 && c->max == 0;
	if (v < c->min || (!any && v > c->max))
		return err_set(e, RC_INVALID, "%s: %lld is outside %lld..%lld", c->name, (long long)v,
			       (long long)c->min, (long long)c->max);
	*(int64_t *)c->target = v;
	return RC_OK;
}

/* Strings are kept until exit, in one list, so that they stay reachable when a table is loaded again. */
struct kept {
	struct kept *next;
	char text[];
};
static struct kept *all_kept;

static const char *
keep(const char *text)
{
	size_t n = strlen(text) + 1;
	struct kept *k = malloc(sizeof(*k) + n);
	if (k == NULL)
		abort();
	memcpy(k->text, text, n);
	k->next = all_kept;
	all_kept = k;
	return k->text;
}

static enum rc
set_value(const struct config_entry *c, const char *text, struct err *e)
{
	int64_t v = 0;
	enum rc rc;
	switch (c->type) {
	case CONFIG_PATH:
		if (text[0] != 0 && access(text, R_OK) != 0)
			return err_set(e, RC_INVALID, "%s: cannot read \"%.120s\": %s", c->name, text, strerror(errno));
		/* fall through */
	case CONFIG_STRING:
		*(const char **)c->target = keep(text);
		return RC_OK;
	case CONFIG_BOOL:
		if (parse_bool(text, c->target) != RC_OK)
			return err_set(e, RC_INVALID, "%s: \"%.60s\" is neither true nor false", c->name, text);
		return RC_OK;
	case CONFIG_INT: {
		char *end;
		errno = 0;
		v = strtoll(text, &end, 10);
		rc = text[0] != 0 && *end == 0 && errno == 0 ? RC_OK : RC_INVALID;
		return set_number(c, rc, v, text, "a whole number", e);
	}
	case CONFIG_SIZE:
		rc = config_parse_size(text, &v);
		return set_number(c, rc, v, text, "a size such as 64K, 25M or 1G", e);
	case CONFIG_DURATION:
		rc = config_parse_duration(text, &v);
		return set_number(c, rc, v, text, "a duration such as 500ms, 30s, 5m or 1h", e);
	}
	return err_set(e, RC_INTERNAL, "%s: unknown type", c->name);
}

static void
free_lines(char **lines)
{
	for (char **l = lines; l != NULL && *l != NULL; l++)
		free(*l);
	free(lines);
}

/* Lines of the file as an array "NAME=value", NULL at its end; read once, kept until exit. */
static enum rc
read_file(const char *path, char ***lines_r, struct err *e)
{
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return err_set(e, RC_INVALID, "SEKISHO_CONFIG: cannot read \"%.120s\": %s", path, strerror(errno));
	char **lines = NULL;
	size_t n = 0;
	char line[LINE_MAX_OCTETS];
	enum rc rc = RC_OK;
	for (int number = 1; fgets(line, sizeof(line), f) != NULL; number++) {
		size_t len = strcspn(line, "\r\n");
		if (line[len] == 0 && !feof(f)) {
			rc = err_set(e, RC_INVALID, "SEKISHO_CONFIG: %s line %d is too long", path, number);
			break;
		}
		line[len] = 0;
		char *s = line + strspn(line, " \t");
		if (*s == 0 || *s == '#')
			continue;
		if (strchr(s, '=') == NULL) {
			rc = err_set(e, RC_INVALID, "SEKISHO_CONFIG: %s line %d is not NAME=value", path, number);
			break;
		}
		char **more = realloc(lines, (n + 2) * sizeof(*lines));
		if (more == NULL || (more[n] = strdup(s)) == NULL)
			abort();
		lines = more;
		lines[++n] = NULL;
	}
	fclose(f);
	if (rc == RC_OK)
		*lines_r = lines;
	else
		free_lines(lines);
	return rc;
}

static const char *
find_line(char **lines, const char *name)
{
	size_t n = strlen(name);
	const char *found = NULL;
	for (; lines != NULL && *lines != NULL; lines++)
		if (strncmp(*lines, name, n) == 0 && (*lines)[n] == '=')
			found = *lines + n + 1; /* the last one wins, as in a shell */
	return found;
}

static bool
known(const struct config_entry *const *tables, const char *line)
{
	size_t n = strcspn(line, "=");
	for (; *tables != NULL; tables++)
		for (const struct config_entry *c = *tables; c->name != NULL; c++)
			if (strlen(c->name) == n && strncmp(c->name, line, n) == 0)
				return true;
	return false;
}

static enum rc
load_from(char **lines, const struct config_entry *const *tables, const char *own_prefix, struct err *e)
{
	for (char **l = lines; l != NULL && *l != NULL; l++)
		if (strncmp(*l, own_prefix, strlen(own_prefix)) == 0 && !known(tables, *l))
			return err_set(e, RC_INVALID, "%.*s: no such variable", (int)strcspn(*l, "="), *l);
	for (const struct config_entry *const *t = tables; *t != NULL; t++)
		for (const struct config_entry *c = *t; c->name != NULL; c++) {
			const char *text = getenv(c->name);
			if (text == NULL)
				text = find_line(lines, c->name);
			if (text == NULL)
				text = c->default_text;
			if (text == NULL)
				return err_set(e, RC_INVALID, "%s: required and not set (%s)", c->name, c->help);
			enum rc rc = set_value(c, text, e);
			if (rc != RC_OK)
				return rc;
		}
	return RC_OK;
}

enum rc
config_load(const struct config_entry *const *tables, const char *own_prefix, struct err *e)
{
	char **lines = NULL;
	const char *path = getenv("SEKISHO_CONFIG");
	enum rc rc = path != NULL && path[0] != 0 ? read_file(path, &lines, e) : RC_OK;
	if (rc == RC_OK)
		rc = load_from(lines, tables, own_prefix, e);
	free_lines(lines);
	return rc;
}

void
config_print(const struct config_entry *const *tables, FILE *to)
{
	for (; *tables != NULL; tables++)
		for (const struct config_entry *c = *tables; c->name != NULL; c++) {
			bool secret = strstr(c->name, "PASSWORD") != NULL || strstr(c->name, "SECRET") != NULL;
			fprintf(to, "%-40s ", c->name);
			if (secret)
				fputs("***", to);
			else if (c->type == CONFIG_STRING || c->type == CONFIG_PATH)
				fputs(*(const char **)c->target, to);
			else if (c->type == CONFIG_BOOL)
				fputs(*(bool *)c->target ? "true" : "false", to);
			else
				fprintf(to, "%lld%s", (long long)*(int64_t *)c->target,
					c->type == CONFIG_DURATION ? "ms" : "");
			fprintf(to, "\t# %s\n", c->help);
		}
}
