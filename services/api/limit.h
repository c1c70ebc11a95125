/* SPDX-License-Identifier: MIT
 *
 * Token buckets in bounded memory: one for each name that was seen lately (an API key, an address). The table has a
 * fixed size; where a place is needed, the bucket that is fullest goes, which loses least. Names are hashed under a key
 * of this process and not kept. Thread-safe.
 */
#ifndef API_LIMIT_H
#define API_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/bytes.h"

struct limit;

struct limit_state {
	int64_t left;	 /* whole tokens */
	int64_t reset_s; /* until the bucket is full again, rounded up */
	int64_t wait_s;	 /* until there is a token, rounded up; 0: now */
};

/* quota: tokens of a full bucket; window_s: how long an empty one takes to be full. quota 0: no limit, everything is
 * taken. */
struct limit *limit_new(int64_t quota, int64_t window_s);
void limit_free(struct limit **l);
/* Take n tokens (0: only look) if there are so many. now_ms: monotonic. False: there are not. *state_r in any case. */
bool limit_take(struct limit *l, struct bytes name, int n, int64_t now_ms, struct limit_state *state_r);
/* Whom an address stands for: itself, or for IPv6 its /64, which one customer has whole. What is no address stands for
 * itself. */
#define LIMIT_ADDRESS_SIZE 64
struct bytes limit_address(const char *address, char out[LIMIT_ADDRESS_SIZE]);
int64_t limit_quota(const struct limit *l);
int64_t limit_window_s(const struct limit *l);

#endif
