/* SPDX-License-Identifier: MIT
 *
 * Our reading and writing of the envelope against protobuf-c's, and what is refused.
 */
#include "bus/envelope.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "proto/bus.pb-c.h"

static void
calls_as_protobuf(void **state)
{
	struct envelope_call in[3] = {{.tenant = bytes_str("0123456789abcdef"),
				       .expires_us = 1795320000000000,
				       .traceparent = bytes_str("00-trace"),
				       .actor_token = bytes_of("\0tok", 4),
				       .payload = bytes_str("first"),
				       .idempotency_key = bytes_str("key-1")},
				      {.expires_us = -1},
				      {.payload = bytes_str("third")}},
			     out[3];
	struct buf b;
	struct err e;
	size_t n = 0;
	buf_init(&b, 0);
	for (int i = 0; i < 3; i++)
		envelope_add_call(&b, &in[i]);
	Sekisho__Bus__Calls *m = sekisho__bus__calls__unpack(NULL, b.n, b.p);
	assert_non_null(m);
	assert_int_equal(m->n_calls, 3);
	assert_int_equal(envelope_read_calls(buf_bytes(&b), out, 3, &n, &e), RC_OK);
	assert_int_equal(n, 3);
	for (size_t i = 0; i < n; i++) {
		const Sekisho__Bus__Call *c = m->calls[i];
		assert_true(bytes_eq(out[i].tenant, in[i].tenant));
		assert_true(bytes_eq(out[i].traceparent, in[i].traceparent));
		assert_true(bytes_eq(out[i].actor_token, in[i].actor_token));
		assert_true(bytes_eq(out[i].payload, in[i].payload));
		assert_int_equal(out[i].expires_us, in[i].expires_us);
		assert_true(bytes_eq(bytes_of(c->tenant.data, c->tenant.len), in[i].tenant));
		assert_true(bytes_eq(bytes_of(c->actor_token.data, c->actor_token.len), in[i].actor_token));
		assert_true(bytes_eq(bytes_of(c->payload.data, c->payload.len), in[i].payload));
		assert_true(bytes_eq(bytes_str(c->traceparent), in[i].traceparent));
		assert_true(bytes_eq(out[i].idempotency_key, in[i].idempotency_key));
		assert_true(bytes_eq(bytes_str(c->idempotency_key), in[i].idempotency_key));
		assert_int_equal(c->expires, in[i].expires_us);
	}
	assert_int_equal(envelope_read_calls(buf_bytes(&b), out, 2, &n, &e), RC_INVALID); /* too many */
	sekisho__bus__calls__free_unpacked(m, NULL);
	buf_done(&b);
}

static void
answers_as_protobuf(void **state)
{
	struct envelope_answer in[2] = {{.payload = bytes_str("yes")},
					{.rc = bytes_str("denied"), .text = bytes_str("no")}},
			       out[2];
	struct buf b;
	struct err e;
	size_t n = 0;
	buf_init(&b, 0);
	for (int i = 0; i < 2; i++)
		envelope_add_answer(&b, &in[i]);
	Sekisho__Bus__Answers *m = sekisho__bus__answers__unpack(NULL, b.n, b.p);
	assert_non_null(m);
	assert_int_equal(m->n_answers, 2);
	assert_int_equal(envelope_read_answers(buf_bytes(&b), out, 2, &n, &e), RC_OK);
	assert_int_equal(n, 2);
	for (size_t i = 0; i < n; i++) {
		const Sekisho__Bus__Answer *a = m->answers[i];
		assert_true(bytes_eq(out[i].rc, in[i].rc) && bytes_eq(bytes_str(a->rc), in[i].rc));
		assert_true(bytes_eq(out[i].text, in[i].text) && bytes_eq(bytes_str(a->text), in[i].text));
		assert_true(bytes_eq(out[i].payload, in[i].payload));
		assert_true(bytes_eq(bytes_of(a->payload.data, a->payload.len), in[i].payload));
	}
	sekisho__bus__answers__free_unpacked(m, NULL);
	buf_done(&b);
}

static void
what_is_refused(void **state)
{
	static const struct {
		const char *octets;
		size_t n;
		enum rc rc;
		size_t calls;
	} rows[] = {
	    {"", 0, RC_OK, 0},
	    {"\x0a\x00", 2, RC_OK, 1},
	    {"\x0a", 1, RC_INVALID, 0},			    /* no length */
	    {"\x0a\x01", 2, RC_INVALID, 0},		    /* shorter than it says */
	    {"\x0a\x03\x0a\x01t", 5, RC_INVALID, 0},	    /* a tenant of one octet */
	    {"\x0a\x03\x2a\x02p", 5, RC_INVALID, 0},	    /* runs over its call */
	    {"\x0a\x02\x10\x05", 4, RC_OK, 1},		    /* expires */
	    {"\x0a\x03\x12\x01x", 5, RC_INVALID, 0},	    /* expires as octets */
	    {"\x0a\x02\x28\x05", 4, RC_INVALID, 0},	    /* payload as a number */
	    {"\x08\x05", 2, RC_INVALID, 0},		    /* calls as a number */
	    {"\x00\x05", 2, RC_INVALID, 0},		    /* field 0 */
	    {"\x13\x14", 2, RC_INVALID, 0},		    /* a group */
	    {"\x18\x05\x25....\x29........", 16, RC_OK, 0}, /* unknown fields of every width */
	    {"\x0a\x04\x3a\x02zz", 6, RC_OK, 1},	    /* unknown inside a call */
	    {"\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, RC_OK, 0},
	    {"\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11, RC_INVALID, 0}, /* over 64 bits */
	    {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, RC_INVALID, 0},
	};
	struct envelope_call out[4];
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err e;
		size_t n = 0;
		enum rc rc = envelope_read_calls(bytes_of(rows[i].octets, rows[i].n), out, 4, &n, &e);
		if (rc != rows[i].rc || n != rows[i].calls)
			fail_msg("row %zu: %s, %zu calls", i, rc_str(rc), n);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(calls_as_protobuf),
	    cmocka_unit_test(answers_as_protobuf),
	    cmocka_unit_test(what_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
