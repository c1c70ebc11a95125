/* SPDX-License-Identifier: MIT */
#include "base64.h"

#include <openssl/evp.h>

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
base64_decode(struct arena *a, struct bytes text, struct bytes *out_r)
{
	if (text.n % 4 != 0)
		return false;
	size_t pad = text.n == 0 ? 0 : text.p[text.n - 1] != '=' ? 0 : text.p[text.n - 2] != '=' ? 1 : 2;
	uint8_t *out = arena_alloc(a, text.n / 4 * 3 + 1);
	size_t n = 0;
	for (size_t i = 0; i < text.n; i += 4) {
		size_t digits = i + 4 == text.n ? 4 - pad : 4;
		uint32_t v = 0;
		for (size_t k = 0; k < 4; k++) {
			int d = k < digits ? digit(text.p[i + k]) : 0;
			if (d < 0)
				return false;
			v = v << 6 | (uint32_t)d;
		}
		if ((digits == 2 && (v & 0xffff) != 0) || (digits == 3 && (v & 0xff) != 0))
			return false;
		out[n++] = (uint8_t)(v >> 16);
		if (digits > 2)
			out[n++] = (uint8_t)(v >> 8);
		if (digits > 3)
			out[n++] = (uint8_t)v;
	}
	*out_r = bytes_of(out, n);
	return true;
}

void
base64_add(struct buf *to, struct bytes b)
{
	uint8_t *p = buf_reserve(to, (b.n + 2) / 3 * 4 + 1);
	if (p != NULL)
		to->n += (size_t)EVP_EncodeBlock(p, b.p, (int)b.n);
}
