/* SPDX-License-Identifier: MIT
 *
 * The only door to `delivery`: messages and what became of each recipient, holds, the queue, signing keys, routes.
 * Blocking; thread-safe. Every call but delivery_notice() carries an actor token for audience "delivery"; the
 * permission is named at each function. Answers live in the arena given; strings of answers are never NULL; foreign
 * octets are struct bytes.
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
	struct bytes actor_token; /* audience "delivery"; empty for delivery_notice() */
	int64_t deadline_ms;	  /* monotonic */
	/* Of the operations that change something (release, discard, dkim, route_set, settings_put): the same key and
	 * request have one effect and one answer; the key with another request is RC_CONFLICT. NULL or "": none. */
	const char *idempotency_key;
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
	uint64_t version;      /* counts changes; 0: never set */
};
/* route.read. The route of that direction ("outbound", "inbound"); what holds without one when none was ever set. */
enum rc delivery_route_get(const struct delivery_call *c, const char *direction, struct arena *a,
			   struct delivery_route *out_r, struct err *e) MUST_CHECK;
/* route.write. Sets the route of set->direction, and answers what is in force. A route without a username drops the
 * password; a username needs tls "encrypt" or "verify". if_version 0: whatever it is now; else RC_CONFLICT with
 * "version is N" when it is another. */
enum rc delivery_route_set(const struct delivery_call *c, const struct delivery_route *set, uint64_t if_version,
			   struct arena *a, struct delivery_route *out_r, struct err *e) MUST_CHECK;

struct delivery_settings {
	const char *uncertain; /* sent, but no answer to the final dot: "retry" (default) or "ask" */
	uint64_t version;      /* 0: never set */
};
/* route.read. */
enum rc delivery_settings_get(const struct delivery_call *c, struct arena *a, struct delivery_settings *out_r,
			      struct err *e) MUST_CHECK;
/* route.write. if_version as for routes. */
enum rc delivery_settings_put(const struct delivery_call *c, const char *uncertain, uint64_t if_version,
			      struct arena *a, struct delivery_settings *out_r, struct err *e) MUST_CHECK;

struct delivery_search_query {
	const char *query;     /* words; "quoted": together in this order; all must occur */
	uint32_t limit;	       /* 0: DELIVERY_LIST_DEFAULT, at most DELIVERY_LIST_MAX */
	const char *cursor;    /* "" or NULL: from the newest */
	int64_t from_us;       /* accepted, inclusive; 0: no bound */
	int64_t until_us;      /* exclusive; 0: no bound */
	const char *direction; /* "" or NULL: any */
};
struct delivery_found {
	struct delivery_messages messages; /* newest first, with subject */
	int64_t indexed_until_us;	   /* messages accepted later may be missing yet; 0: none is */
};
/* message.read. RC_INVALID: no word in it, too many, or a cursor that is none. */
enum rc delivery_search(const struct delivery_call *c, const struct delivery_search_query *q, struct arena *a,
			struct delivery_found *out_r, struct err *e) MUST_CHECK;

/* --- what the sink of a sandbox tenant received ----------------------------------------------------------- */
struct delivery_sandbox_mail {
	struct uuid id;	     /* of this transaction at the sink */
	struct uuid message; /* it came from */
	int64_t at_us;
	struct bytes mail_from; /* empty: null sender */
	struct bytes *recipients;
	size_t n_recipients;
	uint64_t size; /* octets of the content */
	const char *subject;
};
struct delivery_sandbox_mails {
	struct delivery_sandbox_mail *v;
	size_t n;
	const char *next_cursor; /* "": no more */
};
/* message.read. Newest first. recipient "" or NULL: any; else exact. limit and cursor as in delivery_list(). Empty for
 * tenants that are no sandbox. */
enum rc delivery_sandbox_list(const struct delivery_call *c, uint32_t limit, const char *cursor, const char *recipient,
			      struct arena *a, struct delivery_sandbox_mails *out_r, struct err *e) MUST_CHECK;
/* message.read. content_r: as a receiving server would have got it, octet for octet. RC_NOT_FOUND. */
enum rc delivery_sandbox_get(const struct delivery_call *c, const struct uuid *id, struct arena *a,
			     struct delivery_sandbox_mail *out_r, struct bytes *content_r, struct err *e) MUST_CHECK;

/* --- mail born inside --------------------------------------------------------------------------------------- */
#define DELIVERY_NOTICE_KEY_MAX	       200
#define DELIVERY_NOTICE_SUBJECT_MAX    400	     /* octets of UTF-8, one line */
#define DELIVERY_NOTICE_TEXT_MAX       (256u * 1024) /* octets of UTF-8 */
#define DELIVERY_NOTICE_ATTACHMENT_MAX (1024u * 1024)
struct delivery_notice {
	const char *key;     /* the same key makes the same mail once per tenant */
	const char *to;	     /* one address */
	const char *subject; /* UTF-8, one line */
	const char *text;    /* UTF-8; lines end in \n */
	const char *cause;   /* "audit.head", ...: cause of the added recipient; a-z, digits, dots, underscores */
	const char *attachment_name; /* NULL or "": none */
	struct bytes attachment;     /* text/plain */
};
/* Services only, no token: a mail of class system to a person. message_r: its id, the same for the same key. */
enum rc delivery_notice(const struct delivery_call *c, const struct delivery_notice *n, struct uuid *message_r,
			struct err *e) MUST_CHECK;

#endif
