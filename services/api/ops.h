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
OP(op_me_get);
OP(op_messages_list);
OP(op_messages_submit);
OP(op_messages_search);
OP(op_messages_show);
OP(op_messages_release);
OP(op_messages_discard);
OP(op_submissions_get);
OP(op_holds_list);
OP(op_policy_get);
OP(op_policy_put);
OP(op_policy_check);
OP(op_policy_versions);
OP(op_policy_version);
OP(op_tenants_list);
OP(op_tenants_create);
OP(op_tenant_get);
OP(op_tenant_put);
OP(op_domains_list);
OP(op_domains_add);
OP(op_domains_dkim);
OP(op_users_list);
OP(op_users_create);
OP(op_users_get);
OP(op_users_put);
OP(op_users_access);
OP(op_users_permissions);
OP(op_keys_list);
OP(op_keys_create);
OP(op_keys_revoke);
OP(op_keys_rotate);
OP(op_roles_list);
OP(op_roles_put);
OP(op_roles_delete);
OP(op_groups_list);
OP(op_groups_put);
OP(op_groups_delete);
OP(op_routes_get);
OP(op_routes_put);
OP(op_settings_get);
OP(op_settings_put);
OP(op_sandbox_list);
OP(op_sandbox_get);
OP(op_sandbox_content);
OP(op_queue_get);
OP(op_bus_get);
OP(op_conservation_get);
OP(op_audit_search);
OP(op_audit_heads);
OP(op_audit_inclusion);
OP(op_audit_consistency);
OP(op_audit_export);
OP(op_events_stream);
OP(op_webhooks_list);
OP(op_webhooks_create);
OP(op_webhooks_get);
OP(op_webhooks_put);
OP(op_webhooks_delete);
OP(op_webhooks_rotate);
OP(op_webhooks_test);
OP(op_webhooks_attempts);
OP(op_webhooks_replay);
/* Before a submission's body is taken. */
bool submit_admit(const struct api *api, struct api_request *r, struct api_response *w) MUST_CHECK;

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

/* Query parameters. False with a 422 written that names the parameter; absent:
 * 0, false or NULL. */
bool op_limit(const struct api_request *r, struct api_response *w, uint32_t max, uint32_t *limit_r) MUST_CHECK;
#define OP_NUMBER_MAX 9007199254740991 /* what every JSON reader holds exactly */
bool op_number(const struct api_request *r, struct api_response *w, const char *name, bool *given_r,
	       uint64_t *number_r) MUST_CHECK;
bool op_bool(const struct api_request *r, struct api_response *w, const char *name, bool *v_r) MUST_CHECK;
bool op_time(const struct api_request *r, struct api_response *w, const char *name, int64_t *wall_us_r) MUST_CHECK;
bool op_uuid(const struct api_request *r, struct api_response *w, const char *name, bool *given_r,
	     struct uuid *id_r) MUST_CHECK;
/* One of the words (NULL-terminated). */
bool op_word(const struct api_request *r, struct api_response *w, const char *name,
	     const char *const *words) MUST_CHECK;
/* At most max octets. */
bool op_text(const struct api_request *r, struct api_response *w, const char *name, size_t max) MUST_CHECK;
/* RFC 3339 in UTC ("2027-01-31T00:00:00Z", with or without a fraction) to microseconds; 0 if it is not such a time. */
int64_t op_parse_time(const char *s);

/* What If-Match and If-None-Match: * ask for. False with a 400 or 412 written. if_version_r 0: whatever it is now. */
bool op_condition(const struct api_request *r, struct api_response *w, uint64_t *if_version_r,
		  bool *must_be_new_r) MUST_CHECK;
/* The resource that is answered has this version; volatile: it holds more than the version counts. After op_end(). */
void op_version(const struct api_request *r, struct api_response *w, uint64_t version, bool is_volatile);

/* Members of documents. */
struct json_at;
size_t op_read_strings(struct json_at at, const char *name, size_t max_n, size_t max_octets, struct bytes **out_r);
size_t op_read_words(struct json_at at, const char *name, size_t max_n, size_t max_octets, const char ***out_r);
void op_put_words(struct json_out *o, const char *name, const char *const *words, size_t n);
void op_put_cursor(struct json_out *o, const char *next_cursor);
/* nil: null */
void op_put_uuid_or_null(struct json_out *o, const char *name, const struct uuid *u);
void op_put_number_or_null(struct json_out *o, const char *name, int64_t v, bool there);

/* "records": [...] */
struct delivery_dns_records;
void op_put_records(struct json_out *o, const struct delivery_dns_records *records);
/* {"overlap_seconds": n} or nothing. */
bool op_read_overlap(struct api_request *r, struct api_response *w, uint32_t max, uint32_t *seconds_r) MUST_CHECK;

#endif
