/* SPDX-License-Identifier: MIT
 *
 * Our own reading of a message: exact byte ranges of every header and body, decoded leaves, and every reason why
 * another reader could see something else. mime_second.h compares it with GMime's.
 */
#ifndef FACTS_MIME_H
#define FACTS_MIME_H

#include "core/arena.h"
#include "core/bytes.h"
#include "facts/decode.h"
#include "facts/header.h"
#include "mail/facts.h"

#define MIME_DEPTH_MAX 30

enum mime_kind { MIME_LEAF, MIME_MULTIPART, MIME_MESSAGE };

struct mime_part {
	int32_t parent;
	enum mime_kind kind;
	struct bytes header, body; /* inside the message */
	struct header fields;
	struct header_value type, disposition;
	const char *content_type, *charset, *encoding; /* lower case; "text/plain" etc. when nothing is said */
	enum decode_kind decoding;
	struct bytes content; /* decoded: of leaves, and of what should not have been encoded */
	bool text_body;	      /* a leaf that a reader shows as the message's text */
};

/* Called for everything that is wrong: verdict and reason, static storage. */
typedef void (*mime_report)(void *ctx, enum facts_verdict v, const char *reason);

struct mime {
	struct bytes msg;
	struct arena *arena;
	mime_report report;
	void *ctx;
	struct mime_part *parts;
	size_t n_parts, cap_parts;
	bool cut; /* too many parts or too deep: the reading is not complete */
};

/* msg is the whole message in canonical form. Everything lives in a and points into msg. */
void mime_read(struct mime *m, struct bytes msg, struct arena *a, mime_report report, void *ctx);

#endif
