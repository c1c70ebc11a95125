/* SPDX-License-Identifier: MIT
 *
 * The text of a report: its parts, its harmlessness whatever strangers wrote, and its field map.
 */
#include "mail/dsn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct dsn
sample(struct dsn_recipient *r)
{
	*r = (struct dsn_recipient){
	    .address = bytes_str("bob@example.net"),
	    .orcpt = bytes_str("rfc822;Bob+40example.net"),
	    .action = DSN_FAILED,
	    .status = "5.1.1",
	    .reply = bytes_str("550 5.1.1 no such user"),
	    .remote = bytes_str("mx.example.net [192.0.2.1]:25"),
	    .last_attempt_us = INT64_C(1795319589000000),
	};
	return (struct dsn){
	    .id = {{1, 2, 3}},
	    .at_us = INT64_C(1795319589000000),
	    .host = "mx.sekisho.test",
	    .from = "mailer-daemon@example.test",
	    .to = bytes_str("alice@example.test"),
	    .arrived_us = INT64_C(1795319580000000),
	    .envid = bytes_str("QQ314159"),
	    .recipients = r,
	    .n_recipients = 1,
	    .original = bytes_str("Subject: hello\r\n"),
	};
}

static char *
text_of(const struct dsn *d, struct buf *b, struct dsn_text *t)
{
	struct err err;
	buf_reset(b);
	assert_int_equal(dsn_write(d, b, t, &err), RC_OK);
	return (char *)b->p;
}

/* 7-bit, CRLF only, no line over 998 octets. */
static void
assert_clean(const struct buf *b)
{
	size_t line = 0;
	for (size_t i = 0; i < b->n; i++) {
		assert_true(b->p[i] < 0x80 && b->p[i] != 0);
		if (b->p[i] == '\r')
			assert_true(i + 1 < b->n && b->p[i + 1] == '\n');
		if (b->p[i] == '\n') {
			assert_true(i > 0 && b->p[i - 1] == '\r');
			line = 0;
		} else {
			assert_true(++line <= 998);
		}
	}
}

static void
parts(void **state)
{
	static const char *const want[] = {
	    "Auto-Submitted: auto-replied\r\n",
	    "Content-Type: multipart/report; report-type=delivery-status;",
	    "Original-Envelope-Id: QQ314159\r\n",
	    "Reporting-MTA: dns; mx.sekisho.test\r\n",
	    "Original-Recipient: rfc822;Bob+40example.net\r\n",
	    "Final-Recipient: rfc822; bob@example.net\r\nAction: failed\r\nStatus: 5.1.1\r\n",
	    "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n",
	    "Content-Type: text/rfc822-headers\r\n\r\nSubject: hello\r\n"};
	struct dsn_recipient r;
	struct dsn d = sample(&r);
	struct dsn_text t;
	struct buf b;
	buf_init(&b, 0);
	const char *text = text_of(&d, &b, &t);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		if (strstr(text, want[i]) == NULL)
			fail_msg("missing: %s", want[i]);
	assert_null(strstr(text, "Will-Retry-Until"));
	assert_clean(&b);
	r.action = DSN_DELAYED;
	r.retry_until_us = r.last_attempt_us + 1;
	d.full = true;
	text = text_of(&d, &b, &t);
	assert_non_null(strstr(text, "Action: delayed\r\n"));
	assert_non_null(strstr(text, "Will-Retry-Until: "));
	assert_non_null(strstr(text, "Content-Type: message/rfc822\r\n"));
	buf_done(&b);
}

static void
field_map(void **state)
{
	struct dsn_recipient r;
	struct dsn d = sample(&r);
	struct dsn_text t;
	struct buf b;
	buf_init(&b, 0);
	text_of(&d, &b, &t);
	size_t at = 0;
	for (size_t i = 0; i < t.n_fields; i++) {
		assert_int_equal(t.fields[i].offset, at);
		assert_int_equal(b.p[at + t.fields[i].name_length], ':');
		at += t.fields[i].length;
	}
	assert_int_equal(at, t.header_length);
	assert_memory_equal(b.p + at, "\r\n", 2);
	assert_int_equal(t.n_fields, 8);
	buf_done(&b);
}

static void
strangers(void **state)
{
	struct dsn_recipient r;
	struct dsn d = sample(&r);
	struct dsn_text t;
	struct buf b;
	char long_reply[3000];
	buf_init(&b, 0);
	memset(long_reply, 'x', sizeof(long_reply));
	r.reply = bytes_of(long_reply, sizeof(long_reply));
	r.remote = bytes_str("evil\r\nStatus: 2.0.0\r\n");
	r.orcpt = bytes_str("rfc822;a\r\nAction: delivered");
	r.address = bytes_str("\xe5\xb1\xb1@example.net");
	d.envid = bytes_str("a\r\n\r\nb");
	d.to = bytes_str("x\r\nBcc: y@example.org");
	d.original = bytes_of("Subject: \xe5\xb1\xb1\r\n--report-01020300-0000-0000-0000-000000000000--x\r\n",
			      65); /* NUL included */
	const char *text = text_of(&d, &b, &t);
	assert_clean(&b);
	assert_null(strstr(text, "\r\nStatus: 2.0.0"));
	assert_null(strstr(text, "\r\nAction: delivered"));
	assert_null(strstr(text, "\r\nBcc:"));
	assert_non_null(strstr(text, "Final-Recipient: utf-8; \\x{5C71}@example.net\r\n"));
	buf_done(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(parts), cmocka_unit_test(field_map),
					   cmocka_unit_test(strangers)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
