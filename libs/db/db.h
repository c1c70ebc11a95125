/* SPDX-License-Identifier: MIT
 *
 * PostgreSQL. A pool of connections, and transactions that belong to one tenant (row-level security) or, for the
 * content-free tables, to none. Statements are pipelined: db_exec() only queues, db_query() and db_commit() wait, so
 * a transaction of any number of db_exec() costs one round trip. Every SQL text is a string literal of a store file;
 * it is prepared once per connection, keyed by its address.
 *
 * A transaction is used by one thread; the pool by any. After any failure the transaction is only good for db_end().
 */
#ifndef DB_DB_H
#define DB_DB_H

#include <stdbool.h>
#include <stdint.h>

#include "core/bytes.h"
#include "core/id.h"
#include "core/rc.h"

struct db_pool;
struct db_tx;
struct db_rows;

struct db_options {
	const char *conninfo; /* libpq connection string */
	int size;	      /* connections at most */
	/* "INSERT INTO <schema>.audit_intent ...": DB_INTENT_SQL("ingest"); NULL when the service writes none. */
	const char *intent_sql;
	/* More settings of the sessions, "-c name=value ..."; NULL: none. Theirs are plan_cache_mode=force_generic_plan
	 * and jit=off (docs/decisions/0050); an "options" of the connection string or PGOPTIONS come last and win. */
	const char *settings;
};

/* Opens no connection yet: a service starts without its database and becomes ready when it is there. */
enum rc db_pool_new(const struct db_options *o, struct db_pool **out_r, struct err *e) MUST_CHECK;
void db_pool_free(struct db_pool **p);
/* One round trip; for readiness. */
enum rc db_ping(struct db_pool *p, int64_t deadline_ms, struct err *e) MUST_CHECK;

/* Begin (waits for a free connection until the monotonic deadline, which bounds the whole transaction). tenant NULL:
 * none, row-level security shows no tenant's rows. RC_RETRY when the database is down or the pool is empty for too
 * long. */
enum rc db_begin(struct db_pool *p, const struct uuid *tenant, int64_t deadline_ms, struct db_tx **out_r,
		 struct err *e) MUST_CHECK;
/* REPEATABLE READ, READ ONLY: one snapshot. Such a transaction may go on to another tenant with db_set_tenant(). */
enum rc db_begin_snapshot(struct db_pool *p, int64_t deadline_ms, struct db_tx **out_r, struct err *e) MUST_CHECK;
/* Whoever has written audit intents comes back to their tenant before the commit, else it is RC_INTERNAL. */
enum rc db_set_tenant(struct db_tx *tx, const struct uuid *tenant, struct err *e) MUST_CHECK;
/* The tenant whose rows it sees now; NULL: none. */
const struct uuid *db_tenant(const struct db_tx *tx);

/* RC_OK only if the command tag was COMMIT, without warning 01000, on a live connection (PITFALLS). RC_RETRY with
 * "outcome unknown" in its text when the connection went away during COMMIT. Queued intents are written first.
 * Ends the transaction in every case and sets *tx to NULL. */
enum rc db_commit(struct db_tx **tx, struct err *e) MUST_CHECK;
/* Roll back (unless committed) and give the connection back. NULL is fine. */
void db_end(struct db_tx **tx);

/* --- parameters: binary, in order $1.. ------------------------------------------------------------------- */
#define DB_ARGS_MAX 40
struct db_args {
	int n;
	bool failed;
	unsigned types[DB_ARGS_MAX];
	const char *values[DB_ARGS_MAX];
	int lengths[DB_ARGS_MAX];
	uint8_t small[DB_ARGS_MAX][16];
	struct buf *arrays[DB_ARGS_MAX]; /* owned */
};
/* Values are borrowed until the db_exec()/db_query() they are used in returned. */
void db_args_init(struct db_args *a);
void db_args_done(struct db_args *a);
void db_arg_uuid(struct db_args *a, const struct uuid *v); /* NULL: SQL NULL */
void db_arg_bytes(struct db_args *a, struct bytes v);	   /* bytea; v.p NULL: SQL NULL */
void db_arg_text(struct db_args *a, const char *v);	   /* our own words only, never foreign bytes; NULL: SQL NULL */
void db_arg_int(struct db_args *a, int32_t v);		   /* int4 */
void db_arg_long(struct db_args *a, int64_t v);		   /* int8 */
void db_arg_bool(struct db_args *a, bool v);
void db_arg_time(struct db_args *a, int64_t wall_us); /* timestamptz; DB_TIME_NULL: SQL NULL */
#define DB_TIME_NULL INT64_MIN
void db_arg_uuids(struct db_args *a, const struct uuid *v, size_t n);
void db_arg_bytes_array(struct db_args *a, const struct bytes *v, size_t n); /* an element with p NULL: SQL NULL */
void db_arg_texts(struct db_args *a, const char *const *v, size_t n);
void db_arg_ints(struct db_args *a, const int32_t *v, size_t n);
void db_arg_longs(struct db_args *a, const int64_t *v, size_t n);
void db_arg_bools(struct db_args *a, const bool *v, size_t n);
void db_arg_times(struct db_args *a, const int64_t *wall_us, size_t n); /* an element DB_TIME_NULL: SQL NULL */

/* --- statements ------------------------------------------------------------------------------------------ */
/* Queue a statement; args may be NULL. Consumes args (db_args_done). An error shows at the next db_query(),
 * db_exec_count() or db_commit(). */
enum rc db_exec(struct db_tx *tx, const char *sql, struct db_args *args, struct err *e) MUST_CHECK;
/* As db_exec, and wait for the number of rows it changed. */
enum rc db_exec_count(struct db_tx *tx, const char *sql, struct db_args *args, int64_t *count_r,
		      struct err *e) MUST_CHECK;
/* As db_exec; how many rows it changed or found is in *count_r when the next of these that waits has
 * returned RC_OK; after a failure nothing is written any more. For the same
 * statement many times over with other parameters: one round trip, and a plan that needs no luck (0052). */
enum rc db_exec_counted(struct db_tx *tx, const char *sql, struct db_args *args, int64_t *count_r,
			struct err *e) MUST_CHECK;
/* Wait for everything queued so far. */
enum rc db_wait(struct db_tx *tx, struct err *e) MUST_CHECK;
/* Queue, wait, and hand out the rows (valid until db_rows_free(), even after the transaction's end).
 * Errors: unique or exclusion violation RC_CONFLICT; serialization, deadlock, connection, resource RC_RETRY;
 * check or not-null violation, bad input RC_INVALID; insufficient privilege RC_DENIED; others RC_INTERNAL. */
enum rc db_query(struct db_tx *tx, const char *sql, struct db_args *args, struct db_rows **rows_r,
		 struct err *e) MUST_CHECK;

/* db_query() and db_commit() in one round trip, for a transaction whose last statement is the one with rows. Ends the
 * transaction in every case; rows are handed out only if it committed. */
enum rc db_query_commit(struct db_tx **tx, const char *sql, struct db_args *args, struct db_rows **rows_r,
			struct err *e) MUST_CHECK;

int db_rows_count(const struct db_rows *r);
bool db_rows_next(struct db_rows *r); /* before the first row at the beginning */
void db_rows_free(struct db_rows **r);
/* Column of the current row, from 0; the type must be the column's, else abort. Pointers live as long as the rows. */
bool db_is_null(const struct db_rows *r, int col);
struct uuid db_uuid(const struct db_rows *r, int col);
struct bytes db_bytes(const struct db_rows *r, int col); /* bytea, text; NULL: p NULL */
const char *db_text(const struct db_rows *r, int col);	 /* text; NULL: NULL */
int64_t db_int(const struct db_rows *r, int col);	 /* int2, int4, int8 */
bool db_bool(const struct db_rows *r, int col);
int64_t db_time(const struct db_rows *r, int col); /* wall us; NULL: DB_TIME_NULL */

/* --- audit intents --------------------------------------------------------------------------------------- */
/* What this transaction did, for the record nobody can alter unseen; written by db_commit() in the same commit. Each
 * connection is a writer with an epoch (its UUID) and a sequence without gaps, so a lost intent shows. */
struct audit_intent {
	const char *action;  /* "mail.accepted", "recipient.delivered", ... static or alive until the commit */
	const char *outcome; /* rc_str() name: "ok", "denied", ... */
	struct bytes actor;  /* account id, "system", ...; foreign bytes allowed */
	struct bytes source; /* address it came from; empty: from inside */
	struct uuid subject; /* message, tenant, person, ... */
	int32_t number;	     /* recipient in the message, -1: none */
	int64_t at_us;
	struct bytes detail;	 /* JSON object, or empty */
	const char *traceparent; /* may be NULL */
};
/* Copies everything. RC_INTERNAL if the transaction has no tenant, has intents of another one, or the pool no
 * intent_sql. */
enum rc db_intent(struct db_tx *tx, const struct audit_intent *i, struct err *e) MUST_CHECK;

#define DB_INTENT_SQL(schema)                                                                                          \
	"INSERT INTO " schema                                                                                          \
	".audit_intent (tenant, id, writer, epoch, seq, at, action, outcome, actor, subject, number, "                 \
	"detail, traceparent, source) SELECT $1, u.id, $2, $3, u.seq, u.at, u.action, u.outcome, u.actor, u.subject, " \
	"u.number, u.detail, u.traceparent, u.source FROM unnest($4::uuid[], $5::int8[], $6::timestamptz[], "          \
	"$7::text[], $8::text[], $9::bytea[], $10::uuid[], $11::int4[], $12::bytea[], $13::text[], $14::bytea[]) "     \
	"AS u(id, seq, at, action, outcome, actor, subject, number, detail, traceparent, source)"

#endif
