/* SPDX-License-Identifier: MIT */
#include "mime_text.h"

#include <string.h>

#define LINE_MAX_CHARS 76
/* "=?UTF-8?B?" and "?=": 12 of the 75 characters that an encoded word may have; 60 base64 characters are 45 octets. */
#define WORD_OCTETS 45

static const char base64_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void
base64_run(struct buf *out, const uint8_t *p, size_t n)
{
	uint8_t *to = buf_reserve(out, (n + 2) / 3 * 4);
	if (to == NULL)
		return;
	for (size_t i = 0; i < n; i += 3) {
		uint32_t v =
		    (uint32_t)p[i] << 16 | (i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0);
		*to++ = (uint8_t)base64_alphabet[v >> 18];
		*to++ = (uint8_t)base64_alphabet[v >> 12 & 63];
		*to++ = i + 1 < n ? (uint8_t)base64_alphabet[v >> 6 & 63] : '=';
		*to++ = i + 2 < n ? (uint8_t)base64_alphabet[v & 63] : '=';
	}
	out->n += (n + 2) / 3 * 4;
	out->p[out->n] = 0;
}

void
mime_base64(struct buf *out, struct bytes octets)
{
	for (size_t at = 0; at < octets.n; at += 57) {
		base64_run(out, octets.p + at, octets.n - at < 57 ? octets.n - at : 57);
		buf_add_str(out, "\r\n");
	}
}

static void
quoted(struct buf *out, uint8_t c)
{
	static const char hex[] = "0123456789ABCDEF";
	buf_add(out, (char[]){'=', hex[c >> 4], hex[c & 15]}, 3);
}

void
mime_quoted_printable(struct buf *out, struct bytes text)
{
	size_t column = 0;
	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];
		if (c == '\r' && i + 1 < text.n && text.p[i + 1] == '\n') {
			buf_add_str(out, "\r\n");
			column = 0;
			i++;
			continue;
		}
		bool before_end = i + 1 == text.n || text.p[i + 1] == '\r';
		bool plain = (c > 0x20 && c < 0x7f && c != '=') || ((c == ' ' || c == '\t') && !before_end);
		size_t width = plain ? 1 : 3;
		if (column + width > LINE_MAX_CHARS - 1) {
			buf_add_str(out, "=\r\n");
			column = 0;
		}
		if (plain)
			buf_add(out, &c, 1);
		else
			quoted(out, c);
		column += width;
	}
}

void
mime_canonical_lines(struct buf *out, struct bytes text)
{
	size_t from = 0;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] != '\r' && text.p[i] != '\n')
			continue;
		buf_add(out, text.p + from, i - from);
		buf_add_str(out, "\r\n");
		if (text.p[i] == '\r' && i + 1 < text.n && text.p[i + 1] == '\n')
			i++;
		from = i + 1;
	}
	if (from < text.n) {
		buf_add(out, text.p + from, text.n - from);
		buf_add_str(out, "\r\n");
	}
}

/* May it stand as it is? In a phrase only atoms and spaces (RFC 5322 3.2.3); nowhere what looks like an encoded word,
 * nor spaces that folding would lose. */
static bool
is_plain(struct bytes t, bool phrase, size_t column)
{
	if (t.n == 0 || t.p[0] == ' ' || t.p[t.n - 1] == ' ' || column + t.n > LINE_MAX_CHARS)
		return false;
	for (size_t i = 0; i < t.n; i++) {
		uint8_t c = t.p[i];
		if (c < 0x20 || c >= 0x7f || (c == '=' && i + 1 < t.n && t.p[i + 1] == '?') ||
		    (c == ' ' && t.p[i + 1] == ' '))
			return false;
		if (phrase && strchr("()<>[]:;@\\,.\"", c) != NULL)
			return false;
	}
	return true;
}

/* The longest whole characters of UTF-8 at p that fit into max octets; at least one octet. */
static size_t
whole_characters(const uint8_t *p, size_t n, size_t max)
{
	if (n <= max)
		return n;
	size_t k = max;
	while (k > 0 && (p[k] & 0xc0) == 0x80)
		k--;
	return k > 0 ? k : max;
}

void
mime_header_text(struct buf *out, struct bytes text, bool phrase, size_t column)
{
	if (text.n == 0)
		return;
	if (is_plain(text, phrase, column)) {
		buf_add_bytes(out, text);
		return;
	}
	size_t room = column + 12 + 4 < LINE_MAX_CHARS ? (LINE_MAX_CHARS - column - 12) / 4 * 3 : 0;
	for (size_t at = 0; at < text.n;) {
		size_t max = at == 0 ? (room < WORD_OCTETS ? room : WORD_OCTETS) : WORD_OCTETS;
		if (max < 4) {
			buf_add_str(out, "\r\n ");
			max = WORD_OCTETS;
		} else if (at > 0) {
			buf_add_str(out, "\r\n ");
		}
		size_t k = whole_characters(text.p + at, text.n - at, max);
		buf_add_str(out, "=?UTF-8?B?");
		base64_run(out, text.p + at, k);
		buf_add_str(out, "?=");
		at += k;
	}
}

static bool
is_attribute_char(uint8_t c)
{
	return c > 0x20 && c < 0x7f && strchr("*'%()<>@,;:\\\"/[]?=", c) == NULL;
}

static void
percent_encoded(struct buf *out, struct bytes value)
{
	static const char hex[] = "0123456789ABCDEF";
	for (size_t i = 0; i < value.n; i++) {
		uint8_t c = value.p[i];
		if (is_attribute_char(c))
			buf_add(out, &c, 1);
		else
			buf_add(out, (char[]){'%', hex[c >> 4], hex[c & 15]}, 3);
	}
}

void
mime_parameter(struct buf *out, const char *name, struct bytes value)
{
	bool ascii = value.n > 0 && value.n + strlen(name) < 60;
	for (size_t i = 0; i < value.n; i++)
		if (value.p[i] < 0x20 || value.p[i] >= 0x7f)
			ascii = false;
	if (ascii) {
		buf_addf(out, ";\r\n %s=\"", name);
		for (size_t i = 0; i < value.n; i++) {
			if (value.p[i] == '"' || value.p[i] == '\\')
				buf_add(out, "\\", 1);
			buf_add(out, &value.p[i], 1);
		}
		buf_add(out, "\"", 1);
		return;
	}
	/* 15 octets are at most 45 characters: with name, section number and charset below 78. */
	if (value.n <= 15) {
		buf_addf(out, ";\r\n %s*=UTF-8''", name);
		percent_encoded(out, value);
		return;
	}
	size_t section = 0;
	for (size_t at = 0; at < value.n; section++) {
		size_t k = whole_characters(value.p + at, value.n - at, 15);
		buf_addf(out, ";\r\n %s*%zu*=%s", name, section, section == 0 ? "UTF-8''" : "");
		percent_encoded(out, bytes_of(value.p + at, k));
		at += k;
	}
}
