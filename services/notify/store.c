/* SPDX-License-Identifier: MIT
 *
 * Webhooks, the log of their attempts, replays: what people see and change.
 */
#include "store.h"

#include <stdlib.h>

const struct svc_once_sql store_once_sql = SVC_ONCE_SQL("notify");

/* --- webhooks ------------------------------------------------------------------------------------------------ */
enum rc
store_webhook_count(struct db_tx *tx, const struct uuid *tenant, int64_t *n_r, struct err *e)
{
	struct db_args args;
	struct db_rows *rows = NULL;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	enum rc rc = db_query(tx, "SELECT count(*) FROM notify.webhook WHERE tenant = $1", &args, &rows, e);
	if (rc == RC_OK && db_rows_next(rows))
		*n_r = db_int(rows, 0);
	db_rows_free(&rows);
	return rc;
}

enum rc
store_webhook_add(struct db_tx *tx, const struct uuid *tenant, const struct store_webhook *w, struct err *e)
{
	struct db_args args;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_uuid(&args, &w->id);
	db_arg_bytes(&args, w->url);
	db_arg_bytes(&args, w->description);
	db_arg_texts(&args, w->types, w->n_types);
	db_arg_bool(&args, w->enabled);
	db_arg_text(&args, w->disabled_why);
	db_arg_time(&args, w->made_us);
	db_arg_bytes(&args, w->sealed);
	db_arg_long(&args, w->position);
	enum rc rc = db_exec(tx,
			     "INSERT INTO notify.webhook (tenant, id, url, description, types, enabled, disabled_why, "
			     "made_at, sealed, position) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
			     &args, e);
	if (rc != RC_OK)
		return rc;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_uuid(&args, &w->id);
	db_arg_text(&args, w->enabled ? "ready" : "off");
	db_arg_time(&args, w->made_us);
	return db_exec(tx, "INSERT INTO notify.due (tenant, id, kind, due_at) VALUES ($1, $2, $3, $4)", &args, e);
}

/* Words of ours hold no comma. */
static void
split(const char *csv, struct arena *a, struct store_webhook *w)
{
	char *text = arena_strdup(a, csv), *rest = NULL;
	size_t n = 1;
	for (const char *p = csv; *p != '\0'; p++)
		n += *p == ',';
	const char **v = arena_new_array(a, const char *, n);
	w->n_types = 0;
	for (char *word = strtok_r(text, ",", &rest); word != NULL; word = strtok_r(NULL, ",", &rest))
		v[w->n_types++] = word;
	w->types = v;
}

/* Columns of every query below. */
#define WEBHOOK                                                                                                        \
	"w.id, w.url, w.description, array_to_string(w.types, ','), w.enabled, w.disabled_why, w.made_at, w.version, " \
	"w.sealed, w.old_sealed, w.old_until, w.position, w.attempts, w.failing_since, w.last_error, w.delivered, "    \
	"w.failed, d.kind, d.due_at FROM notify.webhook w JOIN notify.due d ON d.tenant = w.tenant AND d.id = w.id "

static struct bytes
copy(const struct db_rows *rows, int column, struct arena *a)
{
	struct bytes b = db_bytes(rows, column);
	return b.p != NULL ? arena_bytes(a, b) : b;
}

static struct store_webhook
read_webhook(const struct db_rows *rows, struct arena *a)
{
	struct store_webhook w = {
	    .id = db_uuid(rows, 0),
	    .url = copy(rows, 1, a),
	    .description = copy(rows, 2, a),
	    .enabled = db_bool(rows, 4),
	    .disabled_why = arena_strdup(a, db_text(rows, 5)),
	    .made_us = db_time(rows, 6),
	    .version = db_int(rows, 7),
	    .sealed = copy(rows, 8, a),
	    .old_sealed = copy(rows, 9, a),
	    .old_until_us = db_time(rows, 10),
	    .position = db_int(rows, 11),
	    .attempts = (int32_t)db_int(rows, 12),
	    .failing_since_us = db_time(rows, 13),
	    .last_error = arena_strdup(a, db_text(rows, 14)),
	    .delivered = db_int(rows, 15),
	    .failed = db_int(rows, 16),
	    .kind = arena_strdup(a, db_text(rows, 17)),
	    .due_us = db_time(rows, 18),
	};
	split(db_text(rows, 3), a, &w);
	return w;
}

enum rc
store_webhook_get(struct db_tx *tx, const struct uuid *tenant, const struct uuid *id, bool for_change, struct arena *a,
		  struct store_webhook *out_r, struct err *e)
{
	struct db_args args;
	struct db_rows *rows = NULL;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_uuid(&args, id);
	enum rc rc = for_change ? db_query(tx, "SELECT " WEBHOOK "WHERE w.tenant = $1 AND w.id = $2 FOR UPDATE OF w",
					   &args, &rows, e)
				: db_query(tx, "SELECT " WEBHOOK "WHERE w.tenant = $1 AND w.id = $2", &args, &rows, e);
	if (rc == RC_OK && !db_rows_next(rows))
		rc = err_set(e, RC_NOT_FOUND, "no such webhook");
	if (rc == RC_OK)
		*out_r = read_webhook(rows, a);
	db_rows_free(&rows);
	return rc;
}

enum rc
store_webhook_page(struct db_tx *tx, const struct uuid *tenant, const struct uuid *after, int32_t limit,
		   struct arena *a, struct store_webhook **v_r, size_t *n_r, struct err *e)
{
	struct db_args args;
	struct db_rows *rows = NULL;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_uuid(&args, after);
	db_arg_int(&args, limit);
	enum rc rc =
	    db_query(tx, "SELECT " WEBHOOK "WHERE w.tenant = $1 AND w.id > $2 ORDER BY w.id LIMIT $3", &args, &rows, e);
	if (rc != RC_OK)
		return rc;
	*v_r = arena_new_array(a, struct store_webhook, (size_t)db_rows_count(rows));
	*n_r = 0;
	while (db_rows_next(rows))
		(*v_r)[(*n_r)++] = read_webhook(rows, a);
	db_rows_free(&rows);
	return RC_OK;
}

enum rc
store_webhook_set(struct db_tx *tx, const struct uuid *tenant, const struct store_webhook *w, int64_t now_us,
		  struct err *e)
{
	struct db_args args;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_uuid(&args, &w->id);
	db_arg_bytes(&args, w->url);
	db_arg_bytes(&args, w->description);
	db_arg_texts(&args, w->types, w->n_types);
	db_arg_bool(&args, w->enabled);
	db_arg_text(&args, w->disabled_why);
	enum rc rc =
	    db_exec(tx,
		    "UPDATE notify.webhook SET url = $3, description = $4, types = $5, enabled = $6, "
		    "disabled_why = $7, attempts = 0, failing_since = NULL, last_error = '', version = version + 1 "
		    "WHERE tenant = $1 AND id = $2",
		    &args, e);
	if (rc != RC_OK)
		return rc;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_uuid(&args, &w->id);
	db_arg_text(&args, w->enabled ? "ready" : "off");
	db_arg_time(&args, now_us);
	return db_exec(tx,
		       "UPDATE notify.due SET kind = $3, due_at = $4, next_at = NULL, version = version + 1 "
		       "WHERE tenant = $1 AND id = $2",
		       &args, e);
}

enum rc
store_webhook_secrets(struct db_tx *tx, const struct uuid *tenant, const struct store_webhook *w, struct err *e)
{
	struct db_args args;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_uuid(&args, &w->id);
	db_arg_bytes(&args, w->sealed);
	db_arg_bytes(&args, w->old_sealed);
	db_arg_time(&args, w->old_until_us);
	return db_exec(tx,
		       "UPDATE notify.webhook SET sealed = $3, old_sealed = $4, old_until = $5, version = version + 1 "
		       "WHERE tenant = $1 AND id = $2",
		       &args, e);
}

static enum rc
delete_from(struct db_tx *tx, const char *sql, const struct uuid *tenant, const struct uuid *id, struct err *e)
{
	struct db_args args;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_uuid(&args, id);
	return db_exec(tx, sql, &args, e);
}

enum rc
store_webhook_delete(struct db_tx *tx, const struct uuid *tenant, const struct uuid *id, struct err *e)
{
	/* The webhook first: whoever is at it locks in this order too. */
	static const char *const all[] = {
	    "DELETE FROM notify.webhook WHERE tenant = $1 AND id = $2",
	    "DELETE FROM notify.due WHERE tenant = $1 AND id = $2",
	    "DELETE FROM notify.replay WHERE tenant = $1 AND webhook = $2",
	    "DELETE FROM notify.attempt WHERE tenant = $1 AND webhook = $2",
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		enum rc rc = delete_from(tx, all[i], tenant, id, e);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

/* --- attempts ------------------------------------------------------------------------------------------------ */
enum rc
store_attempts_add(struct db_tx *tx, const struct uuid *tenant, const struct uuid *webhook,
		   const struct store_attempt *v, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) { /* queued: one round trip for all */
		struct db_args args;
		db_args_init(&args);
		db_arg_uuid(&args, tenant);
		db_arg_uuid(&args, webhook);
		db_arg_uuid(&args, &v[i].id);
		db_arg_uuid(&args, &v[i].event);
		db_arg_text(&args, v[i].type);
		db_arg_long(&args, v[i].position);
		db_arg_time(&args, v[i].at_us);
		db_arg_int(&args, v[i].number);
		db_arg_int(&args, v[i].status);
		db_arg_text(&args, v[i].error);
		db_arg_int(&args, v[i].duration_ms);
		db_arg_bytes(&args, v[i].response);
		db_arg_bool(&args, v[i].ok);
		enum rc rc =
		    db_exec(tx,
			    "INSERT INTO notify.attempt (tenant, webhook, id, event, type, position, at, number, "
			    "status, error, duration_ms, response, ok) "
			    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
			    &args, e);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

#define ATTEMPT                                                                                                        \
	"SELECT id, event, type, position, at, number, status, error, duration_ms, response, ok FROM notify.attempt "

static struct store_attempt
read_attempt(const struct db_rows *rows, struct arena *a)
{
	return (struct store_attempt){
	    .id = db_uuid(rows, 0),
	    .event = db_uuid(rows, 1),
	    .type = arena_strdup(a, db_text(rows, 2)),
	    .position = db_int(rows, 3),
	    .at_us = db_time(rows, 4),
	    .number = (int32_t)db_int(rows, 5),
	    .status = (int32_t)db_int(rows, 6),
	    .error = arena_strdup(a, db_text(rows, 7)),
	    .duration_ms = (int32_t)db_int(rows, 8),
	    .response = arena_bytes(a, db_bytes(rows, 9)),
	    .ok = db_bool(rows, 10),
	};
}

enum rc
store_attempts_page(struct db_tx *tx, const struct uuid *tenant, const struct uuid *webhook, const struct uuid *before,
		    bool failed_only, int32_t limit, struct arena *a, struct store_attempt **v_r, size_t *n_r,
		    struct err *e)
{
	static const struct uuid last = {
	    {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
	struct db_args args;
	struct db_rows *rows = NULL;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_uuid(&args, webhook);
	db_arg_uuid(&args, before != NULL ? before : &last);
	db_arg_int(&args, limit);
	enum rc rc =
	    failed_only
		? db_query(
		      tx, ATTEMPT "WHERE tenant = $1 AND webhook = $2 AND id < $3 AND NOT ok ORDER BY id DESC LIMIT $4",
		      &args, &rows, e)
		: db_query(tx, ATTEMPT "WHERE tenant = $1 AND webhook = $2 AND id < $3 ORDER BY id DESC LIMIT $4",
			   &args, &rows, e);
	if (rc != RC_OK)
		return rc;
	*v_r = arena_new_array(a, struct store_attempt, (size_t)db_rows_count(rows));
	*n_r = 0;
	while (db_rows_next(rows))
		(*v_r)[(*n_r)++] = read_attempt(rows, a);
	db_rows_free(&rows);
	return RC_OK;
}

enum rc
store_event_positions(struct db_tx *tx, const struct uuid *tenant, const struct uuid *webhook,
		      const struct uuid *events, size_t n, struct arena *a, int64_t **v_r, size_t *n_r, struct err *e)
{
	struct db_args args;
	struct db_rows *rows = NULL;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_uuid(&args, webhook);
	db_arg_uuids(&args, events, n);
	enum rc rc = db_query(tx,
			      "SELECT DISTINCT position FROM notify.attempt WHERE tenant = $1 AND webhook = $2 "
			      "AND event = ANY ($3) AND type <> 'webhook.test' ORDER BY position",
			      &args, &rows, e);
	if (rc != RC_OK)
		return rc;
	*v_r = arena_new_array(a, int64_t, (size_t)db_rows_count(rows));
	*n_r = 0;
	while (db_rows_next(rows))
		(*v_r)[(*n_r)++] = db_int(rows, 0);
	db_rows_free(&rows);
	return RC_OK;
}

/* --- replays ------------------------------------------------------------------------------------------------- */
enum rc
store_replays_add(struct db_tx *tx, const struct uuid *tenant, const struct uuid *webhook, const struct store_replay *v,
		  size_t n, struct err *e)
{
	enum rc rc = RC_OK;
	struct db_args args;
	for (size_t i = 0; i < n && rc == RC_OK; i++) {
		db_args_init(&args);
		db_arg_uuid(&args, tenant);
		db_arg_uuid(&args, webhook);
		db_arg_uuid(&args, &v[i].id);
		db_arg_long(&args, v[i].next);
		db_arg_long(&args, v[i].until);
		db_arg_time(&args, v[i].due_us);
		rc = db_exec(tx,
			     "INSERT INTO notify.replay (tenant, webhook, id, next, until, due_at) "
			     "VALUES ($1, $2, $3, $4, $5, $6)",
			     &args, e);
	}
	if (rc != RC_OK || n == 0)
		return rc;
	/* A person says it is back: what waits on the ladder is tried at once too. */
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_uuid(&args, webhook);
	db_arg_time(&args, v[0].due_us);
	return db_exec(tx,
		       "UPDATE notify.due SET due_at = LEAST(due_at, $3), version = version + 1 "
		       "WHERE tenant = $1 AND id = $2 AND kind <> 'off'",
		       &args, e);
}

enum rc
store_replays_count(struct db_tx *tx, const struct uuid *tenant, const struct uuid *webhook, int64_t *n_r,
		    struct err *e)
{
	struct db_args args;
	struct db_rows *rows = NULL;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_uuid(&args, webhook);
	enum rc rc =
	    db_query(tx, "SELECT count(*) FROM notify.replay WHERE tenant = $1 AND webhook = $2", &args, &rows, e);
	if (rc == RC_OK && db_rows_next(rows))
		*n_r = db_int(rows, 0);
	db_rows_free(&rows);
	return rc;
}
