/* SPDX-License-Identifier: MIT
 *
 * All SQL of this service. What takes a struct db_tx is part of the caller's transaction, which has the tenant; what
 * takes a pool is a transaction of its own. Answers live in the arena.
 */
#ifndef NOTIFY_STORE_H
#define NOTIFY_STORE_H

#include "core/arena.h"
#include "db/db.h"
#include "svc/once.h"

extern const struct svc_once_sql store_once_sql;

struct store_webhook {
	struct uuid id;
	struct bytes url, description;
	const char *const *types;
	size_t n_types;
	bool enabled;
	const char *disabled_why;
	int64_t made_us;
	int64_t version;
	struct bytes sealed, old_sealed; /* old_sealed p NULL: none */
	int64_t old_until_us;		 /* DB_TIME_NULL: none */
	int64_t position;
	int32_t attempts;
	int64_t failing_since_us; /* DB_TIME_NULL: not failing */
	const char *last_error;
	int64_t delivered, failed;
	const char *kind; /* of its row in due */
	int64_t due_us;
};

/* --- webhooks, as people change them (store.c) --------------------------------------------------------------- */
enum rc store_webhook_count(struct db_tx *tx, const struct uuid *tenant, int64_t *n_r, struct err *e) MUST_CHECK;
enum rc store_webhook_add(struct db_tx *tx, const struct uuid *tenant, const struct store_webhook *w,
			  struct err *e) MUST_CHECK;
/* for_change: locks it. RC_NOT_FOUND. */
enum rc store_webhook_get(struct db_tx *tx, const struct uuid *tenant, const struct uuid *id, bool for_change,
			  struct arena *a, struct store_webhook *out_r, struct err *e) MUST_CHECK;
/* By id, those after `after`. */
enum rc store_webhook_page(struct db_tx *tx, const struct uuid *tenant, const struct uuid *after, int32_t limit,
			   struct arena *a, struct store_webhook **v_r, size_t *n_r, struct err *e) MUST_CHECK;
/* url, description, types, enabled, disabled_why; the ladder begins anew and it is due at now_us. */
enum rc store_webhook_set(struct db_tx *tx, const struct uuid *tenant, const struct store_webhook *w, int64_t now_us,
			  struct err *e) MUST_CHECK;
enum rc store_webhook_secrets(struct db_tx *tx, const struct uuid *tenant, const struct store_webhook *w,
			      struct err *e) MUST_CHECK;
enum rc store_webhook_delete(struct db_tx *tx, const struct uuid *tenant, const struct uuid *id,
			     struct err *e) MUST_CHECK;

struct store_attempt {
	struct uuid id, event;
	const char *type;
	int64_t position, at_us;
	int32_t number, status;
	const char *error;
	int32_t duration_ms;
	struct bytes response;
	bool ok;
};
enum rc store_attempts_add(struct db_tx *tx, const struct uuid *tenant, const struct uuid *webhook,
			   const struct store_attempt *v, size_t n, struct err *e) MUST_CHECK;
/* Newest first, those older than `before` (NULL: from the newest). */
enum rc store_attempts_page(struct db_tx *tx, const struct uuid *tenant, const struct uuid *webhook,
			    const struct uuid *before, bool failed_only, int32_t limit, struct arena *a,
			    struct store_attempt **v_r, size_t *n_r, struct err *e) MUST_CHECK;
/* Positions of events that this webhook was tried with, ascending, each once. */
enum rc store_event_positions(struct db_tx *tx, const struct uuid *tenant, const struct uuid *webhook,
			      const struct uuid *events, size_t n, struct arena *a, int64_t **v_r, size_t *n_r,
			      struct err *e) MUST_CHECK;

struct store_replay {
	struct uuid id;
	int64_t next, until;
	int32_t attempts;
	int64_t due_us;
};
enum rc store_replays_add(struct db_tx *tx, const struct uuid *tenant, const struct uuid *webhook,
			  const struct store_replay *v, size_t n, struct err *e) MUST_CHECK;
enum rc store_replays_count(struct db_tx *tx, const struct uuid *tenant, const struct uuid *webhook, int64_t *n_r,
			    struct err *e) MUST_CHECK;

/* --- what is due, and turns (store_work.c) ------------------------------------------------------------------- */
struct store_claim {
	struct uuid tenant, id;
	int64_t epoch, version; /* of its row in due */
	bool slow;
	int64_t lease_us;
};
struct store_claim_wish {
	struct uuid owner;
	int64_t now_us, lease_us;
	int32_t limit;	    /* at most so many */
	int32_t slow_limit; /* of them slow or failing ones */
	int32_t per_tenant; /* with those that are under way: */
	const struct uuid *busy_tenants;
	const int32_t *busy;
	size_t n_busy;
	int32_t slow_ms; /* the last attempt took so long: slow */
};
enum rc store_claim(struct db_pool *pool, const struct store_claim_wish *w, struct arena *a, struct store_claim **v_r,
		    size_t *n_r, int64_t deadline_ms, struct err *e) MUST_CHECK;
/* The logs of these tenants have grown. */
enum rc store_hint(struct db_pool *pool, const struct uuid *tenants, size_t n, int64_t now_us, int64_t deadline_ms,
		   struct err *e) MUST_CHECK;

/* The webhook and the replay that is due first (its id nil: none). RC_NOT_FOUND: deleted meanwhile. */
enum rc store_turn_load(struct db_pool *pool, const struct store_claim *c, struct arena *a, struct store_webhook *w_r,
			struct store_replay *replay_r, int64_t deadline_ms, struct err *e) MUST_CHECK;

/* What a turn has done since its last commit, and where it stands now. */
struct store_progress {
	const struct store_claim *claim;
	int64_t position;
	int32_t attempts;
	int64_t failing_since_us; /* DB_TIME_NULL: not failing */
	const char *last_error;
	int64_t delivered, failed; /* to be added */
	const char *disable_why;   /* NULL: stays enabled */
	const struct store_attempt *log;
	size_t n_log;
	const struct store_replay *replay; /* NULL: none was touched; next == until: it is done */
	int32_t last_ms;		   /* how long the last attempt took */
	bool last;			   /* gives the lease back: */
	const char *kind;
	int64_t due_us;
	int64_t next_at_us; /* when the event it fails to send happened, or DB_TIME_NULL */
	int64_t now_us;
	int64_t webhook_version; /* as loaded */
};
/* RC_NOT_FOUND: the webhook was deleted; RC_CONFLICT: the lease is no longer ours. If a person changed it meanwhile,
 * what was sent is noted, the rest stays as that person left it, and it is due at once. */
enum rc store_progress(struct db_tx *tx, const struct store_progress *p, bool *changed_r, struct err *e) MUST_CHECK;
/* Give a lease back without having done anything; due then. */
enum rc store_give_back(struct db_pool *pool, const struct store_claim *c, int64_t due_us, int64_t deadline_ms,
			struct err *e) MUST_CHECK;

struct store_stats {
	int64_t off, idle, ready, retry;
	int64_t oldest_us; /* DB_TIME_NULL: none */
};
enum rc store_stats(struct db_pool *pool, int64_t now_us, struct store_stats *out_r, int64_t deadline_ms,
		    struct err *e) MUST_CHECK;

/* Attempts of webhooks after (tenant, id) `from`: those older than before_us and those beyond `keep` newest go, of at
 * most `limit` webhooks. *from is moved on; *done_r: there were no more. */
enum rc store_tidy(struct db_pool *pool, struct store_claim *from, int64_t before_us, int64_t keep, int32_t limit,
		   struct arena *a, bool *done_r, int64_t deadline_ms, struct err *e) MUST_CHECK;

/* --- heads --------------------------------------------------------------------------------------------------- */
/* The period and size that were mailed last; -1: none. */
enum rc store_head_get(struct db_tx *tx, const struct uuid *tenant, int64_t *period_r, int64_t *size_r,
		       struct err *e) MUST_CHECK;
/* *first_r: nobody had recorded it yet. */
enum rc store_head_set(struct db_tx *tx, const struct uuid *tenant, int64_t period, int64_t size, int64_t now_us,
		       bool *first_r, struct err *e) MUST_CHECK;

#endif
