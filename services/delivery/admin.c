/* SPDX-License-Identifier: MIT
 *
 * Signing keys, as administrators ask for them.
 */
#include "handlers.h"

#include "client/auth_client.h"
#include "codec.h"
#include "core/clock.h"
#include "delivery.h"
#include "signers.h"
#include "smtp/address.h"
#include "svc/once.h"

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

/* Keys are for domains that are the tenant's in the directory; another's is as unknown as one that is not there. */
static enum rc
own_domain(const struct svc_request *r, const char *ascii, struct err *e)
{
	const struct auth_call c = {
	    .bus = r->svc->bus, .traceparent = r->in->traceparent, .deadline_ms = r->in->deadline_ms};
	struct auth_directory dir = {0};
	enum rc rc = auth_directory(&c, &r->in->tenant, r->in->arena, &dir, e);
	for (size_t i = 0; rc == RC_OK && i < dir.n_domains; i++)
		if (dir.domains[i].class == AUTH_INTERNAL && strcmp(dir.domains[i].name, ascii) == 0)
			return RC_OK;
	return rc == RC_OK ? err_set(e, RC_NOT_FOUND, "no such domain of the tenant") : rc;
}

enum rc
handle_dkim(const struct svc_request *r, struct buf *reply, struct err *e)
{
	struct arena *a = r->in->arena;
	const Sekisho__Delivery__DkimRequest *q = CODEC_UNPACK(dkim_request, r);
	char ascii[SMTP_ASCII_DOMAIN_SIZE];
	struct store_key *v = NULL;
	size_t n = 0;
	bool made = false, again = false;
	struct db_tx *tx = NULL;
	if (q == NULL || !r->in->has_tenant)
		return err_set(e, q == NULL ? RC_INVALID : RC_DENIED, "request does not decode, or is of no tenant");
	if (!smtp_domain_valid(bytes_str(q->domain), true) ||
	    smtp_domain_ascii(bytes_str(q->domain), ascii, e) != RC_OK)
		return err_set(e, RC_INVALID, "domain: not a domain name");
	enum rc rc = own_domain(r, ascii, e);
	if (rc == RC_OK)
		rc = db_begin(r->svc->db, &r->in->tenant, r->in->deadline_ms, &tx, e);
	if (rc == RC_OK)
		rc = svc_once_begin(r, tx, reply, &again, e);
	if (rc == RC_OK && again)
		goto out;
	if (rc == RC_OK)
		rc =
		    signers_ensure(r->svc->content, tx, &r->in->tenant, bytes_str(ascii), clock_wall_us(), a, &made, e);
	if (rc == RC_OK)
		rc = store_keys(tx, &r->in->tenant, bytes_str(ascii), a, &v, &n, e);
	if (rc == RC_OK && made)
		rc = handlers_record(tx, r, "dkim.made", arena_printf(a, "{\"domain\":\"%s\"}", ascii), e);
	if (rc == RC_OK)
		rc = pack_keys(v, n, a, reply, e);
	if (rc == RC_OK)
		rc = svc_once_end(r, tx, buf_bytes(reply), e);
	if (rc == RC_OK)
		rc = db_commit(&tx, e);
	if (rc == RC_OK)
		signers_forget(delivery.signers, &r->in->tenant, bytes_str(ascii));
out:
	db_end(&tx);
	return rc;
}
