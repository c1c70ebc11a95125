/* SPDX-License-Identifier: MIT
 *
 * Dialogues: what the client sends, what it gets. Steps are separated by "|" (the client waits for replies there); each
 * legal dialogue is tried whole and one octet at a time and must read the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "ingest_testing.h"

#define MX_HELLO  "EHLO c.test\r\n|"
#define MX_OPEN	  MX_HELLO "MAIL FROM:<a@b.test>\r\nRCPT TO:<u@one.test>\r\n|"
#define SUB_HELLO "EHLO c.test\r\n|AUTH PLAIN AG1lAHNlY3JldA==\r\n|"
#define END_MORE  SESSION_MORE
#define END_CLOSE SESSION_CLOSE

struct dialogue {
	const char *name;
	enum session_kind kind;
	bool tls;
	const char *in;
	const char *codes; /* reply codes in order, one per reply */
	const char *holds; /* somewhere in the output; NULL: no matter */
	enum session_want end;
	int messages;
	bool whole_only; /* depends on what was sent together */
};

static const struct dialogue dialogues[] = {
    {"greeting", SESSION_MX, false, "", "220", "mx.test ESMTP", END_MORE, 0},
    {"ehlo", SESSION_MX, false, "EHLO c.test\r\n", "220 250", "250-SIZE 1000", END_MORE, 0},
    {"mx does not offer auth", SESSION_MX, true, "EHLO c.test\r\n|AUTH PLAIN AG1lAHNlY3JldA==\r\n", "220 250 503", NULL,
     END_MORE, 0},
    {"starttls offered", SESSION_MX, false, "EHLO c.test\r\n", "220 250", "250 STARTTLS", END_MORE, 0},
    {"ehlo needs a name", SESSION_MX, false, "EHLO\r\n", "220 501", NULL, END_MORE, 0},
    {"mail first needs hello", SESSION_MX, false, "MAIL FROM:<a@b.test>\r\n", "220 503", NULL, END_MORE, 0},
    {"one mail", SESSION_MX, false, MX_OPEN "DATA\r\n|Subject: x\r\n\r\nhi\r\n.\r\n", "220 250 250 250 354 250",
     "18 octets for 1", END_MORE, 1},
    {"helo mail", SESSION_MX, false,
     "HELO c.test\r\n|MAIL FROM:<>\r\n|RCPT TO:<u@one.test>\r\n|DATA\r\n|x\r\n.\r\n|QUIT\r\n",
     "220 250 250 250 354 250 221", "250 3 octets", END_CLOSE, 1},
    {"dots are unstuffed", SESSION_MX, false, MX_OPEN "DATA\r\n|..\r\n.a\r\n.\r\n", "220 250 250 250 354 250",
     "6 octets for 1", END_MORE, 1},
    {"relaying denied", SESSION_MX, false, MX_HELLO "MAIL FROM:<a@b.test>\r\n|RCPT TO:<u@else.test>\r\n|DATA\r\n",
     "220 250 250 550 554", "5.7.1 relaying denied", END_MORE, 0},
    {"auth is down", SESSION_MX, false, MX_HELLO "MAIL FROM:<a@b.test>\r\n|RCPT TO:<u@later.test>\r\n",
     "220 250 250 451", "4.3.0", END_MORE, 0},
    {"one tenant per mail", SESSION_MX, false, MX_OPEN "RCPT TO:<u@two.test>\r\n|DATA\r\n|x\r\n.\r\n",
     "220 250 250 250 451 354 250", "4.5.3 send separately", END_MORE, 1},
    {"postmaster without domain", SESSION_MX, false, MX_HELLO "MAIL FROM:<a@b.test>\r\n|RCPT TO:<Postmaster>\r\n",
     "220 250 250 550", NULL, END_MORE, 0},
    {"too many recipients", SESSION_MX, false,
     MX_OPEN "RCPT TO:<v@one.test>\r\nRCPT TO:<w@one.test>\r\nRCPT TO:<x@one.test>\r\n", "220 250 250 250 250 250 452",
     "4.5.3", END_MORE, 0},
    {"address literal", SESSION_MX, false, MX_HELLO "MAIL FROM:<a@b.test>\r\nRCPT TO:<u@[192.0.2.1]>\r\n",
     "220 250 250 550", NULL, END_MORE, 0},
    {"nested mail", SESSION_MX, false, MX_OPEN "MAIL FROM:<a@b.test>\r\n", "220 250 250 250 503", NULL, END_MORE, 0},
    {"rset", SESSION_MX, false, MX_OPEN "RSET\r\nDATA\r\n", "220 250 250 250 250 503", NULL, END_MORE, 0},
    {"rcpt first", SESSION_MX, false, MX_HELLO "RCPT TO:<u@one.test>\r\n", "220 250 503", NULL, END_MORE, 0},
    {"data without recipients", SESSION_MX, false, MX_HELLO "MAIL FROM:<a@b.test>\r\nDATA\r\n", "220 250 250 554", NULL,
     END_MORE, 0},
    {"size by parameter", SESSION_MX, false, MX_HELLO "MAIL FROM:<a@b.test> SIZE=1001\r\n", "220 250 552", "5.3.4",
     END_MORE, 0},
    {"unknown parameter", SESSION_MX, false, MX_HELLO "MAIL FROM:<a@b.test> XYZ=1\r\n", "220 250 555", "5.5.4",
     END_MORE, 0},
    {"idempotency only inside", SESSION_MX, false, MX_HELLO "MAIL FROM:<a@b.test> XSEKISHO-IDEMPOTENCY=k\r\n",
     "220 250 555", NULL, END_MORE, 0},
    {"utf8 without smtputf8", SESSION_MX, false, MX_HELLO "MAIL FROM:<\xc3\xa9@b.test>\r\n", "220 250 553", "5.6.7",
     END_MORE, 0},
    {"utf8 recipient without smtputf8", SESSION_MX, false,
     MX_HELLO "MAIL FROM:<a@b.test>\r\nRCPT TO:<\xc3\xa9@one.test>\r\n", "220 250 250 553", "5.6.7", END_MORE, 0},
    {"smtputf8", SESSION_MX, false,
     MX_HELLO "MAIL FROM:<\xc3\xa9@b.test> SMTPUTF8\r\nRCPT TO:<\xc3\xa9@one.test>\r\n|DATA\r\n|x\r\n.\r\n",
     "220 250 250 250 354 250", NULL, END_MORE, 1},
    {"unknown command", SESSION_MX, false, MX_HELLO "FROBNICATE\r\n", "220 250 500", "5.5.1", END_MORE, 0},
    {"control character", SESSION_MX, false, MX_HELLO "NOOP \x01\r\n", "220 250 500", "5.5.2", END_MORE, 0},
    {"bare cr in command", SESSION_MX, false, MX_HELLO "NOOP a\rRSET\r\n", "220 250 500", NULL, END_MORE, 0},
    {"bare lf ends it", SESSION_MX, false, MX_HELLO "NOOP\nRSET\r\n", "220 250 500", NULL, END_CLOSE, 0},
    {"too many errors", SESSION_MX, false, MX_HELLO "A\r\n|B\r\n|C\r\n|D\r\n|E\r\n|NOOP\r\n",
     "220 250 500 500 500 500 500 421", NULL, END_CLOSE, 0},
    {"vrfy, expn, help, noop", SESSION_MX, false, "VRFY a\r\n|EXPN a\r\n|HELP\r\n|NOOP\r\n", "220 252 502 214 250",
     NULL, END_MORE, 0},
    {"quit", SESSION_MX, false, "QUIT\r\n", "220 221", NULL, END_CLOSE, 0},
    /* smuggling */
    {"lf dot lf", SESSION_MX, false, MX_OPEN "DATA\r\n|x\n.\nMAIL FROM:<a@b.test>\r\n", "220 250 250 250 354 554",
     "bare CR or LF", END_CLOSE, 0},
    {"lf dot crlf", SESSION_MX, false, MX_OPEN "DATA\r\n|x\n.\r\n", "220 250 250 250 354 554", NULL, END_CLOSE, 0},
    {"crlf dot lf", SESSION_MX, false, MX_OPEN "DATA\r\n|x\r\n.\nMAIL\r\n", "220 250 250 250 354 554", NULL, END_CLOSE,
     0},
    {"crlf dot cr", SESSION_MX, false, MX_OPEN "DATA\r\n|x\r\n.\rMAIL\r\n", "220 250 250 250 354 554", NULL, END_CLOSE,
     0},
    {"cr dot cr", SESSION_MX, false, MX_OPEN "DATA\r\n|x\r.\rMAIL\r\n", "220 250 250 250 354 554", NULL, END_CLOSE, 0},
    {"cr cr lf dot", SESSION_MX, false, MX_OPEN "DATA\r\n|x\r\r\n.\r\n", "220 250 250 250 354 554", NULL, END_CLOSE, 0},
    {"end at once", SESSION_MX, false, MX_OPEN "DATA\r\n|.\r\n", "220 250 250 250 354 250", "0 octets", END_MORE, 1},
    {"nul is refused", SESSION_MX, false, NULL, "220 250 250 250 354 554", "NUL", END_MORE, 0},
    {"bare lf in bdat", SESSION_MX, false, MX_OPEN "BDAT 4 LAST\r\na\nb\r", "220 250 250 250 554", NULL, END_CLOSE, 0},
    {"body sent with data", SESSION_MX, false, MX_OPEN "DATA\r\nx\r\n.\r\n", "220 250 250 250 503", "5.5.0", END_CLOSE,
     0, true},
    {"commands sent with ehlo", SESSION_MX, false, "EHLO c.test\r\nMAIL FROM:<a@b.test>\r\n", "220 503", NULL,
     END_CLOSE, 0, true},
    {"commands sent with starttls", SESSION_MX, false, MX_HELLO "STARTTLS\r\nEHLO x.test\r\n", "220 250 503", NULL,
     END_CLOSE, 0, true},
    {"starttls", SESSION_MX, false, MX_HELLO "STARTTLS\r\n", "220 250 220", "2.0.0", SESSION_STARTTLS, 0},
    {"starttls under tls", SESSION_MX, true, MX_HELLO "STARTTLS\r\n", "220 250 503", NULL, END_MORE, 0},
    {"starttls with argument", SESSION_MX, false, MX_HELLO "STARTTLS x\r\n", "220 250 501", NULL, END_MORE, 0},
    /* chunks */
    {"bdat", SESSION_MX, false, MX_OPEN "BDAT 3\r\na\r\nBDAT 4 LAST\r\nb\r\n.", "220 250 250 250 250 250",
     "9 octets for 1", END_MORE, 1},
    {"bdat empty last", SESSION_MX, false, MX_OPEN "BDAT 3\r\na\r\nBDAT 0 LAST\r\n", "220 250 250 250 250 250",
     "3 octets for 1", END_MORE, 1},
    {"bdat crlf over the seam", SESSION_MX, false, MX_OPEN "BDAT 2\r\na\rBDAT 1 LAST\r\n\n", "220 250 250 250 250 250",
     "3 octets for 1", END_MORE, 1},
    {"bdat without mail", SESSION_MX, false, MX_HELLO "BDAT 3 LAST\r\na\r\nNOOP\r\n", "220 250 503 250", NULL, END_MORE,
     0},
    {"mail after a failed bdat", SESSION_MX, false,
     MX_HELLO "BDAT 1\r\nxMAIL FROM:<a@b.test>\r\nRCPT TO:<u@one.test>\r\n|DATA\r\n|x\r\n.\r\n",
     "220 250 503 250 250 354 250", NULL, END_MORE, 1},
    {"data after bdat", SESSION_MX, false, MX_OPEN "BDAT 3\r\na\r\nDATA\r\n", "220 250 250 250 250 503", NULL, END_MORE,
     0},
    {"rcpt after bdat", SESSION_MX, false, MX_OPEN "BDAT 3\r\na\r\nRCPT TO:<v@one.test>\r\n", "220 250 250 250 250 503",
     NULL, END_MORE, 0},
    {"bdat nonsense", SESSION_MX, false, MX_OPEN "BDAT x\r\nBDAT 3 FIRST\r\n", "220 250 250 250 501 501", NULL,
     END_MORE, 0},
    {"bdat too large", SESSION_MX, false, MX_OPEN "BDAT 99999\r\n", "220 250 250 250 552", NULL, END_CLOSE, 0},
    /* accounts */
    {"submission wants tls", SESSION_SUBMISSION, false, MX_HELLO "MAIL FROM:<me@own.test>\r\n", "220 250 530",
     "STARTTLS", END_MORE, 0},
    {"no auth in clear", SESSION_SUBMISSION, false, MX_HELLO "AUTH PLAIN AG1lAHNlY3JldA==\r\n", "220 250 538", NULL,
     END_MORE, 0},
    {"submission wants auth", SESSION_SUBMISSION, true, MX_HELLO "MAIL FROM:<me@own.test>\r\n", "220 250 530", "5.7.0",
     END_MORE, 0},
    {"auth plain", SESSION_SUBMISSION, true, SUB_HELLO, "220 250 235", NULL, END_MORE, 0},
    {"auth plain in two steps", SESSION_SUBMISSION, true, MX_HELLO "AUTH PLAIN\r\n|AG1lAHNlY3JldA==\r\n",
     "220 250 334 235", NULL, END_MORE, 0},
    {"auth login", SESSION_SUBMISSIONS, true, MX_HELLO "AUTH LOGIN\r\n|bWU=\r\n|c2VjcmV0\r\n", "220 250 334 334 235",
     "334 VXNlcm5hbWU6", END_MORE, 0},
    {"auth login with name", SESSION_SUBMISSIONS, true, MX_HELLO "AUTH LOGIN bWU=\r\n|c2VjcmV0\r\n", "220 250 334 235",
     NULL, END_MORE, 0},
    {"auth cancelled", SESSION_SUBMISSION, true, MX_HELLO "AUTH LOGIN\r\n|*\r\n", "220 250 334 501", NULL, END_MORE, 0},
    {"auth bad base64", SESSION_SUBMISSION, true, MX_HELLO "AUTH PLAIN !!!!\r\n", "220 250 501", NULL, END_MORE, 0},
    {"auth for another", SESSION_SUBMISSION, true, MX_HELLO "AUTH PLAIN YWJjAG1lAHNlY3JldA==\r\n", "220 250 501", NULL,
     END_MORE, 0},
    {"auth unknown mechanism", SESSION_SUBMISSION, true, MX_HELLO "AUTH CRAM-MD5\r\n", "220 250 504", NULL, END_MORE,
     0},
    {"auth wrong twice", SESSION_SUBMISSION, true, MX_HELLO "AUTH PLAIN AG1lAHdyb25n\r\n|AUTH PLAIN AG1lAHdyb25n\r\n",
     "220 250 535 421", "5.7.8", END_CLOSE, 0},
    {"auth later", SESSION_SUBMISSION, true, MX_HELLO "AUTH PLAIN AG1lAGxhdGVy\r\n", "220 250 454", NULL, END_MORE, 0},
    {"auth twice", SESSION_SUBMISSION, true, SUB_HELLO "AUTH PLAIN AG1lAHNlY3JldA==\r\n", "220 250 235 503", NULL,
     END_MORE, 0},
    {"submission", SESSION_SUBMISSION, true,
     SUB_HELLO "MAIL FROM:<me@own.test>\r\nRCPT TO:<x@any.test>\r\nDATA\r\n|a\r\n.\r\n", "220 250 235 250 250 354 250",
     NULL, END_MORE, 1},
    {"sender not registered", SESSION_SUBMISSION, true, SUB_HELLO "MAIL FROM:<ceo@else.test>\r\n", "220 250 235 550",
     "5.7.1 sender refused: address not registered", END_MORE, 0},
    {"sender later", SESSION_SUBMISSION, true, SUB_HELLO "MAIL FROM:<later@own.test>\r\n", "220 250 235 451", NULL,
     END_MORE, 0},
    {"internal", SESSION_INTERNAL, false,
     MX_HELLO "AUTH XSEKISHO-ACTOR dG9rZW4=\r\n|MAIL FROM:<me@own.test> "
	      "XSEKISHO-IDEMPOTENCY=a+2Bb\r\nRCPT TO:<x@any.test>\r\nBDAT 3 LAST\r\na\r\n",
     "220 250 235 250 250 250", NULL, END_MORE, 1},
    {"internal wants a token", SESSION_INTERNAL, false, MX_HELLO "AUTH PLAIN AG1lAHNlY3JldA==\r\n", "220 250 504", NULL,
     END_MORE, 0},
    {"internal wants auth", SESSION_INTERNAL, false, MX_HELLO "MAIL FROM:<me@own.test>\r\n", "220 250 530", NULL,
     END_MORE, 0},
    {"a second mail", SESSION_SUBMISSION, true,
     SUB_HELLO "MAIL FROM:<me@own.test>\r\nRCPT TO:<x@any.test>\r\nDATA\r\n|a\r\n.\r\n"
	       "|MAIL FROM:<me@own.test>\r\nRCPT TO:<x@any.test>\r\nDATA\r\n|a\r\n.\r\n",
     "220 250 235 250 250 354 250 250 250 354 250", NULL, END_MORE, 2},
};

/* "220 250 ...": the code of each reply's last line. */
static void
codes_of(struct bytes out, char *text, size_t size)
{
	size_t o = 0;
	text[0] = '\0';
	for (size_t i = 0; i + 4 < out.n;) {
		const uint8_t *lf = memchr(out.p + i, '\n', out.n - i);
		assert_non_null(lf);
		if (out.p[i + 3] == ' ')
			o += (size_t)snprintf(text + o, size - o, "%s%.3s", o > 0 ? " " : "", (const char *)out.p + i);
		i = (size_t)(lf - out.p) + 1;
	}
}

static void
talk(struct testing *t, const char *in, size_t n, bool octets)
{
	for (size_t i = 0; i < n;) {
		size_t k = 0;
		while (i + k < n && in[i + k] != '|')
			k++;
		for (size_t at = 0; at < k; at += octets ? 1 : k)
			testing_feed(t, in + i + at, octets ? 1 : k);
		i += k + 1;
	}
}

static void
try_one(const struct dialogue *d, bool octets)
{
	struct testing t;
	char codes[300];
	static const char nul[] = MX_OPEN "DATA\r\n|a\0b\r\n.\r\n";
	testing_init(&t, d->kind, d->tls);
	talk(&t, d->in != NULL ? d->in : nul, d->in != NULL ? strlen(d->in) : sizeof(nul) - 1, octets);
	codes_of(buf_bytes(&t.out), codes, sizeof(codes));
	if (strcmp(codes, d->codes) != 0 ||
	    (d->holds != NULL && bytes_find(buf_bytes(&t.out), bytes_str(d->holds)) < 0))
		fail_msg("%s (%s): codes \"%s\", wanted \"%s\"; said\n%s", d->name, octets ? "octets" : "whole", codes,
			 d->codes, (const char *)t.out.p);
	assert_int_equal(t.want, d->end);
	assert_int_equal(t.messages, d->messages);
	testing_done(&t);
	assert_int_equal(t.budget.used, 0);
}

static void
all_dialogues(void **state)
{
	for (size_t i = 0; i < sizeof(dialogues) / sizeof(*dialogues); i++) {
		try_one(&dialogues[i], false);
		if (!dialogues[i].whole_only)
			try_one(&dialogues[i], true);
	}
}

static void
envelope_is_complete(void **state)
{
	struct testing t;
	static const char in[] = MX_HELLO
	    "AUTH XSEKISHO-ACTOR dG9rZW4=\r\n|"
	    "MAIL FROM:<@relay.test:me@own.test> SIZE=5 BODY=8BITMIME RET=HDRS ENVID=a+20b SMTPUTF8 "
	    "XSEKISHO-IDEMPOTENCY=k+2B XSEKISHO-TRACE=00-0123456789abcdef0123456789abcdef-0123456789abcdef-01\r\n"
	    "RCPT TO:<\"x y\"@any.test> NOTIFY=success,Delay ORCPT=rfc822;x@any.test\r\n|DATA\r\n|..b\r\n.\r\n";
	testing_init(&t, SESSION_INTERNAL, false);
	talk(&t, in, sizeof(in) - 1, false);
	assert_int_equal(t.messages, 1);
	const struct envelope *e = t.last;
	assert_true(bytes_eq(e->mail_from, bytes_str("me@own.test")));
	assert_true(bytes_eq(e->envid, bytes_str("a b")));
	assert_true(bytes_eq(e->idempotency, bytes_str("k+")));
	assert_int_equal(e->ret, SMTP_RET_HDRS);
	assert_true(e->eight_bit && e->smtputf8 && !e->incoming && e->has_tenant);
	assert_int_equal(e->n_recipients, 1);
	assert_true(bytes_eq(e->recipients[0].address, bytes_str("\"x y\"@any.test")));
	assert_int_equal(e->recipients[0].notify, SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_DELAY);
	assert_true(bytes_eq(e->recipients[0].orcpt, bytes_str("rfc822;x@any.test")));
	assert_true(bytes_eq(buf_bytes(&e->body), bytes_str(".b\r\n")));
	assert_memory_equal(e->traceparent, "00-0123456789abcdef0123456789abcdef-", 36);
	assert_string_equal(e->protocol, "UTF8SMTPA");
	assert_string_equal(e->account_name, "me");
	testing_done(&t);
}

static void
a_domain_is_asked_for_once_a_mail(void **state)
{
	struct testing t;
	static const char in[] = MX_OPEN "RCPT TO:<v@ONE.test>\r\nRCPT TO:<w@two.test>\r\nRCPT TO:<w@one.test>\r\n|"
					 "RSET\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<u@one.test>\r\n";
	testing_init(&t, SESSION_MX, false);
	talk(&t, in, sizeof(in) - 1, false);
	assert_int_equal(t.recipients_asked, 3); /* one, two, and one again in the next mail */
	testing_done(&t);
}

static void
too_large_is_read_to_its_end(void **state)
{
	struct testing t;
	char line[102];
	testing_init(&t, SESSION_MX, false);
	talk(&t, MX_OPEN "DATA\r\n", strlen(MX_OPEN "DATA\r\n"), false);
	memset(line, 'x', 100);
	memcpy(line + 100, "\r\n", 2);
	for (int i = 0; i < 50; i++)
		testing_feed(&t, line, sizeof(line));
	testing_feed(&t, ".\r\nNOOP\r\n", 9);
	char codes[100];
	codes_of(buf_bytes(&t.out), codes, sizeof(codes));
	assert_string_equal(codes, "220 250 250 250 354 552 250");
	assert_int_equal(t.messages, 0);
	testing_done(&t);
	assert_int_equal(t.budget.used, 0);
}

static void
no_memory_is_a_452(void **state)
{
	struct testing t;
	testing_init(&t, SESSION_MX, false);
	t.budget.limit = 100;
	talk(&t, MX_OPEN "DATA\r\n|x\r\n.\r\n", strlen(MX_OPEN "DATA\r\n|x\r\n.\r\n"), false);
	char codes[100];
	codes_of(buf_bytes(&t.out), codes, sizeof(codes));
	assert_string_equal(codes, "220 250 250 250 354 452");
	testing_done(&t);
	assert_int_equal(t.budget.used, 0);
}

/* The 452 is said at the end, the memory is free at once; another client's message is taken meanwhile. */
static void
one_client_has_its_share(void **state)
{
	struct testing t;
	uint64_t octets;
	testing_init(&t, SESSION_MX, false);
	t.cfg.size_max = 1 << 20;
	t.budget.share = 20000;
	talk(&t, MX_OPEN "DATA\r\n", strlen(MX_OPEN "DATA\r\n"), false);
	for (int i = 0; i < 30; i++)
		testing_feed(&t, "....1....1....1....1....1....1....1....1\r\n", 42);
	assert_true(t.budget.used > 0);
	for (int i = 0; i < 600; i++)
		testing_feed(&t, "....1....1....1....1....1....1....1....1\r\n", 42);
	assert_int_equal(t.budget.used, 0);
	assert_int_equal(session_receiving(t.session, &octets), 1);
	assert_true(octets > 20000);
	testing_feed(&t, ".\r\n", 3);
	assert_true(bytes_find(buf_bytes(&t.out), bytes_str("452 4.3.1")) > 0);
	assert_int_equal(session_receiving(t.session, &octets), 0);
	testing_done(&t);
}

/* DATA, a chunk, and the time between two chunks are one message; a failed BDAT is none. */
static void
receiving_is_known(void **state)
{
	static const struct {
		const char *in;
		uint64_t message, octets;
	} table[] = {
	    {MX_OPEN, 0},
	    {MX_OPEN "DATA\r\n|", 1, 0},
	    {MX_OPEN "DATA\r\n|x\r\n", 1, 3},
	    {MX_OPEN "DATA\r\n|x\r\n.\r\n", 0},
	    {MX_OPEN "BDAT 10\r\nx", 1, 1},
	    {MX_OPEN "BDAT 2\r\nxx", 1, 2},
	    {MX_OPEN "BDAT 2\r\nxxBDAT 9\r\ny", 1, 3},
	    {MX_OPEN "BDAT 2\r\nxxRSET\r\n", 0},
	    {MX_HELLO "BDAT 2\r\nxx", 0},
	    {MX_OPEN "DATA\r\n|x\r\n.\r\n|MAIL FROM:<a@b.test>\r\nRCPT TO:<u@one.test>\r\nBDAT 3\r\n", 2, 0},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct testing t;
		uint64_t octets = 0;
		testing_init(&t, SESSION_MX, false);
		talk(&t, table[i].in, strlen(table[i].in), false);
		assert_int_equal(session_receiving(t.session, &octets), table[i].message);
		assert_int_equal(octets, table[i].octets);
		testing_done(&t);
	}
}

/* Who is told to go and does not read holds no memory. */
static void
a_goodbye_gives_the_message_back(void **state)
{
	struct testing t;
	testing_init(&t, SESSION_MX, false);
	talk(&t, MX_OPEN "DATA\r\n|x\r\n", strlen(MX_OPEN "DATA\r\n|x\r\n"), false);
	assert_true(t.budget.used > 0);
	session_goodbye(t.session, 421, "4.4.2", "message comes too slowly", &t.out);
	assert_int_equal(t.budget.used, 0);
	testing_done(&t);
}

static void
long_lines(void **state)
{
	struct testing t;
	char line[5000];
	testing_init(&t, SESSION_MX, false);
	memset(line, 'a', sizeof(line));
	testing_feed(&t, line, sizeof(line));
	assert_int_equal(t.want, SESSION_CLOSE);
	assert_true(bytes_find(buf_bytes(&t.out), bytes_str("500 5.5.6 line too long")) > 0);
	testing_done(&t);
}

/* What was said in clear is forgotten: EHLO and the transaction. */
static void
tls_forgets(void **state)
{
	struct testing t;
	testing_init(&t, SESSION_MX, false);
	talk(&t, MX_HELLO "STARTTLS\r\n", strlen(MX_HELLO "STARTTLS\r\n"), false);
	assert_int_equal(t.want, SESSION_STARTTLS);
	session_tls_started(t.session, "TLSv1.3 TEST");
	t.want = SESSION_MORE;
	testing_feed(&t, "MAIL FROM:<a@b.test>\r\n", 22);
	assert_true(bytes_find(buf_bytes(&t.out), bytes_str("503 send EHLO first")) > 0);
	testing_done(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(all_dialogues),
	    cmocka_unit_test(envelope_is_complete),
	    cmocka_unit_test(a_domain_is_asked_for_once_a_mail),
	    cmocka_unit_test(too_large_is_read_to_its_end),
	    cmocka_unit_test(no_memory_is_a_452),
	    cmocka_unit_test(one_client_has_its_share),
	    cmocka_unit_test(receiving_is_known),
	    cmocka_unit_test(a_goodbye_gives_the_message_back),
	    cmocka_unit_test(long_lines),
	    cmocka_unit_test(tls_forgets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
