/* SPDX-License-Identifier: MIT
 *
 * Private to ruleset.c and ruleset_cond.c: the state of one compilation and the reading of members.
 */
#ifndef POLICY_RULESET_COMPILE_H
#define POLICY_RULESET_COMPILE_H

#include "findings.h"
#include "ruleset.h"

#define COMPILE_SLOTS 16384 /* power of two, more than twice RULESET_WORDS_MAX */

struct compile {
	struct findings f;
	struct ruleset *set;
	size_t nodes, word_octets;
	uint32_t slots[COMPILE_SLOTS]; /* word index + 1 by hash */
};

/* An object with no members but those named in known (NULL at the end); finds fault with anything else. */
bool compile_object(struct compile *c, const json_t *v, const char *const *known);
/* A string of at most max code points on one line; NULL and a finding otherwise. v NULL counts as missing. */
const char *compile_line(struct compile *c, const json_t *v, size_t max);
/* An integer in [min, max]. */
bool compile_int(struct compile *c, const json_t *v, int64_t min, int64_t max, int64_t *out_r);
/* The index of a string in words (NULL at the end), or -1 and a finding that lists them. */
int compile_word(struct compile *c, const json_t *v, const char *const *words);

/* The condition at the place entered, into *out. depth: how many all, any, not are around it. */
bool compile_cond(struct compile *c, const json_t *v, int depth, struct cond *out);

#endif
