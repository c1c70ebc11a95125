/* SPDX-License-Identifier: MIT
 *
 * The scheduler: finds what is due across tenants, moves it along the table of legs (timers, retries, expiry, leases
 * that ended) and claims it for the senders. One thread. Claims only while alive.h says so.
 */
#ifndef DELIVERY_SCHEDULE_H
#define DELIVERY_SCHEDULE_H

#include "delivery.h"

struct scheduler;
struct scheduler *scheduler_start(struct delivery *d);
/* Something may be due now. Cheap; from any thread. */
void scheduler_wake(struct scheduler *s);
/* More is due than the last turn could take: what arrives now waits its turn behind it. */
bool scheduler_behind(struct scheduler *s);
/* No more claims. */
void scheduler_stop(struct scheduler *s);
/* After the last result, which still wakes it. */
void scheduler_free(struct scheduler **s);

/* How many legs of a tenant the next round takes: half after one that failed, so that a leg that cannot be served is
 * found and the others are. Pure. */
int32_t schedule_pick(int32_t pick, enum rc rc);

struct change;
struct store_picked;
#define SCHEDULE_PARK_US INT64_C(300000000) /* look again for a route */
/* A leg that is held for want of a route, and still has none: the change then only says when to look again, without a
 * record of what did not happen. Pure. */
bool schedule_still_parked(const struct store_picked *p, const char *destination, int64_t now_us,
			   struct change *out_r) MUST_CHECK;
/* What the table says about a leg that is due: the steps to sending, or to wherever it ends or waits. Pure. True:
 * claimed, to be sent. */
bool schedule_decide(const struct delivery_config *cfg, const struct store_picked *p, int64_t now_us, int64_t lease_us,
		     struct change *out_r) MUST_CHECK;

#endif
