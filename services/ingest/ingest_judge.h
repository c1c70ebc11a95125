/* SPDX-License-Identifier: MIT
 *
 * What ingest decides by itself, before and instead of policy. Pure: facts and envelope in, a finding out.
 */
#ifndef INGEST_JUDGE_H
#define INGEST_JUDGE_H

#include "ingest_envelope.h"
#include "mail/facts.h"

#define INGEST_HOPS_MAX 50

enum judge_finding {
	JUDGE_POLICY,	  /* nothing to say: ask policy */
	JUDGE_REFUSE,	  /* reply is the refusal; it is recorded first */
	JUDGE_DEFER,	  /* reply is a 4xx */
	JUDGE_QUARANTINE, /* accepted, and shown nowhere */
};
struct judgement {
	enum judge_finding finding;
	struct ingest_reply reply; /* REFUSE, DEFER */
	const char *rule;	   /* what decided: "virus", "from-header", "loop", ... static */
	const char *reason;	   /* QUARANTINE, REFUSE: for people; in the arena */
};
void judge_facts(const struct envelope *env, const struct facts *f, struct arena *a, struct judgement *out_r);
/* A message that took the scanner down so often that it is not tried again. */
void judge_poison(const struct envelope *env, struct judgement *out_r);

#endif
