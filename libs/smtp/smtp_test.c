/* SPDX-License-Identifier: MIT
 *
 * The grammar, by tables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "smtp/command.h"
#include "smtp/data.h"
#include "smtp/reply.h"
#include "smtp/xtext.h"

static void
addresses(void **state)
{
	static const struct {
		const char *in;
		bool good;
		const char *local, *domain;
	} table[] = {
	    {"a@b", true, "a", "b"},
	    {"a.b+c=d@example.com", true, "a.b+c=d", "example.com"},
	    {"\"a b\"@c.test", true, "\"a b\"", "c.test"},
	    {"\"a@b\"@c.test", true, "\"a@b\"", "c.test"},
	    {"\"a\\\"b\"@c.test", true, "\"a\\\"b\"", "c.test"},
	    {"a@[192.0.2.1]", true, "a", "[192.0.2.1]"},
	    {"a@[IPv6:2001:db8::1]", true, "a", "[IPv6:2001:db8::1]"},
	    {"\xe5\xb1\xb1@\xe4\xbe\x8b.test", true, "\xe5\xb1\xb1", "\xe4\xbe\x8b.test"},
	    {"", false},
	    {"a", false},
	    {"@b", false},
	    {"a@", false},
	    {".a@b", false},
	    {"a.@b", false},
	    {"a..b@c", false},
	    {"a b@c", false},
	    {"a@b c", false},
	    {"a@b@c", false},
	    {"a@-b.test", false},
	    {"a@b-.test", false},
	    {"a@b..test", false},
	    {"a@b.test.", false},
	    {"a@b_c.test", false},
	    {"a@[192.0.2]", false},
	    {"a@[IPv6:zz]", false},
	    {"a@[", false},
	    {"a(c)@b", false},
	    {"a<b@c", false},
	    {"\"a@b", false},
	    {"\"a\"b@c", false},
	    {"a\r\n@b", false},
	    {"\"a\rb\"@c", false},
	    {"\xff@b", false},
	    {"a@\xc0\x80.test", false},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct smtp_address a;
		enum rc rc = smtp_address_parse(bytes_str(table[i].in), &a, NULL);
		if ((rc == RC_OK) != table[i].good)
			fail_msg("\"%s\": %s", table[i].in, rc_str(rc));
		if (rc != RC_OK)
			continue;
		assert_true(bytes_eq(a.local, bytes_str(table[i].local)));
		assert_true(bytes_eq(a.domain, bytes_str(table[i].domain)));
	}
}

static void
domains(void **state)
{
	char out[SMTP_ASCII_DOMAIN_SIZE];
	assert_int_equal(smtp_domain_ascii(bytes_str("ExAmple.COM"), out, NULL), RC_OK);
	assert_string_equal(out, "example.com");
	assert_int_equal(
	    smtp_domain_ascii(bytes_str("\xe4\xbe\x8b\xe3\x81\x88.\xe3\x83\x86\xe3\x82\xb9\xe3\x83\x88"), out, NULL),
	    RC_OK);
	assert_string_equal(out, "xn--r8jz45g.xn--zckzah");
	assert_int_equal(smtp_domain_ascii(bytes_str("a..b"), out, NULL), RC_INVALID);
}

static void
domains_nobody_can_have(void **state)
{
	static const char *const table[] = {
	    "\xe2\x98\x83.example",	/* a snowman */
	    "\xf0\x9f\x98\x80.example", /* emoji */
	    "\xe2\x82\xac.example",	/* euro sign */
	    "a\xd7\x90.example",	/* left to right and right to left in one label */
	    "\xcc\x81"
	    "a.example", /* begins with a combining mark */
	    "a\xe2\x80\x8b"
	    "b.example", /* zero width space */
	    "a\xc2\xad"
	    "b.example", /* soft hyphen */
	    "a\xef\xbb\xbf"
	    "b.example", /* byte order mark */
	    "xn--.example",
	    "xn--a.example",
	    "xn--n3h.example", /* the snowman again */
	    "xn--zzzzzzzzzz99999999.example",
	    "xn--abc-.example",
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example",
	};
	char out[SMTP_ASCII_DOMAIN_SIZE], label[256] = "";
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (smtp_domain_ascii(bytes_str(table[i]), out, NULL) != RC_INVALID)
			fail_msg("\"%s\" became \"%s\"", table[i], out);
	for (int i = 0; i < 70; i++)
		strcat(label, i % 2 == 0 ? "\xc3\xa9" : "e");
	assert_int_equal(smtp_domain_ascii(bytes_str(label), out, NULL), RC_INVALID);
	assert_int_equal(smtp_domain_ascii(bytes_str("XN--R8JZ45G.xn--zckzah"), out, NULL), RC_OK);
	assert_string_equal(out, "xn--r8jz45g.xn--zckzah");
	assert_int_equal(smtp_domain_ascii(bytes_str("stra\xc3\x9f"
						     "e.example"),
					   out, NULL),
			 RC_OK);
	assert_string_equal(out, "xn--strae-oqa.example");
}

static void
commands(void **state)
{
	static const struct {
		const char *in;
		int code; /* 0: parses */
		enum smtp_verb verb;
	} table[] = {
	    {"EHLO a.test", 0, SMTP_EHLO},
	    {"ehlo [192.0.2.1]", 0, SMTP_EHLO},
	    {"HELO a_b", 501},
	    {"EHLO a b", 501},
	    {"MAIL FROM:<>", 0, SMTP_MAIL},
	    {"mail from:<a@b>", 0, SMTP_MAIL},
	    {"MAIL FROM: <a@b>", 0, SMTP_MAIL},
	    {"MAIL FROM:<@x,@y:a@b>", 0, SMTP_MAIL},
	    {"MAIL FROM:<a@b> SIZE=10 BODY=8bitmime SMTPUTF8 RET=full ENVID=x+2B AUTH=<>", 0, SMTP_MAIL},
	    {"MAIL FROM:a@b", 501},
	    {"MAIL FROM <a@b>", 501},
	    {"MAIL FROM:<a@b", 501},
	    {"MAIL FROM:<a@b>x", 501},
	    {"MAIL TO:<a@b>", 501},
	    {"MAIL", 501},
	    {"MAIL FROM:<a@b> SIZE=", 501},
	    {"MAIL FROM:<a@b> SIZE=-1", 501},
	    {"MAIL FROM:<a@b> SIZE=9999999999999999999", 501},
	    {"MAIL FROM:<a@b> SIZE=1 SIZE=2", 501},
	    {"MAIL FROM:<a@b> BODY=BINARYMIME", 501},
	    {"MAIL FROM:<a@b> SMTPUTF8=1", 501},
	    {"MAIL FROM:<a@b> RET=SOME", 501},
	    {"MAIL FROM:<a@b> ENVID=a+2b", 501},
	    {"MAIL FROM:<a@b> FOO", 555},
	    {"MAIL FROM:<\xc3\xa9@b>", 553},
	    {"MAIL FROM:<a@\xe2\x98\x83.example> SMTPUTF8", 553},
	    {"MAIL FROM:<a@xn--n3h.example>", 553},
	    {"MAIL FROM:<a@\xc3\xa9.example> SMTPUTF8", 0, SMTP_MAIL},
	    {"MAIL FROM:<a@[192.0.2.1]>", 0, SMTP_MAIL},
	    {"MAIL FROM:<a@b> ENVID=a+20b", 0, SMTP_MAIL},
	    {"MAIL FROM:<a@b> ENVID=a+0D+0Ab", 501},
	    {"MAIL FROM:<a@b> ENVID=a+00", 501},
	    {"MAIL FROM:<a@b> ENVID=a+7F", 501},
	    {"MAIL FROM:<a@b> ENVID=a+E9", 501},
	    {"RCPT TO:<a@\xe2\x98\x83.example>", 550},
	    {"RCPT TO:<a@a\xe2\x80\x8b"
	     "b.example>",
	     550},
	    {"RCPT TO:<a@xn--n3h.example>", 550},
	    {"RCPT TO:<a@\xc3\xa9.example>", 0, SMTP_RCPT},
	    {"RCPT TO:<a@b> ORCPT=rfc822;a+0Ab", 501},
	    {"RCPT TO:<a@b>", 0, SMTP_RCPT},
	    {"RCPT TO:<postmaster>", 0, SMTP_RCPT},
	    {"RCPT TO:<a@b> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;a+2B@b", 0, SMTP_RCPT},
	    {"RCPT TO:<a@b> NOTIFY=NEVER", 0, SMTP_RCPT},
	    {"RCPT TO:<a@b> NOTIFY=NEVER,SUCCESS", 501},
	    {"RCPT TO:<a@b> NOTIFY=SUCCESS,SUCCESS", 501},
	    {"RCPT TO:<a@b> NOTIFY=", 501},
	    {"RCPT TO:<a@b> NOTIFY=,", 501},
	    {"RCPT TO:<a@b> ORCPT=a@b", 501},
	    {"RCPT TO:<a@b> ORCPT=rfc822;a=b", 501},
	    {"RCPT TO:<a@b> SIZE=1", 555},
	    {"RCPT TO:<>", 501},
	    {"RCPT TO:<nobody>", 501},
	    {"BDAT 10", 0, SMTP_BDAT},
	    {"BDAT 0 last", 0, SMTP_BDAT},
	    {"BDAT", 501},
	    {"BDAT -1", 501},
	    {"BDAT 1 LAST x", 501},
	    {"AUTH PLAIN", 0, SMTP_AUTH},
	    {"AUTH", 501},
	    {"AUTH PLAIN a b", 501},
	    {"DATA", 0, SMTP_DATA},
	    {"DATA  ", 0, SMTP_DATA},
	    {"DATA x", 501},
	    {"QUIT now", 501},
	    {"NOOP anything", 0, SMTP_NOOP},
	    {"", 0, SMTP_UNKNOWN},
	    {" MAIL FROM:<a@b>", 0, SMTP_UNKNOWN},
	    {"GET / HTTP/1.1", 0, SMTP_UNKNOWN},
	    {"NOOP\t", 500},
	    {"NO\rOP", 500},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct smtp_command c = {0};
		const struct smtp_fault *f = smtp_command_parse(bytes_str(table[i].in), SMTP_OFFER_DSN, &c);
		if ((f != NULL ? f->code : 0) != table[i].code || (f == NULL && c.verb != table[i].verb))
			fail_msg("\"%s\": %d, verb %s", table[i].in, f != NULL ? f->code : 0, smtp_verb_str(c.verb));
	}
	struct smtp_command c;
	assert_int_equal(smtp_command_parse(bytes_str("MAIL FROM:<a@b> RET=FULL"), 0, &c)->code, 555);
}

static void
replies(void **state)
{
	static const struct {
		const char *in;
		enum smtp_progress end;
		size_t used;
		const char *line;
	} table[] = {
	    {"250 ok\r\n", SMTP_DONE, 8, "250 ok"},
	    {"250 2.1.0 ok\r\n", SMTP_DONE, 14, "250 2.1.0 ok"},
	    {"250-a\r\n250-b\r\n250 c\r\n220 x\r\n", SMTP_DONE, 21, "250 a b c"},
	    {"550-5.1.1 no\r\n550 5.1.1 such\r\n", SMTP_DONE, 30, "550 5.1.1 no such"},
	    {"550 4.1.1 x\r\n", SMTP_DONE, 13, "550 4.1.1 x"},
	    {"250\r\n", SMTP_DONE, 5, "250 "},
	    {"250 a\x1b[2Jb\r\n", SMTP_DONE, 12, "250 a?[2Jb"},
	    {"250 \xff\xe5\xb1\xb1\r\n", SMTP_DONE, 10, "250 ?\xe5\xb1\xb1"},
	    {"250-a\r\n", SMTP_MORE, 7, NULL},
	    {"250", SMTP_MORE, 0, NULL},
	    {"250-a\r\n550 b\r\n", SMTP_BAD, 0, NULL},
	    {"250 ok\n", SMTP_BAD, 0, NULL},
	    {"25 ok\r\n", SMTP_BAD, 0, NULL},
	    {"150 ok\r\n", SMTP_BAD, 0, NULL},
	    {"650 ok\r\n", SMTP_BAD, 0, NULL},
	    {"250_ok\r\n", SMTP_BAD, 0, NULL},
	    {"250 a\rb\r\n", SMTP_BAD, 0, NULL},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct smtp_reply r;
		char line[200];
		size_t used;
		smtp_reply_init(&r);
		enum smtp_progress p = smtp_reply_feed(&r, bytes_str(table[i].in), &used);
		if (p != table[i].end || (p != SMTP_BAD && used != table[i].used))
			fail_msg("\"%s\": %d, %zu octets", table[i].in, (int)p, used);
		smtp_reply_line(&r, line, sizeof(line));
		if (table[i].line != NULL)
			assert_string_equal(line, table[i].line);
		smtp_reply_done(&r);
	}
}

static void
replies_are_bounded(void **state)
{
	struct smtp_reply r;
	size_t used;
	static uint8_t line[SMTP_REPLY_LINE_MAX + 1];
	memset(line, 'x', sizeof(line));
	memcpy(line, "250 ", 4);
	smtp_reply_init(&r);
	assert_int_equal(smtp_reply_feed(&r, bytes_of(line, sizeof(line)), &used), SMTP_BAD);
	smtp_reply_reset(&r);
	enum smtp_progress p = SMTP_MORE;
	for (int i = 0; i <= SMTP_REPLY_LINES_MAX && p == SMTP_MORE; i++)
		p = smtp_reply_feed(&r, bytes_str("250-a\r\n"), &used);
	assert_int_equal(p, SMTP_BAD);
	smtp_reply_done(&r);
}

static void
written_replies(void **state)
{
	struct buf b;
	buf_init(&b, 0);
	smtp_reply_write(&b, 550, "5.7.1", "no\r\nQUIT", false);
	assert_string_equal((char *)b.p, "550-5.7.1 no \r\n550 5.7.1 QUIT\r\n");
	buf_reset(&b);
	smtp_reply_write(&b, 250, NULL, "\xe5\xb1\xb1", false);
	assert_string_equal((char *)b.p, "250 ?\r\n");
	buf_reset(&b);
	smtp_reply_write(&b, 250, NULL, "\xe5\xb1\xb1", true);
	assert_string_equal((char *)b.p, "250 \xe5\xb1\xb1\r\n");
	buf_reset(&b);
	char words[1000];
	memset(words, 'w', sizeof(words) - 1);
	words[999] = '\0';
	smtp_reply_write(&b, 550, "5.7.1", words, false);
	for (size_t i = 0; i < b.n;) {
		const uint8_t *lf = memchr(b.p + i, '\n', b.n - i);
		assert_non_null(lf);
		assert_true((size_t)(lf - (b.p + i)) + 1 <= SMTP_REPLY_WRITE_MAX);
		i = (size_t)(lf - b.p) + 1;
	}
	buf_done(&b);
}

static void
capabilities(void **state)
{
	struct smtp_reply r;
	struct smtp_capabilities c;
	size_t used;
	smtp_reply_init(&r);
	assert_int_equal(smtp_reply_feed(&r,
					 bytes_str("250-DSN greets\r\n250-size 1000\r\n250-AUTH LOGIN PLAIN\r\n"
						   "250-PIPELININGX\r\n250 8BITMIME\r\n"),
					 &used),
			 SMTP_DONE);
	smtp_capabilities_parse(&r, &c);
	assert_true(c.size && c.size_max == 1000 && c.auth_plain && c.auth_login && c.eightbitmime);
	assert_false(c.dsn || c.pipelining || c.starttls);
	smtp_reply_done(&r);
}

static void
data_decoder(void **state)
{
	static const struct {
		const char *in;
		enum smtp_data_progress end;
		const char *out, *rest;
	} table[] = {
	    {"a\r\n.\r\nQUIT", SMTP_DATA_DONE, "a\r\n", "QUIT"},
	    {".\r\n", SMTP_DATA_DONE, "", ""},
	    {"..\r\n.\r\n", SMTP_DATA_DONE, ".\r\n", ""},
	    {".a\r\n.\r\n", SMTP_DATA_DONE, "a\r\n", ""},
	    {"a.\r\n.b\r\n", SMTP_DATA_MORE, "a.\r\nb\r\n", ""},
	    {"\r\n\r\n.\r\n", SMTP_DATA_DONE, "\r\n\r\n", ""},
	    {"a\n", SMTP_DATA_BAD, NULL, NULL},
	    {"\n", SMTP_DATA_BAD, NULL, NULL},
	    {"a\rb", SMTP_DATA_BAD, NULL, NULL},
	    {"a\r\r\n", SMTP_DATA_BAD, NULL, NULL},
	    {"a\r\n.\n", SMTP_DATA_BAD, NULL, NULL},
	    {"a\r\n.\rx", SMTP_DATA_BAD, NULL, NULL},
	    {"a\n.\r\n", SMTP_DATA_BAD, NULL, NULL},
	    {"a\r.\r\n", SMTP_DATA_BAD, NULL, NULL},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct smtp_data d;
		struct buf out;
		size_t used;
		struct bytes in = bytes_str(table[i].in);
		buf_init(&out, 0);
		smtp_data_init(&d, true);
		enum smtp_data_progress p = smtp_data_decode(&d, in, &out, &used);
		if (p != table[i].end)
			fail_msg("\"%s\": %d", table[i].in, (int)p);
		if (p != SMTP_DATA_BAD) {
			assert_true(bytes_eq(buf_bytes(&out), bytes_str(table[i].out)));
			assert_true(bytes_eq(bytes_of(in.p + used, in.n - used), bytes_str(table[i].rest)));
		}
		buf_done(&out);
	}
}

static void
dot_encoder(void **state)
{
	static const struct {
		const char *in, *out; /* NULL: refused */
	} table[] = {
	    {"a\r\n", "a\r\n.\r\n"}, {"", ".\r\n"},	 {".\r\n..\r\na.\r\n", "..\r\n...\r\na.\r\n.\r\n"},
	    {"a", "a\r\n.\r\n"},     {"a\nb\r\n", NULL}, {"a\rb\r\n", NULL},
	    {"a\r", NULL},	     {"a\r\r\n", NULL},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		for (size_t piece = 1; piece <= 20; piece += 19) {
			struct smtp_dot d;
			struct buf out;
			enum rc rc = RC_OK;
			struct bytes in = bytes_str(table[i].in);
			buf_init(&out, 0);
			smtp_dot_init(&d);
			for (size_t k = 0; k < in.n && rc == RC_OK; k += piece)
				rc = smtp_dot_encode(&d, bytes_of(in.p + k, in.n - k < piece ? in.n - k : piece), &out,
						     NULL);
			if (rc == RC_OK)
				rc = smtp_dot_end(&d, &out, NULL);
			assert_int_equal(rc, table[i].out != NULL ? RC_OK : RC_INVALID);
			if (rc == RC_OK)
				assert_true(bytes_eq(buf_bytes(&out), bytes_str(table[i].out)));
			buf_done(&out);
		}
	}
}

static void
xtext(void **state)
{
	struct buf b;
	buf_init(&b, 0);
	smtp_xtext_encode(bytes_of("a +=\xff\0", 6), &b);
	assert_string_equal((char *)b.p, "a+20+2B+3D+FF+00");
	buf_reset(&b);
	assert_int_equal(smtp_xtext_decode(bytes_str("a+20b"), &b, NULL), RC_OK);
	assert_string_equal((char *)b.p, "a b");
	assert_false(smtp_xtext_valid(bytes_str("a+2")));
	assert_false(smtp_xtext_valid(bytes_str("a+2b")));
	assert_false(smtp_xtext_valid(bytes_str("a=b")));
	assert_false(smtp_xtext_valid(bytes_str("a b")));
	buf_done(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(addresses),
	    cmocka_unit_test(domains),
	    cmocka_unit_test(domains_nobody_can_have),
	    cmocka_unit_test(commands),
	    cmocka_unit_test(replies),
	    cmocka_unit_test(replies_are_bounded),
	    cmocka_unit_test(written_replies),
	    cmocka_unit_test(capabilities),
	    cmocka_unit_test(data_decoder),
	    cmocka_unit_test(dot_encoder),
	    cmocka_unit_test(xtext),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
