/* SPDX-License-Identifier: MIT
 *
 * This instance as the others see it: a heartbeat on a thread of its own, from start until the last result is in, and
 * the generation under which leases are taken. Whoever was not seen for a while is buried and its leases end; when it
 * comes back it is a new generation, and what it claimed before is no longer its own. Thread-safe.
 */
#ifndef DELIVERY_ALIVE_H
#define DELIVERY_ALIVE_H

#include "core/id.h"
#include "delivery.h"

struct alive;
struct alive *alive_start(struct delivery *d);
/* The generation to claim under. False: the others do not see us alive, nothing may be claimed. */
bool alive_self(struct alive *a, struct uuid *self_r) MUST_CHECK;
/* Whether leases of that generation are still ours. */
bool alive_holds(struct alive *a, const struct uuid *owner) MUST_CHECK;
/* After the last result: ends what leases are left, says farewell and frees. */
void alive_stop(struct alive **a);

#endif
