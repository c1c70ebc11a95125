/* SPDX-License-Identifier: MIT
 *
 * Replies (RFC 5321 section 4.2) with enhanced status codes (RFC 2034, 3463): the server's writer and the client's
 * parser. The parser is bounded and strict: three digits 200..599, the same code on every line of a reply, CRLF (a bare
 * LF is an error), no NUL.
 */
#ifndef SMTP_REPLY_H
#define SMTP_REPLY_H

#include "core/bytes.h"
#include "core/rc.h"

#define SMTP_REPLY_LINE_MAX  2048 /* octets of a line we read, CRLF included */
#define SMTP_REPLY_LINES_MAX 128
#define SMTP_REPLY_WRITE_MAX 512 /* octets of a line we write, CRLF included; longer texts are broken into lines */

struct smtp_reply {
	int code;			   /* 0: none yet */
	int status_class, subject, detail; /* enhanced code of the first line; class 0: none */
	unsigned lines;
	struct buf text; /* the lines' texts, enhanced code removed, LF between them; NUL-terminated */
};

enum smtp_progress { SMTP_MORE, SMTP_DONE, SMTP_BAD };

void smtp_reply_init(struct smtp_reply *r);
void smtp_reply_done(struct smtp_reply *r);
void smtp_reply_reset(struct smtp_reply *r);
/* Take whole lines of one reply from the front of in. *used_r: octets taken (also with SMTP_MORE), to be dropped by the
 * caller. After SMTP_DONE, reset before the next reply. SMTP_BAD: the peer does not speak SMTP; close. */
enum smtp_progress smtp_reply_feed(struct smtp_reply *r, struct bytes in, size_t *used_r);
/* "550 5.7.1 text" on one line for records: line ends become spaces, controls and bad UTF-8 "?". Cut to size. */
void smtp_reply_line(const struct smtp_reply *r, char *out, size_t size);

/* Write a reply. enhanced ("2.0.0") may be NULL or "". text is UTF-8; LF breaks it into lines, controls become spaces,
 * a character over 127 becomes "?" unless utf8. */
void smtp_reply_write(struct buf *out, int code, const char *enhanced, const char *text, bool utf8);

/* What a client learns from the reply to EHLO. */
struct smtp_capabilities {
	bool pipelining, eightbitmime, smtputf8, chunking, dsn, starttls, enhanced, auth_plain, auth_login, size;
	uint64_t size_max; /* 0: no limit was named */
};
void smtp_capabilities_parse(const struct smtp_reply *ehlo, struct smtp_capabilities *out_r);

#endif
