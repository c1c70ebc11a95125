/* SPDX-License-Identifier: MIT
 *
 * The transaction. Each state has one row: its time budget, what is done in it, and what may come next. Whatever goes
 * wrong that is not the message's fault is a 451; nothing but a COMMIT is a 250.
 */
#include "ingest_txn.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/policy_client.h"
#include "client/scan_client.h"
#include "core/clock.h"
#include "core/log.h"
#include "crypt/crypt.h"
#include "ingest_event.h"
#include "ingest_judge.h"
#include "ingest_store.h"

#define POISON_FAILURES 2
#define SLOW_LATELY	4 /* times the budget of a scan */
#define STATUS_MS	1000

struct txn {
	struct ingest *in;
	struct poison *poison;
	struct ask *ask;
	struct envelope *env;
	struct arena *arena;
	struct uuid id;
	int64_t accepted_us, deadline_ms;
	char traceparent[TRACEPARENT_SIZE]; /* of the stage under way */
	uint8_t sha256[32], digest[32];
	struct bytes facts_octets;
	struct facts *facts; /* NULL: quarantined without */
	struct judgement judgement;
	struct policy_plan *plans;
	struct bytes decision;
	const char *outcome_rule;
	struct err err;
};

/* --- ends ------------------------------------------------------------------------------------------------------- */
static enum txn_state
defer(struct txn *t, int code, const char *enhanced, const char *text)
{
	ingest_reply_set(&t->ask->reply, code, enhanced, "%s", text);
	return TXN_DEFERRED;
}

static enum txn_state
replayed(struct txn *t, const struct uuid *message, const uint8_t digest[32])
{
	char id[UUID_STR_SIZE];
	if (memcmp(digest, t->digest, 32) != 0) {
		ingest_reply_set(&t->ask->reply, 554, "5.5.0", "this idempotency key belongs to another message");
		return TXN_REFUSED;
	}
	uuid_format(message, id);
	ingest_reply_set(&t->ask->reply, 250, "2.0.0", "accepted as %s (replayed)", id);
	return TXN_REPLIED;
}

static struct audit_intent
intent(struct txn *t, const char *action, const char *outcome, struct bytes detail)
{
	char account[UUID_STR_SIZE] = "mx";
	if (!t->env->incoming)
		uuid_format(&t->env->account, account);
	return (struct audit_intent){
	    .action = action,
	    .outcome = outcome,
	    .actor = bytes_str(arena_strdup(t->arena, account)),
	    .source = bytes_str(t->env->client_ip),
	    .subject = t->id,
	    .number = -1,
	    .at_us = t->accepted_us,
	    .detail = detail,
	    .traceparent = t->traceparent,
	};
}

static struct bytes
refusal_detail(struct txn *t, const char *rule, const char *reason)
{
	struct buf b;
	buf_init(&b, 0);
	buf_add_str(&b, "{\"reason\":");
	buf_add_json(&b, bytes_str(reason));
	buf_addf(&b, ",\"recipients\":%zu,\"rule\":", t->env->n_recipients);
	buf_add_json(&b, bytes_str(rule));
	buf_add_str(&b, "}");
	struct bytes r = arena_bytes(t->arena, buf_bytes(&b));
	buf_done(&b);
	return r;
}

/* The record of a refusal commits before the refusal is said. */
static enum txn_state
refuse(struct txn *t, const char *rule, const char *reason, int64_t deadline)
{
	struct db_tx *tx = NULL;
	struct content_sealed *sealed = NULL;
	struct content_item item = {CONTENT_DECISION, t->decision};
	struct audit_intent i = intent(t, "mail.refused", "denied", refusal_detail(t, rule, reason));
	t->outcome_rule = rule;
	enum rc rc = RC_OK;
	/* Before the transaction: the tenant's key may need a connection of its own. */
	if (t->decision.n > 0)
		rc = content_seal(t->in->svc->content, &t->env->tenant, &t->id, &item, 1, &sealed, &t->err);
	if (rc == RC_OK)
		rc = db_begin(t->in->svc->db, &t->env->tenant, deadline, &tx, &t->err);
	if (rc == RC_OK && sealed != NULL)
		rc = content_put_sealed(tx, sealed, &t->err);
	if (rc == RC_OK)
		rc = db_intent(tx, &i, &t->err);
	if (rc == RC_OK)
		rc = db_commit(&tx, &t->err);
	db_end(&tx);
	content_sealed_free(&sealed);
	return rc == RC_OK ? TXN_REFUSED : defer(t, 451, "4.3.0", "cannot be recorded now, try again later");
}

/* --- queued: what is known before the scanner is asked ---------------------------------------------------------- */
static void
hash_part(struct buf *b, struct bytes part)
{
	uint64_t n = part.n;
	buf_add(b, &n, sizeof(n));
	buf_add_bytes(b, part);
}

static void
hash_all(struct txn *t)
{
	struct buf b;
	crypt_sha256(buf_bytes(&t->env->body), t->sha256);
	if (t->env->idempotency.n == 0)
		return;
	buf_init(&b, 0);
	hash_part(&b, bytes_of(t->sha256, 32));
	hash_part(&b, t->env->mail_from);
	for (size_t i = 0; i < t->env->n_recipients; i++)
		hash_part(&b, t->env->recipients[i].address);
	crypt_sha256(buf_bytes(&b), t->digest);
	buf_done(&b);
}

static enum rc
find_replay(struct txn *t, int64_t deadline, struct uuid *message_r, uint8_t digest_r[32])
{
	struct db_tx *tx = NULL;
	int64_t accepted_us;
	enum rc rc = db_begin(t->in->svc->db, &t->env->tenant, deadline, &tx, &t->err);
	if (rc == RC_OK)
		rc = store_idempotency(tx, &t->env->account, t->env->idempotency, message_r, &accepted_us, digest_r,
				       &t->err);
	db_end(&tx);
	return rc;
}

static enum txn_state
do_queued(struct txn *t, int64_t deadline)
{
	struct uuid message;
	uint8_t digest[32];
	if (clock_left_ms(deadline) == 0)
		return defer(t, 451, "4.3.2", "busy, try again later");
	hash_all(t);
	if (t->env->idempotency.n > 0) {
		enum rc rc = find_replay(t, t->deadline_ms, &message, digest);
		if (rc == RC_OK)
			return replayed(t, &message, digest);
		if (rc != RC_NOT_FOUND)
			return defer(t, 451, "4.3.0", "database is not available, try again later");
	}
	if (!poison_has(t->poison, &t->env->tenant, t->sha256, clock_mono_ms()))
		return TXN_SCANNING;
	judge_poison(t->env, &t->judgement);
	return TXN_JUDGING;
}

/* --- scanning --------------------------------------------------------------------------------------------------- */
/* Whether a failure counts against the message. One that took the whole time may be a machine with too much to do: it
 * counts if the scanner is well and was slow on no other message lately. A worker killed for its slowness looks like
 * one that died. */
static bool
counts(struct txn *t, enum scan_end end, int64_t took_ms)
{
	const struct ingest_config *c = &t->in->config;
	struct scan_status st = {0};
	struct err err;
	int64_t now_ms = clock_mono_ms();
	if (end != SCAN_TIMEOUT && took_ms < c->scan_ms / 4 * 3)
		return true;
	bool alone = poison_slow_alone(t->poison, &t->env->tenant, t->sha256, now_ms, SLOW_LATELY * c->scan_ms);
	return alone && scan_status(c->scan_socket, STATUS_MS, &st, &err) == RC_OK && st.ready && !st.stale;
}

/* The scanner died of it or did not answer. The second time it is not the scanner's fault any more. */
static enum txn_state
scan_failed(struct txn *t, enum scan_end end, int64_t took_ms)
{
	struct db_tx *tx = NULL;
	int64_t failures = 0;
	metric_add(&ingest_scan_failures, 0, 1);
	log_warn("scan failed on a message", LOG_MESSAGE(&t->id), LOG_TENANT(&t->env->tenant),
		 LOG_STR("end", scan_end_str(end)), LOG_ERR(&t->err));
	if (!counts(t, end, took_ms))
		return defer(t, 451, "4.7.0", "scanner is too slow, try again later");
	enum rc rc = db_begin(t->in->svc->db, &t->env->tenant, t->deadline_ms, &tx, &t->err);
	if (rc == RC_OK)
		rc = store_poison_add(tx, &t->env->tenant, t->sha256, t->accepted_us, &failures, &t->err);
	if (rc == RC_OK)
		rc = db_commit(&tx, &t->err);
	db_end(&tx);
	if (rc != RC_OK || failures < POISON_FAILURES)
		return defer(t, 451, "4.7.0", "message could not be scanned, try again later");
	poison_add(t->poison, &t->env->tenant, t->sha256, clock_mono_ms());
	judge_poison(t->env, &t->judgement);
	return TXN_JUDGING;
}

static bool
facts_fit(struct txn *t)
{
	if (facts_decode(t->facts_octets, t->arena, &t->facts, &t->err) != RC_OK)
		return false;
	if (t->facts->size == t->env->body.n && memcmp(t->facts->sha256, t->sha256, 32) == 0)
		return true;
	err_set(&t->err, RC_INVALID, "facts are about another message");
	t->facts = NULL;
	return false;
}

static enum txn_state
do_scanning(struct txn *t, int64_t deadline)
{
	const struct ingest_config *c = &t->in->config;
	int fd = scan_seal(buf_bytes(&t->env->body));
	if (fd < 0) {
		err_set(&t->err, RC_RETRY, "memfd: %s", strerror(errno));
		return defer(t, 452, "4.3.1", "out of room for messages, try again later");
	}
	int64_t began_ms = clock_mono_ms(), queue_ms = clock_left_ms(t->ask->received_ms + c->queue_ms);
	enum scan_end end = scan_inspect(c->scan_socket, fd, t->env->body.n, &t->id, t->traceparent, queue_ms,
					 clock_left_ms(deadline), t->arena, &t->facts_octets, &t->err);
	close(fd);
	if (end == SCAN_DONE && !facts_fit(t))
		end = SCAN_BROKEN;
	switch (end) {
	case SCAN_DONE:
		judge_facts(t->env, t->facts, t->arena, &t->judgement);
		return TXN_JUDGING;
	case SCAN_BUSY:
		return defer(t, 451, "4.7.0", "scanner is busy, try again later");
	case SCAN_DOWN:
		return defer(t, 451, "4.7.0", "scanner is not available, try again later");
	case SCAN_CRASHED:
	case SCAN_TIMEOUT:
	case SCAN_BROKEN:
		break;
	}
	return scan_failed(t, end, clock_mono_ms() - began_ms);
}

/* --- judging ------------------------------------------------------------------------------------------------------ */
static const char *
as_text(struct txn *t, struct bytes b)
{
	return arena_strndup(t->arena, b.p != NULL ? (const char *)b.p : "", b.n);
}

/* Ingest's own decision, in the shape of policy's record. */
static void
record_own(struct txn *t, const char *verdict, const char *action)
{
	struct buf b;
	char id[UUID_STR_SIZE];
	uuid_format(&t->id, id);
	buf_init(&b, POLICY_DECISION_MAX);
	buf_addf(&b, "{\"decided_by\":\"ingest\",\"message\":\"%s\",\"reason\":", id);
	buf_add_json(&b, bytes_str(t->judgement.reason));
	buf_add_str(&b, ",\"recipients\":[");
	for (size_t i = 0; i < t->env->n_recipients; i++) {
		buf_addf(&b, "%s{\"action\":\"%s\",\"address\":", i == 0 ? "" : ",", action);
		buf_add_json(&b, t->env->recipients[i].address);
		buf_addf(&b, ",\"rule\":\"%s\"}", t->judgement.rule);
	}
	buf_addf(&b, "],\"verdict\":\"%s\"}", verdict);
	t->decision = arena_bytes(t->arena, buf_bytes(&b));
	buf_done(&b);
}

static enum txn_state
quarantine_all(struct txn *t)
{
	t->plans = arena_new_array(t->arena, struct policy_plan, t->env->n_recipients);
	for (size_t i = 0; i < t->env->n_recipients; i++)
		t->plans[i] = (struct policy_plan){.action = POLICY_QUARANTINE, .rule = t->judgement.rule};
	record_own(t, "quarantine", "quarantine");
	return TXN_COMMITTING;
}

static bool
is_ascii(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s >= 0x80)
			return false;
	return true;
}

/* The rule's words reach the sender in the dialogue itself; without SMTPUTF8 only if they are ASCII. */
static void
policy_refusal(struct txn *t, const struct policy_answer *p)
{
	char id[UUID_STR_SIZE];
	uuid_format(&t->id, id);
	bool sayable = p->refusal[0] != '\0' && (t->env->smtputf8 || is_ascii(p->refusal));
	ingest_reply_set(&t->ask->reply, 550, "5.7.1", "%s (reference %s)",
			 sayable ? p->refusal : "refused by the policy of this organisation", id);
}

static enum txn_state
ask_policy(struct txn *t, int64_t deadline)
{
	const struct envelope *env = t->env;
	const char **to = arena_new_array(t->arena, const char *, env->n_recipients);
	for (size_t i = 0; i < env->n_recipients; i++)
		to[i] = as_text(t, env->recipients[i].address);
	struct policy_call call = {
	    .bus = t->in->svc->bus, .tenant = &env->tenant, .traceparent = t->traceparent, .deadline_ms = deadline};
	struct policy_question q = {.message = t->id,
				    .direction = env->incoming ? POLICY_INCOMING : POLICY_OUTGOING,
				    .account = env->account_name,
				    .mail_from = as_text(t, env->mail_from),
				    .recipients = to,
				    .n_recipients = env->n_recipients,
				    .facts = t->facts_octets,
				    .accepted_us = t->accepted_us,
				    .client_ip = env->client_ip};
	struct policy_answer p = {0};
	enum rc rc = policy_evaluate(&call, &q, t->arena, &p, &t->err);
	if (rc == RC_INVALID) {
		ingest_reply_set(&t->ask->reply, 554, "5.7.0", "message cannot be judged");
		return refuse(t, "not-judged", t->err.text, deadline);
	}
	if (rc != RC_OK)
		return defer(t, 451, "4.7.0", "policy is not available, try again later");
	t->decision = p.decision;
	t->plans = p.plans;
	if (p.verdict != POLICY_REFUSE)
		return TXN_COMMITTING;
	policy_refusal(t, &p);
	return refuse(t, p.refusal_rule, p.refusal, t->deadline_ms);
}

static enum txn_state
do_judging(struct txn *t, int64_t deadline)
{
	switch (t->judgement.finding) {
	case JUDGE_POLICY:
		break;
	case JUDGE_DEFER:
		t->ask->reply = t->judgement.reply;
		return TXN_DEFERRED;
	case JUDGE_REFUSE:
		t->ask->reply = t->judgement.reply;
		record_own(t, "refuse", "refuse");
		return refuse(t, t->judgement.rule, t->judgement.reason, deadline);
	case JUDGE_QUARANTINE:
		return quarantine_all(t);
	}
	return ask_policy(t, deadline);
}

/* --- committing ----------------------------------------------------------------------------------------------------
 */
static bool
has_high(struct bytes b)
{
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] >= 0x80)
			return true;
	return false;
}

/* SMTPUTF8 that was asked for and is not needed must not keep the mail from older servers. */
static bool
needs_smtputf8(const struct txn *t)
{
	bool high = has_high(t->env->mail_from);
	for (size_t i = 0; i < t->env->n_recipients && !high; i++)
		high = has_high(t->env->recipients[i].address);
	return t->env->smtputf8 && (high || t->facts == NULL || t->facts->utf8_header);
}

static struct bytes
make_event(struct txn *t)
{
	bool own = t->judgement.finding == JUDGE_QUARANTINE, quarantined = own;
	for (size_t i = 0; i < t->env->n_recipients; i++)
		quarantined = quarantined || t->plans[i].action == POLICY_QUARANTINE;
	struct event_facts f = {.id = t->id,
				.accepted_us = t->accepted_us,
				.traceparent = t->traceparent,
				.eight_bit = t->facts != NULL ? t->facts->eight_bit : t->env->eight_bit,
				.smtputf8 = needs_smtputf8(t),
				.verdict = facts_verdict_str(t->facts != NULL ? t->facts->verdict : FACTS_ERROR),
				.quarantine_reason = own	   ? t->judgement.reason
						     : quarantined ? "policy"
								   : "",
				.host = t->in->config.hostname,
				.plans = t->plans};
	return event_encode(t->env, &f, t->arena);
}

static struct bytes
accepted_detail(struct txn *t)
{
	size_t held = 0, quarantined = 0;
	for (size_t i = 0; i < t->env->n_recipients; i++) {
		held += t->plans[i].action == POLICY_HOLD;
		quarantined += t->plans[i].action == POLICY_QUARANTINE;
	}
	return bytes_str(arena_printf(
	    t->arena, "{\"held\":%zu,\"quarantined\":%zu,\"recipients\":%zu,\"size\":%zu,\"verdict\":\"%s\"}", held,
	    quarantined, t->env->n_recipients, t->env->body.n,
	    t->facts != NULL ? facts_verdict_str(t->facts->verdict) : "error"));
}

static enum rc
put_all(struct txn *t, const struct content_sealed *sealed, struct bytes event, struct db_tx *tx)
{
	struct store_acceptance s = {.id = t->id,
				     .accepted_us = t->accepted_us,
				     .envelope = t->env,
				     .sha256 = t->sha256,
				     .digest = t->digest,
				     .event = event};
	struct audit_intent i = intent(t, "mail.accepted", "ok", accepted_detail(t));
	enum rc rc = content_put_sealed(tx, sealed, &t->err);
	if (rc == RC_OK)
		rc = store_accept(tx, &s, &t->err);
	if (rc == RC_OK)
		rc = outbox_add(t->in->outbox, tx, &t->env->tenant, &t->id, &t->err);
	if (rc == RC_OK)
		rc = db_intent(tx, &i, &t->err);
	return rc;
}

static enum txn_state
commit_failed(struct txn *t, enum rc rc)
{
	struct uuid message;
	uint8_t digest[32];
	if (rc == RC_CONFLICT && t->env->idempotency.n > 0 && find_replay(t, t->deadline_ms, &message, digest) == RC_OK)
		return replayed(t, &message, digest);
	return defer(t, 451, "4.3.0", "could not be stored, try again later");
}

static enum txn_state
do_committing(struct txn *t, int64_t deadline)
{
	struct db_tx *tx = NULL;
	struct content_sealed *sealed = NULL;
	struct content_item items[] = {{CONTENT_BODY, buf_bytes(&t->env->body)},
				       {CONTENT_DECISION, t->decision},
				       {CONTENT_FACTS, t->facts_octets}};
	struct bytes event = make_event(t);
	enum rc rc = content_seal(t->in->svc->content, &t->env->tenant, &t->id, items, t->facts != NULL ? 3 : 2,
				  &sealed, &t->err);
	if (rc == RC_OK)
		rc = db_begin(t->in->svc->db, &t->env->tenant, deadline, &tx, &t->err);
	if (rc == RC_OK)
		rc = put_all(t, sealed, event, tx);
	bool ours = rc != RC_OK || ask_claim(t->ask, CLAIM_COMMIT);
	if (rc == RC_OK && ours)
		rc = db_commit(&tx, &t->err);
	db_end(&tx);
	content_sealed_free(&sealed);
	if (!ours)
		return TXN_ABANDONED;
	if (rc != RC_OK)
		return commit_failed(t, rc);
	outbox_publish(t->in->outbox, &t->env->tenant, &t->id, event);
	char id[UUID_STR_SIZE];
	uuid_format(&t->id, id);
	ingest_reply_set(&t->ask->reply, 250, "2.0.0", "accepted as %s", id);
	return TXN_REPLIED;
}

/* --- the table -----------------------------------------------------------------------------------------------------
 */
#define TO(s)	       (1u << (s))
#define BUDGET(member) offsetof(struct ingest_config, member)
static const struct txn_row {
	const char *name;
	size_t budget; /* of a member of struct ingest_config */
	enum txn_state (*run)(struct txn *t, int64_t deadline);
	struct metric *seconds;
	unsigned next;
} rows[] = {
    [TXN_QUEUED] = {"queued", BUDGET(queue_ms), do_queued, &ingest_seconds_queued,
		    TO(TXN_SCANNING) | TO(TXN_JUDGING) | TO(TXN_REPLIED) | TO(TXN_REFUSED) | TO(TXN_DEFERRED)},
    [TXN_SCANNING] = {"scanning", BUDGET(scan_ms), do_scanning, &ingest_seconds_scanning,
		      TO(TXN_JUDGING) | TO(TXN_DEFERRED)},
    [TXN_JUDGING] = {"judging", BUDGET(policy_ms), do_judging, &ingest_seconds_judging,
		     TO(TXN_COMMITTING) | TO(TXN_REFUSED) | TO(TXN_DEFERRED)},
    [TXN_COMMITTING] = {"committing", BUDGET(commit_ms), do_committing, &ingest_seconds_committing,
			TO(TXN_REPLIED) | TO(TXN_REFUSED) | TO(TXN_DEFERRED) | TO(TXN_ABANDONED)},
    [TXN_REPLIED] = {"replied"},
    [TXN_REFUSED] = {"refused"},
    [TXN_DEFERRED] = {"deferred"},
    [TXN_ABANDONED] = {"abandoned"},
};

const char *
txn_state_str(enum txn_state s)
{
	return rows[s].name;
}

static void
report(struct txn *t, enum txn_state end, enum txn_state from)
{
	static const enum ingest_outcome_label labels[] = {[TXN_REPLIED] = OUTCOME_ACCEPTED,
							   [TXN_REFUSED] = OUTCOME_REFUSED,
							   [TXN_DEFERRED] = OUTCOME_DEFERRED,
							   [TXN_ABANDONED] = OUTCOME_ABANDONED};
	bool quarantined = end == TXN_REPLIED && t->judgement.finding == JUDGE_QUARANTINE;
	int64_t took = clock_mono_ms() - t->ask->received_ms;
	metric_add(&ingest_mails, quarantined ? OUTCOME_QUARANTINED : labels[end], 1);
	metric_observe_us(&ingest_seconds_total, took * 1000);
	log_info("mail", LOG_MESSAGE(&t->id), LOG_TENANT(&t->env->tenant), LOG_STR("outcome", txn_state_str(end)),
		 LOG_STR("stage", txn_state_str(from)),
		 LOG_STR("direction", t->env->incoming ? "incoming" : "outgoing"), LOG_INT("size", t->env->body.n),
		 LOG_INT("recipients", t->env->n_recipients), LOG_INT("reply", t->ask->reply.code),
		 LOG_INT("duration_ms", took),
		 LOG_STR("verdict", t->facts != NULL ? facts_verdict_str(t->facts->verdict) : "none"),
		 LOG_STR("why", end == TXN_REFUSED && t->outcome_rule != NULL ? t->outcome_rule : t->err.text),
		 LOG_TRACE(t->env->traceparent));
}

void
txn_run(struct ingest *in, struct poison *poison, struct ask *a, void (*scan_over)(void *ctx), void *ctx)
{
	int64_t now_us = clock_wall_us();
	struct txn t = {.in = in,
			.poison = poison,
			.ask = a,
			.env = a->envelope,
			.arena = a->arena,
			.id = uuid_v7(now_us),
			.deadline_ms = a->received_ms + in->config.total_ms};
	t.accepted_us = uuid_time_us(&t.id);
	enum txn_state state = TXN_QUEUED, from = TXN_QUEUED;
	bool scanner_needed = true;
	while (rows[state].run != NULL) {
		int64_t began = clock_mono_ms(), budget;
		if (atomic_load(&a->claim) == CLAIM_GONE) {
			from = state;
			state = TXN_ABANDONED;
			break;
		}
		memcpy(&budget, (const char *)&in->config + rows[state].budget, sizeof(budget));
		int64_t deadline = (state == TXN_QUEUED ? a->received_ms : began) + budget;
		traceparent_child(t.env->traceparent, t.traceparent);
		from = state;
		state = rows[from].run(&t, deadline < t.deadline_ms ? deadline : t.deadline_ms);
		if ((rows[from].next & TO(state)) == 0)
			abort();
		metric_observe_us(rows[from].seconds,
				  (clock_mono_ms() - (from == TXN_QUEUED ? a->received_ms : began)) * 1000);
		if (scanner_needed && state != TXN_SCANNING) {
			scanner_needed = false;
			scan_over(ctx);
		}
	}
	if (scanner_needed)
		scan_over(ctx);
	a->rc = RC_OK;
	report(&t, state, from);
}

void
txn_expire(struct ask *a)
{
	metric_add(&ingest_mails, OUTCOME_DEFERRED, 1);
	a->rc = RC_OK;
	ingest_reply_set(&a->reply, 451, "4.3.2", "busy, try again later");
	log_info("mail", LOG_TENANT(&a->envelope->tenant), LOG_STR("outcome", "deferred"), LOG_STR("stage", "queued"),
		 LOG_INT("size", a->envelope->body.n), LOG_TRACE(a->envelope->traceparent));
}
