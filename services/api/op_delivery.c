/* SPDX-License-Identifier: MIT
 *
 * The queue, signing keys, routes, settings, and the sink of a sandbox tenant.
 */
#include <string.h>

#include "client/delivery_client.h"
#include "json_in.h"
#include "ops.h"

#define CALL(c)                                                                                                        \
	struct delivery_call c = OP_CALL(api, r, "delivery");                                                          \
	c.tenant = &r->holder.tenant;                                                                                  \
	c.idempotency_key = r->idempotency_key

OP(op_queue_get)
{
	CALL(c);
	struct delivery_queue_view view;
	enum rc rc = delivery_queue(&c, r->arena, &view, e);
	if (rc != RC_OK)
		return rc;
	struct json_out o = op_begin(w);
	json_out_open(&o, "queue", '[');
	for (size_t i = 0; i < view.n; i++) {
		json_out_open(&o, NULL, '{');
		json_out_str(&o, "destination", view.v[i].destination);
		json_out_str(&o, "state", view.v[i].state);
		json_out_int(&o, "depth", (int64_t)view.v[i].depth);
		json_out_time(&o, "oldest_at", view.v[i].oldest_us);
		json_out_time(&o, "next_at", view.v[i].next_us);
		json_out_close(&o, '}');
	}
	json_out_close(&o, ']');
	return op_end(&o, w, 200);
}

OP(op_domains_dkim)
{
	CALL(c);
	struct delivery_dns_records records;
	enum rc rc = delivery_dkim(&c, r->param, r->arena, &records, e);
	if (rc != RC_OK)
		return rc;
	struct json_out o = op_begin(w);
	json_out_str(&o, "name", r->param);
	op_put_records(&o, &records);
	return op_end(&o, w, 200);
}

void
op_put_records(struct json_out *o, const struct delivery_dns_records *records)
{
	json_out_open(o, "records", '[');
	for (size_t i = 0; i < records->n; i++) {
		const struct delivery_dns_record *x = &records->v[i];
		json_out_open(o, NULL, '{');
		json_out_str(o, "name", x->name);
		json_out_str(o, "type", x->type);
		json_out_str(o, "value", x->value);
		json_out_str(o, "selector", x->selector);
		json_out_str(o, "algorithm", x->algorithm);
		json_out_close(o, '}');
	}
	json_out_close(o, ']');
}

static bool
direction_ok(const struct api_request *r, struct api_response *w)
{
	if (strcmp(r->param, "outbound") == 0 || strcmp(r->param, "inbound") == 0)
		return true;
	problem_set(r, w, "not_found", NULL, "there are two routes: outbound and inbound");
	return false;
}

static enum rc
put_route(const struct api_request *r, struct api_response *w, const struct delivery_route *route)
{
	struct json_out o = op_begin(w);
	json_out_str(&o, "direction", route->direction);
	json_out_str(&o, "smarthost", route->smarthost);
	json_out_str(&o, "username", route->username);
	json_out_str(&o, "tls", route->tls);
	json_out_int(&o, "version", (int64_t)route->version);
	enum rc rc = op_end(&o, w, 200);
	op_version(r, w, route->version, false);
	return rc;
}

OP(op_routes_get)
{
	CALL(c);
	if (!direction_ok(r, w))
		return RC_OK;
	struct delivery_route now;
	enum rc rc = delivery_route_get(&c, r->param, r->arena, &now, e);
	return rc == RC_OK ? put_route(r, w, &now) : rc;
}

OP(op_routes_put)
{
	CALL(c);
	static const char *const names[] = {"direction", "smarthost", "username", "password", "tls", NULL};
	uint64_t if_version;
	bool must_be_new;
	if (!direction_ok(r, w) || !op_condition(r, w, &if_version, &must_be_new))
		return RC_OK;
	struct json_in in;
	struct json_at root = json_in_root(&in, r->arena, r->json);
	json_in_object(root, names);
	struct bytes direction = json_in_string(root, "direction", false, 16);
	if (direction.n > 0 && !bytes_eq(direction, bytes_str(r->param)))
		json_in_fail(root, "direction", "is not the one of the path");
	struct delivery_route set = {
	    .direction = r->param,
	    .smarthost = (const char *)json_in_string(root, "smarthost", true, 320).p,
	    .username = (const char *)json_in_string(root, "username", false, 256).p,
	    .password = (const char *)json_in_string(root, "password", false, 1024).p,
	    .tls = (const char *)json_in_string(root, "tls", true, 16).p,
	};
	if (strcmp(set.tls, "may") != 0 && strcmp(set.tls, "encrypt") != 0 && strcmp(set.tls, "verify") != 0)
		json_in_fail(root, "tls", "must be may, encrypt or verify");
	if (!op_json_ok(&in, r, w))
		return RC_OK;
	struct delivery_route now;
	enum rc rc = delivery_route_set(&c, &set, if_version, r->arena, &now, e);
	return rc == RC_OK ? put_route(r, w, &now) : rc;
}

/* --- settings
 * ---------------------------------------------------------------------------------------------------
 */
static enum rc
put_settings(const struct api_request *r, struct api_response *w, const struct delivery_settings *s)
{
	struct json_out o = op_begin(w);
	json_out_str(&o, "uncertain", s->uncertain);
	json_out_int(&o, "version", (int64_t)s->version);
	enum rc rc = op_end(&o, w, 200);
	op_version(r, w, s->version, false);
	return rc;
}

OP(op_settings_get)
{
	CALL(c);
	struct delivery_settings s;
	enum rc rc = delivery_settings_get(&c, r->arena, &s, e);
	return rc == RC_OK ? put_settings(r, w, &s) : rc;
}

OP(op_settings_put)
{
	CALL(c);
	static const char *const names[] = {"uncertain", NULL};
	struct json_in in;
	uint64_t if_version;
	bool must_be_new;
	if (!op_condition(r, w, &if_version, &must_be_new))
		return RC_OK;
	struct json_at root = json_in_root(&in, r->arena, r->json);
	json_in_object(root, names);
	const char *uncertain = (const char *)json_in_string(root, "uncertain", true, 16).p;
	if (strcmp(uncertain, "retry") != 0 && strcmp(uncertain, "ask") != 0)
		json_in_fail(root, "uncertain", "must be retry or ask");
	if (!op_json_ok(&in, r, w))
		return RC_OK;
	struct delivery_settings now;
	enum rc rc = delivery_settings_put(&c, uncertain, if_version, r->arena, &now, e);
	return rc == RC_OK ? put_settings(r, w, &now) : rc;
}

/* --- sandbox
 * ----------------------------------------------------------------------------------------------------
 */
static void
put_sandbox_fields(struct json_out *o, const struct delivery_sandbox_mail *m)
{
	json_out_uuid(o, "id", &m->id);
	json_out_uuid(o, "message", &m->message);
	json_out_time(o, "at", m->at_us);
	json_out_bytes(o, "sender", m->mail_from);
	json_out_open(o, "recipients", '[');
	for (size_t i = 0; i < m->n_recipients; i++)
		json_out_bytes(o, NULL, m->recipients[i]);
	json_out_close(o, ']');
	json_out_int(o, "size", (int64_t)m->size);
	json_out_str(o, "subject", m->subject);
}

OP(op_sandbox_list)
{
	CALL(c);
	uint32_t limit;
	struct delivery_sandbox_mails page;
	if (!op_limit(r, w, DELIVERY_LIST_MAX, &limit))
		return RC_OK;
	enum rc rc =
	    delivery_sandbox_list(&c, limit, api_query(r, "cursor"), api_query(r, "recipient"), r->arena, &page, e);
	if (rc != RC_OK)
		return rc;
	struct json_out o = op_begin(w);
	json_out_open(&o, "mails", '[');
	for (size_t i = 0; i < page.n; i++) {
		json_out_open(&o, NULL, '{');
		put_sandbox_fields(&o, &page.v[i]);
		json_out_close(&o, '}');
	}
	json_out_close(&o, ']');
	op_put_cursor(&o, page.next_cursor);
	return op_end(&o, w, 200);
}

OP(op_sandbox_get)
{
	CALL(c);
	struct uuid id;
	struct delivery_sandbox_mail m;
	struct bytes content;
	if (!op_param_uuid(r, w, &id))
		return RC_OK;
	enum rc rc = delivery_sandbox_get(&c, &id, r->arena, &m, &content, e);
	if (rc != RC_OK)
		return rc;
	struct json_out o = op_begin(w);
	put_sandbox_fields(&o, &m);
	return op_end(&o, w, 200);
}

OP(op_sandbox_content)
{
	CALL(c);
	struct uuid id;
	struct delivery_sandbox_mail m;
	struct bytes content;
	if (!op_param_uuid(r, w, &id))
		return RC_OK;
	enum rc rc = delivery_sandbox_get(&c, &id, r->arena, &m, &content, e);
	if (rc != RC_OK)
		return rc;
	buf_reset(&w->body);
	buf_add_bytes(&w->body, content);
	w->status = 200;
	w->content_type = "message/rfc822";
	return RC_OK;
}
