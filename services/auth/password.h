/* SPDX-License-Identifier: MIT
 *
 * Argon2id (libsodium). A check costs tens of megabytes and milliseconds on purpose, so only a few run at once and a
 * few more may wait; who comes later is sent away at once (RC_RETRY). Thread-safe after password_setup().
 */
#ifndef AUTH_PASSWORD_H
#define AUTH_PASSWORD_H

#include "core/bytes.h"

#define PASSWORD_MIN	   10
#define PASSWORD_MAX	   1024
#define PASSWORD_HASH_SIZE 128 /* text and NUL */

struct password_cost {
	int64_t operations, memory; /* memory in octets */
	int64_t concurrency;
};
enum rc password_setup(const struct password_cost *c, struct err *e) MUST_CHECK;
void password_done(void);
/* Waits until the monotonic deadline at most. */
enum rc password_hash(struct bytes password, int64_t deadline_ms, char out[PASSWORD_HASH_SIZE],
		      struct err *e) MUST_CHECK;
/* hash p NULL: there is none; the same work is done and *good_r is false. RC_OK: *good_r says. */
enum rc password_check(struct bytes password, struct bytes hash, int64_t deadline_ms, bool *good_r,
		       struct err *e) MUST_CHECK;
/* Length and octets only. */
enum rc password_acceptable(struct bytes password, struct err *e) MUST_CHECK;

#endif
