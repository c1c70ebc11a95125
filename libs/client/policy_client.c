/* SPDX-License-Identifier: MIT
 *
 * Packs questions, unpacks and checks answers. No state.
 */
#include "client/policy_client.h"

#include "proto/policy.pb-c.h"
#include "subjects.h"

const char *
policy_action_str(enum policy_action a)
{
	switch (a) {
	case POLICY_UNDECIDED:
		return "undecided";
	case POLICY_PASS:
		return "pass";
	case POLICY_HOLD:
		return "hold";
	case POLICY_REFUSE:
		return "refuse";
	case POLICY_QUARANTINE:
		return "quarantine";
	}
	return "unknown";
}

static void *
arena_take(void *a, size_t n)
{
	return arena_alloc(a, n);
}

static void
arena_leave(void *a, void *p)
{
}

/* Pack in, call, unpack the reply as type out. Everything lives in a. */
static enum rc
call(const struct policy_call *c, const char *subject, bool with_actor, const ProtobufCMessage *in,
     const ProtobufCMessageDescriptor *out, struct arena *a, void **reply_r, struct err *e)
{
	size_t n = protobuf_c_message_get_packed_size(in);
	if (n > BUS_PAYLOAD_MAX)
		return err_set(e, RC_LIMIT, "the request is over %u octets", BUS_PAYLOAD_MAX);
	uint8_t *packed = arena_alloc(a, n + 1);
	protobuf_c_message_pack(in, packed);
	struct bus_request r = {
	    .subject = subject,
	    .tenant = c->tenant,
	    .traceparent = c->traceparent,
	    .actor_token = with_actor ? c->actor_token : bytes_of(NULL, 0),
	    .payload = {packed, n},
	    .deadline_ms = c->deadline_ms,
	    .may_share = strcmp(subject, RPC_POLICY_EVALUATE) == 0, /* asked for every mail, and quick */
	};
	struct bytes reply;
	enum rc rc = bus_call(c->bus, &r, a, &reply, e);
	if (rc != RC_OK)
		return rc;
	ProtobufCAllocator arena = {arena_take, arena_leave, a};
	*reply_r = protobuf_c_message_unpack(out, &arena, reply.n, reply.p);
	return *reply_r != NULL ? RC_OK : err_set(e, RC_INTERNAL, "policy's answer does not decode");
}

/* --- evaluate ------------------------------------------------------------------------------------------- */

static enum rc
check_plan(const Sekisho__Policy__Plan *p, struct policy_plan *out, struct err *e)
{
	*out = (struct policy_plan){(enum policy_action)p->action, p->hold_until_us, p->rule};
	switch (p->action) {
	case SEKISHO__POLICY__ACTION__HOLD:
		if (p->hold_until_us >= 0)
			return RC_OK;
		break;
	case SEKISHO__POLICY__ACTION__PASS:
	case SEKISHO__POLICY__ACTION__QUARANTINE:
		out->hold_until_us = 0;
		return RC_OK;
	default:
		break;
	}
	return err_set(e, RC_INTERNAL, "policy's answer leaves a recipient undecided");
}

static enum rc
check_answer(const Sekisho__Policy__EvaluateReply *p, size_t n_recipients, struct arena *a, struct policy_answer *out_r,
	     struct err *e)
{
	struct policy_answer out = {
	    .verdict = (enum policy_action)p->verdict,
	    .refusal = p->refusal,
	    .refusal_rule = p->refusal_rule,
	    .decision = {p->decision.data, p->decision.len},
	    .version = p->rule_set_version,
	};
	if (out.decision.n == 0 || out.decision.n > POLICY_DECISION_MAX)
		return err_set(e, RC_INTERNAL, "policy's answer has no decision record");
	if (p->verdict == SEKISHO__POLICY__ACTION__REFUSE) {
		*out_r = out;
		return RC_OK;
	}
	if (p->verdict != SEKISHO__POLICY__ACTION__PASS || p->n_plans != n_recipients)
		return err_set(e, RC_INTERNAL, "policy's answer does not fit the question");
	out.n_plans = p->n_plans;
	out.plans = arena_new_array(a, struct policy_plan, p->n_plans);
	for (size_t i = 0; i < p->n_plans; i++) {
		enum rc rc = check_plan(p->plans[i], &out.plans[i], e);
		if (rc != RC_OK)
			return rc;
	}
	*out_r = out;
	return RC_OK;
}

enum rc
policy_evaluate(const struct policy_call *c, const struct policy_question *q, struct arena *a,
		struct policy_answer *out_r, struct err *e)
{
	if (q->n_recipients == 0 || q->n_recipients > POLICY_RECIPIENTS_MAX)
		return err_set(e, RC_INVALID, "between 1 and %d recipients are judged", POLICY_RECIPIENTS_MAX);
	Sekisho__Policy__EvaluateRequest in = SEKISHO__POLICY__EVALUATE_REQUEST__INIT;
	in.message = (ProtobufCBinaryData){sizeof(q->message.b), (uint8_t *)q->message.b};
	in.direction = q->direction == POLICY_INCOMING ? SEKISHO__POLICY__DIRECTION__INCOMING
						       : SEKISHO__POLICY__DIRECTION__OUTGOING;
	in.account = (char *)q->account;
	in.mail_from = (char *)q->mail_from;
	in.recipients = (char **)q->recipients;
	in.n_recipients = q->n_recipients;
	in.facts = (ProtobufCBinaryData){q->facts.n, (uint8_t *)q->facts.p};
	in.accepted_us = q->accepted_us;
	in.client_ip = (char *)q->client_ip;
	void *reply;
	enum rc rc =
	    call(c, RPC_POLICY_EVALUATE, false, &in.base, &sekisho__policy__evaluate_reply__descriptor, a, &reply, e);
	return rc != RC_OK ? rc : check_answer(reply, q->n_recipients, a, out_r, e);
}

/* --- rule sets ------------------------------------------------------------------------------------------ */

static struct policy_findings
findings(Sekisho__Policy__Finding *const *v, size_t n, struct arena *a)
{
	struct policy_findings f = {arena_new_array(a, struct policy_finding, n + 1), n};
	for (size_t i = 0; i < n; i++)
		f.v[i] = (struct policy_finding){v[i]->pointer, v[i]->text, v[i]->error};
	return f;
}

enum rc
policy_get(const struct policy_call *c, uint64_t version, struct arena *a, struct policy_document *out_r, struct err *e)
{
	Sekisho__Policy__GetRequest in = SEKISHO__POLICY__GET_REQUEST__INIT;
	in.version = version;
	void *reply;
	enum rc rc = call(c, RPC_POLICY_GET, true, &in.base, &sekisho__policy__get_reply__descriptor, a, &reply, e);
	if (rc != RC_OK)
		return rc;
	const Sekisho__Policy__GetReply *p = reply;
	*out_r = (struct policy_document){p->version, {p->json.data, p->json.len}, p->activated_us, p->activated_by};
	return RC_OK;
}

enum rc
policy_versions(const struct policy_call *c, uint32_t limit, const char *cursor, struct arena *a,
		struct policy_version **v_r, size_t *n_r, const char **next_r, struct err *e)
{
	Sekisho__Policy__VersionsRequest in = SEKISHO__POLICY__VERSIONS_REQUEST__INIT;
	in.limit = limit;
	in.cursor = (char *)cursor;
	void *reply;
	enum rc rc =
	    call(c, RPC_POLICY_VERSIONS, true, &in.base, &sekisho__policy__versions_reply__descriptor, a, &reply, e);
	if (rc != RC_OK)
		return rc;
	const Sekisho__Policy__VersionsReply *p = reply;
	struct policy_version *v = arena_new_array(a, struct policy_version, p->n_versions + 1);
	for (size_t i = 0; i < p->n_versions; i++)
		v[i] = (struct policy_version){p->versions[i]->version, p->versions[i]->made_us,
					       p->versions[i]->made_by, p->versions[i]->rules, p->versions[i]->active};
	*v_r = v;
	*n_r = p->n_versions;
	*next_r = p->next_cursor;
	return RC_OK;
}

enum rc
policy_put(const struct policy_call *c, struct bytes json, const uint64_t *if_version, struct arena *a,
	   uint64_t *version_r, struct policy_findings *findings_r, struct err *e)
{
	Sekisho__Policy__PutRequest in = SEKISHO__POLICY__PUT_REQUEST__INIT;
	in.json = (ProtobufCBinaryData){json.n, (uint8_t *)json.p};
	in.if_version = if_version != NULL ? *if_version : 0;
	in.if_none = if_version != NULL && *if_version == 0;
	void *reply;
	enum rc rc = call(c, RPC_POLICY_PUT, true, &in.base, &sekisho__policy__put_reply__descriptor, a, &reply, e);
	if (rc != RC_OK)
		return rc;
	const Sekisho__Policy__PutReply *p = reply;
	*version_r = p->version;
	*findings_r = findings(p->findings, p->n_findings, a);
	return RC_OK;
}

enum rc
policy_check(const struct policy_call *c, struct bytes json, struct arena *a, bool *valid_r,
	     struct policy_findings *findings_r, struct err *e)
{
	Sekisho__Policy__CheckRequest in = SEKISHO__POLICY__CHECK_REQUEST__INIT;
	in.json = (ProtobufCBinaryData){json.n, (uint8_t *)json.p};
	void *reply;
	enum rc rc = call(c, RPC_POLICY_CHECK, true, &in.base, &sekisho__policy__check_reply__descriptor, a, &reply, e);
	if (rc != RC_OK)
		return rc;
	const Sekisho__Policy__CheckReply *p = reply;
	*valid_r = p->valid;
	*findings_r = findings(p->findings, p->n_findings, a);
	return RC_OK;
}
