/* SPDX-License-Identifier: MIT */
#include "core/id.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void
random_bytes(void *p, unsigned long n)
{
	uint8_t *at = p;
	while (n > 0) {
		ssize_t k = getrandom(at, n, 0);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			abort();
		at += k;
		n -= (unsigned long)k;
	}
}

struct uuid
uuid_v7_floor(int64_t wall_us)
{
	struct uuid u = {{0}};
	uint64_t ms = wall_us > 0 ? (uint64_t)wall_us / 1000 : 0;
	for (int i = 0; i < 6; i++)
		u.b[i] = (uint8_t)(ms >> (40 - 8 * i));
	u.b[6] = 0x70;
	u.b[8] = 0x80;
	return u;
}

struct uuid
uuid_v7(int64_t wall_us)
{
	struct uuid u = uuid_v7_floor(wall_us);
	uint8_t r[10];
	random_bytes(r, sizeof(r));
	/* 12 bits of the sub-millisecond time keep ids of one writer nearly ordered (RFC 9562, method 3). */
	uint32_t frac = wall_us > 0 ? (uint32_t)(wall_us % 1000) * 4096 / 1000 : 0;
	u.b[6] = (uint8_t)(0x70 | (frac >> 8));
	u.b[7] = (uint8_t)frac;
	u.b[8] = (uint8_t)(0x80 | (r[0] & 0x3f));
	memcpy(u.b + 9, r + 1, 7);
	return u;
}

int64_t
uuid_time_us(const struct uuid *u)
{
	uint64_t ms = 0;
	for (int i = 0; i < 6; i++)
		ms = ms << 8 | u->b[i];
	return (int64_t)ms * 1000;
}

void
uuid_format(const struct uuid *u, char out[UUID_STR_SIZE])
{
	static const char hex[] = "0123456789abcdef";
	char *to = out;
	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*to++ = '-';
		*to++ = hex[u->b[i] >> 4];
		*to++ = hex[u->b[i] & 15];
	}
	*to = 0;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool
uuid_parse(const char *s, struct uuid *out_r)
{
	struct uuid u;
	if (s == NULL || strlen(s) != UUID_STR_SIZE - 1)
		return false;
	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			if (*s++ != '-')
				return false;
		int hi = hex_value(s[0]), lo = hi < 0 ? -1 : hex_value(s[1]);
		if (lo < 0)
			return false;
		u.b[i] = (uint8_t)(hi << 4 | lo);
		s += 2;
	}
	*out_r = u;
	return true;
}

bool
uuid_eq(const struct uuid *a, const struct uuid *b)
{
	return memcmp(a->b, b->b, 16) == 0;
}

bool
uuid_is_nil(const struct uuid *u)
{
	static const struct uuid nil;
	return uuid_eq(u, &nil);
}

static void
random_hex(char *to, unsigned n_bytes)
{
	uint8_t r[16];
	random_bytes(r, n_bytes);
	for (unsigned i = 0; i < n_bytes; i++)
		snprintf(to + 2 * i, 3, "%02x", r[i]);
}

void
traceparent_new(char out[TRACEPARENT_SIZE])
{
	memcpy(out, "00-", 3);
	random_hex(out + 3, 16);
	out[35] = '-';
	random_hex(out + 36, 8);
	memcpy(out + 52, "-01", 4);
}

bool
traceparent_valid(const char *s)
{
	if (s == NULL || strlen(s) != TRACEPARENT_SIZE - 1 || strncmp(s, "00-", 3) != 0 || s[35] != '-' || s[52] != '-')
		return false;
	bool trace = false, span = false;
	for (int i = 3; i < 55; i++) {
		if (i == 35 || i == 52)
			continue;
		if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f')))
			return false;
		if (i < 35)
			trace |= s[i] != '0';
		else if (i < 52)
			span |= s[i] != '0';
	}
	return trace && span;
}

void
traceparent_child(const char *parent, char out[TRACEPARENT_SIZE])
{
	if (!traceparent_valid(parent)) {
		traceparent_new(out);
		return;
	}
	memmove(out, parent, TRACEPARENT_SIZE);
	random_hex(out + 36, 8);
	out[52] = '-';
}

void
traceparent_trace_id(const char *s, char out[33])
{
	if (traceparent_valid(s))
		memcpy(out, s + 3, 32);
	else
		memset(out, '0', 32);
	out[32] = 0;
}
