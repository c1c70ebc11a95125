/* SPDX-License-Identifier: MIT
 *
 * The text of a message and the words of a query. Both sides go through the same normal form, and both the index and
 * the check of its candidates through the same document, so that what is found is exactly what a scan would find.
 */
#include "search_text.h"

#include <stdlib.h>

#include "mail/text.h"
#include "search_class.h"

#define RAW_BODY_MAX (2 * SEARCH_BODY_MAX) /* enough for what is kept; bounds the time */

/* Katakana as hiragana: both have three octets. */
static void
fold_kana(uint8_t *p, size_t n)
{
	for (size_t i = 0; i + 2 < n; i++) {
		if (p[i] != 0xe3 || (p[i + 1] != 0x82 && p[i + 1] != 0x83))
			continue;
		uint32_t c = 0x3000 | (uint32_t)(p[i + 1] & 0x3f) << 6 | (p[i + 2] & 0x3f);
		if ((c < 0x30a1 || c > 0x30f6) && c != 0x30fd && c != 0x30fe)
			continue;
		c -= 0x60;
		p[i + 1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		p[i + 2] = (uint8_t)(0x80 | (c & 0x3f));
		i += 2;
	}
}

struct bytes
search_normal(struct arena *a, struct bytes in)
{
	struct bytes out = text_normal(a, in);
	fold_kana((uint8_t *)(uintptr_t)out.p, out.n);
	return out;
}

/* At most max octets, no character cut in two. */
static struct bytes
cut(struct bytes b, size_t max)
{
	if (b.n <= max)
		return b;
	while (max > 0 && (b.p[max] & 0xc0) == 0x80)
		max--;
	return bytes_of(b.p, max);
}

struct builder {
	struct buf out;
	struct arena *a;
};

static void
add_field(struct builder *b, struct bytes raw)
{
	if (raw.n == 0 || b->out.n >= SEARCH_HEAD_MAX)
		return;
	buf_add_bytes(&b->out, cut(search_normal(b->a, raw), SEARCH_HEAD_MAX - b->out.n));
	buf_add(&b->out, "\n", 1);
}

static void
add_addresses(struct builder *b, const struct facts_addresses *v)
{
	for (size_t i = 0; i < v->n; i++) {
		add_field(b, bytes_str(v->v[i].display));
		add_field(b, bytes_str(v->v[i].addr));
	}
}

struct bytes
search_document(struct arena *a, const struct search_message *m)
{
	struct builder b = {.a = a};
	const struct facts *f = m->facts;
	buf_init(&b.out, 0);
	if (f != NULL)
		add_field(&b, bytes_str(f->subject));
	add_field(&b, m->mail_from);
	if (f != NULL) {
		add_addresses(&b, &f->from);
		add_addresses(&b, &f->to);
		add_addresses(&b, &f->cc);
	}
	for (size_t i = 0; i < m->n_recipients; i++)
		add_field(&b, m->recipients[i]);
	for (size_t i = 0; f != NULL && i < f->n_attachments; i++)
		add_field(&b, bytes_str(f->attachments[i].name));
	if (f != NULL) {
		struct bytes raw = cut(bytes_str(f->text), RAW_BODY_MAX);
		buf_add_bytes(&b.out, cut(search_normal(a, raw), SEARCH_BODY_MAX));
	}
	struct bytes out = {(const uint8_t *)arena_strndup(a, b.out.n > 0 ? b.out.p : (const uint8_t *)"", b.out.n),
			    b.out.n};
	buf_done(&b.out);
	return out;
}

/* --- queries --------------------------------------------------------------------------------------------------- */
/* White space between words: ASCII, U+0085, U+00A0, U+2000-200A, U+2028, U+2029, U+3000; its length or 0. */
static size_t
space_at(const uint8_t *p, size_t n)
{
	if (p[0] == ' ' || (p[0] >= 0x09 && p[0] <= 0x0d))
		return 1;
	if (n >= 2 && p[0] == 0xc2 && (p[1] == 0x85 || p[1] == 0xa0))
		return 2;
	if (n < 3)
		return 0;
	if (p[0] == 0xe3 && p[1] == 0x80 && p[2] == 0x80)
		return 3;
	if (p[0] == 0xe2 && p[1] == 0x80 && (p[2] <= 0x8a || p[2] == 0xa8 || p[2] == 0xa9))
		return 3;
	return 0;
}

/* U+0022, or one of U+201C, U+201D, U+FF02, which input methods give instead. */
static size_t
quote_at(const uint8_t *p, size_t n)
{
	if (p[0] == '"')
		return 1;
	if (n >= 3 && p[0] == 0xe2 && p[1] == 0x80 && (p[2] == 0x9c || p[2] == 0x9d))
		return 3;
	return n >= 3 && p[0] == 0xef && p[1] == 0xbc && p[2] == 0x82 ? 3 : 0;
}

/* The next word as written, from *at on; false when there is none. */
static bool
next_raw(struct bytes in, size_t *at, struct bytes *raw_r)
{
	size_t i = *at, k;
	while (i < in.n && (k = space_at(in.p + i, in.n - i)) > 0)
		i += k;
	if (i >= in.n)
		return false;
	bool quoted = (k = quote_at(in.p + i, in.n - i)) > 0;
	size_t from = i += k, after = 0;
	for (; i < in.n; i++) {
		after = quote_at(in.p + i, in.n - i);
		if (after > 0 || (!quoted && space_at(in.p + i, in.n - i) > 0))
			break;
	}
	*raw_r = bytes_of(in.p + from, i - from);
	*at = quoted ? i + after : i; /* a quote after a word begins the next one */
	return true;
}

static bool
has_letter(struct bytes b)
{
	for (size_t i = 0; i < b.n;) {
		size_t len;
		if (search_class_at(b.p + i, b.n - i, &len) != SEARCH_OTHER)
			return true;
		i += len;
	}
	return false;
}

enum rc
search_query_parse(struct arena *a, const char *text, struct search_query *out_r, struct err *e)
{
	static const struct search_key any;
	struct bytes in = bytes_str(text), raw;
	struct search_query q = {.n = 0};
	if (in.n > SEARCH_QUERY_MAX)
		return err_set(e, RC_INVALID, "query: more than %d octets", SEARCH_QUERY_MAX);
	if (!text_is_utf8(in))
		return err_set(e, RC_INVALID, "query: not UTF-8");
	for (size_t at = 0; next_raw(in, &at, &raw);) {
		struct bytes term = search_normal(a, raw);
		if (!has_letter(term))
			continue;
		if (q.n == SEARCH_TERMS_MAX)
			return err_set(e, RC_INVALID, "query: more than %d words", SEARCH_TERMS_MAX);
		q.terms[q.n++] = term;
	}
	if (q.n == 0)
		return err_set(e, RC_INVALID, "query: no word");
	struct search_set s;
	search_set_init(&s);
	for (size_t i = 0; i < q.n; i++)
		search_tokens_term(&any, q.terms[i], &s);
	size_t tokens = s.n;
	search_set_done(&s);
	if (tokens == 0)
		return err_set(e, RC_INVALID, "query: too short");
	*out_r = q;
	return RC_OK;
}

static bool
is_word_at(struct bytes b, size_t at)
{
	size_t len;
	return at < b.n && search_class_at(b.p + at, b.n - at, &len) == SEARCH_WORD;
}

/* The character that ends before at belongs to a word. */
static bool
is_word_before(struct bytes b, size_t at)
{
	if (at == 0)
		return false;
	do
		at--;
	while (at > 0 && (b.p[at] & 0xc0) == 0x80);
	return is_word_at(b, at);
}

/* Where the word that at stands in ends; at itself if it stands in none. */
static size_t
word_end(struct bytes b, size_t at)
{
	size_t len;
	while (at < b.n && search_class_at(b.p + at, b.n - at, &len) == SEARCH_WORD)
		at += len;
	return at;
}

/* A place that fails is followed by none within the same word: a term that begins a word cannot begin before that word
 * ends, nor one that ends a word end before it. So a text of one long word is gone through once, not once per octet. */
static bool
contains(struct bytes doc, struct bytes term)
{
	bool first = is_word_at(term, 0), last = is_word_before(term, term.n);
	for (size_t from = 0; term.n <= doc.n - from;) {
		const uint8_t *p = memmem(doc.p + from, doc.n - from, term.p, term.n);
		if (p == NULL)
			return false;
		size_t at = (size_t)(p - doc.p), begin = at + 1, end = at + term.n;
		if (!(first && is_word_before(doc, at)) && !(last && is_word_at(doc, end)))
			return true;
		if (first)
			begin = word_end(doc, at);
		if (last && word_end(doc, end) - term.n > begin)
			begin = word_end(doc, end) - term.n;
		from = begin;
	}
	return false;
}

bool
search_query_matches(const struct search_query *q, struct bytes document)
{
	for (size_t i = 0; i < q->n; i++)
		if (!contains(document, q->terms[i]))
			return false;
	return true;
}
