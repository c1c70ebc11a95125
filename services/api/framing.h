/* SPDX-License-Identifier: MIT
 *
 * The request-framing guard: a strict reading of the octets of a request's header (RFC 9112), done before the HTTP
 * library sees any of them, because that library accepts what makes request smuggling possible. Pure; no state.
 */
#ifndef API_FRAMING_H
#define API_FRAMING_H

#include "core/bytes.h"

#define FRAMING_HEADER_MAX (32u * 1024) /* octets up to and with the empty line */
#define FRAMING_FIELDS_MAX 100
#define FRAMING_LINE_MAX   (8u * 1024) /* octets of the request line */

enum framing_state {
	FRAMING_MORE,	 /* so far so good, the end of the header has not come */
	FRAMING_OK,	 /* whole and unambiguous */
	FRAMING_BAD,	 /* 400 and close */
	FRAMING_TOO_BIG, /* 431 and close */
	FRAMING_LONG,	 /* 414 and close: the request line alone is over its bound */
};

/* in: everything received so far, from the request line on (a body may follow).
 * *why_r: what is wrong (BAD). */
enum framing_state framing_check(struct bytes in, const char **why_r);

#endif
