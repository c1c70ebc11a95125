/* SPDX-License-Identifier: MIT */
#include "sse.h"

#include <stdio.h>
#include <string.h>

void
sse_init(struct sse *s, bool (*on_event)(void *ctx, const struct sse_event *e), void *ctx)
{
	*s = (struct sse){.on_event = on_event, .ctx = ctx};
	buf_init(&s->line, SSE_MAX);
	buf_init(&s->data, SSE_MAX);
}

void
sse_restart(struct sse *s)
{
	buf_reset(&s->line);
	buf_reset(&s->data);
	s->type[0] = '\0';
	memcpy(s->next_id, s->id, sizeof(s->id));
	s->after_cr = s->begun = s->has_data = false;
}

void
sse_done(struct sse *s)
{
	buf_done(&s->line);
	buf_done(&s->data);
}

static bool
dispatch(struct sse *s)
{
	bool go_on = true;
	memcpy(s->id, s->next_id, sizeof(s->id));
	if (s->has_data) {
		struct sse_event e = {s->type[0] != '\0' ? s->type : "message", s->id, buf_bytes(&s->data)};
		go_on = s->on_event(s->ctx, &e);
	}
	buf_reset(&s->data);
	s->type[0] = '\0';
	s->has_data = false;
	return go_on;
}

/* A field of which only short values mean anything: a longer one, or one with NUL, is as if it were not there. */
static void
set_short(char *out, size_t size, struct bytes value)
{
	if (value.n < size && memchr(value.p, '\0', value.n) == NULL) {
		memcpy(out, value.p, value.n);
		out[value.n] = '\0';
	}
}

static void
set_retry(struct sse *s, struct bytes value)
{
	int ms = 0;
	if (value.n == 0 || value.n > 7)
		return;
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] < '0' || value.p[i] > '9')
			return;
		ms = ms * 10 + (value.p[i] - '0');
	}
	s->retry_ms = ms;
}

static bool
take_line(struct sse *s)
{
	struct bytes line = buf_bytes(&s->line);
	if (!s->begun && line.n >= 3 && memcmp(line.p, "\xef\xbb\xbf", 3) == 0)
		line = bytes_of(line.p + 3, line.n - 3);
	s->begun = true;
	if (line.n == 0)
		return dispatch(s);
	const uint8_t *colon = memchr(line.p, ':', line.n);
	struct bytes name = bytes_of(line.p, colon != NULL ? (size_t)(colon - line.p) : line.n), value = bytes_str("");
	if (colon != NULL) {
		size_t skip = name.n + 1 + (name.n + 1 < line.n && line.p[name.n + 1] == ' ');
		value = bytes_of(line.p + skip, line.n - skip);
	}
	if (bytes_eq(name, bytes_str("data"))) {
		if (s->has_data)
			buf_add(&s->data, "\n", 1);
		buf_add_bytes(&s->data, value);
		s->has_data = true;
	} else if (bytes_eq(name, bytes_str("event"))) {
		set_short(s->type, sizeof(s->type), value);
	} else if (bytes_eq(name, bytes_str("id"))) {
		set_short(s->next_id, sizeof(s->next_id), value);
	} else if (bytes_eq(name, bytes_str("retry"))) {
		set_retry(s, value);
	}
	return buf_ok(&s->data);
}

bool
sse_feed(struct sse *s, struct bytes piece)
{
	for (size_t i = 0; i < piece.n; i++) {
		uint8_t b = piece.p[i];
		bool second_half = b == '\n' && s->after_cr; /* of CRLF */
		s->after_cr = b == '\r';
		if (second_half)
			continue;
		if (b != '\n' && b != '\r') {
			buf_add(&s->line, &b, 1);
			if (!buf_ok(&s->line))
				return false;
			continue;
		}
		bool go_on = take_line(s);
		buf_reset(&s->line);
		if (!go_on)
			return false;
	}
	return true;
}
