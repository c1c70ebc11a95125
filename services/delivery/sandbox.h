/* SPDX-License-Identifier: MIT
 *
 * Sandbox tenants: nothing of theirs leaves. Whether a tenant is one is asked of auth before its first mail is sent,
 * and kept for ever, because it cannot change; as long as it is not known, nothing is sent (docs/decisions/0084). Their
 * mail is made as for a real server and given to a sink, where rpc sandbox_list and sandbox_get show it. Thread-safe.
 */
#ifndef DELIVERY_SANDBOX_H
#define DELIVERY_SANDBOX_H

#include "compose.h"
#include "lanes.h"

struct sandbox;
struct sandbox *sandbox_start(struct delivery *d);
/* The senders have stopped. */
void sandbox_stop(struct sandbox **s);
/* What waits in the sink ends early: the senders stop. */
void sandbox_wake(struct sandbox *s);

/* RC_OK: *is_r is certain. Anything else: not known, so nothing may be sent. */
enum rc sandbox_is(struct sandbox *s, const struct uuid *tenant, bool *is_r, struct err *e) MUST_CHECK;

/* What the sink does with a recipient: decided by the local part before any "+". */
enum sandbox_magic { SANDBOX_TAKE, SANDBOX_BOUNCE, SANDBOX_DEFER, SANDBOX_SLOW, SANDBOX_LOSE };
enum sandbox_magic sandbox_magic(struct bytes address);
/* Instead of a session: settles every recipient of the job. */
void sandbox_take(struct sandbox *s, struct job *j, struct composed *c);

#endif
