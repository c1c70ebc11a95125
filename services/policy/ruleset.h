/* SPDX-License-Identifier: MIT
 *
 * A tenant's rule set: checked and compiled once from its JSON document (policy.schema.json, docs/policy.md), then
 * read-only and shared by threads. Rules are kept in the order in which they decide.
 */
#ifndef POLICY_RULESET_H
#define POLICY_RULESET_H

#include <jansson.h>

#include "client/policy_client.h"
#include "pattern.h"
#include "words.h"

#define RULESET_RULES_MAX     500
#define RULESET_NODES_MAX     5000   /* conditions of all rules */
#define RULESET_DEPTH_MAX     8	     /* all, any, not inside each other */
#define RULESET_LIST_MAX      2000   /* entries of one list */
#define RULESET_WORDS_MAX     5000   /* different keywords of all rules */
#define RULESET_WORDS_OCTETS  524288 /* of their normal forms together */
#define RULESET_WORD_MAX      200    /* code points of one keyword */
#define RULESET_NAME_MAX      100    /* code points */
#define RULESET_MESSAGE_MAX   100    /* code points of a refusal's words: at most 400 octets */
#define RULESET_ID_MAX	      64
#define RULESET_PRIORITY_MAX  1000000
#define RULESET_HOLD_MAX      2592000 /* seconds: 30 days */
#define RULESET_FINDINGS_MAX  100
#define RULESET_STANDARD_HOLD 300 /* seconds */

enum ruleset_class { CLASS_EXTERNAL = 0, CLASS_INTERNAL = 1, CLASS_AFFILIATE = 2 };
const char *ruleset_class_str(enum ruleset_class c);

enum ruleset_field { FIELD_SUBJECT = 1, FIELD_BODY = 2, FIELD_ATTACHMENT_NAME = 4 };
#define FIELD_COUNT 3
#define FIELD_ALL   7u

enum cond_kind { COND_ALL, COND_ANY, COND_NOT, COND_SENDER, COND_RECIPIENT, COND_CLASS, COND_KEYWORD, COND_SIZE };

struct cond_word {
	uint32_t index;	    /* into ruleset.words */
	const char *source; /* as written */
};

struct cond {
	enum cond_kind kind;
	bool per_recipient; /* it or something below it asks about the recipient */
	struct cond *children;
	size_t n_children;
	struct pattern_list patterns;
	unsigned classes; /* 1 << enum ruleset_class */
	unsigned fields;  /* enum ruleset_field */
	struct cond_word *words;
	size_t n_words;
	uint64_t over, under; /* octets; size > over, size < under; 0 and UINT64_MAX: not asked */
};

struct rule_action {
	enum policy_action action; /* PASS, HOLD or REFUSE */
	int64_t hold_s;		   /* HOLD; 0: no timer */
	const char *message;	   /* REFUSE */
};

struct rule {
	const char *id, *name; /* name is the id where none was given */
	int64_t priority;
	bool outgoing, incoming;
	struct cond *when; /* NULL: always */
	struct rule_action then;
};

enum ruleset_unclean { UNCLEAN_UNSCANNABLE, UNCLEAN_ENCRYPTED, UNCLEAN_AMBIGUOUS, UNCLEAN_LIMIT, UNCLEAN_COUNT };
/* The word in documents, which is also the verdict's name. */
const char *ruleset_unclean_str(enum ruleset_unclean u);

struct ruleset {
	struct arena *arena;
	_Atomic int references;
	uint8_t sha256[32]; /* of the document as it was given */
	const char *name;
	struct rule *rules; /* enabled ones, in deciding order */
	size_t n_rules;
	struct rule_action fallback_outgoing, fallback_incoming;
	enum policy_action unclean[UNCLEAN_COUNT]; /* outgoing mail: PASS (the rules decide), HOLD, REFUSE */
	struct bytes *words;			   /* normal forms, each once */
	size_t n_words;
	struct words automaton; /* of them */
};

/* Findings in a, at most RULESET_FINDINGS_MAX. RC_OK: *out_r holds one reference (findings are warnings only);
 * RC_INVALID: at least one finding is an error. */
enum rc ruleset_parse(struct bytes json, struct arena *a, struct ruleset **out_r, struct policy_findings *findings_r,
		      struct err *e) MUST_CHECK;
struct ruleset *ruleset_keep(struct ruleset *r);
void ruleset_release(struct ruleset **r);

/* The document of the standard course: hold everything outgoing (hold_s 0: pass), let everything incoming pass. */
void ruleset_standard(int64_t hold_s, struct buf *out);

#endif
