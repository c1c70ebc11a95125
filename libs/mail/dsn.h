/* SPDX-License-Identifier: MIT
 *
 * The text of a delivery status notification (RFC 3464 in a multipart/report, RFC 6522). Pure: octets in, octets out.
 * Foreign octets (replies, addresses, headers) are made harmless: what is written is 7-bit with CRLF line ends.
 */
#ifndef MAIL_DSN_H
#define MAIL_DSN_H

#include <stdint.h>

#include "core/bytes.h"
#include "core/id.h"
#include "core/rc.h"

enum dsn_action { DSN_FAILED, DSN_DELAYED, DSN_DELIVERED, DSN_RELAYED, DSN_EXPANDED };
const char *dsn_action_str(enum dsn_action a);

struct dsn_recipient {
	struct bytes address;
	struct bytes orcpt; /* "rfc822;..." as given, or empty */
	enum dsn_action action;
	char status[12];     /* "5.1.1" */
	struct bytes reply;  /* one line: SMTP reply or reason */
	struct bytes remote; /* "host [address]:port" or empty */
	int64_t last_attempt_us;
	int64_t retry_until_us; /* DSN_DELAYED; else 0 */
};

struct dsn {
	struct uuid id; /* of the report: Message-ID and boundary come from it */
	int64_t at_us;
	const char *host;    /* Reporting-MTA */
	const char *from;    /* addr-spec */
	struct bytes to;     /* addr-spec: the sender of the message */
	struct uuid message; /* what it is about */
	int64_t arrived_us;
	struct bytes envid; /* decoded, or empty */
	const struct dsn_recipient *recipients;
	size_t n_recipients;
	/* What is returned: the header, or the whole message (full). */
	struct bytes original;
	bool full;
};

struct dsn_field {
	uint32_t offset, name_length, length;
};
#define DSN_FIELDS_MAX 16
struct dsn_text {
	uint32_t header_length;
	struct dsn_field fields[DSN_FIELDS_MAX];
	size_t n_fields;
};
/* Where the fields are in a header of our own, just written from offset `from` to the end of b. */
void dsn_map_fields(const struct buf *b, size_t from, struct dsn_text *text_r);
/* Append the whole message to out; *text_r says where its header fields are. */
enum rc dsn_write(const struct dsn *d, struct buf *out, struct dsn_text *text_r, struct err *e) MUST_CHECK;

#endif
