/* SPDX-License-Identifier: MIT
 *
 * The SMTP server's side of one connection, without the connection: octets in, replies out, and now and then a question
 * that somebody else answers (struct ask). Pure: no network, no threads, no clock. While a question is open the session
 * takes no octets.
 */
#ifndef INGEST_SESSION_H
#define INGEST_SESSION_H

#include "ingest_envelope.h"

enum session_kind { SESSION_MX, SESSION_SUBMISSION, SESSION_SUBMISSIONS, SESSION_INTERNAL };
const char *session_kind_str(enum session_kind k);

/* What all sessions of a process share. */
struct session_config {
	const char *hostname;
	bool starttls; /* a certificate is there */
	uint64_t size_max;
	int rcpt_max, errors_max, auth_failures_max;
	int idle_commands_max; /* commands in a row that bring no mail further */
	struct ingest_budget *budget;
};

enum session_want {
	SESSION_MORE,	  /* octets */
	SESSION_ASK,	  /* session_take_ask(), later session_answer() */
	SESSION_STARTTLS, /* write what is out, throw away all other input, handshake, session_tls_started() */
	SESSION_CLOSE,	  /* write what is out, then close */
};

struct session;
/* Appends the greeting to out. client_ip: text, copied. NULL: out of memory. */
struct session *session_new(const struct session_config *cfg, enum session_kind kind, const char *client_ip,
			    struct buf *out);
void session_free(struct session **s);
/* Feed what was read. *used_r: octets taken; the rest is given again, with more behind it, when the session wants more
 * or its question is answered. Replies are appended to out. */
enum session_want session_feed(struct session *s, struct bytes in, size_t *used_r, struct buf *out);
struct ask *session_take_ask(struct session *s);
/* Frees the ask. SESSION_MORE or SESSION_CLOSE. */
enum session_want session_answer(struct session *s, struct ask **a, struct buf *out);
/* protocol and cipher for the record. The session forgets what it was told in clear. */
void session_tls_started(struct session *s, const char *tls);
/* A last word before closing from outside: idle for too long, shutting down, ... */
void session_goodbye(struct session *s, int code, const char *enhanced, const char *text, struct buf *out);
bool session_in_transaction(const struct session *s);
/* The message whose octets are coming in: its number in the session, from 1; 0: none. */
uint64_t session_receiving(const struct session *s, uint64_t *octets_r);

#endif
