/* SPDX-License-Identifier: MIT
 *
 * One SMTP transaction's envelope and message, and the questions a session asks of the blocking parts. Both own their
 * memory (an arena each), so that they outlive the connection they came from. One owner at a time: the session builds,
 * a worker thread answers, the event loop brings it back.
 */
#ifndef INGEST_ENVELOPE_H
#define INGEST_ENVELOPE_H

#include <stdatomic.h>

#include "client/auth_client.h"
#include "core/arena.h"
#include "core/bytes.h"
#include "core/id.h"
#include "ingest_budget.h"
#include "smtp/command.h"

struct envelope_recipient {
	struct bytes address; /* as given; "postmaster" has got a domain */
	unsigned notify;      /* enum smtp_notify bits */
	struct bytes orcpt;   /* as given; empty: none */
};

struct envelope {
	struct arena *arena;
	bool incoming;
	bool has_tenant;
	struct uuid tenant;
	struct uuid account;	   /* outgoing */
	const char *account_name;  /* "" for incoming */
	struct bytes *may_send_as; /* outgoing: what From may say */
	size_t n_may_send_as;

	struct bytes mail_from; /* empty: null sender */
	bool smtputf8, eight_bit;
	enum smtp_ret ret;
	struct bytes envid;	  /* decoded */
	struct bytes idempotency; /* decoded; empty: none */
	struct envelope_recipient *recipients;
	size_t n_recipients, cap_recipients;

	const char *client_ip, *helo, *protocol, *tls; /* "" where there is none */
	char traceparent[TRACEPARENT_SIZE];

	bool inside; /* from the internal listener */
	struct ingest_budget *budget;
	struct budget_payer payer; /* of the body, from its first octet on */
	struct buf body;	   /* canonical message */
};
struct envelope *envelope_new(struct ingest_budget *budget);
void envelope_free(struct envelope **e);
struct envelope_recipient *envelope_add(struct envelope *e);
/* Make room for n more octets of body; false when the budget is used up (the body is then given back). */
bool envelope_reserve(struct envelope *e, size_t n, size_t expected) MUST_CHECK;

/* A reply as it goes to the client. */
struct ingest_reply {
	int code; /* 0: none yet */
	char enhanced[12];
	char text[640];
};
void ingest_reply_set(struct ingest_reply *r, int code, const char *enhanced, const char *fmt, ...) PRINTF_LIKE(4, 5);

enum ask_kind {
	ASK_LOGIN,     /* name and password, or actor token */
	ASK_SENDER,    /* MAIL FROM of an account */
	ASK_RECIPIENT, /* RCPT TO of incoming mail */
	ASK_MESSAGE,   /* a whole message */
};
struct ask {
	enum ask_kind kind;
	struct arena *arena;
	/* the question */
	struct bytes name, password; /* LOGIN; wiped by ask_free() */
	struct bytes token;	     /* LOGIN, SENDER on the internal listener */
	bool by_token;
	const char *client_ip;
	char traceparent[TRACEPARENT_SIZE];
	struct auth_identity identity; /* SENDER: asked; LOGIN: answered */
	struct bytes address;	       /* SENDER, RECIPIENT */
	struct envelope *envelope;     /* MESSAGE */
	/* the answer */
	enum rc rc;
	const char *from;	   /* LOGIN by token: the person's address */
	struct auth_sender sender; /* SENDER */
	struct uuid tenant;	   /* RECIPIENT */
	struct ingest_reply reply; /* MESSAGE */
	/* Set by the event loop when the client has gone, by the pipeline when it commits: whoever is first wins. */
	enum ask_claim { CLAIM_NONE, CLAIM_GONE, CLAIM_COMMIT } _Atomic claim;
	int64_t received_ms; /* monotonic */
	/* for whoever holds it */
	struct ask *next;
	void *owner;
};
struct ask *ask_new(enum ask_kind kind);
void ask_free(struct ask **a);
/* True for the first of the two. */
bool ask_claim(struct ask *a, enum ask_claim claim);

#endif
