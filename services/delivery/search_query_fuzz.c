/* SPDX-License-Identifier: MIT
 *
 * Queries and documents from anywhere: a document that holds all words has all their tokens, and a query's own words
 * are found in a document made of them.
 */
#include <stdlib.h>

#include "search_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
has(const struct search_set *all, const struct search_set *some)
{
	for (size_t i = 0; i < some->n; i++) {
		size_t k = 0;
		while (k < all->n && all->v[k] != some->v[i])
			k++;
		if (k == all->n)
			return false;
	}
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct search_key key = {{9}};
	struct arena *a = arena_new();
	struct search_query q;
	struct search_set document, terms;
	size_t split = size < 2 ? size : data[0] * (size - 1) / 255 + 1;
	const char *text = arena_strndup(a, size > 0 ? data + 1 : data, size > 0 ? split - 1 : 0);
	const char *body = arena_strndup(a, data + split, size - split);
	struct facts f = {.subject = "", .text = body};
	struct search_message m = {.facts = &f};
	search_set_init(&document);
	search_set_init(&terms);
	if (search_query_parse(a, text, &q, NULL) == RC_OK) {
		struct bytes doc = search_document(a, &m);
		search_tokens_document(&key, doc, &document);
		for (size_t i = 0; i < q.n; i++)
			search_tokens_term(&key, q.terms[i], &terms);
		if (search_query_matches(&q, doc) && !has(&document, &terms))
			abort();
		for (size_t i = 0; i < q.n; i++) {
			struct search_query one = {.terms = {q.terms[i]}, .n = 1};
			if (!search_query_matches(&one, q.terms[i]))
				abort();
		}
	}
	search_set_done(&document);
	search_set_done(&terms);
	arena_free(&a);
	return 0;
}
