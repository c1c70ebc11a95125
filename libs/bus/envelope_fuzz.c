/* SPDX-License-Identifier: MIT
 *
 * Any octets as a message of calls and of answers. What we read is read the same when we have written it again, and
 * protobuf-c finds the same calls in it.
 */
#include <stdlib.h>

#include "bus/envelope.h"
#include "proto/bus.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
try_calls(struct bytes in)
{
	struct envelope_call calls[ENVELOPE_CALLS_MAX], again[ENVELOPE_CALLS_MAX];
	struct err e;
	struct buf b;
	size_t n = 0, n_again = 0;
	if (envelope_read_calls(in, calls, ENVELOPE_CALLS_MAX, &n, &e) != RC_OK)
		return;
	buf_init(&b, 0);
	for (size_t i = 0; i < n; i++)
		envelope_add_call(&b, &calls[i]);
	if (envelope_read_calls(buf_bytes(&b), again, ENVELOPE_CALLS_MAX, &n_again, &e) != RC_OK || n != n_again)
		abort();
	Sekisho__Bus__Calls *m = sekisho__bus__calls__unpack(NULL, b.n, b.p);
	if (m == NULL || m->n_calls != n)
		abort();
	for (size_t i = 0; i < n; i++)
		if (!bytes_eq(calls[i].tenant, again[i].tenant) || calls[i].expires_us != again[i].expires_us ||
		    !bytes_eq(calls[i].traceparent, again[i].traceparent) ||
		    !bytes_eq(calls[i].actor_token, again[i].actor_token) ||
		    !bytes_eq(calls[i].idempotency_key, again[i].idempotency_key) ||
		    !bytes_eq(calls[i].payload, again[i].payload) || m->calls[i]->payload.len != again[i].payload.n ||
		    m->calls[i]->expires != again[i].expires_us)
			abort();
	sekisho__bus__calls__free_unpacked(m, NULL);
	buf_done(&b);
}

static void
try_answers(struct bytes in)
{
	struct envelope_answer answers[ENVELOPE_CALLS_MAX], again[ENVELOPE_CALLS_MAX];
	struct err e;
	struct buf b;
	size_t n = 0, n_again = 0;
	if (envelope_read_answers(in, answers, ENVELOPE_CALLS_MAX, &n, &e) != RC_OK)
		return;
	buf_init(&b, 0);
	for (size_t i = 0; i < n; i++)
		envelope_add_answer(&b, &answers[i]);
	if (envelope_read_answers(buf_bytes(&b), again, ENVELOPE_CALLS_MAX, &n_again, &e) != RC_OK || n != n_again)
		abort();
	for (size_t i = 0; i < n; i++)
		if (!bytes_eq(answers[i].rc, again[i].rc) || !bytes_eq(answers[i].text, again[i].text) ||
		    !bytes_eq(answers[i].payload, again[i].payload))
			abort();
	buf_done(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	try_calls(bytes_of(p, n));
	try_answers(bytes_of(p, n));
	return 0;
}
