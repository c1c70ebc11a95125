/* SPDX-License-Identifier: MIT
 *
 * Mails for the tests and the bench of search: varied Japanese and English, words by Zipf's law. Message number n is
 * the same each time. Linked into no service.
 */
#ifndef DELIVERY_SEARCH_TESTING_H
#define DELIVERY_SEARCH_TESTING_H

#include "content/content.h"
#include "search_text.h"
#include "store.h"

/* In every mail, in one of 1,000 and in one of 100,000. */
#define CORPUS_GREETING "お世話になっております"
#define CORPUS_SELDOM	"特別監査報告"
#define CORPUS_RARE	"鬼怒川工場"

struct search_corpus;
/* median: characters of a text; they vary between a fifth and five times that. */
struct search_corpus *search_corpus_new(size_t median);
void search_corpus_free(struct search_corpus **c);
/* A word of the language by its rank, from 0. */
struct bytes search_corpus_word(const struct search_corpus *c, bool english, size_t rank);
/* Message n with that id's time; everything lives in a. */
void search_corpus_message(const struct search_corpus *c, uint64_t n, int64_t accepted_us, struct arena *a,
			   struct store_arrival *v, struct facts *f);
/* Store n messages as ingest and delivery do: facts sealed, arrivals in one commit. */
enum rc search_corpus_store(struct db_pool *pool, struct content *content, const struct uuid *tenant,
			    struct store_arrival *v, const struct facts *facts, size_t n, struct arena *a,
			    struct err *e) MUST_CHECK;

#endif
