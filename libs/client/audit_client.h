/* SPDX-License-Identifier: MIT
 *
 * The only door to `audit`, the record nobody can alter unseen: one log per tenant, an entry's index is its place in it
 * (from 0) and an event's position. Blocking; thread-safe. Answers lie in the arena.
 */
#ifndef CLIENT_AUDIT_CLIENT_H
#define CLIENT_AUDIT_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/bus.h"
#include "core/arena.h"
#include "core/id.h"
#include "core/rc.h"

#define AUDIT_LIMIT_MAX	       1000 /* entries, heads or events of one answer */
#define AUDIT_EXPORT_LINES_MAX 5000 /* of one page */

struct audit_call {
	struct bus *bus;
	const struct uuid *tenant; /* for feed and last_head; elsewhere the actor's counts */
	const char *traceparent;   /* may be NULL */
	struct bytes actor_token;  /* unused by feed and last_head */
	int64_t deadline_ms;	   /* monotonic */
};

struct audit_entry {
	uint64_t index;
	int64_t at_us;
	const char *service; /* whose commit it was */
	const char *action;  /* of proto/actions.tsv, or <service>.<verb> for reads and denials */
	const char *outcome; /* "ok", "denied", ... */
	const char *actor;   /* account id, "system", ... */
	const char *source;  /* address it came from; "": from inside */
	struct uuid subject;
	int32_t number;	     /* recipient of the message, -1: none */
	struct bytes detail; /* JSON object, or empty */
	const char *traceparent;
	struct uuid id; /* of the intent */
	bool erased;	/* its key is gone: only index, id and time are known, the leaf stands */
};

/* "" and 0: no condition. */
struct audit_filter {
	const char *actor, *outcome, *source; /* exact */
	const char *action;		      /* exact, or a prefix that ends in ".": "recipient." */
	const struct uuid *subject;	      /* NULL: no condition */
	int64_t from_us, until_us;	      /* inclusive, exclusive */
};
struct audit_found {
	struct audit_entry *v; /* newest first */
	size_t n;
	const char *next_cursor; /* "": no more */
	uint64_t size;		 /* of the log */
};
/* cursor "" at first, then next_cursor, with the same filter. RC_INVALID: a cursor that is none, a bound. */
enum rc audit_search(const struct audit_call *c, const struct audit_filter *f, uint32_t limit, const char *cursor,
		     struct arena *a, struct audit_found *out_r, struct err *e) MUST_CHECK;

struct audit_head {
	uint64_t size;
	uint8_t root[32];
	int64_t at_us;
	const char *checkpoint; /* C2SP tlog-checkpoint, a signed note; ends in a newline */
};
struct audit_heads {
	struct audit_head *v; /* newest first */
	size_t n;
	const char *next_cursor;
	const char *verifier_key; /* C2SP: name+hash+key */
};
enum rc audit_heads(const struct audit_call *c, uint32_t limit, const char *cursor, struct arena *a,
		    struct audit_heads *out_r, struct err *e) MUST_CHECK;

struct audit_proof {
	uint8_t (*hashes)[32];
	size_t n;
	struct audit_head head; /* the signed head of the size in question, if there is one; else checkpoint is "" */
	uint8_t leaf[32];	/* leaf hash; inclusion only */
};
/* Of entry `index` in the tree of `size` (0: the last signed head). RC_NOT_FOUND: no such entry or size. */
enum rc audit_prove_inclusion(const struct audit_call *c, uint64_t index, uint64_t size, struct arena *a,
			      struct audit_proof *out_r, struct err *e) MUST_CHECK;
/* That the tree of `first` is the beginning of that of `size` (0: the last signed head). */
enum rc audit_prove_consistency(const struct audit_call *c, uint64_t first, uint64_t size, struct arena *a,
				struct audit_proof *out_r, struct err *e) MUST_CHECK;

struct audit_page {
	struct bytes lines; /* whole lines, the first page's begins with the header */
	uint64_t next;	    /* `first` of the next page */
	uint64_t size;	    /* `size` of the next page */
	uint32_t count;	    /* entries in lines */
	bool done;
};
/* A page of the export: first 0 and size 0, then what the page before said, until done. The pages one after the other
 * are the file of docs/audit.md. filter NULL: every entry, which alone shows that none is missing. */
enum rc audit_export(const struct audit_call *c, uint64_t first, uint64_t size, uint32_t limit,
		     const struct audit_filter *filter, bool csv, struct arena *a, struct audit_page *out_r,
		     struct err *e) MUST_CHECK;

struct audit_event {
	uint64_t position;
	const char *type; /* of proto/actions.tsv */
	int64_t at_us;
	struct uuid id;	     /* of the event, the same whenever it is asked for */
	struct uuid subject; /* nil: none */
	int32_t number;	     /* recipient of the message, -1: none */
	struct bytes data;   /* JSON object, as docs/EVENTS.md says; never empty */
	const char *traceparent;
};
struct audit_events {
	struct audit_event *v; /* by position */
	size_t n;
	uint64_t next; /* ask from here the next time: at once while it is below size */
	uint64_t size; /* of the log */
};
struct audit_events_question {
	uint64_t after;		  /* first position wanted */
	uint32_t limit;		  /* 1..AUDIT_LIMIT_MAX */
	const char *const *types; /* n_types 0: all */
	size_t n_types;
	bool from_now; /* only tell the size: no events, next = size */
};
/* For a person or a key: audit.events with the token. */
enum rc audit_events(const struct audit_call *c, const struct audit_events_question *q, struct arena *a,
		     struct audit_events *out_r, struct err *e) MUST_CHECK;
/* For notify: audit.feed, the tenant is the call's. */
enum rc audit_feed(const struct audit_call *c, const struct audit_events_question *q, struct arena *a,
		   struct audit_events *out_r, struct err *e) MUST_CHECK;

/* RC_NOT_FOUND: no head was signed yet. */
enum rc audit_last_head(const struct audit_call *c, struct arena *a, struct audit_head *out_r,
			const char **verifier_key_r, struct err *e) MUST_CHECK;

#endif
