/* SPDX-License-Identifier: MIT
 *
 * SQL of sandboxes (what kind a tenant is, what the sink took) and of the keys of notices.
 */
#include "store_columns.h"

static const char SQL_KIND[] = "SELECT sandbox FROM delivery.tenant_kind WHERE tenant = $1";
static const char SQL_KIND_ADD[] =
    "INSERT INTO delivery.tenant_kind (tenant, sandbox) VALUES ($1, $2) ON CONFLICT DO NOTHING";
static const char SQL_SANDBOXES[] = "SELECT tenant FROM delivery.tenant_kind WHERE sandbox";
#define MAIL_COLUMNS "id, message, number, at, mail_from, recipients, size"
/* Of the recipients those that no mail of the message has: a job that is tried again may be of more than it was. */
static const char SQL_ADD[] =
    "INSERT INTO delivery.sandbox_mail (tenant, id, message, at, mail_from, size, number, numbers, recipients) SELECT "
    "$1::uuid, $2::uuid, $3::uuid, $4::timestamptz, $5::bytea, $6::int8, min(u.number), array_agg(u.number ORDER BY "
    "u.number), string_agg(u.address, '\\x0a'::bytea ORDER BY u.number) FROM unnest($7::int4[], $8::bytea[]) AS "
    "u(number, address) WHERE NOT EXISTS (SELECT 1 FROM delivery.sandbox_mail k WHERE k.tenant = $1 AND k.message = $3 "
    "AND u.number = ANY (k.numbers)) HAVING count(*) > 0 ON CONFLICT (tenant, message, number) DO NOTHING";
/* Addresses hold no line feed, so one is found whole or not at all. */
static const char SQL_LIST[] =
    "SELECT " MAIL_COLUMNS " FROM delivery.sandbox_mail WHERE tenant = $1 AND ($2::uuid IS NULL OR id < $2) AND "
    "($3::bytea IS NULL OR position('\\x0a'::bytea || $3 || '\\x0a'::bytea IN '\\x0a'::bytea || recipients || "
    "'\\x0a'::bytea) > 0) ORDER BY id DESC LIMIT $4";
static const char SQL_GET[] = "SELECT " MAIL_COLUMNS " FROM delivery.sandbox_mail WHERE tenant = $1 AND id = $2";
static const char SQL_PURGE[] =
    "DELETE FROM delivery.sandbox_mail WHERE tenant = $1 AND id IN (SELECT id FROM delivery.sandbox_mail WHERE "
    "tenant = $1 AND id < sekisho.uuid_floor($2) ORDER BY id LIMIT $3) RETURNING id";
static const char SQL_NOTICE_ADD[] =
    "INSERT INTO delivery.notice (tenant, key, message) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
static const char SQL_NOTICE[] = "SELECT message FROM delivery.notice WHERE tenant = $1 AND key = $2";

enum rc
store_kind(struct db_tx *tx, const struct uuid *tenant, bool *found_r, bool *sandbox_r, struct err *e)
{
	struct db_args p;
	struct db_rows *r = NULL;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	enum rc rc = db_query(tx, SQL_KIND, &p, &r, e);
	if (rc != RC_OK)
		return rc;
	*found_r = db_rows_next(r);
	if (*found_r)
		*sandbox_r = db_bool(r, 0);
	db_rows_free(&r);
	return RC_OK;
}

enum rc
store_kind_add(struct db_tx *tx, const struct uuid *tenant, bool sandbox, bool *sandbox_r, struct err *e)
{
	struct db_args p;
	bool found = false;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	db_arg_bool(&p, sandbox);
	enum rc rc = db_exec(tx, SQL_KIND_ADD, &p, e);
	if (rc == RC_OK)
		rc = store_kind(tx, tenant, &found, sandbox_r, e);
	if (rc == RC_OK && !found)
		rc = err_set(e, RC_RETRY, "the kind of the tenant is not there");
	return rc;
}

static enum rc
read_ids(struct db_rows *r, struct arena *a, struct uuid **v_r, size_t *n_r)
{
	struct uuid *v = arena_new_array(a, struct uuid, (size_t)db_rows_count(r));
	size_t n = 0;
	while (db_rows_next(r))
		v[n++] = db_uuid(r, 0);
	db_rows_free(&r);
	*v_r = v;
	*n_r = n;
	return RC_OK;
}

enum rc
store_sandboxes(struct db_pool *pool, int64_t deadline_ms, struct arena *a, struct uuid **v_r, size_t *n_r,
		struct err *e)
{
	struct db_tx *tx = NULL;
	struct db_rows *r = NULL;
	enum rc rc = db_begin(pool, NULL, deadline_ms, &tx, e);
	if (rc == RC_OK)
		rc = db_query(tx, SQL_SANDBOXES, NULL, &r, e);
	db_end(&tx);
	return rc == RC_OK ? read_ids(r, a, v_r, n_r) : rc;
}

enum rc
store_sandbox_add(struct db_tx *tx, const struct uuid *tenant, const struct store_sandbox_mail *m,
		  const int32_t *numbers, const struct bytes *addresses, size_t n, bool *fresh_r, struct err *e)
{
	struct db_args p;
	int64_t count = 0;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	db_arg_uuid(&p, &m->id);
	db_arg_uuid(&p, &m->message);
	db_arg_time(&p, m->at_us);
	db_arg_bytes(&p, store_full(m->mail_from));
	db_arg_long(&p, (int64_t)m->size);
	db_arg_ints(&p, numbers, n);
	db_arg_bytes_array(&p, addresses, n);
	enum rc rc = db_exec_count(tx, SQL_ADD, &p, &count, e);
	if (rc == RC_OK)
		*fresh_r = count > 0;
	return rc;
}

static void
read_mail(const struct db_rows *r, struct arena *a, struct store_sandbox_mail *m)
{
	m->id = db_uuid(r, 0);
	m->message = db_uuid(r, 1);
	m->number = (int32_t)db_int(r, 2);
	m->at_us = db_time(r, 3);
	m->mail_from = arena_bytes(a, db_bytes(r, 4));
	m->recipients = arena_bytes(a, db_bytes(r, 5));
	m->size = (uint64_t)db_int(r, 6);
}

enum rc
store_sandbox_list(struct db_tx *tx, const struct uuid *tenant, const struct store_filter *f, struct arena *a,
		   struct store_sandbox_mail **v_r, size_t *n_r, struct err *e)
{
	struct db_args p;
	struct db_rows *r = NULL;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	db_arg_uuid(&p, f->has_before ? &f->before : NULL);
	db_arg_bytes(&p, f->recipient);
	db_arg_long(&p, f->limit);
	enum rc rc = db_query(tx, SQL_LIST, &p, &r, e);
	if (rc != RC_OK)
		return rc;
	struct store_sandbox_mail *v = arena_new_array(a, struct store_sandbox_mail, (size_t)db_rows_count(r));
	size_t n = 0;
	while (db_rows_next(r))
		read_mail(r, a, &v[n++]);
	db_rows_free(&r);
	*v_r = v;
	*n_r = n;
	return RC_OK;
}

enum rc
store_sandbox_get(struct db_tx *tx, const struct uuid *tenant, const struct uuid *id, struct arena *a,
		  struct store_sandbox_mail *out_r, struct err *e)
{
	struct db_args p;
	struct db_rows *r = NULL;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	db_arg_uuid(&p, id);
	enum rc rc = db_query(tx, SQL_GET, &p, &r, e);
	if (rc != RC_OK)
		return rc;
	if (db_rows_next(r))
		read_mail(r, a, out_r);
	else
		rc = err_set(e, RC_NOT_FOUND, "no such mail in the sandbox");
	db_rows_free(&r);
	return rc;
}

enum rc
store_sandbox_purge(struct db_tx *tx, const struct uuid *tenant, int64_t before_us, int32_t limit, struct arena *a,
		    struct uuid **v_r, size_t *n_r, struct err *e)
{
	struct db_args p;
	struct db_rows *r = NULL;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	db_arg_time(&p, before_us);
	db_arg_long(&p, limit);
	enum rc rc = db_query(tx, SQL_PURGE, &p, &r, e);
	return rc == RC_OK ? read_ids(r, a, v_r, n_r) : rc;
}

enum rc
store_notice(struct db_tx *tx, const struct uuid *tenant, const char *key, struct uuid *message, bool *fresh_r,
	     struct err *e)
{
	struct db_args p;
	struct db_rows *r = NULL;
	int64_t count = 0;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	db_arg_text(&p, key);
	db_arg_uuid(&p, message);
	enum rc rc = db_exec_count(tx, SQL_NOTICE_ADD, &p, &count, e);
	*fresh_r = rc == RC_OK && count > 0;
	if (rc != RC_OK || *fresh_r)
		return rc;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	db_arg_text(&p, key);
	rc = db_query(tx, SQL_NOTICE, &p, &r, e);
	if (rc != RC_OK)
		return rc;
	if (db_rows_next(r))
		*message = db_uuid(r, 0);
	else
		rc = err_set(e, RC_RETRY, "the notice is being made");
	db_rows_free(&r);
	return rc;
}
