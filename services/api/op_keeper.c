/* SPDX-License-Identifier: MIT
 *
 * What the caretaker sees: streams and consumers, and the sum of all recipients.
 */
#include "client/keeper_client.h"
#include "ops.h"

OP(op_bus_get)
{
	struct keeper_call c = OP_CALL(api, r, "keeper");
	struct keeper_status status;
	enum rc rc = keeper_status(&c, false, r->arena, &status, e);
	if (rc != RC_OK)
		return rc;
	struct json_out o = op_begin(w);
	json_out_open(&o, "streams", '[');
	for (size_t i = 0; i < status.n_streams; i++) {
		const struct keeper_stream *s = &status.streams[i];
		json_out_open(&o, NULL, '{');
		json_out_str(&o, "name", s->name);
		json_out_int(&o, "messages", (int64_t)s->messages);
		json_out_int(&o, "bytes", (int64_t)s->bytes);
		json_out_time(&o, "created_at", s->created_us);
		json_out_open(&o, "consumers", '[');
		for (size_t k = 0; k < s->n_consumers; k++) {
			const struct keeper_consumer *x = &s->consumers[k];
			json_out_open(&o, NULL, '{');
			json_out_str(&o, "name", x->name);
			json_out_int(&o, "pending", (int64_t)x->pending);
			json_out_int(&o, "ack_pending", (int64_t)x->ack_pending);
			json_out_int(&o, "redelivered", (int64_t)x->redelivered);
			json_out_close(&o, '}');
		}
		json_out_close(&o, ']');
		json_out_close(&o, '}');
	}
	json_out_close(&o, ']');
	return op_end(&o, w, 200);
}

OP(op_conservation_get)
{
	struct keeper_call c = OP_CALL(api, r, "keeper");
	struct keeper_status status;
	enum rc rc = keeper_status(&c, true, r->arena, &status, e);
	if (rc != RC_OK)
		return rc;
	struct json_out o = op_begin(w);
	json_out_open(&o, "tenants", '[');
	for (size_t i = 0; i < status.n_sums; i++) {
		const struct keeper_sum *s = &status.sums[i];
		json_out_open(&o, NULL, '{');
		json_out_uuid(&o, "tenant", &s->tenant);
		json_out_time(&o, "at", s->at_us);
		json_out_bool(&o, "holds", s->holds);
		json_out_open(&o, "terms", '{');
		for (size_t k = 0; k < s->n_terms; k++)
			json_out_int(&o, s->terms[k].name, (int64_t)s->terms[k].count);
		json_out_close(&o, '}');
		json_out_open(&o, "violations", '[');
		for (size_t k = 0; k < s->n_violations; k++)
			json_out_str(&o, NULL, s->violations[k]);
		json_out_close(&o, ']');
		json_out_close(&o, '}');
	}
	json_out_close(&o, ']');
	return op_end(&o, w, 200);
}
