/* SPDX-License-Identifier: MIT
 *
 * A decision derived again: from its record, and from the documents the record names by hash, the evaluator must make
 * the same octets. Pure.
 */
#ifndef POLICY_REPLAY_H
#define POLICY_REPLAY_H

#include "evaluate.h"

struct replay_documents {
	struct bytes facts;	/* as stored with the message */
	struct bytes rule_set;	/* of the version the record names; unused for the standard course */
	struct bytes directory; /* the copy the record names */
};

/* The record as the evaluator makes it now, in a. RC_INVALID: the record does not parse or is of another evaluator;
 * RC_CONFLICT: a document is not the one that the record names. */
enum rc replay_decision(struct bytes record, const struct replay_documents *d, struct arena *a, struct bytes *out_r,
			struct err *e) MUST_CHECK;

#endif
