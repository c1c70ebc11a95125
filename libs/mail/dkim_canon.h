/* SPDX-License-Identifier: MIT
 *
 * DKIM's relaxed canonicalisation (RFC 6376, 3.4.2 and 3.4.4). Takes canonical octets (CRLF); any other octets give
 * some result, never trouble. No state outside the structs: thread-safe.
 */
#ifndef MAIL_DKIM_CANON_H
#define MAIL_DKIM_CANON_H

#include "core/bytes.h"

/* Append a whole field ("Name: value" with folding, with or without the final CRLF) as "name:value" and CRLF. */
void dkim_canon_field(struct bytes field, struct buf *out);

/* The body, piece by piece; sink gets canonical octets in order. */
struct dkim_canon_body {
	void (*sink)(void *ctx, const void *p, size_t n);
	void *ctx;
	size_t empty_lines; /* CRLFs not yet written: there may be no text after them */
	bool wsp;	    /* white space not yet written: it may be the line's end */
	bool cr;	    /* a CR whose LF has not come yet */
	bool any;	    /* there was text */
	size_t n;	    /* octets in out */
	uint8_t out[8192];
};
void dkim_canon_body_init(struct dkim_canon_body *c, void (*sink)(void *ctx, const void *p, size_t n), void *ctx);
void dkim_canon_body_feed(struct dkim_canon_body *c, struct bytes in);
void dkim_canon_body_end(struct dkim_canon_body *c);

#endif
