/* SPDX-License-Identifier: MIT
 *
 * Facts: what the cage (services/scan) found in a message, as a plain struct, and their one encoding
 * (proto/facts.proto). Facts come from hostile bytes: facts_decode() is strict and checks every range against the
 * message's size, so that whoever holds a struct facts may use its ranges without a second look.
 */
#ifndef MAIL_FACTS_H
#define MAIL_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/bytes.h"
#include "core/rc.h"

#define FACTS_TEXT_MAX	      (512u * 1024)
#define FACTS_ENCODED_MAX     (4u * 1024 * 1024)
#define FACTS_STRING_MAX      8192u /* every string but the text */
#define FACTS_PARTS_MAX	      1000
#define FACTS_FIELDS_MAX      2000
#define FACTS_ADDRESSES_MAX   2000 /* each of from, to, cc, ... */
#define FACTS_ATTACHMENTS_MAX 1000

enum facts_verdict {
	FACTS_ERROR = 0,
	FACTS_CLEAN,
	FACTS_INFECTED,
	FACTS_UNSCANNABLE,
	FACTS_ENCRYPTED,
	FACTS_AMBIGUOUS,
	FACTS_LIMIT,
};

struct facts_address {
	const char *display, *addr; /* UTF-8, never NULL */
};

struct facts_addresses {
	struct facts_address *v;
	size_t n;
};

struct facts_attachment {
	const char *name, *declared_type, *detected_type;
	uint64_t size;
	uint8_t sha256[32];
	bool encrypted;
	uint32_t part;
};

/* A field of the top header: name at [offset, offset+name_length), the whole field, folding and CRLF included, at
 * [offset, offset+length). Fields are in order, do not overlap and end at or before header_length. */
struct facts_field {
	uint32_t offset, name_length, length;
};

struct facts_part {
	int32_t parent; /* index, smaller than its own; -1: root */
	uint64_t header_offset, header_length, body_offset, body_length;
	const char *content_type, *charset, *encoding, *disposition, *content_id;
};

struct facts {
	enum facts_verdict verdict;
	const char *signature, *reason, *scanner;
	uint64_t size;
	uint8_t sha256[32];

	const char *subject, *message_id;
	struct facts_addresses from, sender, to, cc, reply_to;
	uint32_t received_count;
	bool auto_submitted, has_date, has_message_id, has_from;

	const char *text;
	bool text_truncated;
	struct facts_attachment *attachments;
	size_t n_attachments;

	bool eight_bit, utf8_header;
	uint32_t longest_line;

	uint32_t header_length;
	struct facts_field *fields;
	size_t n_fields;
	struct facts_part *parts;
	size_t n_parts;
};

const char *facts_verdict_str(enum facts_verdict v);

/* Everything in out_r lives in a. RC_INVALID names the first thing that is wrong: undecodable, a text that is not
 * UTF-8 or holds NUL, a count over its bound, a range outside size, an order broken. */
enum rc facts_decode(struct bytes encoded, struct arena *a, struct facts **out_r, struct err *e) MUST_CHECK;
/* Appends to out. RC_LIMIT when over FACTS_ENCODED_MAX. */
enum rc facts_encode(const struct facts *f, struct buf *out, struct err *e) MUST_CHECK;

/* The first field with that name (any case) at or after index from; -1 if none. msg is the message the facts are of. */
ptrdiff_t facts_find_field(const struct facts *f, struct bytes msg, const char *name, size_t from);
/* The field's value without name, colon and final CRLF; folding kept. */
struct bytes facts_field_value(const struct facts_field *field, struct bytes msg);

#endif
