/* SPDX-License-Identifier: MIT
 *
 * Text into token hashes. A token is hashed by SipHash-2-4 under the tenant's key, with a letter for its kind in front
 * where the text alone would not tell.
 */
#include <stdlib.h>
#include <utf8proc.h>

#include "crypt/crypt.h"
#include "search_class.h"
#include "search_text.h"

#define SLOTS_MIN 4096
#define PREFIX	  "\n" /* no text of a token begins with it */

static enum search_class
class_of(int32_t c)
{
	if (c >= 0x4e00 && c <= 0x9fff)
		return SEARCH_IDEOGRAPH;
	if (c >= 0x3041 && c <= 0x30ff)
		return c == 0x3097 || c == 0x3098 || (c >= 0x309b && c <= 0x309c) || c == 0x30a0 || c == 0x30fb
			   ? SEARCH_OTHER
			   : SEARCH_WIDE;
	if (c == 0x3005 || c == 0x3006 || c == 0x3007 || (c >= 0x3400 && c <= 0x4dbf) || (c >= 0xf900 && c <= 0xfaff) ||
	    (c >= 0x20000 && c <= 0x3ffff))
		return SEARCH_IDEOGRAPH;
	if (c >= 0xac00 && c <= 0xd7a3)
		return SEARCH_WIDE;
	switch (utf8proc_category(c)) {
	case UTF8PROC_CATEGORY_LU:
	case UTF8PROC_CATEGORY_LL:
	case UTF8PROC_CATEGORY_LT:
	case UTF8PROC_CATEGORY_LM:
	case UTF8PROC_CATEGORY_LO:
	case UTF8PROC_CATEGORY_MN:
	case UTF8PROC_CATEGORY_MC:
	case UTF8PROC_CATEGORY_ME:
	case UTF8PROC_CATEGORY_ND:
	case UTF8PROC_CATEGORY_NL:
	case UTF8PROC_CATEGORY_NO:
		break;
	default:
		return SEARCH_OTHER;
	}
	bool unspaced = (c >= 0x0e00 && c <= 0x0eff) || (c >= 0x1000 && c <= 0x109f) || (c >= 0x1780 && c <= 0x17ff) ||
			(c >= 0x3100 && c <= 0x312f);
	return unspaced ? SEARCH_WIDE : SEARCH_WORD;
}

enum search_class
search_class_at(const uint8_t *p, size_t n, size_t *len_r)
{
	*len_r = 1;
	if (p[0] < 0x80)
		return (p[0] >= 'a' && p[0] <= 'z') || (p[0] >= '0' && p[0] <= '9') || (p[0] >= 'A' && p[0] <= 'Z')
			   ? SEARCH_WORD
			   : SEARCH_OTHER;
	/* Nearly all of what is left, without a call. */
	if (n >= 3 && p[0] >= 0xe3 && p[0] <= 0xe9 && (p[1] & 0xc0) == 0x80 && (p[2] & 0xc0) == 0x80) {
		*len_r = 3;
		return class_of((p[0] & 0x0f) << 12 | (p[1] & 0x3f) << 6 | (p[2] & 0x3f));
	}
	utf8proc_int32_t c;
	utf8proc_ssize_t k = utf8proc_iterate(p, (utf8proc_ssize_t)(n < 4 ? n : 4), &c);
	if (k <= 0)
		return SEARCH_OTHER;
	*len_r = (size_t)k;
	return class_of(c);
}

/* --- sets ------------------------------------------------------------------------------------------------------ */
void
search_set_init(struct search_set *s)
{
	*s = (struct search_set){.n_slots = SLOTS_MIN};
	s->slots = calloc(s->n_slots, sizeof(*s->slots));
	if (s->slots == NULL)
		abort();
}

void
search_set_done(struct search_set *s)
{
	free(s->v);
	free(s->slots);
	*s = (struct search_set){0};
}

void
search_set_reset(struct search_set *s)
{
	s->n = 0;
	memset(s->slots, 0, s->n_slots * sizeof(*s->slots));
}

/* The slot of that hash or a free one. */
static uint64_t *
slot_of(const struct search_set *s, uint64_t hash)
{
	size_t i = hash & (s->n_slots - 1);
	while (s->slots[i] != 0 && s->slots[i] != hash)
		i = (i + 1) & (s->n_slots - 1);
	return &s->slots[i];
}

static void
grow(struct search_set *s)
{
	free(s->slots);
	s->n_slots *= 2;
	s->slots = calloc(s->n_slots, sizeof(*s->slots));
	if (s->slots == NULL)
		abort();
	for (size_t i = 0; i < s->n; i++)
		*slot_of(s, s->v[i]) = s->v[i];
}

void
search_set_add(struct search_set *s, uint64_t hash)
{
	if (hash == 0)
		hash = 1;
	uint64_t *slot = slot_of(s, hash);
	if (*slot == hash)
		return;
	*slot = hash;
	if (s->n == s->cap) {
		s->cap = s->cap != 0 ? 2 * s->cap : SLOTS_MIN / 2;
		uint64_t *more = realloc(s->v, s->cap * sizeof(*more));
		if (more == NULL)
			abort();
		s->v = more;
	}
	s->v[s->n++] = hash;
	if (2 * s->n > s->n_slots)
		grow(s);
}

/* --- tokens ---------------------------------------------------------------------------------------------------- */
uint64_t
search_token_property(const struct search_key *k, const char *property)
{
	uint8_t text[64] = PREFIX;
	size_t n = strlen(property);
	if (n > sizeof(text) - 1)
		abort(); /* ours, not foreign */
	memcpy(text + 1, property, n);
	uint64_t h = crypt_short_hash(k->b, bytes_of(text, 1 + n));
	return h != 0 ? h : 1;
}

struct walk {
	const struct search_key *key;
	const uint8_t *p;
	struct search_set *out;
	bool document;
	size_t word;	/* where the word under way began; SIZE_MAX: none */
	size_t joined;	/* where the word before the connector just seen began; SIZE_MAX: none */
	size_t wide;	/* where the neighbouring wide character before began; SIZE_MAX: none */
	size_t run;	/* wide characters in a row */
	bool ideograph; /* the last of them is one */
};

static void
emit(struct walk *w, size_t from, size_t to)
{
	search_set_add(w->out, crypt_short_hash(w->key->b, bytes_of(w->p + from, to - from)));
}

static bool
is_connector(uint8_t c)
{
	return c == '.' || c == '-' || c == '_' || c == '@' || c == '+';
}

/* The word under way, if any, ends at to; then comes c, or nothing (0). */
static void
end_word(struct walk *w, size_t to, uint8_t c)
{
	size_t word = w->word;
	if (word != SIZE_MAX) {
		emit(w, word, to);
		if (w->joined != SIZE_MAX)
			emit(w, w->joined, to);
	}
	w->word = SIZE_MAX;
	w->joined = is_connector(c) ? word : SIZE_MAX;
}

/* A document has all its ideographs as tokens, a query only one that stands alone: two say more. */
static void
end_run(struct walk *w, size_t to)
{
	if (w->run == 1 && w->ideograph && !w->document)
		emit(w, w->wide, to);
	w->run = 0;
	w->wide = SIZE_MAX;
}

static void
walk(const struct search_key *k, struct bytes text, bool document, struct search_set *out)
{
	struct walk w = {k, text.p, out, document, SIZE_MAX, SIZE_MAX, SIZE_MAX, 0, false};
	for (size_t i = 0, len; i < text.n; i += len) {
		enum search_class c = search_class_at(text.p + i, text.n - i, &len);
		if (c == SEARCH_WORD) {
			end_run(&w, i);
			if (w.word == SIZE_MAX)
				w.word = i;
			continue;
		}
		end_word(&w, i, text.p[i]);
		if (c == SEARCH_OTHER) {
			end_run(&w, i);
			continue;
		}
		if (w.wide != SIZE_MAX)
			emit(&w, w.wide, i + len);
		if (c == SEARCH_IDEOGRAPH && document)
			emit(&w, i, i + len);
		w.ideograph = c == SEARCH_IDEOGRAPH;
		w.wide = i;
		w.run++;
	}
	end_word(&w, text.n, 0);
	end_run(&w, text.n);
}

void
search_tokens_document(const struct search_key *k, struct bytes document, struct search_set *s)
{
	walk(k, document, true, s);
}

void
search_tokens_term(const struct search_key *k, struct bytes term, struct search_set *s)
{
	walk(k, term, false, s);
}
