/* SPDX-License-Identifier: MIT
 *
 * mail.accepted as legs: one recipient that cannot be sent to costs the others nothing.
 */
#include "accepted.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/ingest.pb-c.h"

#define NOW INT64_C(1795319589000000)

static void
recipients_stand_alone(void **state)
{
	static const struct {
		const char *address, *notify, *domain;
	} rows[] = {
	    {"good@example.net", "FAILURE", "example.net"},
	    {"x@xn--a.example", "", ""}, /* not an A-label of anything */
	    {"x@\xe2\x98\x83\xcc\x80..test", "", ""},
	    {"no address", "", ""},
	    {"also@Example.ORG", "SOMETIMES", "example.org"}, /* a word that is none is left out */
	};
	enum { N = sizeof(rows) / sizeof(rows[0]) };
	Sekisho__Ingest__Accepted m = SEKISHO__INGEST__ACCEPTED__INIT;
	Sekisho__Ingest__Recipient r[N], *p[N];
	struct uuid id = uuid_v7(NOW);
	struct store_arrival v;
	struct err err;
	for (int i = 0; i < N; i++) {
		p[i] = &r[i];
		sekisho__ingest__recipient__init(&r[i]);
		r[i].address.data = (uint8_t *)(uintptr_t)rows[i].address;
		r[i].address.len = strlen(rows[i].address);
		r[i].notify = (char *)(uintptr_t)rows[i].notify;
		r[i].action = SEKISHO__INGEST__RECIPIENT__ACTION__PASS;
	}
	m.message.data = id.b;
	m.message.len = sizeof(id.b);
	m.accepted_us = NOW;
	m.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
	m.recipients = p;
	m.n_recipients = N;
	uint8_t *packed = malloc(sekisho__ingest__accepted__get_packed_size(&m));
	size_t n = sekisho__ingest__accepted__pack(&m, packed);
	struct arena *a = arena_new();
	assert_int_equal(accepted_decode(bytes_of(packed, n), a, &v, &err), RC_OK);
	assert_int_equal(v.n_legs, N);
	for (int i = 0; i < N; i++) {
		assert_int_equal(v.legs[i].number, i);
		assert_int_equal(v.legs[i].state, LEG_QUEUED);
		if (!bytes_eq(v.legs[i].domain, bytes_str(rows[i].domain)))
			fail_msg("row %d", i);
	}
	assert_string_equal(v.legs[0].notify, "FAILURE");
	assert_string_equal(v.legs[4].notify, "");
	assert_int_equal(accepted_decode(bytes_of(packed, n - 1), a, &v, &err), RC_INVALID);
	arena_free(&a);
	free(packed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(recipients_stand_alone)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
