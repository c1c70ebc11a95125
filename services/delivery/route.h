/* SPDX-License-Identifier: MIT
 *
 * Where mail goes. A destination is a word: "hop HOST:PORT" (configured for all), "smarthost TENANT HOST:PORT",
 * "inbound TENANT HOST:PORT", "mx DOMAIN", "none REASON" (held) or "bad REASON" (bounced with 5.1.3). route_targets()
 * turns it into hosts to try, in order.
 */
#ifndef DELIVERY_ROUTE_H
#define DELIVERY_ROUTE_H

#include "delivery.h"
#include "store.h"

/* Recipients of one SMTP transaction: RFC 5321 4.5.3.1.10 lets a server refuse more than 100. */
#define ROUTE_RECIPIENTS_MAX 100
#define ROUTE_HOST_SIZE	     256
#define ROUTE_TARGETS_MAX    20

enum route_tls { ROUTE_TLS_MAY, ROUTE_TLS_ENCRYPT, ROUTE_TLS_VERIFY };
bool route_tls_parse(const char *word, enum route_tls *out_r) MUST_CHECK;
/* "host:port", "[v6]:port"; the host without brackets. Port 1..65535. */
bool route_host_port(const char *text, char host[ROUTE_HOST_SIZE], int *port_r) MUST_CHECK;

/* A tenant's routes as read in this transaction; begins zeroed. */
struct route_view {
	bool read;
	const char *smarthost, *inbound; /* NULL: none */
};
struct store_picked;
enum rc route_destination(struct db_tx *tx, const struct uuid *tenant, const struct store_picked *p,
			  struct route_view *view, struct arena *a, const char **destination_r,
			  struct err *e) MUST_CHECK;

struct route_target {
	char host[ROUTE_HOST_SIZE]; /* name for TLS and the record */
	char address[64];	    /* numeric */
	int port;
};
struct route_targets {
	struct route_target v[ROUTE_TARGETS_MAX];
	size_t n;
	enum route_tls tls;
	bool has_auth;
	char username[256];
	struct buf password; /* wiped by route_targets_done() */
};
/* How it ended when not RC_OK: RC_NOT_FOUND "mail for this domain cannot be delivered" (no such domain, null MX,
 * ourselves) is permanent and *status_r its enhanced code; RC_RETRY is for now. */
enum rc route_targets(struct delivery *d, const struct uuid *tenant, const char *destination,
		      struct route_targets *out_r, const char **status_r, struct err *e) MUST_CHECK;
void route_targets_done(struct route_targets *t);

#endif
