/* SPDX-License-Identifier: MIT
 *
 * Byte ranges and growing buffers. A struct bytes borrows; a struct buf owns. Foreign data are bytes, never C strings:
 * they may hold NUL and need not end in one.
 */
#ifndef CORE_BYTES_H
#define CORE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/rc.h"

struct bytes {
	const uint8_t *p;
	size_t n;
};

static inline struct bytes
bytes_of(const void *p, size_t n)
{
	return (struct bytes){p, n};
}

static inline struct bytes
bytes_str(const char *s)
{
	return (struct bytes){(const uint8_t *)s, s != NULL ? strlen(s) : 0};
}

bool bytes_eq(struct bytes a, struct bytes b);
/* ASCII case only; never the locale's. */
bool bytes_ieq(struct bytes a, struct bytes b);
/* The range [off, off+n) of b, or false if it is not inside b. Overflow-safe. */
bool bytes_slice(struct bytes b, uint64_t off, uint64_t n, struct bytes *out_r) MUST_CHECK;
/* Offset of needle in hay, or -1. */
ptrdiff_t bytes_find(struct bytes hay, struct bytes needle);

/* A growing buffer with an upper bound (max, 0: none). After a failed append `failed` is set and stays set, so a
 * sequence of appends is checked once at the end by buf_ok(). The content is kept NUL-terminated beyond n. */
struct buf {
	uint8_t *p;
	size_t n, cap, max;
	bool failed;
};

void buf_init(struct buf *b, size_t max);
void buf_done(struct buf *b);
void buf_reset(struct buf *b); /* empty, memory kept */
/* Room for at least n more bytes; NULL and failed when the bound or memory is met. */
uint8_t *buf_reserve(struct buf *b, size_t n);
void buf_add(struct buf *b, const void *p, size_t n);
void buf_add_str(struct buf *b, const char *s);
void buf_add_bytes(struct buf *b, struct bytes s);
void buf_addf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Append s as a JSON string with quotes; bytes that are not UTF-8 become U+FFFD. */
void buf_add_json(struct buf *b, struct bytes s);
void buf_drop_front(struct buf *b, size_t n);
static inline bool
buf_ok(const struct buf *b)
{
	return !b->failed;
}
static inline struct bytes
buf_bytes(const struct buf *b)
{
	return (struct bytes){b->p, b->n};
}

#endif
