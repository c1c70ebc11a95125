/* SPDX-License-Identifier: MIT
 *
 * One request from the bus: is the token good, does it permit this, what does the handler say, and is it on the record
 * before the answer leaves. On the threads of the bus.
 *
 *	record	ok			refused (denied, invalid, not found, conflict, limit, internal)
 *	read	recorded		recorded
 *	change	by its own commit	recorded; so is an answer that was given a second time, and what changed nothing
 *	none	not			denials only
 *
 * RC_RETRY is no result: nothing was told and nothing was done, so nothing is recorded, and what cannot be recorded
 * becomes RC_RETRY.
 */
#include <stdio.h>

#include "core/clock.h"
#include "svc/record.h"
#include "svc/svc_internal.h"

static struct metric rpc_seconds = {
    .name = "sekisho_rpc_duration_seconds",
    .type = METRIC_HISTOGRAM,
    .help = "Time this service took to answer a request.",
};
static struct metric record_seconds = {
    .name = "sekisho_record_duration_seconds",
    .type = METRIC_HISTOGRAM,
    .help = "Of that the time until a read or a refusal was on the record.",
};
static const char *const record_labels[] = {"written", "failed", NULL};
static struct metric record_total = {
    .name = "sekisho_record_entries_total",
    .type = METRIC_COUNTER,
    .help = "Reads and refusals to be put on the record.",
    .label = "outcome",
    .values = record_labels,
};
struct metric *const request_metrics[] = {&rpc_seconds, &record_seconds, &record_total, NULL};

/* --- what handlers say ------------------------------------------------------------------------------------------ */
void
svc_record_subject(const struct svc_request *r, const struct uuid *subject)
{
	if (r->note == NULL)
		return;
	r->note->subject = *subject;
	r->note->has_subject = true;
}

void
svc_record_detail(const struct svc_request *r, struct bytes detail)
{
	if (r->note != NULL)
		r->note->detail = arena_bytes(r->in->arena, detail);
}

void
svc_record_unchanged(const struct svc_request *r)
{
	if (r->note != NULL)
		r->note->unchanged = true;
}

const char *
svc_actor_text(const struct actor *actor, struct arena *a)
{
	char id[UUID_STR_SIZE];
	if (uuid_is_nil(&actor->account))
		return arena_strdup(a, actor->name);
	uuid_format(&actor->account, id);
	return arena_strdup(a, id);
}

/* --- the record -------------------------------------------------------------------------------------------------- */
static bool
is_recorded(const struct subject_rpc *rule, const struct svc_note *note, enum rc rc)
{
	if (rc == RC_RETRY)
		return false;
	switch (rule->record) {
	case SUBJECT_RECORD_READ:
		return true;
	case SUBJECT_RECORD_CHANGE:
		return rc != RC_OK || note->replayed || note->unchanged;
	case SUBJECT_RECORD_NONE:
		break;
	}
	return rc == RC_DENIED;
}

static struct bytes
detail_of(const struct svc_request *r, struct bytes asked, enum rc rc, const struct err *e)
{
	struct buf b;
	buf_init(&b, 0);
	buf_add_str(&b, "{\"asked\":");
	buf_add_bytes(&b, asked);
	if (r->note->replayed)
		buf_add_str(&b, ",\"replayed\":true");
	if (r->note->unchanged && rc == RC_OK)
		buf_add_str(&b, ",\"unchanged\":true");
	if (rc != RC_OK) {
		buf_add_str(&b, ",\"why\":");
		buf_add_json(&b, bytes_str(e->text));
	}
	buf_add_str(&b, "}");
	struct bytes detail = arena_bytes(r->in->arena, buf_bytes(&b));
	buf_done(&b);
	return detail;
}

static enum rc
write_record(const struct bound *b, const struct svc_request *r, enum rc rc, const struct err *why, struct err *e)
{
	struct asked asked = asked_read(b->rule->request, r->in->payload, r->in->arena);
	if (r->note->detail.n > 0)
		asked.json = r->note->detail;
	struct audit_intent i = {
	    .action = b->rule->operation,
	    .outcome = rc_str(rc),
	    .actor = bytes_str(svc_actor_text(r->actor, r->in->arena)),
	    .source = bytes_str(r->actor->from),
	    .subject = r->note->has_subject ? r->note->subject
		       : asked.has_subject  ? asked.subject
					    : r->actor->tenant,
	    .number = -1,
	    .at_us = clock_wall_us(),
	    .detail = detail_of(r, asked.json, rc, why),
	    .traceparent = r->in->traceparent,
	};
	int64_t began = clock_wall_us();
	enum rc wrote = recorder_write(b->svc->recorder, &r->actor->tenant, &i, r->in->deadline_ms, e);
	metric_observe_us(&record_seconds, clock_wall_us() - began);
	metric_add(&record_total, wrote == RC_OK ? 0 : 1, 1);
	return wrote;
}

/* rc and e as they are, unless they cannot be put on the record: then nothing is told but that. */
static enum rc
record(const struct bound *b, const struct svc_request *r, enum rc rc, struct buf *reply, struct err *e)
{
	struct err err = {0};
	if (b->svc->recorder == NULL || !is_recorded(b->rule, r->note, rc) || write_record(b, r, rc, e, &err) == RC_OK)
		return rc;
	buf_reset(reply);
	*e = err;
	return RC_RETRY;
}

/* --- a request --------------------------------------------------------------------------------------------------- */
static enum rc
refuse_token(const struct bound *b, const struct bus_incoming *in, const struct err *why, struct err *e)
{
	if (b->svc->recorder != NULL) {
		enum rc rc = recorder_forged(b->svc->recorder, b->rule->operation, in->caller, why->text,
					     in->traceparent, in->deadline_ms, e);
		if (rc != RC_OK)
			return rc;
	}
	return err_set(e, RC_DENIED, "no valid actor token");
}

static enum rc
handle(const struct bound *b, const struct svc_request *r, struct buf *reply, struct err *e)
{
	const char *needed[] = {b->rule->permission, b->rule->also};
	for (size_t i = 0; i < 2; i++)
		if (needed[i] != NULL && strcmp(needed[i], "*") != 0 && !actor_may(r->actor, needed[i]))
			return err_set(e, RC_DENIED, "permission %s is missing", needed[i]);
	enum rc rc = b->endpoint->handle(r, reply, e);
	if (rc == RC_OK && r->note->stored)
		once_tidy(r);
	return rc;
}

enum rc
request_handle(void *ctx, const struct bus_incoming *given, struct buf *reply, struct err *e)
{
	const struct bound *b = ctx;
	struct bus_incoming in = *given;
	struct actor actor;
	struct svc_note note = {0};
	struct svc_request r = {.svc = b->svc, .in = &in, .note = &note};
	int64_t began = clock_wall_us();
	enum rc rc;
	if (b->rule->permission == NULL) {
		rc = handle(b, &r, reply, e);
	} else {
		struct err why = {0};
		rc = actor_verify(b->svc->actors, in.actor_token, b->svc->name, began, in.arena, &actor, &why);
		if (rc == RC_DENIED || rc == RC_INVALID)
			return refuse_token(b, &in, &why, e);
		if (rc != RC_OK) {
			*e = why;
			return rc;
		}
		r.actor = &actor;
		in.tenant = actor.tenant; /* never what the caller says beside it */
		in.has_tenant = !uuid_is_nil(&actor.tenant);
		rc = record(b, &r, handle(b, &r, reply, e), reply, e);
	}
	metric_observe_us(&rpc_seconds, clock_wall_us() - began);
	return rc;
}
