/* SPDX-License-Identifier: MIT
 *
 * Signing keys and routes, as administrators set them.
 */
#include "handlers.h"

#include <stdio.h>

#include "codec.h"
#include "core/clock.h"
#include "delivery.h"
#include "reach.h"
#include "route.h"
#include "signers.h"
#include "smtp/address.h"

#define SECRET_MAX 1000

static enum rc
record(struct db_tx *tx, const struct svc_request *r, const char *action, const char *detail, struct err *e)
{
	struct audit_intent i = {
	    .action = action,
	    .outcome = "ok",
	    .actor = bytes_str(r->actor->name),
	    .subject = r->in->tenant,
	    .number = -1,
	    .at_us = clock_wall_us(),
	    .detail = bytes_str(detail),
	    .traceparent = r->in->traceparent,
	};
	return db_intent(tx, &i, e);
}

/* --- DKIM -------------------------------------------------------------------------------------------------- */
static enum rc
pack_keys(const struct store_key *v, size_t n, struct arena *a, struct buf *reply, struct err *e)
{
	Sekisho__Delivery__DkimReply m = SEKISHO__DELIVERY__DKIM_REPLY__INIT;
	m.n_records = n;
	m.records = arena_new_array(a, Sekisho__Delivery__DnsRecord *, n);
	for (size_t i = 0; i < n; i++) {
		Sekisho__Delivery__DnsRecord *x = m.records[i] = arena_new_array(a, Sekisho__Delivery__DnsRecord, 1);
		bool rsa = strncmp(v[i].algorithm, "rsa", 3) == 0;
		sekisho__delivery__dns_record__init(x);
		x->name = arena_printf(a, "%s._domainkey.%.*s", v[i].selector, (int)v[i].domain.n,
				       (const char *)v[i].domain.p);
		x->type = "TXT";
		x->value = arena_printf(a, "v=DKIM1; k=%s; p=%.*s", rsa ? "rsa" : "ed25519", (int)v[i].public_.n,
					(const char *)v[i].public_.p);
		x->selector = (char *)(uintptr_t)v[i].selector;
		x->algorithm = (char *)(uintptr_t)v[i].algorithm;
	}
	return codec_pack(&m.base, reply, e);
}

enum rc
handle_dkim(const struct svc_request *r, struct buf *reply, struct err *e)
{
	struct arena *a = r->in->arena;
	const Sekisho__Delivery__DkimRequest *q = CODEC_UNPACK(dkim_request, r);
	char ascii[SMTP_ASCII_DOMAIN_SIZE];
	struct store_key *v = NULL;
	size_t n = 0;
	bool made = false;
	struct db_tx *tx = NULL;
	if (q == NULL || !r->in->has_tenant)
		return err_set(e, q == NULL ? RC_INVALID : RC_DENIED, "request does not decode, or is of no tenant");
	if (!smtp_domain_valid(bytes_str(q->domain), true) ||
	    smtp_domain_ascii(bytes_str(q->domain), ascii, e) != RC_OK)
		return err_set(e, RC_INVALID, "domain: not a domain name");
	enum rc rc = db_begin(r->svc->db, &r->in->tenant, r->in->deadline_ms, &tx, e);
	if (rc == RC_OK)
		rc =
		    signers_ensure(r->svc->content, tx, &r->in->tenant, bytes_str(ascii), clock_wall_us(), a, &made, e);
	if (rc == RC_OK)
		rc = store_keys(tx, &r->in->tenant, bytes_str(ascii), a, &v, &n, e);
	if (rc == RC_OK && made)
		rc = record(tx, r, "dkim.made", arena_printf(a, "{\"domain\":\"%s\"}", ascii), e);
	if (rc == RC_OK)
		rc = db_commit(&tx, e);
	db_end(&tx);
	if (rc != RC_OK)
		return rc;
	signers_forget(delivery.signers, &r->in->tenant, bytes_str(ascii));
	return pack_keys(v, n, a, reply, e);
}

/* --- routes ------------------------------------------------------------------------------------------------ */
static enum rc
check_route(const Sekisho__Delivery__RouteRequest *q, struct err *e)
{
	char host[ROUTE_HOST_SIZE];
	enum route_tls tls;
	int port;
	if (strcmp(q->direction, "outbound") != 0 && strcmp(q->direction, "inbound") != 0)
		return err_set(e, RC_INVALID, "direction: outbound or inbound");
	if (!q->set)
		return RC_OK;
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
set_route(const struct svc_request *r, struct db_tx *tx, const Sekisho__Delivery__RouteRequest *q, struct err *e)
{
	struct arena *a = r->in->arena;
	struct store_route row = {
	    .direction = q->direction,
	    .smarthost = bytes_str(q->smarthost),
	    .username = bytes_str(q->username),
	    .tls = q->tls,
	};
	struct buf sealed, detail;
	buf_init(&sealed, 0);
	buf_init(&detail, 0);
	enum rc rc = RC_OK;
	if (row.username.n > 0) {
		const char *label = arena_printf(a, "route %s", q->direction);
		rc = content_seal_secret(r->svc->content, &r->in->tenant, label, bytes_str(q->password), &sealed, e);
		row.sealed_password = buf_bytes(&sealed);
	}
	if (rc == RC_OK)
		rc = store_route_set(tx, &r->in->tenant, &row, clock_wall_us(), e);
	buf_addf(&detail, "{\"direction\":\"%s\",\"tls\":\"%s\",\"smarthost\":", q->direction, q->tls);
	buf_add_json(&detail, row.smarthost);
	buf_add_str(&detail, "}");
	if (rc == RC_OK)
		rc = record(tx, r, "route.set", arena_strndup(a, detail.p, detail.n), e);
	buf_done(&sealed);
	buf_done(&detail);
	return rc;
}

enum rc
handle_route(const struct svc_request *r, struct buf *reply, struct err *e)
{
	struct arena *a = r->in->arena;
	const Sekisho__Delivery__RouteRequest *q = CODEC_UNPACK(route_request, r);
	struct store_route row = {.tls = delivery_config.tls};
	struct db_tx *tx = NULL;
	bool found = false;
	if (q == NULL || !r->in->has_tenant)
		return err_set(e, q == NULL ? RC_INVALID : RC_DENIED, "request does not decode, or is of no tenant");
	enum rc rc = check_route(q, e);
	if (rc == RC_OK)
		rc = db_begin(r->svc->db, &r->in->tenant, r->in->deadline_ms, &tx, e);
	if (rc == RC_OK && q->set)
		rc = set_route(r, tx, q, e);
	if (rc == RC_OK)
		rc = store_route(tx, &r->in->tenant, q->direction, a, &row, &found, e);
	if (rc == RC_OK)
		rc = db_commit(&tx, e);
	db_end(&tx);
	if (rc != RC_OK)
		return rc;
	Sekisho__Delivery__RouteReply m = SEKISHO__DELIVERY__ROUTE_REPLY__INIT;
	m.direction = q->direction;
	m.smarthost = codec_text(a, row.smarthost);
	m.username = codec_text(a, row.username);
	m.tls = (char *)(uintptr_t)row.tls;
	return codec_pack(&m.base, reply, e);
}
