/* SPDX-License-Identifier: MIT
 *
 * Character sets by ICU. Names mean what mail means by them: Shift_JIS is CP932, ISO-8859-1 is windows-1252,
 * ISO-2022-JP includes NEC row 13 and half-width katakana; without a name, what the octets look like. Converters are
 * kept for the life of the process. Not thread-safe.
 */
#ifndef FACTS_CHARSET_H
#define FACTS_CHARSET_H

#include "core/arena.h"
#include "core/bytes.h"

/* At most max octets of UTF-8, cut between characters; undecodable octets and NUL become U+FFFD. May return b itself.
 */
struct bytes charset_to_utf8(const char *charset, struct bytes b, size_t max, struct arena *a);
/* NFKC of UTF-8. May return b itself. */
struct bytes charset_nfkc(struct bytes utf8, size_t max, struct arena *a);
/* Whether printable ASCII reads the same in it; true for what ICU does not know. */
bool charset_keeps_ascii(const char *charset);
/* The largest n <= max that does not cut a character. */
size_t charset_cut(struct bytes utf8, size_t max);
/* Lower case A-label form of a domain (UTS 46), or the lower-cased original. */
const char *charset_domain(struct bytes domain, struct arena *a);
void charset_preload(void);

#endif
