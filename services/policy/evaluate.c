/* SPDX-License-Identifier: MIT
 *
 * The decision. Pure: everything it knows is in its arguments.
 */
#include "evaluate.h"

#include "record.h"
#include "mail/text.h"

#define STRING_MAX	1000  /* octets of an address or name in a question */
#define FULL_DETAIL_MAX 20000 /* rules x recipients up to which all matching rules are looked for */
#define TIME_MAX_US	(INT64_C(1) << 60)
#define US_PER_S	INT64_C(1000000)

/* What the scan could not vouch for. */
struct floor {
	enum policy_action action; /* PASS: nothing */
	const char *rule;	   /* "unclean:<verdict>" */
	const char *refusal;
};

struct evaluation {
	const struct eval_inputs *in;
	struct arena *arena;
	struct match_message message;
	struct floor floor;
	int8_t *known; /* per rule: value + 1 where it does not depend on the recipient, 0 not looked yet */
	bool brief;
	struct record_outcome *outcomes;
	const struct rule **deciding; /* per recipient; NULL: floor or default */
};

/* --- the question --------------------------------------------------------------------------------------- */

static bool
is_string(const char *s)
{
	struct bytes b = bytes_str(s);
	return s != NULL && b.n <= STRING_MAX && text_is_utf8(b) && text_is_one_line(b);
}

static enum rc
check_question(const struct policy_question *q, struct err *e)
{
	if (q->direction != POLICY_OUTGOING && q->direction != POLICY_INCOMING)
		return err_set(e, RC_INVALID, "unknown direction");
	if (q->n_recipients == 0 || q->n_recipients > POLICY_RECIPIENTS_MAX)
		return err_set(e, RC_INVALID, "between 1 and %d recipients are judged", POLICY_RECIPIENTS_MAX);
	if (q->accepted_us <= 0 || q->accepted_us > TIME_MAX_US)
		return err_set(e, RC_INVALID, "the time of acceptance is missing");
	if (!is_string(q->account) || !is_string(q->mail_from) || !is_string(q->client_ip))
		return err_set(e, RC_INVALID, "account, sender or client address is not one line of UTF-8");
	for (size_t i = 0; i < q->n_recipients; i++)
		if (!is_string(q->recipients[i]) || q->recipients[i][0] == 0)
			return err_set(e, RC_INVALID, "recipient %zu is not one line of UTF-8", i);
	return RC_OK;
}

/* --- the floor ------------------------------------------------------------------------------------------ */

static const char *
refusal_of(enum facts_verdict v)
{
	switch (v) {
	case FACTS_INFECTED:
		return "Refused: the message holds malware";
	case FACTS_UNSCANNABLE:
		return "Refused: the message holds content that could not be examined";
	case FACTS_ENCRYPTED:
		return "Refused: the message holds encrypted content that cannot be examined";
	case FACTS_AMBIGUOUS:
		return "Refused: the message is built so that mail programs would read it differently";
	case FACTS_LIMIT:
		return "Refused: the message exceeds what can be examined (depth, size or number of parts)";
	case FACTS_CLEAN:
	case FACTS_ERROR:
		break;
	}
	return "Refused: the message could not be examined";
}

static struct floor
floor_of(const struct eval_inputs *in, enum facts_verdict v, struct arena *a)
{
	static const struct {
		enum facts_verdict verdict;
		enum ruleset_unclean unclean;
	} choices[] = {
	    {FACTS_UNSCANNABLE, UNCLEAN_UNSCANNABLE},
	    {FACTS_ENCRYPTED, UNCLEAN_ENCRYPTED},
	    {FACTS_AMBIGUOUS, UNCLEAN_AMBIGUOUS},
	    {FACTS_LIMIT, UNCLEAN_LIMIT},
	};
	if (v == FACTS_CLEAN)
		return (struct floor){.action = POLICY_PASS};
	struct floor f = {.action = POLICY_REFUSE,
			  .rule = arena_printf(a, "unclean:%s", facts_verdict_str(v)),
			  .refusal = refusal_of(v)};
	if (in->question->direction == POLICY_INCOMING) {
		f.action = POLICY_QUARANTINE;
		return f;
	}
	/* INFECTED is no choice of a rule set: the refusal stays. */
	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++)
		if (choices[i].verdict == v)
			f.action = in->rules->unclean[choices[i].unclean];
	return f;
}

/* --- per recipient -------------------------------------------------------------------------------------- */

static bool
rule_matches(struct evaluation *ev, size_t k, const struct match_recipient *r)
{
	const struct rule *rule = &ev->in->rules->rules[k];
	if (!(ev->in->question->direction == POLICY_OUTGOING ? rule->outgoing : rule->incoming))
		return false;
	enum tri value = TRI_TRUE;
	if (rule->when != NULL && rule->when->per_recipient) {
		value = match_cond(&ev->message, r, rule->when);
	} else if (rule->when != NULL) {
		if (ev->known[k] == 0)
			ev->known[k] = (int8_t)(match_cond(&ev->message, NULL, rule->when) + 1);
		value = (enum tri)(ev->known[k] - 1);
	}
	return rule->then.action == POLICY_PASS ? value == TRI_TRUE : value != TRI_FALSE;
}

static const struct rule *
find_rules(struct evaluation *ev, const struct match_recipient *r, struct record_outcome *o)
{
	const struct ruleset *set = ev->in->rules;
	const struct rule *deciding = NULL;
	o->matched = arena_new_array(ev->arena, const struct rule *, RECORD_MATCHED_MAX);
	for (size_t k = 0; k < set->n_rules && (deciding == NULL || !ev->brief); k++) {
		if (!rule_matches(ev, k, r))
			continue;
		if (deciding == NULL)
			deciding = &set->rules[k];
		if (o->n_matched < RECORD_MATCHED_MAX)
			o->matched[o->n_matched++] = &set->rules[k];
		else
			o->more++;
	}
	return deciding;
}

static void
decide_recipient(struct evaluation *ev, size_t i)
{
	const struct policy_question *q = ev->in->question;
	struct record_outcome *o = &ev->outcomes[i];
	const struct rule *rule = find_rules(ev, &ev->message.recipients[i], o);
	const struct rule_action *then = rule != NULL			   ? &rule->then
					 : q->direction == POLICY_OUTGOING ? &ev->in->rules->fallback_outgoing
									   : &ev->in->rules->fallback_incoming;
	o->action = then->action;
	o->rule = rule != NULL ? rule->id : "default";
	if (then->action == POLICY_HOLD && then->hold_s != 0)
		o->hold_until_us = q->accepted_us + then->hold_s * US_PER_S;
	ev->deciding[i] = rule;
	bool lifted =
	    ev->floor.action == POLICY_REFUSE || (ev->floor.action != POLICY_PASS && o->action != POLICY_REFUSE);
	if (!lifted)
		return;
	o->action = ev->floor.action;
	o->rule = ev->floor.rule;
	o->hold_until_us = 0;
	ev->deciding[i] = NULL;
}

/* --- the message ---------------------------------------------------------------------------------------- */

/* The recipient whose refusal speaks for the message: the one whose rule comes first in deciding order; SIZE_MAX: none.
 */
static size_t
find_refusal(const struct evaluation *ev)
{
	size_t best = SIZE_MAX;
	for (size_t i = 0; i < ev->message.n_recipients; i++) {
		if (ev->outcomes[i].action != POLICY_REFUSE)
			continue;
		/* Rules lie in deciding order in one array; a default comes after them all. */
		if (best == SIZE_MAX ||
		    (ev->deciding[i] != NULL && (ev->deciding[best] == NULL || ev->deciding[i] < ev->deciding[best])))
			best = i;
	}
	return best;
}

static void
answer_refusal(const struct evaluation *ev, size_t i, struct policy_answer *out)
{
	const struct rule *rule = ev->deciding[i];
	bool incoming = ev->in->question->direction == POLICY_INCOMING;
	out->verdict = POLICY_REFUSE;
	if (ev->floor.action == POLICY_REFUSE) {
		out->refusal = ev->floor.refusal;
		out->refusal_rule = ev->floor.rule;
	} else if (rule != NULL) {
		out->refusal = rule->then.message;
		out->refusal_rule = rule->name;
	} else {
		const struct ruleset *set = ev->in->rules;
		out->refusal = incoming ? set->fallback_incoming.message : set->fallback_outgoing.message;
		out->refusal_rule = "default";
	}
}

static void
answer_plans(const struct evaluation *ev, struct policy_answer *out)
{
	out->verdict = POLICY_PASS;
	out->n_plans = ev->message.n_recipients;
	out->plans = arena_new_array(ev->arena, struct policy_plan, out->n_plans);
	for (size_t i = 0; i < out->n_plans; i++) {
		const struct record_outcome *o = &ev->outcomes[i];
		out->plans[i] = (struct policy_plan){
		    .action = o->action,
		    .hold_until_us = o->hold_until_us,
		    .rule = ev->deciding[i] != NULL ? ev->deciding[i]->name : o->rule,
		};
	}
}

static enum rc
write_record(struct evaluation *ev, struct policy_answer *out, struct err *e)
{
	struct record r = {.in = ev->in,
			   .message = &ev->message,
			   .outcomes = ev->outcomes,
			   .verdict = out->verdict,
			   .refusal = out->refusal,
			   .refusal_rule = out->refusal_rule,
			   .brief = ev->brief};
	struct buf b;
	buf_init(&b, 0);
	enum rc rc = record_write(&r, &b, e);
	if (rc == RC_LIMIT && !ev->brief) {
		/* Long rules for very many recipients: name only the rule that comes first for each. */
		for (size_t i = 0; i < ev->message.n_recipients; i++) {
			struct record_outcome *o = &ev->outcomes[i];
			o->n_matched = o->n_matched != 0;
			o->more = 0;
		}
		r.brief = true;
		buf_reset(&b);
		rc = record_write(&r, &b, e);
	}
	if (rc == RC_OK)
		out->decision = bytes_of(arena_strndup(ev->arena, b.p, b.n), b.n);
	buf_done(&b);
	return rc;
}

enum rc
eval_message(const struct eval_inputs *in, struct arena *a, struct policy_answer *out_r, struct err *e)
{
	const struct policy_question *q = in->question;
	enum rc rc = check_question(q, e);
	if (rc != RC_OK)
		return rc;
	struct facts *facts;
	rc = facts_decode(q->facts, a, &facts, e);
	if (rc != RC_OK)
		return err_prefix(e, "facts");
	if (facts->verdict == FACTS_ERROR)
		return err_set(e, RC_RETRY, "the scan has no verdict");

	struct evaluation ev = {.in = in, .arena = a};
	match_prepare(in, facts, a, &ev.message);
	ev.floor = floor_of(in, facts->verdict, a);
	ev.known = arena_calloc(a, in->rules->n_rules + 1, sizeof(*ev.known));
	ev.outcomes = arena_new_array(a, struct record_outcome, q->n_recipients);
	ev.deciding = arena_new_array(a, const struct rule *, q->n_recipients);
	ev.brief = in->rules->n_rules * q->n_recipients > FULL_DETAIL_MAX;
	for (size_t i = 0; i < q->n_recipients; i++)
		decide_recipient(&ev, i);

	struct policy_answer out = {.refusal = "", .refusal_rule = "", .version = in->rules_version};
	size_t refused = find_refusal(&ev);
	if (refused != SIZE_MAX)
		answer_refusal(&ev, refused, &out);
	else
		answer_plans(&ev, &out);
	rc = write_record(&ev, &out, e);
	if (rc == RC_OK)
		*out_r = out;
	return rc;
}
