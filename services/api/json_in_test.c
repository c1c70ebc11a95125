/* SPDX-License-Identifier: MIT
 *
 * What is JSON and what is not (RFC 8259), case by case: what every reader must take, what none may take, and what a
 * reader may decide, as decided here (docs/api.md lists it).
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "json_in.h"

struct text {
	const char *p;
	size_t n;
};
#define T(s)                                                                                                           \
	{                                                                                                              \
		s, sizeof(s) - 1                                                                                       \
	}

static enum rc
parse(struct bytes b)
{
	struct err e = {0};
	json_t *j = NULL;
	enum rc rc = json_in_parse(b, JSON_IN_ANY, &j, &e);
	assert_true((rc == RC_OK) == (j != NULL));
	assert_true(rc == RC_OK || (rc == e.rc && e.text[0] != '\0'));
	json_decref(j);
	return rc;
}

static void
expect(const struct text *v, size_t n, enum rc rc)
{
	for (size_t i = 0; i < n; i++) {
		/* A copy of exactly its size, so that reading beyond it shows. */
		uint8_t *copy = malloc(v[i].n + 1);
		memcpy(copy, v[i].p, v[i].n);
		enum rc got = parse(bytes_of(copy, v[i].n));
		if (got != rc)
			fail_msg("case %zu (%.40s): %s, not %s", i, v[i].p, rc_str(got), rc_str(rc));
		free(copy);
	}
}
#define EXPECT(v, rc) expect((v), sizeof(v) / sizeof((v)[0]), (rc))

static void
structures(void **state)
{
	static const struct text good[] = {
	    T("[]"),
	    T("{}"),
	    T(" [] "),
	    T("\t\r\n[\n]\r\n"),
	    T("[null]"),
	    T("[true,false]"),
	    T("[[]]"),
	    T("[[[1],2],3]"),
	    T("[\"\"]"),
	    T("{\"\":0}"),
	    T("{\"a\":[]}"),
	    T("{\"a\":{}}"),
	    T("{\"a\":\"b\",\"c\":1}"),
	    T("[1\n]"),
	    T("[1]\n"),
	    T(" [1,null,null,2]"),
	    T("null"),
	    T("true"),
	    T("false"),
	    T("\"a\""),
	    T("\"\""),
	    T("42"),
	    T("-0.1"),
	    T(" 7 "),
	    T("{ \"min\": -1.0e+28, \"max\": 1.0e+28 }"),
	    T("{\"a\":[{\"id\": \"x\"}],\"id\":\"y\"}"),
	};
	static const struct text bad[] = {
	    T(""),
	    T(" "),
	    T("["),
	    T("]"),
	    T("{"),
	    T("}"),
	    T("[]]"),
	    T("[}"),
	    T("{]"),
	    T("[1"),
	    T("[1,"),
	    T("[1,]"),
	    T("[,1]"),
	    T("[,]"),
	    T("[1,,2]"),
	    T("[\"a\" \"b\"]"),
	    T("[1 true]"),
	    T("[\"x\""),
	    T("[\"x\"]]"),
	    T("[x"),
	    T("[\"\",]"),
	    T("[1:2]"),
	    T("[\"a\",\n4\n,1,"),
	    T("[] []"),
	    T("[][]"),
	    T("{\"a\"}"),
	    T("{\"a\":}"),
	    T("{\"a\":1,}"),
	    T("{\"a\":1,,}"),
	    T("{,\"a\":1}"),
	    T("{:\"b\"}"),
	    T("{\"a\" \"b\"}"),
	    T("{\"a\"::\"b\"}"),
	    T("{\"a\",\"b\"}"),
	    T("{a:1}"),
	    T("{'a':1}"),
	    T("{1:1}"),
	    T("{null:1}"),
	    T("{\"a\":true} \"x\""),
	    T("{\"a\":\"b\"}/**/"),
	    T("{\"a\":\"b\"}#"),
	    T("{\"a\":\"b\"}//"),
	    T("{\"a\":/*x*/1}"),
	    T("{\"a\":1 \"b\"}"),
	    T("{\"x\":\"x\",\"y\""),
	    T("{\"a\":\"a"),
	    T("{\"a\" b}"),
	    T("{[:\"x\"}"),
	    T("{\"a\":1}}"),
	    T("[1]x"),
	    T("2@"),
	    T("1]"),
	    T("*"),
	    T("<.>"),
	    T("[<null>]"),
	    T("{}}"),
	    T("{\"\":"),
	    T("{\"asd\":\"asd\""),
	    T("[\xe2\x81\xa0]"),
	    T("\xe2\x81\xa0"),
	    T("[\f]"),
	    T("[\v]"),
	    T("[\"a\"\f]"),
	    T("[\xc2\xa0]"),
	    T("[1\x0c]"),
	    T("\xef\xbb\xbf"),
	    T("\xef\xbb"),
	    T("\xe5"),
	    T("[\0]"),
	    T("[]\0"),
	    T("123\0"),
	    T("\0"),
	    T("{\"a\":1}\0"),
	    T("\x1b[]"),
	    T("\x85[]"),
	};
	EXPECT(good, RC_OK);
	EXPECT(bad, RC_INVALID);
}

static void
words_and_numbers(void **state)
{
	static const struct text good[] = {
	    T("[0]"),
	    T("[-0]"),
	    T("[-1]"),
	    T("[0.5]"),
	    T("[123]"),
	    T("[-123]"),
	    T("[123.456789]"),
	    T("[1e3]"),
	    T("[1E3]"),
	    T("[1e+2]"),
	    T("[1E-2]"),
	    T("[0e1]"),
	    T("[0e+1]"),
	    T("[20e1]"),
	    T("[1.5e22]"),
	    T("[-0.0]"),
	    T("[ 4]"),
	    T("[1e-400]"),
	    T("[9223372036854775807]"),
	    T("[-9223372036854775808]"),
	    T("[-0."
	      "0000000000000000000000000000000000000000000000000000000000000000000000"
	      "00000001]"),
	};
	static const struct text bad[] = {
	    T("[01]"),		T("[-01]"),	  T("[00]"),
	    T("[012]"),		T("[-012]"),	  T("[+1]"),
	    T("[++1]"),		T("[--1]"),	  T("[-]"),
	    T("[- 1]"),		T("[-foo]"),	  T("[-1x]"),
	    T("[.1]"),		T("[-.1]"),	  T("[.2e-3]"),
	    T("[1.]"),		T("[2.e3]"),	  T("[2.e+3]"),
	    T("[-2.]"),		T("[0.e1]"),	  T("[1e]"),
	    T("[1e+]"),		T("[1e-]"),	  T("[0e]"),
	    T("[0E+]"),		T("[1.0e]"),	  T("[1.0e-]"),
	    T("[1.0e+]"),	T("[1eE2]"),	  T("[0.3e]"),
	    T("[1.2e-]"),	T("[9.e+]"),	  T("[1 000]"),
	    T("[1+2]"),		T("[0x1]"),	  T("[0x42]"),
	    T("[1a]"),		T("[1ea]"),	  T("[-1.0.]"),
	    T("[0.1.2]"),	T("[NaN]"),	  T("[-NaN]"),
	    T("[Inf]"),		T("[-Infinity]"), T("[Infinity]"),
	    T("[nan]"),		T("[+Inf]"),	  T("[\xef\xbc\x91]"),
	    T("[1\xff]"),	T("[1e1\xff]"),	  T("[0\xff]"),
	    T("[-123.123foo]"), T("[123foo]"),	  T("[1.8011670033376514H-308]"),
	    T("[True]"),	T("[TRUE]"),	  T("[tru]"),
	    T("[nul]"),		T("[fals]"),	  T("[truth]"),
	    T("[nulll]"),	T("[undefined]"), T("nul"),
	    T("tru"),		T("truefalse"),	  T("[a]"),
	    T("abc"),		T("[\xff]"),	  T("[a\xff]"),
	    T("None"),
	};
	EXPECT(good, RC_OK);
	EXPECT(bad, RC_INVALID);
}

static void
strings(void **state)
{
	static const struct text good[] = {
	    T("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]"),
	    T("[\"\\u0060\\u012a\\u12AB\"]"),
	    T("[\"\\uD801\\udc37\"]"),
	    T("[\"\\ud83d\\ude39\\ud83d\\udc8d\"]"),
	    T("[\"\\u0000\"]"),
	    T("[\"\\u0012\"]"),
	    T("[\"\\uFFFF\"]"),
	    T("[\"\\uDBFF\\uDFFE\"]"),
	    T("[\"\\u005C\"]"),
	    T("[\"\\u0022\"]"),
	    T("[\"\\u200B\"]"),
	    T("[\"\\\\a\"]"),
	    T("[\"\\\\n\"]"),
	    T("[\"a/*b*/c/*d//e\"]"),
	    T("[\"\x7f\"]"),
	    T("[\"\xe2\x80\xa8\"]"),
	    T("[\"\xe2\x80\xa9\"]"),
	    T("[\"\xef\xbf\xbf\"]"),
	    T("[\"\xf4\x8f\xbf\xbf\"]"),
	    T("[\"\xf0\x9b\xbf\xbf\"]"),
	    T("[\"\xcf\x80\"]"),
	    T("[\"\xe6\x97\xa5\xe6\x9c\xac\"]"),
	    T("[\"\\uA66D\"]"),
	    T("[\" \"]"),
	    T("{\"\\u0061\\n\":1}"),
	    T("{\"\xe9\x8d\xb5\":\"\"}"),
	};
	static const struct text bad[] = {
	    T("\""),
	    T("[\""),
	    T("[\"\\\"]"),
	    T("[\"\\"),
	    T("[\"\\u\"]"),
	    T("[\"\\u0\"]"),
	    T("[\"\\u00A\"]"),
	    T("[\"\\u00AG\"]"),
	    T("[\"\\uqqqq\"]"),
	    T("[\"\\x00\"]"),
	    T("[\"\\a\"]"),
	    T("[\"\\'\"]"),
	    T("[\"\\0\"]"),
	    T("[\"\\ \"]"),
	    T("[\"\\U0041\"]"),
	    T("[\"\\\\\\\"]"),
	    T("[\"\\\xf0\x9f\x8c\x80\"]"),
	    T("[\"\\\xe5\"]"),
	    T("[\"\\u\xe5\"]"),
	    T("[\"\t\"]"),
	    T("[\"a\nb\"]"),
	    T("[\"a\rb\"]"),
	    T("[\"\x1f\"]"),
	    T("[\"a\0b\"]"),
	    T("['a']"),
	    T("[\"\\uD800\\\"]"),
	    T("[\"\\uD800\\u\"]"),
	    T("[\"\\uD800\\u1\"]"),
	    T("[\"\\uD800\\u1x\"]"),
	    T("[\\u0020\"a\"]"),
	    T("[\\n]"),
	    T("\"\"x"),
	    T("\"\\UA66D\""),
	    T("[\"asd"),
	};
	EXPECT(good, RC_OK);
	EXPECT(bad, RC_INVALID);
}

/* RFC 8259 leaves these to the reader. What could be read in two ways, or not written back as it came, is refused. */
static void
what_a_reader_decides(void **state)
{
	static const struct text refused[] = {
	    T("[1e9999]"),
	    T("[-1e+9999]"),
	    T("[1.5e+9999]"),
	    T("[123123e100000]"),
	    T("[9223372036854775808]"),
	    T("[-9223372036854775809]"),
	    T("[-123123123123123123123123123123]"),
	    T("[\"\\uDADA\"]"),
	    T("[\"\\uD888\\u1234\"]"),
	    T("[\"\\uD800\\n\"]"),
	    T("[\"\\uDd1ea\"]"),
	    T("[\"\\uD800\\uD800\\n\"]"),
	    T("[\"\\ud800abc\"]"),
	    T("[\"\\uDd1e\\uD834\"]"),
	    T("[\"\\uDFAA\"]"),
	    T("{\"\\uDFAA\":0}"),
	    T("[\"\xff\"]"),
	    T("[\"\xe9\"]"),
	    T("[\"\x81\"]"),
	    T("[\"\xf4\xbf\xbf\xbf\"]"),
	    T("[\"\xc0\xaf\"]"),
	    T("[\"\xfc\x83\xbf\xbf\xbf\xbf\"]"),
	    T("[\"\xfc\x80\x80\x80\x80\x80\"]"),
	    T("[\"\xe0\xff\"]"),
	    T("[\"\xed\xa0\x80\"]"),
	    T("[\"\xe6\x97\xa5\xd1\x88\xfa\"]"),
	    T("\xff\xfe[\0\"\0\xe9\0\"\0]\0"),
	    T("\0[\0\"\0\xe9\0\"\0]"),
	    T("[\0\"\0\xe9\0\"\0]\0"),
	    T("\xef\xbb\xbf{}"),
	};
	static const struct text taken[] = {T("[123.456e-789]"), T("[0.4e-00669999999999999999999999]"),
					    T("[123e-10000000]")};
	EXPECT(refused, RC_INVALID);
	EXPECT(taken, RC_OK);
}

/* JSON, so that it is no syntax error; but no document that could be meant. */
static void
names_twice(void **state)
{
	static const struct text twice[] = {
	    T("{\"a\":\"b\",\"a\":\"c\"}"),
	    T("{\"a\":\"b\",\"a\":\"b\"}"),
	    T("[{\"x\":{\"a\":1,\"\\u0061\":2}}]"),
	    T("{\"foo\\u0000bar\":42}"),
	};
	static const struct text bad[] = {T("{\"a\":1,\"a\":2"), T("{\"a\":1,\"a\":2}x"), T("{\"a\":1,\"a\":}")};
	EXPECT(twice, RC_CONFLICT);
	EXPECT(bad, RC_INVALID);
}

static void
depth(void **state)
{
	enum { MANY = 100000 };
	static char s[MANY + 1];
	for (int i = 0; i < 2 * JSON_IN_DEPTH_MAX; i++)
		s[i] = i < JSON_IN_DEPTH_MAX ? '[' : ']';
	assert_int_equal(parse(bytes_of(s, 2 * JSON_IN_DEPTH_MAX)), RC_OK);
	for (int i = 0; i < 2 * JSON_IN_DEPTH_MAX + 2; i++)
		s[i] = i <= JSON_IN_DEPTH_MAX ? '[' : ']';
	assert_int_equal(parse(bytes_of(s, 2 * JSON_IN_DEPTH_MAX + 2)), RC_INVALID);
	memset(s, '[', MANY);
	assert_int_equal(parse(bytes_of(s, MANY)), RC_INVALID);
	for (int i = 0; i + 5 <= MANY; i += 5)
		memcpy(s + i, "[{\"\":", 5);
	assert_int_equal(parse(bytes_of(s, MANY)), RC_INVALID);
	assert_int_equal(parse(bytes_str("[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
					 "[[[[[[[[[[[[[[[[[[[[[[[[[[\"]")),
			 RC_OK);
}

static void
values(void **state)
{
	static const struct {
		const char *text;
		size_t n;
	} v[] = {
	    {"1", 1},	    {"[1]", 2}, {"[1,2,[3]]", 5}, {"{\"a\":1,\"b\":[true,null]}", 5}, {"[\",,,[[{{\\\",\"]", 2},
	    {"[{},{}]", 5},
	};
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct err e = {0};
		json_t *j = NULL;
		assert_int_equal(json_in_parse(bytes_str(v[i].text), v[i].n, &j, &e), RC_OK);
		json_decref(j);
		j = NULL;
		assert_int_equal(json_in_parse(bytes_str(v[i].text), v[i].n - 1, &j, &e), RC_LIMIT);
		assert_null(j);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(structures),  cmocka_unit_test(words_and_numbers),
	    cmocka_unit_test(strings),	   cmocka_unit_test(what_a_reader_decides),
	    cmocka_unit_test(names_twice), cmocka_unit_test(depth),
	    cmocka_unit_test(values),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
