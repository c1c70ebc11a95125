/* SPDX-License-Identifier: MIT
 *
 * The only door to `ingest` for other services: hand a message in over the internal listener (SMTP on a Unix socket;
 * the same state machine as any other submission), and ask what became of an idempotency key. Blocking; thread-safe.
 */
#ifndef CLIENT_INGEST_CLIENT_H
#define CLIENT_INGEST_CLIENT_H

#include "bus/bus.h"
#include "core/arena.h"
#include "core/id.h"
#include "core/rc.h"

struct ingest_submission {
	struct bytes actor_token;	/* audience "ingest" */
	struct bytes idempotency_key;	/* any octets, at most 200; empty: none */
	struct bytes mail_from;		/* addr-spec; empty: null sender */
	const struct bytes *recipients; /* addr-specs */
	size_t n_recipients;
	struct bytes message;	 /* RFC 5322 with CRLF line ends only */
	const char *traceparent; /* may be NULL */
};

struct ingest_outcome {
	bool accepted;
	struct uuid message; /* accepted */
	bool replayed;	     /* the key was known: this is the first submission's message */
	int code;	     /* the SMTP reply that decided: 250, 550, 451, ... */
	char enhanced[12];   /* "5.7.1" or "" */
	char text[512];	     /* the reply's words on one line, UTF-8 */
	int32_t recipient;   /* the reply was about this recipient; -1: about the whole message */
};

/* RC_OK: ingest answered, *out_r says what. All recipients are wanted or none: a refused recipient ends the submission
 * (code and text are its reply). RC_RETRY: no answer, the outcome is unknown; ask again with the same key. */
enum rc ingest_submit(const char *socket_path, const struct ingest_submission *s, int64_t deadline_ms, struct arena *a,
		      struct ingest_outcome *out_r, struct err *e) MUST_CHECK;

struct ingest_call {
	struct bus *bus;
	const struct uuid *tenant;
	const char *traceparent;
	struct bytes actor_token; /* with permission message.send */
	int64_t deadline_ms;
};
/* RC_NOT_FOUND: no message was accepted under that key. */
enum rc ingest_lookup(const struct ingest_call *c, const char *idempotency_key, struct uuid *message_r,
		      int64_t *accepted_us_r, struct err *e) MUST_CHECK;

#endif
