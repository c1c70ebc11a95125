/* SPDX-License-Identifier: MIT
 *
 * The framing guard: what PITFALLS lists as accepted by the library is refused here, at every split of the octets.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

#include "framing.h"

#define GET  "GET /v1/health HTTP/1.1\r\n"
#define POST "POST /v1/messages HTTP/1.1\r\n"
#define HOST "Host: a\r\n"
#define TEXT(s)                                                                                                        \
	{                                                                                                              \
		s, sizeof(s) - 1                                                                                       \
	}

struct sample {
	const char *p;
	size_t n;
};

static const struct sample good[] = {
    TEXT(GET HOST "\r\n"),
    TEXT("GET /v1/messages?limit=1&sender=a%40b HTTP/1.0\r\n\r\n"),
    TEXT(POST HOST "Content-Length: 12\r\n\r\nhello"),
    TEXT(POST HOST "Transfer-Encoding: chunked\r\n\r\n"),
    TEXT(POST HOST "TRANSFER-ENCODING:\tChunked \r\n\r\n"),
    TEXT(GET HOST "X-Sekisho-Sender: \xe5\xb1\xb1@example.com\r\nEmpty:\r\n\r\n"),
    TEXT(GET "Host: [::1]:443\r\n\r\n"),
};

static const struct sample bad[] = {
    TEXT(POST HOST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"),
    TEXT(POST HOST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"),
    TEXT(POST HOST "Content-Length: 3\r\nContent-Length: 3\r\n\r\n"),
    TEXT(POST HOST "Content-Length: 3\r\ncontent-length: 4\r\n\r\n"),
    TEXT(POST HOST "Content-Length: 3, 3\r\n\r\n"),
    TEXT(POST HOST "Content-Length: +3\r\n\r\n"),
    TEXT(POST HOST "Content-Length: -1\r\n\r\n"),
    TEXT(POST HOST "Content-Length: 0x10\r\n\r\n"),
    TEXT(POST HOST "Content-Length:\r\n\r\n"),
    TEXT(POST HOST "Content-Length: 9999999999999\r\n\r\n"),
    TEXT(POST HOST "Content-Length : 3\r\n\r\n"),
    TEXT(POST HOST "Transfer-Encoding : chunked\r\n\r\n"),
    TEXT(POST HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
    TEXT(POST HOST "Transfer-Encoding: chunked, identity\r\n\r\n"),
    TEXT(POST HOST "Transfer-Encoding: xchunked\r\n\r\n"),
    TEXT(POST HOST "Transfer-Encoding: \x0b"
		   "chunked\r\n\r\n"),
    TEXT("POST /x HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"),
    TEXT(GET HOST HOST "\r\n"),
    TEXT(GET "Host: a, b\r\n\r\n"),
    TEXT(GET "\r\n"),
    TEXT("GET /v1/health HTTP/1.1\n" HOST "\r\n"),
    TEXT(GET "Host: a\n\r\n"),
    TEXT(GET HOST "\n"),
    TEXT(GET HOST "X: a\rb\r\n\r\n"),
    TEXT(GET HOST "X: a\0b\r\n\r\n"),
    TEXT(GET HOST "X\0: a\r\n\r\n"),
    TEXT(GET HOST "X: a\x01\r\n\r\n"),
    TEXT(GET HOST "X: a\x7f\r\n\r\n"),
    TEXT(GET HOST "X: a\r\n folded\r\n\r\n"),
    TEXT(GET " Host: a\r\n\r\n"),
    TEXT(GET HOST "no colon\r\n\r\n"),
    TEXT(GET HOST ": no name\r\n\r\n"),
    TEXT(GET HOST "X(: a\r\n\r\n"),
    TEXT(GET HOST "Upgrade: h2c\r\n\r\n"),
    TEXT("\r\n" GET HOST "\r\n"),
    TEXT("GET  /v1/health HTTP/1.1\r\n" HOST "\r\n"),
    TEXT("GET /v1/health HTTP/1.1 \r\n" HOST "\r\n"),
    TEXT("GET /v1/health HTTP/2.0\r\n" HOST "\r\n"),
    TEXT("GET /v1/health\r\n" HOST "\r\n"),
    TEXT("GET http://a/v1/health HTTP/1.1\r\n" HOST "\r\n"),
    TEXT("GET * HTTP/1.1\r\n" HOST "\r\n"),
    TEXT("GET /v1/\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n"),
    TEXT("GET /a#b HTTP/1.1\r\n" HOST "\r\n"),
    TEXT("G(T / HTTP/1.1\r\n" HOST "\r\n"),
};

static void
good_ones_pass(void **state)
{
	const char *why;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(framing_check(bytes_of(good[i].p, good[i].n), &why), FRAMING_OK);
		/* Until the empty line has come there is nothing to say. */
		size_t end = (size_t)bytes_find(bytes_of(good[i].p, good[i].n), bytes_str("\r\n\r\n")) + 4;
		for (size_t n = 0; n < end; n++)
			assert_int_equal(framing_check(bytes_of(good[i].p, n), &why), FRAMING_MORE);
	}
}

static void
bad_ones_do_not(void **state)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *why = NULL;
		assert_int_equal(framing_check(bytes_of(bad[i].p, bad[i].n), &why), FRAMING_BAD);
		assert_non_null(why);
		/* And no beginning of them was ever good. */
		for (size_t n = 0; n < bad[i].n; n++)
			assert_int_not_equal(framing_check(bytes_of(bad[i].p, n), &why), FRAMING_OK);
	}
}

static void
size_is_bounded(void **state)
{
	const char *why;
	size_t n = FRAMING_HEADER_MAX + 10;
	char *big = malloc(n);
	assert_non_null(big);
	memset(big, 'a', n);
	memcpy(big, GET HOST "X: ", sizeof(GET HOST "X: ") - 1);
	assert_int_equal(framing_check(bytes_of(big, n), &why), FRAMING_TOO_BIG);
	assert_int_equal(framing_check(bytes_of(big, FRAMING_HEADER_MAX - 1), &why), FRAMING_MORE);
	free(big);

	struct buf many;
	buf_init(&many, 0);
	buf_add_str(&many, GET HOST);
	for (int i = 0; i < FRAMING_FIELDS_MAX; i++)
		buf_add_str(&many, "X: a\r\n");
	buf_add_str(&many, "\r\n");
	assert_int_equal(framing_check(buf_bytes(&many), &why), FRAMING_TOO_BIG);
	buf_done(&many);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(good_ones_pass),
	    cmocka_unit_test(bad_ones_do_not),
	    cmocka_unit_test(size_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
