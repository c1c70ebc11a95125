/* SPDX-License-Identifier: MIT
 *
 * Which state belongs to which term.
 */
#include "conservation.h"

#include <stddef.h>
#include <string.h>

const char *const conservation_terms[TERMS + 1] = {
    [TERM_ACCEPTED] = "accepted", [TERM_ADDED] = "added",	  [TERM_DELIVERED] = "delivered",
    [TERM_BOUNCED] = "bounced",	  [TERM_REFUSED] = "refused",	  [TERM_DISCARDED] = "discarded",
    [TERM_EXPIRED] = "expired",	  [TERM_UNCERTAIN] = "uncertain", [TERM_QUARANTINED] = "quarantined",
    [TERM_OPEN] = "open",
};

static const struct {
	const char *state;
	enum conservation_term term;
} states[] = {
    {"delivered", TERM_DELIVERED},
    {"bounced", TERM_BOUNCED},
    {"refused", TERM_REFUSED},
    {"discarded", TERM_DISCARDED},
    {"expired", TERM_EXPIRED},
    {"uncertain", TERM_UNCERTAIN},
    {"quarantined", TERM_QUARANTINED},
    {"held", TERM_OPEN},
    {"queued", TERM_OPEN},
    {"sending", TERM_OPEN},
    {"deferred", TERM_OPEN},
};

void
conservation_accepted(struct conservation *c, uint64_t count)
{
	c->terms[TERM_ACCEPTED] += count;
}

void
conservation_waiting(struct conservation *c, uint64_t count)
{
	c->terms[TERM_OPEN] += count;
}

enum rc
conservation_legs(struct conservation *c, const char *state, bool of_envelope, uint64_t count, struct err *e)
{
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (strcmp(state, states[i].state) == 0) {
			c->terms[states[i].term] += count;
			if (!of_envelope)
				c->terms[TERM_ADDED] += count;
			return RC_OK;
		}
	return err_set(e, RC_INVALID, "the state \"%.20s\" belongs to no term of conservation", state);
}

bool
conservation_holds(const struct conservation *c)
{
	uint64_t in = c->terms[TERM_ACCEPTED] + c->terms[TERM_ADDED], out = 0;
	for (int t = TERM_DELIVERED; t < TERMS; t++)
		out += c->terms[t];
	return in == out && c->violations == 0;
}

void
conservation_sum(struct conservation *to, const struct conservation *more)
{
	for (int t = 0; t < TERMS; t++)
		to->terms[t] += more->terms[t];
	to->violations += more->violations;
}
