/* SPDX-License-Identifier: MIT
 *
 * Replies. What a server says ends up in bounces, records and terminals, so the parser keeps the octets as they are and
 * smtp_reply_line() makes them harmless.
 */
#include "smtp/reply.h"

#include <stdio.h>
#include <stdlib.h>

#include "smtp/address.h"

#define TEXT_MAX (SMTP_REPLY_LINE_MAX * 16)

void
smtp_reply_init(struct smtp_reply *r)
{
	*r = (struct smtp_reply){0};
	buf_init(&r->text, TEXT_MAX);
}

void
smtp_reply_done(struct smtp_reply *r)
{
	buf_done(&r->text);
}

void
smtp_reply_reset(struct smtp_reply *r)
{
	r->code = r->status_class = r->subject = r->detail = 0;
	r->lines = 0;
	buf_reset(&r->text);
}

static bool
digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* One to three digits at p[i]; moves i. */
static bool
number(struct bytes t, size_t *i, int *v_r)
{
	size_t from = *i;
	int v = 0;
	while (*i < t.n && *i - from < 3 && digit(t.p[*i]))
		v = v * 10 + (t.p[(*i)++] - '0');
	*v_r = v;
	return *i > from;
}

/* "C.S.D" and a space or the end: its length with the space; 0: none. The class must be the code's (RFC 2034). */
static size_t
enhanced(struct bytes t, int code, int out[3])
{
	size_t i = 0;
	int c, s, d;
	if (!number(t, &i, &c) || i >= t.n || t.p[i++] != '.' || !number(t, &i, &s) || i >= t.n || t.p[i++] != '.' ||
	    !number(t, &i, &d) || c != code / 100 || (i < t.n && t.p[i] != ' '))
		return 0;
	out[0] = c;
	out[1] = s;
	out[2] = d;
	return i < t.n ? i + 1 : i;
}

/* One line without CRLF. */
static enum smtp_progress
take_line(struct smtp_reply *r, struct bytes line)
{
	if (line.n < 3 || !digit(line.p[0]) || !digit(line.p[1]) || !digit(line.p[2]))
		return SMTP_BAD;
	int code = (line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 + (line.p[2] - '0');
	bool more = line.n > 3 && line.p[3] == '-';
	if (code < 200 || code > 599 || (line.n > 3 && !more && line.p[3] != ' ') ||
	    (r->lines > 0 && code != r->code) || r->lines >= SMTP_REPLY_LINES_MAX)
		return SMTP_BAD;
	struct bytes text = line.n > 4 ? bytes_of(line.p + 4, line.n - 4) : bytes_of(line.p, 0);
	int status[3];
	size_t skip = enhanced(text, code, status);
	r->code = code;
	if (r->lines++ == 0 && skip > 0) {
		r->status_class = status[0];
		r->subject = status[1];
		r->detail = status[2];
	}
	if (r->lines > 1)
		buf_add(&r->text, "\n", 1);
	buf_add(&r->text, text.p + skip, text.n - skip);
	if (!buf_ok(&r->text))
		return SMTP_BAD;
	return more ? SMTP_MORE : SMTP_DONE;
}

enum smtp_progress
smtp_reply_feed(struct smtp_reply *r, struct bytes in, size_t *used_r)
{
	size_t i = 0;
	*used_r = 0;
	for (;;) {
		const uint8_t *lf = in.n > i ? memchr(in.p + i, '\n', in.n - i) : NULL;
		size_t n = lf != NULL ? (size_t)(lf - (in.p + i)) + 1 : in.n - i;
		if (n > SMTP_REPLY_LINE_MAX)
			return SMTP_BAD;
		if (lf == NULL)
			return SMTP_MORE;
		struct bytes line = bytes_of(in.p + i, n - 1);
		if (line.n == 0 || line.p[line.n - 1] != '\r' || memchr(line.p, '\r', line.n - 1) != NULL ||
		    memchr(line.p, '\0', line.n) != NULL)
			return SMTP_BAD;
		line.n--;
		enum smtp_progress p = take_line(r, line);
		if (p == SMTP_BAD)
			return SMTP_BAD;
		i += n;
		*used_r = i;
		if (p == SMTP_DONE)
			return SMTP_DONE;
	}
}

/* Octets of the character at t[i] if it may be shown, else 0. C1 controls count as controls. */
static size_t
shown(struct bytes t, size_t i)
{
	uint8_t c = t.p[i];
	if (c < 0x80)
		return c >= 0x20 && c != 0x7f;
	size_t n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
	if (t.n - i < n || !smtp_utf8_valid(bytes_of(t.p + i, n)) || (c == 0xc2 && t.p[i + 1] < 0xa0))
		return 0;
	return n;
}

void
smtp_reply_line(const struct smtp_reply *r, char *out, size_t size)
{
	if (size == 0)
		return;
	char head[32];
	if (r->status_class != 0)
		snprintf(head, sizeof(head), "%d %d.%d.%d ", r->code, r->status_class, r->subject, r->detail);
	else
		snprintf(head, sizeof(head), "%d ", r->code);
	size_t o = (size_t)snprintf(out, size, "%s", head);
	struct bytes t = buf_bytes(&r->text);
	for (size_t i = 0; i < t.n;) {
		size_t n = shown(t, i);
		if (o + (n > 0 ? n : 1) >= size)
			break;
		if (n == 0)
			out[o] = t.p[i] == '\n' || t.p[i] == '\t' ? ' ' : '?';
		else
			memcpy(out + o, t.p + i, n);
		o += n > 0 ? n : 1;
		i += n > 0 ? n : 1;
	}
	if (o < size)
		out[o] = '\0';
}

/* How much of t fits into room octets without cutting a character. */
static size_t
fitting(struct bytes t, size_t room)
{
	if (t.n <= room)
		return t.n;
	size_t n = room;
	while (n > 0 && (t.p[n] & 0xc0) == 0x80)
		n--;
	return n;
}

void
smtp_reply_write(struct buf *out, int code, const char *enhanced_, const char *text, bool utf8)
{
	bool has = enhanced_ != NULL && enhanced_[0] != '\0';
	struct bytes rest = bytes_str(text);
	size_t room = SMTP_REPLY_WRITE_MAX - 6 - (has ? strlen(enhanced_) + 1 : 0);
	do {
		const uint8_t *lf = memchr(rest.p, '\n', rest.n);
		struct bytes line = bytes_of(rest.p, lf != NULL ? (size_t)(lf - rest.p) : rest.n);
		size_t n = fitting(line, room);
		size_t eaten = n + (lf != NULL && n == line.n);
		bool last = eaten >= rest.n;
		buf_addf(out, "%d%c%s%s", code, last ? ' ' : '-', has ? enhanced_ : "", has ? " " : "");
		for (size_t i = 0; i < n;) {
			size_t k = shown(bytes_of(line.p, n), i);
			bool as_is = k == 1 || (k > 1 && utf8);
			if (as_is)
				buf_add(out, line.p + i, k);
			else
				buf_add(out, line.p[i] < 0x20 ? " " : "?", 1);
			i += k > 0 ? k : 1;
		}
		buf_add(out, "\r\n", 2);
		rest = bytes_of(rest.p + eaten, rest.n - eaten);
	} while (rest.n > 0);
}

static bool
word_is(struct bytes line, const char *word, struct bytes *rest_r)
{
	size_t n = strlen(word);
	if (line.n < n || !bytes_ieq(bytes_of(line.p, n), bytes_str(word)) || (line.n > n && line.p[n] != ' '))
		return false;
	*rest_r = line.n > n ? bytes_of(line.p + n + 1, line.n - n - 1) : bytes_of(line.p, 0);
	return true;
}

static bool
words_hold(struct bytes words, const char *word)
{
	for (size_t i = 0; i < words.n;) {
		size_t from = i;
		while (i < words.n && words.p[i] != ' ')
			i++;
		if (bytes_ieq(bytes_of(words.p + from, i - from), bytes_str(word)))
			return true;
		i++;
	}
	return false;
}

static uint64_t
size_of(struct bytes t)
{
	uint64_t v = 0;
	for (size_t i = 0; i < t.n; i++) {
		if (!digit(t.p[i]) || v > UINT64_MAX / 10 - 1)
			return 0;
		v = v * 10 + (uint64_t)(t.p[i] - '0');
	}
	return v;
}

void
smtp_capabilities_parse(const struct smtp_reply *ehlo, struct smtp_capabilities *out_r)
{
	struct smtp_capabilities c = {0};
	struct bytes t = buf_bytes(&ehlo->text), rest;
	bool greeting = true;
	for (size_t i = 0; i < t.n;) {
		const uint8_t *lf = memchr(t.p + i, '\n', t.n - i);
		struct bytes line = bytes_of(t.p + i, lf != NULL ? (size_t)(lf - (t.p + i)) : t.n - i);
		i += line.n + 1;
		if (greeting) {
			greeting = false;
			continue;
		}
		c.pipelining |= word_is(line, "PIPELINING", &rest);
		c.eightbitmime |= word_is(line, "8BITMIME", &rest);
		c.smtputf8 |= word_is(line, "SMTPUTF8", &rest);
		c.chunking |= word_is(line, "CHUNKING", &rest);
		c.dsn |= word_is(line, "DSN", &rest);
		c.starttls |= word_is(line, "STARTTLS", &rest);
		c.enhanced |= word_is(line, "ENHANCEDSTATUSCODES", &rest);
		if (word_is(line, "SIZE", &rest)) {
			c.size = true;
			c.size_max = size_of(rest);
		}
		if (word_is(line, "AUTH", &rest)) {
			c.auth_plain |= words_hold(rest, "PLAIN");
			c.auth_login |= words_hold(rest, "LOGIN");
		}
	}
	*out_r = c;
}
