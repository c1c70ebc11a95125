/* SPDX-License-Identifier: MIT
 *
 * All SQL of delivery, behind plain structs: store_accept.c (what arrives), store_legs.c (claims and every change of a
 * leg), store_view.c (what people look at), store_keys.c (signing keys), store_choices.c (routes and
 * settings), store_sandbox.c (sandboxes, notices). Everything read lies in the arena
 * given. Every function works inside a transaction of its tenant unless it takes a pool.
 */
#ifndef DELIVERY_STORE_H
#define DELIVERY_STORE_H

#include "core/arena.h"
#include "db/db.h"
#include "leg.h"

/* due_at of what does not become due by itself: 9999-01-01. */
#define STORE_NEVER_US INT64_C(253370764800000000)

enum store_direction { STORE_OUTGOING, STORE_INCOMING, STORE_SYSTEM };
const char *store_direction_str(enum store_direction d);

struct store_message {
	struct uuid id;
	int64_t accepted_us;
	enum store_direction direction;
	struct bytes mail_from; /* empty: null sender */
	uint64_t size;
	const char *traceparent;
	bool eight_bit, smtputf8;
	struct uuid account; /* nil: none */
	struct bytes account_name, client_ip, helo, protocol, tls, envid, verdict, host;
	const char *ret;
};

struct store_leg {
	int32_t number;
	struct bytes address, domain;
	enum leg_state state;
	const char *cause;
	int64_t version, epoch;
	int32_t attempts;
	int64_t due_us; /* DB_TIME_NULL: none */
	struct bytes reply, remote, rule, orcpt, decided_by;
	const char *tls, *notify;
	int64_t final_us; /* DB_TIME_NULL: not final */
	bool possible_duplicate, delay_told;
	int64_t sendable_us; /* end of its last hold; DB_TIME_NULL or 0: since acceptance */
};

/* From when on the time allowed for delivery counts. */
static inline int64_t
store_sendable_us(const struct store_message *m, const struct store_leg *l)
{
	return l->sendable_us > 0 ? l->sendable_us : m->accepted_us;
}

/* --- store_accept.c ---------------------------------------------------------------------------------------- */
struct store_arrival {
	struct store_message message;
	/* Used: state, version, epoch, attempts, address, domain, due_us, rule, notify, orcpt, cause. */
	struct store_leg *legs;
	size_t n_legs;
	bool ask_uncertain; /* out: the tenant's choice */
	bool fresh;	    /* out: not known before; only then are legs to be made */
};
/* First the messages: those that are known already stay as they are. */
enum rc store_arrive_messages(struct db_tx *tx, const struct uuid *tenant, struct store_arrival *v, size_t n,
			      struct arena *a, struct err *e) MUST_CHECK;
/* Then legs and due rows of the fresh ones; a leg in state sending is under a lease of owner until lease_us. */
enum rc store_arrive_legs(struct db_tx *tx, const struct uuid *tenant, const struct store_arrival *v, size_t n,
			  const struct uuid *owner, int64_t lease_us, struct arena *a, struct err *e) MUST_CHECK;
/* Is there a lease of that owner until exactly then on this leg? */
enum rc store_has_lease(struct db_tx *tx, const struct uuid *tenant, const struct uuid *message, int32_t number,
			const struct uuid *owner, int64_t lease_us, bool *yes_r, struct err *e) MUST_CHECK;
enum rc store_poison(struct db_tx *tx, const struct uuid *tenant, const struct uuid *id, struct bytes payload,
		     const char *why, struct err *e) MUST_CHECK;

/* --- store_legs.c ------------------------------------------------------------------------------------------ */
enum store_due { STORE_DUE_HOLD, STORE_DUE_QUARANTINE, STORE_DUE_SEND };

/* A change of one leg, and of its due row: made if state and version are still what was read. */
struct store_change {
	struct uuid message;
	const struct store_leg *was;
	struct store_leg now; /* version counts every step taken */
	enum store_due kind;
	int64_t due_us;	  /* of the due row; the row goes when now.state is final */
	int64_t lease_us; /* 0: no lease */
	bool done;	  /* out */
};
/* The one place where legs change. lease_owner for those with a lease. */
enum rc store_change(struct db_tx *tx, const struct uuid *tenant, const struct uuid *lease_owner,
		     struct store_change *v, size_t n, struct err *e) MUST_CHECK;

/* Until whoever has a lock on the due rows of that message has committed or not. */
enum rc store_wait(struct db_tx *tx, const struct uuid *tenant, const struct uuid *message, struct err *e) MUST_CHECK;

struct store_due_tenant {
	struct uuid tenant;
	int64_t due_us; /* of its first leg that is under no lease */
};
/* Every tenant that has open legs, by a loose index scan, and when its first one is due. */
enum rc store_tenants(struct db_pool *p, int64_t deadline_ms, int64_t now_us, struct arena *a,
		      struct store_due_tenant **v_r, size_t *n_r, struct err *e) MUST_CHECK;

struct store_picked {
	struct store_message message;
	struct store_leg leg;
	bool ask_uncertain; /* the tenant's choice */
};
/* At most limit due legs that nobody has a lease on, locked until the end of the transaction. */
enum rc store_pick(struct db_tx *tx, const struct uuid *tenant, int64_t now_us, int32_t limit, struct arena *a,
		   struct store_picked **v_r, size_t *n_r, struct err *e) MUST_CHECK;
/* Look at them again at due_us: nothing changes but the time of the due row. */
enum rc store_postpone(struct db_tx *tx, const struct uuid *tenant, const struct uuid *messages, const int32_t *numbers,
		       size_t n, int64_t due_us, struct err *e) MUST_CHECK;

/* Say that we are alive until then; end the leases of those that are not. If *self is no longer known, or was not seen
 * for too long, it becomes a new one: others may have taken what it had. */
enum rc store_heartbeat(struct db_pool *p, struct uuid *self, int64_t now_us, int64_t until_us, int64_t deadline_ms,
			int64_t *orphans_r, struct err *e) MUST_CHECK;
/* Gone, and what it had under a lease is free. */
enum rc store_farewell(struct db_pool *p, const struct uuid *self, int64_t deadline_ms, struct err *e) MUST_CHECK;

struct store_lease {
	struct uuid tenant, message, owner;
	const int32_t *numbers;
	size_t n;
	int64_t was_us, until_us;
};
/* Compare-and-set: all of them or RC_CONFLICT. */
enum rc store_lease_renew(struct db_pool *p, const struct store_lease *l, int64_t deadline_ms,
			  struct err *e) MUST_CHECK;

/* --- store_view.c ------------------------------------------------------------------------------------------ */
struct store_view {
	struct store_message message;
	struct store_leg *legs;
	size_t n_legs;
};
struct store_filter {
	int32_t limit;
	bool has_before;
	struct uuid before;  /* messages older than this one */
	const char *state;   /* NULL: any */
	struct bytes sender; /* p NULL: any */
	struct bytes recipient;
	const char *direction; /* NULL: any */
};
/* Newest first; legs of each by number. */
enum rc store_list(struct db_tx *tx, const struct uuid *tenant, const struct store_filter *f, struct arena *a,
		   struct store_view **v_r, size_t *n_r, struct err *e) MUST_CHECK;
/* Newest first; only legs in state held. */
enum rc store_holds(struct db_tx *tx, const struct uuid *tenant, const struct store_filter *f, struct arena *a,
		    struct store_view **v_r, size_t *n_r, struct err *e) MUST_CHECK;
/* RC_NOT_FOUND. lock: its due rows first, so that nobody else acts on it meanwhile. */
enum rc store_show(struct db_tx *tx, const struct uuid *tenant, const struct uuid *id, bool lock, struct arena *a,
		   struct store_view *out_r, struct err *e) MUST_CHECK;

struct store_event {
	int64_t at_us;
	const char *action, *outcome, *traceparent;
	struct bytes actor, detail;
	int32_t number;
};
enum rc store_timeline(struct db_tx *tx, const struct uuid *tenant, const struct uuid *message, struct arena *a,
		       struct store_event **v_r, size_t *n_r, struct err *e) MUST_CHECK;

struct store_queue_line {
	struct bytes domain;
	const char *state;
	int64_t depth, oldest_us, next_us; /* next_us DB_TIME_NULL: none */
};
enum rc store_queue(struct db_tx *tx, const struct uuid *tenant, struct arena *a, struct store_queue_line **v_r,
		    size_t *n_r, struct err *e) MUST_CHECK;
/* Open legs of all tenants by kind, and the age of the most overdue one: for the metrics. */
struct store_depth {
	int64_t hold, quarantine, send, overdue_us;
};
enum rc store_depth(struct db_pool *p, int64_t now_us, int64_t deadline_ms, struct store_depth *out_r,
		    struct err *e) MUST_CHECK;

/* --- store_keys.c ------------------------------------------------------------------------------------------ */
struct store_key {
	struct bytes domain, sealed, public_;
	const char *selector, *algorithm;
};
enum rc store_keys(struct db_tx *tx, const struct uuid *tenant, struct bytes domain, struct arena *a,
		   struct store_key **v_r, size_t *n_r, struct err *e) MUST_CHECK;
/* A domain that has keys: the preferred one if it has, else the first; NULL: none. */
enum rc store_key_domain(struct db_tx *tx, const struct uuid *tenant, struct bytes preferred, struct arena *a,
			 const char **domain_r, struct err *e) MUST_CHECK;
/* Keeps what is there: two that make keys at once end with the same ones. */
enum rc store_key_add(struct db_tx *tx, const struct uuid *tenant, const struct store_key *k, int64_t now_us,
		      struct err *e) MUST_CHECK;

struct store_route {
	const char *direction; /* "outbound", "inbound" */
	struct bytes smarthost, username, sealed_password;
	const char *tls;
	int64_t version; /* counts changes */
};
/* RC_OK with *found_r false when there is none. */
enum rc store_route(struct db_tx *tx, const struct uuid *tenant, const char *direction, struct arena *a,
		    struct store_route *out_r, bool *found_r, struct err *e) MUST_CHECK;
/* if_version 0: whatever it is now; else RC_CONFLICT "version is N" when it is another. */
enum rc store_route_set(struct db_tx *tx, const struct uuid *tenant, const struct store_route *r, int64_t if_version,
			int64_t now_us, int64_t *version_r, struct err *e) MUST_CHECK;

struct store_settings {
	const char *uncertain; /* "retry", "ask" */
	int64_t version;       /* 0: never set */
};
enum rc store_settings(struct db_tx *tx, const struct uuid *tenant, struct arena *a, struct store_settings *out_r,
		       struct err *e) MUST_CHECK;
/* if_version as for routes. */
enum rc store_settings_put(struct db_tx *tx, const struct uuid *tenant, const char *uncertain, int64_t if_version,
			   int64_t *version_r, struct err *e) MUST_CHECK;

/* --- store_sandbox.c ---------------------------------------------------------------------------------------- */
/* What kind a tenant is; no tenant is set in tx. */
enum rc store_kind(struct db_tx *tx, const struct uuid *tenant, bool *found_r, bool *sandbox_r,
		   struct err *e) MUST_CHECK;
/* Keeps what is there; *sandbox_r is what is there afterwards. */
enum rc store_kind_add(struct db_tx *tx, const struct uuid *tenant, bool sandbox, bool *sandbox_r,
		       struct err *e) MUST_CHECK;
/* All tenants that are sandboxes. */
enum rc store_sandboxes(struct db_pool *p, int64_t deadline_ms, struct arena *a, struct uuid **v_r, size_t *n_r,
			struct err *e) MUST_CHECK;

struct store_sandbox_mail {
	struct uuid id, message;
	int32_t number; /* first recipient of the transaction */
	int64_t at_us;
	struct bytes mail_from, recipients; /* joined by line feeds */
	uint64_t size;
};
/* m for those of the n recipients that the sink does not have yet; number and recipients of m are not used. *fresh_r
 * false: it has them all. */
enum rc store_sandbox_add(struct db_tx *tx, const struct uuid *tenant, const struct store_sandbox_mail *m,
			  const int32_t *numbers, const struct bytes *addresses, size_t n, bool *fresh_r,
			  struct err *e) MUST_CHECK;
/* Newest first; limit, before and recipient of f are used. */
enum rc store_sandbox_list(struct db_tx *tx, const struct uuid *tenant, const struct store_filter *f, struct arena *a,
			   struct store_sandbox_mail **v_r, size_t *n_r, struct err *e) MUST_CHECK;
/* RC_NOT_FOUND. */
enum rc store_sandbox_get(struct db_tx *tx, const struct uuid *tenant, const struct uuid *id, struct arena *a,
			  struct store_sandbox_mail *out_r, struct err *e) MUST_CHECK;
/* Deletes at most limit that are older; their ids, for their content. */
enum rc store_sandbox_purge(struct db_tx *tx, const struct uuid *tenant, int64_t before_us, int32_t limit,
			    struct arena *a, struct uuid **v_r, size_t *n_r, struct err *e) MUST_CHECK;
/* *message: the id of a new notice; if the key is known, that of the one there is, and *fresh_r false. Waits for
 * another that makes the same. */
enum rc store_notice(struct db_tx *tx, const struct uuid *tenant, const char *key, struct uuid *message, bool *fresh_r,
		     struct err *e) MUST_CHECK;

/* For idempotency keys. */
struct svc_once_sql;
extern const struct svc_once_sql store_once_sql;

#endif
