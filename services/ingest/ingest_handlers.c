/* SPDX-License-Identifier: MIT
 *
 * rpc.v1.ingest.lookup: what became of an idempotency key of the account that asks.
 */
#include "ingest.h"
#include "ingest_store.h"
#include "proto/ingest.pb-c.h"
#include "subjects.h"

#define KEY_MAX 200

static enum rc
reply_with(struct uuid *message, int64_t accepted_us, struct buf *reply, struct err *e)
{
	Sekisho__Ingest__LookupReply m = SEKISHO__INGEST__LOOKUP_REPLY__INIT;
	m.message = (ProtobufCBinaryData){sizeof(message->b), message->b};
	m.accepted_us = accepted_us;
	size_t n = sekisho__ingest__lookup_reply__get_packed_size(&m);
	uint8_t *p = buf_reserve(reply, n);
	if (p == NULL)
		return err_set(e, RC_INTERNAL, "out of memory");
	reply->n += sekisho__ingest__lookup_reply__pack(&m, p);
	return RC_OK;
}

static enum rc
on_lookup(const struct svc_request *r, struct buf *reply, struct err *e)
{
	struct db_tx *tx = NULL;
	struct uuid message;
	int64_t accepted_us = 0;
	uint8_t digest[32];
	if (!r->in->has_tenant)
		return err_set(e, RC_INVALID, "no tenant");
	Sekisho__Ingest__LookupRequest *q =
	    sekisho__ingest__lookup_request__unpack(NULL, r->in->payload.n, r->in->payload.p);
	if (q == NULL)
		return err_set(e, RC_INVALID, "request does not decode");
	struct bytes key = arena_bytes(r->in->arena, bytes_str(q->idempotency_key));
	sekisho__ingest__lookup_request__free_unpacked(q, NULL);
	if (key.n == 0 || key.n > KEY_MAX)
		return err_set(e, RC_INVALID, "idempotency key: 1 to %d octets", KEY_MAX);
	enum rc rc = db_begin(r->svc->db, &r->in->tenant, r->in->deadline_ms, &tx, e);
	if (rc == RC_OK)
		rc = store_idempotency(tx, &r->actor->account, key, &message, &accepted_us, digest, e);
	db_end(&tx);
	return rc == RC_OK ? reply_with(&message, accepted_us, reply, e) : rc;
}

const struct svc_endpoint ingest_endpoints[] = {
    {RPC_INGEST_LOOKUP, on_lookup},
    SVC_ENDPOINTS_END,
};
