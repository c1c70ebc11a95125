/* SPDX-License-Identifier: MIT
 *
 * Private to the evaluator: the message in the form in which conditions look at it, and conditions on it.
 *
 * Three values: text that was cut off may hold any keyword, so "not found" there is unknown. Unknown counts as matched
 * for rules that hold or refuse and as not matched for rules that pass.
 */
#ifndef POLICY_MATCH_H
#define POLICY_MATCH_H

#include "evaluate.h"

enum tri { TRI_FALSE, TRI_UNKNOWN, TRI_TRUE };

enum match_role { ROLE_BCC, ROLE_CC, ROLE_TO };
const char *match_role_str(enum match_role r);

struct match_recipient {
	const char *source; /* as in the question */
	struct address address;
	enum ruleset_class class;
	enum match_role role;
};

struct match_message {
	struct arena *arena;
	const struct facts *facts;
	const struct ruleset *rules;
	/* who may be meant by "sender" */
	const char *login; /* normal form */
	struct address account, mail_from;
	struct address *from;
	size_t n_from;
	struct match_recipient *recipients;
	size_t n_recipients;
	/* texts in normal form, made when first asked for; attachment names are joined by newlines */
	struct bytes texts[FIELD_COUNT];
	bool *found[FIELD_COUNT]; /* per word of the rule set; NULL: that text was not searched yet */
};

void match_prepare(const struct eval_inputs *in, const struct facts *f, struct arena *a, struct match_message *m_r);
/* r may be NULL where cond->per_recipient is false. */
enum tri match_cond(struct match_message *m, const struct match_recipient *r, const struct cond *c);

/* Why a condition came out as it did: each leaf that made it so. */
struct match_evidence {
	const char *field;   /* "mail_from", "body", "size", ... */
	const char *pattern; /* pattern, keyword or class that was met; NULL: none */
	bool absent;	     /* it counts because it was not met */
	bool truncated;	     /* unknown, because the text was cut off */
};
/* Up to max; how many in all is returned. */
size_t match_explain(struct match_message *m, const struct match_recipient *r, const struct cond *c,
		     struct match_evidence *out, size_t max);

#endif
