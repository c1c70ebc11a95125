/* SPDX-License-Identifier: MIT
 *
 * Calls and Answers of proto/bus.proto, written and read in place: nothing is allocated, so no message costs more
 * memory than its own octets. Unknown fields are skipped; everything else that does not fit is an error.
 */
#ifndef BUS_ENVELOPE_H
#define BUS_ENVELOPE_H

#include "core/bytes.h"

#define ENVELOPE_CALLS_MAX	 64u
#define ENVELOPE_ACTOR_MAX	 4096u
#define ENVELOPE_TRACEPARENT_MAX 128u
#define ENVELOPE_KEY_MAX	 255u
/* What a call or an answer may add to its payload. */
#define ENVELOPE_OVERHEAD 8192u

struct envelope_call {
	struct bytes tenant; /* 16 octets or none */
	int64_t expires_us;
	struct bytes traceparent, actor_token, payload, idempotency_key;
};
struct envelope_answer {
	struct bytes rc, text, payload; /* rc empty: ok */
};

/* Append one element of the list to the message in b. */
void envelope_add_call(struct buf *b, const struct envelope_call *c);
void envelope_add_answer(struct buf *b, const struct envelope_answer *a);
/* Read a whole message; what is found points into in. RC_INVALID: malformed, or more than max elements. */
enum rc envelope_read_calls(struct bytes in, struct envelope_call *out_r, size_t max, size_t *n_r,
			    struct err *e) MUST_CHECK;
enum rc envelope_read_answers(struct bytes in, struct envelope_answer *out_r, size_t max, size_t *n_r,
			      struct err *e) MUST_CHECK;

#endif
