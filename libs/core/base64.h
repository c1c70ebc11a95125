/* SPDX-License-Identifier: MIT
 *
 * Base64 (RFC 4648, section 4) and hex, strict: one text per value, anything else is refused.
 */
#ifndef CORE_BASE64_H
#define CORE_BASE64_H

#include "core/bytes.h"

void base64_add(struct buf *out, struct bytes in);
/* Exactly n octets. */
bool base64_take(struct bytes text, uint8_t *out, size_t n) MUST_CHECK;
/* At most max octets. */
bool base64_take_some(struct bytes text, uint8_t *out, size_t max, size_t *n_r) MUST_CHECK;

void hex_add(struct buf *out, struct bytes in);			     /* lower case */
bool hex_take(struct bytes text, uint8_t *out, size_t n) MUST_CHECK; /* 2 n lower-case digits */

#endif
