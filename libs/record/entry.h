/* SPDX-License-Identifier: MIT
 *
 * The record of one entry: a JSON object on one line whose members stand in a fixed order and are written in one way,
 * so that the same entry is the same octets everywhere. The leaf commits to exactly these octets:
 *
 *   leaf input = 0x01 || HMAC-SHA256(salt, record)      leaf hash = SHA-256(0x00 || leaf input)
 *
 * The salt (32 random octets per entry) is kept and destroyed with the record, and what remains tells nothing about it
 * (docs/decisions/0060). Pure.
 */
#ifndef RECORD_ENTRY_H
#define RECORD_ENTRY_H

#include "core/arena.h"
#include "core/id.h"
#include "record/merkle.h"

#define RECORD_SALT_SIZE  32
#define RECORD_MAX	  (512u * 1024) /* octets of a record */
#define RECORD_DETAIL_MAX (128u * 1024) /* larger details are cut down to a note that they were */

struct record_entry {
	struct uuid id; /* of the intent */
	int64_t at_us;
	const char *service, *action, *outcome;
	struct bytes actor, source; /* foreign octets: what is not UTF-8 becomes U+FFFD */
	struct uuid subject;
	int32_t number;
	struct bytes detail; /* JSON object; empty: none. Anything else is kept as a string */
	const char *trace;   /* traceparent, or "" */
};

/* Append the record. The same entry always gives the same octets. */
void record_entry_write(const struct record_entry *r, struct buf *out);
/* RC_INVALID if it is not a record. Everything lies in a; detail is JSON again. */
enum rc record_entry_parse(struct bytes json, struct arena *a, struct record_entry *out_r, struct err *e) MUST_CHECK;

void record_leaf(const uint8_t salt[RECORD_SALT_SIZE], struct bytes record, struct merkle_hash *out);

#endif
