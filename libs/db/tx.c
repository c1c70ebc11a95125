/* SPDX-License-Identifier: MIT
 *
 * Transactions in libpq's pipeline mode: statements are queued, answers are taken in order when somebody waits. After
 * an error the server skips everything up to the next Sync; then ROLLBACK clears the transaction.
 */
#include "db/db_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"
#include "db/pool_internal.h"

enum rc
db_rc_of_sqlstate(const char *s)
{
	if (s == NULL)
		return RC_RETRY;
	if (strcmp(s, "23505") == 0 || strcmp(s, "23P01") == 0)
		return RC_CONFLICT;
	if (strcmp(s, "42501") == 0)
		return RC_DENIED;
	if (strncmp(s, "23", 2) == 0 || strncmp(s, "22", 2) == 0)
		return RC_INVALID;
	if (strncmp(s, "40", 2) == 0 || strncmp(s, "08", 2) == 0 || strncmp(s, "53", 2) == 0 ||
	    strncmp(s, "55", 2) == 0 || strncmp(s, "57", 2) == 0 || strncmp(s, "58", 2) == 0)
		return RC_RETRY;
	return RC_INTERNAL;
}

static enum rc
fail(struct db_tx *tx, struct err *e)
{
	if (e != NULL)
		*e = tx->first_err;
	return tx->first_err.rc;
}

static enum rc
lost(struct db_tx *tx, const char *what, struct err *e)
{
	tx->broken = true;
	if (!tx->failed) {
		tx->failed = true;
		const char *text = PQerrorMessage(tx->conn->pg);
		err_set(&tx->first_err, RC_RETRY, "database: %s%s%.*s", what, text[0] != 0 ? ": " : "",
			(int)strcspn(text, "\n"), text);
	}
	return fail(tx, e);
}

static void
pending_add(struct db_tx *tx, int kind, struct db_stmt *stmt)
{
	if (tx->n_pending == tx->cap_pending) {
		tx->cap_pending = tx->cap_pending != 0 ? tx->cap_pending * 2 : 16;
		void *more = realloc(tx->pending, tx->cap_pending * sizeof(*tx->pending));
		if (more == NULL)
			abort();
		tx->pending = more;
	}
	tx->pending[tx->n_pending++] = (struct db_pending){.kind = kind, .stmt = stmt};
}

/* Wait until PQgetResult() would not block, sending what is queued meanwhile. */
static enum rc
wait_result(struct db_tx *tx, struct err *e)
{
	PGconn *pg = tx->conn->pg;
	for (;;) {
		int more = PQflush(pg);
		if (more < 0)
			return lost(tx, "connection lost", e);
		if (!PQisBusy(pg))
			return RC_OK;
		struct pollfd f = {.fd = PQsocket(pg), .events = (short)(POLLIN | (more > 0 ? POLLOUT : 0))};
		int n = poll(&f, 1, (int)clock_left_ms(tx->deadline_ms));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return lost(tx, "no answer in time", e);
		if ((f.revents & (POLLIN | POLLHUP | POLLERR)) != 0 && PQconsumeInput(pg) != 1)
			return lost(tx, "connection lost", e);
	}
}

static void
forget_stmt(struct db_conn *c, struct db_stmt *s)
{
	HASH_DEL(c->stmts, s);
	free(s);
}

static void
note_error(struct db_tx *tx, const PGresult *res)
{
	if (tx->failed)
		return;
	tx->failed = true;
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	const char *text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
	const char *constraint = PQresultErrorField(res, PG_DIAG_CONSTRAINT_NAME);
	/* A check violation without a constraint is "no partition for this row": keeper will make it. */
	bool no_partition = state != NULL && strcmp(state, "23514") == 0 && constraint == NULL;
	/* The message may quote data, the detail does: only the primary text and the constraint are kept. */
	err_set(&tx->first_err, no_partition ? RC_RETRY : db_rc_of_sqlstate(state), "database %s: %s%s%s",
		state != NULL ? state : "?", text != NULL ? text : "?", constraint != NULL ? " in " : "",
		constraint != NULL ? constraint : "");
}

/* Take the answer to the first pending entry. rows_r (may be NULL) gets a result with rows; tag COMMIT is checked here.
 */
static enum rc
take_one(struct db_tx *tx, PGresult **rows_r, bool *committed_r, struct err *e)
{
	struct db_pending p = tx->pending[tx->first_pending++];
	if (tx->first_pending == tx->n_pending)
		tx->first_pending = tx->n_pending = 0;
	bool good = false;
	for (;;) {
		enum rc rc = wait_result(tx, e);
		if (rc != RC_OK)
			return rc;
		PGresult *res = PQgetResult(tx->conn->pg);
		if (res == NULL)
			break; /* end of this statement's results */
		ExecStatusType st = PQresultStatus(res);
		if (st == PGRES_PIPELINE_SYNC) {
			PQclear(res);
			return RC_OK;
		}
		if (st == PGRES_TUPLES_OK || st == PGRES_COMMAND_OK) {
			good = true;
			if (p.count != NULL && !tx->failed) /* else whoever asked may be gone */
				*p.count = strtoll(PQcmdTuples(res), NULL, 10);
			if (p.kind == PENDING_COMMIT && committed_r != NULL)
				*committed_r = strcmp(PQcmdStatus(res), "COMMIT") == 0;
			if (rows_r != NULL && st == PGRES_TUPLES_OK) {
				*rows_r = res;
				continue;
			}
		} else if (st != PGRES_PIPELINE_ABORTED) {
			note_error(tx, res);
		}
		PQclear(res);
		if (PQstatus(tx->conn->pg) == CONNECTION_BAD)
			return lost(tx, "connection lost", e);
	}
	if (p.kind == PENDING_PREPARE) {
		if (good)
			p.stmt->ready = true;
		else
			forget_stmt(tx->conn, p.stmt);
	}
	return RC_OK;
}

static enum rc
take_all(struct db_tx *tx, bool *committed_r, struct err *e)
{
	while (tx->first_pending < tx->n_pending) {
		enum rc rc = take_one(tx, NULL, committed_r, e);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

static enum rc
send_stmt(struct db_tx *tx, const char *sql, struct db_args *a, int kind, struct err *e)
{
	struct db_conn *c = tx->conn;
	if (tx->failed)
		return fail(tx, e);
	if (a != NULL && a->failed) {
		tx->failed = true;
		err_set(&tx->first_err, RC_LIMIT, "database: a parameter is too large");
		return fail(tx, e);
	}
	struct db_stmt *s;
	HASH_FIND_PTR(c->stmts, &sql, s);
	char name[24];
	if (s == NULL) {
		s = calloc(1, sizeof(*s));
		if (s == NULL)
			abort();
		s->sql = sql;
		s->id = c->next_stmt++;
		HASH_ADD_PTR(c->stmts, sql, s);
		snprintf(name, sizeof(name), "s%u", s->id);
		if (PQsendPrepare(c->pg, name, sql, a != NULL ? a->n : 0, a != NULL ? a->types : NULL) != 1) {
			forget_stmt(c, s);
			return lost(tx, "cannot send", e);
		}
		pending_add(tx, PENDING_PREPARE, s);
	}
	snprintf(name, sizeof(name), "s%u", s->id);
	static const int binary[DB_ARGS_MAX] = {[0 ... DB_ARGS_MAX - 1] = 1};
	int ok = PQsendQueryPrepared(c->pg, name, a != NULL ? a->n : 0, a != NULL ? a->values : NULL,
				     a != NULL ? a->lengths : NULL, binary, 1);
	if (ok != 1)
		return lost(tx, "cannot send", e);
	pending_add(tx, kind, NULL);
	return RC_OK;
}

static enum rc
send_and_done(struct db_tx *tx, const char *sql, struct db_args *a, int kind, struct err *e)
{
	enum rc rc = send_stmt(tx, sql, a, kind, e);
	if (a != NULL)
		db_args_done(a);
	return rc;
}

/* --- begin ------------------------------------------------------------------------------------------------ */
enum rc
db_set_tenant(struct db_tx *tx, const struct uuid *tenant, struct err *e)
{
	char text[UUID_STR_SIZE];
	uuid_format(tenant, text);
	struct db_args a;
	db_args_init(&a);
	db_arg_text(&a, text);
	tx->tenant = *tenant;
	tx->has_tenant = true;
	return send_and_done(tx, "SELECT set_config('sekisho.tenant', $1, true)", &a, PENDING_EXEC, e);
}

const struct uuid *
db_tenant(const struct db_tx *tx)
{
	return tx->has_tenant ? &tx->tenant : NULL;
}

static enum rc
begin(struct db_pool *p, const char *sql, const struct uuid *tenant, bool snapshot, int64_t deadline_ms,
      struct db_tx **out_r, struct err *e)
{
	struct db_tx *tx = calloc(1, sizeof(*tx));
	if (tx == NULL)
		abort();
	tx->pool = p;
	tx->deadline_ms = deadline_ms;
	tx->snapshot = snapshot;
	enum rc rc = pool_take(p, deadline_ms, &tx->conn, e);
	if (rc != RC_OK) {
		free(tx);
		return rc;
	}
	tx->conn->warned = false;
	tx->begun = true;
	rc = send_stmt(tx, sql, NULL, PENDING_EXEC, e);
	if (rc == RC_OK && tenant != NULL)
		rc = db_set_tenant(tx, tenant, e);
	if (rc != RC_OK) {
		db_end(&tx);
		return rc;
	}
	*out_r = tx;
	return RC_OK;
}

enum rc
db_begin(struct db_pool *p, const struct uuid *tenant, int64_t deadline_ms, struct db_tx **out_r, struct err *e)
{
	return begin(p, "BEGIN", tenant, false, deadline_ms, out_r, e);
}

enum rc
db_begin_snapshot(struct db_pool *p, int64_t deadline_ms, struct db_tx **out_r, struct err *e)
{
	return begin(p, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", NULL, true, deadline_ms, out_r, e);
}

/* --- statements ------------------------------------------------------------------------------------------- */
enum rc
db_exec(struct db_tx *tx, const char *sql, struct db_args *args, struct err *e)
{
	return send_and_done(tx, sql, args, PENDING_EXEC, e);
}

enum rc
db_exec_counted(struct db_tx *tx, const char *sql, struct db_args *args, int64_t *count_r, struct err *e)
{
	*count_r = 0;
	enum rc rc = send_and_done(tx, sql, args, PENDING_EXEC, e);
	if (rc == RC_OK)
		tx->pending[tx->n_pending - 1].count = count_r;
	return rc;
}

/* Take every answer but those to the last n statements. */
static enum rc
take_but(struct db_tx *tx, size_t n, struct err *e)
{
	if (PQsendFlushRequest(tx->conn->pg) != 1)
		return lost(tx, "cannot send", e);
	while (tx->n_pending - tx->first_pending > n) {
		enum rc rc = take_one(tx, NULL, NULL, e);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

enum rc
db_wait(struct db_tx *tx, struct err *e)
{
	enum rc rc = tx->failed ? RC_OK : take_but(tx, 0, e);
	if (rc != RC_OK)
		return rc;
	return tx->failed ? fail(tx, e) : RC_OK;
}

enum rc
db_exec_count(struct db_tx *tx, const char *sql, struct db_args *args, int64_t *count_r, struct err *e)
{
	enum rc rc = db_exec_counted(tx, sql, args, count_r, e);
	return rc == RC_OK ? db_wait(tx, e) : rc;
}

static struct db_rows *
rows_take(PGresult *res)
{
	struct db_rows *r = malloc(sizeof(*r));
	if (r == NULL)
		abort();
	*r = (struct db_rows){.res = res, .row = -1, .n = PQntuples(res)};
	return r;
}

enum rc
db_query(struct db_tx *tx, const char *sql, struct db_args *args, struct db_rows **rows_r, struct err *e)
{
	PGresult *res = NULL;
	enum rc rc = send_and_done(tx, sql, args, PENDING_EXEC, e);
	if (rc == RC_OK)
		rc = take_but(tx, 1, e);
	if (rc == RC_OK)
		rc = take_one(tx, &res, NULL, e);
	if (rc == RC_OK && tx->failed)
		rc = fail(tx, e);
	if (rc == RC_OK && res == NULL)
		rc = err_set(e, RC_INTERNAL, "database: a statement without rows was asked for rows");
	if (rc != RC_OK) {
		PQclear(res);
		return rc;
	}
	*rows_r = rows_take(res);
	return RC_OK;
}

/* --- end -------------------------------------------------------------------------------------------------- */
static enum rc
sync_all(struct db_tx *tx, bool *committed_r, struct err *e)
{
	if (PQpipelineSync(tx->conn->pg) != 1)
		return lost(tx, "cannot send", e);
	pending_add(tx, PENDING_SYNC, NULL);
	return take_all(tx, committed_r, e);
}

static void
finish(struct db_tx **txp)
{
	struct db_tx *tx = *txp;
	pool_give(tx->pool, tx->conn, tx->broken);
	db_intents_done(tx);
	free(tx->pending);
	free(tx);
	*txp = NULL;
}

void
db_end(struct db_tx **txp)
{
	if (txp == NULL || *txp == NULL)
		return;
	struct db_tx *tx = *txp;
	/* Time to clean up even when the transaction used all of its own. */
	int64_t least = clock_mono_ms() + 2000;
	if (tx->deadline_ms < least)
		tx->deadline_ms = least;
	bool was_failed = tx->failed;
	if (!tx->broken && tx->begun) {
		/* Sync first: an aborted pipeline would skip the ROLLBACK too. */
		if (sync_all(tx, NULL, NULL) == RC_OK && PQtransactionStatus(tx->conn->pg) != PQTRANS_IDLE) {
			tx->failed = false;
			if (send_stmt(tx, "ROLLBACK", NULL, PENDING_EXEC, NULL) != RC_OK ||
			    sync_all(tx, NULL, NULL) != RC_OK || PQtransactionStatus(tx->conn->pg) != PQTRANS_IDLE)
				tx->broken = true;
		}
	}
	tx->failed = was_failed;
	finish(txp);
}

/* What a COMMIT that was answered means. Ends the transaction. */
static enum rc
settle_commit(struct db_tx **txp, enum rc rc, bool committed, struct err *e)
{
	struct db_tx *tx = *txp;
	if (rc != RC_OK) { /* COMMIT was sent and nobody knows what became of it */
		err_prefix(e, "commit outcome unknown");
		finish(txp);
		return rc;
	}
	if (tx->failed) {
		rc = fail(tx, e);
		db_end(txp);
		return rc;
	}
	if (!committed || tx->conn->warned) {
		rc = err_set(e, RC_RETRY,
			     committed ? "commit with a warning: not on the standby" : "commit was a rollback");
		tx->broken = true; /* start over on a fresh connection */
		finish(txp);
		return rc;
	}
	tx->conn->seq += (int64_t)tx->intents.n;
	tx->begun = false;
	finish(txp);
	return RC_OK;
}

enum rc
db_commit(struct db_tx **txp, struct err *e)
{
	struct db_tx *tx = *txp;
	enum rc rc = db_intents_flush(tx, e);
	if (rc == RC_OK)
		rc = send_stmt(tx, "COMMIT", NULL, PENDING_COMMIT, e);
	if (rc != RC_OK) {
		db_end(txp);
		return rc;
	}
	bool committed = false;
	rc = sync_all(tx, &committed, e);
	return settle_commit(txp, rc, committed, e);
}

enum rc
db_query_commit(struct db_tx **txp, const char *sql, struct db_args *args, struct db_rows **rows_r, struct err *e)
{
	struct db_tx *tx = *txp;
	enum rc rc = send_and_done(tx, sql, args, PENDING_EXEC, e);
	size_t ahead = tx->n_pending - tx->first_pending;
	if (rc == RC_OK)
		rc = db_intents_flush(tx, e);
	if (rc == RC_OK)
		rc = send_stmt(tx, "COMMIT", NULL, PENDING_COMMIT, e);
	if (rc != RC_OK) {
		db_end(txp);
		return rc;
	}
	PGresult *res = NULL;
	bool committed = false;
	if (PQpipelineSync(tx->conn->pg) != 1)
		rc = lost(tx, "cannot send", e);
	else
		pending_add(tx, PENDING_SYNC, NULL);
	for (; rc == RC_OK && ahead > 0; ahead--)
		rc = take_one(tx, ahead == 1 ? &res : NULL, NULL, e);
	if (rc == RC_OK)
		rc = take_all(tx, &committed, e);
	rc = settle_commit(txp, rc, committed, e);
	if (rc == RC_OK && res == NULL)
		rc = err_set(e, RC_INTERNAL, "database: a statement without rows was asked for rows");
	if (rc != RC_OK) {
		PQclear(res);
		return rc;
	}
	*rows_r = rows_take(res);
	return RC_OK;
}

enum rc
db_ping(struct db_pool *p, int64_t deadline_ms, struct err *e)
{
	struct db_tx *tx = NULL;
	enum rc rc = db_begin(p, NULL, deadline_ms, &tx, e);
	if (rc != RC_OK)
		return rc;
	return db_commit(&tx, e);
}
