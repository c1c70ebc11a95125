/* SPDX-License-Identifier: MIT
 *
 * What the files of libs/db share. Nobody else includes this.
 */
#ifndef DB_DB_INTERNAL_H
#define DB_DB_INTERNAL_H

#include <libpq-fe.h>
#include <pthread.h>
#include <uthash.h>

#include "db/db.h"

/* Types by object id (pg_type.dat); they never change. */
enum {
	OID_BOOL = 16,
	OID_BYTEA = 17,
	OID_INT8 = 20,
	OID_INT2 = 21,
	OID_INT4 = 23,
	OID_TEXT = 25,
	OID_TIMESTAMPTZ = 1184,
	OID_UUID = 2950,
	OID_BOOL_ARRAY = 1000,
	OID_BYTEA_ARRAY = 1001,
	OID_INT4_ARRAY = 1007,
	OID_TEXT_ARRAY = 1009,
	OID_INT8_ARRAY = 1016,
	OID_TIMESTAMPTZ_ARRAY = 1185,
	OID_UUID_ARRAY = 2951,
};
#define PG_EPOCH_US INT64_C(946684800000000) /* 2000-01-01 */

struct db_stmt {
	const char *sql; /* key: the literal's address */
	unsigned id;
	bool ready; /* the server said so */
	UT_hash_handle hh;
};

struct db_conn {
	PGconn *pg;
	struct db_conn *next; /* idle list */
	uint64_t generation;
	struct uuid epoch; /* names this connection as a writer of intents */
	int64_t seq;	   /* intents committed */
	struct db_stmt *stmts;
	unsigned next_stmt;
	bool warned; /* warning 01000 since the transaction began */
};

struct db_pool {
	pthread_mutex_t lock;
	pthread_cond_t freed;
	char *conninfo, *options;
	const char *intent_sql;
	int size, open;
	struct db_conn *idle;
	uint64_t generation; /* counts lost connections: older idle ones are closed, not tried */
};

/* One answer the server still owes. */
struct db_pending {
	enum { PENDING_PREPARE, PENDING_EXEC, PENDING_COMMIT, PENDING_SYNC } kind;
	struct db_stmt *stmt;
	int64_t *count; /* NULL: nobody asks how many rows */
};

struct intents {
	size_t n, cap;
	struct uuid tenant; /* of all of them */
	struct uuid *id, *subject;
	int64_t *seq, *at;
	const char **action, **outcome, **traceparent;
	struct bytes *actor, *source, *detail;
	int32_t *number;
	struct arena *arena;
};

struct db_tx {
	struct db_pool *pool;
	struct db_conn *conn;
	struct uuid tenant;
	bool has_tenant, snapshot;
	int64_t deadline_ms;
	struct db_pending *pending;
	size_t n_pending, first_pending, cap_pending;
	bool failed; /* first_err holds why */
	bool broken; /* the connection is of no more use */
	bool begun;  /* BEGIN was sent and no end was seen */
	struct err first_err;
	struct intents intents;
};

struct db_rows {
	PGresult *res;
	int row, n;
};

enum rc db_intents_flush(struct db_tx *tx, struct err *e) MUST_CHECK;
void db_intents_done(struct db_tx *tx);
enum rc db_rc_of_sqlstate(const char *sqlstate);

#endif
