/* SPDX-License-Identifier: MIT
 *
 * Strict base64 (RFC 4648 section 4): the standard alphabet, padding required, no line ends, no bits left over.
 */
#ifndef API_BASE64_H
#define API_BASE64_H

#include "core/arena.h"

/* With padding, without line ends. */
void base64_add(struct buf *to, struct bytes b);
bool base64_decode(struct arena *a, struct bytes text, struct bytes *out_r) MUST_CHECK;

#endif
