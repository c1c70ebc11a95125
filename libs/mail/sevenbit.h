/* SPDX-License-Identifier: MIT
 *
 * The 7-bit variant of a message for a next hop without 8BITMIME: leaf parts with 8-bit octets become base64 of their
 * own octets (encoding only, nothing is decoded), their Content-Transfer-Encoding field is replaced or added, multipart
 * parts that said 8bit say 7bit. Everything else is spliced in as it was. Works on the part map alone.
 */
#ifndef MAIL_SEVENBIT_H
#define MAIL_SEVENBIT_H

#include "mail/facts.h"

struct sevenbit {
	struct bytes *fields; /* of the top header */
	size_t n_fields;
	struct bytes *pieces; /* the whole message */
	size_t n_pieces;
	struct bytes *body; /* what follows the empty line */
	size_t n_body;
};
/* Everything lies in a or borrows from msg. RC_DENIED: a part with 8-bit octets is signed, encrypted, a message, or has
 * an encoding that is not 7bit/8bit/binary; or a header has 8-bit octets: there is no such variant. */
enum rc sevenbit_make(const struct facts *f, struct bytes msg, struct arena *a, struct sevenbit *out_r,
		      struct err *e) MUST_CHECK;

#endif
