/* SPDX-License-Identifier: MIT
 *
 * The text of a notice: a mail to a person, in any language, with an optional text attachment. Pure. What is written is
 * 7-bit with CRLF line ends (RFC 2045, 2047, 2231), but for an address that is not ASCII (RFC 6532).
 */
#ifndef DELIVERY_NOTICE_TEXT_H
#define DELIVERY_NOTICE_TEXT_H

#include "core/id.h"
#include "mail/dsn.h"

struct notice_text {
	struct uuid id; /* Message-ID and boundary come from it */
	int64_t at_us;
	const char *host;	     /* of the Message-ID */
	const char *from;	     /* addr-spec */
	struct bytes to;	     /* addr-spec, checked */
	const char *subject;	     /* UTF-8, one line */
	const char *text;	     /* UTF-8; lines end in \n */
	const char *attachment_name; /* "": none */
	struct bytes attachment;     /* text/plain, UTF-8 */
};
#define NOTICE_FROM_DISPLAY "Sekisho"

/* Append the whole message to out; *map_r says where its header fields are. RC_INVALID: a subject of more than one
 * line, or something that is not UTF-8. */
enum rc notice_text_write(const struct notice_text *t, struct buf *out, struct dsn_text *map_r,
			  struct err *e) MUST_CHECK;

#endif
