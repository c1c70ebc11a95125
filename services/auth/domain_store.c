/* SPDX-License-Identifier: MIT
 *
 * Domains: claimed, classified, proven. The unique key of the directory decides who proved one first.
 */
#include "auth_store.h"

static const char update_version[] =
    "UPDATE auth.tenant SET directory_version = directory_version + 1 WHERE tenant = $1";
static const char select_domain[] = "SELECT class, proven_at IS NOT NULL, challenge FROM auth.domain "
				    "WHERE tenant = $1 AND name = $2 FOR UPDATE";
static const char insert_domain[] =
    "INSERT INTO auth.domain (tenant, name, class, challenge, proven_at, created_at) VALUES ($1, $2, $3::int4, $4, $5, "
    "$6)";
static const char update_domain[] = "UPDATE auth.domain SET class = $3::int4, challenge = $4, proven_at = $5 "
				    "WHERE tenant = $1 AND name = $2";
static const char insert_directory_domain[] = "INSERT INTO auth.directory_domain (tenant, name) VALUES ($1, $2)";
static enum rc
read_domain(struct store_tx *t, const char *name, bool *there_r, struct store_domain *out, struct err *e)
{
	struct db_rows *rows = NULL;
	struct db_args args;
	store_args(t, &args);
	db_arg_text(&args, name);
	enum rc rc = db_query(t->tx, select_domain, &args, &rows, e);
	if (rc != RC_OK)
		return rc;
	*out = (struct store_domain){.name = name};
	*there_r = db_rows_next(rows);
	if (*there_r) {
		out->class = (int)db_int(rows, 0);
		out->proven = db_bool(rows, 1);
		out->challenge = db_is_null(rows, 2) ? NULL : arena_strdup(t->a, db_text(rows, 2));
	}
	db_rows_free(&rows);
	return RC_OK;
}

static enum rc
write_domain(struct store_tx *t, bool there, const struct store_domain *d, struct err *e)
{
	struct db_args args;
	store_args(t, &args);
	db_arg_text(&args, d->name);
	db_arg_int(&args, d->class);
	db_arg_text(&args, d->challenge);
	db_arg_time(&args, d->proven ? t->by.now_us : DB_TIME_NULL);
	if (!there)
		db_arg_time(&args, t->by.now_us);
	enum rc rc = db_exec(t->tx, there ? update_domain : insert_domain, &args, e);
	if (rc != RC_OK || !d->proven)
		return rc;
	store_args(t, &args);
	db_arg_text(&args, d->name);
	return db_exec(t->tx, insert_directory_domain, &args, e);
}

static enum rc
next_version(struct store_tx *t, struct err *e)
{
	struct db_args args;
	int64_t n = 0;
	store_args(t, &args);
	enum rc rc = db_exec_count(t->tx, update_version, &args, &n, e);
	return rc == RC_OK && n == 0 ? err_set(e, RC_NOT_FOUND, "no such tenant") : rc;
}

static enum rc
change_domain(struct store_tx *t, const struct store_claim *c, bool there, const struct store_domain *d, struct err *e)
{
	static const char *const classes[] = {"external", "internal", "affiliate"};
	const struct store_detail detail[] = {
	    {"domain", bytes_str(d->name)}, {"class", bytes_str(classes[d->class])}, {"how", bytes_str(c->how)}, {0}};
	enum rc rc = next_version(t, e); /* also the lock that orders the tenant's changes */
	if (rc == RC_OK)
		rc = write_domain(t, there, d, e);
	return rc == RC_OK ? store_intent(t, c->proven ? "domain.proven" : "domain.added", RC_OK, &t->tenant, detail, e)
			   : rc;
}

enum rc
store_set_domain(const struct store_by *by, const struct uuid *tenant, const struct store_claim *c, struct arena *a,
		 struct store_domain *found_r, bool *changed_r, struct err *e)
{
	struct store_tx t;
	struct store_domain now = {0};
	bool there = false;
	enum rc rc = store_begin(by, tenant, a, &t, e);
	if (rc != RC_OK)
		return rc;
	rc = read_domain(&t, c->name, &there, &now, e);
	if (rc == RC_OK && there && now.class == c->class && (now.proven || !c->proven)) {
		store_drop(&t);
		*found_r = now;
		*changed_r = false;
		return RC_OK;
	}
	if (rc == RC_OK && now.proven)
		rc = err_set(e, RC_CONFLICT, "the domain is proven and stays internal");
	now.class = c->class;
	now.proven = c->proven;
	if (now.challenge == NULL)
		now.challenge = c->challenge;
	if (rc == RC_OK)
		rc = change_domain(&t, c, there, &now, e);
	rc = store_end(&t, rc, "the domain belongs to another tenant", e);
	if (rc == RC_OK) {
		*found_r = now;
		*changed_r = true;
	}
	return rc;
}
