/* SPDX-License-Identifier: MIT
 *
 * Header texts for people: RFC 2047 encoded words, RFC 2231 parameters, raw 8-bit. Results are UTF-8
 * without NUL, in the arena, of at most FACTS_STRING_MAX octets; *cut becomes true when that is not all.
 */
#ifndef FACTS_WORDS_H
#define FACTS_WORDS_H

#include "facts/header.h"
#include "mail/facts.h"

const char *words_decode(struct bytes value, struct arena *a, bool *cut);
/* A parameter as its reader sees it: RFC 2231 sections joined, encoded words (against the rules, but usual) decoded;
 * "" if there is none. */
const char *words_param(const struct header_value *v, const char *name, struct arena *a, bool *cut);

#endif
