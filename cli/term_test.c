/* SPDX-License-Identifier: MIT
 *
 * What strangers write must not steer the terminal, and columns stand under each other.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>

#include "term.h"

static struct arena *arena;
#define MARK "\xef\xbf\xbd"

static void
harmless(void **state)
{
	static const struct {
		const char *in, *out;
	} table[] = {
	    {"hello 関所 ①㈱ é", "hello 関所 ①㈱ é"},
	    {"a\x1b[31mred", "a" MARK "[31mred"},
	    {"a\tb\r\nc", "a b  c"},
	    {"bell\x07 del\x7f", "bell" MARK " del" MARK},
	    {"c1 \xc2\x9b"
	     "31m",
	     "c1 " MARK "31m"}, /* CSI in one octet's worth */
	    {"\xe2\x80\xae"
	     "txt.exe",
	     MARK "txt.exe"}, /* right-to-left override */
	    {"\xe2\x81\xa6"
	     "x\xe2\x80\x8b"
	     "y",
	     MARK "x" MARK "y"}, /* isolate, zero width space */
	    {"line\xe2\x80\xa8sep", "line" MARK "sep"},
	    {"bad \xff\xc0\xaf", "bad " MARK MARK MARK},
	    {"cut \xe3\x81", "cut " MARK MARK},
	    {"tag \xf3\xa0\x81\x81", "tag " MARK}, /* invisible tag character */
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_string_equal(term_safe(arena, bytes_str(table[i].in)), table[i].out);
	assert_string_equal(term_safe(arena, bytes_of("a\0b", 3)), "a" MARK "b");
}

static void
width(void **state)
{
	assert_int_equal(term_width("abc"), 3);
	assert_int_equal(term_width("関所"), 4);
	assert_int_equal(term_width("ｶﾞ"), 2);
	assert_int_equal(term_width("e\xcc\x81"), 1); /* combining accent */
	assert_int_equal(term_width(""), 0);
}

static void
json_stays_the_same_document(void **state)
{
	static const char in[] = "{\"a\":\"x\xc2\x9b"
				 "y\xe2\x80\xae 関 \xf3\xa0\x81\x81\"}\n";
	struct buf b;
	buf_init(&b, 0);
	term_json(&b, bytes_str(in));
	assert_string_equal((const char *)b.p, "{\"a\":\"x\\u009by\\u202e 関 \\udb40\\udc41\"}\n");
	json_t *before = json_loads(in, 0, NULL), *after = json_loads((const char *)b.p, 0, NULL);
	assert_non_null(before);
	assert_true(json_equal(before, after));
	json_decref(before);
	json_decref(after);
	buf_done(&b);
}

static void
table_is_aligned(void **state)
{
	static const char *const head[] = {"ID", "NAME", "X", NULL};
	struct term_table t;
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	term_table_init(&t, arena, head);
	term_table_row(&t, (const char *[]){"1", "関所", "a"});
	term_table_row(&t, (const char *[]){"22", "x\x1b[2J", "b"});
	for (int i = 0; i < 100; i++)
		term_table_row(&t, (const char *[]){"3", "y", "c"});
	term_table_print(&t, f);
	fclose(f);
	assert_memory_equal(text, "ID  NAME   X\n1   関所   a\n22  x" MARK "[2J  b\n3   y      c\n",
			    strlen("ID  NAME   X\n1   関所   a\n22  x" MARK "[2J  b\n3   y      c\n"));
	free(text);
}

int
main(void)
{
	arena = arena_new();
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(harmless),
	    cmocka_unit_test(width),
	    cmocka_unit_test(json_stays_the_same_document),
	    cmocka_unit_test(table_is_aligned),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	arena_free(&arena);
	return failed;
}
