/* SPDX-License-Identifier: MIT */
#include "client/keeper_client.h"

#include <string.h>

#include "proto/keeper.pb-c.h"
#include "subjects.h"

#define ANSWER_MAX (1024u * 1024) /* octets, before they are unpacked */

static void
copy_streams(const Sekisho__Keeper__StatusReply *m, struct arena *a, struct keeper_status *out)
{
	out->n_streams = m->n_streams;
	out->streams = arena_new_array(a, struct keeper_stream, m->n_streams + 1);
	for (size_t i = 0; i < m->n_streams; i++) {
		const Sekisho__Keeper__Stream *from = m->streams[i];
		struct keeper_stream *to = &out->streams[i];
		*to = (struct keeper_stream){
		    .name = arena_strdup(a, from->name),
		    .messages = from->messages,
		    .bytes = from->bytes,
		    .created_us = from->created_us,
		    .n_consumers = from->n_consumers,
		    .consumers = arena_new_array(a, struct keeper_consumer, from->n_consumers + 1),
		};
		for (size_t k = 0; k < from->n_consumers; k++)
			to->consumers[k] = (struct keeper_consumer){
			    .name = arena_strdup(a, from->consumers[k]->name),
			    .pending = from->consumers[k]->pending,
			    .ack_pending = from->consumers[k]->ack_pending,
			    .redelivered = from->consumers[k]->redelivered,
			};
	}
}

static bool
copy_sums(const Sekisho__Keeper__StatusReply *m, struct arena *a, struct keeper_status *out)
{
	out->n_sums = m->n_conservation;
	out->sums = arena_new_array(a, struct keeper_sum, m->n_conservation + 1);
	for (size_t i = 0; i < m->n_conservation; i++) {
		const Sekisho__Keeper__Conservation *from = m->conservation[i];
		struct keeper_sum *to = &out->sums[i];
		if (from->tenant.len != sizeof(to->tenant.b))
			return false;
		memcpy(to->tenant.b, from->tenant.data, sizeof(to->tenant.b));
		to->at_us = from->at_us;
		to->holds = from->holds;
		to->n_terms = from->n_terms;
		to->terms = arena_new_array(a, struct keeper_term, from->n_terms + 1);
		for (size_t k = 0; k < from->n_terms; k++)
			to->terms[k] =
			    (struct keeper_term){arena_strdup(a, from->terms[k]->name), from->terms[k]->count};
		to->n_violations = from->n_violations;
		to->violations = arena_new_array(a, const char *, from->n_violations + 1);
		for (size_t k = 0; k < from->n_violations; k++)
			to->violations[k] = arena_strdup(a, from->violations[k]);
	}
	return true;
}

enum rc
keeper_status(const struct keeper_call *c, bool conservation, struct arena *a, struct keeper_status *out_r,
	      struct err *e)
{
	Sekisho__Keeper__StatusRequest q = SEKISHO__KEEPER__STATUS_REQUEST__INIT;
	q.conservation = conservation;
	uint8_t packed[16];
	size_t n = sekisho__keeper__status_request__pack(&q, packed);
	struct bus_request r = {
	    .subject = RPC_KEEPER_STATUS,
	    .traceparent = c->traceparent,
	    .actor_token = c->actor_token,
	    .payload = bytes_of(packed, n),
	    .deadline_ms = c->deadline_ms,
	};
	struct bytes reply;
	enum rc rc = bus_call(c->bus, &r, a, &reply, e);
	if (rc != RC_OK)
		return rc;
	if (reply.n > ANSWER_MAX)
		return err_set(e, RC_INTERNAL, "keeper's answer is too large");
	Sekisho__Keeper__StatusReply *m = sekisho__keeper__status_reply__unpack(NULL, reply.n, reply.p);
	if (m == NULL)
		return err_set(e, RC_INTERNAL, "keeper's answer does not decode");
	struct keeper_status out = {0};
	copy_streams(m, a, &out);
	bool ok = copy_sums(m, a, &out);
	sekisho__keeper__status_reply__free_unpacked(m, NULL);
	if (!ok)
		return err_set(e, RC_INTERNAL, "keeper's answer names a tenant by no id");
	*out_r = out;
	return RC_OK;
}
