/* SPDX-License-Identifier: MIT
 *
 * Who is served when: one thread claims what is due, a fixed number of senders take a turn each. At most so many of one
 * tenant at a time, and at most half of the senders are at webhooks that fail or are slow, so that no receiver holds up
 * those of others.
 */
#ifndef NOTIFY_TURNS_H
#define NOTIFY_TURNS_H

#include "core/id.h"
#include "svc/svc.h"

struct turns *turns_start(struct svc *s);
/* A tenant's log has grown: its idle webhooks are due. Never blocks. */
void turns_hint(struct turns *t, const struct uuid *tenant);
/* Something was made due. */
void turns_wake(struct turns *t);
/* No new turns; waits for those under way, which end after the attempt they are at. NULL is fine. */
void turns_stop(struct turns **t);

#endif
