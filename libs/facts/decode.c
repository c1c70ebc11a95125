/* SPDX-License-Identifier: MIT
 *
 * Decoders over memory, strict about what they report and lenient about what they return. No state.
 */
#include "facts/decode.h"

static const int8_t base64_value[256] = {
    ['A'] = 1,	['B'] = 2,  ['C'] = 3,	['D'] = 4,  ['E'] = 5,	['F'] = 6,  ['G'] = 7,	['H'] = 8,  ['I'] = 9,
    ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18,
    ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24, ['Y'] = 25, ['Z'] = 26, ['a'] = 27,
    ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32, ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36,
    ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45,
    ['t'] = 46, ['u'] = 47, ['v'] = 48, ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54,
    ['2'] = 55, ['3'] = 56, ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63,
    ['/'] = 64, /* plus one, so that 0 is "none" */
};

/* The one or two octets of a group of two or three characters. */
static size_t
close_group(uint32_t bits, uint32_t have, uint8_t *out)
{
	if (have < 2)
		return 0;
	bits <<= 6 * (4 - have);
	out[0] = (uint8_t)(bits >> 16);
	if (have == 3)
		out[1] = (uint8_t)(bits >> 8);
	return have - 1;
}

static struct bytes
base64(struct bytes b, struct arena *a, const char **odd)
{
	uint8_t *out = arena_alloc(a, b.n / 4 * 3 + 4);
	size_t n = 0;
	uint32_t bits = 0, have = 0, owed = 0; /* owed: padding still to come for the group that was closed */
	bool closed = false;
	for (size_t i = 0; i < b.n; i++) {
		uint8_t c = b.p[i];
		int v = base64_value[c];
		if (v != 0) {
			if (closed)
				*odd = "base64 goes on after its padding";
			closed = false;
			bits = bits << 6 | (uint32_t)(v - 1);
			if (++have < 4)
				continue;
			out[n++] = (uint8_t)(bits >> 16);
			out[n++] = (uint8_t)(bits >> 8);
			out[n++] = (uint8_t)bits;
			bits = have = 0;
		} else if (c == '=') {
			if (have >= 2) {
				n += close_group(bits, have, out + n);
				owed = 3 - have;
				closed = true;
				bits = have = 0;
			} else if (closed && owed > 0) {
				owed--;
			} else {
				*odd = "base64 has padding in the wrong place";
			}
		} else if (c != '\r' && c != '\n' && c != ' ' && c != '\t') {
			*odd = "base64 holds foreign characters";
		}
	}
	if (have != 0 || (closed && owed > 0))
		*odd = "base64 ends early";
	n += close_group(bits, have, out + n);
	return bytes_of(out, n);
}

static int
hex(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* White space before a line's end is kept, against RFC 2045's advice but as other readers have it. */
static struct bytes
quoted_printable(struct bytes b, struct arena *a, const char **odd)
{
	uint8_t *out = arena_alloc(a, b.n + 1);
	size_t n = 0;
	for (size_t i = 0; i < b.n; i++) {
		if (b.p[i] != '=') {
			out[n++] = b.p[i];
			continue;
		}
		int high = i + 1 < b.n ? hex(b.p[i + 1]) : -1, low = i + 2 < b.n ? hex(b.p[i + 2]) : -1;
		size_t k = i + 1;
		while (k < b.n && (b.p[k] == ' ' || b.p[k] == '\t'))
			k++;
		if (high >= 0 && low >= 0) {
			out[n++] = (uint8_t)(high << 4 | low);
			i += 2;
		} else if (k == b.n) {
			i = k;
		} else if (b.p[k] == '\r' && k + 1 < b.n && b.p[k + 1] == '\n') {
			if (k > i + 1)
				*odd = "white space in a soft line break";
			i = k + 1;
		} else {
			*odd = "quoted-printable holds a broken escape";
			out[n++] = b.p[i];
		}
	}
	return bytes_of(out, n);
}

/* --- uuencode ------------------------------------------------------------------------------------------- */

static struct bytes
next_line(struct bytes b, size_t *at)
{
	size_t start = *at;
	const uint8_t *nl = memchr(b.p + start, '\n', b.n - start);
	size_t end = nl != NULL ? (size_t)(nl - b.p) : b.n;
	*at = nl != NULL ? end + 1 : b.n;
	if (end > start && b.p[end - 1] == '\r')
		end--;
	return bytes_of(b.p + start, end - start);
}

/* Octets that a uuencoded line holds, 0 for the last line ("`" or a space), -1: no such line. Some encoders leave out
 * trailing spaces, some add a checksum character. */
static int
uu_line(struct bytes line)
{
	if (line.n == 0 || line.p[0] < ' ' || line.p[0] > '`')
		return -1;
	int octets = (line.p[0] - ' ') & 63;
	size_t groups = ((size_t)octets + 2) / 3;
	for (size_t i = 1; i < line.n; i++)
		if (line.p[i] < ' ' || line.p[i] > '`')
			return -1;
	if (line.n > 1 + groups * 4 + 2 || (octets > 0 && line.n < 2))
		return -1;
	return octets;
}

static size_t
uu_decode_line(struct bytes line, int octets, uint8_t *out)
{
	size_t n = 0;
	for (size_t i = 1; n < (size_t)octets; i += 4) {
		uint32_t bits = 0;
		for (size_t k = 0; k < 4; k++)
			bits = bits << 6 | (uint32_t)(i + k < line.n ? (line.p[i + k] - ' ') & 63 : 0);
		for (int shift = 16; shift >= 0 && n < (size_t)octets; shift -= 8)
			out[n++] = (uint8_t)(bits >> shift);
	}
	return n;
}

static bool
is_begin(struct bytes line)
{
	if (line.n < 9 || memcmp(line.p, "begin", 5) != 0)
		return false;
	size_t i = 5;
	if (line.n > 12 && memcmp(line.p + 5, "-base64", 7) == 0)
		i = 12;
	if (line.p[i++] != ' ')
		return false;
	size_t digits = 0;
	while (i < line.n && line.p[i] >= '0' && line.p[i] <= '7') {
		i++;
		digits++;
	}
	return digits >= 3 && digits <= 4 && i + 1 < line.n && line.p[i] == ' ';
}

bool
decode_find_uu(struct bytes text, size_t *at, struct arena *a, struct bytes *content_r, const char **odd_r)
{
	while (*at < text.n) {
		const uint8_t *hit = memmem(text.p + *at, text.n - *at, "begin", 5);
		if (hit == NULL)
			break;
		size_t start = (size_t)(hit - text.p);
		*at = start + 5;
		if (start > 0 && text.p[start - 1] != '\n')
			continue;
		size_t pos = start;
		struct bytes line = next_line(text, &pos);
		if (!is_begin(line))
			continue;
		if (line.p[5] == '-') {
			*odd_r = "base64 in uuencode's frame";
			continue;
		}
		uint8_t *out = arena_alloc(a, text.n - pos + 64);
		size_t n = 0, lines = 0, before = pos;
		int octets = -1;
		while (pos < text.n) {
			before = pos;
			line = next_line(text, &pos);
			octets = uu_line(line);
			if (octets <= 0)
				break;
			n += uu_decode_line(line, octets, out + n);
			lines++;
		}
		if (octets < 0)
			pos = before;
		if (lines == 0)
			continue;
		size_t look = pos;
		line = look < text.n ? next_line(text, &look) : bytes_of(NULL, 0);
		if (!bytes_eq(line, bytes_str("end")))
			*odd_r = "uuencoded text without end";
		*at = pos;
		*content_r = bytes_of(out, n);
		return true;
	}
	*at = text.n;
	return false;
}

static struct bytes
uu_body(struct bytes b, struct arena *a, const char **odd)
{
	size_t at = 0;
	struct bytes content;
	if (decode_find_uu(b, &at, a, &content, odd))
		return content;
	*odd = "uuencode holds no file";
	return b;
}

struct bytes
decode_body(enum decode_kind kind, struct bytes b, struct arena *a, const char **odd_r)
{
	switch (kind) {
	case DECODE_NONE:
		return b;
	case DECODE_BASE64:
		return base64(b, a, odd_r);
	case DECODE_QP:
		return quoted_printable(b, a, odd_r);
	case DECODE_UU:
		return uu_body(b, a, odd_r);
	}
	return b;
}

struct bytes
decode_word_b(struct bytes b, struct arena *a)
{
	const char *odd;
	return base64(b, a, &odd);
}

static struct bytes
escapes(struct bytes b, struct arena *a, uint8_t escape, bool underscore)
{
	uint8_t *out = arena_alloc(a, b.n + 1);
	size_t n = 0;
	for (size_t i = 0; i < b.n; i++) {
		int high = i + 2 < b.n ? hex(b.p[i + 1]) : -1, low = i + 2 < b.n ? hex(b.p[i + 2]) : -1;
		if (b.p[i] == escape && high >= 0 && low >= 0) {
			out[n++] = (uint8_t)(high << 4 | low);
			i += 2;
		} else {
			out[n++] = underscore && b.p[i] == '_' ? ' ' : b.p[i];
		}
	}
	return bytes_of(out, n);
}

struct bytes
decode_word_q(struct bytes b, struct arena *a)
{
	return escapes(b, a, '=', true);
}

struct bytes
decode_percent(struct bytes b, struct arena *a)
{
	return escapes(b, a, '%', false);
}
