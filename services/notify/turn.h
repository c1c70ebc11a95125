/* SPDX-License-Identifier: MIT
 *
 * A turn: a sender has the lease of one webhook, gives it the events from where it stands, one after the other, then
 * what is to be sent again, notes what came of it, and says when it is due next. Short, so that the next webhook gets
 * its turn; nothing is sent that the lease does not outlive.
 */
#ifndef NOTIFY_TURN_H
#define NOTIFY_TURN_H

#include "store.h"
#include "svc/svc.h"

#define TURN_MARGIN_MS 3000 /* of the lease, for the commit after an attempt */

/* lease_ms: monotonic end of the claim's lease. */
void turn_run(struct svc *s, const struct store_claim *c, int64_t lease_ms);

#endif
