/* SPDX-License-Identifier: MIT */
#include "framing.h"

#include <string.h>

/* RFC 9110 section 5.6.2: tchar */
static bool
is_token_char(uint8_t c)
{
	if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
		return true;
	return c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static bool
is_token(struct bytes b)
{
	for (size_t i = 0; i < b.n; i++)
		if (!is_token_char(b.p[i]))
			return false;
	return b.n > 0;
}

static struct bytes
trim(struct bytes b)
{
	while (b.n > 0 && (b.p[0] == ' ' || b.p[0] == '\t')) {
		b.p++;
		b.n--;
	}
	while (b.n > 0 && (b.p[b.n - 1] == ' ' || b.p[b.n - 1] == '\t'))
		b.n--;
	return b;
}

static const char *
check_request_line(struct bytes line, bool *http11_r)
{
	const uint8_t *sp1 = memchr(line.p, ' ', line.n);
	if (sp1 == NULL || !is_token(bytes_of(line.p, (size_t)(sp1 - line.p))))
		return "the request line has no method";
	size_t rest = line.n - (size_t)(sp1 + 1 - line.p);
	const uint8_t *sp2 = memchr(sp1 + 1, ' ', rest);
	if (sp2 == NULL)
		return "the request line has no version";
	struct bytes target = bytes_of(sp1 + 1, (size_t)(sp2 - sp1 - 1));
	struct bytes version = bytes_of(sp2 + 1, line.n - (size_t)(sp2 + 1 - line.p));
	if (target.n == 0 || target.p[0] != '/')
		return "the request target is not a path";
	for (size_t i = 0; i < target.n; i++)
		if (target.p[i] <= 0x20 || target.p[i] >= 0x7f || target.p[i] == '#')
			return "the request target holds a character that must be encoded";
	*http11_r = bytes_eq(version, bytes_str("HTTP/1.1"));
	if (!*http11_r && !bytes_eq(version, bytes_str("HTTP/1.0")))
		return "the HTTP version is neither 1.0 nor 1.1";
	return NULL;
}

/* What decides where the body ends, and whose request it is. */
struct seen {
	bool length, encoding, host;
};

static const char *
check_field(struct bytes line, bool http11, struct seen *seen)
{
	if (line.p[0] == ' ' || line.p[0] == '\t')
		return "a header field is folded";
	const uint8_t *colon = memchr(line.p, ':', line.n);
	if (colon == NULL)
		return "a header line has no colon";
	struct bytes name = bytes_of(line.p, (size_t)(colon - line.p));
	if (!is_token(name))
		return "a header field's name is not a token";
	struct bytes value = trim(bytes_of(colon + 1, line.n - name.n - 1));
	for (size_t i = 0; i < value.n; i++)
		if ((value.p[i] < 0x20 && value.p[i] != '\t') || value.p[i] == 0x7f)
			return "a header field's value holds a control character";
	if (bytes_ieq(name, bytes_str("content-length"))) {
		if (seen->length)
			return "Content-Length is given twice";
		seen->length = true;
		if (value.n == 0 || value.n > 12)
			return "Content-Length is not a number of octets";
		for (size_t i = 0; i < value.n; i++)
			if (value.p[i] < '0' || value.p[i] > '9')
				return "Content-Length is not a number of octets";
	} else if (bytes_ieq(name, bytes_str("transfer-encoding"))) {
		if (seen->encoding)
			return "Transfer-Encoding is given twice";
		seen->encoding = true;
		if (!http11)
			return "Transfer-Encoding needs HTTP/1.1";
		if (!bytes_ieq(value, bytes_str("chunked")))
			return "Transfer-Encoding is not chunked";
	} else if (bytes_ieq(name, bytes_str("host"))) {
		if (seen->host)
			return "Host is given twice";
		seen->host = true;
		if (memchr(value.p, ',', value.n) != NULL || memchr(value.p, ' ', value.n) != NULL)
			return "Host is not one name";
	} else if (bytes_ieq(name, bytes_str("upgrade"))) {
		return "Upgrade is not supported";
	}
	return NULL;
}

/* The next line without its CRLF. MORE: its end has not come. */
static enum framing_state
next_line(struct bytes in, size_t *at, struct bytes *line_r, const char **why_r)
{
	for (size_t i = *at; i < in.n; i++) {
		uint8_t c = in.p[i];
		if (c == 0) {
			*why_r = "a NUL in the header";
			return FRAMING_BAD;
		}
		if (c == '\n') {
			*why_r = "a bare LF in the header";
			return FRAMING_BAD;
		}
		if (c != '\r')
			continue;
		if (i + 1 == in.n)
			return FRAMING_MORE;
		if (in.p[i + 1] != '\n') {
			*why_r = "a bare CR in the header";
			return FRAMING_BAD;
		}
		*line_r = bytes_of(in.p + *at, i - *at);
		*at = i + 2;
		return FRAMING_OK;
	}
	return FRAMING_MORE;
}

enum framing_state
framing_check(struct bytes in, const char **why_r)
{
	struct seen seen = {0};
	bool http11 = false;
	size_t at = 0, fields = 0;
	if (in.n > FRAMING_HEADER_MAX)
		in.n = FRAMING_HEADER_MAX;
	for (bool first = true;; first = false) {
		struct bytes line;
		size_t from = at;
		enum framing_state st = next_line(in, &at, &line, why_r);
		if (first && ((st == FRAMING_MORE && in.n - from > FRAMING_LINE_MAX) ||
			      (st == FRAMING_OK && line.n > FRAMING_LINE_MAX)))
			return FRAMING_LONG;
		if (st == FRAMING_MORE && in.n == FRAMING_HEADER_MAX)
			return FRAMING_TOO_BIG;
		if (st != FRAMING_OK)
			return st;
		if (!first && line.n == 0)
			break;
		if (!first && ++fields > FRAMING_FIELDS_MAX)
			return FRAMING_TOO_BIG;
		*why_r = first ? check_request_line(line, &http11) : check_field(line, http11, &seen);
		if (*why_r != NULL)
			return FRAMING_BAD;
	}
	if (seen.length && seen.encoding) {
		*why_r = "Content-Length and Transfer-Encoding together";
		return FRAMING_BAD;
	}
	if (http11 && !seen.host) {
		*why_r = "Host is missing";
		return FRAMING_BAD;
	}
	return FRAMING_OK;
}
