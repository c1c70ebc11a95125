/* SPDX-License-Identifier: MIT
 *
 * The automaton against memmem(), over few letters so that words overlap, contain and follow each other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/clock.h"
#include "words.h"

#define WORDS 60

static uint32_t seed = 1;

static uint32_t
next(uint32_t below)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % below;
}

static bool
is_there(const struct bytes *v, size_t n, struct bytes b)
{
	for (size_t i = 0; i < n; i++)
		if (bytes_eq(v[i], b))
			return true;
	return false;
}

static void
agrees_with_memmem(void **state)
{
	size_t hits = 0, misses = 0;
	for (int round = 0; round < 2000; round++) {
		struct arena *a = arena_new();
		struct bytes v[WORDS];
		size_t n = 0;
		uint32_t letters = 2 + next(3);
		for (int i = 0; i < WORDS; i++) {
			size_t len = 1 + next(12);
			uint8_t *p = arena_alloc(a, len);
			for (size_t k = 0; k < len; k++)
				p[k] = (uint8_t)(0xfe + next(letters));
			if (!is_there(v, n, bytes_of(p, len)))
				v[n++] = bytes_of(p, len);
		}
		size_t len = next(60);
		uint8_t *text = arena_alloc(a, len + 1);
		for (size_t k = 0; k < len; k++)
			text[k] = (uint8_t)(0xfe + next(letters));
		struct words w;
		bool found[WORDS] = {false};
		words_build(a, v, n, &w);
		words_scan(&w, bytes_of(text, len), found);
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(found[i], len != 0 && memmem(text, len, v[i].p, v[i].n) != NULL);
			hits += found[i];
			misses += !found[i];
		}
		arena_free(&a);
	}
	assert_true(hits > 10000 && misses > 10000);
}

static void
no_words(void **state)
{
	struct arena *a = arena_new();
	struct words w;
	words_build(a, NULL, 0, &w);
	words_scan(&w, bytes_str("text"), NULL);
	arena_free(&a);
}

/* Words and text made to be slow for searches one by one: 2,000 words with one long beginning, half a megabyte of it.
 */
static void
hostile_words_are_linear(void **state)
{
	struct arena *a = arena_new();
	struct bytes v[2000];
	for (size_t i = 0; i < 2000; i++)
		v[i] = bytes_str(arena_printf(a, "%0100d%04zu", 0, i + 1));
	size_t n = 512 * 1024;
	char *text = arena_alloc(a, n);
	memset(text, '0', n);
	struct words w;
	bool *found = arena_new_array(a, bool, 2000);
	words_build(a, v, 2000, &w);
	int64_t began = clock_wall_us();
	words_scan(&w, bytes_of(text, n), found);
	print_message("2000 words, 512 KiB: %lld us\n", (long long)(clock_wall_us() - began));
	for (size_t i = 0; i < 2000; i++)
		assert_false(found[i]);
	memcpy(text + n - 4, "1234", 4);
	words_scan(&w, bytes_of(text, n), found);
	for (size_t i = 1; i <= 2000; i++)
		assert_int_equal(found[i - 1], i == 1 || i == 12 || i == 123 || i == 1234);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(agrees_with_memmem),
	    cmocka_unit_test(no_words),
	    cmocka_unit_test(hostile_words_are_linear),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
