/* SPDX-License-Identifier: MIT
 *
 * Kinds of characters, as search divides text into tokens.
 */
#ifndef DELIVERY_SEARCH_CLASS_H
#define DELIVERY_SEARCH_CLASS_H

#include <stddef.h>
#include <stdint.h>

enum search_class {
	SEARCH_OTHER,	  /* space, punctuation, symbols */
	SEARCH_WORD,	  /* letters, digits, marks of scripts with spaces between words */
	SEARCH_WIDE,	  /* letters of scripts without: kana, Hangul, Thai, ... */
	SEARCH_IDEOGRAPH, /* of these, the ones that mean something alone */
};

/* Of the character at p, n > 0 octets of UTF-8, and its length; an octet that is none is SEARCH_OTHER. */
enum search_class search_class_at(const uint8_t *p, size_t n, size_t *len_r);

#endif
