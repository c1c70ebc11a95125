/* SPDX-License-Identifier: MIT
 *
 * MX, A and AAAA by libunbound, or from a static table (hosts file: "address name ...", for tests). Thread-safe.
 */
#ifndef DELIVERY_DNS_H
#define DELIVERY_DNS_H

#include "route.h"

struct dns;
/* resolv_conf: forwarders as in that file; empty: the system's. hosts: empty: none. */
enum rc dns_open(const char *resolv_conf, const char *hosts, struct dns **out_r, struct err *e) MUST_CHECK;
void dns_free(struct dns **d);

/* Addresses of a name, appended to out. RC_NOT_FOUND: there are none; RC_RETRY: nobody knows at present. */
enum rc dns_addresses(struct dns *d, const char *name, int port, struct route_targets *out, struct err *e) MUST_CHECK;
/* Hosts that take mail for domain, best first, up to and without self (RFC 5321, 5.1). RC_NOT_FOUND: permanently none,
 * *status_r: no such domain 5.1.2, null MX 5.1.10, ourselves 5.4.6. */
enum rc dns_mail_hosts(struct dns *d, const char *domain, const char *self, int port, struct route_targets *out,
		       const char **status_r, struct err *e) MUST_CHECK;

#endif
