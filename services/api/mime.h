/* SPDX-License-Identifier: MIT
 *
 * A message built from its parts (RFC 5322, 2045-2047, 2231): text, HTML, attachments. Only for what has been read and
 * checked (submission.c); whatever the strings hold, they cannot become header fields of their own. Pure.
 */
#ifndef API_MIME_H
#define API_MIME_H

#include "core/bytes.h"
#include "core/id.h"

struct mime_address {
	struct bytes name;    /* UTF-8, may be empty */
	struct bytes address; /* addr-spec, checked by the SMTP grammar */
};
struct mime_addresses {
	struct mime_address *v;
	size_t n;
};
struct mime_attachment {
	struct bytes name; /* UTF-8, may be empty */
	struct bytes type; /* "type/subtype", checked */
	struct bytes content;
};

struct mime_mail {
	struct mime_address from;
	struct mime_addresses to, cc, reply_to;
	struct bytes subject;
	bool has_text, has_html; /* at least one */
	struct bytes text, html; /* UTF-8 */
	struct mime_attachment *attachments;
	size_t n_attachments;
	struct uuid id; /* boundaries come from it */
};

/* "type/subtype" of tokens, neither multipart nor message (those are not data to be attached). */
bool mime_type_valid(struct bytes type) MUST_CHECK;
/* The same mail gives the same octets: Date and Message-ID are left to delivery, which adds them where they are missing
 * (so that a repeated submission is recognised as the same; docs/decisions/0033). */
void mime_build(const struct mime_mail *m, struct buf *out);

#endif
