/* SPDX-License-Identifier: MIT
 *
 * The only door to `notify`: webhooks, their attempts, test and replay. Blocking; thread-safe. Every call carries an
 * actor token for audience "notify"; the permission is named at each function. Answers live in the arena given; their
 * strings are UTF-8 and never NULL. Times are wall microseconds, 0: none.
 */
#ifndef CLIENT_NOTIFY_CLIENT_H
#define CLIENT_NOTIFY_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/bus.h"
#include "core/arena.h"
#include "core/bytes.h"
#include "core/id.h"
#include "core/rc.h"

#define NOTIFY_URL_MAX	       2048 /* octets */
#define NOTIFY_DESCRIPTION_MAX 400  /* octets of UTF-8 */
#define NOTIFY_TYPES_MAX       64
#define NOTIFY_WEBHOOKS_MAX    50 /* per tenant */
#define NOTIFY_LIST_MAX	       200
#define NOTIFY_LIST_DEFAULT    50
#define NOTIFY_OVERLAP_MAX     604800 /* seconds that two secrets sign */
#define NOTIFY_REPLAY_MAX      10000  /* events in one replay; by id: 100 */
#define NOTIFY_REPLAY_IDS_MAX  100
#define NOTIFY_RESPONSE_MAX    1000 /* octets of an answer that are kept */

/* Who asks, for whom, until when. */
struct notify_call {
	struct bus *bus;
	const struct uuid *tenant;
	const char *traceparent;     /* may be NULL */
	struct bytes actor_token;    /* audience "notify" */
	const char *idempotency_key; /* of what changes something; NULL or "": none */
	int64_t deadline_ms;	     /* monotonic */
};

struct notify_webhook {
	struct uuid id;
	const char *url;
	const char *description;
	const char **types; /* n 0: all events */
	size_t n_types;
	bool enabled;
	const char *disabled_why; /* "" while enabled */
	int64_t created_us;
	uint64_t version;	  /* counts changes by people, and a disabling by the service */
	uint64_t position;	  /* next event of the tenant's log to be sent */
	int64_t failing_since_us; /* 0: the last attempt went well */
	const char *last_error;	  /* "" while not failing */
	int64_t next_attempt_us;  /* while failing */
	uint64_t delivered;	  /* events */
	uint64_t failed;	  /* attempts */
};
struct notify_webhooks {
	struct notify_webhook *v;
	size_t n;
	const char *next_cursor; /* "": no more */
};

/* webhook.read. Oldest first. limit 0: NOTIFY_LIST_DEFAULT. RC_INVALID: a cursor that is none. */
enum rc notify_webhook_list(const struct notify_call *c, uint32_t limit, const char *cursor, struct arena *a,
			    struct notify_webhooks *out_r, struct err *e) MUST_CHECK;
/* webhook.read. RC_NOT_FOUND: no such webhook of this tenant. */
enum rc notify_webhook_get(const struct notify_call *c, const struct uuid *id, struct arena *a,
			   struct notify_webhook *out_r, struct err *e) MUST_CHECK;

struct notify_webhook_wish {
	const char *url;	 /* https; the address it leads to is looked at when it is used */
	const char *description; /* may be NULL */
	const char *const *types;
	size_t n_types; /* 0: all events */
	bool enabled;
};
/* webhook.write and event.read. It gets the events that come after it. RC_INVALID: the text begins with the field
 * ("url: ...", "description: ...", "types: ..." or "types[3]: ..."); RC_LIMIT: NOTIFY_WEBHOOKS_MAX are there. */
enum rc notify_webhook_create(const struct notify_call *c, const struct notify_webhook_wish *w, struct arena *a,
			      struct notify_webhook *out_r, const char **secret_r, struct err *e) MUST_CHECK;
/* webhook.write and event.read. All fields are set. if_version 0: whatever it is now; else RC_CONFLICT "version is N".
 * Enabling makes it due at once; it goes on where it stood. */
enum rc notify_webhook_update(const struct notify_call *c, const struct uuid *id, uint64_t if_version,
			      const struct notify_webhook_wish *w, struct arena *a, struct notify_webhook *out_r,
			      struct err *e) MUST_CHECK;
/* webhook.write. With its attempts and what waits for it. */
enum rc notify_webhook_delete(const struct notify_call *c, const struct uuid *id, uint64_t if_version, struct arena *a,
			      struct err *e) MUST_CHECK;
/* webhook.write. The new secret signs at once, the old one too until *old_until_us_r. RC_INVALID: an overlap over
 * NOTIFY_OVERLAP_MAX. */
enum rc notify_webhook_rotate(const struct notify_call *c, const struct uuid *id, uint32_t overlap_seconds,
			      struct arena *a, const char **secret_r, int64_t *old_until_us_r,
			      struct err *e) MUST_CHECK;

struct notify_attempt {
	struct uuid id;
	const char *event; /* the webhook-id header */
	const char *type;
	uint64_t position; /* 0 for a test event */
	int64_t at_us;
	uint32_t number;   /* of this event, from 1 */
	uint32_t status;   /* HTTP; 0: no answer came */
	const char *error; /* one line; "" if it went well */
	uint32_t duration_ms;
	const char *response; /* at most NOTIFY_RESPONSE_MAX octets; what is not UTF-8 is replaced */
	bool ok;
};
struct notify_attempts {
	struct notify_attempt *v;
	size_t n;
	const char *next_cursor;
};
/* webhook.write. Sends an event of type "webhook.test" now, also by a disabled webhook, and waits for what comes of it
 * (at most 15 s; give it 20 s). An attempt that fails is RC_OK with ok false. */
enum rc notify_webhook_test(const struct notify_call *c, const struct uuid *id, struct arena *a,
			    struct notify_attempt *out_r, struct err *e) MUST_CHECK;
/* webhook.read. Newest first. */
enum rc notify_webhook_attempts(const struct notify_call *c, const struct uuid *id, uint32_t limit, const char *cursor,
				bool failed_only, struct arena *a, struct notify_attempts *out_r,
				struct err *e) MUST_CHECK;

struct notify_replay {
	uint64_t from;	/* position, inclusive */
	uint64_t until; /* exclusive; 0: where the webhook stands */
	const char *const *events;
	size_t n_events; /* else these, and not from and until */
};
/* webhook.write and event.read. Queues events to be sent once more, with the webhook-id they had. RC_INVALID: nothing
 * or too much is asked for, or beyond where the webhook stands; RC_NOT_FOUND: no such webhook, or an event it never had
 * an attempt of. */
enum rc notify_webhook_replay(const struct notify_call *c, const struct uuid *id, const struct notify_replay *q,
			      struct arena *a, uint64_t *count_r, struct err *e) MUST_CHECK;

#endif
