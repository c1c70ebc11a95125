/* SPDX-License-Identifier: MIT
 *
 * Relaxed canonicalisation. Bodies are mostly lines without runs of white space: those are found with memchr and copied
 * in one piece, everything else goes octet by octet.
 */
#include "mail/dkim_canon.h"

static bool
is_wsp(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static uint8_t
lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

void
dkim_canon_field(struct bytes f, struct buf *out)
{
	size_t i = 0, name_end;
	const uint8_t *colon = f.n > 0 ? memchr(f.p, ':', f.n) : NULL;
	name_end = colon != NULL ? (size_t)(colon - f.p) : f.n;
	size_t trimmed = name_end;
	while (trimmed > 0 && is_wsp(f.p[trimmed - 1]))
		trimmed--;
	uint8_t *to = buf_reserve(out, f.n + 4);
	if (to == NULL)
		return;
	size_t o = 0;
	for (i = 0; i < trimmed; i++)
		to[o++] = lower(f.p[i]);
	to[o++] = ':';
	bool wsp = false, any = false;
	for (i = name_end + (colon != NULL); i < f.n; i++) {
		uint8_t c = f.p[i];
		if (c == '\r' || c == '\n')
			continue; /* unfold */
		if (is_wsp(c)) {
			wsp = any;
			continue;
		}
		if (wsp)
			to[o++] = ' ';
		wsp = false;
		any = true;
		to[o++] = c;
	}
	to[o++] = '\r';
	to[o++] = '\n';
	out->n += o;
	to[o] = 0;
}

void
dkim_canon_body_init(struct dkim_canon_body *c, void (*sink)(void *ctx, const void *p, size_t n), void *ctx)
{
	c->sink = sink;
	c->ctx = ctx;
	c->empty_lines = 0;
	c->wsp = c->cr = c->any = false;
	c->n = 0;
}

static void
flush(struct dkim_canon_body *c)
{
	if (c->n > 0)
		c->sink(c->ctx, c->out, c->n);
	c->n = 0;
}

static void
put(struct dkim_canon_body *c, const uint8_t *p, size_t n)
{
	if (n > sizeof(c->out) - c->n)
		flush(c);
	if (n > sizeof(c->out)) {
		c->sink(c->ctx, p, n);
		return;
	}
	memcpy(c->out + c->n, p, n);
	c->n += n;
}

/* Text follows: what was held back is not at an end. */
static void
put_held(struct dkim_canon_body *c)
{
	for (; c->empty_lines > 0; c->empty_lines--)
		put(c, (const uint8_t *)"\r\n", 2);
	if (c->wsp)
		put(c, (const uint8_t *)" ", 1);
	c->wsp = false;
	c->any = true;
}

static void
line_end(struct dkim_canon_body *c)
{
	c->wsp = false;
	c->empty_lines++;
}

/* One octet in a line, which is neither LF after CR nor CR. */
static void
octet(struct dkim_canon_body *c, uint8_t ch)
{
	if (is_wsp(ch)) {
		c->wsp = true;
		return;
	}
	put_held(c);
	put(c, &ch, 1);
}

/* From the beginning of a text run: as much as needs no change within this line. */
static size_t
plain_run(const uint8_t *p, size_t n)
{
	const uint8_t *cr = memchr(p, '\r', n);
	size_t k = cr != NULL ? (size_t)(cr - p) : n;
	const uint8_t *tab = memchr(p, '\t', k);
	k = tab != NULL ? (size_t)(tab - p) : k;
	for (size_t i = 0; i < k;) {
		const uint8_t *sp = memchr(p + i, ' ', k - i);
		if (sp == NULL)
			return k;
		i = (size_t)(sp - p);
		if (i + 1 >= k || p[i + 1] == ' ')
			return i; /* a run, or perhaps the end of the line */
		i++;
	}
	return k;
}

void
dkim_canon_body_feed(struct dkim_canon_body *c, struct bytes in)
{
	for (size_t i = 0; i < in.n;) {
		uint8_t ch = in.p[i];
		if (c->cr) {
			c->cr = false;
			if (ch == '\n') {
				line_end(c);
				i++;
				continue;
			}
			put_held(c);
			put(c, (const uint8_t *)"\r", 1);
		}
		if (ch == '\r') {
			c->cr = true;
			i++;
		} else if (is_wsp(ch)) {
			octet(c, ch);
			i++;
		} else {
			size_t k = plain_run(in.p + i, in.n - i);
			put_held(c);
			put(c, in.p + i, k > 0 ? k : 1);
			i += k > 0 ? k : 1;
		}
	}
}

void
dkim_canon_body_end(struct dkim_canon_body *c)
{
	if (c->cr) {
		put_held(c);
		put(c, (const uint8_t *)"\r", 1);
	}
	/* Whatever it was, the last line with text ends in one CRLF; a body without text is empty. */
	if (c->any)
		put(c, (const uint8_t *)"\r\n", 2);
	flush(c);
}
