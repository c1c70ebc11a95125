/* SPDX-License-Identifier: MIT
 *
 * Streams and consumers of JetStream; only keeper has the right to use this.
 */
#ifndef BUS_STREAM_H
#define BUS_STREAM_H

#include "bus/bus.h"

struct stream_consumer_info {
	const char *name;
	uint64_t pending, ack_pending, redelivered;
};
struct stream_info {
	const char *name;
	uint64_t messages, octets;
	int64_t created_us;
	struct stream_consumer_info *consumers;
	size_t n_consumers;
};

/* Make the stream (memory, limits, discard old, max_age and max_bytes as given) and one push consumer per service
 * unless they are there. *made_r: something was missing and is there now. */
enum rc stream_assert(struct bus *b, const char *name, const char *const *subjects, const char *const *consumers,
		      int64_t max_age_ms, int64_t max_octets, int replicas, bool *made_r, struct err *e) MUST_CHECK;
enum rc stream_describe(struct bus *b, const char *name, struct arena *a, struct stream_info *out_r,
			struct err *e) MUST_CHECK;

#endif
