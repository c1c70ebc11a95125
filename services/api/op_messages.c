/* SPDX-License-Identifier: MIT
 *
 * Messages, holds, search, release and discard: JSON for what `delivery` answers. To the world a leg is a recipient
 * with a number.
 */
#include <string.h>

#include "client/delivery_client.h"
#include "json_in.h"
#include "ops.h"

#define CALL(c)                                                                                                        \
	struct delivery_call c = OP_CALL(api, r, "delivery");                                                          \
	c.tenant = &r->holder.tenant;                                                                                  \
	c.idempotency_key = r->idempotency_key

static const char *const states[] = {"held",	"queued",    "sending", "deferred",  "delivered",   "bounced",
				     "refused", "discarded", "expired", "uncertain", "quarantined", NULL};
static const char *const directions[] = {"outgoing", "incoming", "system", NULL};

static void
put_recipient(struct json_out *o, const struct delivery_recipient *x)
{
	json_out_open(o, NULL, '{');
	json_out_int(o, "number", x->number);
	json_out_bytes(o, "address", x->address);
	json_out_str(o, "state", x->state);
	json_out_time(o, "due_at", x->due_us);
	json_out_str(o, "rule", x->rule);
	json_out_str(o, "cause", x->cause);
	json_out_int(o, "attempts", x->attempts);
	json_out_str(o, "reply", x->reply);
	json_out_str(o, "remote", x->remote);
	json_out_str(o, "tls", x->tls);
	json_out_time(o, "final_at", x->final_us);
	json_out_bool(o, "possible_duplicate", x->possible_duplicate);
	json_out_int(o, "version", (int64_t)x->version);
	json_out_close(o, '}');
}

static void
put_message_fields(struct json_out *o, const struct delivery_message *m)
{
	json_out_uuid(o, "id", &m->id);
	json_out_time(o, "accepted_at", m->accepted_us);
	json_out_str(o, "direction", m->direction);
	json_out_bytes(o, "sender", m->mail_from);
	json_out_int(o, "size", (int64_t)m->size);
	json_out_str(o, "verdict", m->verdict);
	json_out_str(o, "trace_id", m->trace_id);
	json_out_open(o, "recipients", '[');
	for (size_t i = 0; i < m->n_recipients; i++)
		put_recipient(o, &m->recipients[i]);
	json_out_close(o, ']');
}

static enum rc
put_messages(struct api_response *w, const struct delivery_messages *page)
{
	struct json_out o = op_begin(w);
	json_out_open(&o, "messages", '[');
	for (size_t i = 0; i < page->n; i++) {
		json_out_open(&o, NULL, '{');
		put_message_fields(&o, &page->v[i]);
		json_out_close(&o, '}');
	}
	json_out_close(&o, ']');
	op_put_cursor(&o, page->next_cursor);
	return op_end(&o, w, 200);
}

OP(op_messages_list)
{
	CALL(c);
	struct delivery_list_query q = {
	    .cursor = api_query(r, "cursor"),
	    .state = api_query(r, "state"),
	    .sender = api_query(r, "sender"),
	    .recipient = api_query(r, "recipient"),
	    .direction = api_query(r, "direction"),
	};
	if (!op_limit(r, w, DELIVERY_LIST_MAX, &q.limit) || !op_word(r, w, "state", states) ||
	    !op_word(r, w, "direction", directions))
		return RC_OK;
	struct delivery_messages page;
	enum rc rc = delivery_list(&c, &q, r->arena, &page, e);
	return rc == RC_OK ? put_messages(w, &page) : rc;
}

OP(op_holds_list)
{
	CALL(c);
	uint32_t limit;
	if (!op_limit(r, w, DELIVERY_LIST_MAX, &limit))
		return RC_OK;
	struct delivery_messages page;
	enum rc rc = delivery_holds(&c, limit, api_query(r, "cursor"), r->arena, &page, e);
	return rc == RC_OK ? put_messages(w, &page) : rc;
}

OP(op_messages_search)
{
	CALL(c);
	struct delivery_search_query q = {
	    .query = api_query(r, "q"), .cursor = api_query(r, "cursor"), .direction = api_query(r, "direction")};
	struct delivery_found found;
	if (!op_limit(r, w, DELIVERY_LIST_MAX, &q.limit) || !op_time(r, w, "from", &q.from_us) ||
	    !op_time(r, w, "until", &q.until_us) || !op_word(r, w, "direction", directions) ||
	    !op_text(r, w, "q", 1000))
		return RC_OK;
	if (q.query == NULL || q.query[0] == '\0') {
		problem_set(r, w, "invalid_parameter", "?q", "q must name at least one word");
		return RC_OK;
	}
	enum rc rc = delivery_search(&c, &q, r->arena, &found, e);
	if (rc != RC_OK)
		return rc;
	struct json_out o = op_begin(w);
	json_out_open(&o, "messages", '[');
	for (size_t i = 0; i < found.messages.n; i++) {
		json_out_open(&o, NULL, '{');
		put_message_fields(&o, &found.messages.v[i]);
		json_out_str(&o, "subject", found.messages.v[i].subject);
		json_out_close(&o, '}');
	}
	json_out_close(&o, ']');
	op_put_cursor(&o, found.messages.next_cursor);
	json_out_time(&o, "indexed_until", found.indexed_until_us);
	return op_end(&o, w, 200);
}

static void
put_timeline(struct json_out *o, const struct delivery_shown *s)
{
	json_out_open(o, "timeline", '[');
	for (size_t i = 0; i < s->n_timeline; i++) {
		const struct delivery_timeline_entry *t = &s->timeline[i];
		json_out_open(o, NULL, '{');
		json_out_time(o, "at", t->at_us);
		json_out_str(o, "action", t->action);
		json_out_str(o, "actor", t->actor);
		if (t->recipient >= 0)
			json_out_int(o, "recipient", t->recipient);
		else
			json_out_null(o, "recipient");
		json_out_raw(o, "detail", bytes_str(t->detail));
		json_out_str(o, "trace_id", t->trace_id);
		json_out_str(o, "outcome", t->outcome);
		json_out_close(o, '}');
	}
	json_out_close(o, ']');
}

OP(op_messages_show)
{
	CALL(c);
	struct uuid id;
	if (!op_param_uuid(r, w, &id))
		return RC_OK;
	struct delivery_shown shown;
	enum rc rc = delivery_show(&c, &id, r->arena, &shown, e);
	if (rc != RC_OK)
		return rc;
	struct json_out o = op_begin(w);
	put_message_fields(&o, &shown.message);
	json_out_str(&o, "subject", shown.message.subject);
	json_out_raw(&o, "decision", shown.decision);
	put_timeline(&o, &shown);
	return op_end(&o, w, 200);
}

/* {"recipients": [numbers], "reason": "..."}; nothing at all: every recipient that can be acted on. */
static bool
read_act(struct api_request *r, struct api_response *w, struct delivery_act_request *q)
{
	static const char *const names[] = {"recipients", "reason", NULL};
	if (!op_param_uuid(r, w, &q->id))
		return false;
	if (r->json == NULL)
		return true;
	struct json_in in;
	struct json_at root = json_in_root(&in, r->arena, r->json), list;
	json_in_object(root, names);
	q->reason = (const char *)json_in_string(root, "reason", false, DELIVERY_REASON_MAX).p;
	q->n_numbers = json_in_array(root, "recipients", DELIVERY_ACT_MAX, &list);
	/* An empty list must not come to mean everybody. */
	if (list.value != NULL && q->n_numbers == 0)
		json_in_fail(root, "recipients", "must name at least one recipient, or be left out for all");
	uint32_t *numbers = arena_new_array(r->arena, uint32_t, q->n_numbers + 1);
	for (size_t i = 0; i < q->n_numbers; i++) {
		struct json_at at = json_in_element(list, i);
		json_int_t v = json_integer_value(at.value);
		if (!json_is_integer(at.value) || v < 0 || v > INT32_MAX)
			json_in_fail(at, NULL, "must be the number of a recipient");
		numbers[i] = (uint32_t)v;
	}
	q->numbers = numbers;
	return op_json_ok(&in, r, w);
}

static void
put_results(struct json_out *o, const struct delivery_acted *acted)
{
	json_out_open(o, "results", '[');
	for (size_t i = 0; i < acted->n; i++) {
		const struct delivery_act_result *x = &acted->v[i];
		json_out_open(o, NULL, '{');
		json_out_int(o, "recipient", x->number);
		json_out_str(o, "status", x->status);
		json_out_str(o, "state", x->state);
		json_out_str(o, "decided_by", x->decided_by);
		json_out_close(o, '}');
	}
	json_out_close(o, ']');
}

/* Nothing was done: tell who was first. */
static enum rc
put_act_refused(const struct api_request *r, struct api_response *w, const struct delivery_acted *acted)
{
	const struct delivery_act_result *first = NULL;
	for (size_t i = 0; i < acted->n && first == NULL; i++)
		if (strcmp(acted->v[i].status, "conflict") == 0)
			first = &acted->v[i];
	if (first == NULL && acted->n > 0) {
		problem_set(r, w, "no_such_recipient", NULL, "the message has no recipient with this number");
		return RC_OK;
	}
	if (first == NULL) {
		problem_set(r, w, "nothing_to_do", NULL, "no recipient of this message can be acted on any more");
		return RC_OK;
	}
	const char *detail = first->decided_by[0] != '\0'
				 ? arena_printf(r->arena, "recipient %u is %s already: decided by %s", first->number,
						first->state, first->decided_by)
				 : arena_printf(r->arena, "recipient %u is %s already", first->number, first->state);
	problem_open(r, w, "already_decided", detail);
	struct json_out o = {.b = &w->body, .comma = true};
	put_results(&o, acted);
	json_out_close(&o, '}');
	buf_add_str(&w->body, "\n");
	return RC_OK;
}

typedef enum rc (*act_fn)(const struct delivery_call *c, const struct delivery_act_request *q, struct arena *a,
			  struct delivery_acted *out_r, struct err *e);

static enum rc
act(act_fn fn, const struct api *api, struct api_request *r, struct api_response *w, struct err *e)
{
	CALL(c);
	struct delivery_act_request q = {.reason = ""};
	if (!read_act(r, w, &q))
		return RC_OK;
	struct delivery_acted acted = {0};
	enum rc rc = fn(&c, &q, r->arena, &acted, e);
	if (rc != RC_OK)
		return rc;
	for (size_t i = 0; i < acted.n; i++) {
		if (strcmp(acted.v[i].status, "ok") != 0)
			continue;
		struct json_out o = op_begin(w);
		put_results(&o, &acted);
		return op_end(&o, w, 200);
	}
	return put_act_refused(r, w, &acted);
}

OP(op_messages_release)
{
	return act(delivery_release, api, r, w, e);
}

OP(op_messages_discard)
{
	return act(delivery_discard, api, r, w, e);
}
