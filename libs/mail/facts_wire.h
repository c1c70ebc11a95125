/* SPDX-License-Identifier: MIT
 *
 * A look at protobuf octets before protobuf-c sees them: protobuf-c expands repeated messages many times over in
 * memory, cuts strings at NUL and takes any octets for UTF-8. Private to libs/mail.
 */
#ifndef MAIL_FACTS_WIRE_H
#define MAIL_FACTS_WIRE_H

#include <protobuf-c/protobuf-c.h>

#include "core/bytes.h"
#include "core/rc.h"

/* The bounds of one field, by number; depth of messages follows the descriptors and is finite. */
struct wire_bound {
	const char *message; /* the descriptor's short name: "Facts" */
	uint32_t field;
	uint32_t count_max;  /* 0: may occur once */
	uint32_t length_max; /* octets; 0: string_max */
};

struct wire_rules {
	const struct wire_bound *bounds; /* message NULL at its end */
	uint32_t string_max;
};

/* RC_OK when every known field has its declared wire type and is within bounds and every string is UTF-8 without
 * NUL. Unknown fields are skipped if well-formed; groups are not. */
enum rc facts_wire_check(const ProtobufCMessageDescriptor *d, struct bytes b, const struct wire_rules *rules,
			 struct err *e) MUST_CHECK;
bool facts_utf8_valid(struct bytes b);

#endif
