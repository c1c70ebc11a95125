/* SPDX-License-Identifier: MIT
 *
 * Lookups block in libunbound, which keeps its own cache. CNAMEs are followed by the resolver.
 */
#include "dns.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unbound.h>

#define TYPE_A	  1
#define TYPE_MX	  15
#define TYPE_AAAA 28
#define CLASS_IN  1
#define MX_MAX	  20

struct dns {
	struct ub_ctx *ub;
};

enum rc
dns_open(const char *resolv_conf, const char *hosts, struct dns **out_r, struct err *e)
{
	struct ub_ctx *ub = ub_ctx_create();
	if (ub == NULL)
		return err_set(e, RC_INTERNAL, "resolver: cannot be made");
	int rc = ub_ctx_resolvconf(ub, resolv_conf[0] != '\0' ? resolv_conf : NULL);
	if (rc == 0 && hosts[0] != '\0')
		rc = ub_ctx_hosts(ub, hosts);
	if (rc != 0) {
		ub_ctx_delete(ub);
		return err_set(e, RC_INVALID, "SEKISHO_DELIVERY_RESOLV_CONF or _HOSTS: %s", ub_strerror(rc));
	}
	struct dns *d = calloc(1, sizeof(*d));
	if (d == NULL)
		abort();
	d->ub = ub;
	*out_r = d;
	return RC_OK;
}

void
dns_free(struct dns **d)
{
	if (d == NULL || *d == NULL)
		return;
	ub_ctx_delete((*d)->ub);
	free(*d);
	*d = NULL;
}

/* RC_OK with *out_r NULL: the name or the type does not exist (*nxdomain_r: not even the name). */
static enum rc
ask(struct dns *d, const char *name, int type, struct ub_result **out_r, bool *nxdomain_r, struct err *e)
{
	struct ub_result *r = NULL;
	int rc = ub_resolve(d->ub, name, type, CLASS_IN, &r);
	if (rc != 0)
		return err_set(e, RC_RETRY, "DNS: %s", ub_strerror(rc));
	*nxdomain_r = r->nxdomain;
	if (r->havedata) {
		*out_r = r;
		return RC_OK;
	}
	bool known = r->nxdomain || r->rcode == 0;
	int rcode = r->rcode;
	ub_resolve_free(r);
	*out_r = NULL;
	return known ? RC_OK : err_set(e, RC_RETRY, "DNS: answer code %d", rcode);
}

static void
add_target(struct route_targets *out, const char *host, int family, const void *address, int port)
{
	if (out->n == ROUTE_TARGETS_MAX)
		return;
	struct route_target *t = &out->v[out->n++];
	snprintf(t->host, sizeof(t->host), "%s", host);
	if (t->host[0] != '\0' && t->host[strlen(t->host) - 1] == '.')
		t->host[strlen(t->host) - 1] = '\0';
	inet_ntop(family, address, t->address, sizeof(t->address));
	t->port = port;
}

static bool
add_literal(struct route_targets *out, const char *name, int port)
{
	uint8_t address[16];
	int family = strchr(name, ':') != NULL ? AF_INET6 : AF_INET;
	if (inet_pton(family, name, address) != 1)
		return false;
	add_target(out, name, family, address, port);
	return true;
}

enum rc
dns_addresses(struct dns *d, const char *name, int port, struct route_targets *out, struct err *e)
{
	static const int types[] = {TYPE_A, TYPE_AAAA};
	size_t before = out->n;
	enum rc worst = RC_OK;
	if (add_literal(out, name, port))
		return RC_OK;
	for (int i = 0; i < 2; i++) {
		struct ub_result *r = NULL;
		bool nx = false;
		enum rc rc = ask(d, name, types[i], &r, &nx, e);
		if (rc != RC_OK)
			worst = rc;
		for (int k = 0; r != NULL && r->data[k] != NULL; k++) {
			if (types[i] == TYPE_A && r->len[k] == 4)
				add_target(out, name, AF_INET, r->data[k], port);
			else if (types[i] == TYPE_AAAA && r->len[k] == 16)
				add_target(out, name, AF_INET6, r->data[k], port);
		}
		ub_resolve_free(r);
	}
	if (out->n > before)
		return RC_OK;
	return worst != RC_OK ? worst : err_set(e, RC_NOT_FOUND, "host name has no address");
}

/* --- MX ---------------------------------------------------------------------------------------------------- */
struct mx {
	uint16_t preference;
	char host[256];
};

/* An uncompressed name in wire format, as libunbound hands it out. */
static bool
name_text(const uint8_t *p, size_t n, char out[256])
{
	size_t o = 0;
	for (size_t i = 0; i < n;) {
		size_t k = p[i++];
		if (k == 0) {
			out[o] = '\0';
			return true;
		}
		if (k > 63 || k > n - i || o + k + 2 > 255)
			return false;
		if (o > 0)
			out[o++] = '.';
		for (size_t j = 0; j < k; j++, i++) {
			if (p[i] <= 0x20 || p[i] >= 0x7f || p[i] == '.')
				return false;
			out[o++] = (char)p[i];
		}
	}
	return false;
}

static int
by_preference(const void *a, const void *b)
{
	const struct mx *x = a, *y = b;
	return x->preference < y->preference ? -1 : x->preference > y->preference;
}

static size_t
read_mx(const struct ub_result *r, struct mx v[MX_MAX], bool *null_r)
{
	size_t n = 0;
	*null_r = false;
	for (int k = 0; r->data[k] != NULL && n < MX_MAX; k++) {
		const uint8_t *p = (const uint8_t *)r->data[k];
		size_t len = (size_t)r->len[k];
		if (len < 3 || !name_text(p + 2, len - 2, v[n].host))
			continue;
		v[n].preference = (uint16_t)(p[0] << 8 | p[1]);
		if (v[n].host[0] == '\0') {
			*null_r = true;
			continue;
		}
		n++;
	}
	qsort(v, n, sizeof(*v), by_preference);
	return n;
}

static enum rc
none(const char *status, const char *text, const char **status_r, struct err *e)
{
	*status_r = status;
	return err_set(e, RC_NOT_FOUND, "%s", text);
}

enum rc
dns_mail_hosts(struct dns *d, const char *domain, const char *self, int port, struct route_targets *out,
	       const char **status_r, struct err *e)
{
	struct ub_result *r = NULL;
	struct mx v[MX_MAX];
	bool nx = false, null_mx = false;
	enum rc rc = ask(d, domain, TYPE_MX, &r, &nx, e), last = RC_OK;
	if (rc != RC_OK)
		return rc;
	if (r == NULL) { /* no MX: the domain itself (RFC 5321, 5.1); a static table only knows addresses */
		rc = dns_addresses(d, domain, port, out, e);
		return rc == RC_NOT_FOUND ? none("5.1.2", "the domain does not exist or takes no mail", status_r, e)
					  : rc;
	}
	size_t n = read_mx(r, v, &null_mx);
	ub_resolve_free(r);
	if (null_mx && n == 0)
		return none("5.1.10", "the domain takes no mail (null MX)", status_r, e);
	size_t end = n; /* from our own preference on the way leads back to us */
	for (size_t i = 0; i < n; i++)
		if (strcasecmp(v[i].host, self) == 0) {
			for (end = i; end > 0 && v[end - 1].preference == v[i].preference; end--)
				;
			break;
		}
	if (n > 0 && end == 0)
		return none("5.4.6", "mail for this domain would come back to this server", status_r, e);
	for (size_t i = 0; i < end; i++) {
		struct err ignored;
		rc = dns_addresses(d, v[i].host, port, out, &ignored);
		if (rc == RC_RETRY)
			last = RC_RETRY;
	}
	if (out->n > 0)
		return RC_OK;
	if (last != RC_OK)
		return err_set(e, RC_RETRY, "DNS: no address of a mail host is known at present");
	return none("5.4.4", "no mail host of the domain has an address", status_r, e);
}
