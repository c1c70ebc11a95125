/* SPDX-License-Identifier: MIT
 *
 * What a tenant chose, as its administrators set it: routes, and what follows when an answer stays unknown. An answer
 * to a change says what is in force behind it; nothing here is cached, so the next mail goes by it.
 */
#include "handlers.h"

#include "codec.h"
#include "core/clock.h"
#include "delivery.h"
#include "reach.h"
#include "route.h"
#include "svc/once.h"

#define SECRET_MAX 1000

static const char BAD[] = "request does not decode, or is of no tenant";

/* Who it was by name too: the actor is an id, and people read the detail. */
static struct bytes
with_name(const struct svc_request *r, const char *detail)
{
	struct buf b;
	buf_init(&b, 0);
	buf_add_str(&b, "{\"name\":");
	buf_add_json(&b, bytes_str(r->actor->name));
	buf_add_str(&b, ",");
	buf_add_str(&b, detail + 1);
	struct bytes out = arena_bytes(r->in->arena, buf_bytes(&b));
	buf_done(&b);
	return out;
}

enum rc
handlers_record(struct db_tx *tx, const struct svc_request *r, const char *action, const char *detail, struct err *e)
{
	struct audit_intent i = {
	    .action = action,
	    .outcome = "ok",
	    .actor = bytes_str(svc_actor_text(r->actor, r->in->arena)),
	    .source = bytes_str(r->actor->from),
	    .subject = r->in->tenant,
	    .number = -1,
	    .at_us = clock_wall_us(),
	    .detail = with_name(r, detail),
	    .traceparent = r->in->traceparent,
	};
	return db_intent(tx, &i, e);
}

static bool
is_direction(const char *s)
{
	return strcmp(s, "outbound") == 0 || strcmp(s, "inbound") == 0;
}

static enum rc
reply_route(const struct svc_request *r, const char *direction, const struct store_route *row, struct buf *reply,
	    struct err *e)
{
	struct arena *a = r->in->arena;
	Sekisho__Delivery__RouteReply m = SEKISHO__DELIVERY__ROUTE_REPLY__INIT;
	m.direction = (char *)(uintptr_t)direction;
	m.smarthost = codec_text(a, row->smarthost);
	m.username = codec_text(a, row->username);
	m.tls = (char *)(uintptr_t)row->tls;
	m.version = (uint64_t)row->version;
	return codec_pack(&m.base, reply, e);
}

enum rc
handle_route_get(const struct svc_request *r, struct buf *reply, struct err *e)
{
	const Sekisho__Delivery__RouteGetRequest *q = CODEC_UNPACK(route_get_request, r);
	struct store_route row = {.tls = delivery_config.tls};
	struct db_tx *tx = NULL;
	bool found = false;
	if (q == NULL || !r->in->has_tenant)
		return err_set(e, q == NULL ? RC_INVALID : RC_DENIED, "%s", BAD);
	if (!is_direction(q->direction))
		return err_set(e, RC_INVALID, "direction: outbound or inbound");
	svc_record_detail(r, bytes_str(arena_printf(r->in->arena, "{\"direction\":\"%s\"}", q->direction)));
	enum rc rc = db_begin(r->svc->db, &r->in->tenant, r->in->deadline_ms, &tx, e);
	if (rc == RC_OK)
		rc = store_route(tx, &r->in->tenant, q->direction, r->in->arena, &row, &found, e);
	db_end(&tx);
	return rc == RC_OK ? reply_route(r, q->direction, &row, reply, e) : rc;
}

static enum rc
check_route(const Sekisho__Delivery__RouteRequest *q, struct err *e)
{
	char host[ROUTE_HOST_SIZE];
	enum route_tls tls;
	int port;
	if (!is_direction(q->direction))
		return err_set(e, RC_INVALID, "direction: outbound or inbound");
	if (q->smarthost[0] != '\0' && !route_host_port(q->smarthost, host, &port))
		return err_set(e, RC_INVALID, "smarthost: not host:port");
	if (q->smarthost[0] != '\0' && !delivery_config.allow_private && !reach_mail_port(port))
		return err_set(e, RC_INVALID, "smarthost: the port must be 25, 465, 587 or 2525");
	if (!route_tls_parse(q->tls, &tls))
		return err_set(e, RC_INVALID, "tls: may, encrypt or verify");
	if (strlen(q->username) > 255 || strlen(q->password) > SECRET_MAX)
		return err_set(e, RC_INVALID, "username or password is too long");
	if (q->username[0] != '\0' && tls == ROUTE_TLS_MAY)
		return err_set(e, RC_INVALID, "a username needs tls encrypt or verify");
	if (q->username[0] != '\0' && (q->smarthost[0] == '\0' || q->password[0] == '\0'))
		return err_set(e, RC_INVALID, "a username needs a smarthost and a password");
	return RC_OK;
}

static enum rc
set_route(const struct svc_request *r, struct db_tx *tx, const Sekisho__Delivery__RouteRequest *q,
	  struct store_route *row, struct err *e)
{
	struct arena *a = r->in->arena;
	struct buf sealed, detail;
	buf_init(&sealed, 0);
	buf_init(&detail, 0);
	enum rc rc = RC_OK;
	*row = (struct store_route){
	    .direction = q->direction,
	    .smarthost = bytes_str(q->smarthost),
	    .username = bytes_str(q->username),
	    .tls = q->tls,
	};
	if (row->username.n > 0) {
		const char *label = arena_printf(a, "route %s", q->direction);
		rc = content_seal_secret(r->svc->content, &r->in->tenant, label, bytes_str(q->password), &sealed, e);
		row->sealed_password = buf_bytes(&sealed);
	}
	if (rc == RC_OK)
		rc =
		    store_route_set(tx, &r->in->tenant, row, (int64_t)q->if_version, clock_wall_us(), &row->version, e);
	buf_addf(&detail, "{\"direction\":\"%s\",\"tls\":\"%s\",\"version\":%lld,\"smarthost\":", q->direction, q->tls,
		 (long long)row->version);
	buf_add_json(&detail, row->smarthost);
	buf_add_str(&detail, "}");
	if (rc == RC_OK)
		rc = handlers_record(tx, r, "route.set", arena_strndup(a, detail.p, detail.n), e);
	buf_done(&sealed);
	buf_done(&detail);
	return rc;
}

enum rc
handle_route(const struct svc_request *r, struct buf *reply, struct err *e)
{
	const Sekisho__Delivery__RouteRequest *q = CODEC_UNPACK(route_request, r);
	struct store_route row = {0};
	struct db_tx *tx = NULL;
	bool again = false;
	if (q == NULL || !r->in->has_tenant)
		return err_set(e, q == NULL ? RC_INVALID : RC_DENIED, "%s", BAD);
	enum rc rc = check_route(q, e);
	if (rc == RC_OK)
		rc = db_begin(r->svc->db, &r->in->tenant, r->in->deadline_ms, &tx, e);
	if (rc == RC_OK)
		rc = svc_once_begin(r, tx, reply, &again, e);
	if (rc == RC_OK && !again) {
		rc = set_route(r, tx, q, &row, e);
		if (rc == RC_OK)
			rc = reply_route(r, q->direction, &row, reply, e);
		if (rc == RC_OK)
			rc = svc_once_end(r, tx, buf_bytes(reply), e);
		if (rc == RC_OK)
			rc = db_commit(&tx, e);
	}
	db_end(&tx);
	return rc;
}

/* --- settings ---------------------------------------------------------------------------------------------- */
static enum rc
reply_settings(const struct store_settings *s, struct buf *reply, struct err *e)
{
	Sekisho__Delivery__SettingsReply m = SEKISHO__DELIVERY__SETTINGS_REPLY__INIT;
	m.uncertain = (char *)(uintptr_t)s->uncertain;
	m.version = (uint64_t)s->version;
	return codec_pack(&m.base, reply, e);
}

enum rc
handle_settings_get(const struct svc_request *r, struct buf *reply, struct err *e)
{
	struct store_settings s = {0};
	struct db_tx *tx = NULL;
	if (CODEC_UNPACK(settings_get_request, r) == NULL || !r->in->has_tenant)
		return err_set(e, RC_INVALID, "%s", BAD);
	enum rc rc = db_begin(r->svc->db, &r->in->tenant, r->in->deadline_ms, &tx, e);
	if (rc == RC_OK)
		rc = store_settings(tx, &r->in->tenant, r->in->arena, &s, e);
	db_end(&tx);
	return rc == RC_OK ? reply_settings(&s, reply, e) : rc;
}

static enum rc
put_settings(const struct svc_request *r, struct db_tx *tx, const Sekisho__Delivery__SettingsPutRequest *q,
	     struct buf *reply, struct err *e)
{
	struct store_settings s = {.uncertain = q->uncertain};
	enum rc rc = store_settings_put(tx, &r->in->tenant, q->uncertain, (int64_t)q->if_version, &s.version, e);
	if (rc == RC_OK)
		rc = handlers_record(tx, r, "settings.set",
				     arena_printf(r->in->arena, "{\"uncertain\":\"%s\",\"version\":%lld}", q->uncertain,
						  (long long)s.version),
				     e);
	if (rc == RC_OK)
		rc = reply_settings(&s, reply, e);
	return rc;
}

enum rc
handle_settings_put(const struct svc_request *r, struct buf *reply, struct err *e)
{
	const Sekisho__Delivery__SettingsPutRequest *q = CODEC_UNPACK(settings_put_request, r);
	struct db_tx *tx = NULL;
	bool again = false;
	if (q == NULL || !r->in->has_tenant)
		return err_set(e, q == NULL ? RC_INVALID : RC_DENIED, "%s", BAD);
	if (strcmp(q->uncertain, "retry") != 0 && strcmp(q->uncertain, "ask") != 0)
		return err_set(e, RC_INVALID, "uncertain: retry or ask");
	enum rc rc = db_begin(r->svc->db, &r->in->tenant, r->in->deadline_ms, &tx, e);
	if (rc == RC_OK)
		rc = svc_once_begin(r, tx, reply, &again, e);
	if (rc == RC_OK && !again) {
		rc = put_settings(r, tx, q, reply, e);
		if (rc == RC_OK)
			rc = svc_once_end(r, tx, buf_bytes(reply), e);
		if (rc == RC_OK)
			rc = db_commit(&tx, e);
	}
	db_end(&tx);
	return rc;
}
