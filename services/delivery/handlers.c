/* SPDX-License-Identifier: MIT
 *
 * Lists, one message, holds, the queue. Permission was checked by the skeleton; the tenant is the token's.
 */
#include "handlers.h"

#include "codec.h"
#include "mail/facts.h"

#define LIMIT_DEFAULT 50
#define LIMIT_MAX     200

static const struct uuid *
tenant_of(const struct svc_request *r)
{
	return r->in->has_tenant ? &r->in->tenant : NULL;
}

static enum rc
begin(const struct svc_request *r, struct db_tx **tx, struct err *e)
{
	if (tenant_of(r) == NULL)
		return err_set(e, RC_DENIED, "only for a tenant");
	return db_begin(r->svc->db, tenant_of(r), r->in->deadline_ms, tx, e);
}

static char *
next_cursor(const struct store_view *v, size_t n, int32_t limit, struct arena *a)
{
	char *text = arena_alloc(a, UUID_STR_SIZE);
	if (n > 0 && n == (size_t)limit)
		uuid_format(&v[n - 1].message.id, text);
	return text;
}

static Sekisho__Delivery__Message **
messages(const struct store_view *v, size_t n, struct arena *a)
{
	Sekisho__Delivery__Message **out = arena_new_array(a, Sekisho__Delivery__Message *, n);
	for (size_t i = 0; i < n; i++)
		out[i] = codec_message(&v[i], a);
	return out;
}

static const char *
or_null(const char *s)
{
	return s[0] != '\0' ? s : NULL;
}

static struct bytes
or_none(const char *s)
{
	return s[0] != '\0' ? bytes_str(s) : bytes_of(NULL, 0);
}

static bool
is_direction(const char *s)
{
	for (enum store_direction d = STORE_OUTGOING; d <= STORE_SYSTEM; d++)
		if (strcmp(s, store_direction_str(d)) == 0)
			return true;
	return false;
}

enum rc
handle_list(const struct svc_request *r, struct buf *reply, struct err *e)
{
	struct arena *a = r->in->arena;
	const Sekisho__Delivery__ListRequest *q = CODEC_UNPACK(list_request, r);
	struct store_filter f = {0};
	enum leg_state state;
	if (q == NULL)
		return err_set(e, RC_INVALID, "request does not decode");
	if (q->limit > LIMIT_MAX)
		return err_set(e, RC_INVALID, "limit: at most %d", LIMIT_MAX);
	if (q->state[0] != '\0' && !leg_state_parse(q->state, &state))
		return err_set(e, RC_INVALID, "state: unknown");
	if (q->direction[0] != '\0' && !is_direction(q->direction))
		return err_set(e, RC_INVALID, "direction: outgoing, incoming or system");
	if (!codec_cursor(q->cursor, &f.has_before, &f.before))
		return err_set(e, RC_INVALID, "cursor: not one of ours");
	f.limit = q->limit != 0 ? (int32_t)q->limit : LIMIT_DEFAULT;
	f.state = or_null(q->state);
	f.sender = or_none(q->sender);
	f.recipient = or_none(q->recipient);
	f.direction = or_null(q->direction);
	struct store_view *v = NULL;
	size_t n = 0;
	struct db_tx *tx = NULL;
	enum rc rc = begin(r, &tx, e);
	if (rc == RC_OK)
		rc = store_list(tx, tenant_of(r), &f, a, &v, &n, e);
	db_end(&tx);
	if (rc != RC_OK)
		return rc;
	Sekisho__Delivery__ListReply m = SEKISHO__DELIVERY__LIST_REPLY__INIT;
	m.n_messages = n;
	m.messages = messages(v, n, a);
	m.next_cursor = next_cursor(v, n, f.limit, a);
	return codec_pack(&m.base, reply, e);
}

enum rc
handle_holds(const struct svc_request *r, struct buf *reply, struct err *e)
{
	struct arena *a = r->in->arena;
	const Sekisho__Delivery__HoldsRequest *q = CODEC_UNPACK(holds_request, r);
	struct store_filter f = {0};
	if (q == NULL)
		return err_set(e, RC_INVALID, "request does not decode");
	if (q->limit > LIMIT_MAX || !codec_cursor(q->cursor, &f.has_before, &f.before))
		return err_set(e, RC_INVALID, "limit or cursor is not valid");
	f.limit = q->limit != 0 ? (int32_t)q->limit : LIMIT_DEFAULT;
	struct store_view *v = NULL;
	size_t n = 0;
	struct db_tx *tx = NULL;
	enum rc rc = begin(r, &tx, e);
	if (rc == RC_OK)
		rc = store_holds(tx, tenant_of(r), &f, a, &v, &n, e);
	db_end(&tx);
	if (rc != RC_OK)
		return rc;
	Sekisho__Delivery__HoldsReply m = SEKISHO__DELIVERY__HOLDS_REPLY__INIT;
	m.n_messages = n;
	m.messages = messages(v, n, a);
	m.next_cursor = next_cursor(v, n, f.limit, a);
	return codec_pack(&m.base, reply, e);
}

/* --- one message ------------------------------------------------------------------------------------------- */
static Sekisho__Delivery__TimelineEntry *
entry(int64_t at_us, const char *action, const char *outcome, struct bytes actor, int32_t number, struct bytes detail,
      const char *traceparent, struct arena *a)
{
	Sekisho__Delivery__TimelineEntry *t = arena_new_array(a, Sekisho__Delivery__TimelineEntry, 1);
	sekisho__delivery__timeline_entry__init(t);
	t->at_us = at_us;
	t->action = arena_strdup(a, action);
	t->outcome = arena_strdup(a, outcome);
	t->actor = codec_text(a, actor);
	t->recipient = number;
	t->detail = codec_text(a, detail);
	if (traceparent != NULL) {
		t->trace_id = arena_alloc(a, 33);
		traceparent_trace_id(traceparent, t->trace_id);
	}
	return t;
}

static void
add_timeline(const struct store_message *m, const struct store_event *v, size_t n, struct arena *a,
	     Sekisho__Delivery__ShowReply *out)
{
	out->timeline = arena_new_array(a, Sekisho__Delivery__TimelineEntry *, n + 1);
	if (m->direction != STORE_SYSTEM) /* ingest's own fact, known to us by its event */
		out->timeline[out->n_timeline++] =
		    entry(m->accepted_us, "mail.accepted", "ok", m->account_name.n > 0 ? m->account_name : m->client_ip,
			  -1, bytes_of(NULL, 0), m->traceparent, a);
	for (size_t i = 0; i < n; i++)
		out->timeline[out->n_timeline++] = entry(v[i].at_us, v[i].action, v[i].outcome, v[i].actor, v[i].number,
							 v[i].detail, v[i].traceparent, a);
}

enum rc
handle_show(const struct svc_request *r, struct buf *reply, struct err *e)
{
	static const enum content_kind kinds[] = {CONTENT_FACTS, CONTENT_DECISION};
	struct arena *a = r->in->arena;
	const Sekisho__Delivery__ShowRequest *q = CODEC_UNPACK(show_request, r);
	struct bytes data[2] = {0};
	struct store_view v;
	struct store_event *events = NULL;
	size_t n_events = 0;
	struct facts *facts = NULL;
	struct uuid id;
	if (q == NULL || q->id.len != sizeof(id.b))
		return err_set(e, RC_INVALID, "request does not decode");
	memcpy(id.b, q->id.data, sizeof(id.b));
	svc_record_subject(r, &id);
	struct db_tx *tx = NULL;
	enum rc rc = begin(r, &tx, e);
	if (rc == RC_OK)
		rc = store_show(tx, tenant_of(r), &id, false, a, &v, e);
	if (rc == RC_OK)
		rc = store_timeline(tx, tenant_of(r), &id, a, &events, &n_events, e);
	if (rc == RC_OK)
		rc = content_get(r->svc->content, tx, tenant_of(r), &id, kinds, data, 2, FACTS_ENCODED_MAX, a, e);
	db_end(&tx);
	if (rc == RC_OK && data[0].p != NULL)
		rc = facts_decode(data[0], a, &facts, e);
	if (rc != RC_OK)
		return rc;
	Sekisho__Delivery__ShowReply m = SEKISHO__DELIVERY__SHOW_REPLY__INIT;
	m.message = codec_message(&v, a);
	if (facts != NULL)
		m.message->subject = arena_strdup(a, facts->subject);
	m.decision = (ProtobufCBinaryData){data[1].n, (uint8_t *)(uintptr_t)data[1].p};
	add_timeline(&v.message, events, n_events, a, &m);
	return codec_pack(&m.base, reply, e);
}

/* --- the queue --------------------------------------------------------------------------------------------- */
enum rc
handle_queue(const struct svc_request *r, struct buf *reply, struct err *e)
{
	struct arena *a = r->in->arena;
	struct store_queue_line *v = NULL;
	size_t n = 0;
	struct db_tx *tx = NULL;
	enum rc rc = begin(r, &tx, e);
	if (rc == RC_OK)
		rc = store_queue(tx, tenant_of(r), a, &v, &n, e);
	db_end(&tx);
	if (rc != RC_OK)
		return rc;
	Sekisho__Delivery__QueueReply m = SEKISHO__DELIVERY__QUEUE_REPLY__INIT;
	m.n_lines = n;
	m.lines = arena_new_array(a, Sekisho__Delivery__QueueLine *, n);
	for (size_t i = 0; i < n; i++) {
		Sekisho__Delivery__QueueLine *l = m.lines[i] = arena_new_array(a, Sekisho__Delivery__QueueLine, 1);
		sekisho__delivery__queue_line__init(l);
		l->destination = codec_text(a, v[i].domain);
		l->state = (char *)(uintptr_t)v[i].state;
		l->depth = (uint64_t)v[i].depth;
		l->oldest_us = v[i].oldest_us;
		l->next_us = v[i].next_us == DB_TIME_NULL ? 0 : v[i].next_us;
	}
	return codec_pack(&m.base, reply, e);
}
