/* SPDX-License-Identifier: MIT
 *
 * xtext (RFC 3461 section 4): printable ASCII where "+", "=" and everything else is +XX in upper-case hex.
 */
#ifndef SMTP_XTEXT_H
#define SMTP_XTEXT_H

#include "core/bytes.h"
#include "core/rc.h"

bool smtp_xtext_valid(struct bytes x) MUST_CHECK;
/* xtext that stands for printable ASCII and spaces only, as DSN's ENVID and ORCPT must (RFC 3461, 4.2 and 4.4). */
bool smtp_xtext_printable(struct bytes x) MUST_CHECK;
/* Append the octets x stands for. RC_INVALID if it is not xtext; out is then as it was. */
enum rc smtp_xtext_decode(struct bytes x, struct buf *out, struct err *e) MUST_CHECK;
void smtp_xtext_encode(struct bytes plain, struct buf *out);

#endif
