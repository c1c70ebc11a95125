/* SPDX-License-Identifier: MIT
 *
 * All SQL of policy.
 */
#include "policy_store.h"

#include <stdio.h>

#define ACTIVATE_TRIES 5

static const char *const sql_in_force =
    "SELECT version, CASE WHEN version <> $2 THEN document END, activated_at, activated_by FROM policy.rule_set "
    "WHERE tenant = $1 ORDER BY version DESC LIMIT 1";
static const char *const sql_version = "SELECT version, document, activated_at, activated_by FROM policy.rule_set "
				       "WHERE tenant = $1 AND version = $2";
static const char *const sql_newest = "SELECT coalesce(max(version), 0) FROM policy.rule_set WHERE tenant = $1";
static const char *const sql_insert = "INSERT INTO policy.rule_set (tenant, version, document, sha256, activated_at, "
				      "activated_by, rules) VALUES ($1, $2, $3, $4, $5, $6, $7)";
static const char *const sql_versions =
    "SELECT version, NULL::bytea, activated_at, activated_by, rules, "
    "version = (SELECT max(version) FROM policy.rule_set WHERE tenant = $1) FROM policy.rule_set "
    "WHERE tenant = $1 AND version < $2 ORDER BY version DESC LIMIT $3";
static const char *const sql_directory_newest = "SELECT version, document FROM policy.directory WHERE tenant = $1 "
						"ORDER BY version DESC, fetched_at DESC LIMIT 1";
static const char *const sql_directory_keep =
    "INSERT INTO policy.directory (tenant, version, sha256, document, fetched_at) VALUES ($1, $2, $3, $4, $5) "
    "ON CONFLICT DO NOTHING";

/* One query of a tenant that changes nothing. */
static enum rc
read_rows(struct db_pool *p, const struct uuid *tenant, const char *sql, struct db_args *args, int64_t deadline_ms,
	  struct db_rows **rows_r, struct err *e)
{
	struct db_tx *tx;
	enum rc rc = db_begin(p, tenant, deadline_ms, &tx, e);
	if (rc != RC_OK) {
		db_args_done(args);
		return rc;
	}
	rc = db_query(tx, sql, args, rows_r, e);
	db_end(&tx);
	return rc;
}

static void
take_rules(const struct db_rows *rows, struct arena *a, struct store_rules *out)
{
	struct bytes by = db_bytes(rows, 3);
	*out = (struct store_rules){
	    .version = (uint64_t)db_int(rows, 0),
	    .activated_us = db_time(rows, 2),
	    .activated_by = arena_strndup(a, by.p, by.n),
	};
	if (!db_is_null(rows, 1))
		out->document = arena_bytes(a, db_bytes(rows, 1));
}

enum rc
store_rules_in_force(struct db_pool *p, const struct uuid *tenant, uint64_t known, int64_t deadline_ms, struct arena *a,
		     struct store_rules *out_r, struct err *e)
{
	struct db_args args;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_long(&args, (int64_t)known);
	struct db_rows *rows;
	enum rc rc = read_rows(p, tenant, sql_in_force, &args, deadline_ms, &rows, e);
	if (rc != RC_OK)
		return rc;
	if (db_rows_next(rows))
		take_rules(rows, a, out_r);
	else
		*out_r = (struct store_rules){.activated_by = ""};
	db_rows_free(&rows);
	return RC_OK;
}

enum rc
store_rules_version(struct db_pool *p, const struct uuid *tenant, uint64_t version, int64_t deadline_ms,
		    struct arena *a, struct store_rules *out_r, struct err *e)
{
	if (version > INT64_MAX)
		return err_set(e, RC_NOT_FOUND, "there is no such version");
	struct db_args args;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_long(&args, (int64_t)version);
	struct db_rows *rows;
	enum rc rc = read_rows(p, tenant, sql_version, &args, deadline_ms, &rows, e);
	if (rc != RC_OK)
		return rc;
	if (db_rows_next(rows))
		take_rules(rows, a, out_r);
	else
		rc = err_set(e, RC_NOT_FOUND, "there is no version %llu", (unsigned long long)version);
	db_rows_free(&rows);
	return rc;
}

enum rc
store_rules_versions(struct db_pool *p, const struct uuid *tenant, uint64_t before, uint32_t limit, int64_t deadline_ms,
		     struct arena *a, struct store_version **v_r, size_t *n_r, struct err *e)
{
	struct db_args args;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_long(&args, before == 0 || before > INT64_MAX ? INT64_MAX : (int64_t)before);
	db_arg_long(&args, limit);
	struct db_rows *rows;
	enum rc rc = read_rows(p, tenant, sql_versions, &args, deadline_ms, &rows, e);
	if (rc != RC_OK)
		return rc;
	struct store_version *v = arena_new_array(a, struct store_version, (size_t)db_rows_count(rows) + 1);
	size_t n = 0;
	for (; db_rows_next(rows); n++) {
		take_rules(rows, a, &v[n].about);
		v[n].rules = (uint32_t)db_int(rows, 4);
		v[n].active = db_bool(rows, 5);
	}
	db_rows_free(&rows);
	*v_r = v;
	*n_r = n;
	return RC_OK;
}

/* --- activation ----------------------------------------------------------------------------------------- */

static enum rc
newest_version(struct db_tx *tx, const struct uuid *tenant, uint64_t *version_r, struct err *e)
{
	struct db_args args;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	struct db_rows *rows;
	enum rc rc = db_query(tx, sql_newest, &args, &rows, e);
	if (rc != RC_OK)
		return rc;
	*version_r = db_rows_next(rows) ? (uint64_t)db_int(rows, 0) : 0;
	db_rows_free(&rows);
	return RC_OK;
}

static enum rc
insert_version(struct db_tx *tx, const struct uuid *tenant, const struct store_activation *v, uint64_t version,
	       struct err *e)
{
	struct db_args args;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_long(&args, (int64_t)version);
	db_arg_bytes(&args, v->document);
	db_arg_bytes(&args, bytes_of(v->sha256, sizeof(v->sha256)));
	db_arg_time(&args, v->now_us);
	db_arg_bytes(&args, bytes_str(v->name));
	db_arg_int(&args, (int32_t)v->rules);
	int64_t count;
	return db_exec_count(tx, sql_insert, &args, &count, e);
}

static enum rc
record_activation(struct db_tx *tx, const struct uuid *tenant, const struct store_activation *v, uint64_t version,
		  struct err *e)
{
	char detail[160], hex[65];
	for (int i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", v->sha256[i]);
	int n =
	    snprintf(detail, sizeof(detail), "{\"sha256\":\"%s\",\"version\":%llu}", hex, (unsigned long long)version);
	struct audit_intent intent = {
	    .action = "policy.activated",
	    .outcome = rc_str(RC_OK),
	    .actor = bytes_str(v->actor),
	    .source = bytes_str(v->from),
	    .subject = *tenant,
	    .number = -1,
	    .at_us = v->now_us,
	    .detail = bytes_of(detail, (size_t)n),
	    .traceparent = v->traceparent,
	};
	return db_intent(tx, &intent, e);
}

static enum rc
activate_once(struct db_pool *p, const struct uuid *tenant, const struct store_activation *v, int64_t deadline_ms,
	      uint64_t *version_r, struct err *e)
{
	struct db_tx *tx;
	enum rc rc = db_begin(p, tenant, deadline_ms, &tx, e);
	if (rc != RC_OK)
		return rc;
	uint64_t newest = 0;
	rc = newest_version(tx, tenant, &newest, e);
	if (rc == RC_OK && ((v->if_version != 0 && v->if_version != newest) || (v->if_none && newest != 0)))
		rc = err_set(e, RC_CONFLICT, "version is %llu", (unsigned long long)newest);
	if (rc == RC_OK)
		rc = insert_version(tx, tenant, v, newest + 1, e);
	if (rc == RC_OK)
		rc = record_activation(tx, tenant, v, newest + 1, e);
	if (rc == RC_OK)
		rc = db_commit(&tx, e);
	db_end(&tx);
	if (rc == RC_OK)
		*version_r = newest + 1;
	return rc;
}

enum rc
store_rules_activate(struct db_pool *p, const struct uuid *tenant, const struct store_activation *v,
		     int64_t deadline_ms, uint64_t *version_r, struct err *e)
{
	enum rc rc = RC_CONFLICT;
	/* Two at once want the same number: without a condition the loser takes the next one. */
	for (int i = 0; i < ACTIVATE_TRIES && rc == RC_CONFLICT; i++) {
		rc = activate_once(p, tenant, v, deadline_ms, version_r, e);
		if (v->if_version != 0 || v->if_none)
			break;
	}
	return rc;
}

/* --- directory ------------------------------------------------------------------------------------------ */

enum rc
store_directory_newest(struct db_pool *p, const struct uuid *tenant, int64_t deadline_ms, struct arena *a,
		       uint64_t *version_r, struct bytes *document_r, struct err *e)
{
	struct db_args args;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	struct db_rows *rows;
	enum rc rc = read_rows(p, tenant, sql_directory_newest, &args, deadline_ms, &rows, e);
	if (rc != RC_OK)
		return rc;
	if (db_rows_next(rows)) {
		*version_r = (uint64_t)db_int(rows, 0);
		*document_r = arena_bytes(a, db_bytes(rows, 1));
	} else {
		rc = err_set(e, RC_NOT_FOUND, "no copy of the directory");
	}
	db_rows_free(&rows);
	return rc;
}

enum rc
store_directory_keep(struct db_pool *p, const struct uuid *tenant, uint64_t version, struct bytes document,
		     const uint8_t sha256[32], int64_t now_us, int64_t deadline_ms, struct err *e)
{
	struct db_tx *tx;
	enum rc rc = db_begin(p, tenant, deadline_ms, &tx, e);
	if (rc != RC_OK)
		return rc;
	struct db_args args;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_long(&args, (int64_t)version);
	db_arg_bytes(&args, bytes_of(sha256, 32));
	db_arg_bytes(&args, document);
	db_arg_time(&args, now_us);
	rc = db_exec(tx, sql_directory_keep, &args, e);
	if (rc == RC_OK)
		rc = db_commit(&tx, e);
	db_end(&tx);
	return rc;
}
