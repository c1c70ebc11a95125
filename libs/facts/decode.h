/* SPDX-License-Identifier: MIT
 *
 * Content-Transfer-Encodings (RFC 2045 6.7, 6.8; uuencode). Every decoder goes on to the end of its input; *odd_r is
 * set when other decoders would make something else of the same octets.
 */
#ifndef FACTS_DECODE_H
#define FACTS_DECODE_H

#include "core/arena.h"
#include "core/bytes.h"

enum decode_kind { DECODE_NONE, DECODE_BASE64, DECODE_QP, DECODE_UU };

/* Untouched octets are returned as they are (borrowed from b), decoded ones in a. */
struct bytes decode_body(enum decode_kind kind, struct bytes b, struct arena *a, const char **odd_r);
/* RFC 2047 "Q" and "B", and RFC 2231 percent-encoding; lenient. */
struct bytes decode_word_q(struct bytes b, struct arena *a);
struct bytes decode_word_b(struct bytes b, struct arena *a);
struct bytes decode_percent(struct bytes b, struct arena *a);

/* The next uuencoded file in a text (a "begin 644 name" line followed by data), from *at on; *at moves behind it. */
bool decode_find_uu(struct bytes text, size_t *at, struct arena *a, struct bytes *content_r, const char **odd_r);

#endif
