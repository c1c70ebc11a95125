/* SPDX-License-Identifier: MIT
 *
 * Whether a log in the database fits what lies outside it: the journal and the heads that were published. A database
 * that is behind them, or has another history, was restored or altered; a journal that does not know a log was lost, or
 * is not mounted. Nothing is added to such a log and nothing signed.
 */
#include "audit.h"
#include "core/clock.h"
#include "core/log.h"
#include "store.h"

#define CATCH_UP    1000
#define DEADLINE_MS 60000

/* --- heads ------------------------------------------------------------------------------------------------------- */
static enum rc
fit_head(const struct tiles_reader *r, uint64_t size, uint64_t head_size, const struct merkle_hash *head_root,
	 const char *where, struct err *e)
{
	struct merkle_hash root;
	if (head_size > size)
		return err_set(e, RC_CONFLICT, "the database has %llu entries, but there is a head of %llu in %s",
			       (unsigned long long)size, (unsigned long long)head_size, where);
	enum rc rc = tiles_root(r, head_size, &root, e);
	if (rc == RC_OK && !merkle_eq(&root, head_root))
		rc = err_set(e, RC_CONFLICT, "the first %llu entries of the database are not those of the head in %s",
			     (unsigned long long)head_size, where);
	return rc;
}

/* *least_r: every place that heads go to has one of this size or more. */
static enum rc
fit_heads(struct db_tx *tx, const struct uuid *tenant, uint64_t size, uint64_t *least_r, struct err *e)
{
	struct note_head file;
	struct store_head *row;
	size_t n = 0;
	struct arena *a = arena_new();
	struct tiles_reader r = store_tiles_reader(store_tiles_new(tx, tenant, a));
	bool found = heads_newest(tenant, &file);
	enum rc rc = found ? fit_head(&r, size, file.size, &file.root, "the folder of heads", e) : RC_OK;
	if (rc == RC_OK)
		rc = store_heads(tx, tenant, UINT64_MAX, 1, a, &row, &n, e);
	if (rc == RC_OK && n > 0)
		rc = fit_head(&r, size, row[0].size, &row[0].root, "the database", e);
	if (rc == RC_OK) {
		*least_r = n > 0 ? row[0].size : 0;
		if (audit.config.heads[0] != 0 && (!found || file.size < *least_r))
			*least_r = found ? file.size : 0;
	}
	arena_free(&a);
	return rc;
}

/* --- the journal ------------------------------------------------------------------------------------------------- */
struct source {
	struct db_tx *tx;
	const struct uuid *tenant;
	struct arena *a;
	uint64_t end;
};

static enum rc
next_entries(void *ctx, uint64_t from, const struct journal_entry **v_r, size_t *n_r, struct err *e)
{
	struct source *s = ctx;
	struct store_entry *v;
	arena_reset(s->a);
	enum rc rc = store_range(s->tx, s->tenant, NULL, from, s->end, CATCH_UP, s->a, &v, n_r, e);
	if (rc != RC_OK)
		return rc;
	struct journal_entry *out = arena_new_array(s->a, struct journal_entry, *n_r + 1);
	for (size_t i = 0; i < *n_r; i++)
		out[i] =
		    (struct journal_entry){*s->tenant, v[i].intent, v[i].index, v[i].at_us, v[i].leaf, v[i].sealed};
	*v_r = out;
	return RC_OK;
}

/* The database is ahead, which a crash between commit and journal explains. */
static enum rc
catch_up(struct db_tx *tx, const struct journal_log *l, uint64_t size, const struct merkle_hash *root, struct err *e)
{
	struct merkle_hash ours, theirs;
	struct source s = {tx, &l->tenant, arena_new(), size};
	struct journal_source js = {next_entries, &s};
	struct tiles_reader r = store_tiles_reader(store_tiles_new(tx, &l->tenant, s.a));
	merkle_frontier_root(&l->tree, &ours);
	merkle_empty(&theirs);
	enum rc rc = l->tree.size > 0 ? tiles_root(&r, l->tree.size, &theirs, e) : RC_OK;
	if (rc == RC_OK && !merkle_eq(&ours, &theirs))
		rc = err_set(e, RC_CONFLICT, "the first %llu entries of the database are not those of the journal",
			     (unsigned long long)l->tree.size);
	if (rc == RC_OK)
		rc = journal_forward(audit.journal, &l->tenant, size, root, &js, e);
	if (rc == RC_OK)
		log_info("the journal was behind, and was brought forward", LOG_TENANT(&l->tenant),
			 LOG_INT("entries", size - l->tree.size));
	arena_free(&s.a);
	return rc;
}

/* A log that the journal knows nothing of may only be one that has not begun. It is told the journal before the first
 * commit, so that a crash behind that commit is not taken for a lost journal. */
static enum rc
meet_log(const struct uuid *tenant, uint64_t size, struct err *e)
{
	if (size > 0 && !audit.adopt)
		return err_set(e, RC_CONFLICT,
			       "the database has %llu entries, and the journal does not know the log: is this its "
			       "folder? --adopt takes it from the database",
			       (unsigned long long)size);
	if (size > 0)
		log_warn("a log that the journal did not know is adopted from the database", LOG_TENANT(tenant),
			 LOG_INT("entries", size));
	enum rc rc = journal_add_log(audit.journal, tenant, e);
	return rc == RC_OK ? journal_sync(audit.journal, e) : rc;
}

enum rc
fit_log(struct db_tx *tx, const struct uuid *tenant, uint64_t size, const struct merkle_hash *root, struct err *e)
{
	struct journal_log l;
	struct merkle_hash ours;
	uint64_t least = 0;
	journal_log(audit.journal, tenant, &l);
	if (size < l.tree.size)
		return err_set(e, RC_CONFLICT, "the database has %llu entries, the journal %llu",
			       (unsigned long long)size, (unsigned long long)l.tree.size);
	merkle_frontier_root(&l.tree, &ours);
	if (size == l.tree.size && !merkle_eq(&ours, root))
		return err_set(e, RC_CONFLICT, "the %llu entries of the database are not those of the journal",
			       (unsigned long long)size);
	bool behind = !l.known || l.tree.size < size;
	enum rc rc = RC_OK;
	if (behind || appender_refuses(tenant))
		rc = fit_heads(tx, tenant, size, &least, e);
	if (rc == RC_OK && !l.known)
		rc = meet_log(tenant, size, e);
	if (rc == RC_OK && l.tree.size < size)
		rc = catch_up(tx, &l, size, root, e);
	return rc;
}

enum rc
fit_check(const struct uuid *tenant, struct err *e)
{
	struct db_tx *tx = NULL;
	uint64_t size = 0, least = 0;
	struct merkle_hash root;
	enum rc rc = db_begin(audit.svc->db, tenant, clock_mono_ms() + DEADLINE_MS, &tx, e);
	if (rc == RC_OK)
		rc = store_tree(tx, tenant, &size, &root, e);
	if (rc == RC_OK)
		rc = fit_log(tx, tenant, size, &root, e);
	if (rc == RC_OK)
		rc = fit_heads(tx, tenant, size, &least, e);
	db_end(&tx);
	if (rc == RC_OK)
		journal_published(audit.journal, tenant, least);
	return rc;
}
