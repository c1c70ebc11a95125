/* SPDX-License-Identifier: MIT
 *
 * Calls of delivery: encode, bus_call(), decode, copy into plain structs. Answers come from our own service, yet their
 * shape is checked: an id that is not 16 octets is RC_INTERNAL, not a crash.
 */
#include "client/delivery_client.h"

#include "proto/delivery.pb-c.h"
#include "subjects.h"

static void *
take(void *ctx, size_t n)
{
	return arena_alloc(ctx, n);
}

static void
keep(void *ctx, void *p)
{
}

static char *
text(const char *s)
{
	return (char *)(uintptr_t)(s != NULL ? s : "");
}

static ProtobufCBinaryData
id_out(const struct uuid *id)
{
	return (ProtobufCBinaryData){sizeof(id->b), (uint8_t *)(uintptr_t)id->b};
}

/* The reply decoded as type, in a. */
static enum rc
call(const struct delivery_call *c, const char *subject, const ProtobufCMessage *request,
     const ProtobufCMessageDescriptor *type, struct arena *a, ProtobufCMessage **reply_r, struct err *e)
{
	size_t n = protobuf_c_message_get_packed_size(request);
	uint8_t *packed = arena_alloc(a, n + 1);
	struct bytes reply;
	struct bus_request r = {
	    .subject = subject,
	    .tenant = c->tenant,
	    .traceparent = c->traceparent,
	    .actor_token = c->actor_token,
	    .payload = bytes_of(packed, protobuf_c_message_pack(request, packed)),
	    .deadline_ms = c->deadline_ms,
	    .idempotency_key = c->idempotency_key,
	};
	enum rc rc = bus_call(c->bus, &r, a, &reply, e);
	if (rc != RC_OK)
		return rc;
	ProtobufCAllocator allocator = {.alloc = take, .free = keep, .allocator_data = a};
	ProtobufCMessage *m = protobuf_c_message_unpack(type, &allocator, reply.n, reply.p);
	if (m == NULL)
		return err_set(e, RC_INTERNAL, "delivery: its answer does not decode");
	*reply_r = m;
	return RC_OK;
}

/* --- messages ---------------------------------------------------------------------------------------------- */
static struct delivery_recipient
recipient_in(const Sekisho__Delivery__Recipient *r)
{
	return (struct delivery_recipient){
	    .address = bytes_of(r->address.data, r->address.len),
	    .state = r->state,
	    .due_us = r->due_us,
	    .rule = r->rule,
	    .cause = r->cause,
	    .attempts = r->attempts,
	    .reply = r->reply,
	    .remote = r->remote,
	    .tls = r->tls,
	    .version = r->version,
	    .number = r->number,
	    .final_us = r->final_us,
	    .possible_duplicate = r->possible_duplicate,
	};
}

static enum rc
message_in(const Sekisho__Delivery__Message *m, struct arena *a, struct delivery_message *to, struct err *e)
{
	if (m == NULL || m->id.len != sizeof(to->id.b))
		return err_set(e, RC_INTERNAL, "delivery: a message without id");
	memcpy(to->id.b, m->id.data, sizeof(to->id.b));
	to->accepted_us = m->accepted_us;
	to->direction = m->direction;
	to->mail_from = bytes_of(m->mail_from.data, m->mail_from.len);
	to->size = m->size;
	to->subject = m->subject;
	to->trace_id = m->trace_id;
	to->verdict = m->verdict;
	to->n_recipients = m->n_recipients;
	to->recipients = arena_new_array(a, struct delivery_recipient, m->n_recipients);
	for (size_t i = 0; i < m->n_recipients; i++)
		to->recipients[i] = recipient_in(m->recipients[i]);
	return RC_OK;
}

static enum rc
messages_in(Sekisho__Delivery__Message *const *v, size_t n, const char *next, struct arena *a,
	    struct delivery_messages *out_r, struct err *e)
{
	struct delivery_messages out = {
	    .v = arena_new_array(a, struct delivery_message, n), .n = n, .next_cursor = next};
	for (size_t i = 0; i < n; i++) {
		enum rc rc = message_in(v[i], a, &out.v[i], e);
		if (rc != RC_OK)
			return rc;
	}
	*out_r = out;
	return RC_OK;
}

enum rc
delivery_list(const struct delivery_call *c, const struct delivery_list_query *q, struct arena *a,
	      struct delivery_messages *out_r, struct err *e)
{
	Sekisho__Delivery__ListRequest m = SEKISHO__DELIVERY__LIST_REQUEST__INIT;
	ProtobufCMessage *reply = NULL;
	m.limit = q->limit;
	m.cursor = text(q->cursor);
	m.state = text(q->state);
	m.sender = text(q->sender);
	m.recipient = text(q->recipient);
	m.direction = text(q->direction);
	enum rc rc = call(c, RPC_DELIVERY_LIST, &m.base, &sekisho__delivery__list_reply__descriptor, a, &reply, e);
	if (rc != RC_OK)
		return rc;
	const Sekisho__Delivery__ListReply *r = (const Sekisho__Delivery__ListReply *)reply;
	return messages_in(r->messages, r->n_messages, r->next_cursor, a, out_r, e);
}

enum rc
delivery_holds(const struct delivery_call *c, uint32_t limit, const char *cursor, struct arena *a,
	       struct delivery_messages *out_r, struct err *e)
{
	Sekisho__Delivery__HoldsRequest m = SEKISHO__DELIVERY__HOLDS_REQUEST__INIT;
	ProtobufCMessage *reply = NULL;
	m.limit = limit;
	m.cursor = text(cursor);
	enum rc rc = call(c, RPC_DELIVERY_HOLDS, &m.base, &sekisho__delivery__holds_reply__descriptor, a, &reply, e);
	if (rc != RC_OK)
		return rc;
	const Sekisho__Delivery__HoldsReply *r = (const Sekisho__Delivery__HoldsReply *)reply;
	return messages_in(r->messages, r->n_messages, r->next_cursor, a, out_r, e);
}

enum rc
delivery_show(const struct delivery_call *c, const struct uuid *id, struct arena *a, struct delivery_shown *out_r,
	      struct err *e)
{
	Sekisho__Delivery__ShowRequest m = SEKISHO__DELIVERY__SHOW_REQUEST__INIT;
	ProtobufCMessage *reply = NULL;
	m.id = id_out(id);
	enum rc rc = call(c, RPC_DELIVERY_SHOW, &m.base, &sekisho__delivery__show_reply__descriptor, a, &reply, e);
	if (rc != RC_OK)
		return rc;
	const Sekisho__Delivery__ShowReply *r = (const Sekisho__Delivery__ShowReply *)reply;
	struct delivery_shown out = {.decision = bytes_of(r->decision.data, r->decision.len),
				     .n_timeline = r->n_timeline};
	rc = message_in(r->message, a, &out.message, e);
	if (rc != RC_OK)
		return rc;
	out.timeline = arena_new_array(a, struct delivery_timeline_entry, r->n_timeline);
	for (size_t i = 0; i < r->n_timeline; i++) {
		const Sekisho__Delivery__TimelineEntry *t = r->timeline[i];
		out.timeline[i] = (struct delivery_timeline_entry){t->at_us,  t->action,   t->actor,  t->recipient,
								   t->detail, t->trace_id, t->outcome};
	}
	*out_r = out;
	return RC_OK;
}

/* --- acting ------------------------------------------------------------------------------------------------ */
static enum rc
act(const struct delivery_call *c, const char *subject, const struct delivery_act_request *q, struct arena *a,
    struct delivery_acted *out_r, struct err *e)
{
	Sekisho__Delivery__ActRequest m = SEKISHO__DELIVERY__ACT_REQUEST__INIT;
	ProtobufCMessage *reply = NULL;
	m.id = id_out(&q->id);
	m.n_numbers = q->n_numbers;
	m.numbers = (uint32_t *)(uintptr_t)q->numbers;
	m.reason = text(q->reason);
	enum rc rc = call(c, subject, &m.base, &sekisho__delivery__act_reply__descriptor, a, &reply, e);
	if (rc != RC_OK)
		return rc;
	const Sekisho__Delivery__ActReply *r = (const Sekisho__Delivery__ActReply *)reply;
	out_r->n = r->n_results;
	out_r->v = arena_new_array(a, struct delivery_act_result, r->n_results);
	for (size_t i = 0; i < r->n_results; i++)
		out_r->v[i] = (struct delivery_act_result){r->results[i]->number, r->results[i]->status,
							   r->results[i]->state, r->results[i]->decided_by};
	return RC_OK;
}

enum rc
delivery_release(const struct delivery_call *c, const struct delivery_act_request *r, struct arena *a,
		 struct delivery_acted *out_r, struct err *e)
{
	return act(c, RPC_DELIVERY_RELEASE, r, a, out_r, e);
}

enum rc
delivery_discard(const struct delivery_call *c, const struct delivery_act_request *r, struct arena *a,
		 struct delivery_acted *out_r, struct err *e)
{
	return act(c, RPC_DELIVERY_DISCARD, r, a, out_r, e);
}

/* --- queue, keys, routes ----------------------------------------------------------------------------------- */
enum rc
delivery_queue(const struct delivery_call *c, struct arena *a, struct delivery_queue_view *out_r, struct err *e)
{
	Sekisho__Delivery__QueueRequest m = SEKISHO__DELIVERY__QUEUE_REQUEST__INIT;
	ProtobufCMessage *reply = NULL;
	enum rc rc = call(c, RPC_DELIVERY_QUEUE, &m.base, &sekisho__delivery__queue_reply__descriptor, a, &reply, e);
	if (rc != RC_OK)
		return rc;
	const Sekisho__Delivery__QueueReply *r = (const Sekisho__Delivery__QueueReply *)reply;
	out_r->n = r->n_lines;
	out_r->v = arena_new_array(a, struct delivery_queue_line, r->n_lines);
	for (size_t i = 0; i < r->n_lines; i++)
		out_r->v[i] =
		    (struct delivery_queue_line){r->lines[i]->destination, r->lines[i]->state, r->lines[i]->depth,
						 r->lines[i]->oldest_us, r->lines[i]->next_us};
	return RC_OK;
}

enum rc
delivery_dkim(const struct delivery_call *c, const char *domain, struct arena *a, struct delivery_dns_records *out_r,
	      struct err *e)
{
	Sekisho__Delivery__DkimRequest m = SEKISHO__DELIVERY__DKIM_REQUEST__INIT;
	ProtobufCMessage *reply = NULL;
	m.domain = text(domain);
	enum rc rc = call(c, RPC_DELIVERY_DKIM, &m.base, &sekisho__delivery__dkim_reply__descriptor, a, &reply, e);
	if (rc != RC_OK)
		return rc;
	const Sekisho__Delivery__DkimReply *r = (const Sekisho__Delivery__DkimReply *)reply;
	out_r->n = r->n_records;
	out_r->v = arena_new_array(a, struct delivery_dns_record, r->n_records);
	for (size_t i = 0; i < r->n_records; i++)
		out_r->v[i] =
		    (struct delivery_dns_record){r->records[i]->name, r->records[i]->type, r->records[i]->value,
						 r->records[i]->selector, r->records[i]->algorithm};
	return RC_OK;
}

static void
route_in(const Sekisho__Delivery__RouteReply *r, struct delivery_route *out_r)
{
	*out_r = (struct delivery_route){
	    .direction = r->direction,
	    .smarthost = r->smarthost,
	    .username = r->username,
	    .tls = r->tls,
	    .version = r->version,
	};
}

enum rc
delivery_route_get(const struct delivery_call *c, const char *direction, struct arena *a, struct delivery_route *out_r,
		   struct err *e)
{
	Sekisho__Delivery__RouteGetRequest m = SEKISHO__DELIVERY__ROUTE_GET_REQUEST__INIT;
	ProtobufCMessage *reply = NULL;
	m.direction = text(direction);
	enum rc rc =
	    call(c, RPC_DELIVERY_ROUTE_GET, &m.base, &sekisho__delivery__route_reply__descriptor, a, &reply, e);
	if (rc == RC_OK)
		route_in((const Sekisho__Delivery__RouteReply *)reply, out_r);
	return rc;
}

enum rc
delivery_route_set(const struct delivery_call *c, const struct delivery_route *set, uint64_t if_version,
		   struct arena *a, struct delivery_route *out_r, struct err *e)
{
	Sekisho__Delivery__RouteRequest m = SEKISHO__DELIVERY__ROUTE_REQUEST__INIT;
	ProtobufCMessage *reply = NULL;
	m.direction = text(set->direction);
	m.if_version = if_version;
	m.smarthost = text(set->smarthost);
	m.username = text(set->username);
	m.password = text(set->password);
	m.tls = text(set->tls);
	enum rc rc = call(c, RPC_DELIVERY_ROUTE, &m.base, &sekisho__delivery__route_reply__descriptor, a, &reply, e);
	if (rc == RC_OK)
		route_in((const Sekisho__Delivery__RouteReply *)reply, out_r);
	return rc;
}

static void
settings_in(const ProtobufCMessage *reply, struct delivery_settings *out_r)
{
	const Sekisho__Delivery__SettingsReply *r = (const Sekisho__Delivery__SettingsReply *)reply;
	*out_r = (struct delivery_settings){.uncertain = r->uncertain, .version = r->version};
}

enum rc
delivery_settings_get(const struct delivery_call *c, struct arena *a, struct delivery_settings *out_r, struct err *e)
{
	Sekisho__Delivery__SettingsGetRequest m = SEKISHO__DELIVERY__SETTINGS_GET_REQUEST__INIT;
	ProtobufCMessage *reply = NULL;
	enum rc rc =
	    call(c, RPC_DELIVERY_SETTINGS_GET, &m.base, &sekisho__delivery__settings_reply__descriptor, a, &reply, e);
	if (rc == RC_OK)
		settings_in(reply, out_r);
	return rc;
}

enum rc
delivery_settings_put(const struct delivery_call *c, const char *uncertain, uint64_t if_version, struct arena *a,
		      struct delivery_settings *out_r, struct err *e)
{
	Sekisho__Delivery__SettingsPutRequest m = SEKISHO__DELIVERY__SETTINGS_PUT_REQUEST__INIT;
	ProtobufCMessage *reply = NULL;
	m.if_version = if_version;
	m.uncertain = text(uncertain);
	enum rc rc =
	    call(c, RPC_DELIVERY_SETTINGS_PUT, &m.base, &sekisho__delivery__settings_reply__descriptor, a, &reply, e);
	if (rc == RC_OK)
		settings_in(reply, out_r);
	return rc;
}

enum rc
delivery_search(const struct delivery_call *c, const struct delivery_search_query *q, struct arena *a,
		struct delivery_found *out_r, struct err *e)
{
	Sekisho__Delivery__SearchRequest m = SEKISHO__DELIVERY__SEARCH_REQUEST__INIT;
	ProtobufCMessage *reply = NULL;
	m.query = text(q->query);
	m.limit = q->limit;
	m.cursor = text(q->cursor);
	m.from_us = q->from_us;
	m.until_us = q->until_us;
	m.direction = text(q->direction);
	enum rc rc = call(c, RPC_DELIVERY_SEARCH, &m.base, &sekisho__delivery__search_reply__descriptor, a, &reply, e);
	if (rc != RC_OK)
		return rc;
	const Sekisho__Delivery__SearchReply *r = (const Sekisho__Delivery__SearchReply *)reply;
	out_r->indexed_until_us = r->indexed_until_us;
	return messages_in(r->messages, r->n_messages, r->next_cursor, a, &out_r->messages, e);
}

/* --- sandbox ----------------------------------------------------------------------------------------------- */
static enum rc
sandbox_in(const Sekisho__Delivery__SandboxMail *m, struct arena *a, struct delivery_sandbox_mail *to, struct err *e)
{
	if (m == NULL || m->id.len != sizeof(to->id.b) || m->message.len != sizeof(to->message.b))
		return err_set(e, RC_INTERNAL, "delivery: a mail of the sandbox without id");
	memcpy(to->id.b, m->id.data, sizeof(to->id.b));
	memcpy(to->message.b, m->message.data, sizeof(to->message.b));
	to->at_us = m->at_us;
	to->mail_from = bytes_of(m->mail_from.data, m->mail_from.len);
	to->n_recipients = m->n_recipients;
	to->recipients = arena_new_array(a, struct bytes, m->n_recipients);
	for (size_t i = 0; i < m->n_recipients; i++)
		to->recipients[i] = bytes_of(m->recipients[i].data, m->recipients[i].len);
	to->size = m->size;
	to->subject = m->subject;
	return RC_OK;
}

enum rc
delivery_sandbox_list(const struct delivery_call *c, uint32_t limit, const char *cursor, const char *recipient,
		      struct arena *a, struct delivery_sandbox_mails *out_r, struct err *e)
{
	Sekisho__Delivery__SandboxListRequest m = SEKISHO__DELIVERY__SANDBOX_LIST_REQUEST__INIT;
	ProtobufCMessage *reply = NULL;
	m.limit = limit;
	m.cursor = text(cursor);
	m.recipient = text(recipient);
	enum rc rc = call(c, RPC_DELIVERY_SANDBOX_LIST, &m.base, &sekisho__delivery__sandbox_list_reply__descriptor, a,
			  &reply, e);
	if (rc != RC_OK)
		return rc;
	const Sekisho__Delivery__SandboxListReply *r = (const Sekisho__Delivery__SandboxListReply *)reply;
	struct delivery_sandbox_mails out = {.v = arena_new_array(a, struct delivery_sandbox_mail, r->n_mails),
					     .n = r->n_mails,
					     .next_cursor = r->next_cursor};
	for (size_t i = 0; rc == RC_OK && i < r->n_mails; i++)
		rc = sandbox_in(r->mails[i], a, &out.v[i], e);
	if (rc == RC_OK)
		*out_r = out;
	return rc;
}

enum rc
delivery_sandbox_get(const struct delivery_call *c, const struct uuid *id, struct arena *a,
		     struct delivery_sandbox_mail *out_r, struct bytes *content_r, struct err *e)
{
	Sekisho__Delivery__SandboxGetRequest m = SEKISHO__DELIVERY__SANDBOX_GET_REQUEST__INIT;
	ProtobufCMessage *reply = NULL;
	m.id = id_out(id);
	enum rc rc =
	    call(c, RPC_DELIVERY_SANDBOX_GET, &m.base, &sekisho__delivery__sandbox_get_reply__descriptor, a, &reply, e);
	if (rc != RC_OK)
		return rc;
	const Sekisho__Delivery__SandboxGetReply *r = (const Sekisho__Delivery__SandboxGetReply *)reply;
	rc = sandbox_in(r->mail, a, out_r, e);
	if (rc == RC_OK)
		*content_r = bytes_of(r->content.data, r->content.len);
	return rc;
}

/* --- mail born inside --------------------------------------------------------------------------------------- */
enum rc
delivery_notice(const struct delivery_call *c, const struct delivery_notice *n, struct uuid *message_r, struct err *e)
{
	Sekisho__Delivery__NoticeRequest m = SEKISHO__DELIVERY__NOTICE_REQUEST__INIT;
	ProtobufCMessage *reply = NULL;
	struct arena *a = arena_new();
	m.key = text(n->key);
	m.to = text(n->to);
	m.subject = text(n->subject);
	m.text = text(n->text);
	m.cause = text(n->cause);
	m.attachment_name = text(n->attachment_name);
	m.attachment = (ProtobufCBinaryData){n->attachment.n, (uint8_t *)(uintptr_t)n->attachment.p};
	enum rc rc = call(c, RPC_DELIVERY_NOTICE, &m.base, &sekisho__delivery__notice_reply__descriptor, a, &reply, e);
	if (rc == RC_OK) {
		const Sekisho__Delivery__NoticeReply *r = (const Sekisho__Delivery__NoticeReply *)reply;
		if (r->message.len == sizeof(message_r->b))
			memcpy(message_r->b, r->message.data, sizeof(message_r->b));
		else
			rc = err_set(e, RC_INTERNAL, "delivery: a notice without id");
	}
	arena_free(&a);
	return rc;
}
