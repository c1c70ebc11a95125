/* SPDX-License-Identifier: MIT
 *
 * The only door to `keeper`: the bus as it is, and the sum of all recipients, term by term. Blocking; thread-safe.
 * Answers live in the arena given; strings are never NULL.
 */
#ifndef CLIENT_KEEPER_CLIENT_H
#define CLIENT_KEEPER_CLIENT_H

#include "bus/bus.h"
#include "core/arena.h"
#include "core/id.h"
#include "core/rc.h"

struct keeper_call {
	struct bus *bus;
	const char *traceparent;  /* may be NULL */
	struct bytes actor_token; /* audience "keeper", permission keeper.read */
	int64_t deadline_ms;	  /* monotonic */
};

struct keeper_consumer {
	const char *name;
	uint64_t pending, ack_pending, redelivered;
};
struct keeper_stream {
	const char *name;
	uint64_t messages, bytes;
	int64_t created_us;
	struct keeper_consumer *consumers;
	size_t n_consumers;
};
struct keeper_term {
	const char *name; /* accepted, added, delivered, ... , open */
	uint64_t count;
};
struct keeper_sum {
	struct uuid tenant;
	int64_t at_us;
	struct keeper_term *terms;
	size_t n_terms;
	bool holds;
	const char **violations; /* message id/recipient number */
	size_t n_violations;
};
struct keeper_status {
	struct keeper_stream *streams;
	size_t n_streams;
	struct keeper_sum *sums; /* per tenant that the caller may see; none unless asked for */
	size_t n_sums;
};

enum rc keeper_status(const struct keeper_call *c, bool conservation, struct arena *a, struct keeper_status *out_r,
		      struct err *e) MUST_CHECK;

#endif
