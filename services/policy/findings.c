/* SPDX-License-Identifier: MIT
 *
 * Findings and the pointer to where they are. No threads.
 */
#include "findings.h"

#include <stdarg.h>
#include <stdio.h>

void
findings_init(struct findings *f, struct arena *a, size_t max)
{
	*f = (struct findings){.arena = a, .max = max};
	buf_init(&f->pointer, 0);
	f->list.v = arena_new_array(a, struct policy_finding, max);
}

void
findings_done(struct findings *f)
{
	buf_done(&f->pointer);
}

size_t
findings_enter(struct findings *f, const char *key)
{
	size_t mark = f->pointer.n;
	buf_add_str(&f->pointer, "/");
	for (const char *p = key; *p != 0; p++) {
		if (*p == '~')
			buf_add_str(&f->pointer, "~0");
		else if (*p == '/')
			buf_add_str(&f->pointer, "~1");
		else
			buf_add(&f->pointer, p, 1);
	}
	return mark;
}

size_t
findings_enter_index(struct findings *f, size_t i)
{
	size_t mark = f->pointer.n;
	buf_addf(&f->pointer, "/%zu", i);
	return mark;
}

void
findings_leave(struct findings *f, size_t mark)
{
	f->pointer.n = mark;
}

static void add(struct findings *f, bool error, const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));

static void
add(struct findings *f, bool error, const char *fmt, va_list ap)
{
	f->errors = f->errors || error;
	if (f->list.n == f->max)
		return;
	char text[400];
	vsnprintf(text, sizeof(text), fmt, ap);
	f->list.v[f->list.n++] = (struct policy_finding){
	    .pointer = arena_strndup(f->arena, f->pointer.p != NULL ? (const char *)f->pointer.p : "", f->pointer.n),
	    .text = arena_strdup(f->arena, text),
	    .error = error,
	};
}

void
findings_error(struct findings *f, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	add(f, true, fmt, ap);
	va_end(ap);
}

void
findings_warn(struct findings *f, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	add(f, false, fmt, ap);
	va_end(ap);
}
