/* SPDX-License-Identifier: MIT
 *
 * Answers that are files: written piece by piece, so that their size does not matter. What was cut off is no file: it
 * stays under its name with ".part" behind.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "term.h"

struct saving {
	struct cli *c;
	FILE *to;
	bool harmless; /* a terminal: octets of strangers are made safe, line by line */
	struct buf line;
	bool failed;
};

static void
put_line(struct saving *s)
{
	struct arena *a = arena_new();
	fputs(term_safe(a, buf_bytes(&s->line)), s->to);
	fputc('\n', s->to);
	arena_free(&a);
	buf_reset(&s->line);
}

static bool
on_piece(void *ctx, struct bytes piece)
{
	struct saving *s = ctx;
	if (!s->harmless) {
		s->failed = fwrite(piece.p, 1, piece.n, s->to) != piece.n;
		return !s->failed;
	}
	for (size_t i = 0; i < piece.n; i++) {
		if (piece.p[i] == '\n' || s->line.n >= 4096)
			put_line(s);
		if (piece.p[i] != '\n' && piece.p[i] != '\r')
			buf_add(&s->line, piece.p + i, 1);
	}
	s->failed = ferror(s->to) != 0;
	return !s->failed;
}

int
cli_save(struct cli *c, const char *path, const char *what)
{
	const char *file = cli_value(c, "--output");
	const char *part = file != NULL ? arena_printf(c->arena, "%s.part", file) : NULL;
	struct saving s = {.c = c, .to = stdout};
	if (part != NULL && (s.to = fopen(part, "we")) == NULL) {
		cli_error("cannot write %s: %s", part, strerror(errno));
		return CLI_USAGE;
	}
	s.harmless = part == NULL && isatty(STDOUT_FILENO);
	buf_init(&s.line, 0);
	struct cli_stream stream = {.request = {.method = "GET", .path = path}, .on_body = on_piece, .ctx = &s};
	int code = cli_call_stream(c, &stream);
	if (s.line.n > 0)
		put_line(&s);
	buf_done(&s.line);
	bool written = !s.failed && (part == NULL ? fflush(stdout) == 0 : fclose(s.to) == 0);
	if (part != NULL && s.failed)
		fclose(s.to);
	if (code == CLI_OK && !written) {
		cli_error("cannot write the %s: %s", what, strerror(errno));
		return CLI_FAILED;
	}
	if (part == NULL)
		return code;
	if (!stream.answered)
		unlink(part);
	else if (code != CLI_OK)
		cli_error("what came of the %s is in %s", what, part);
	else if (rename(part, file) != 0) {
		cli_error("cannot rename %s: %s", part, strerror(errno));
		return CLI_FAILED;
	}
	return code;
}
