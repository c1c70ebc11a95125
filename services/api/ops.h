/* SPDX-License-Identifier: MIT
 *
 * The handlers of the table in operations.c (each an api_run), and the little they share: who asks as each client stub
 * wants it, and how an answer is begun and ended.
 */
#ifndef API_OPS_H
#define API_OPS_H

#include "api.h"
#include "json_out.h"
#include "problem.h"

#define OP(name) enum rc name(const struct api *api, struct api_request *r, struct api_response *w, struct err *e)
OP(op_health);
OP(op_messages_list);
OP(op_messages_submit);
OP(op_messages_show);
OP(op_messages_release);
OP(op_messages_discard);
OP(op_holds_list);
OP(op_queue_get);
OP(op_policy_get);
OP(op_policy_put);
OP(op_policy_check);
OP(op_policy_version);
OP(op_tenants_list);
OP(op_tenants_create);
OP(op_users_create);
OP(op_keys_create);
OP(op_keys_revoke);
OP(op_domains_add);
OP(op_domains_dkim);
OP(op_routes_get);
OP(op_routes_put);
OP(op_bus_get);
OP(op_conservation_get);

/* {"a call"} of the client stubs, which are all built alike. */
#define OP_CALL(api, r, audience)                                                                                      \
	{                                                                                                              \
		.bus = (api)->svc->bus, .traceparent = (r)->traceparent, .actor_token = api_token((r), (audience)),    \
		.deadline_ms = (r)->deadline_ms                                                                        \
	}

/* Start a JSON object as the answer; op_end() closes it and sets the status. */
struct json_out op_begin(struct api_response *w);
enum rc op_end(struct json_out *o, struct api_response *w, int status);
/* The reading went well? Else a 422 that points at the first problem was written. */
struct json_in;
bool op_json_ok(const struct json_in *in, const struct api_request *r, struct api_response *w) MUST_CHECK;
/* The path's {id}; a 404 was written if it is no UUID: nothing can have that name. */
bool op_param_uuid(const struct api_request *r, struct api_response *w, struct uuid *id_r) MUST_CHECK;
/* ?limit=, 0 if absent; false with a 422 written. */
bool op_limit(const struct api_request *r, struct api_response *w, uint32_t max, uint32_t *limit_r) MUST_CHECK;

/* "records": [...] */
struct delivery_dns_records;
void op_put_records(struct json_out *o, const struct delivery_dns_records *records);

#endif
