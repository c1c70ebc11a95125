/* SPDX-License-Identifier: MIT
 *
 * Decode, call, encode. Permissions are checked by the skeleton (main.c names them). On the threads of the bus.
 */
#include <stdlib.h>

#include "core/clock.h"
#include "core/log.h"
#include "evaluate.h"
#include "policy.h"
#include "policy_store.h"
#include "proto/policy.pb-c.h"
#include "subjects.h"

#define VERSIONS_DEFAULT 50

static void *
arena_take(void *a, size_t n)
{
	return arena_alloc(a, n);
}

static void
arena_leave(void *a, void *p)
{
}

static enum rc
unpack(const struct svc_request *r, const ProtobufCMessageDescriptor *d, size_t max, void **out_r, struct err *e)
{
	if (!r->in->has_tenant)
		return err_set(e, RC_INVALID, "the request names no tenant");
	if (r->in->payload.n > max)
		return err_set(e, RC_LIMIT, "the request is over %zu octets", max);
	ProtobufCAllocator arena = {arena_take, arena_leave, r->in->arena};
	*out_r = protobuf_c_message_unpack(d, &arena, r->in->payload.n, r->in->payload.p);
	return *out_r != NULL ? RC_OK : err_set(e, RC_INVALID, "the request does not decode");
}

static enum rc
pack(const ProtobufCMessage *m, struct buf *reply, struct err *e)
{
	size_t n = protobuf_c_message_get_packed_size(m);
	uint8_t *to = n <= BUS_PAYLOAD_MAX ? buf_reserve(reply, n) : NULL;
	if (to == NULL)
		return err_set(e, RC_LIMIT, "the answer is over %u octets", BUS_PAYLOAD_MAX);
	protobuf_c_message_pack(m, to);
	reply->n += n;
	return RC_OK;
}

/* --- evaluate ------------------------------------------------------------------------------------------- */

static void
count_decision(const struct policy_answer *answer)
{
	if (answer->verdict == POLICY_REFUSE) {
		metric_add(&policy_metric_decisions, 2, 1);
		return;
	}
	for (size_t i = 0; i < answer->n_plans; i++)
		metric_add(&policy_metric_decisions,
			   answer->plans[i].action == POLICY_PASS   ? 0
			   : answer->plans[i].action == POLICY_HOLD ? 1
								    : 3,
			   1);
}

static enum rc
encode_answer(const struct policy_answer *answer, struct arena *a, struct buf *reply, struct err *e)
{
	Sekisho__Policy__EvaluateReply out = SEKISHO__POLICY__EVALUATE_REPLY__INIT;
	out.verdict = (Sekisho__Policy__Action)answer->verdict;
	out.refusal = (char *)answer->refusal;
	out.refusal_rule = (char *)answer->refusal_rule;
	out.decision = (ProtobufCBinaryData){answer->decision.n, (uint8_t *)answer->decision.p};
	out.rule_set_version = answer->version;
	out.n_plans = answer->n_plans;
	out.plans = arena_new_array(a, Sekisho__Policy__Plan *, answer->n_plans + 1);
	Sekisho__Policy__Plan *plans = arena_new_array(a, Sekisho__Policy__Plan, answer->n_plans + 1);
	for (size_t i = 0; i < answer->n_plans; i++) {
		sekisho__policy__plan__init(&plans[i]);
		plans[i].action = (Sekisho__Policy__Action)answer->plans[i].action;
		plans[i].hold_until_us = answer->plans[i].hold_until_us;
		plans[i].rule = (char *)answer->plans[i].rule;
		out.plans[i] = &plans[i];
	}
	return pack(&out.base, reply, e);
}

/* With what is in force for the tenant; the answer is encoded before that is given back, because it may borrow from it.
 */
static enum rc
decide(const struct svc_request *r, const struct policy_question *q, struct policy_answer *out_r, struct buf *reply,
       struct err *e)
{
	const struct bus_incoming *in = r->in;
	struct cache_lease lease;
	enum rc rc = cache_lease(policy.cache, &in->tenant, in->deadline_ms, &lease, e);
	if (rc != RC_OK)
		return rc;
	struct eval_inputs inputs = {
	    .tenant = in->tenant,
	    .question = q,
	    .rules = lease.rules,
	    .rules_version = lease.version,
	    .standard_hold_s = policy.standard_hold_ms / 1000,
	    .directory = lease.directory,
	};
	rc = eval_message(&inputs, in->arena, out_r, e);
	if (rc == RC_OK)
		rc = encode_answer(out_r, in->arena, reply, e);
	cache_return(&lease);
	return rc;
}

enum rc
policy_handle_evaluate(const struct svc_request *r, struct buf *reply, struct err *e)
{
	const struct bus_incoming *in = r->in;
	int64_t began = clock_wall_us();
	void *unpacked;
	enum rc rc = unpack(r, &sekisho__policy__evaluate_request__descriptor, BUS_PAYLOAD_MAX, &unpacked, e);
	if (rc != RC_OK)
		return rc;
	const Sekisho__Policy__EvaluateRequest *p = unpacked;
	struct policy_question q = {
	    .direction = p->direction == SEKISHO__POLICY__DIRECTION__OUTGOING	? POLICY_OUTGOING
			 : p->direction == SEKISHO__POLICY__DIRECTION__INCOMING ? POLICY_INCOMING
										: (enum policy_direction) - 1,
	    .account = p->account,
	    .mail_from = p->mail_from,
	    .recipients = (const char *const *)p->recipients,
	    .n_recipients = p->n_recipients,
	    .facts = {p->facts.data, p->facts.len},
	    .accepted_us = p->accepted_us,
	    .client_ip = p->client_ip,
	};
	if (p->message.len != sizeof(q.message.b))
		return err_set(e, RC_INVALID, "a message id has 16 octets");
	memcpy(q.message.b, p->message.data, sizeof(q.message.b));
	struct policy_answer answer;
	rc = decide(r, &q, &answer, reply, e);
	if (rc != RC_OK) {
		metric_add(&policy_metric_decisions, 4, 1);
		log_warn("not decided", LOG_MESSAGE(&q.message), LOG_TENANT(&in->tenant), LOG_TRACE(in->traceparent),
			 LOG_RC(rc), LOG_ERR(e));
		return rc;
	}
	count_decision(&answer);
	metric_observe_us(&policy_metric_evaluate_seconds, clock_wall_us() - began);
	log_debug("decided", LOG_MESSAGE(&q.message), LOG_TENANT(&in->tenant), LOG_TRACE(in->traceparent),
		  LOG_STR("verdict", answer.verdict == POLICY_REFUSE ? "refuse" : "pass"),
		  LOG_INT("rule_set", answer.version));
	return RC_OK;
}

/* --- rule sets ------------------------------------------------------------------------------------------ */

enum rc
policy_handle_get(const struct svc_request *r, struct buf *reply, struct err *e)
{
	void *unpacked;
	enum rc rc = unpack(r, &sekisho__policy__get_request__descriptor, 1024, &unpacked, e);
	if (rc != RC_OK)
		return rc;
	const Sekisho__Policy__GetRequest *p = unpacked;
	struct store_rules stored;
	rc = p->version == 0
		 ? store_rules_in_force(policy.svc->db, &r->in->tenant, 0, r->in->deadline_ms, r->in->arena, &stored, e)
		 : store_rules_version(policy.svc->db, &r->in->tenant, p->version, r->in->deadline_ms, r->in->arena,
				       &stored, e);
	if (rc != RC_OK)
		return rc;
	struct bytes json = stored.version == 0 ? policy.standard_json : stored.document;
	Sekisho__Policy__GetReply out = SEKISHO__POLICY__GET_REPLY__INIT;
	out.version = stored.version;
	out.json = (ProtobufCBinaryData){json.n, (uint8_t *)json.p};
	out.activated_us = stored.activated_us;
	out.activated_by = (char *)stored.activated_by;
	return pack(&out.base, reply, e);
}

/* The cursor is the last version of the page before. */
static bool
take_cursor(const char *s, uint64_t *before_r)
{
	size_t n = strlen(s);
	if (n > 18 || strspn(s, "0123456789") != n || s[0] == '0')
		return false;
	*before_r = n > 0 ? strtoull(s, NULL, 10) : 0;
	return true;
}

enum rc
policy_handle_versions(const struct svc_request *r, struct buf *reply, struct err *e)
{
	void *unpacked;
	enum rc rc = unpack(r, &sekisho__policy__versions_request__descriptor, 1024, &unpacked, e);
	if (rc != RC_OK)
		return rc;
	const Sekisho__Policy__VersionsRequest *p = unpacked;
	struct arena *a = r->in->arena;
	uint32_t limit = p->limit == 0 ? VERSIONS_DEFAULT : p->limit;
	uint64_t before = 0;
	if (limit > POLICY_VERSIONS_MAX || !take_cursor(p->cursor, &before))
		return err_set(e, RC_INVALID, "limit or cursor is not valid");
	struct store_version *v = NULL;
	size_t n = 0;
	/* One more than asked for says whether there is another page. */
	rc = store_rules_versions(policy.svc->db, &r->in->tenant, before, limit + 1, r->in->deadline_ms, a, &v, &n, e);
	if (rc != RC_OK)
		return rc;
	Sekisho__Policy__VersionsReply out = SEKISHO__POLICY__VERSIONS_REPLY__INIT;
	out.n_versions = n < limit ? n : limit;
	out.versions = arena_new_array(a, Sekisho__Policy__Version *, n + 1);
	for (size_t i = 0; i < out.n_versions; i++) {
		Sekisho__Policy__Version *to = out.versions[i] = arena_alloc(a, sizeof(*to));
		sekisho__policy__version__init(to);
		to->version = v[i].about.version;
		to->made_us = v[i].about.activated_us;
		to->made_by = (char *)v[i].about.activated_by;
		to->active = v[i].active;
		to->rules = v[i].rules;
	}
	if (n > limit)
		out.next_cursor = arena_printf(a, "%llu", (unsigned long long)v[limit - 1].about.version);
	return pack(&out.base, reply, e);
}

static Sekisho__Policy__Finding **
encode_findings(const struct policy_findings *f, struct arena *a)
{
	Sekisho__Policy__Finding **v = arena_new_array(a, Sekisho__Policy__Finding *, f->n + 1);
	for (size_t i = 0; i < f->n; i++) {
		v[i] = arena_alloc(a, sizeof(*v[i]));
		sekisho__policy__finding__init(v[i]);
		v[i]->pointer = (char *)f->v[i].pointer;
		v[i]->text = (char *)f->v[i].text;
		v[i]->error = f->v[i].error;
	}
	return v;
}

static void
tell_others(const struct uuid *tenant)
{
	struct err err;
	cache_mark(policy.cache, tenant, CACHE_RULES);
	/* A lost hint costs other instances at most CACHE_OLD_MS. */
	if (bus_publish(policy.svc->bus, SIG_POLICY_CHANGED, bytes_of(tenant->b, sizeof(tenant->b)), &err) != RC_OK)
		log_warn("change of rules not announced", LOG_TENANT(tenant), LOG_ERR(&err));
}

enum rc
policy_handle_put(const struct svc_request *r, struct buf *reply, struct err *e)
{
	void *unpacked;
	enum rc rc = unpack(r, &sekisho__policy__put_request__descriptor, POLICY_DOCUMENT_MAX + 1024, &unpacked, e);
	if (rc != RC_OK)
		return rc;
	const Sekisho__Policy__PutRequest *p = unpacked;
	Sekisho__Policy__PutReply out = SEKISHO__POLICY__PUT_REPLY__INIT;
	struct store_activation v = {
	    .document = {p->json.data, p->json.len},
	    .if_version = p->if_version,
	    .if_none = p->if_none,
	    .name = r->actor->name,
	    .actor = svc_actor_text(r->actor, r->in->arena),
	    .from = r->actor->from,
	    .traceparent = r->in->traceparent,
	    .now_us = clock_wall_us(),
	};
	struct ruleset *set = NULL;
	struct policy_findings findings;
	struct err why;
	if (ruleset_parse(v.document, r->in->arena, &set, &findings, &why) == RC_OK) {
		memcpy(v.sha256, set->sha256, sizeof(v.sha256));
		v.rules = (uint32_t)set->n_rules;
		ruleset_release(&set);
		rc = store_rules_activate(policy.svc->db, &r->in->tenant, &v, r->in->deadline_ms, &out.version, e);
		/* Also after a failure: a commit whose outcome is unknown may have happened. */
		tell_others(&r->in->tenant);
		if (rc != RC_OK)
			return rc;
		metric_add(&policy_metric_activations, 0, 1);
		log_info("rules activated", LOG_TENANT(&r->in->tenant), LOG_TRACE(r->in->traceparent),
			 LOG_INT("rule_set", out.version));
	}
	out.n_findings = findings.n;
	out.findings = encode_findings(&findings, r->in->arena);
	return pack(&out.base, reply, e);
}

enum rc
policy_handle_check(const struct svc_request *r, struct buf *reply, struct err *e)
{
	void *unpacked;
	enum rc rc = unpack(r, &sekisho__policy__check_request__descriptor, POLICY_DOCUMENT_MAX + 1024, &unpacked, e);
	if (rc != RC_OK)
		return rc;
	const Sekisho__Policy__CheckRequest *p = unpacked;
	Sekisho__Policy__CheckReply out = SEKISHO__POLICY__CHECK_REPLY__INIT;
	struct ruleset *set = NULL;
	struct policy_findings findings;
	struct err why;
	out.valid = ruleset_parse(bytes_of(p->json.data, p->json.len), r->in->arena, &set, &findings, &why) == RC_OK;
	ruleset_release(&set);
	out.n_findings = findings.n;
	out.findings = encode_findings(&findings, r->in->arena);
	return pack(&out.base, reply, e);
}
