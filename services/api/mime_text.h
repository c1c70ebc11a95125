/* SPDX-License-Identifier: MIT
 *
 * The encodings of MIME, writing side: base64 and quoted-printable bodies (RFC 2045), encoded words (RFC 2047),
 * parameters in UTF-8 (RFC 2231). Input is UTF-8 unless it says octets; output is ASCII with CRLF, no line over 78
 * characters. Pure.
 */
#ifndef API_MIME_TEXT_H
#define API_MIME_TEXT_H

#include "core/bytes.h"

/* Octets in lines of 76 characters, each with CRLF. */
void mime_base64(struct buf *out, struct bytes octets);
/* text has CRLF line ends. */
void mime_quoted_printable(struct buf *out, struct bytes text);
/* Any line ends to CRLF, and one at the end. */
void mime_canonical_lines(struct buf *out, struct bytes text);
/* Unstructured text (Subject) or a display name (phrase). column: where on the line it begins. ASCII stays readable
 * where it is short and unambiguous; anything else becomes encoded words. No control character of the input survives.
 */
void mime_header_text(struct buf *out, struct bytes text, bool phrase, size_t column);
/* "; name=value" on a line of its own (folded before it), RFC 2231 when the value is not plain ASCII. */
void mime_parameter(struct buf *out, const char *name, struct bytes value);

#endif
