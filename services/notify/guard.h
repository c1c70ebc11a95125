/* SPDX-License-Identifier: MIT
 *
 * Where a webhook may lead. Its address is a stranger's word, and a name in it leads today here and tomorrow there: so
 * what is judged is the address that a socket is about to be connected to, at that moment (post.c), never the name.
 * Refused is everything that is not a public unicast address: private, loopback, link-local, shared, multicast,
 * documentation, reserved, the metadata addresses of clouds, and IPv6 forms that carry such an IPv4 address. Pure.
 */
#ifndef NOTIFY_GUARD_H
#define NOTIFY_GUARD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/rc.h"

#define GUARD_ALLOW_MAX 16
#define GUARD_PORTS_MAX 16

struct guard_prefix {
	int family; /* AF_INET, AF_INET6 */
	uint8_t octets[16];
	int bits;
};
struct guard {
	struct guard_prefix allow[GUARD_ALLOW_MAX]; /* reached although refused otherwise: closed networks, tests */
	int n_allow;
	uint16_t ports[GUARD_PORTS_MAX];
	int n_ports; /* 0: any */
	bool http;   /* http too, but to addresses of allow only */
};

enum guard_verdict {
	GUARD_OK,
	GUARD_REFUSED, /* not a public address */
	GUARD_PORT,    /* not one of the ports */
	GUARD_PLAIN,   /* http to an address that is not in allow */
};
const char *guard_verdict_str(enum guard_verdict v);

/* allow: "10.1.0.0/16,::1/128" or ""; ports: "443,8443" or "any". RC_INVALID names the word. */
enum rc guard_parse(const char *allow, const char *ports, bool http, struct guard *out_r, struct err *e) MUST_CHECK;
/* May a socket be connected to this address? plain: http is spoken over it. */
enum guard_verdict guard_judge(const struct guard *g, const struct sockaddr *to, bool plain) MUST_CHECK;
bool guard_port_allowed(const struct guard *g, unsigned port);

#endif
