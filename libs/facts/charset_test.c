/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "facts/charset.h"
#include "facts/html.h"
#include "facts/words.h"

static struct arena *a;

static const char *
text(struct bytes b)
{
	return arena_strndup(a, b.p, b.n);
}

static void
charsets_mean_what_mail_means(void **state)
{
	static const struct {
		const char *charset, *in, *out;
	} t[] = {
	    /* NEC row 13, IBM's extension, half-width katakana, the wave dash */
	    {"ISO-2022-JP", "\x1b$B-!-j|b\x1b(B \x1b(I12\x1b(B", "①㈱髙 ｱｲ"},
	    {"iso-2022-jp", "\x1b$BF|K\\\x1b(J\\\x1b(B", "日本¥"},
	    {"Shift_JIS", "\x87\x40\x87\x8a\xfb\xfc \xb1\\~ \x81\x60", "①㈱髙 ｱ\\~ ～"},
	    {"cp932", "\xed\x40", "纊"},
	    {"EUC-JP", "\xad\xa1\xad\xea \x8e\xb1 \xa1\xc1", "①㈱ ｱ ～"},
	    {"utf-8", "\xef\xbb\xbfx\xff\xe6\x97\xa5", "x\xef\xbf\xbd日"},
	    {"ISO-8859-1", "\x93quoted\x94 \xe9", "“quoted” é"},
	    {"gb2312", "\xc4\xe3", "你"},
	    {"ks_c_5601-1987", "\xb0\xa1", "가"},
	    {"utf-7", "+ZeVnLIqe-", "日本語"},
	    {"no-such-charset", "\xe6\x97\xa5", "日"},
	    {"x,version=1", "plain", "plain"},
	    /* nothing said */
	    {"", "\x1b$BF|K\\\x1b(B", "日本"},
	    {"", "\xe6\x97\xa5\xe6\x9c\xac", "日本"},
	    {"", "\xc6\xfc\xcb\xdc\xb8\xec", "日本語"},
	    {"", "\x93\xfa\x96\x7b\x8c\xea", "日本語"},
	    {"us-ascii", "\xe9t\xe9", "été"},
	};
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		assert_string_equal(text(charset_to_utf8(t[i].charset, bytes_str(t[i].in), 1000, a)), t[i].out);
}

static void
nul_never_comes_out(void **state)
{
	assert_string_equal(text(charset_to_utf8("utf-16le", bytes_of("a\0\0\0b\0", 6), 100, a)), "a\xef\xbf\xbd"
												  "b");
	assert_string_equal(text(charset_to_utf8("utf-8", bytes_of("a\0b", 3), 100, a)), "a\xef\xbf\xbd"
											 "b");
}

static void
cuts_fall_between_characters(void **state)
{
	struct bytes b = bytes_str("日本語");
	for (size_t max = 0; max < 12; max++) {
		size_t n = charset_to_utf8("utf-8", b, max, a).n;
		assert_int_equal(n, max >= 9 ? 9 : max / 3 * 3);
		assert_int_equal(charset_nfkc(b, max, a).n, n);
	}
}

static void
nfkc_folds_widths(void **state)
{
	assert_string_equal(text(charset_nfkc(bytes_str("Ａ①㈱ｶﾞ"), 100, a)), "A1(株)ガ");
	assert_string_equal(text(charset_nfkc(bytes_str("plain"), 100, a)), "plain");
	/* the longest expansion Unicode knows: one character of three octets becomes 33 */
	assert_int_equal(charset_nfkc(bytes_str("\xef\xb7\xba"), 100, a).n, 33);
}

static void
ascii_is_not_everywhere(void **state)
{
	assert_true(charset_keeps_ascii("utf-8"));
	assert_true(charset_keeps_ascii("shift_jis"));
	assert_true(charset_keeps_ascii("iso-2022-jp"));
	assert_true(charset_keeps_ascii("no-such-charset"));
	assert_false(charset_keeps_ascii("utf-7"));
	assert_false(charset_keeps_ascii("utf-16"));
	assert_false(charset_keeps_ascii("utf-32be"));
	assert_false(charset_keeps_ascii("cp037"));
}

static void
domains_are_a_labels(void **state)
{
	assert_string_equal(charset_domain(bytes_str("EXAMPLE.Jp"), a), "example.jp");
	assert_string_equal(charset_domain(bytes_str("例え.JP"), a), "xn--r8jz45g.jp");
}

static void
encoded_words(void **state)
{
	bool cut = false;
	static const struct {
		const char *in, *out;
	} t[] = {
	    {"plain", "plain"},
	    {"=?UTF-8?B?5pel5pys?=", "日本"},
	    {"=?utf-8?q?a_b=3Dc?=", "a b=c"},
	    {"a =?utf-8?q?b?= c", "a b c"},
	    {"=?utf-8?q?a?= =?utf-8?q?b?=", "ab"},
	    {"=?utf-8?q?a?=\r\n =?iso-8859-1?q?=E9?=", "aé"},
	    {"=?UTF-8?B?5pel5g==?= =?UTF-8?B?nKw=?=", "日本"}, /* cut inside a character */
	    {"=?ISO-2022-JP?B?GyRCLSEtahsoQg==?=", "①㈱"},
	    {"=?utf-8*ja?q?x?=", "x"},
	    {"=?broken", "=?broken"},
	    {"=?utf-8?x?y?=", "=?utf-8?x?y?="},
	    {"=?utf-8?q?\?=x", "x"},
	    {"\x93\xfa\x96\x7b", "日本"},
	    {" \t folded\r\n\tvalue ", "folded\tvalue"},
	};
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		assert_string_equal(words_decode(bytes_str(t[i].in), a, &cut), t[i].out);
	assert_false(cut);
}

/* However little is missing, and in whatever way it is written. */
static void
cut_texts_are_told(void **state)
{
	static const char *const written[][2] = {{"", ""}, {"=?utf-8?q?", "?="}, {"x =?iso-2022-jp?q?", "?="}};
	char text[FACTS_STRING_MAX + 2], header[FACTS_STRING_MAX + 100];
	for (size_t i = 0; i < sizeof(written) / sizeof(written[0]); i++) {
		for (size_t n = FACTS_STRING_MAX - 40; n <= FACTS_STRING_MAX + 1; n++) {
			bool cut = false;
			memset(text, 'a', n);
			text[n] = '\0';
			snprintf(header, sizeof(header), "%s%s%s", written[i][0], text, written[i][1]);
			size_t kept = strlen(words_decode(bytes_str(header), a, &cut));
			assert_true(kept <= FACTS_STRING_MAX);
			assert_true(cut || kept >= n);
			assert_true(cut == (kept < n) || i > 0);
		}
	}
	bool cut = false;
	struct buf b;
	struct header_value v;
	buf_init(&b, 0);
	buf_add_str(&b, "attachment; filename*=utf-8''");
	for (size_t i = 0; i <= FACTS_STRING_MAX / 3; i++)
		buf_add_str(&b, "%E6%97%A5");
	header_parse_value(a, buf_bytes(&b), &v);
	assert_true(strlen(words_param(&v, "filename", a, &cut)) <= FACTS_STRING_MAX);
	assert_true(cut);
	buf_done(&b);
}

static void
parameters(void **state)
{
	bool cut = false;
	static const struct {
		const char *in, *out;
	} t[] = {
	    {"attachment; filename=a.txt", "a.txt"},
	    {"attachment; filename=\"a \\\"b\\\".txt\"", "a \"b\".txt"},
	    {"attachment; FILENAME*=utf-8''%E6%97%A5.txt", "日.txt"},
	    {"attachment; filename=x; filename*=utf-8''%E6%97%A5.txt", "日.txt"},
	    {"attachment; filename*1=b; filename*0=a; filename*2=c", "abc"},
	    {"attachment; filename*0*=utf-8''%E6%97; filename*1*=%A5; filename*2=%41", "日%41"},
	    {"attachment; filename=\"=?ISO-2022-JP?B?GyRCRnwbKEI=?=\"", "日"},
	    {"attachment", ""},
	};
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct header_value v;
		header_parse_value(a, bytes_str(t[i].in), &v);
		assert_string_equal(words_param(&v, "filename", a, &cut), t[i].out);
	}
	assert_false(cut);
}

static void
html(void **state)
{
	static const struct {
		const char *in, *out;
	} t[] = {
	    {"a<b>b</b>c", "abc"},
	    {"a<br>b<p>c", "a\nb\nc"},
	    {"<style>x</style>y<script>var a='</p>';</script>z", "yz"},
	    {"a<!-- <b>x</b> -->b", "ab"},
	    {"&lt;&amp;&#65;&#x42;&nosuch;&", "<&AB&nosuch;&"},
	    {"1 < 2", "1 < 2"},
	    {"日\r\n本", "日本"},
	    {"a\r\nb", "a b"},
	    {"x<unclosed", "x"},
	    {"<!-- unclosed", ""},
	};
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		assert_string_equal(text(html_to_text(bytes_str(t[i].in), a)), t[i].out);
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
	    cmocka_unit_test(charsets_mean_what_mail_means),
	    cmocka_unit_test(nul_never_comes_out),
	    cmocka_unit_test(cuts_fall_between_characters),
	    cmocka_unit_test(nfkc_folds_widths),
	    cmocka_unit_test(ascii_is_not_everywhere),
	    cmocka_unit_test(domains_are_a_labels),
	    cmocka_unit_test(encoded_words),
	    cmocka_unit_test(cut_texts_are_told),
	    cmocka_unit_test(parameters),
	    cmocka_unit_test(html),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
