/* SPDX-License-Identifier: MIT
 *
 * Plain structs to protobuf. The values of policy_action and of the event's Action are the same (but for REFUSE, which
 * never gets here).
 */
#include "ingest_event.h"

#include "proto/ingest.pb-c.h"

static ProtobufCBinaryData
binary(struct bytes b)
{
	return (ProtobufCBinaryData){b.n, (uint8_t *)(uintptr_t)b.p};
}

static char *
text(struct bytes b, struct arena *a)
{
	return arena_strndup(a, b.p != NULL ? (const char *)b.p : "", b.n);
}

static Sekisho__Ingest__Recipient *
recipient(const struct envelope_recipient *r, const struct policy_plan *p, struct arena *a)
{
	char notify[SMTP_NOTIFY_SIZE];
	Sekisho__Ingest__Recipient *m = arena_alloc(a, sizeof(*m));
	sekisho__ingest__recipient__init(m);
	smtp_notify_format(r->notify, notify);
	m->address = binary(r->address);
	m->action = (Sekisho__Ingest__Recipient__Action)(p->action == POLICY_QUARANTINE ? 3 : p->action);
	m->hold_until_us = p->hold_until_us;
	m->rule = arena_strdup(a, p->rule);
	m->notify = arena_strdup(a, notify);
	m->orcpt = text(r->orcpt, a);
	return m;
}

struct bytes
event_encode(const struct envelope *env, const struct event_facts *f, struct arena *a)
{
	Sekisho__Ingest__Accepted m = SEKISHO__INGEST__ACCEPTED__INIT;
	m.message = binary(bytes_of(f->id.b, sizeof(f->id.b)));
	m.accepted_us = f->accepted_us;
	m.traceparent = arena_strdup(a, f->traceparent);
	m.incoming = env->incoming;
	m.mail_from = binary(env->mail_from);
	m.n_recipients = env->n_recipients;
	m.recipients = arena_new_array(a, Sekisho__Ingest__Recipient *, env->n_recipients);
	for (size_t i = 0; i < env->n_recipients; i++)
		m.recipients[i] = recipient(&env->recipients[i], &f->plans[i], a);
	m.size = env->body.n;
	m.eight_bit = f->eight_bit;
	m.smtputf8 = f->smtputf8;
	if (!env->incoming)
		m.account = binary(bytes_of(env->account.b, sizeof(env->account.b)));
	m.account_name = arena_strdup(a, env->account_name);
	m.client_ip = arena_strdup(a, env->client_ip);
	m.helo = arena_strdup(a, env->helo);
	m.protocol = arena_strdup(a, env->protocol);
	m.tls = arena_strdup(a, env->tls);
	m.envid = text(env->envid, a);
	m.ret = arena_strdup(a, env->ret == SMTP_RET_FULL ? "FULL" : env->ret == SMTP_RET_HDRS ? "HDRS" : "");
	m.verdict = arena_strdup(a, f->verdict);
	m.quarantine_reason = arena_strdup(a, f->quarantine_reason);
	m.host = arena_strdup(a, f->host);
	size_t n = sekisho__ingest__accepted__get_packed_size(&m);
	uint8_t *p = arena_alloc(a, n + 1);
	return bytes_of(p, sekisho__ingest__accepted__pack(&m, p));
}
