/* SPDX-License-Identifier: MIT
 *
 * For tests and fuzz targets: facts, questions and rule sets in few words.
 */
#ifndef POLICY_TESTING_H
#define POLICY_TESTING_H

#include "evaluate.h"

/* One mail. NULL and 0 mean: a usual one (subject "hello", body "hello", 1000 octets, clean). Lists end with NULL. */
struct testing_mail {
	const char *account, *mail_from, *subject, *body, *attachment;
	const char *from[4], *to[4], *cc[4], *recipients[8];
	uint64_t size;
	enum facts_verdict verdict; /* FACTS_ERROR means clean here; no_verdict asks for the real one */
	bool no_verdict, truncated, incoming;
};

#define TESTING_NOW_US INT64_C(1795316645678901)

/* The encoded facts of the mail, in a. */
struct bytes testing_facts(const struct testing_mail *m, struct arena *a);
/* A question with these facts. */
struct policy_question testing_question(const struct testing_mail *m, struct arena *a);
/* example.co.jp internal, partner.jp affiliate, claimed.jp internal without proof. Version 7. */
struct directory *testing_directory(void);
/* Aborts with the findings on stderr if it does not compile. */
struct ruleset *testing_rules(const char *json, struct arena *a);

#endif
