/* SPDX-License-Identifier: MIT
 *
 * What reaches the terminal: text of strangers made harmless, columns aligned by display width. A mail's subject must
 * not move the cursor, change colours or turn the direction of writing.
 */
#ifndef CLI_TERM_H
#define CLI_TERM_H

#include <stdio.h>

#include "core/arena.h"
#include "core/bytes.h"

/* Controls, invisible format characters, line separators and what is not UTF-8 become U+FFFD; tab and line ends become
 * a space. In a. */
const char *term_safe(struct arena *a, struct bytes text);
/* Columns of a terminal that safe text takes (2 for full-width characters). */
size_t term_width(const char *safe);
/* JSON text with the same characters as \u escapes: still the same document. */
void term_json(struct buf *out, struct bytes json);

#define TERM_COLUMNS_MAX 12
struct term_table {
	struct arena *arena;
	const char *head[TERM_COLUMNS_MAX];
	size_t n_columns, n_rows, cap_rows;
	const char **cells; /* n_rows * n_columns, safe */
};
/* Column titles, NULL at the end. */
void term_table_init(struct term_table *t, struct arena *a, const char *const *head);
/* n_columns cells of foreign text. */
void term_table_row(struct term_table *t, const char *const *cells);
void term_table_print(const struct term_table *t, FILE *to);

#endif
