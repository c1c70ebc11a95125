/* SPDX-License-Identifier: MIT
 *
 * A list of blocks; an allocation that does not fit the current block opens one that is at least twice as large.
 */
#include "core/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BLOCK 4096
#define ALIGN	    16

struct block {
	struct block *prev;
	size_t cap, used;
	_Alignas(ALIGN) uint8_t data[];
};

struct arena {
	struct block *top;
	size_t used;
};

static struct block *
block_new(size_t cap, struct block *prev)
{
	struct block *b = malloc(sizeof(*b) + cap);
	if (b == NULL)
		abort();
	b->prev = prev;
	b->cap = cap;
	b->used = 0;
	return b;
}

struct arena *
arena_new(void)
{
	struct arena *a = calloc(1, sizeof(*a));
	if (a == NULL)
		abort();
	a->top = block_new(FIRST_BLOCK, NULL);
	return a;
}

void
arena_free(struct arena **ap)
{
	if (ap == NULL || *ap == NULL)
		return;
	for (struct block *b = (*ap)->top; b != NULL;) {
		struct block *prev = b->prev;
		free(b);
		b = prev;
	}
	free(*ap);
	*ap = NULL;
}

void
arena_reset(struct arena *a)
{
	while (a->top->prev != NULL) {
		struct block *prev = a->top->prev;
		free(a->top);
		a->top = prev;
	}
	a->top->used = 0;
	a->used = 0;
}

void *
arena_alloc(struct arena *a, size_t n)
{
	if (n > SIZE_MAX / 4)
		abort();
	size_t want = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	struct block *b = a->top;
	if (b->cap - b->used < want) {
		size_t cap = b->cap * 2;
		if (cap < want)
			cap = want;
		b = a->top = block_new(cap, b);
	}
	void *p = b->data + b->used;
	b->used += want;
	a->used += want;
	memset(p, 0, want);
	return p;
}

void *
arena_calloc(struct arena *a, size_t count, size_t size)
{
	if (size != 0 && count > SIZE_MAX / 4 / size)
		abort();
	return arena_alloc(a, count * size);
}

char *
arena_strndup(struct arena *a, const void *p, size_t n)
{
	char *s = arena_alloc(a, n + 1);
	if (n != 0)
		memcpy(s, p, n);
	return s;
}

char *
arena_strdup(struct arena *a, const char *s)
{
	return arena_strndup(a, s, strlen(s));
}

struct bytes
arena_bytes(struct arena *a, struct bytes b)
{
	return (struct bytes){(uint8_t *)arena_strndup(a, b.p, b.n), b.n};
}

char *
arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	char *s = arena_alloc(a, n > 0 ? (size_t)n + 1 : 1);
	if (n > 0)
		vsnprintf(s, (size_t)n + 1, fmt, again);
	va_end(again);
	return s;
}

size_t
arena_used(const struct arena *a)
{
	return a->used;
}
