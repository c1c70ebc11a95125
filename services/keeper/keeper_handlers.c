/* SPDX-License-Identifier: MIT
 *
 * rpc.v1.keeper.status: the streams, and conservation of the caller's tenant; with a platform key, of all tenants.
 */
#include "client/auth_client.h"
#include "core/clock.h"
#include "keeper.h"
#include "proto/keeper.pb-c.h"
#include "subjects.h"

#define STREAMS_MAX 64

static enum rc
add_streams(const struct svc_request *r, Sekisho__Keeper__StatusReply *out, struct err *e)
{
	struct arena *a = r->in->arena;
	out->streams = arena_new_array(a, Sekisho__Keeper__Stream *, STREAMS_MAX);
	for (const struct subject_stream *s = subject_streams; s->name != NULL && out->n_streams < STREAMS_MAX; s++) {
		struct stream_info info;
		enum rc rc = stream_describe(r->svc->bus, s->name, a, &info, e);
		if (rc == RC_NOT_FOUND)
			continue; /* gone this moment; the next round makes it */
		if (rc != RC_OK)
			return rc;
		Sekisho__Keeper__Stream *to = arena_alloc(a, sizeof(*to));
		sekisho__keeper__stream__init(to);
		to->name = (char *)info.name;
		to->messages = info.messages;
		to->bytes = info.octets;
		to->created_us = info.created_us;
		to->consumers = arena_new_array(a, Sekisho__Keeper__Consumer *, info.n_consumers);
		for (size_t i = 0; i < info.n_consumers; i++) {
			Sekisho__Keeper__Consumer *c = arena_alloc(a, sizeof(*c));
			sekisho__keeper__consumer__init(c);
			c->name = (char *)info.consumers[i].name;
			c->pending = info.consumers[i].pending;
			c->ack_pending = info.consumers[i].ack_pending;
			c->redelivered = info.consumers[i].redelivered;
			to->consumers[to->n_consumers++] = c;
		}
		out->streams[out->n_streams++] = to;
	}
	return RC_OK;
}

/* The tenants the caller may see. */
static enum rc
visible(const struct svc_request *r, struct uuid **ids_r, size_t *n_r, struct err *e)
{
	struct arena *a = r->in->arena;
	if (!uuid_is_nil(&r->actor->tenant)) {
		*ids_r = arena_new_array(a, struct uuid, 1);
		**ids_r = r->actor->tenant;
		*n_r = 1;
		return RC_OK;
	}
	struct auth_call call = {
	    .bus = r->svc->bus, .traceparent = r->in->traceparent, .deadline_ms = r->in->deadline_ms};
	return auth_tenants(&call, a, ids_r, n_r, e);
}

static Sekisho__Keeper__Conservation *
encode_count(struct arena *a, const struct keeper_count *c)
{
	Sekisho__Keeper__Conservation *to = arena_alloc(a, sizeof(*to));
	sekisho__keeper__conservation__init(to);
	to->tenant.data = (uint8_t *)c->tenant.b;
	to->tenant.len = sizeof(c->tenant.b);
	to->at_us = c->at_us;
	to->holds = conservation_holds(&c->sum);
	to->violations = (char **)c->violations;
	to->n_violations = c->n_violations;
	to->terms = arena_new_array(a, Sekisho__Keeper__Term *, TERMS);
	for (; to->n_terms < TERMS; to->n_terms++) {
		Sekisho__Keeper__Term *t = arena_alloc(a, sizeof(*t));
		sekisho__keeper__term__init(t);
		t->name = (char *)conservation_terms[to->n_terms];
		t->count = c->sum.terms[to->n_terms];
		to->terms[to->n_terms] = t;
	}
	return to;
}

static enum rc
add_conservation(const struct svc_request *r, Sekisho__Keeper__StatusReply *out, struct err *e)
{
	struct arena *a = r->in->arena;
	struct uuid *ids = NULL;
	size_t n = 0;
	enum rc rc = visible(r, &ids, &n, e);
	if (rc != RC_OK)
		return rc;
	struct keeper_count *counts = arena_new_array(a, struct keeper_count, n);
	rc = keeper_store_count(r->svc->db, ids, n, r->in->deadline_ms, a, counts, e);
	if (rc != RC_OK)
		return rc;
	out->conservation = arena_new_array(a, Sekisho__Keeper__Conservation *, n);
	for (size_t i = 0; i < n; i++)
		out->conservation[out->n_conservation++] = encode_count(a, &counts[i]);
	return RC_OK;
}

static enum rc
handle_status(const struct svc_request *r, struct buf *reply, struct err *e)
{
	Sekisho__Keeper__StatusRequest *q =
	    sekisho__keeper__status_request__unpack(NULL, r->in->payload.n, r->in->payload.p);
	if (q == NULL)
		return err_set(e, RC_INVALID, "not a StatusRequest");
	bool conservation = q->conservation;
	sekisho__keeper__status_request__free_unpacked(q, NULL);
	Sekisho__Keeper__StatusReply out = SEKISHO__KEEPER__STATUS_REPLY__INIT;
	enum rc rc = add_streams(r, &out, e);
	if (rc == RC_OK && conservation)
		rc = add_conservation(r, &out, e);
	if (rc != RC_OK)
		return rc;
	size_t size = sekisho__keeper__status_reply__get_packed_size(&out);
	uint8_t *room = buf_reserve(reply, size);
	if (room == NULL)
		return err_set(e, RC_LIMIT, "%zu octets are more than a reply may have", size);
	reply->n += sekisho__keeper__status_reply__pack(&out, room);
	return RC_OK;
}

const struct svc_endpoint keeper_endpoints[] = {
    {RPC_KEEPER_STATUS, handle_status},
    SVC_ENDPOINTS_END,
};
