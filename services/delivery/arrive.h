/* SPDX-License-Identifier: MIT
 *
 * What arrives becomes messages, legs and due rows, with its audit intents, in one commit; and what may be sent at
 * once is claimed in the same commit, so that an ordinary mail on its way costs neither a search for what is due nor a
 * change of its leg (docs/decisions/0024).
 */
#ifndef DELIVERY_ARRIVE_H
#define DELIVERY_ARRIVE_H

#include "delivery.h"
#include "lanes.h"

/* v lies in b. What came before changes nothing. RC_OK only after the commit. */
enum rc arrive(struct delivery *d, const struct uuid *tenant, struct batch *b, struct store_arrival *v, size_t n,
	       struct err *e) MUST_CHECK;

#endif
