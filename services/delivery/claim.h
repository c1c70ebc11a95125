/* SPDX-License-Identifier: MIT
 *
 * Claims: legs that were moved to sending under a lease of ours, and the jobs made of them. Made by the scheduler (what
 * is due) and by the consumer (what has just arrived, docs/decisions/0024); both decide by schedule_decide().
 */
#ifndef DELIVERY_CLAIM_H
#define DELIVERY_CLAIM_H

#include "change.h"
#include "delivery.h"
#include "lanes.h"

struct claim {
	struct change change;
	const char *destination; /* NULL: not to be sent now */
};

/* Body and facts of a message, read together with its claim; p NULL: the sender reads them. */
struct claim_content {
	struct bytes body, facts;
};

/* Jobs of what is claimed (change.row.done) of one message for one destination, into the lanes. picked, claims and
 * content (NULL: none) are parallel and lie in the batch; legs of a message stand together. unknown: the commit may or
 * may not have happened; the legs are given back, which does nothing if it did not. */
void claims_to_jobs(struct delivery *d, const struct uuid *tenant, const struct uuid *owner, struct batch *b,
		    const struct store_picked *picked, const struct claim *claims, const struct claim_content *content,
		    size_t n, bool unknown);

#endif
