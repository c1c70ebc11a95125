/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "sse.h"

/* Every event as type|id|data; and a newline. */
static bool
write_down(void *ctx, const struct sse_event *e)
{
	struct buf *out = ctx;
	buf_addf(out, "%s|%s|%.*s;\n", e->type, e->id, (int)e->data.n, (const char *)e->data.p);
	return e->data.n != 4 || memcmp(e->data.p, "stop", 4) != 0;
}

static void
streams(void **state)
{
	static const struct {
		const char *in, *out;
	} table[] = {
	    {"", ""},
	    {"data: a\n\n", "message||a;\n"},
	    {"data:a\n\n", "message||a;\n"},
	    {"data:  a\n\n", "message|| a;\n"},
	    {"id: 7\nevent: x.y\ndata: {}\n\n", "x.y|7|{};\n"},
	    {"id: 7\r\nevent: x\r\ndata: 1\r\n\r\ndata: 2\r\n\r\n", "x|7|1;\nmessage|7|2;\n"},
	    {"data: 1\rdata: 2\r\r", "message||1\n2;\n"},
	    {"data\n\n", "message||;\n"},
	    {": a comment\n\n:\n\n", ""},
	    {"id: 9\n\n", ""}, /* no data: no event, but the id counts */
	    {"id: 9\n\ndata: x\n\n", "message|9|x;\n"},
	    {"event: x\n\ndata: y\n\n", "message||y;\n"},
	    {"\xef\xbb\xbf"
	     "data: bom\n\n",
	     "message||bom;\n"},
	    {"data: not ended\n", ""},
	    {"unknown: 1\ndata: a\n\n", "message||a;\n"},
	    {"retry: 12x\ndata: a\n\n", "message||a;\n"},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		for (size_t step = 1; step < 64; step += 9) {
			struct buf out;
			struct sse s;
			size_t n = strlen(table[i].in);
			buf_init(&out, 0);
			buf_add(&out, "", 0);
			sse_init(&s, write_down, &out);
			for (size_t at = 0; at < n; at += step)
				assert_true(sse_feed(&s, bytes_of(table[i].in + at, at + step < n ? step : n - at)));
			assert_true(bytes_eq(buf_bytes(&out), bytes_str(table[i].out)));
			sse_done(&s);
			buf_done(&out);
		}
}

static void
ends_and_bounds(void **state)
{
	struct buf out;
	struct sse s;
	buf_init(&out, 0);
	sse_init(&s, write_down, &out);
	assert_false(sse_feed(&s, bytes_str("data: stop\n\ndata: more\n\n")));
	assert_string_equal((const char *)out.p, "message||stop;\n");
	/* What was cut off is not an event of the next connection, and its id does not count. */
	sse_restart(&s);
	assert_true(sse_feed(&s, bytes_str("id: 41\nretry: 2500\ndata: a\n\nid: 42\ndata: hal")));
	sse_restart(&s);
	assert_string_equal(s.id, "41");
	assert_int_equal(s.retry_ms, 2500);
	buf_reset(&out);
	assert_true(sse_feed(&s, bytes_str("data: b\n\n")));
	assert_string_equal((const char *)out.p, "message|41|b;\n");
	/* A line without end, and an event without end. */
	char piece[4096];
	memset(piece, 'x', sizeof(piece));
	size_t fed = 0;
	while (fed <= SSE_MAX && sse_feed(&s, bytes_of(piece, sizeof(piece))))
		fed += sizeof(piece);
	assert_true(fed >= SSE_MAX - sizeof(piece) && fed <= SSE_MAX);
	sse_done(&s);
	sse_init(&s, write_down, &out);
	memcpy(piece, "data:", 5);
	piece[sizeof(piece) - 1] = '\n';
	fed = 0;
	while (fed <= 2 * SSE_MAX && sse_feed(&s, bytes_of(piece, sizeof(piece))))
		fed += sizeof(piece);
	assert_true(fed <= SSE_MAX + sizeof(piece));
	sse_done(&s);
	buf_done(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(streams),
	    cmocka_unit_test(ends_and_bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
