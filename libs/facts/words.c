/* SPDX-License-Identifier: MIT
 *
 * Encoded words that stand side by side in one charset are joined before they are decoded: some mailers cut inside a
 * character. No state.
 */
#include "facts/words.h"

#include "facts/charset.h"
#include "facts/decode.h"

#define SECTIONS_MAX 100
#define VALUE_MAX    65536 /* of a header that is decoded; FACTS_STRING_MAX is what remains */
#define WORD_MAX     8192
/* Enough to know that something was cut, however little. */
#define TEXT_MAX (FACTS_STRING_MAX + 8)

/* --- RFC 2047 ------------------------------------------------------------------------------------------- */

struct word {
	const char *charset;
	struct bytes octets;
	size_t length; /* of the whole encoded word */
};

static bool
take_word(struct bytes b, struct arena *a, struct word *out)
{
	if (b.n > WORD_MAX)
		b.n = WORD_MAX;
	if (b.n < 8 || b.p[0] != '=' || b.p[1] != '?')
		return false;
	const uint8_t *end = b.p + b.n, *cs = b.p + 2;
	const uint8_t *q1 = memchr(cs, '?', (size_t)(end - cs));
	if (q1 == NULL || q1 == cs || end - q1 < 4 || q1[2] != '?')
		return false;
	const uint8_t *text = q1 + 3, *stop = text;
	while ((stop = memchr(stop, '?', (size_t)(end - stop))) != NULL && stop + 1 < end && stop[1] != '=')
		stop++;
	if (stop == NULL || stop + 1 >= end)
		return false;
	struct bytes raw = bytes_of(text, (size_t)(stop - text));
	if (q1[1] == 'B' || q1[1] == 'b')
		out->octets = decode_word_b(raw, a);
	else if (q1[1] == 'Q' || q1[1] == 'q')
		out->octets = decode_word_q(raw, a);
	else
		return false;
	size_t n = (size_t)(q1 - cs);
	const uint8_t *language = memchr(cs, '*', n); /* RFC 2231 5 */
	out->charset = arena_strndup(a, cs, language != NULL ? (size_t)(language - cs) : n);
	out->length = (size_t)(stop + 2 - b.p);
	return true;
}

static const char *
finish(struct buf *b, struct arena *a, bool *cut)
{
	struct bytes all = buf_bytes(b);
	if (all.n > FACTS_STRING_MAX || !buf_ok(b))
		*cut = true;
	for (size_t i = 0; i < b->n; i++)
		if (b->p[i] == 0)
			b->p[i] = '?';
	const char *s = arena_strndup(a, all.p, charset_cut(all, FACTS_STRING_MAX));
	buf_done(b);
	return s;
}

const char *
words_decode(struct bytes value, struct arena *a, bool *cut)
{
	struct buf out, run; /* run: octets of adjacent words in one charset */
	struct bytes b = header_unfold(a, bytes_of(value.p, value.n < VALUE_MAX ? value.n : VALUE_MAX));
	const char *charset = NULL;
	size_t at = 0, plain = 0;
	if (value.n > VALUE_MAX)
		*cut = true;
	buf_init(&out, 0);
	buf_init(&run, 0);
	while (at <= b.n && out.n <= FACTS_STRING_MAX) {
		struct word w;
		const uint8_t *hit = at < b.n ? memmem(b.p + at, b.n - at, "=?", 2) : NULL;
		size_t pos = hit != NULL ? (size_t)(hit - b.p) : b.n;
		bool word = hit != NULL && take_word(bytes_of(b.p + pos, b.n - pos), a, &w);
		if (hit != NULL && !word) {
			at = pos + 2;
			continue;
		}
		bool only_white = true;
		for (size_t i = plain; i < pos; i++)
			only_white &= b.p[i] == ' ' || b.p[i] == '\t';
		bool joins = word && charset != NULL && only_white && strcasecmp(charset, w.charset) == 0;
		if (charset != NULL && !joins) {
			buf_add_bytes(&out, charset_to_utf8(charset, buf_bytes(&run), TEXT_MAX, a));
			buf_reset(&run);
		}
		if (!(word && charset != NULL && only_white))
			buf_add_bytes(&out, charset_to_utf8("", bytes_of(b.p + plain, pos - plain), TEXT_MAX, a));
		charset = word ? w.charset : NULL;
		if (word)
			buf_add_bytes(&run, w.octets);
		if (!word)
			break;
		at = plain = pos + w.length;
	}
	buf_done(&run);
	return finish(&out, a, cut);
}

/* --- RFC 2231 ------------------------------------------------------------------------------------------- */

/* charset'language'text; language is of no use here. */
static const char *
take_charset(struct bytes *v, struct arena *a)
{
	const uint8_t *q1 = memchr(v->p, '\'', v->n);
	const uint8_t *q2 = q1 != NULL ? memchr(q1 + 1, '\'', (size_t)(v->p + v->n - q1) - 1) : NULL;
	if (q2 == NULL)
		return "";
	const char *charset = arena_strndup(a, v->p, (size_t)(q1 - v->p));
	*v = bytes_of(q2 + 1, (size_t)(v->p + v->n - q2) - 1);
	return charset;
}

static const struct header_param *
find_section(const struct header_value *v, struct bytes name, int section)
{
	for (size_t i = 0; i < v->n_params; i++)
		if (v->params[i].section == section && bytes_ieq(v->params[i].name, name))
			return &v->params[i];
	return NULL;
}

const char *
words_param(const struct header_value *v, const char *name, struct arena *a, bool *cut)
{
	struct buf octets;
	const char *charset = "";
	struct bytes want = bytes_str(name);
	const struct header_param *p = find_section(v, want, 0);
	for (size_t i = 0; p == NULL && i < v->n_params; i++)
		if (v->params[i].extended && v->params[i].section < 0 && bytes_ieq(v->params[i].name, want))
			p = &v->params[i];
	if (p == NULL) {
		p = find_section(v, want, -1);
		return p != NULL ? words_decode(p->value, a, cut) : "";
	}
	buf_init(&octets, FACTS_STRING_MAX * 4);
	for (int section = p->section; p != NULL && section < SECTIONS_MAX; section++) {
		struct bytes value = p->value;
		if (p->extended && section <= 0)
			charset = take_charset(&value, a);
		buf_add_bytes(&octets, p->extended ? decode_percent(value, a) : value);
		p = section >= 0 ? find_section(v, want, section + 1) : NULL;
	}
	struct buf out;
	if (p != NULL || !buf_ok(&octets))
		*cut = true;
	buf_init(&out, 0);
	buf_add_bytes(&out, charset_to_utf8(charset, buf_bytes(&octets), TEXT_MAX, a));
	buf_done(&octets);
	return finish(&out, a, cut);
}
