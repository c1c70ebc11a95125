/* SPDX-License-Identifier: MIT
 *
 * The 7-bit variant: what changes, what stays octet for octet, and what is refused.
 */
#include "mail/sevenbit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define E_ACUTE "\xc3\xa9"

struct sample {
	struct facts f;
	struct facts_part parts[3];
	struct facts_field fields[8];
	struct bytes msg;
};

static uint64_t
find(struct bytes msg, const char *what)
{
	ptrdiff_t at = bytes_find(msg, bytes_str(what));
	assert_true(at >= 0);
	return (uint64_t)at;
}

static void
top(struct sample *s, const char *text)
{
	*s = (struct sample){.msg = bytes_str(text)};
	s->f.size = s->msg.n;
	s->f.header_length = (uint32_t)find(s->msg, "\r\n\r\n") + 2;
	s->f.fields = s->fields;
	s->f.parts = s->parts;
	for (uint32_t i = 0; i < s->f.header_length;) {
		uint32_t from = i;
		i = (uint32_t)((const uint8_t *)memchr(s->msg.p + i, '\n', s->msg.n - i) - s->msg.p) + 1;
		s->fields[s->f.n_fields++] = (struct facts_field){
		    from, (uint32_t)((const uint8_t *)memchr(s->msg.p + from, ':', i - from) - (s->msg.p + from)),
		    i - from};
	}
	s->parts[0] = (struct facts_part){.parent = -1,
					  .header_length = s->f.header_length,
					  .body_offset = s->f.header_length + 2,
					  .body_length = s->msg.n - s->f.header_length - 2,
					  .content_type = "text/plain",
					  .charset = "",
					  .encoding = "8bit",
					  .disposition = "",
					  .content_id = ""};
	s->f.n_parts = 1;
}

static void
child(struct sample *s, const char *header, const char *type, const char *encoding, const char *body, size_t body_n)
{
	struct facts_part *p = &s->parts[s->f.n_parts++];
	*p = s->parts[0];
	p->parent = 0;
	p->header_offset = find(s->msg, header);
	p->header_length = strlen(header);
	p->content_type = type;
	p->encoding = encoding;
	p->body_offset = find(s->msg, body);
	p->body_length = body_n;
}

static enum rc
make(struct sample *s, struct arena *a, struct buf *whole, struct sevenbit *v)
{
	struct err err;
	enum rc rc = sevenbit_make(&s->f, s->msg, a, v, &err);
	buf_reset(whole);
	for (size_t i = 0; rc == RC_OK && i < v->n_pieces; i++)
		buf_add_bytes(whole, v->pieces[i]);
	return rc;
}

static void
single(void **state)
{
	struct arena *a = arena_new();
	struct sample s;
	struct sevenbit v;
	struct buf whole;
	buf_init(&whole, 0);
	top(&s, "Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "
		"8bit\r\n\r\ncaf" E_ACUTE "\r\n");
	assert_int_equal(make(&s, a, &whole, &v), RC_OK);
	assert_string_equal((char *)whole.p,
			    "Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n"
			    "Content-Transfer-Encoding: base64\r\nMIME-Version: 1.0\r\n\r\nY2Fmw6kNCg==\r\n");
	assert_int_equal(v.n_fields, 4);
	assert_true(bytes_eq(v.fields[2], bytes_str("Content-Transfer-Encoding: base64\r\n")));
	assert_true(bytes_eq(v.fields[3], bytes_str("MIME-Version: 1.0\r\n")));
	/* The fields and the body are exactly the pieces: what is signed is what is sent. */
	struct buf again;
	buf_init(&again, 0);
	for (size_t i = 0; i < v.n_fields; i++)
		buf_add_bytes(&again, v.fields[i]);
	buf_add_str(&again, "\r\n");
	for (size_t i = 0; i < v.n_body; i++)
		buf_add_bytes(&again, v.body[i]);
	assert_true(bytes_eq(buf_bytes(&again), buf_bytes(&whole)));
	buf_done(&again);
	buf_done(&whole);
	arena_free(&a);
}

#define H1 "Content-Type: text/plain\r\n"
#define H2 "Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n"
static void
multipart(void **state)
{
	struct arena *a = arena_new();
	struct sample s;
	struct sevenbit v;
	struct buf whole;
	buf_init(&whole, 0);
	top(&s,
	    "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
	    "--b\r\n" H1 "\r\n" E_ACUTE " one\r\n--b\r\n" H2 "\r\nAAAA\r\n--b--\r\n");
	s.parts[0].content_type = "multipart/mixed";
	child(&s, H1, "text/plain", "", E_ACUTE " one", 6);
	child(&s, H2, "image/png", "base64", "AAAA", 4);
	assert_int_equal(make(&s, a, &whole, &v), RC_OK);
	assert_string_equal(
	    (char *)whole.p,
	    "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
	    "--b\r\n" H1 "Content-Transfer-Encoding: base64\r\n\r\nw6kgb25l\r\n--b\r\n" H2 "\r\nAAAA\r\n--b--\r\n");
	buf_done(&whole);
	arena_free(&a);
}

static void
refusals(void **state)
{
	static const char *const sealed[] = {"multipart/signed", "multipart/encrypted", "application/pkcs7-mime",
					     "application/pgp-encrypted", "message/rfc822"};
	struct arena *a = arena_new();
	struct sample s;
	struct sevenbit v;
	struct buf whole;
	buf_init(&whole, 0);
	for (size_t i = 0; i < sizeof(sealed) / sizeof(sealed[0]); i++) {
		top(&s, "MIME-Version: 1.0\r\n\r\n--b\r\n" H1 "\r\n" E_ACUTE "\r\n--b--\r\n");
		s.parts[0].content_type = sealed[i];
		child(&s, H1, "text/plain", "8bit", E_ACUTE, 2);
		assert_int_equal(make(&s, a, &whole, &v), RC_DENIED);
	}
	top(&s, "Subject: x\r\n\r\n" E_ACUTE "\r\n");
	s.parts[0].encoding = "quoted-printable"; /* says it is encoded, and is not */
	assert_int_equal(make(&s, a, &whole, &v), RC_DENIED);
	top(&s, "Subject: x\r\n\r\n" E_ACUTE "\r\n");
	s.f.utf8_header = true;
	assert_int_equal(make(&s, a, &whole, &v), RC_DENIED);
	/* 8-bit octets between the parts belong to no part. */
	top(&s, "Content-Type: multipart/mixed; boundary=b\r\n\r\n" E_ACUTE "\r\n--b\r\n" H1 "\r\nplain\r\n--b--\r\n");
	s.parts[0].content_type = "multipart/mixed";
	s.parts[0].encoding = "";
	child(&s, H1, "text/plain", "", "plain", 5);
	assert_int_equal(make(&s, a, &whole, &v), RC_DENIED);
	buf_done(&whole);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(single), cmocka_unit_test(multipart),
					   cmocka_unit_test(refusals)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
