/* SPDX-License-Identifier: MIT
 *
 * From JSON to a message: what is written for what is asked, and that nothing in a value becomes a header field.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "mime_text.h"
#include "submission.h"

struct result {
	struct arena *arena;
	json_t *document;
	struct json_in in;
	struct submission s;
	enum rc rc;
	struct err e;
};

static void
run(struct result *r, const char *json)
{
	static const struct uuid id = {{1, 2, 3}};
	*r = (struct result){.arena = arena_new()};
	assert_int_equal(json_in_parse(bytes_str(json), JSON_IN_ANY, &r->document, &r->e), RC_OK);
	r->rc = submission_from_json(&r->in, r->arena, r->document, &id, 1 << 20, &r->s, &r->e);
}

static void
end(struct result *r)
{
	submission_done(&r->s);
	json_decref(r->document);
	arena_free(&r->arena);
}

static void
expect_message(const char *json, const char *message)
{
	struct result r;
	run(&r, json);
	if (r.in.failed)
		print_error("%s %s\n", r.in.pointer, r.in.what);
	assert_int_equal(r.rc, RC_OK);
	assert_false(r.in.failed);
	assert_string_equal((const char *)r.s.message.p, message);
	end(&r);
}

static void
expect_problem(const char *json, const char *pointer)
{
	struct result r;
	run(&r, json);
	assert_true(r.in.failed);
	assert_string_equal(r.in.pointer, pointer);
	assert_null(r.s.message.p);
	end(&r);
}

#define ID "MIME-Version: 1.0\r\n"

static void
plain_text(void **state)
{
	expect_message("{\"from\":\"a@example.com\",\"to\":[\"b@example.org\"],\"subject\":"
		       "\"hello\",\"text\":\"one\\ntwo =\"}",
		       "From: <a@example.com>\r\nTo: <b@example.org>\r\nSubject: hello\r\n" ID
		       "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "
		       "quoted-printable\r\n\r\none\r\ntwo =3D\r\n");
}

static void
japanese(void **state)
{
	expect_message("{\"from\":{\"name\":\"山田\",\"address\":\"a@example.com\"},"
		       "\"to\":[\"b@日本.example\"],"
		       "\"subject\":\"こんにちは\",\"text\":\"本文\"}",
		       "From: =?UTF-8?B?5bGx55Sw?=\r\n <a@example.com>\r\nTo: "
		       "<b@xn--wgv71a.example>\r\n"
		       "Subject: =?UTF-8?B?44GT44KT44Gr44Gh44Gv?=\r\n" ID "Content-Type: text/plain; "
		       "charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
		       "5pys5paHDQo=\r\n");
}

static void
attachment_and_html(void **state)
{
	expect_message("{\"from\":\"a@example.com\",\"to\":[\"b@example.org\"],\"text\":\"t\","
		       "\"html\":\"<b>\",\"attachments\":"
		       "[{\"name\":\"見積.pdf\",\"content_type\":\"application/"
		       "pdf\",\"content_base64\":\"AAEC\"}]}",
		       "From: <a@example.com>\r\nTo: <b@example.org>\r\nSubject: \r\n" ID
		       "Content-Type: multipart/mixed;\r\n "
		       "boundary=\"=_1_01020300-0000-0000-0000-000000000000\"\r\n\r\n"
		       "\r\n--=_1_01020300-0000-0000-0000-000000000000\r\n"
		       "Content-Type: multipart/alternative;\r\n "
		       "boundary=\"=_2_01020300-0000-0000-0000-000000000000\"\r\n\r\n"
		       "\r\n--=_2_01020300-0000-0000-0000-000000000000\r\n"
		       "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "
		       "quoted-printable\r\n\r\nt\r\n"
		       "\r\n--=_2_01020300-0000-0000-0000-000000000000\r\n"
		       "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: "
		       "quoted-printable\r\n\r\n<b>\r\n"
		       "\r\n--=_2_01020300-0000-0000-0000-000000000000--\r\n"
		       "\r\n--=_1_01020300-0000-0000-0000-000000000000\r\n"
		       "Content-Type: application/pdf\r\nContent-Transfer-Encoding: "
		       "base64\r\nContent-Disposition: attachment;\r\n"
		       " filename*=UTF-8''%E8%A6%8B%E7%A9%8D.pdf\r\n\r\nAAEC\r\n"
		       "\r\n--=_1_01020300-0000-0000-0000-000000000000--\r\n");
}

static void
bcc_is_envelope_only(void **state)
{
	struct result r;
	run(&r, "{\"from\":\"a@example.com\",\"to\":[\"b@x.example\",\"b@x.example\"]"
		",\"cc\":[\"c@x.example\"],"
		"\"bcc\":[\"secret@x.example\"],\"text\":\"\"}");
	assert_false(r.in.failed);
	assert_int_equal(r.s.n_recipients, 3);
	assert_memory_equal(r.s.recipients[2].p, "secret@x.example", 16);
	assert_int_equal(bytes_find(buf_bytes(&r.s.message), bytes_str("secret")), -1);
	end(&r);
}

static void
envelope_wins(void **state)
{
	struct result r;
	run(&r, "{\"from\":\"a@example.com\",\"to\":[\"b@x.example\"],\"text\":\"\","
		"\"envelope\":{\"sender\":\"bounce@example.com\",\"recipients\":[\"z@"
		"x.example\"]}}");
	assert_false(r.in.failed);
	assert_int_equal(r.s.n_recipients, 1);
	assert_memory_equal(r.s.recipients[0].p, "z@x.example", 11);
	assert_memory_equal(r.s.sender.p, "bounce@example.com", 18);
	end(&r);
}

#define F "\"from\":\"a@example.com\","
#define T "\"to\":[\"b@example.org\"],"

static void
problems_point(void **state)
{
	static const struct {
		const char *json, *pointer;
	} table[] = {
	    {"[]", ""},
	    {"{" T "\"text\":\"\"}", "/from"},
	    {"{" F "\"text\":\"\"}", "/to"},
	    {"{" F T "\"subject\":\"x\"}", "/text"},
	    {"{" F T "\"text\":1}", "/text"},
	    {"{" F T "\"text\":\"\",\"a/b~c\":1}", "/a~1b~0c"},
	    {"{" F "\"to\":\"b@example.org\",\"text\":\"\"}", "/to"},
	    {"{" F "\"to\":[\"b@example.org\",\"not an address\"],\"text\":\"\"}", "/to/1"},
	    {"{" F "\"to\":[\"b@example.org\\r\\nBcc: x@y\"],\"text\":\"\"}", "/to/0"},
	    {"{" F "\"to\":[{\"name\":\"x\"}],\"text\":\"\"}", "/to/0/address"},
	    {"{" F "\"to\":[{\"name\":\"x\\r\\nBcc: "
	     "y\",\"address\":\"b@x.example\"}],\"text\":\"\"}",
	     "/to/0/name"},
	    {"{" F T "\"text\":\"\",\"subject\":\"x\\nBcc: y@z\"}", "/subject"},
	    {"{" F T "\"text\":\"\",\"attachments\":[{\"name\":\"a\"}]}", "/attachments/0/content_base64"},
	    {"{" F T "\"text\":\"\",\"attachments\":[{\"content_base64\":\"A\"}]}", "/attachments/0/content_base64"},
	    {"{" F T "\"text\":\"\",\"attachments\":[{\"content_base64\":\"\","
	     "\"content_type\":\"text/plain; x=y\"}]}",
	     "/attachments/0/content_type"},
	    {"{" F T "\"text\":\"\",\"attachments\":[{\"content_base64\":\"\","
	     "\"content_type\":\"message/rfc822\"}]}",
	     "/attachments/0/content_type"},
	    {"{" F T "\"text\":\"\",\"envelope\":{\"recipients\":[1]}}", "/envelope/recipients/0"},
	    {"{" F T "\"text\":\"\",\"envelope\":{\"sender\":\"x\"}}", "/envelope/sender"},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		expect_problem(table[i].json, table[i].pointer);
}

static void
too_large(void **state)
{
	static const struct uuid id;
	struct result r;
	run(&r, "{" F T "\"text\":\"\"}");
	submission_done(&r.s);
	assert_int_equal(submission_from_json(&r.in, r.arena, r.document, &id, 100, &r.s, &r.e), RC_LIMIT);
	end(&r);
}

static void
recipient_lists(void **state)
{
	struct arena *a = arena_new();
	struct submission s = {0};
	struct err e;
	assert_int_equal(submission_add_list(a, " a@x.example, \"q,\\\"\"@x.example ,a@x.example", &s, &e), RC_OK);
	assert_int_equal(s.n_recipients, 2);
	assert_memory_equal(s.recipients[1].p, "\"q,\\\"\"@x.example", 15);
	assert_int_equal(submission_add_list(a, "a@x.example,,b@x.example", &s, &e), RC_INVALID);
	assert_int_equal(submission_add_list(a, "A <a@x.example>", &s, &e), RC_INVALID);
	arena_free(&a);
}

static void
raw_lines(void **state)
{
	assert_true(submission_lines_ok(bytes_str("A: b\r\n\r\nx\r\n")));
	static const char *const bad[] = {"", "x", "a\nb\r\n", "a\rb\r\n", "a\r\r\n", "a\r\nb", "a\r"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(submission_lines_ok(bytes_str(bad[i])));
}

/* Every line is short, and encoded words hold whole characters. */
static void
long_subject_folds(void **state)
{
	struct buf b, subject;
	buf_init(&b, 0);
	buf_init(&subject, 0);
	for (int i = 0; i < 100; i++)
		buf_add_str(&subject, "長い件名x");
	mime_header_text(&b, buf_bytes(&subject), false, 9);
	size_t line = 9;
	for (size_t i = 0; i < b.n; i++) {
		assert_true(b.p[i] < 0x7f);
		line = b.p[i] == '\n' ? 0 : line + 1;
		assert_true(line <= 78);
	}
	buf_done(&b);
	buf_done(&subject);
}

static void
long_file_name_continues(void **state)
{
	struct buf b;
	buf_init(&b, 0);
	mime_parameter(&b, "filename", bytes_str("とても長い名前の見積書.pdf"));
	assert_string_equal((const char *)b.p, ";\r\n filename*0*=UTF-8''%E3%81%A8%E3%81%A6%E3%82%82%E9%95%B7%E3%81%84"
					       ";\r\n filename*1*=%E5%90%8D%E5%89%8D%E3%81%AE%E8%A6%8B%E7%A9%8D"
					       ";\r\n filename*2*=%E6%9B%B8.pdf");
	buf_reset(&b);
	mime_parameter(&b, "filename", bytes_str("a \"b\".txt"));
	assert_string_equal((const char *)b.p, ";\r\n filename=\"a \\\"b\\\".txt\"");
	buf_done(&b);
}

static void
quoted_printable_lines(void **state)
{
	struct buf b;
	buf_init(&b, 0);
	mime_quoted_printable(&b, bytes_str("trailing \r\ntab\t\r\n\xe3\x81\x82\r\n"));
	assert_string_equal((const char *)b.p, "trailing=20\r\ntab=09\r\n=E3=81=82\r\n");
	buf_done(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(plain_text),
	    cmocka_unit_test(japanese),
	    cmocka_unit_test(attachment_and_html),
	    cmocka_unit_test(bcc_is_envelope_only),
	    cmocka_unit_test(envelope_wins),
	    cmocka_unit_test(problems_point),
	    cmocka_unit_test(too_large),
	    cmocka_unit_test(recipient_lists),
	    cmocka_unit_test(raw_lines),
	    cmocka_unit_test(long_subject_folds),
	    cmocka_unit_test(long_file_name_continues),
	    cmocka_unit_test(quoted_printable_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
