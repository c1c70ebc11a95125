/* SPDX-License-Identifier: MIT
 *
 * From a leg to a destination (in the scheduler, one look at the route table per round) and from a destination to
 * addresses (in the senders, only when a connection is opened).
 */
#include "route.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "core/clock.h"
#include "crypt/secret.h"
#include "dns.h"
#include "reach.h"

#define READ_MS 10000

bool
route_tls_parse(const char *word, enum route_tls *out_r)
{
	static const char *const names[] = {"may", "encrypt", "verify"};
	for (int i = 0; i < 3; i++)
		if (strcmp(word, names[i]) == 0) {
			*out_r = (enum route_tls)i;
			return true;
		}
	return false;
}

bool
route_host_port(const char *text, char host[ROUTE_HOST_SIZE], int *port_r)
{
	const char *colon = strrchr(text, ':');
	char *end;
	if (colon == NULL || colon == text)
		return false;
	size_t n = (size_t)(colon - text);
	long port = strtol(colon + 1, &end, 10);
	if (end == colon + 1 || *end != '\0' || port < 1 || port > 65535)
		return false;
	if (text[0] == '[') {
		if (n < 3 || text[n - 1] != ']')
			return false;
		text++;
		n -= 2;
	} else if (memchr(text, ':', n) != NULL) {
		return false;
	}
	if (n >= ROUTE_HOST_SIZE)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] <= 0x20 || (unsigned char)text[i] >= 0x7f)
			return false;
	memcpy(host, text, n);
	host[n] = '\0';
	*port_r = (int)port;
	return true;
}

static enum rc
read_view(struct db_tx *tx, const struct uuid *tenant, struct route_view *view, struct arena *a, struct err *e)
{
	struct store_route r;
	bool found = false;
	if (view->read)
		return RC_OK;
	enum rc rc = store_route(tx, tenant, "outbound", a, &r, &found, e);
	if (rc == RC_OK && found && r.smarthost.n > 0)
		view->smarthost = arena_strndup(a, r.smarthost.p, r.smarthost.n);
	if (rc == RC_OK)
		rc = store_route(tx, tenant, "inbound", a, &r, &found, e);
	if (rc == RC_OK && found && r.smarthost.n > 0)
		view->inbound = arena_strndup(a, r.smarthost.p, r.smarthost.n);
	view->read = rc == RC_OK;
	return rc;
}

enum rc
route_destination(struct db_tx *tx, const struct uuid *tenant, const struct store_picked *p, struct route_view *view,
		  struct arena *a, const char **destination_r, struct err *e)
{
	const struct delivery_config *cfg = &delivery_config;
	bool incoming = p->message.direction == STORE_INCOMING;
	char t[UUID_STR_SIZE];
	if (p->leg.domain.n == 0) {
		*destination_r = "bad the address has no valid domain";
		return RC_OK;
	}
	if (!incoming && cfg->next_hop[0] != '\0') {
		*destination_r = arena_printf(a, "hop %s", cfg->next_hop);
		return RC_OK;
	}
	enum rc rc = read_view(tx, tenant, view, a, e);
	if (rc != RC_OK)
		return rc;
	uuid_format(tenant, t);
	const char *host = incoming ? view->inbound : view->smarthost;
	if (host != NULL)
		*destination_r = arena_printf(a, "%s %s %s", incoming ? "inbound" : "smarthost", t, host);
	else if (!incoming)
		*destination_r = arena_printf(a, "mx %.*s", (int)p->leg.domain.n, (const char *)p->leg.domain.p);
	else if (cfg->inbound_hop[0] != '\0')
		*destination_r = arena_printf(a, "hop %s", cfg->inbound_hop);
	else
		*destination_r = "none no route for incoming mail is set";
	return RC_OK;
}

/* --- targets ----------------------------------------------------------------------------------------------- */
static enum rc
host_targets(struct delivery *d, const char *host_port, struct route_targets *t, struct err *e)
{
	char host[ROUTE_HOST_SIZE];
	int port;
	if (!route_host_port(host_port, host, &port))
		return err_set(e, RC_RETRY, "route: not host:port");
	enum rc rc = dns_addresses(d->dns, host, port, t, e);
	/* A configured host that is not in the DNS is a mistake to be mended, not a reason to bounce. */
	return rc == RC_NOT_FOUND ? err_set(e, RC_RETRY, "route: the host has no address") : rc;
}

static enum rc
mx_targets(struct delivery *d, const char *domain, struct route_targets *t, const char **status_r, struct err *e)
{
	char literal[ROUTE_HOST_SIZE];
	size_t n = strlen(domain);
	if (domain[0] != '[')
		return dns_mail_hosts(d->dns, domain, delivery_config.hostname, (int)delivery_config.mx_port, t,
				      status_r, e);
	const char *from = strncasecmp(domain, "[IPv6:", 6) == 0 ? domain + 6 : domain + 1;
	snprintf(literal, sizeof(literal), "%.*s", (int)(domain + n - 1 - from), from);
	*status_r = "5.1.2";
	return dns_addresses(d->dns, literal, (int)delivery_config.mx_port, t, e);
}

/* What an MX record or a tenant named, without what is not theirs to name. */
static void
keep_reachable(struct route_targets *t, bool any_port)
{
	size_t n = 0;
	for (size_t i = 0; i < t->n && !delivery_config.allow_private; i++)
		if (reach_public(t->v[i].address) && (any_port || reach_mail_port(t->v[i].port)))
			t->v[n++] = t->v[i];
	if (!delivery_config.allow_private)
		t->n = n;
}

/* The tenant's own route, if it still leads to host: TLS policy and credentials as they are now. A password must not
 * go where the route led before. */
static enum rc
own_route(struct delivery *d, const struct uuid *tenant, const char *direction, const char *host,
	  struct route_targets *t, struct err *e)
{
	struct arena *a = arena_new();
	struct store_route r = {0};
	struct db_tx *tx = NULL;
	bool found = false;
	enum rc rc = db_begin(d->svc->db, tenant, clock_mono_ms() + READ_MS, &tx, e);
	if (rc == RC_OK)
		rc = store_route(tx, tenant, direction, a, &r, &found, e);
	db_end(&tx);
	if (rc == RC_OK && (!found || !bytes_eq(r.smarthost, bytes_str(host)) || !route_tls_parse(r.tls, &t->tls)))
		rc = err_set(e, RC_RETRY, "route: changed meanwhile");
	if (rc == RC_OK && r.username.n > 0) {
		char label[64];
		snprintf(label, sizeof(label), "route %s", direction);
		t->has_auth = true;
		snprintf(t->username, sizeof(t->username), "%.*s", (int)r.username.n, (const char *)r.username.p);
		rc = content_open_secret(d->svc->content, tenant, label, r.sealed_password, &t->password, e);
	}
	arena_free(&a);
	return rc;
}

enum rc
route_targets(struct delivery *d, const struct uuid *tenant, const char *destination, struct route_targets *t,
	      const char **status_r, struct err *e)
{
	const char *rest = strchr(destination, ' ');
	*t = (struct route_targets){0};
	buf_init(&t->password, 4096);
	if (!route_tls_parse(delivery_config.tls, &t->tls) || rest == NULL)
		return err_set(e, RC_INTERNAL, "route: bad destination");
	rest++;
	enum rc rc;
	if (strncmp(destination, "mx ", 3) == 0) {
		rc = mx_targets(d, rest, t, status_r, e);
		if (rc == RC_OK)
			keep_reachable(t, true);
		if (rc == RC_OK && t->n == 0) {
			*status_r = "5.4.4";
			rc = err_set(e, RC_NOT_FOUND, "no mail host of the domain has a public address");
		}
	} else if (strncmp(destination, "hop ", 4) == 0) {
		rc = host_targets(d, rest, t, e);
	} else {
		const char *host = strchr(rest, ' ');
		bool inbound = strncmp(destination, "inbound ", 8) == 0;
		host = host != NULL ? host + 1 : rest;
		rc = own_route(d, tenant, inbound ? "inbound" : "outbound", host, t, e);
		if (rc == RC_OK)
			rc = host_targets(d, host, t, e);
		if (rc == RC_OK)
			keep_reachable(t, false);
		if (rc == RC_OK && t->n == 0)
			rc = err_set(e, RC_RETRY, "route: not a public address and a port for mail");
	}
	if (rc != RC_OK)
		route_targets_done(t);
	return rc;
}

void
route_targets_done(struct route_targets *t)
{
	secret_wipe(t->password.p, t->password.n);
	buf_done(&t->password);
}
