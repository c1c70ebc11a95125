/* SPDX-License-Identifier: MIT
 *
 * Packs questions, unpacks and checks answers. No state.
 */
#include "client/audit_client.h"

#include "proto/audit.pb-c.h"
#include "subjects.h"

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
call(const struct audit_call *c, const char *subject, const ProtobufCMessage *in, const ProtobufCMessageDescriptor *out,
     struct arena *a, void **reply_r, struct err *e)
{
	size_t n = protobuf_c_message_get_packed_size(in);
	uint8_t *packed = arena_alloc(a, n + 1);
	protobuf_c_message_pack(in, packed);
	struct bus_request r = {
	    .subject = subject,
	    .tenant = c->tenant,
	    .traceparent = c->traceparent,
	    .actor_token = c->actor_token,
	    .payload = {packed, n},
	    .deadline_ms = c->deadline_ms,
	};
	struct bytes reply;
	enum rc rc = bus_call(c->bus, &r, a, &reply, e);
	if (rc != RC_OK)
		return rc;
	ProtobufCAllocator arena = {arena_take, arena_leave, a};
	*reply_r = protobuf_c_message_unpack(out, &arena, reply.n, reply.p);
	return *reply_r != NULL ? RC_OK : err_set(e, RC_INTERNAL, "audit's answer does not decode");
}

static bool
take_uuid(ProtobufCBinaryData d, struct uuid *out)
{
	if (d.len != sizeof(out->b))
		return false;
	memcpy(out->b, d.data, sizeof(out->b));
	return true;
}

static enum rc
strange(struct err *e)
{
	return err_set(e, RC_INTERNAL, "audit's answer has an id or a hash of a wrong length");
}

/* --- search ------------------------------------------------------------------------------------------------------ */
static void
fill_filter(const struct audit_filter *f, Sekisho__Audit__SearchRequest *q)
{
	q->actor = (char *)(f->actor != NULL ? f->actor : "");
	q->outcome = (char *)(f->outcome != NULL ? f->outcome : "");
	q->source = (char *)(f->source != NULL ? f->source : "");
	q->action = (char *)(f->action != NULL ? f->action : "");
	if (f->subject != NULL)
		q->subject = (ProtobufCBinaryData){sizeof(f->subject->b), (uint8_t *)f->subject->b};
	q->from_us = f->from_us;
	q->until_us = f->until_us;
}

enum rc
audit_search(const struct audit_call *c, const struct audit_filter *f, uint32_t limit, const char *cursor,
	     struct arena *a, struct audit_found *out_r, struct err *e)
{
	Sekisho__Audit__SearchRequest q = SEKISHO__AUDIT__SEARCH_REQUEST__INIT;
	void *reply;
	fill_filter(f, &q);
	q.limit = limit;
	q.cursor = (char *)cursor;
	enum rc rc = call(c, RPC_AUDIT_SEARCH, &q.base, &sekisho__audit__search_reply__descriptor, a, &reply, e);
	if (rc != RC_OK)
		return rc;
	const Sekisho__Audit__SearchReply *m = reply;
	struct audit_found out = {.v = arena_new_array(a, struct audit_entry, m->n_entries + 1),
				  .n = m->n_entries,
				  .next_cursor = m->next_cursor,
				  .size = m->size};
	for (size_t i = 0; i < out.n; i++) {
		const Sekisho__Audit__Entry *v = m->entries[i];
		out.v[i] = (struct audit_entry){.index = v->index,
						.at_us = v->at_us,
						.service = v->service,
						.action = v->action,
						.outcome = v->outcome,
						.actor = arena_strndup(a, v->actor.data, v->actor.len),
						.source = v->source,
						.number = v->number,
						.detail = {v->detail.data, v->detail.len},
						.traceparent = v->traceparent,
						.erased = v->action[0] == 0};
		if (!take_uuid(v->id, &out.v[i].id) || !take_uuid(v->subject, &out.v[i].subject))
			return strange(e);
	}
	*out_r = out;
	return RC_OK;
}

/* --- heads, proofs ----------------------------------------------------------------------------------------------- */
static bool
take_head(const Sekisho__Audit__Head *m, struct audit_head *out)
{
	if (m == NULL || m->root.len != sizeof(out->root))
		return false;
	*out = (struct audit_head){.size = m->size, .at_us = m->at_us, .checkpoint = m->checkpoint};
	memcpy(out->root, m->root.data, sizeof(out->root));
	return true;
}

enum rc
audit_heads(const struct audit_call *c, uint32_t limit, const char *cursor, struct arena *a, struct audit_heads *out_r,
	    struct err *e)
{
	Sekisho__Audit__HeadsRequest q = SEKISHO__AUDIT__HEADS_REQUEST__INIT;
	void *reply;
	q.limit = limit;
	q.cursor = (char *)cursor;
	enum rc rc = call(c, RPC_AUDIT_HEADS, &q.base, &sekisho__audit__heads_reply__descriptor, a, &reply, e);
	if (rc != RC_OK)
		return rc;
	const Sekisho__Audit__HeadsReply *m = reply;
	struct audit_heads out = {.v = arena_new_array(a, struct audit_head, m->n_heads + 1),
				  .n = m->n_heads,
				  .next_cursor = m->next_cursor,
				  .verifier_key = m->verifier_key};
	for (size_t i = 0; i < out.n; i++)
		if (!take_head(m->heads[i], &out.v[i]))
			return strange(e);
	*out_r = out;
	return RC_OK;
}

enum rc
audit_last_head(const struct audit_call *c, struct arena *a, struct audit_head *out_r, const char **verifier_key_r,
		struct err *e)
{
	Sekisho__Audit__LastHeadRequest q = SEKISHO__AUDIT__LAST_HEAD_REQUEST__INIT;
	void *reply;
	enum rc rc = call(c, RPC_AUDIT_LAST_HEAD, &q.base, &sekisho__audit__last_head_reply__descriptor, a, &reply, e);
	if (rc != RC_OK)
		return rc;
	const Sekisho__Audit__LastHeadReply *m = reply;
	if (!take_head(m->head, out_r))
		return strange(e);
	*verifier_key_r = m->verifier_key;
	return RC_OK;
}

static enum rc
prove(const struct audit_call *c, const Sekisho__Audit__ProveRequest *q, struct arena *a, struct audit_proof *out_r,
      struct err *e)
{
	void *reply;
	enum rc rc = call(c, RPC_AUDIT_PROVE, &q->base, &sekisho__audit__prove_reply__descriptor, a, &reply, e);
	if (rc != RC_OK)
		return rc;
	const Sekisho__Audit__ProveReply *m = reply;
	struct audit_proof out = {.n = m->n_hashes};
	out.hashes = arena_calloc(a, m->n_hashes + 1, sizeof(*out.hashes));
	for (size_t i = 0; i < m->n_hashes; i++) {
		if (m->hashes[i].len != sizeof(out.hashes[i]))
			return strange(e);
		memcpy(out.hashes[i], m->hashes[i].data, sizeof(out.hashes[i]));
	}
	if (!take_head(m->head, &out.head) || (!q->consistency && m->leaf.len != sizeof(out.leaf)))
		return strange(e);
	if (!q->consistency)
		memcpy(out.leaf, m->leaf.data, sizeof(out.leaf));
	*out_r = out;
	return RC_OK;
}

enum rc
audit_prove_inclusion(const struct audit_call *c, uint64_t index, uint64_t size, struct arena *a,
		      struct audit_proof *out_r, struct err *e)
{
	Sekisho__Audit__ProveRequest q = SEKISHO__AUDIT__PROVE_REQUEST__INIT;
	q.index = index;
	q.size = size;
	return prove(c, &q, a, out_r, e);
}

enum rc
audit_prove_consistency(const struct audit_call *c, uint64_t first, uint64_t size, struct arena *a,
			struct audit_proof *out_r, struct err *e)
{
	Sekisho__Audit__ProveRequest q = SEKISHO__AUDIT__PROVE_REQUEST__INIT;
	q.consistency = true;
	q.first = first;
	q.size = size;
	return prove(c, &q, a, out_r, e);
}

/* --- export ------------------------------------------------------------------------------------------------------ */
enum rc
audit_export(const struct audit_call *c, uint64_t first, uint64_t size, uint32_t limit,
	     const struct audit_filter *filter, bool csv, struct arena *a, struct audit_page *out_r, struct err *e)
{
	Sekisho__Audit__ExportRequest q = SEKISHO__AUDIT__EXPORT_REQUEST__INIT;
	Sekisho__Audit__SearchRequest f = SEKISHO__AUDIT__SEARCH_REQUEST__INIT;
	void *reply;
	q.first = first;
	q.size = size;
	q.limit = limit;
	q.csv = csv;
	if (filter != NULL) {
		fill_filter(filter, &f);
		q.filter = &f;
	}
	enum rc rc = call(c, RPC_AUDIT_EXPORT, &q.base, &sekisho__audit__export_reply__descriptor, a, &reply, e);
	if (rc != RC_OK)
		return rc;
	const Sekisho__Audit__ExportReply *m = reply;
	*out_r = (struct audit_page){.lines = {m->lines.data, m->lines.len},
				     .next = m->next,
				     .size = m->size,
				     .count = m->count,
				     .done = m->done};
	return RC_OK;
}

/* --- events ------------------------------------------------------------------------------------------------------ */
static enum rc
ask_events(const struct audit_call *c, const char *subject, const struct audit_events_question *question,
	   struct arena *a, struct audit_events *out_r, struct err *e)
{
	Sekisho__Audit__EventsRequest q = SEKISHO__AUDIT__EVENTS_REQUEST__INIT;
	void *reply;
	q.after = question->after;
	q.limit = question->limit;
	q.types = (char **)question->types;
	q.n_types = question->n_types;
	q.from_now = question->from_now;
	enum rc rc = call(c, subject, &q.base, &sekisho__audit__events_reply__descriptor, a, &reply, e);
	if (rc != RC_OK)
		return rc;
	const Sekisho__Audit__EventsReply *m = reply;
	struct audit_events out = {.v = arena_new_array(a, struct audit_event, m->n_events + 1),
				   .n = m->n_events,
				   .next = m->next,
				   .size = m->size};
	for (size_t i = 0; i < out.n; i++) {
		const Sekisho__Audit__Event *v = m->events[i];
		out.v[i] = (struct audit_event){.position = v->position,
						.type = v->type,
						.at_us = v->at_us,
						.number = v->number,
						.data = {v->data.data, v->data.len},
						.traceparent = v->traceparent};
		if (!take_uuid(v->id, &out.v[i].id) || !take_uuid(v->subject, &out.v[i].subject))
			return strange(e);
	}
	*out_r = out;
	return RC_OK;
}

enum rc
audit_events(const struct audit_call *c, const struct audit_events_question *q, struct arena *a,
	     struct audit_events *out_r, struct err *e)
{
	return ask_events(c, RPC_AUDIT_EVENTS, q, a, out_r, e);
}

enum rc
audit_feed(const struct audit_call *c, const struct audit_events_question *q, struct arena *a,
	   struct audit_events *out_r, struct err *e)
{
	return ask_events(c, RPC_AUDIT_FEED, q, a, out_r, e);
}
