/* SPDX-License-Identifier: MIT
 *
 * The only door to the cage. Blocking; thread-safe (each call opens its own connection, which one worker serves).
 * The message leaves as a sealed memfd; the facts return in a packet or, when large, in a sealed memfd. They are
 * not parsed here. The protocol is in proto/facts.proto.
 */
#ifndef CLIENT_SCAN_CLIENT_H
#define CLIENT_SCAN_CLIENT_H

#include <stdint.h>

#include "core/arena.h"
#include "core/id.h"
#include "core/rc.h"

/* The cage's parent listens here too, for status only: an answer also while all workers are busy. */
#define SCAN_STATUS_SUFFIX ".status"

struct scan_status {
	bool ready, stale;
	char reason[128];
	uint32_t workers;
	uint64_t generation, signatures;
	int64_t signatures_us;
};

/* How an inspection ended, apart from its verdict: only SCAN_DONE carries facts. */
enum scan_end {
	SCAN_DONE,
	SCAN_BUSY,    /* no worker took it within the time given: try later, not the message's fault */
	SCAN_DOWN,    /* socket absent or refusing, not ready, or signatures stale */
	SCAN_CRASHED, /* a worker took it and died: counts against the message */
	SCAN_TIMEOUT, /* a worker took it and did not answer in time: counts against the message */
	SCAN_BROKEN,  /* it answered, but not facts that decode: counts against the message */
};
const char *scan_end_str(enum scan_end end);

/* memfd must be sealed against writing, shrinking and growing (F_SEAL_WRITE|SHRINK|GROW|SEAL): scan_seal() does it and
 * returns the descriptor, or -1 with errno. */
int scan_seal(struct bytes message);

/* Wait at most queue_ms for a worker, then scan_ms for its answer. On SCAN_DONE *facts_r holds the encoded facts in a,
 * at most FACTS_ENCODED_MAX octets, not yet decoded. Any other end fills e. */
enum scan_end scan_inspect(const char *socket_path, int memfd, uint64_t size, const struct uuid *message,
			   const char *traceparent, int64_t queue_ms, int64_t scan_ms, struct arena *a,
			   struct bytes *facts_r, struct err *e);
enum rc scan_status(const char *socket_path, int64_t timeout_ms, struct scan_status *out_r, struct err *e) MUST_CHECK;

#endif
