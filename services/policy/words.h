/* SPDX-License-Identifier: MIT
 *
 * Many keywords in one pass over a text (Aho and Corasick, 1975): time grows with the text, not with the number of
 * words. Built once per rule set, then read-only. Octets in, octets out: both sides are in normal form (mail/text.h).
 */
#ifndef POLICY_WORDS_H
#define POLICY_WORDS_H

#include "core/arena.h"
#include "core/bytes.h"

struct words_node {
	uint32_t fail;		 /* the longest proper suffix that is a node */
	uint32_t child, sibling; /* 0: none (the root is nobody's child) */
	uint32_t word;		 /* index + 1 of the word that ends here; 0: none */
	uint32_t report;	 /* nearest node along fail with a word; 0: none */
	uint8_t byte;
};

struct words {
	struct words_node *nodes; /* in breadth-first order, the root first */
	size_t n;
	uint32_t *dense; /* 256 next nodes for each of the first n_dense nodes */
	size_t n_dense;
};

/* v: none empty, each once. Lives in a. */
void words_build(struct arena *a, const struct bytes *v, size_t n, struct words *out_r);
/* Set found[index of word] for every word that is in the text; others are left alone. */
void words_scan(const struct words *w, struct bytes text, bool *found);

#endif
