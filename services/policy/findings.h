/* SPDX-License-Identifier: MIT
 *
 * What a check has to say, each with the JSON pointer (RFC 6901) of the place it is about. The place is kept while a
 * document is walked: findings_enter() and findings_leave() mirror each other.
 */
#ifndef POLICY_FINDINGS_H
#define POLICY_FINDINGS_H

#include "client/policy_client.h"

struct findings {
	struct arena *arena;
	struct buf pointer;
	struct policy_findings list;
	size_t max;
	bool errors;
};

void findings_init(struct findings *f, struct arena *a, size_t max);
void findings_done(struct findings *f);
/* The mark to leave with. */
size_t findings_enter(struct findings *f, const char *key);
size_t findings_enter_index(struct findings *f, size_t i);
void findings_leave(struct findings *f, size_t mark);
/* About the place that was entered last. Beyond max only `errors` is kept. */
void findings_error(struct findings *f, const char *fmt, ...) PRINTF_LIKE(2, 3);
void findings_warn(struct findings *f, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
