/* SPDX-License-Identifier: MIT
 *
 * Webhooks: what is sent where, how it went, and once more. A secret appears once, in the answer that makes it.
 */
#include <string.h>

#include "client/notify_client.h"
#include "core/clock.h"
#include "json_in.h"
#include "ops.h"

#define CALL(c)                                                                                                        \
	struct notify_call c = OP_CALL(api, r, "notify");                                                              \
	c.tenant = &r->holder.tenant;                                                                                  \
	c.idempotency_key = r->idempotency_key
#define STRING(at, name, required, max) ((const char *)json_in_string((at), (name), (required), (max)).p)
#define TEST_MS				20000 /* how long a receiver may take, and we with it */

static void
put_webhook_fields(struct json_out *o, const struct notify_webhook *x)
{
	json_out_uuid(o, "id", &x->id);
	json_out_str(o, "url", x->url);
	json_out_str(o, "description", x->description);
	op_put_words(o, "types", x->types, x->n_types);
	json_out_bool(o, "enabled", x->enabled);
	json_out_str(o, "disabled_why", x->disabled_why);
	json_out_time(o, "created_at", x->created_us);
	json_out_int(o, "version", (int64_t)x->version);
	json_out_int(o, "position", (int64_t)x->position);
	json_out_time(o, "failing_since", x->failing_since_us);
	json_out_str(o, "last_error", x->last_error);
	json_out_time(o, "next_attempt_at", x->next_attempt_us);
	json_out_int(o, "delivered", (int64_t)x->delivered);
	json_out_int(o, "failed", (int64_t)x->failed);
}

/* How it does changes without the version. */
static enum rc
put_webhook(const struct api_request *r, struct api_response *w, const struct notify_webhook *x)
{
	struct json_out o = op_begin(w);
	put_webhook_fields(&o, x);
	enum rc rc = op_end(&o, w, 200);
	op_version(r, w, x->version, true);
	return rc;
}

OP(op_webhooks_list)
{
	CALL(c);
	uint32_t limit;
	struct notify_webhooks page;
	const char *cursor = api_query(r, "cursor");
	if (!op_limit(r, w, NOTIFY_LIST_MAX, &limit))
		return RC_OK;
	enum rc rc = notify_webhook_list(&c, limit, cursor != NULL ? cursor : "", r->arena, &page, e);
	if (rc != RC_OK)
		return rc;
	struct json_out o = op_begin(w);
	json_out_open(&o, "webhooks", '[');
	for (size_t i = 0; i < page.n; i++) {
		json_out_open(&o, NULL, '{');
		put_webhook_fields(&o, &page.v[i]);
		json_out_close(&o, '}');
	}
	json_out_close(&o, ']');
	op_put_cursor(&o, page.next_cursor);
	return op_end(&o, w, 200);
}

static bool
read_wish(struct api_request *r, struct api_response *w, bool enabled_required, struct notify_webhook_wish *wish)
{
	static const char *const names[] = {"url", "description", "types", "enabled", NULL};
	struct json_in in;
	const char **types;
	struct json_at root = json_in_root(&in, r->arena, r->json);
	json_in_object(root, names);
	wish->url = STRING(root, "url", true, NOTIFY_URL_MAX);
	wish->description = STRING(root, "description", false, NOTIFY_DESCRIPTION_MAX);
	wish->n_types = op_read_words(root, "types", NOTIFY_TYPES_MAX, 100, &types);
	wish->types = types;
	wish->enabled = json_in_bool(root, "enabled");
	if (!json_in_has(root, "enabled")) {
		wish->enabled = true;
		if (enabled_required)
			json_in_fail(root, "enabled", "is required");
	}
	return op_json_ok(&in, r, w);
}

OP(op_webhooks_create)
{
	CALL(c);
	struct notify_webhook_wish wish = {0};
	struct notify_webhook x;
	const char *secret;
	if (!read_wish(r, w, false, &wish))
		return RC_OK;
	enum rc rc = notify_webhook_create(&c, &wish, r->arena, &x, &secret, e);
	if (rc != RC_OK)
		return rc;
	char id[UUID_STR_SIZE];
	uuid_format(&x.id, id);
	struct json_out o = op_begin(w);
	put_webhook_fields(&o, &x);
	json_out_str(&o, "secret", secret);
	api_response_header(w, "Location", arena_printf(r->arena, "/v1/webhooks/%s", id));
	return op_end(&o, w, 201);
}

OP(op_webhooks_get)
{
	CALL(c);
	struct uuid id;
	struct notify_webhook x;
	if (!op_param_uuid(r, w, &id))
		return RC_OK;
	enum rc rc = notify_webhook_get(&c, &id, r->arena, &x, e);
	return rc == RC_OK ? put_webhook(r, w, &x) : rc;
}

OP(op_webhooks_put)
{
	CALL(c);
	struct uuid id;
	struct notify_webhook_wish wish = {0};
	struct notify_webhook x;
	uint64_t if_version;
	bool must_be_new;
	if (!op_param_uuid(r, w, &id) || !op_condition(r, w, &if_version, &must_be_new) ||
	    !read_wish(r, w, true, &wish))
		return RC_OK;
	enum rc rc = notify_webhook_update(&c, &id, if_version, &wish, r->arena, &x, e);
	return rc == RC_OK ? put_webhook(r, w, &x) : rc;
}

OP(op_webhooks_delete)
{
	CALL(c);
	struct uuid id;
	uint64_t if_version;
	bool must_be_new;
	if (!op_param_uuid(r, w, &id) || !op_condition(r, w, &if_version, &must_be_new))
		return RC_OK;
	enum rc rc = notify_webhook_delete(&c, &id, if_version, r->arena, e);
	if (rc == RC_OK)
		w->status = 204;
	return rc;
}

OP(op_webhooks_rotate)
{
	CALL(c);
	struct uuid id;
	uint32_t overlap;
	const char *secret;
	int64_t old_until_us;
	if (!op_param_uuid(r, w, &id) || !op_read_overlap(r, w, NOTIFY_OVERLAP_MAX, &overlap))
		return RC_OK;
	enum rc rc = notify_webhook_rotate(&c, &id, overlap, r->arena, &secret, &old_until_us, e);
	if (rc != RC_OK)
		return rc;
	struct json_out o = op_begin(w);
	json_out_str(&o, "secret", secret);
	json_out_time(&o, "old_until", old_until_us);
	return op_end(&o, w, 201);
}

/* --- attempts
 * -----------------------------------------------------------------------------------------------------
 */
static void
put_attempt_fields(struct json_out *o, const struct notify_attempt *t)
{
	json_out_uuid(o, "id", &t->id);
	json_out_str(o, "event", t->event);
	json_out_str(o, "type", t->type);
	json_out_int(o, "position", (int64_t)t->position);
	json_out_time(o, "at", t->at_us);
	json_out_int(o, "number", t->number);
	json_out_int(o, "status", t->status);
	json_out_str(o, "error", t->error);
	json_out_int(o, "duration_ms", t->duration_ms);
	json_out_str(o, "response", t->response);
	json_out_bool(o, "ok", t->ok);
}

OP(op_webhooks_test)
{
	CALL(c);
	struct uuid id;
	struct notify_attempt t;
	c.deadline_ms = clock_mono_ms() + TEST_MS;
	if (!op_param_uuid(r, w, &id))
		return RC_OK;
	enum rc rc = notify_webhook_test(&c, &id, r->arena, &t, e);
	if (rc != RC_OK)
		return rc;
	struct json_out o = op_begin(w);
	put_attempt_fields(&o, &t);
	return op_end(&o, w, 200);
}

OP(op_webhooks_attempts)
{
	CALL(c);
	struct uuid id;
	uint32_t limit;
	bool failed;
	struct notify_attempts page;
	const char *cursor = api_query(r, "cursor");
	if (!op_param_uuid(r, w, &id) || !op_limit(r, w, NOTIFY_LIST_MAX, &limit) || !op_bool(r, w, "failed", &failed))
		return RC_OK;
	enum rc rc = notify_webhook_attempts(&c, &id, limit, cursor != NULL ? cursor : "", failed, r->arena, &page, e);
	if (rc != RC_OK)
		return rc;
	struct json_out o = op_begin(w);
	json_out_open(&o, "attempts", '[');
	for (size_t i = 0; i < page.n; i++) {
		json_out_open(&o, NULL, '{');
		put_attempt_fields(&o, &page.v[i]);
		json_out_close(&o, '}');
	}
	json_out_close(&o, ']');
	op_put_cursor(&o, page.next_cursor);
	return op_end(&o, w, 200);
}

OP(op_webhooks_replay)
{
	CALL(c);
	static const char *const names[] = {"from", "until", "events", NULL};
	struct json_in in;
	struct uuid id;
	struct notify_replay q = {0};
	const char **events;
	uint64_t count;
	if (!op_param_uuid(r, w, &id))
		return RC_OK;
	struct json_at root = json_in_root(&in, r->arena, r->json);
	json_in_object(root, names);
	q.from = (uint64_t)json_in_int(root, "from", 0, OP_NUMBER_MAX);
	q.until = (uint64_t)json_in_int(root, "until", 0, OP_NUMBER_MAX);
	q.n_events = op_read_words(root, "events", NOTIFY_REPLAY_IDS_MAX, 64, &events);
	q.events = events;
	bool by_id = json_in_has(root, "events");
	if (by_id && q.n_events == 0)
		json_in_fail(root, "events", "must name at least one event");
	if (by_id == json_in_has(root, "from"))
		json_in_fail(root, by_id ? "from" : NULL,
			     by_id ? "cannot stand beside events" : "must have from, or events");
	if (by_id && json_in_has(root, "until"))
		json_in_fail(root, "until", "cannot stand beside events");
	if (!op_json_ok(&in, r, w))
		return RC_OK;
	enum rc rc = notify_webhook_replay(&c, &id, &q, r->arena, &count, e);
	if (rc != RC_OK)
		return rc;
	struct json_out o = op_begin(w);
	json_out_int(&o, "count", (int64_t)count);
	return op_end(&o, w, 202);
}
