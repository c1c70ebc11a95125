/* SPDX-License-Identifier: MIT
 *
 * One arena per request: everything a request allocates ends with it. Not thread-safe; one owner at a time.
 * Memory is zeroed. Running out of memory aborts (a bug or a missing bound: sizes are checked before they get here).
 */
#ifndef CORE_ARENA_H
#define CORE_ARENA_H

#include <stddef.h>

#include "core/bytes.h"

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena **a);
/* Keep the first block, forget the rest; all pointers into the arena end. */
void arena_reset(struct arena *a);

void *arena_alloc(struct arena *a, size_t n);
#define arena_new_array(a, type, n) ((type *)arena_calloc((a), (n), sizeof(type)))
void *arena_calloc(struct arena *a, size_t count, size_t size);
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const void *p, size_t n);
struct bytes arena_bytes(struct arena *a, struct bytes b);
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
size_t arena_used(const struct arena *a);

#endif
