/* SPDX-License-Identifier: MIT
 *
 * The one form in which words are compared: NFKC with case folding and without ignorable characters (Unicode
 * NFKC_Casefold, by libutf8proc), runs of white space as one space, and none beside a character of a script that is
 * written without spaces, so that a line break inside a Japanese word does not hide it. Half and full width, upper and
 * lower case, zero-width characters and wrapping make no difference. Pure; time is linear in the input.
 */
#ifndef MAIL_TEXT_H
#define MAIL_TEXT_H

#include "core/arena.h"
#include "core/bytes.h"

/* The normal form of in (UTF-8; an octet that is not becomes U+FFFD) in a, NUL-terminated beyond n. */
struct bytes text_normal(struct arena *a, struct bytes in);

bool text_is_utf8(struct bytes in);
/* One line that may be shown and sent: no C0 or C1 control, DEL, or line and paragraph separator. in is UTF-8. */
bool text_is_one_line(struct bytes in);
/* Code points of UTF-8. */
size_t text_length(struct bytes in);

#endif
