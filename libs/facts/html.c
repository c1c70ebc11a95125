/* SPDX-License-Identifier: MIT
 *
 * One pass; the output is never longer than the input (an entity is never shorter than its character). No state.
 */
#include "facts/html.h"

#include <stdlib.h>

static const struct {
	const char *name, *utf8;
} entities[] = {
    {"amp", "&"},	    {"lt", "<"},  {"gt", ">"},		{"quot", "\""},	     {"apos", "'"},
    {"nbsp", " "},	    {"shy", ""},  {"copy", "\xc2\xa9"}, {"reg", "\xc2\xae"}, {"yen", "\xc2\xa5"},
    {"middot", "\xc2\xb7"}, {"zwnj", ""}, {"zwj", ""},
};

static const char *const blocks[] = {"br", "p",	 "div", "tr", "td", "th", "li", "ul",  "ol",	     "table",
				     "h1", "h2", "h3",	"h4", "h5", "h6", "hr", "pre", "blockquote", "title"};

static size_t
put_utf8(uint32_t c, uint8_t *out)
{
	if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		c = 0xfffd;
	if (c < 0x80) {
		out[0] = (uint8_t)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (uint8_t)(0xc0 | c >> 6);
		out[1] = (uint8_t)(0x80 | (c & 63));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (uint8_t)(0xe0 | c >> 12);
		out[1] = (uint8_t)(0x80 | (c >> 6 & 63));
		out[2] = (uint8_t)(0x80 | (c & 63));
		return 3;
	}
	out[0] = (uint8_t)(0xf0 | c >> 18);
	out[1] = (uint8_t)(0x80 | (c >> 12 & 63));
	out[2] = (uint8_t)(0x80 | (c >> 6 & 63));
	out[3] = (uint8_t)(0x80 | (c & 63));
	return 4;
}

/* Octets taken from b (which begins with '&'), 0 if it is no entity. */
static size_t
entity(struct bytes b, uint8_t *out, size_t *n)
{
	size_t end = 1;
	while (end < b.n && end < 12 && b.p[end] != ';')
		end++;
	if (end >= b.n || b.p[end] != ';' || end < 3)
		return 0;
	char name[12] = "";
	memcpy(name, b.p + 1, end - 1);
	if (name[0] == '#') {
		bool hex = name[1] == 'x' || name[1] == 'X';
		char *stop;
		unsigned long c = strtoul(name + (hex ? 2 : 1), &stop, hex ? 16 : 10);
		if (*stop != '\0')
			return 0;
		*n += put_utf8(c > 0x10ffff ? 0xfffd : (uint32_t)c, out + *n);
		return end + 1;
	}
	for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]); i++) {
		if (strcmp(entities[i].name, name) == 0) {
			size_t k = strlen(entities[i].utf8);
			memcpy(out + *n, entities[i].utf8, k);
			*n += k;
			return end + 1;
		}
	}
	return 0;
}

static struct bytes
tag_name(struct bytes tag)
{
	size_t i = tag.n > 0 && tag.p[0] == '/' ? 1 : 0, start = i;
	while (i < tag.n && ((tag.p[i] | 32) >= 'a' ? (tag.p[i] | 32) <= 'z' : tag.p[i] >= '0' && tag.p[i] <= '9'))
		i++;
	return bytes_of(tag.p + start, i - start);
}

static bool
is_block(struct bytes name)
{
	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++)
		if (bytes_ieq(name, bytes_str(blocks[i])))
			return true;
	return false;
}

/* Behind "</name" of a script or style. */
static size_t
skip_raw(struct bytes b, size_t at, struct bytes name)
{
	for (; at + 2 + name.n <= b.n; at++)
		if (b.p[at] == '<' && b.p[at + 1] == '/' && bytes_ieq(bytes_of(b.p + at + 2, name.n), name))
			return at;
	return b.n;
}

static size_t
skip_tag(struct bytes b, size_t at, uint8_t *out, size_t *n)
{
	if (b.n - at >= 4 && memcmp(b.p + at, "<!--", 4) == 0) {
		ptrdiff_t end = bytes_find(bytes_of(b.p + at + 4, b.n - at - 4), bytes_str("-->"));
		return end < 0 ? b.n : at + 4 + (size_t)end + 3;
	}
	const uint8_t *close = memchr(b.p + at, '>', b.n - at);
	size_t end = close != NULL ? (size_t)(close - b.p) + 1 : b.n;
	struct bytes inside = bytes_of(b.p + at + 1, end - at - 1), name = tag_name(inside);
	if (name.n > 0 && is_block(name))
		out[(*n)++] = '\n';
	bool raw = bytes_ieq(name, bytes_str("script")) || bytes_ieq(name, bytes_str("style"));
	return raw && inside.n > 0 && inside.p[0] != '/' ? skip_raw(b, end, name) : end;
}

struct bytes
html_to_text(struct bytes b, struct arena *a)
{
	uint8_t *out = arena_alloc(a, b.n + 8);
	size_t n = 0, taken;
	for (size_t i = 0; i < b.n;) {
		uint8_t c = b.p[i];
		bool tag = c == '<' && i + 1 < b.n &&
			   (b.p[i + 1] == '/' || b.p[i + 1] == '!' || b.p[i + 1] == '?' ||
			    ((b.p[i + 1] | 32) >= 'a' && (b.p[i + 1] | 32) <= 'z'));
		if (tag) {
			i = skip_tag(b, i, out, &n);
		} else if (c == '&' && (taken = entity(bytes_of(b.p + i, b.n - i), out, &n)) > 0) {
			i += taken;
		} else if (c == '\r' || c == '\n') {
			/* A line break in the source is white space, and between Japanese characters nothing. */
			bool ascii = n > 0 && out[n - 1] < 0x80 && out[n - 1] != ' ' && out[n - 1] != '\n';
			if (ascii)
				out[n++] = ' ';
			i++;
		} else {
			out[n++] = c;
			i++;
		}
	}
	return bytes_of(out, n);
}
