/* SPDX-License-Identifier: MIT
 *
 * The journal brought forward from somewhere else. What is written there cannot be taken back, so it is first made sure
 * of on a copy.
 */
#include "journal.h"

static enum rc
go_through(struct journal *j, struct merkle_frontier *copy, uint64_t from, uint64_t size,
	   const struct journal_source *s, struct err *e)
{
	while (from < size) {
		const struct journal_entry *v;
		size_t n = 0;
		enum rc rc = s->next(s->ctx, from, &v, &n, e);
		if (rc == RC_OK && (n == 0 || v[0].index != from))
			rc = err_set(e, RC_CONFLICT, "entry %llu is missing in the database", (unsigned long long)from);
		for (size_t i = 0; rc == RC_OK && i < n && from < size; i++, from++) {
			if (v[i].index != from)
				return err_set(e, RC_CONFLICT, "entry %llu is missing in the database",
					       (unsigned long long)from);
			if (copy != NULL)
				merkle_frontier_add(copy, &v[i].leaf);
			else
				rc = journal_add(j, &v[i], e);
		}
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

enum rc
journal_forward(struct journal *j, const struct uuid *tenant, uint64_t size, const struct merkle_hash *root,
		const struct journal_source *s, struct err *e)
{
	struct journal_log l;
	struct merkle_hash made;
	journal_log(j, tenant, &l);
	uint64_t from = l.tree.size;
	enum rc rc = go_through(j, &l.tree, from, size, s, e);
	if (rc != RC_OK)
		return rc;
	merkle_frontier_root(&l.tree, &made);
	if (!merkle_eq(&made, root))
		return err_set(e, RC_CONFLICT, "the entries of the database do not make its root");
	return go_through(j, NULL, from, size, s, e);
}
