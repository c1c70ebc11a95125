/* SPDX-License-Identifier: MIT */
#include "store_tx.h"

static const char lock_tenant[] = "SELECT tenant FROM auth.tenant WHERE tenant = $1 FOR NO KEY UPDATE";

enum rc
store_begin(const struct store_by *by, const struct uuid *tenant, struct arena *a, struct store_tx *t_r, struct err *e)
{
	struct store_tx t = {.by = *by, .a = a};
	if (tenant != NULL)
		t.tenant = *tenant;
	enum rc rc = db_begin(by->db, tenant, by->deadline_ms, &t.tx, e);
	if (rc == RC_OK)
		*t_r = t;
	return rc;
}

enum rc
store_end(struct store_tx *t, enum rc rc, const char *on_unique, struct err *e)
{
	struct err own = {0};
	struct err *why = e != NULL ? e : &own;
	if (rc == RC_OK)
		rc = db_commit(&t->tx, why);
	db_end(&t->tx);
	/* Found by a unique key; conflicts that we found ourselves have their words already. */
	if (rc == RC_CONFLICT && on_unique != NULL && strncmp(why->text, "database ", 9) == 0)
		return err_set(e, RC_CONFLICT, "%s", on_unique);
	return rc;
}

void
store_drop(struct store_tx *t)
{
	db_end(&t->tx);
}

void
store_args(const struct store_tx *t, struct db_args *args)
{
	db_args_init(args);
	db_arg_uuid(args, &t->tenant);
}

enum rc
store_row(struct store_tx *t, const char *sql, struct db_args *args, const char *none, struct db_rows **rows_r,
	  struct err *e)
{
	struct db_rows *rows = NULL;
	enum rc rc = db_query(t->tx, sql, args, &rows, e);
	if (rc != RC_OK)
		return rc;
	if (!db_rows_next(rows)) {
		db_rows_free(&rows);
		return err_set(e, RC_NOT_FOUND, "%s", none);
	}
	*rows_r = rows;
	return RC_OK;
}

enum rc
store_intent(struct store_tx *t, const char *action, enum rc outcome, const struct uuid *subject,
	     const struct store_detail *detail, struct err *e)
{
	struct buf b;
	buf_init(&b, 0);
	for (const struct store_detail *d = detail; d != NULL && d->name != NULL; d++) {
		buf_add_str(&b, d == detail ? "{" : ",");
		buf_add_json(&b, bytes_str(d->name));
		buf_add_str(&b, ":");
		buf_add_json(&b, d->value);
	}
	if (b.n > 0)
		buf_add_str(&b, "}");
	struct audit_intent i = {
	    .action = action,
	    .outcome = rc_str(outcome),
	    .actor = bytes_str(t->by.actor),
	    .source = bytes_str(t->by.client_ip),
	    .subject = *subject,
	    .number = -1,
	    .at_us = t->by.now_us,
	    .detail = buf_bytes(&b),
	    .traceparent = t->by.traceparent,
	};
	enum rc rc = db_intent(t->tx, &i, e);
	buf_done(&b);
	return rc;
}

enum rc
store_lock_tenant(struct store_tx *t, struct err *e)
{
	struct db_rows *rows = NULL;
	struct db_args args;
	store_args(t, &args);
	enum rc rc = store_row(t, lock_tenant, &args, "no such tenant", &rows, e);
	db_rows_free(&rows);
	return rc;
}

struct bytes *
store_split(struct bytes joined, struct arena *a, size_t *n_r)
{
	size_t n = joined.p == NULL ? 0 : 1, k = 0;
	for (size_t i = 0; i < joined.n; i++)
		n += joined.p[i] == 0;
	struct bytes *v = arena_new_array(a, struct bytes, n + 1), own = arena_bytes(a, joined);
	for (size_t from = 0, i = 0; k < n; i++)
		if (i == own.n || own.p[i] == 0) {
			v[k++] = bytes_of(own.p + from, i - from);
			from = i + 1;
		}
	*n_r = n;
	return v;
}
