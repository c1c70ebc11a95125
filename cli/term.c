/* SPDX-License-Identifier: MIT */
#include "term.h"

#include <string.h>
#include <utf8proc.h>

static bool
is_harmless(utf8proc_int32_t cp)
{
	switch (utf8proc_category(cp)) {
	case UTF8PROC_CATEGORY_CC:
	case UTF8PROC_CATEGORY_CF:
	case UTF8PROC_CATEGORY_CS:
	case UTF8PROC_CATEGORY_CO:
	case UTF8PROC_CATEGORY_CN:
	case UTF8PROC_CATEGORY_ZL:
	case UTF8PROC_CATEGORY_ZP:
		return false;
	default:
		return true;
	}
}

/* One character from p: its octets, or 1 with *cp_r -1 for what is not UTF-8. */
static size_t
next(const uint8_t *p, size_t n, utf8proc_int32_t *cp_r)
{
	utf8proc_ssize_t k = utf8proc_iterate(p, (utf8proc_ssize_t)n, cp_r);
	if (k > 0)
		return (size_t)k;
	*cp_r = -1;
	return 1;
}

const char *
term_safe(struct arena *a, struct bytes text)
{
	struct buf b;
	buf_init(&b, 0);
	for (size_t i = 0; i < text.n;) {
		utf8proc_int32_t cp;
		size_t k = next(text.p + i, text.n - i, &cp);
		if (cp == '\t' || cp == '\n' || cp == '\r')
			buf_add(&b, " ", 1);
		else if (cp < 0 || !is_harmless(cp))
			buf_add_str(&b, "\xef\xbf\xbd");
		else
			buf_add(&b, text.p + i, k);
		i += k;
	}
	const char *s = arena_strndup(a, b.p, b.n);
	buf_done(&b);
	return s;
}

size_t
term_width(const char *safe)
{
	size_t width = 0, n = strlen(safe);
	for (size_t i = 0; i < n;) {
		utf8proc_int32_t cp;
		i += next((const uint8_t *)safe + i, n - i, &cp);
		int w = cp >= 0 ? utf8proc_charwidth(cp) : 1;
		width += w > 0 ? (size_t)w : 0;
	}
	return width;
}

void
term_json(struct buf *out, struct bytes json)
{
	for (size_t i = 0; i < json.n;) {
		utf8proc_int32_t cp;
		size_t k = next(json.p + i, json.n - i, &cp);
		if (cp == '\n' || cp == '\t' || (cp >= 0 && is_harmless(cp)))
			buf_add(out, json.p + i, k);
		else if (cp < 0)
			buf_add_str(out, "\\ufffd");
		else if (cp >= 0x10000)
			buf_addf(out, "\\u%04x\\u%04x", 0xd800 + ((cp - 0x10000) >> 10), 0xdc00 + (cp & 0x3ff));
		else
			buf_addf(out, "\\u%04x", cp);
		i += k;
	}
}

void
term_table_init(struct term_table *t, struct arena *a, const char *const *head)
{
	*t = (struct term_table){.arena = a};
	for (; head[t->n_columns] != NULL && t->n_columns < TERM_COLUMNS_MAX; t->n_columns++)
		t->head[t->n_columns] = head[t->n_columns];
}

void
term_table_row(struct term_table *t, const char *const *cells)
{
	if (t->n_rows == t->cap_rows) {
		size_t cap = t->cap_rows == 0 ? 32 : t->cap_rows * 2;
		const char **more = arena_calloc(t->arena, cap * t->n_columns, sizeof(char *));
		for (size_t i = 0; i < t->n_rows * t->n_columns; i++)
			more[i] = t->cells[i];
		t->cells = more;
		t->cap_rows = cap;
	}
	for (size_t k = 0; k < t->n_columns; k++)
		t->cells[t->n_rows * t->n_columns + k] = term_safe(t->arena, bytes_str(cells[k]));
	t->n_rows++;
}

static void
print_row(const struct term_table *t, const char *const *cells, const size_t *width, FILE *to)
{
	for (size_t k = 0; k < t->n_columns; k++) {
		fputs(cells[k], to);
		bool last = k + 1 == t->n_columns;
		for (size_t pad = term_width(cells[k]); !last && pad < width[k] + 2; pad++)
			fputc(' ', to);
	}
	fputc('\n', to);
}

void
term_table_print(const struct term_table *t, FILE *to)
{
	size_t width[TERM_COLUMNS_MAX] = {0};
	for (size_t k = 0; k < t->n_columns; k++) {
		width[k] = term_width(t->head[k]);
		for (size_t i = 0; i < t->n_rows; i++) {
			size_t w = term_width(t->cells[i * t->n_columns + k]);
			width[k] = w > width[k] ? w : width[k];
		}
	}
	print_row(t, t->head, width, to);
	for (size_t i = 0; i < t->n_rows; i++)
		print_row(t, t->cells + i * t->n_columns, width, to);
}
