/* SPDX-License-Identifier: MIT
 *
 * The decision record. Members are written in sorted order by hand; no excerpt of the message is among them.
 */
#include "record.h"

#include "core/clock.h"
#include "crypt/crypt.h"

static void
put_string(struct buf *out, const char *key, const char *value)
{
	buf_addf(out, "\"%s\":", key);
	buf_add_json(out, bytes_str(value));
}

static void
put_hash(struct buf *out, const char *key, const uint8_t sha256[32])
{
	char hex[65];
	for (int i = 0; i < 32; i++) {
		hex[2 * i] = "0123456789abcdef"[sha256[i] >> 4];
		hex[2 * i + 1] = "0123456789abcdef"[sha256[i] & 15];
	}
	hex[64] = 0;
	buf_addf(out, "\"%s\":\"%s\"", key, hex);
}

static void
put_evidence(struct buf *out, const struct match_evidence *v)
{
	buf_add_str(out, v->absent ? "{\"absent\":true," : "{");
	put_string(out, "field", v->field);
	if (v->pattern != NULL) {
		buf_add_str(out, ",");
		put_string(out, "pattern", v->pattern);
	}
	buf_add_str(out, v->truncated ? ",\"truncated\":true}" : "}");
}

static void
put_matched(struct buf *out, struct match_message *m, const struct match_recipient *r, const struct rule *rule)
{
	struct match_evidence why[RECORD_EVIDENCE_MAX];
	size_t n = rule->when != NULL ? match_explain(m, r, rule->when, why, RECORD_EVIDENCE_MAX) : 0;
	size_t shown = n < RECORD_EVIDENCE_MAX ? n : RECORD_EVIDENCE_MAX;
	buf_addf(out, "{\"action\":\"%s\",", policy_action_str(rule->then.action));
	if (n > shown)
		buf_addf(out, "\"more\":%zu,", n - shown);
	put_string(out, "name", rule->name);
	buf_add_str(out, ",\"on\":[");
	for (size_t i = 0; i < shown; i++) {
		buf_add_str(out, i == 0 ? "" : ",");
		put_evidence(out, &why[i]);
	}
	buf_addf(out, "],\"priority\":%lld,\"rule\":\"%s\"}", (long long)rule->priority, rule->id);
}

static const char *
what_is_next(const struct record *r, const struct record_outcome *o)
{
	if (r->verdict == POLICY_REFUSE)
		return "none: the message is refused";
	switch (o->action) {
	case POLICY_PASS:
		return r->in->question->direction == POLICY_OUTGOING ? "send" : "deliver";
	case POLICY_HOLD:
		return o->hold_until_us != 0 ? "hold, then send unless discarded" : "hold until an operator decides";
	case POLICY_QUARANTINE:
		return "quarantine";
	case POLICY_REFUSE:
	case POLICY_UNDECIDED:
		break;
	}
	return "none";
}

static void
put_recipient(struct buf *out, const struct record *rec, size_t i)
{
	const struct match_recipient *r = &rec->message->recipients[i];
	const struct record_outcome *o = &rec->outcomes[i];
	buf_addf(out, "{\"action\":\"%s\",", policy_action_str(o->action));
	put_string(out, "address", r->source);
	buf_addf(out, ",\"class\":\"%s\",", ruleset_class_str(r->class));
	if (o->action == POLICY_HOLD)
		buf_addf(out, "\"hold_until_us\":%lld,", (long long)o->hold_until_us);
	buf_add_str(out, "\"matched\":[");
	for (size_t k = 0; k < o->n_matched; k++) {
		buf_add_str(out, k == 0 ? "" : ",");
		put_matched(out, rec->message, r, o->matched[k]);
	}
	buf_add_str(out, "],");
	if (o->more != 0)
		buf_addf(out, "\"more\":%zu,", o->more);
	buf_addf(out, "\"next\":\"%s\",\"role\":\"%s\",\"rule\":\"%s\"", what_is_next(rec, o), match_role_str(r->role),
		 o->rule);
	if (o->action == POLICY_HOLD && o->hold_until_us != 0) {
		char until[CLOCK_RFC3339_SIZE];
		clock_rfc3339(o->hold_until_us, until);
		buf_addf(out, ",\"until\":\"%s\"", until);
	}
	buf_add_str(out, "}");
}

static void
put_facts(struct buf *out, const struct record *r)
{
	const struct facts *f = r->message->facts;
	uint8_t sha256[32];
	crypt_sha256(r->in->question->facts, sha256);
	buf_add_str(out, "\"facts\":{");
	put_hash(out, "message_sha256", f->sha256);
	buf_add_str(out, ",");
	put_string(out, "scanner", f->scanner);
	buf_add_str(out, ",");
	put_hash(out, "sha256", sha256);
	buf_addf(out, ",\"size\":%llu,\"text_truncated\":%s,\"verdict\":\"%s\"}", (unsigned long long)f->size,
		 f->text_truncated ? "true" : "false", facts_verdict_str(f->verdict));
}

static void
put_rule_set(struct buf *out, const struct eval_inputs *in)
{
	buf_add_str(out, "\"rule_set\":{");
	put_string(out, "name", in->rules->name);
	buf_add_str(out, ",");
	put_hash(out, "sha256", in->rules->sha256);
	if (in->rules_version == 0)
		buf_addf(out, ",\"standard_hold_s\":%lld", (long long)in->standard_hold_s);
	buf_addf(out, ",\"version\":%llu}", (unsigned long long)in->rules_version);
}

enum rc
record_write(const struct record *r, struct buf *out, struct err *e)
{
	const struct eval_inputs *in = r->in;
	const struct policy_question *q = in->question;
	char id[UUID_STR_SIZE], at[CLOCK_RFC3339_SIZE];
	out->max = POLICY_DECISION_MAX;
	buf_add_str(out, "{");
	put_string(out, "account", q->account);
	buf_add_str(out, ",");
	put_string(out, "client_ip", q->client_ip);
	buf_addf(out, ",\"detail\":\"%s\",\"direction\":\"%s\",\"directory\":{", r->brief ? "brief" : "full",
		 q->direction == POLICY_OUTGOING ? "outgoing" : "incoming");
	put_hash(out, "sha256", in->directory->sha256);
	buf_addf(out, ",\"version\":%llu},\"evaluator\":%d,", (unsigned long long)in->directory->version, EVAL_VERSION);
	put_facts(out, r);
	buf_add_str(out, ",");
	put_string(out, "mail_from", q->mail_from);
	uuid_format(&q->message, id);
	buf_addf(out, ",\"message\":\"%s\",\"order\":\"%s\",\"recipients\":[", id, EVAL_ORDER);
	for (size_t i = 0; i < q->n_recipients && buf_ok(out); i++) {
		buf_add_str(out, i == 0 ? "" : ",");
		put_recipient(out, r, i);
	}
	buf_add_str(out, "],");
	if (r->verdict == POLICY_REFUSE) {
		buf_add_str(out, "\"refusal\":{");
		put_string(out, "message", r->refusal);
		buf_add_str(out, ",");
		put_string(out, "rule", r->refusal_rule);
		buf_add_str(out, "},");
	}
	put_rule_set(out, in);
	uuid_format(&in->tenant, id);
	clock_rfc3339(q->accepted_us, at);
	buf_addf(out, ",\"tenant\":\"%s\",\"time\":\"%s\",\"time_us\":%lld,\"verdict\":\"%s\"}", id, at,
		 (long long)q->accepted_us, r->verdict == POLICY_REFUSE ? "refuse" : "pass");
	if (!buf_ok(out))
		return err_set(e, RC_LIMIT, "the decision record is over %u octets", POLICY_DECISION_MAX);
	return RC_OK;
}
