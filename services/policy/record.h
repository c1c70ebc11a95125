/* SPDX-License-Identifier: MIT
 *
 * Private to the evaluator: what it decided, and how that is written down. The decision record is JSON with sorted keys
 * and no white space; docs/policy.md describes its members.
 */
#ifndef POLICY_RECORD_H
#define POLICY_RECORD_H

#include "match.h"

#define RECORD_MATCHED_MAX  20 /* rules named per recipient */
#define RECORD_EVIDENCE_MAX 8  /* reasons named per rule */

struct record_outcome {
	enum policy_action action;
	int64_t hold_until_us;
	const char *rule;	     /* id, "default" or "unclean:<verdict>" */
	const struct rule **matched; /* deciding order, at most RECORD_MATCHED_MAX */
	size_t n_matched;	     /* of them */
	size_t more;		     /* matched too, not named */
};

struct record {
	const struct eval_inputs *in;
	struct match_message *message;
	const struct record_outcome *outcomes; /* one per recipient */
	enum policy_action verdict;
	const char *refusal, *refusal_rule;
	bool brief; /* matched rules beyond the deciding one were not looked for or are left out */
};

/* RC_LIMIT when it would be longer than POLICY_DECISION_MAX. */
enum rc record_write(const struct record *r, struct buf *out, struct err *e) MUST_CHECK;

#endif
