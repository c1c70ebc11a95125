/* SPDX-License-Identifier: MIT
 *
 * The consumer's side of an event: items come in batches of one tenant; the handler commits their effect (its own
 * unique key makes a second delivery harmless) and returns; then the producer is told (ack.v1.<producer>) and the bus
 * message acknowledged. A batch that fails is tried one by one; an item that is wrong in itself
 * (RC_INVALID) goes to `poison`, is counted, confirmed and does not block; any other failure comes again.
 *
 * Messages come from a JetStream push consumer that keeper made (deliver.<service>.<stream>, queue group = service,
 * explicit ack): the subscription is a plain one, so a stream that was deleted and made again needs no rebinding.
 */
#ifndef BUS_CONSUMER_H
#define BUS_CONSUMER_H

#include "bus/bus.h"

struct bus_item {
	struct uuid id;	      /* what is confirmed */
	struct bytes payload; /* the event, encoded */
};

struct consumer_options {
	const char *deliver_subject; /* SUBJECT_DELIVER("delivery", "MAIL") */
	const char *ack_subject;     /* ACK_INGEST */
	int threads;
	size_t batch_max; /* items per handler call */
	/* All items are of one tenant. RC_OK only after the commit. */
	enum rc (*handle)(void *ctx, const struct uuid *tenant, const struct bus_item *items, size_t n, struct arena *a,
			  struct err *e);
	/* Keep it for people to look at (own transaction); RC_OK: confirmed and forgotten here. */
	enum rc (*poison)(void *ctx, const struct uuid *tenant, const struct bus_item *item, const struct err *why,
			  struct err *e);
	void *ctx;
};

struct consumer;
enum rc consumer_open(struct bus *b, const struct consumer_options *o, struct consumer **out_r,
		      struct err *e) MUST_CHECK;
void consumer_close(struct consumer **c); /* finishes what is under way */

struct consumer_stats {
	uint64_t items, batches, retried, poisoned, undecodable;
};
void consumer_stats(const struct consumer *c, struct consumer_stats *out_r);

#endif
