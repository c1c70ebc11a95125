/* SPDX-License-Identifier: MIT */
#include "core/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
base64_add(struct buf *out, struct bytes in)
{
	for (size_t i = 0; i < in.n; i += 3) {
		size_t left = in.n - i;
		uint32_t v = (uint32_t)in.p[i] << 16;
		if (left > 1)
			v |= (uint32_t)in.p[i + 1] << 8;
		if (left > 2)
			v |= in.p[i + 2];
		char c[4] = {digits[v >> 18], digits[v >> 12 & 63], left > 1 ? digits[v >> 6 & 63] : '=',
			     left > 2 ? digits[v & 63] : '='};
		buf_add(out, c, sizeof(c));
	}
}

static int
digit(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool
base64_take_some(struct bytes text, uint8_t *out, size_t max, size_t *n_r)
{
	if (text.n % 4 != 0)
		return false;
	size_t pad = 0;
	while (pad < 2 && pad < text.n && text.p[text.n - 1 - pad] == '=')
		pad++;
	size_t n = text.n / 4 * 3 - pad, at = 0;
	if (n > max)
		return false;
	for (size_t i = 0; i < text.n; i += 4) {
		size_t here = i + 4 == text.n ? 4 - pad : 4;
		uint32_t v = 0;
		for (size_t k = 0; k < 4; k++) {
			int d = k < here ? digit(text.p[i + k]) : 0;
			if (d < 0)
				return false;
			v = v << 6 | (uint32_t)d;
		}
		/* Bits that no octet takes are zero: else two texts would mean the same. */
		if ((here == 2 && (v & 0xffff) != 0) || (here == 3 && (v & 0xff) != 0))
			return false;
		for (size_t k = 0; k + 1 < here; k++)
			out[at++] = (uint8_t)(v >> (16 - 8 * k));
	}
	*n_r = n;
	return true;
}

bool
base64_take(struct bytes text, uint8_t *out, size_t n)
{
	size_t got;
	return text.n == (n + 2) / 3 * 4 && base64_take_some(text, out, n, &got) && got == n;
}

void
hex_add(struct buf *out, struct bytes in)
{
	static const char hex[] = "0123456789abcdef";
	uint8_t *p = buf_reserve(out, in.n * 2);
	if (p == NULL)
		return;
	for (size_t i = 0; i < in.n; i++) {
		p[2 * i] = (uint8_t)hex[in.p[i] >> 4];
		p[2 * i + 1] = (uint8_t)hex[in.p[i] & 15];
	}
	out->n += in.n * 2;
	buf_add(out, "", 0);
}

static int
hex_digit(uint8_t c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool
hex_take(struct bytes text, uint8_t *out, size_t n)
{
	if (text.n != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		int hi = hex_digit(text.p[2 * i]), lo = hex_digit(text.p[2 * i + 1]);
		if (hi < 0 || lo < 0)
			return false;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}
