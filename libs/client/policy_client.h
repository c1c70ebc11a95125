/* SPDX-License-Identifier: MIT
 *
 * The only door to `policy`: what should happen to this message, and the tenant's rule sets. Blocking; thread-safe.
 * Whoever gets anything but RC_OK from policy_evaluate() has no decision and lets nothing through (451).
 */
#ifndef CLIENT_POLICY_CLIENT_H
#define CLIENT_POLICY_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/bus.h"
#include "core/arena.h"
#include "core/id.h"
#include "core/rc.h"

#define POLICY_RECIPIENTS_MAX 2000
#define POLICY_DOCUMENT_MAX   (256u * 1024) /* octets of a rule set's JSON */
#define POLICY_DECISION_MAX   (4u * 1024 * 1024)

/* Values are those of sekisho.policy.Action, and (but for REFUSE) of sekisho.ingest.Recipient.Action. */
enum policy_action {
	POLICY_UNDECIDED = 0, /* never in an answer that came with RC_OK */
	POLICY_PASS = 1,
	POLICY_HOLD = 2,
	POLICY_REFUSE = 3,
	POLICY_QUARANTINE = 4,
};
const char *policy_action_str(enum policy_action a); /* "pass", ... as in decision records */

enum policy_direction { POLICY_OUTGOING = 0, POLICY_INCOMING = 1 };

/* Who asks, for whom, until when. */
struct policy_call {
	struct bus *bus;
	const struct uuid *tenant;
	const char *traceparent;  /* may be NULL */
	struct bytes actor_token; /* unused by evaluate */
	int64_t deadline_ms;	  /* monotonic */
};

struct policy_question {
	struct uuid message;
	enum policy_direction direction;
	const char *account;	       /* login name; "" for incoming mail */
	const char *mail_from;	       /* addr-spec, UTF-8; "": null sender */
	const char *const *recipients; /* addr-specs, UTF-8, in envelope order; 1..POLICY_RECIPIENTS_MAX */
	size_t n_recipients;
	struct bytes facts;    /* as the cage encoded them */
	int64_t accepted_us;   /* the evaluator's only clock: not 0 */
	const char *client_ip; /* "" if there is none */
};

struct policy_plan {
	enum policy_action action; /* PASS, HOLD or QUARANTINE */
	int64_t hold_until_us;	   /* HOLD: wall time; 0: no timer, an operator decides. Else 0 */
	const char *rule;	   /* name of what decided; never NULL */
};

struct policy_answer {
	enum policy_action verdict; /* PASS: look at the plans. REFUSE: of the whole message, n_plans is 0 */
	const char *refusal;	    /* REFUSE: one line of UTF-8 without controls, at most 400 octets; else "" */
	const char *refusal_rule;   /* REFUSE: name of the rule; else "" */
	struct policy_plan *plans;  /* one per recipient of the question, same order */
	size_t n_plans;
	struct bytes decision; /* the decision record (JSON): store it as it is */
	uint64_t version;      /* of the rule set; 0: the built-in standard course */
};

/* RC_INVALID: the question breaks a bound or the facts do not decode (the same question will fail again); RC_RETRY:
 * policy or what it needs is not there. The answer is checked: plans match the recipients, no action is UNDECIDED. */
enum rc policy_evaluate(const struct policy_call *c, const struct policy_question *q, struct arena *a,
			struct policy_answer *out_r, struct err *e) MUST_CHECK;

struct policy_document {
	uint64_t version; /* 0: the built-in standard course, which nobody has stored */
	struct bytes json;
	int64_t activated_us;	  /* 0 for version 0 */
	const char *activated_by; /* "" for version 0 */
};

#define POLICY_VERSIONS_MAX 200
struct policy_version {
	uint64_t version;
	int64_t activated_us;
	const char *activated_by;
	uint32_t rules; /* how many are enabled */
	bool active;
};
/* Newest first. limit 0: 50; at most POLICY_VERSIONS_MAX. cursor "": from the beginning; *next_r is "" at the end. */
enum rc policy_versions(const struct policy_call *c, uint32_t limit, const char *cursor, struct arena *a,
			struct policy_version **v_r, size_t *n_r, const char **next_r, struct err *e) MUST_CHECK;

/* Something to say about a document: pointer is an RFC 6901 JSON pointer into it ("" is the whole document). */
struct policy_finding {
	const char *pointer, *text;
	bool error; /* false: a warning, the document is valid all the same */
};
struct policy_findings {
	struct policy_finding *v;
	size_t n;
};

/* version 0: the one in force. RC_NOT_FOUND for a version that never was. */
enum rc policy_get(const struct policy_call *c, uint64_t version, struct arena *a, struct policy_document *out_r,
		   struct err *e) MUST_CHECK;
/* Check and activate. RC_OK with *version_r 0: not activated, because findings holds an error. RC_CONFLICT: not
 * *if_version is in force (0: the tenant has a version of its own already). if_version NULL: no condition. */
enum rc policy_put(const struct policy_call *c, struct bytes json, const uint64_t *if_version, struct arena *a,
		   uint64_t *version_r, struct policy_findings *findings_r, struct err *e) MUST_CHECK;
enum rc policy_check(const struct policy_call *c, struct bytes json, struct arena *a, bool *valid_r,
		     struct policy_findings *findings_r, struct err *e) MUST_CHECK;

#endif
