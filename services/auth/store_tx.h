/* SPDX-License-Identifier: MIT
 *
 * A transaction under way in one tenant, on somebody's behalf: what the store files share, and what a handler holds
 * while it asks, changes and answers in one commit.
 */
#ifndef AUTH_STORE_TX_H
#define AUTH_STORE_TX_H

#include "core/arena.h"
#include "db/db.h"

/* On whose behalf, when, until when. */
struct store_by {
	struct db_pool *db;
	const char *actor;	 /* account or key id as text, "system", "unknown" */
	const char *client_ip;	 /* foreign; may be "" */
	const char *traceparent; /* may be NULL */
	int64_t now_us, deadline_ms;
};

struct store_tx {
	struct db_tx *tx;
	struct uuid tenant;
	struct store_by by;
	struct arena *a; /* what is read lies here */
};

/* tenant NULL: none. */
enum rc store_begin(const struct store_by *by, const struct uuid *tenant, struct arena *a, struct store_tx *t_r,
		    struct err *e) MUST_CHECK;
/* Commit if rc is RC_OK, else roll back; a conflict found by a unique key gets words that its cause deserves. */
enum rc store_end(struct store_tx *t, enum rc rc, const char *on_unique, struct err *e) MUST_CHECK;
/* Roll back; harmless after store_end(). */
void store_drop(struct store_tx *t);

/* Arguments that begin with the tenant, as all of ours do. */
void store_args(const struct store_tx *t, struct db_args *args);
/* One row into *rows_r, standing on it; RC_NOT_FOUND with these words if there is none. */
enum rc store_row(struct store_tx *t, const char *sql, struct db_args *args, const char *none, struct db_rows **rows_r,
		  struct err *e) MUST_CHECK;

/* For the record: what was done to whom; members of detail are pairs of a name and a value, ended by NULL. */
struct store_detail {
	const char *name;
	struct bytes value;
};
enum rc store_intent(struct store_tx *t, const char *action, enum rc outcome, const struct uuid *subject,
		     const struct store_detail *detail, struct err *e) MUST_CHECK;

/* Hold the tenant's row until the end: changes of who may what go one after the other. RC_NOT_FOUND: no such tenant. */
enum rc store_lock_tenant(struct store_tx *t, struct err *e) MUST_CHECK;

/* Strings that one aggregate column holds, with a NUL between; n_r 0 for SQL NULL. */
struct bytes *store_split(struct bytes joined, struct arena *a, size_t *n_r);

#endif
