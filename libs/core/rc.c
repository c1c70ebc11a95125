/* SPDX-License-Identifier: MIT */
#include "core/rc.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const names[] = {
    [RC_OK] = "ok",
    [RC_INVALID] = "invalid",
    [RC_DENIED] = "denied",
    [RC_NOT_FOUND] = "not_found",
    [RC_CONFLICT] = "conflict",
    [RC_LIMIT] = "limit",
    [RC_RETRY] = "retry",
    [RC_INTERNAL] = "internal",
};
#define N_RC (sizeof(names) / sizeof(names[0]))

const char *
rc_str(enum rc rc)
{
	return (size_t)rc < N_RC ? names[rc] : "internal";
}

enum rc
rc_parse(const char *name)
{
	for (size_t i = 0; name != NULL && i < N_RC; i++)
		if (strcmp(names[i], name) == 0)
			return (enum rc)i;
	return RC_INTERNAL;
}

bool
rc_is_transient(enum rc rc)
{
	return rc == RC_RETRY || rc == RC_INTERNAL;
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
