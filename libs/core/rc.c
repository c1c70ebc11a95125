/* SPDX-License-Identifier: MIT */
#include "core/rc.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int http;
	int smtp;
} table[] = {
    [RC_OK] = {"ok", 200, 2},
    [RC_INVALID] = {"invalid", 422, 5},
    [RC_DENIED] = {"denied", 403, 5},
    [RC_NOT_FOUND] = {"not_found", 404, 5},
    [RC_CONFLICT] = {"conflict", 409, 5},
    [RC_LIMIT] = {"limit", 429, 4},
    [RC_RETRY] = {"retry", 503, 4},
    [RC_INTERNAL] = {"internal", 500, 4},
};
#define N_RC (sizeof(table) / sizeof(table[0]))

const char *
rc_str(enum rc rc)
{
	return (size_t)rc < N_RC ? table[rc].name : "internal";
}

enum rc
rc_parse(const char *name)
{
	for (size_t i = 0; name != NULL && i < N_RC; i++)
		if (strcmp(table[i].name, name) == 0)
			return (enum rc)i;
	return RC_INTERNAL;
}

bool
rc_is_transient(enum rc rc)
{
	return rc == RC_RETRY || rc == RC_INTERNAL;
}

int
rc_http_status(enum rc rc)
{
	return (size_t)rc < N_RC ? table[rc].http : 500;
}

int
rc_smtp_class(enum rc rc)
{
	return (size_t)rc < N_RC ? table[rc].smtp : 4;
}

enum rc
err_set_at(struct err *e, enum rc rc, const char *file, int line, const char *fmt, ...)
{
	if (e == NULL)
		return rc;
	e->rc = rc;
	e->file = file;
	e->line = line;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return rc;
}

enum rc
err_prefix(struct err *e, const char *fmt, ...)
{
	if (e == NULL)
		return RC_INTERNAL;
	char was[sizeof(e->text)];
	memcpy(was, e->text, sizeof(was));
	char head[128];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(head, sizeof(head), fmt, ap);
	va_end(ap);
	/* Truncation keeps the context and cuts the tail of the cause. */
	int n = snprintf(e->text, sizeof(e->text), "%s: ", head);
	if (n > 0 && (size_t)n < sizeof(e->text))
		snprintf(e->text + n, sizeof(e->text) - (size_t)n, "%.*s", (int)(sizeof(was) - 1), was);
	return e->rc;
}
