/* SPDX-License-Identifier: MIT
 *
 * The evaluator: a pure function from facts, rule set, directory, question and time to a plan per recipient and the
 * decision record. No clock, no locale, no state; the same inputs give the same octets (replay.h).
 *
 * Order (EVAL_ORDER, docs/policy.md): 1. what the scan could not vouch for (refuse, hold for an operator, quarantine)
 * is a floor that no rule lowers; 2. per recipient the matching rule with the highest priority decides, at equal
 * priority refuse before hold before pass, then the one written first; 3. else the default; 4. one refused recipient
 * refuses the message, with the words of the deciding rule that comes first in that order.
 */
#ifndef POLICY_EVALUATE_H
#define POLICY_EVALUATE_H

#include "directory.h"
#include "mail/facts.h"
#include "ruleset.h"

#define EVAL_VERSION 1 /* raised when the same inputs would give other octets */
#define EVAL_ORDER                                                                                                     \
	"scan floor; highest priority first, at equal priority refuse, hold, pass, then as written; first match "      \
	"decides per recipient; else default; one refusal refuses the message"

struct eval_inputs {
	struct uuid tenant;
	const struct policy_question *question;
	const struct ruleset *rules;
	uint64_t rules_version;
	int64_t standard_hold_s; /* of the standard course when rules_version is 0 */
	const struct directory *directory;
};

/* Answer in a. RC_INVALID: the question breaks a bound or its facts do not decode; RC_RETRY: the facts hold no verdict
 * (the scan failed), nothing can be decided. */
enum rc eval_message(const struct eval_inputs *in, struct arena *a, struct policy_answer *out_r,
		     struct err *e) MUST_CHECK;

#endif
