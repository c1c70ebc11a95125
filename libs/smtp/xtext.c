/* SPDX-License-Identifier: MIT
 *
 * xtext both ways, strict: lower-case hex digits and characters that ought to have been encoded are refused.
 */
#include "smtp/xtext.h"

static int
hex(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool
is_xchar(uint8_t c)
{
	return c >= '!' && c <= '~' && c != '+' && c != '=';
}

bool
smtp_xtext_valid(struct bytes x)
{
	for (size_t i = 0; i < x.n; i++) {
		if (is_xchar(x.p[i]))
			continue;
		if (x.p[i] != '+' || x.n - i < 3 || hex(x.p[i + 1]) < 0 || hex(x.p[i + 2]) < 0)
			return false;
		i += 2;
	}
	return true;
}

bool
smtp_xtext_printable(struct bytes x)
{
	if (!smtp_xtext_valid(x))
		return false;
	for (size_t i = 0; i < x.n; i++) {
		if (x.p[i] != '+')
			continue;
		int c = hex(x.p[i + 1]) << 4 | hex(x.p[i + 2]);
		if (c < 0x20 || c > 0x7e)
			return false;
		i += 2;
	}
	return true;
}

enum rc
smtp_xtext_decode(struct bytes x, struct buf *out, struct err *e)
{
	if (!smtp_xtext_valid(x))
		return err_set(e, RC_INVALID, "not xtext");
	for (size_t i = 0; i < x.n; i++) {
		uint8_t c = x.p[i];
		if (c == '+') {
			c = (uint8_t)(hex(x.p[i + 1]) << 4 | hex(x.p[i + 2]));
			i += 2;
		}
		buf_add(out, &c, 1);
	}
	return RC_OK;
}

void
smtp_xtext_encode(struct bytes plain, struct buf *out)
{
	for (size_t i = 0; i < plain.n; i++) {
		if (is_xchar(plain.p[i]))
			buf_add(out, &plain.p[i], 1);
		else
			buf_addf(out, "+%02X", plain.p[i]);
	}
}
