/* SPDX-License-Identifier: MIT
 *
 * What search looks at and how it compares: the one text of a message, words of a query in it, and the tokens by which
 * an index finds both. Normal form is that of rules (mail/text.h) with katakana as hiragana. Pure.
 *
 * A word of a query is in a message if one of its fields holds it, where letters and digits of scripts that are written
 * with spaces begin and end with it: "sales" is in "Sales report", not in "wholesales". Japanese is found anywhere:
 * 京都 is in 東京都庁. Tokens (docs/decisions/0078): whole words, two words joined by one of ".-_@+" ("example.co"),
 * two neighbouring characters of a script without spaces, single ideographs. Every token of a query's word is one of
 * each message that holds the word; the reverse need not be true.
 */
#ifndef DELIVERY_SEARCH_TEXT_H
#define DELIVERY_SEARCH_TEXT_H

#include "core/arena.h"
#include "core/bytes.h"
#include "mail/facts.h"

#define SEARCH_BODY_MAX	 (64u * 1024) /* octets of normal text that are searched */
#define SEARCH_HEAD_MAX	 (64u * 1024) /* all other fields together */
#define SEARCH_QUERY_MAX 4096	      /* octets as asked */
#define SEARCH_TERMS_MAX 16

struct search_message {
	struct bytes mail_from;
	const struct bytes *recipients; /* of the envelope and added ones */
	size_t n_recipients;
	const struct facts *facts; /* NULL: there are none */
};

/* Normal form; what was cut out of UTF-8 becomes U+FFFD. */
struct bytes search_normal(struct arena *a, struct bytes in);
/* One field per line, each in normal form: subject, addresses, attachment names, text. */
struct bytes search_document(struct arena *a, const struct search_message *m);

struct search_query {
	struct bytes terms[SEARCH_TERMS_MAX]; /* normal form, none empty */
	size_t n;
};
/* Words between white space, "what is quoted" as one; one without a letter or digit counts for nothing. RC_INVALID
 * with "query: ..." when no word is left, none can be looked up (a single kana), or a bound is passed. */
enum rc search_query_parse(struct arena *a, const char *text, struct search_query *out_r, struct err *e) MUST_CHECK;
/* All words are in the document. */
bool search_query_matches(const struct search_query *q, struct bytes document);

/* --- tokens ---------------------------------------------------------------------------------------------------- */
struct search_key {
	uint8_t b[16]; /* of SipHash-2-4; per tenant and epoch of its data key */
};

/* A set of token hashes. */
struct search_set {
	uint64_t *v; /* in order of arrival */
	size_t n, cap;
	uint64_t *slots;
	size_t n_slots;
};
void search_set_init(struct search_set *s);
void search_set_done(struct search_set *s);
void search_set_reset(struct search_set *s);
/* Hash 0 becomes 1. */
void search_set_add(struct search_set *s, uint64_t hash);

/* Add the tokens of a document. */
void search_tokens_document(const struct search_key *k, struct bytes document, struct search_set *s);
/* Add those that every document with that word has. */
void search_tokens_term(const struct search_key *k, struct bytes term, struct search_set *s);
/* The token of a property that is no text, "direction:incoming". */
uint64_t search_token_property(const struct search_key *k, const char *property);

#endif
