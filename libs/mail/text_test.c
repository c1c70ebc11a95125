/* SPDX-License-Identifier: MIT
 *
 * Normal forms: what must compare equal does, what must not does not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <utf8proc.h>

#include "mail/text.h"

static void
normal_forms(void **state)
{
	static const struct {
		const char *in, *out;
	} table[] = {
	    {"", ""},
	    {"Hello", "hello"},
	    {"  two \t\r\n words ", "two words"},
	    {"ＡＢＣ１２３", "abc123"},
	    {"ｶﾞｷﾞｸﾞ", "ガギグ"},
	    {"か\u3099", "が"},
	    {"社外\r\n秘", "社外秘"},
	    {"社外 秘", "社外秘"},
	    {"社外\u3000秘", "社外秘"},
	    {"Tokyo 支店", "tokyo支店"},
	    {"㈱", "(株)"},
	    {"①", "1"},
	    {"㌢", "センチ"},
	    {"STRASSE Straße", "strasse strasse"},
	    {"ΣΊΣΥΦΟΣ", "σίσυφοσ"},
	    {"e\u0301te\u0301", "été"},
	    {"É", "é"},
	    {"a\u200bb\u00adc\ufeffd", "abcd"},
	    {"秘\u200b密", "秘密"},
	    {"각 각", "각 각"},
	    {"각", "각"},
	    {"\u1100\u1161\u11a8", "각"},
	    {"가\u11a8", "각"},
	    {"ﬁn", "fin"},
	    {"a\x80"
	     "b",
	     "a\ufffd"
	     "b"},
	    {"\xf0\x9f\x98", "\ufffd\ufffd\ufffd"},
	    {"K", "k"},
	    {"ー－", "ー-"},
	};
	struct arena *a = arena_new();
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct bytes out = text_normal(a, bytes_str(table[i].in));
		assert_string_equal((const char *)out.p, table[i].out);
		assert_int_equal(out.n, strlen(table[i].out));
	}
	arena_free(&a);
}

/* The fast path must say what libutf8proc says about the whole: every pair from a set with all kinds of neighbours. */
static void
fast_path_agrees(void **state)
{
	static const int32_t some[] = {'a',    'Z',    '1',    0xc5,   0x301,	0x323,	0x30a,	0x3046,
				       0x304b, 0x3099, 0x309a, 0x30a6, 0x30cf,	0x30fc, 0x4e00, 0x9fa0,
				       0xac00, 0x11a8, 0x1100, 0x1161, 0xff76,	0xff9e, 0xff9f, 0xff21,
				       0x3005, 0x3015, 0x33a1, 0xfdfa, 0x1d15e, 0x200d, 0xfe0f, 0x10400};
	struct arena *a = arena_new();
	size_t n = sizeof(some) / sizeof(some[0]);
	for (size_t i = 0; i < n * n * n; i++) {
		uint8_t in[16];
		size_t len = 0, k = i;
		for (int j = 0; j < 3; j++, k /= n)
			len += (size_t)utf8proc_encode_char(some[k % n], in + len);
		in[len] = 0;
		utf8proc_uint8_t *want = utf8proc_NFKC_Casefold(in);
		struct bytes got = text_normal(a, bytes_of(in, len));
		/* Spaces (U+FDFA has some) are this module's own matter. */
		if (strchr((const char *)want, ' ') == NULL)
			assert_string_equal((const char *)got.p, (const char *)want);
		free(want);
		arena_reset(a);
	}
	arena_free(&a);
}

static void
long_runs_are_bounded(void **state)
{
	/* Marks in falling order of class: sorting them all at once would take minutes. */
	size_t n = 500 * 1024;
	uint8_t *in = malloc(n);
	for (size_t i = 0; i + 4 <= n; i += 4)
		memcpy(in + i, "\xcc\x81\xcc\xa3", 4);
	struct arena *a = arena_new();
	assert_int_equal(text_normal(a, bytes_of(in, n)).n, n);
	/* Letters beyond ASCII are cut only before letters: the result is that of the whole. */
	for (size_t i = 0; i + 4 <= n; i += 4)
		memcpy(in + i, "\xc3\x89\xd0\x96", 4);
	struct bytes out = text_normal(a, bytes_of(in, n));
	assert_int_equal(out.n, n);
	for (size_t i = 0; i + 4 <= n; i += 4)
		assert_memory_equal(out.p + i, "\xc3\xa9\xd0\xb6", 4);
	arena_free(&a);
	free(in);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(normal_forms), cmocka_unit_test(fast_path_agrees),
					   cmocka_unit_test(long_runs_are_bounded)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
