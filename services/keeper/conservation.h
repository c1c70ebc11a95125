/* SPDX-License-Identifier: MIT
 *
 * Law 2 as arithmetic. Every accepted recipient and every recipient added later is in exactly one place:
 * accepted + added = delivered + bounced + refused + discarded + expired + uncertain + quarantined + open, where open
 * is counted (legs not final + accepted recipients that have no leg yet), never a remainder. Pure: the rows are counted
 * by keeper_store.c.
 */
#ifndef CONSERVATION_H
#define CONSERVATION_H

#include <stdbool.h>
#include <stdint.h>

#include "core/rc.h"

enum conservation_term {
	TERM_ACCEPTED,
	TERM_ADDED,
	TERM_DELIVERED,
	TERM_BOUNCED,
	TERM_REFUSED,
	TERM_DISCARDED,
	TERM_EXPIRED,
	TERM_UNCERTAIN,
	TERM_QUARANTINED,
	TERM_OPEN,
	TERMS,
};
/* NULL-terminated, by the enum. */
extern const char *const conservation_terms[TERMS + 1];

struct conservation {
	uint64_t terms[TERMS];
	uint64_t violations; /* legs that are in no place or in two; counted, not only listed */
};

/* count recipients were accepted. */
void conservation_accepted(struct conservation *c, uint64_t count);
/* count accepted recipients have no leg yet. */
void conservation_waiting(struct conservation *c, uint64_t count);
/* count legs are in this state; of_envelope: accepted recipients, else added ones. RC_INVALID for a state that is in no
 * term: a leg nobody accounts for. */
enum rc conservation_legs(struct conservation *c, const char *state, bool of_envelope, uint64_t count,
			  struct err *e) MUST_CHECK;
bool conservation_holds(const struct conservation *c);
void conservation_sum(struct conservation *to, const struct conservation *more);

#endif
