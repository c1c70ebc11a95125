/* SPDX-License-Identifier: MIT
 *
 * Address lists (RFC 5322 3.4), and whether every reader finds the same addresses in them: mailers guess differently
 * at broken ones, and a sender may show one address to a rule and another to a person.
 */
#ifndef FACTS_ADDRESSES_H
#define FACTS_ADDRESSES_H

#include "core/arena.h"
#include "core/bytes.h"
#include "mail/facts.h"

struct addresses {
	struct facts_addresses list;
	size_t cap;
	const char *odd; /* what two readers may read differently, or NULL */
	bool cut;	 /* more addresses than FACTS_ADDRESSES_MAX, or a text over FACTS_STRING_MAX */
};

/* Appends a field's value to out, which begins as zeros. Texts are decoded, domains in lower case A-label form. */
void addresses_read(struct bytes value, struct arena *a, struct addresses *out);

#endif
