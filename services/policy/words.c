/* SPDX-License-Identifier: MIT
 *
 * The automaton. Near the root, where a scan spends its time, the next node is looked up in a table; further out, nodes
 * have few children and a list does.
 */
#include "words.h"

#define DENSE_MAX 128 /* 1 KiB each */

static uint32_t
child_of(const struct words_node *nodes, uint32_t node, uint8_t byte)
{
	uint32_t c = nodes[node].child;
	while (c != 0 && nodes[c].byte != byte)
		c = nodes[c].sibling;
	return c;
}

/* The next node after byte, by lists only. */
static uint32_t
step(const struct words_node *nodes, uint32_t node, uint8_t byte)
{
	for (;;) {
		uint32_t next = child_of(nodes, node, byte);
		if (next != 0 || node == 0)
			return next;
		node = nodes[node].fail;
	}
}

static size_t
make_trie(const struct bytes *v, size_t n, struct words_node *nodes)
{
	size_t used = 1;
	for (size_t i = 0; i < n; i++) {
		uint32_t at = 0;
		for (size_t k = 0; k < v[i].n; k++) {
			uint32_t next = child_of(nodes, at, v[i].p[k]);
			if (next == 0) {
				next = (uint32_t)used++;
				nodes[next] = (struct words_node){.byte = v[i].p[k], .sibling = nodes[at].child};
				nodes[at].child = next;
			}
			at = next;
		}
		nodes[at].word = (uint32_t)i + 1;
	}
	return used;
}

/* Renumber breadth-first: the nodes near the root become the first ones, and a node's fail comes before it. */
static void
sort_nodes(const struct words_node *from, size_t n, uint32_t *order, uint32_t *place, struct words_node *to)
{
	size_t end = 1;
	for (size_t i = 0; i < n; i++)
		for (uint32_t c = from[order[i]].child; c != 0; c = from[c].sibling) {
			place[c] = (uint32_t)end;
			order[end++] = c;
		}
	for (size_t i = 0; i < n; i++) {
		to[i] = from[order[i]];
		to[i].child = place[to[i].child];
		to[i].sibling = place[to[i].sibling];
	}
}

static void
link_fails(struct words_node *nodes, size_t n)
{
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t c = nodes[i].child; c != 0; c = nodes[c].sibling) {
			nodes[c].fail = i != 0 ? step(nodes, nodes[i].fail, nodes[c].byte) : 0;
			uint32_t f = nodes[c].fail;
			nodes[c].report = nodes[f].word != 0 ? f : nodes[f].report;
		}
}

void
words_build(struct arena *a, const struct bytes *v, size_t n, struct words *out_r)
{
	size_t most = 1;
	for (size_t i = 0; i < n; i++)
		most += v[i].n;
	struct arena *scratch = arena_new();
	struct words_node *trie = arena_new_array(scratch, struct words_node, most);
	struct words w = {.n = make_trie(v, n, trie)};
	w.nodes = arena_new_array(a, struct words_node, w.n);
	sort_nodes(trie, w.n, arena_new_array(scratch, uint32_t, w.n), arena_new_array(scratch, uint32_t, w.n),
		   w.nodes);
	arena_free(&scratch);
	link_fails(w.nodes, w.n);
	w.n_dense = w.n < DENSE_MAX ? w.n : DENSE_MAX;
	w.dense = arena_new_array(a, uint32_t, w.n_dense * 256);
	for (uint32_t i = 0; i < w.n_dense; i++)
		for (unsigned byte = 0; byte < 256; byte++)
			w.dense[i * 256 + byte] = step(w.nodes, i, (uint8_t)byte);
	*out_r = w;
}

static uint32_t
next_node(const struct words *w, uint32_t at, uint8_t byte)
{
	while (at >= w->n_dense) {
		uint32_t next = child_of(w->nodes, at, byte);
		if (next != 0)
			return next;
		at = w->nodes[at].fail;
	}
	return w->dense[at * 256 + byte];
}

void
words_scan(const struct words *w, struct bytes text, bool *found)
{
	uint32_t at = 0;
	for (size_t i = 0; i < text.n; i++) {
		at = next_node(w, at, text.p[i]);
		uint32_t hit = w->nodes[at].word != 0 ? at : w->nodes[at].report;
		/* Where a word was found before, so were the words that are its suffixes. */
		for (; hit != 0 && !found[w->nodes[hit].word - 1]; hit = w->nodes[hit].report)
			found[w->nodes[hit].word - 1] = true;
	}
}
