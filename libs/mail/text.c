/* SPDX-License-Identifier: MIT
 *
 * Most characters of real mails are their own normal form and a boundary of normalisation (ASCII, kana, ideographs):
 * they are copied. Only what stands between two of them goes through libutf8proc, in pieces whose size is bounded,
 * because reordering a long run of combining marks takes quadratic time there.
 */
#include "mail/text.h"

#include <stdlib.h>
#include <utf8proc.h>

#define REPLACEMENT 0xfffd
#define PIECE_SOFT  256	 /* octets; from here on cut before a letter */
#define PIECE_HARD  1024 /* cut anywhere */

struct writer {
	struct buf out;
	bool space; /* white space seen since the last character */
	bool wide;  /* the last character belongs to a script without spaces */
};

/* Code point at p, its length in *len_r; REPLACEMENT and 1 where there is none. */
static int32_t
decode(const uint8_t *p, size_t n, size_t *len_r)
{
	if (p[0] < 0x80) {
		*len_r = 1;
		return p[0];
	}
	utf8proc_int32_t c;
	utf8proc_ssize_t k = utf8proc_iterate(p, (utf8proc_ssize_t)(n < 4 ? n : 4), &c);
	if (k <= 0) {
		*len_r = 1;
		return REPLACEMENT;
	}
	*len_r = (size_t)k;
	return c;
}

/* Its own NFKC_Casefold (but for ASCII capitals), a starter, and nothing before it composes with it. */
static bool
is_plain(int32_t c)
{
	return c < 0x80 || (c >= 0x3041 && c <= 0x3096) || (c >= 0x30a1 && c <= 0x30fc) ||
	       (c >= 0x4e00 && c <= 0x9fff) || c == 0x3001 || c == 0x3002 || (c >= 0x3005 && c <= 0x3015) ||
	       (c >= 0xac00 && c <= 0xd7a3);
}

static bool
is_wide(int32_t c)
{
	return (c >= 0x2e80 && c <= 0x9fff) || (c >= 0xf900 && c <= 0xfaff) || (c >= 0x20000 && c <= 0x3ffff);
}

static bool
is_space(int32_t c)
{
	return c == ' ' || (c >= 0x09 && c <= 0x0d) || c == 0x85 || c == 0x1680 || c == 0x2028 || c == 0x2029;
}

static void
put(struct writer *w, int32_t c, const uint8_t *p, size_t n)
{
	if (is_space(c)) {
		w->space = true;
		return;
	}
	bool wide = is_wide(c);
	uint8_t *to = buf_reserve(&w->out, n + 1);
	if (to == NULL)
		abort(); /* no bound was set: out of memory */
	if (w->space && w->out.n != 0 && !wide && !w->wide) {
		*to++ = ' ';
		w->out.n++;
	}
	memcpy(to, p, n);
	w->out.n += n;
	w->space = false;
	w->wide = wide;
}

static void
put_plain(struct writer *w, int32_t c, const uint8_t *p, size_t n)
{
	uint8_t lower = (uint8_t)(c | 0x20);
	if (c >= 'A' && c <= 'Z')
		p = &lower;
	put(w, c, p, n);
}

static void
put_other(struct writer *w, const uint8_t *p, size_t n)
{
	utf8proc_uint8_t *mapped = NULL;
	utf8proc_ssize_t k =
	    utf8proc_map(p, (utf8proc_ssize_t)n, &mapped,
			 UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE);
	if (k == UTF8PROC_ERROR_NOMEM)
		abort();
	for (utf8proc_ssize_t i = 0; i < k;) {
		size_t len;
		int32_t c = decode(mapped + i, (size_t)(k - i), &len);
		put(w, c, mapped + i, len);
		i += (utf8proc_ssize_t)len;
	}
	free(mapped);
}

static bool
may_cut_before(int32_t c)
{
	const utf8proc_property_t *p = utf8proc_get_property(c);
	bool letter = p->category == UTF8PROC_CATEGORY_LU || p->category == UTF8PROC_CATEGORY_LL ||
		      p->category == UTF8PROC_CATEGORY_LO;
	return letter && p->combining_class == 0 && !(c >= 0x1160 && c <= 0x11ff);
}

/* Where the piece that begins at from (with a character that is not plain at or just after it) ends. */
static size_t
piece_end(struct bytes in, size_t from, size_t at)
{
	while (at < in.n) {
		size_t len;
		int32_t c = decode(in.p + at, in.n - at, &len);
		if (is_plain(c) || (c == REPLACEMENT && len == 1))
			return at;
		if (at - from >= PIECE_HARD || (at - from >= PIECE_SOFT && may_cut_before(c)))
			return at;
		at += len;
	}
	return at;
}

struct bytes
text_normal(struct arena *a, struct bytes in)
{
	struct writer w = {0};
	buf_init(&w.out, 0);
	if (buf_reserve(&w.out, in.n + in.n / 8) == NULL)
		abort();
	/* The last plain character waits: what follows may combine with it. */
	size_t waiting = SIZE_MAX, waiting_len = 0;
	int32_t waiting_c = 0;
	for (size_t i = 0; i < in.n;) {
		size_t len;
		int32_t c = decode(in.p + i, in.n - i, &len);
		if (is_plain(c) || (c == REPLACEMENT && len == 1)) {
			if (waiting != SIZE_MAX)
				put_plain(&w, waiting_c, in.p + waiting, waiting_len);
			waiting = SIZE_MAX;
			if (c == REPLACEMENT) {
				put(&w, c, (const uint8_t *)"\xef\xbf\xbd", 3);
			} else {
				waiting = i;
				waiting_len = len;
				waiting_c = c;
			}
			i += len;
			continue;
		}
		size_t from = waiting != SIZE_MAX ? waiting : i;
		size_t end = piece_end(in, from, i + len);
		put_other(&w, in.p + from, end - from);
		waiting = SIZE_MAX;
		i = end;
	}
	if (waiting != SIZE_MAX)
		put_plain(&w, waiting_c, in.p + waiting, waiting_len);
	struct bytes out = {(const uint8_t *)arena_strndup(a, w.out.p, w.out.n), w.out.n};
	buf_done(&w.out);
	return out;
}

bool
text_is_utf8(struct bytes in)
{
	for (size_t i = 0; i < in.n;) {
		size_t len;
		if (decode(in.p + i, in.n - i, &len) == REPLACEMENT && len == 1)
			return false;
		i += len;
	}
	return true;
}

bool
text_is_one_line(struct bytes in)
{
	for (size_t i = 0; i < in.n;) {
		size_t len;
		int32_t c = decode(in.p + i, in.n - i, &len);
		if (c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x2028 || c == 0x2029)
			return false;
		i += len;
	}
	return true;
}

size_t
text_length(struct bytes in)
{
	size_t n = 0;
	for (size_t i = 0; i < in.n; i++)
		n += (in.p[i] & 0xc0) != 0x80;
	return n;
}
