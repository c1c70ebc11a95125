/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "facts/extract.h"
#include "facts/mime_second.h"
#include "facts/sniff.h"

static struct arena *a;

struct reports {
	char text[1024];
};

static void
on_report(void *ctx, enum facts_verdict v, const char *reason)
{
	struct reports *r = ctx;
	size_t n = strlen(r->text);
	snprintf(r->text + n, sizeof(r->text) - n, "%s:%s;", facts_verdict_str(v), reason);
}

static void
read_mail(const char *mail, struct mime *m, struct reports *r)
{
	r->text[0] = '\0';
	mime_read(m, bytes_str(mail), a, on_report, r);
	mime_second_compare(m);
}

#define HEAD "From: a@example.jp\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"

static void
the_part_map_is_exact(void **state)
{
	static const char mail[] =
	    HEAD "preamble\r\n--b\r\nContent-Type: text/plain\r\n\r\none\r\n--b  \r\n\r\ntwo\r\n\r\n"
		 "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nthree\r\n--b--\r\nepilogue";
	static const struct {
		int parent;
		const char *header, *body;
	} want[] = {
	    {-1, HEAD, NULL},
	    {0, "Content-Type: text/plain\r\n", "one"},
	    {0, "", "two\r\n"},
	    {0, "Content-Type: message/rfc822\r\n", "Subject: x\r\n\r\nthree"},
	    {3, "Subject: x\r\n", "three"},
	};
	struct mime m;
	struct reports r;
	struct facts f = {0};
	read_mail(mail, &m, &r);
	extract_facts(&m, &f);
	assert_string_equal(r.text, "");
	assert_int_equal(f.n_parts, 5);
	for (size_t i = 0; i < 5; i++) {
		struct bytes header = bytes_of(mail + f.parts[i].header_offset, f.parts[i].header_length);
		struct bytes body = bytes_of(mail + f.parts[i].body_offset, f.parts[i].body_length);
		assert_int_equal(f.parts[i].parent, want[i].parent);
		if (i > 0)
			assert_true(bytes_eq(header, bytes_str(want[i].header)));
		if (want[i].body != NULL)
			assert_true(bytes_eq(body, bytes_str(want[i].body)));
	}
	assert_int_equal(f.parts[0].body_offset + f.parts[0].body_length, sizeof(mail) - 1);
	assert_int_equal(f.header_length, strlen(HEAD) - 2);
	assert_int_equal(f.n_fields, 2);
	assert_int_equal(f.fields[1].offset, 20);
	assert_int_equal(f.fields[1].name_length, strlen("Content-Type"));
	assert_int_equal(f.fields[1].offset + f.fields[1].length, f.header_length);
}

/* What is said about each; "" where every reader agrees. */
static void
oddities_are_told(void **state)
{
	static const struct {
		const char *mail, *said;
	} t[] = {
	    {"From: a\r\n\r\nx\r\n", ""},
	    {"From: a\r\n", ""},
	    {"From: a", ""},
	    {"\r\nbody", ""},
	    {HEAD "--b\r\n\r\nx\r\n--b--\r\n", ""},
	    {HEAD "--b\r\n\r\nx\r\n--b--", "another reader"}, /* not canonical: no CRLF at the end */
	    {HEAD "--b\r\n\r\nx\r\n--b\r\n", "without end"},
	    {HEAD "--b\r\n\r\nx\r\n--b--\r\n--b\r\n\r\ny\r\n--b--\r\n", "goes on"},
	    {HEAD "--b\r\n\r\nx\r\n--bc\r\n\r\ny\r\n--b--\r\n", "resembles"},
	    {HEAD "--B\r\n\r\nx\r\n--B--\r\n", "resembles"},
	    {HEAD "x\r\n", "never occurs"},
	    {HEAD "Content-Type: x/y\r\n--b\r\n\r\nx\r\n--b--\r\n", "outside the parts"},
	    {"Content-Type: multipart/mixed\r\n\r\nx", "without boundary"},
	    {"Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\nx", "occurs twice"},
	    {"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nQQ==", ""},
	    {"Content-Transfer-Encoding: base64\r\n\r\nQQ=", "ends early"},
	    {"Content-Transfer-Encoding: base64\r\n\r\nQQ", "ends early"},
	    {"Content-Transfer-Encoding: base64\r\n\r\nQQ==QQ==", "goes on after its padding"},
	    {"Content-Transfer-Encoding: base64\r\n\r\nQ=Q=", "base64"},
	    {"Content-Transfer-Encoding: base64\r\n\r\nQQ===", "wrong place"},
	    {"Content-Transfer-Encoding: base64\r\n\r\nQ.Q==", "foreign"},
	    {"Content-Transfer-Encoding: quoted-printable\r\n\r\n=41=\r\n=42 =3D", ""},
	    {"Content-Transfer-Encoding: quoted-printable\r\n\r\n=4x", "broken escape"},
	    {"Content-Transfer-Encoding: rot13\r\n\r\nx", "unknown"},
	    {"X : y\r\n\r\nx", "colon"},
	    {"no field\r\n\r\nx", "no field"},
	    {"From: a\n\nx", "bare LF"},
	    {"From: a\r\n\r\nx\ry", "bare CR"},
	    {"Content-Type: text/plain; charset=us-ascii (Plain text)\r\n\r\nx", ""},
	    {"Content-Type: text/plain (a text); charset=\"us-ascii\" (Plain text)\r\n\r\nx", ""},
	    {"Content-Type: text/plain; charset=us-ascii (Plain; name=x)\r\n\r\nx", "comment"},
	    {"Content-Type: text/plain; charset=us-ascii (Plain text\r\n\r\nx", "comment"},
	    {"Content-Type: text/plain; (x) charset=us-ascii\r\n\r\nx", "comment"},
	    {"Content-Type: multipart/mixed; boundary=b (x)\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n", "comment"},
	    {"Content-Disposition: inline\r\n\r\nx", ""},
	    {"Content-Disposition: attachment; filename=\"a b.pdf\";\r\n size=1\r\n\r\nx", ""},
	    {"Content-Disposition: attachment, filename=a.rar\r\n\r\nx", "text after"},
	    {"Content-Disposition: attachment filename=a.rar\r\n\r\nx", "text after"},
	    {"Content-Type: message/partial; id=x\r\n\r\nx", "fragments"},
	};
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct mime m;
		struct reports r;
		read_mail(t[i].mail, &m, &r);
		bool ok = t[i].said[0] == '\0' ? r.text[0] == '\0' : strstr(r.text, t[i].said) != NULL;
		if (!ok)
			fail_msg("%zu: \"%s\", not \"%s\"", i, r.text, t[i].said);
	}
}

/* A file that says it is a text is a file. */
static void
only_texts_are_text_bodies(void **state)
{
	static const struct {
		const char *header, *body;
		bool text;
	} t[] = {
	    {"", "hello", true},
	    {"", "", true},
	    {"", "BM wrote:\r\n> MZ", true},
	    {"Content-Type: text/html", "<p>x</p>", true},
	    {"Content-Type: text/calendar", "BEGIN:VCALENDAR", true},
	    {"Content-Type: text/plain; charset=iso-2022-jp", "\x1b$B;3ED\x1b(B", true},
	    {"Content-Type: text/plain; charset=utf-16le\r\nContent-Transfer-Encoding: base64", "YQBiAAoA", true},
	    {"Content-Disposition: inline", "hello", true},
	    {"Content-Type: text/plain", "Rar!\x1a\x07\x01", false},
	    {"Content-Type: text/html", "Rar!\x1a\x07\x01", false},
	    {"Content-Type: text/calendar", "Rar!\x1a\x07\x01", false},
	    {"Content-Type: text/plain; charset=utf-16le", "Rar!\x1a\x07\x01", false},
	    {"Content-Type: text/plain", "PK\3\4 and more", false},
	    {"Content-Type: text/plain; charset=utf-16be", "PK\3\4 and more", false},
	    {"Content-Type: text/plain", "%PDF-1.4\r\n", false},
	    {"Content-Type: text/x-anything", "hello", false},
	    {"Content-Disposition: attachment", "hello", false},
	    {"Content-Disposition: attachment, filename=x", "hello", false},
	    {"Content-Type: text/plain; name=x", "hello", false},
	};
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct mime m;
		struct reports r;
		struct facts f = {0};
		read_mail(arena_printf(a, "From: a\r\n%s%s\r\n%s", t[i].header, t[i].header[0] != '\0' ? "\r\n" : "",
				       t[i].body),
			  &m, &r);
		extract_facts(&m, &f);
		if (m.parts[0].text_body != t[i].text || f.n_attachments != !t[i].text)
			fail_msg("%s, %s", t[i].header, t[i].body);
	}
}

static void
depth_and_count_are_bounded(void **state)
{
	struct mime m;
	struct reports r;
	struct buf b;
	buf_init(&b, 0);
	for (int i = 0; i < 100; i++)
		buf_addf(&b, "Content-Type: multipart/mixed; boundary=n%d-\r\n\r\n--n%d-\r\n", i, i);
	read_mail((const char *)b.p, &m, &r);
	assert_true(m.cut && m.n_parts <= MIME_DEPTH_MAX + 1);
	assert_non_null(strstr(r.text, "limit:"));
	buf_reset(&b);
	buf_add_str(&b, HEAD);
	for (int i = 0; i < 2 * FACTS_PARTS_MAX; i++)
		buf_add_str(&b, "--b\r\n\r\nx\r\n");
	buf_add_str(&b, "--b--\r\n");
	r.text[0] = '\0';
	mime_read(&m, buf_bytes(&b), a, on_report, &r);
	assert_true(m.cut && m.n_parts == FACTS_PARTS_MAX);
	buf_done(&b);
}

static void
decoders(void **state)
{
	static const struct {
		enum decode_kind kind;
		const char *in, *out;
	} t[] = {
	    {DECODE_BASE64, "aGVs\r\nbG8=", "hello"},
	    {DECODE_BASE64, "", ""},
	    {DECODE_QP, "a=3Db=\r\nc \r\nd", "a=bc \r\nd"},
	    {DECODE_QP, "end=", "end"},
	    {DECODE_NONE, "x=3D", "x=3D"},
	    {DECODE_UU, "begin 644 x\r\n%:&5L;&\\\r\n`\r\nend\r\n", "hello"},
	};
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		const char *odd = NULL;
		struct bytes out = decode_body(t[i].kind, bytes_str(t[i].in), a, &odd);
		assert_null(odd);
		assert_true(bytes_eq(out, bytes_str(t[i].out)));
	}
}

static void
first_octets_tell(void **state)
{
	assert_string_equal(sniff_opaque(bytes_str("Rar!\x1a\x07\x01")), "rar");
	assert_null(sniff_opaque(bytes_str("text")));
	assert_string_equal(sniff_type(bytes_str("  <!DOCTYPE HTML>")), "text/html");
	assert_string_equal(sniff_type(bytes_str("%PDF-1.7")), "application/pdf");
	assert_string_equal(sniff_type(bytes_of("\0\1", 2)), "application/octet-stream");
}

static int
setup(void **state)
{
	a = arena_new();
	return 0;
}

static int
teardown(void **state)
{
	arena_free(&a);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_part_map_is_exact),
	    cmocka_unit_test(oddities_are_told),
	    cmocka_unit_test(only_texts_are_text_bodies),
	    cmocka_unit_test(depth_and_count_are_bounded),
	    cmocka_unit_test(decoders),
	    cmocka_unit_test(first_octets_tell),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
