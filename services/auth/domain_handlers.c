/* SPDX-License-Identifier: MIT
 *
 * Domains: claimed, proven, classified, listed; and the directory that policy keeps a copy of. The skeleton has
 * verified the actor token and the endpoint's permission.
 */
#include "auth.h"

#include "core/clock.h"
#include "core/log.h"
#include "crypt/token.h"
#include "change.h"
#include "names.h"
#include "proof.h"
#include "subjects.h"

#define DNS_RESERVE_MS 1000 /* of the deadline, for the commit after the look-up */

/* A hint: whoever misses it reads again by itself sooner or later. */
void
auth_directory_changed(const struct svc_request *r, const struct uuid *tenant)
{
	struct err err;
	if (r->svc->bus != NULL &&
	    bus_publish(r->svc->bus, SIG_DIRECTORY_CHANGED, bytes_of(tenant->b, sizeof(tenant->b)), &err) != RC_OK)
		log_debug("directory hint not sent", LOG_TENANT(tenant), LOG_ERR(&err));
}

/* --- domains ------------------------------------------------------------------------------------------------ */
static enum rc
whose_domain(const struct svc_request *r, const Sekisho__Auth__DomainAddRequest *q, struct uuid *tenant_r,
	     struct err *e)
{
	bool platform = actor_may(r->actor, PERMISSION_PLATFORM);
	if (q->assert_proven && !platform)
		return err_set(e, RC_DENIED, "permission %s is missing", PERMISSION_PLATFORM);
	if (q->tenant.len == 0) {
		*tenant_r = r->actor->tenant;
		return uuid_is_nil(tenant_r) ? err_set(e, RC_INVALID, "a platform key has to name the tenant") : RC_OK;
	}
	enum rc rc = wire_uuid(q->tenant, tenant_r, e);
	if (rc != RC_OK)
		return rc;
	if (!platform && !uuid_eq(tenant_r, &r->actor->tenant))
		return err_set(e, RC_DENIED, "permission %s is missing", PERMISSION_PLATFORM);
	return RC_OK;
}

/* The claim stands unproven: is the proof in DNS by now? Not there or no answer leaves it as it is. */
static enum rc
try_proof(const struct svc_request *r, const struct store_by *by, const struct uuid *tenant, struct store_claim *c,
	  struct store_domain *d, bool *changed, struct err *e)
{
	struct proof_resolver resolver = {auth.dns_server, auth.dns_anchor};
	int64_t until = clock_mono_ms() + auth.dns_ms;
	if (until > by->deadline_ms - DNS_RESERVE_MS)
		until = by->deadline_ms - DNS_RESERVE_MS;
	enum rc rc = proof_look_up(&resolver, d->name, d->challenge, until, e);
	if (rc == RC_NOT_FOUND || rc == RC_RETRY)
		return RC_OK;
	if (rc != RC_OK)
		return rc;
	c->proven = true;
	c->how = "dns";
	return store_set_domain(by, tenant, c, r->in->arena, d, changed, e);
}

enum rc
auth_handle_domain_add(const struct svc_request *r, struct buf *reply, struct err *e)
{
	Sekisho__Auth__DomainAddRequest *q = NULL;
	Sekisho__Auth__DomainAddReply p = SEKISHO__AUTH__DOMAIN_ADD_REPLY__INIT;
	struct store_by by = wire_by(r, "");
	struct store_domain d;
	struct uuid tenant;
	char challenge[TOKEN_SIZE];
	const char *name = NULL;
	bool changed = false, proven_now = false;
	enum rc rc = wire_decode(r, &sekisho__auth__domain_add_request__descriptor, &q, e);
	if (rc == RC_OK)
		rc = names_domain(bytes_str(q->name), r->in->arena, &name, e);
	if (rc == RC_OK)
		rc = whose_domain(r, q, &tenant, e);
	if (rc != RC_OK)
		return rc;
	bool internal = q->class_ == SEKISHO__AUTH__CLASS__INTERNAL;
	if (!internal && q->class_ != SEKISHO__AUTH__CLASS__AFFILIATE && q->class_ != SEKISHO__AUTH__CLASS__EXTERNAL)
		return err_set(e, RC_INVALID, "unknown class of domain");
	if (q->assert_proven && !internal)
		return err_set(e, RC_INVALID, "only an internal domain is proven");
	token_make("skdom", challenge);
	struct store_claim c = {
	    .name = name,
	    .class = (int)q->class_,
	    .challenge = internal ? challenge : NULL,
	    .proven = q->assert_proven,
	    .how = q->assert_proven ? "asserted" : "claimed",
	};
	rc = store_set_domain(&by, &tenant, &c, r->in->arena, &d, &changed, e);
	if (rc == RC_OK && internal && !d.proven && !changed)
		rc = try_proof(r, &by, &tenant, &c, &d, &proven_now, e);
	if (rc != RC_OK)
		return rc;
	if (changed || proven_now)
		auth_directory_changed(r, &tenant);
	else
		svc_record_unchanged(r);
	p.proven = d.proven;
	if (internal && !d.proven) {
		p.txt_name = arena_printf(r->in->arena, "%s%s", PROOF_LABEL, name);
		p.txt_value = (char *)(uintptr_t)d.challenge;
	}
	return wire_encode(&p, reply, e);
}

/* --- directory ---------------------------------------------------------------------------------------------- */
static Sekisho__Auth__Domain **
wire_domains(const struct store_directory *d, struct arena *a)
{
	Sekisho__Auth__Domain *m = arena_new_array(a, Sekisho__Auth__Domain, d->n_domains + 1);
	Sekisho__Auth__Domain **v = arena_new_array(a, Sekisho__Auth__Domain *, d->n_domains + 1);
	for (size_t i = 0; i < d->n_domains; i++) {
		sekisho__auth__domain__init(&m[i]);
		m[i].name = (char *)(uintptr_t)d->domains[i].name;
		m[i].class_ = (Sekisho__Auth__Class)d->domains[i].class;
		m[i].proven = d->domains[i].proven;
		v[i] = &m[i];
	}
	return v;
}

enum rc
auth_handle_domain_list(const struct svc_request *r, struct buf *reply, struct err *e)
{
	Sekisho__Auth__DomainListReply p = SEKISHO__AUTH__DOMAIN_LIST_REPLY__INIT;
	struct store_by by = wire_by(r, "");
	struct store_directory d;
	enum rc rc = store_get_directory(&by, &r->actor->tenant, r->in->arena, &d, e);
	if (rc != RC_OK)
		return rc;
	p.version = d.version;
	p.domains = wire_domains(&d, r->in->arena);
	p.n_domains = d.n_domains;
	return wire_encode(&p, reply, e);
}

enum rc
auth_handle_directory(const struct svc_request *r, struct buf *reply, struct err *e)
{
	Sekisho__Auth__DirectoryRequest *q = NULL;
	Sekisho__Auth__DirectoryReply p = SEKISHO__AUTH__DIRECTORY_REPLY__INIT;
	struct store_by by = wire_by(r, "");
	struct store_directory d;
	struct uuid tenant;
	struct arena *a = r->in->arena;
	enum rc rc = wire_decode(r, &sekisho__auth__directory_request__descriptor, &q, e);
	if (rc == RC_OK)
		rc = wire_uuid(q->tenant, &tenant, e);
	if (rc == RC_OK)
		rc = store_get_directory(&by, &tenant, a, &d, e);
	if (rc != RC_OK)
		return rc;
	p.version = d.version;
	p.tenant_name = arena_strndup(a, d.tenant_name.p, d.tenant_name.n);
	p.sandbox = d.sandbox;
	p.domains = wire_domains(&d, a);
	p.n_domains = d.n_domains;
	return wire_encode(&p, reply, e);
}
