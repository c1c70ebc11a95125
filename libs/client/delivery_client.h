/* SPDX-License-Identifier: MIT
 *
 * The only door to `delivery`: messages and what became of each recipient, holds, the queue, signing keys, routes.
 * Blocking; thread-safe. Every call carries an actor token for audience "delivery"; the permission is named at each
 * function. Answers live in the arena given; strings of answers are never NULL; foreign octets are struct bytes.
 */
#ifndef CLIENT_DELIVERY_CLIENT_H
#define CLIENT_DELIVERY_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/bus.h"
#include "core/arena.h"
#include "core/bytes.h"
#include "core/id.h"
#include "core/rc.h"

#define DELIVERY_LIST_MAX     200
#define DELIVERY_LIST_DEFAULT 50
#define DELIVERY_ACT_MAX      2000 /* recipient numbers in one request */
#define DELIVERY_REASON_MAX   400  /* octets of UTF-8 */

/* Who asks, for whom, until when. */
struct delivery_call {
	struct bus *bus;
	const struct uuid *tenant;
	const char *traceparent;  /* may be NULL */
	struct bytes actor_token; /* audience "delivery" */
	int64_t deadline_ms;	  /* monotonic */
};

struct delivery_recipient {
	struct bytes address;
	/* held, queued, sending, deferred, delivered, bounced, refused, discarded, expired, uncertain, quarantined */
	const char *state;
	int64_t due_us; /* held: when the timer ends; deferred: next attempt; 0: none */
	const char *rule;
	const char *cause; /* "envelope", or what added it ("dsn", ...) */
	uint32_t attempts;
	const char *reply;  /* last SMTP reply or reason, one line of UTF-8 */
	const char *remote; /* host and address it was given to */
	const char *tls;    /* "TLSv1.3 TLS_AES_256_GCM_SHA384 verified", "none", "" */
	uint64_t version;   /* counts changes */
	uint32_t number;    /* position in the message, from 0 */
	int64_t final_us;   /* 0: not final */
	bool possible_duplicate;
};

struct delivery_message {
	struct uuid id;
	int64_t accepted_us;
	const char *direction;	/* "outgoing", "incoming", "system" */
	struct bytes mail_from; /* empty: null sender */
	uint64_t size;
	const char *subject;  /* delivery_show() only; else "" */
	const char *trace_id; /* 32 hex digits */
	const char *verdict;
	struct delivery_recipient *recipients;
	size_t n_recipients;
};
struct delivery_messages {
	struct delivery_message *v;
	size_t n;
	const char *next_cursor; /* "": no more */
};

struct delivery_list_query {
	uint32_t limit;	       /* 0: DELIVERY_LIST_DEFAULT */
	const char *cursor;    /* "" or NULL: from the newest */
	const char *state;     /* "" or NULL: any; else messages with a recipient in that state */
	const char *sender;    /* "" or NULL: any; else the exact MAIL FROM */
	const char *recipient; /* "" or NULL: any; else exact */
	const char *direction; /* "" or NULL: any */
};
/* message.read. Newest first. RC_INVALID: a word or cursor that is none. */
enum rc delivery_list(const struct delivery_call *c, const struct delivery_list_query *q, struct arena *a,
		      struct delivery_messages *out_r, struct err *e) MUST_CHECK;
/* message.read. Newest first; each message with its held recipients only. */
enum rc delivery_holds(const struct delivery_call *c, uint32_t limit, const char *cursor, struct arena *a,
		       struct delivery_messages *out_r, struct err *e) MUST_CHECK;

struct delivery_timeline_entry {
	int64_t at_us;
	const char *action;   /* "mail.accepted", "recipient.delivered", ... */
	const char *actor;    /* account name, "system", ... */
	int32_t recipient;    /* number; -1: the whole message */
	const char *detail;   /* JSON object or "" */
	const char *trace_id; /* 32 hex digits or "" */
	const char *outcome;  /* name of an enum rc */
};
struct delivery_shown {
	struct delivery_message message;
	struct bytes decision; /* JSON; empty: none */
	struct delivery_timeline_entry *timeline;
	size_t n_timeline;
};
/* message.read. RC_NOT_FOUND: no such message of this tenant. */
enum rc delivery_show(const struct delivery_call *c, const struct uuid *id, struct arena *a,
		      struct delivery_shown *out_r, struct err *e) MUST_CHECK;

struct delivery_act_request {
	struct uuid id;
	const uint32_t *numbers; /* n 0: every recipient that can be acted on */
	size_t n_numbers;
	const char *reason; /* may be "" or NULL */
};
struct delivery_act_result {
	uint32_t number;
	const char *status;	/* "ok", "conflict", "not_found" */
	const char *state;	/* now; "" when not found */
	const char *decided_by; /* conflict: who was first */
};
struct delivery_acted {
	struct delivery_act_result *v;
	size_t n;
};
/* hold.release: send now (held, quarantined, deferred, uncertain). RC_OK with a result per recipient;
 * RC_NOT_FOUND: no such message. Acting twice is a conflict that names who was first. */
enum rc delivery_release(const struct delivery_call *c, const struct delivery_act_request *r, struct arena *a,
			 struct delivery_acted *out_r, struct err *e) MUST_CHECK;
/* hold.discard: never send (held, queued, deferred, quarantined, uncertain). As above. */
enum rc delivery_discard(const struct delivery_call *c, const struct delivery_act_request *r, struct arena *a,
			 struct delivery_acted *out_r, struct err *e) MUST_CHECK;

struct delivery_queue_line {
	const char *destination; /* domain in A-label form */
	const char *state;	 /* held, queued, sending, deferred, uncertain, quarantined */
	uint64_t depth;
	int64_t oldest_us; /* acceptance of the oldest */
	int64_t next_us;   /* next attempt or end of a timer; 0: none */
};
struct delivery_queue_view {
	struct delivery_queue_line *v;
	size_t n;
};
/* queue.read. By depth, largest first; at most 1000 lines. */
enum rc delivery_queue(const struct delivery_call *c, struct arena *a, struct delivery_queue_view *out_r,
		       struct err *e) MUST_CHECK;

struct delivery_dns_record {
	const char *name;		  /* "<selector>._domainkey.example.com" */
	const char *type;		  /* "TXT" */
	const char *value;		  /* whole, unquoted */
	const char *selector, *algorithm; /* "rsa-sha256", "ed25519-sha256" */
};
struct delivery_dns_records {
	struct delivery_dns_record *v;
	size_t n;
};
/* domain.write. Makes an RSA-2048 and an Ed25519 key for the domain if it has none; always answers what to publish. */
enum rc delivery_dkim(const struct delivery_call *c, const char *domain, struct arena *a,
		      struct delivery_dns_records *out_r, struct err *e) MUST_CHECK;

struct delivery_route {
	const char *direction; /* "outbound", "inbound" */
	const char *smarthost; /* "host:port"; "": MX (outbound) or none (inbound) */
	const char *username;  /* "": no AUTH */
	const char *password;  /* only to set; NULL in answers */
	const char *tls;       /* "may", "encrypt", "verify" */
};
/* route.write. With set NULL only reads the route of that direction. A route without a username drops the password;
 * a username needs tls "encrypt" or "verify". */
enum rc delivery_route(const struct delivery_call *c, const char *direction, const struct delivery_route *set,
		       struct arena *a, struct delivery_route *out_r, struct err *e) MUST_CHECK;

#endif
