/* SPDX-License-Identifier: MIT
 *
 * All SQL of ingest. Row-level security sees to the tenant; it is in every key all the same.
 */
#include "ingest_store.h"

const char ingest_intent_sql[] = DB_INTENT_SQL("ingest");

static const char sql_accept[] =
    "INSERT INTO ingest.acceptance (tenant, id, accepted_at, direction, mail_from, recipients, size, sha256, event) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
static const char sql_idempotency_add[] = "INSERT INTO ingest.idempotency (tenant, account, key, message, accepted_at, "
					  "digest) VALUES ($1, $2, $3, $4, $5, $6)";
static const char sql_idempotency_get[] =
    "SELECT message, accepted_at, digest FROM ingest.idempotency WHERE account = $1 AND key = $2";
static const char sql_poison_add[] =
    "INSERT INTO ingest.poison AS p (tenant, sha256, failures, last_at) VALUES ($1, $2, 1, $3) "
    "ON CONFLICT (tenant, sha256) DO UPDATE SET failures = "
    "CASE WHEN p.last_at < $3::timestamptz - interval '1 hour' THEN 1 ELSE p.failures + 1 END, last_at = $3 "
    "RETURNING failures";
/* Few at a time, so that nobody waits long for their locks; what is left is for the next time. */
static const char sql_idempotency_purge[] =
    "DELETE FROM ingest.idempotency WHERE ctid = ANY (ARRAY(SELECT ctid FROM ingest.idempotency "
    "WHERE tenant = $1 AND accepted_at < $2 LIMIT 5000))";
static const char sql_poison_purge[] =
    "DELETE FROM ingest.poison WHERE ctid = ANY (ARRAY(SELECT ctid FROM ingest.poison "
    "WHERE tenant = $1 AND last_at < $2 LIMIT 5000))";
static const char sql_events[] = "SELECT a.id, a.event FROM unnest($1::uuid[]) AS u(id) "
				 "CROSS JOIN LATERAL (SELECT x.id, x.event FROM ingest.acceptance x "
				 "WHERE x.tenant = $2 AND x.id = u.id OFFSET 0) AS a";

static const char sql_outbox_insert[] = OUTBOX_SQL_INSERT("ingest");
static const char sql_outbox_due[] = OUTBOX_SQL_DUE("ingest");
static const char sql_outbox_confirm[] = OUTBOX_SQL_CONFIRM("ingest");
static const char sql_outbox_hasten[] = OUTBOX_SQL_HASTEN("ingest");
static const char sql_outbox_depth[] = OUTBOX_SQL_DEPTH("ingest");

/* An empty value is stored as such; p NULL would be SQL NULL. */
static struct bytes
some(struct bytes b)
{
	return b.p != NULL ? b : bytes_of("", 0);
}

static enum rc
add_key(struct db_tx *tx, const struct store_acceptance *s, struct err *e)
{
	struct db_args a;
	db_args_init(&a);
	db_arg_uuid(&a, &s->envelope->tenant);
	db_arg_uuid(&a, &s->envelope->account);
	db_arg_bytes(&a, s->envelope->idempotency);
	db_arg_uuid(&a, &s->id);
	db_arg_time(&a, s->accepted_us);
	db_arg_bytes(&a, bytes_of(s->digest, 32));
	return db_exec(tx, sql_idempotency_add, &a, e);
}

enum rc
store_accept(struct db_tx *tx, const struct store_acceptance *s, struct err *e)
{
	const struct envelope *env = s->envelope;
	struct db_args a;
	struct bytes *to = arena_new_array(env->arena, struct bytes, env->n_recipients);
	for (size_t i = 0; i < env->n_recipients; i++)
		to[i] = env->recipients[i].address;
	db_args_init(&a);
	db_arg_uuid(&a, &env->tenant);
	db_arg_uuid(&a, &s->id);
	db_arg_time(&a, s->accepted_us);
	db_arg_text(&a, env->incoming ? "incoming" : "outgoing");
	db_arg_bytes(&a, some(env->mail_from));
	db_arg_bytes_array(&a, to, env->n_recipients);
	db_arg_long(&a, (int64_t)env->body.n);
	db_arg_bytes(&a, bytes_of(s->sha256, 32));
	db_arg_bytes(&a, s->event);
	enum rc rc = db_exec(tx, sql_accept, &a, e);
	if (rc == RC_OK && env->idempotency.n > 0)
		rc = add_key(tx, s, e);
	return rc;
}

enum rc
store_idempotency(struct db_tx *tx, const struct uuid *account, struct bytes key, struct uuid *message_r,
		  int64_t *accepted_us_r, uint8_t digest_r[32], struct err *e)
{
	struct db_args a;
	struct db_rows *rows;
	db_args_init(&a);
	db_arg_uuid(&a, account);
	db_arg_bytes(&a, key);
	enum rc rc = db_query(tx, sql_idempotency_get, &a, &rows, e);
	if (rc != RC_OK)
		return rc;
	if (!db_rows_next(rows)) {
		db_rows_free(&rows);
		return err_set(e, RC_NOT_FOUND, "no message was accepted under that key");
	}
	*message_r = db_uuid(rows, 0);
	*accepted_us_r = db_time(rows, 1);
	struct bytes digest = db_bytes(rows, 2);
	memset(digest_r, 0, 32);
	memcpy(digest_r, digest.p, digest.n < 32 ? digest.n : 32);
	db_rows_free(&rows);
	return RC_OK;
}

enum rc
store_poison_add(struct db_tx *tx, const struct uuid *tenant, const uint8_t sha256[32], int64_t now_us,
		 int64_t *failures_r, struct err *e)
{
	struct db_args a;
	struct db_rows *rows;
	db_args_init(&a);
	db_arg_uuid(&a, tenant);
	db_arg_bytes(&a, bytes_of(sha256, 32));
	db_arg_time(&a, now_us);
	enum rc rc = db_query(tx, sql_poison_add, &a, &rows, e);
	if (rc != RC_OK)
		return rc;
	bool one = db_rows_next(rows);
	int64_t n = one ? db_int(rows, 0) : 0;
	db_rows_free(&rows);
	if (!one)
		return err_set(e, RC_INTERNAL, "no row came back");
	*failures_r = n;
	return RC_OK;
}

static enum rc
purge(struct db_tx *tx, const char *sql, const struct uuid *tenant, int64_t before_us, struct err *e)
{
	struct db_args a;
	db_args_init(&a);
	db_arg_uuid(&a, tenant);
	db_arg_time(&a, before_us);
	return db_exec(tx, sql, &a, e);
}

enum rc
store_purge(struct db_tx *tx, const struct uuid *tenant, int64_t before_us, struct err *e)
{
	enum rc rc = purge(tx, sql_idempotency_purge, tenant, before_us, e);
	return rc == RC_OK ? purge(tx, sql_poison_purge, tenant, before_us, e) : rc;
}

static enum rc
load_events(void *ctx, struct db_tx *tx, const struct uuid *tenant, const struct uuid *ids, size_t n,
	    struct outbox_emit *to, struct err *e)
{
	struct db_args a;
	struct db_rows *rows;
	db_args_init(&a);
	db_arg_uuids(&a, ids, n);
	db_arg_uuid(&a, tenant);
	enum rc rc = db_query(tx, sql_events, &a, &rows, e);
	if (rc != RC_OK)
		return rc;
	while (db_rows_next(rows)) {
		struct uuid id = db_uuid(rows, 0);
		outbox_emit(to, &id, db_bytes(rows, 1));
	}
	db_rows_free(&rows);
	return RC_OK;
}

void
store_outbox_options(struct outbox_options *o)
{
	o->sql_insert = sql_outbox_insert;
	o->sql_due = sql_outbox_due;
	o->sql_confirm = sql_outbox_confirm;
	o->sql_hasten = sql_outbox_hasten;
	o->sql_depth = sql_outbox_depth;
	o->load = load_events;
}

enum rc
store_outbox_depth(struct db_pool *p, int64_t deadline_ms, int64_t *depth_r, int64_t *age_r, struct err *e)
{
	struct db_tx *tx = NULL;
	struct db_rows *rows = NULL;
	enum rc rc = db_begin(p, NULL, deadline_ms, &tx, e);
	if (rc == RC_OK)
		rc = db_query(tx, sql_outbox_depth, NULL, &rows, e);
	if (rc == RC_OK && db_rows_next(rows)) {
		*depth_r = db_int(rows, 0);
		*age_r = db_int(rows, 1);
	}
	db_rows_free(&rows);
	db_end(&tx);
	return rc;
}
