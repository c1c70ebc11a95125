/* SPDX-License-Identifier: MIT
 *
 * The lease of a job on its way. Nothing is written to a next hop without one that outlives the writing and the wait
 * for the reply to the final dot; a mail that takes longer than its lease has it renewed on the way.
 */
#ifndef DELIVERY_LEASE_H
#define DELIVERY_LEASE_H

#include "delivery.h"
#include "lanes.h"

/* RC_OK: ours, and long enough for one more block and the reply to the dot; renewed in the store if it was not.
 * RC_CONFLICT: somebody else has it, or the others hold us for dead. RC_RETRY: it could not be renewed now. */
enum rc lease_keep(struct delivery *d, struct job *j, struct err *e) MUST_CHECK;

#endif
