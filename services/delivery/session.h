/* SPDX-License-Identifier: MIT
 *
 * SMTP as a client: opening a session (greeting, EHLO, STARTTLS, AUTH) and transactions on it. One thread at a time.
 */
#ifndef DELIVERY_SESSION_H
#define DELIVERY_SESSION_H

#include "lanes.h"
#include "route.h"
#include "smtp/reply.h"

struct session;
/* To the first address that answers. RC_RETRY: none did; e holds the last reason, remote (may be NULL) the last tried.
 */
enum rc session_open(struct delivery *d, const struct route_targets *to, const char *destination,
		     struct session **out_r, char *remote, size_t remote_size, struct err *e) MUST_CHECK;
/* QUIT without waiting for its answer. */
void session_close(struct session **s);
const struct smtp_capabilities *session_offers(const struct session *s);
const char *session_destination(const struct session *s);
/* May another transaction begin on it? */
bool session_usable(struct session *s);

struct session_message {
	const struct bytes *pieces; /* the whole message, CRLF only */
	size_t n_pieces;
	uint64_t size;
	bool eight_bit, smtputf8;
};
/* One transaction for the recipients of j that have no outcome yet (event LEG_EVENTS); fills their events and replies,
 * j->remote and j->tls. RC_RETRY: the connection is gone; what has no outcome then was certainly not taken. The
 * lease is renewed on the way; without one that outlives the wait for the answer the final dot is not sent. */
enum rc session_send(struct session *s, struct job *j, const struct session_message *m, struct err *e) MUST_CHECK;

#endif
