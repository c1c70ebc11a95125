/* SPDX-License-Identifier: MIT
 *
 * Notices as octets: what any receiver can take, in any language.
 */
#include "notice_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sandbox.h"

#define NOW INT64_C(1795319589000000)

static enum rc
write(const char *subject, const char *text, const char *name, struct buf *out, struct dsn_text *map)
{
	const struct notice_text t = {
	    .id = uuid_v7(NOW),
	    .at_us = NOW,
	    .host = "mx.example",
	    .from = "no-reply@example.jp",
	    .to = bytes_str("admin@example.jp"),
	    .subject = subject,
	    .text = text,
	    .attachment_name = name,
	    .attachment = bytes_str(name[0] != '\0' ? "\xe8\xa8\x98\xe9\x8c\xb2\n" : ""),
	};
	struct err err;
	buf_init(out, 0);
	return notice_text_write(&t, out, map, &err);
}

/* No octet over 126, no line over 998, every line end CRLF, and the map covers the header. */
static void
check_octets(const struct buf *b, const struct dsn_text *map)
{
	size_t line = 0, end = 0;
	for (size_t i = 0; i < b->n; i++) {
		assert_true(b->p[i] < 0x7f);
		if (b->p[i] == '\n')
			assert_true(i > 0 && b->p[i - 1] == '\r');
		else if (b->p[i] == '\r')
			assert_true(i + 1 < b->n && b->p[i + 1] == '\n');
		line = b->p[i] == '\n' ? 0 : line + 1;
		assert_true(line <= 998);
	}
	assert_memory_equal(b->p + b->n - 2, "\r\n", 2);
	for (size_t i = 0; i < map->n_fields; i++) {
		assert_int_equal(map->fields[i].offset, end);
		assert_int_equal(b->p[end + map->fields[i].name_length], ':');
		end += map->fields[i].length;
	}
	assert_int_equal(end, map->header_length);
	assert_memory_equal(b->p + end, "\r\n", 2);
}

static void
languages(void **state)
{
	static const struct {
		const char *subject, *text, *name, *wanted;
	} rows[] = {
	    {"Head of the record", "size 7\nroot abc\n", "", "Subject: Head of the record\r\n"},
	    {"Head of the record", "no line end", "", "\r\nno line end\r\n"},
	    {"=?x?= looks encoded", "t\n", "", "Subject: =?UTF-8?B?PT94Pz0gbG9va3MgZW5jb2RlZA==?=\r\n"},
	    /* "record" in Japanese, and text of it: base64 of what ends in CRLF */
	    {"\xe8\xa8\x98\xe9\x8c\xb2", "\xe8\xa8\x98\n", "", "Subject: =?UTF-8?B?6KiY6Yyy?=\r\n"},
	    {"\xe8\xa8\x98\xe9\x8c\xb2", "\xe8\xa8\x98\n", "",
	     "charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n6KiYDQo=\r\n"},
	    {"with file", "see file\n", "head \xe8\xa8\x98.txt", "filename*=UTF-8''head%20%E8%A8%98.txt\r\n"},
	    {"quote", "t\n", "a\"\r\nX: y", "filename*=UTF-8''a%22%0D%0AX%3A%20y\r\n"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf b;
		struct dsn_text map;
		assert_int_equal(write(rows[i].subject, rows[i].text, rows[i].name, &b, &map), RC_OK);
		check_octets(&b, &map);
		if (bytes_find(buf_bytes(&b), bytes_str(rows[i].wanted)) < 0)
			fail_msg("row %zu: %s", i, (const char *)b.p);
		assert_true(bytes_find(buf_bytes(&b), bytes_str("Auto-Submitted: auto-generated\r\n")) > 0);
		buf_done(&b);
	}
}

static void
long_subjects(void **state)
{
	char subject[400 + 1] = "", ascii[300 + 1];
	struct buf b;
	struct dsn_text map;
	for (size_t i = 0; i + 3 <= 399; i += 3)
		memcpy(subject + i, "\xe5\x85\xa8", 4);
	assert_int_equal(write(subject, "t\n", "", &b, &map), RC_OK);
	check_octets(&b, &map);
	size_t words = 0;
	struct bytes rest = buf_bytes(&b);
	for (ptrdiff_t at; (at = bytes_find(rest, bytes_str("=?UTF-8?B?"))) >= 0; words++) {
		rest = bytes_of(rest.p + at + 10, rest.n - (size_t)at - 10);
		ptrdiff_t end = bytes_find(rest, bytes_str("?="));
		assert_true(end > 0 && end + 12 <= 75);
	}
	assert_int_equal(words, (399 + 44) / 45);
	buf_done(&b);
	memset(ascii, 'a', 300);
	ascii[300] = '\0';
	assert_int_equal(write(ascii, "t\n", "", &b, &map), RC_OK);
	check_octets(&b, &map);
	buf_done(&b);
}

static void
refused(void **state)
{
	static const char *const subjects[] = {"two\nlines", "two\r\nBcc: x", "\xff", "a\x7f", "\xed\xa0\x80"};
	struct buf b;
	struct dsn_text map;
	for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
		assert_int_equal(write(subjects[i], "t\n", "", &b, &map), RC_INVALID);
		assert_int_equal(b.n, 0);
		buf_done(&b);
	}
	assert_int_equal(write("s", "\xc3(\n", "", &b, &map), RC_INVALID);
	buf_done(&b);
}

static void
magic(void **state)
{
	static const struct {
		const char *address;
		enum sandbox_magic magic;
	} rows[] = {
	    {"bounce@example.com", SANDBOX_BOUNCE},   {"Bounce+tag@example.com", SANDBOX_BOUNCE},
	    {"bouncer@example.com", SANDBOX_TAKE},    {"defer@example.com", SANDBOX_DEFER},
	    {"slow+1@example.com", SANDBOX_SLOW},     {"lost@example.com", SANDBOX_LOSE},
	    {"not+bounce@example.com", SANDBOX_TAKE}, {"", SANDBOX_TAKE},
	    {"\"bounce\"@example.com", SANDBOX_TAKE}, {"bounce", SANDBOX_BOUNCE},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (sandbox_magic(bytes_str(rows[i].address)) != rows[i].magic)
			fail_msg("row %zu: %s", i, rows[i].address);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(languages), cmocka_unit_test(long_subjects),
					   cmocka_unit_test(refused), cmocka_unit_test(magic)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
