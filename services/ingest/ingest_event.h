/* SPDX-License-Identifier: MIT
 *
 * The event mail.accepted (proto/ingest.proto): from plain structs to its encoding.
 */
#ifndef INGEST_EVENT_H
#define INGEST_EVENT_H

#include "client/policy_client.h"
#include "ingest_envelope.h"

struct event_facts {
	struct uuid id;
	int64_t accepted_us;
	const char *traceparent;
	bool eight_bit, smtputf8;
	const char *verdict, *quarantine_reason, *host;
	const struct policy_plan *plans; /* one per recipient */
};
/* In a. */
struct bytes event_encode(const struct envelope *env, const struct event_facts *f, struct arena *a);

#endif
