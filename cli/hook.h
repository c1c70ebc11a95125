/* SPDX-License-Identifier: MIT
 *
 * Standard Webhooks (1.0.0), the receiver's side: is this request from who knows the secret, and fresh? Pure; written
 * without looking at the sender, so that each is the other's test.
 */
#ifndef CLI_HOOK_H
#define CLI_HOOK_H

#include "core/arena.h"
#include "core/bytes.h"

#define HOOK_SECRET_MAX	 64  /* octets; the specification asks for 24 to 64 */
#define HOOK_TOLERANCE_S 300 /* how old or early a timestamp may be */

struct hook_secret {
	uint8_t key[HOOK_SECRET_MAX];
	size_t n;
};
/* "whsec_" and base64, or base64 alone. */
bool hook_secret_parse(const char *text, struct hook_secret *out_r) MUST_CHECK;

/* The three headers, NULL where one is missing, and the body as it came. */
struct hook_request {
	const char *id, *timestamp, *signature;
	struct bytes body;
};
/* NULL: genuine; else why not. now: seconds since 1970. */
const char *hook_check(const struct hook_secret *secret, const struct hook_request *r, int64_t now);

#endif
