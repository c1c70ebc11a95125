/* SPDX-License-Identifier: MIT
 *
 * Encodings are chosen by what there is to write: plain ASCII goes as it is, anything else as base64.
 */
#include "notice_text.h"

#include <openssl/evp.h>

#include "core/clock.h"
#include "smtp/address.h"

#define WORD_OCTETS 45	/* as base64 60; with "=?UTF-8?B?" and "?=" 72, of 75 (RFC 2047, 2) */
#define LINE_OCTETS 57	/* as base64 76 */
#define LINE_MAX_7  900 /* RFC 5322 allows 998 */

static void
add_base64(struct buf *b, struct bytes s)
{
	uint8_t line[LINE_OCTETS / 3 * 4 + 4];
	int n = EVP_EncodeBlock(line, s.p, (int)s.n);
	buf_add(b, line, (size_t)n);
}

static void
add_base64_lines(struct buf *b, struct bytes s)
{
	for (size_t i = 0; i < s.n; i += LINE_OCTETS) {
		add_base64(b, bytes_of(s.p + i, s.n - i < LINE_OCTETS ? s.n - i : LINE_OCTETS));
		buf_add_str(b, "\r\n");
	}
}

static bool
printable(struct bytes s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 0x20 || s.p[i] > 0x7e)
			return false;
	return true;
}

/* A header text. What looks like an encoded word itself is encoded too. */
static void
add_words(struct buf *b, struct bytes s, size_t column)
{
	if (printable(s) && s.n + column < 76 && bytes_find(s, bytes_str("=?")) < 0) {
		buf_add_bytes(b, s);
		return;
	}
	for (size_t i = 0; i < s.n;) {
		size_t n = s.n - i < WORD_OCTETS ? s.n - i : WORD_OCTETS;
		while (n > 1 && i + n < s.n && (s.p[i + n] & 0xc0) == 0x80)
			n--; /* no character in two words */
		buf_add_str(b, i > 0 ? "\r\n =?UTF-8?B?" : "=?UTF-8?B?");
		add_base64(b, bytes_of(s.p + i, n));
		buf_add_str(b, "?=");
		i += n;
	}
}

/* A file name as a parameter (RFC 2231): percent-encoded, so that nothing in it has a meaning. */
static void
add_file_name(struct buf *b, struct bytes name)
{
	buf_add_str(b, "filename*=UTF-8''");
	for (size_t i = 0; i < name.n; i++) {
		uint8_t c = name.p[i];
		bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' ||
			     c == '-' || c == '_';
		if (plain)
			buf_add(b, &c, 1);
		else
			buf_addf(b, "%%%02X", c);
	}
}

/* 7-bit text with lines that mail may have. */
static bool
fits_seven_bit(struct bytes s)
{
	size_t line = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\n') {
			line = 0;
			continue;
		}
		if (s.p[i] != '\t' && (s.p[i] < 0x20 || s.p[i] > 0x7e))
			return false;
		if (++line > LINE_MAX_7)
			return false;
	}
	return true;
}

static void
add_crlf_text(struct buf *b, struct bytes s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\n')
			buf_add_str(b, "\r\n");
		else
			buf_add(b, s.p + i, 1);
	}
	if (s.n > 0 && s.p[s.n - 1] != '\n')
		buf_add_str(b, "\r\n");
}

/* The fields of a text part and its content. extra: more fields, or "". The fields are the message's own if map. */
static void
add_text_part(struct buf *b, struct bytes s, const char *extra, size_t from, struct dsn_text *map)
{
	bool plain = fits_seven_bit(s);
	buf_addf(b, "Content-Type: text/plain; charset=%s\r\nContent-Transfer-Encoding: %s\r\n%s",
		 plain ? "us-ascii" : "utf-8", plain ? "7bit" : "base64", extra);
	if (map != NULL)
		dsn_map_fields(b, from, map);
	buf_add_str(b, "\r\n");
	if (plain) {
		add_crlf_text(b, s);
		return;
	}
	struct buf text; /* lines of text end in CRLF inside the encoding too (RFC 2045, 6.8) */
	buf_init(&text, 0);
	add_crlf_text(&text, s);
	add_base64_lines(b, buf_bytes(&text));
	b->failed |= !buf_ok(&text);
	buf_done(&text);
}

static enum rc
check(const struct notice_text *t, struct err *e)
{
	struct bytes subject = bytes_str(t->subject);
	if (!smtp_utf8_valid(subject) || !smtp_utf8_valid(bytes_str(t->text)) || !smtp_utf8_valid(t->attachment) ||
	    !smtp_utf8_valid(bytes_str(t->attachment_name)))
		return err_set(e, RC_INVALID, "notice: not UTF-8");
	for (size_t i = 0; i < subject.n; i++)
		if (subject.p[i] < 0x20 || subject.p[i] == 0x7f)
			return err_set(e, RC_INVALID, "notice: the subject is not one line");
	return RC_OK;
}

enum rc
notice_text_write(const struct notice_text *t, struct buf *out, struct dsn_text *map_r, struct err *e)
{
	char date[CLOCK_RFC5322_SIZE], id[UUID_STR_SIZE];
	size_t from = out->n;
	enum rc rc = check(t, e);
	if (rc != RC_OK)
		return rc;
	clock_rfc5322(t->at_us, date);
	uuid_format(&t->id, id);
	buf_addf(out, "From: " NOTICE_FROM_DISPLAY " <%s>\r\nTo: ", t->from);
	buf_add_bytes(out, t->to);
	buf_add_str(out, "\r\nSubject: ");
	add_words(out, bytes_str(t->subject), sizeof("Subject: ") - 1);
	buf_addf(out, "\r\nDate: %s\r\nMessage-ID: <%s@%s>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n",
		 date, id, t->host);
	if (t->attachment_name[0] == '\0') {
		add_text_part(out, bytes_str(t->text), "", from, map_r);
	} else {
		struct buf extra;
		buf_init(&extra, 0);
		buf_add_str(&extra, "Content-Disposition: attachment;\r\n\t");
		add_file_name(&extra, bytes_str(t->attachment_name));
		buf_add_str(&extra, "\r\n");
		buf_addf(out, "Content-Type: multipart/mixed;\r\n\tboundary=\"=_%s\"\r\n", id);
		dsn_map_fields(out, from, map_r);
		buf_addf(out, "\r\n--=_%s\r\n", id);
		add_text_part(out, bytes_str(t->text), "", 0, NULL);
		buf_addf(out, "\r\n--=_%s\r\n", id);
		if (buf_ok(&extra))
			add_text_part(out, t->attachment, (const char *)extra.p, 0, NULL);
		out->failed |= !buf_ok(&extra);
		buf_addf(out, "\r\n--=_%s--\r\n", id);
		buf_done(&extra);
	}
	return buf_ok(out) ? RC_OK : err_set(e, RC_INTERNAL, "notice: out of memory");
}
