/* SPDX-License-Identifier: MIT
 *
 * The vector was computed with another program (HMAC-SHA-256 over id.timestamp.body); each other row changes one thing
 * of it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "hook.h"

#define SECRET "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#define ID     "msg_1"
#define TIME   "1700000000"
#define BODY   "{\"type\":\"x\"}"
#define GOOD   "v1,jAZOeV5VzdC4IYihPApaOsH0wetrn1f/Wbr6uFe6BBs="
#define NOW    1700000000

static void
genuine_or_not(void **state)
{
	static const struct {
		const char *id, *timestamp, *signature, *body;
		int64_t now;
		bool genuine;
	} table[] = {
	    {ID, TIME, GOOD, BODY, NOW, true},
	    {ID, TIME, "v1,AAAA " GOOD, BODY, NOW, true},
	    {ID, TIME, "v2,zzz  " GOOD " v1a,xx", BODY, NOW, true},
	    {ID, TIME, GOOD, BODY, NOW + 300, true},
	    {ID, TIME, GOOD, BODY, NOW - 300, true},
	    {ID, TIME, GOOD, BODY, NOW + 301, false},
	    {ID, TIME, GOOD, BODY, NOW - 301, false},
	    {ID, "1700000001", GOOD, BODY, NOW, false},
	    {ID, "1700000000 ", GOOD, BODY, NOW, false},
	    {ID, "", GOOD, BODY, NOW, false},
	    {ID, "-1", GOOD, BODY, NOW, false},
	    {ID, "99999999999999999999", GOOD, BODY, NOW, false},
	    {"msg_2", TIME, GOOD, BODY, NOW, false},
	    {"", TIME, GOOD, BODY, NOW, false},
	    {"msg.1", TIME, GOOD, BODY, NOW, false},
	    {ID, TIME, GOOD, BODY " ", NOW, false},
	    {ID, TIME, GOOD, "", NOW, false},
	    {ID, TIME, "", BODY, NOW, false},
	    {ID, TIME, "v1,", BODY, NOW, false},
	    {ID, TIME, "v1", BODY, NOW, false},
	    {ID, TIME, &GOOD[3], BODY, NOW, false},
	    {ID, TIME,
	     "v1a,"
	     "jAZOeV5VzdC4IYihPApaOsH0wetrn1f/Wbr6uFe6BBs=",
	     BODY, NOW, false},
	    {ID, TIME, GOOD "=", BODY, NOW, false},
	    {ID, TIME, "v1,====", BODY, NOW, false},
	    {NULL, TIME, GOOD, BODY, NOW, false},
	    {ID, NULL, GOOD, BODY, NOW, false},
	    {ID, TIME, NULL, BODY, NOW, false},
	};
	struct hook_secret secret;
	assert_true(hook_secret_parse(SECRET, &secret));
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct hook_request r = {table[i].id, table[i].timestamp, table[i].signature, bytes_str(table[i].body)};
		const char *why = hook_check(&secret, &r, table[i].now);
		if ((why == NULL) != table[i].genuine)
			fail_msg("row %zu: %s", i, why != NULL ? why : "genuine");
	}
	/* Another secret. */
	struct hook_request r = {ID, TIME, GOOD, bytes_str(BODY)};
	assert_true(hook_secret_parse("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", &secret));
	assert_non_null(hook_check(&secret, &r, NOW));
}

static void
secrets(void **state)
{
	static const struct {
		const char *text;
		int n;
	} table[] = {
	    {SECRET, 32},
	    {"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", 32},
	    {"whsec_AAAAAAAAAAAAAAAAAAAAAA==", 16},
	    {"whsec_AAAAAAAAAAAAAAAA", -1}, /* 12 octets */
	    {"", -1},
	    {"whsec_", -1},
	    {"whsec_AAAAAAAAAAAAAAAAAAAAAA=", -1},
	    {"whsec_AAAAAAAAAAAAAAAAAA AAAA==", -1},
	    {"whsec_====AAAAAAAAAAAAAAAAAAAA", -1},
	    {"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", -1},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct hook_secret s = {.n = 7};
		bool ok = hook_secret_parse(table[i].text, &s);
		assert_int_equal(ok ? (int)s.n : -1, table[i].n);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(genuine_or_not),
	    cmocka_unit_test(secrets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
