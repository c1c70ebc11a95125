/* SPDX-License-Identifier: MIT */
#include "core/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

bool
bytes_eq(struct bytes a, struct bytes b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static uint8_t
lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

bool
bytes_ieq(struct bytes a, struct bytes b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (lower(a.p[i]) != lower(b.p[i]))
			return false;
	return true;
}

bool
bytes_slice(struct bytes b, uint64_t off, uint64_t n, struct bytes *out_r)
{
	if (off > b.n || n > b.n - off)
		return false;
	*out_r = (struct bytes){b.p + off, (size_t)n};
	return true;
}

ptrdiff_t
bytes_find(struct bytes hay, struct bytes needle)
{
	if (needle.n == 0)
		return 0;
	const uint8_t *p = memmem(hay.p, hay.n, needle.p, needle.n);
	return p != NULL ? p - hay.p : -1;
}

void
buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){.max = max};
}

void
buf_done(struct buf *b)
{
	if (b == NULL)
		return;
	free(b->p);
	*b = (struct buf){.max = b->max};
}

void
buf_reset(struct buf *b)
{
	b->n = 0;
	b->failed = false;
}

uint8_t *
buf_reserve(struct buf *b, size_t n)
{
	if (b->failed || n > SIZE_MAX / 2 || (b->max != 0 && (n > b->max || b->n > b->max - n))) {
		b->failed = true;
		return NULL;
	}
	size_t need = b->n + n + 1;
	if (need > b->cap) {
		size_t cap = b->cap != 0 ? b->cap : 256;
		while (cap < need)
			cap += cap / 2 + 64;
		uint8_t *p = realloc(b->p, cap);
		if (p == NULL) {
			b->failed = true;
			return NULL;
		}
		b->p = p;
		b->cap = cap;
	}
	return b->p + b->n;
}

void
buf_add(struct buf *b, const void *p, size_t n)
{
	uint8_t *to = buf_reserve(b, n);
	if (to == NULL)
		return;
	if (n != 0)
		memcpy(to, p, n);
	b->n += n;
	b->p[b->n] = 0;
}

void
buf_add_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void
buf_add_bytes(struct buf *b, struct bytes s)
{
	buf_add(b, s.p, s.n);
}

void
buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	uint8_t *to = n >= 0 ? buf_reserve(b, (size_t)n) : NULL;
	if (to != NULL) {
		vsnprintf((char *)to, (size_t)n + 1, fmt, again);
		b->n += (size_t)n;
	} else {
		b->failed = true;
	}
	va_end(again);
}

/* Length of the well-formed UTF-8 sequence at p (RFC 3629), 0 if there is none. */
static size_t
utf8_len(const uint8_t *p, size_t n)
{
	uint8_t c = p[0];
	if (c < 0x80)
		return 1;
	size_t k = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
	if (c < 0xc2 || c > 0xf4 || n < k)
		return 0;
	for (size_t i = 1; i < k; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f) || (c == 0xf0 && p[1] < 0x90) ||
	    (c == 0xf4 && p[1] > 0x8f))
		return 0;
	return k;
}

void
buf_add_json(struct buf *b, struct bytes s)
{
	buf_add(b, "\"", 1);
	for (size_t i = 0; i < s.n;) {
		uint8_t c = s.p[i];
		if (c == '"' || c == '\\') {
			buf_add(b, (char[]){'\\', (char)c}, 2);
			i++;
		} else if (c < 0x20 || c == 0x7f) {
			buf_addf(b, "\\u%04x", c);
			i++;
		} else {
			size_t k = utf8_len(s.p + i, s.n - i);
			if (k == 0) {
				buf_add(b, "\xef\xbf\xbd", 3);
				i++;
			} else {
				buf_add(b, s.p + i, k);
				i += k;
			}
		}
	}
	buf_add(b, "\"", 1);
}

void
buf_drop_front(struct buf *b, size_t n)
{
	if (n >= b->n) {
		b->n = 0;
	} else {
		memmove(b->p, b->p + n, b->n - n);
		b->n -= n;
	}
	if (b->p != NULL)
		b->p[b->n] = 0;
}
