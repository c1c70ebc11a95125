/* SPDX-License-Identifier: MIT
 *
 * Audit intents of a transaction are collected and written by one statement just before COMMIT. The sequence number
 * is the connection's: it moves on only when the commit succeeded, so a writer's numbers have no gap.
 */
#include "db/db_internal.h"

#include <stdlib.h>

#include "core/arena.h"
#include "core/clock.h"

#define GROW(array, cap)                                                                                               \
	do {                                                                                                           \
		void *more_ = realloc((array), (cap) * sizeof(*(array)));                                              \
		if (more_ == NULL)                                                                                     \
			abort();                                                                                       \
		(array) = more_;                                                                                       \
	} while (0)

enum rc
db_intent(struct db_tx *tx, const struct audit_intent *i, struct err *e)
{
	if (!tx->has_tenant || tx->pool->intent_sql == NULL)
		return err_set(e, RC_INTERNAL, "an audit intent needs a tenant and a writer");
	struct intents *t = &tx->intents;
	if (t->n > 0 && !uuid_eq(&t->tenant, &tx->tenant))
		return err_set(e, RC_INTERNAL, "audit intents of a transaction are one tenant's");
	t->tenant = tx->tenant;
	if (t->arena == NULL)
		t->arena = arena_new();
	if (t->n == t->cap) {
		t->cap = t->cap != 0 ? t->cap * 2 : 8;
		GROW(t->id, t->cap);
		GROW(t->subject, t->cap);
		GROW(t->seq, t->cap);
		GROW(t->at, t->cap);
		GROW(t->action, t->cap);
		GROW(t->outcome, t->cap);
		GROW(t->traceparent, t->cap);
		GROW(t->actor, t->cap);
		GROW(t->source, t->cap);
		GROW(t->detail, t->cap);
		GROW(t->number, t->cap);
	}
	size_t k = t->n++;
	t->id[k] = uuid_v7(clock_wall_us());
	t->subject[k] = i->subject;
	t->seq[k] = tx->conn->seq + (int64_t)k + 1;
	t->at[k] = i->at_us;
	t->action[k] = arena_strdup(t->arena, i->action);
	t->outcome[k] = arena_strdup(t->arena, i->outcome != NULL ? i->outcome : "ok");
	t->traceparent[k] = i->traceparent != NULL ? arena_strdup(t->arena, i->traceparent) : NULL;
	t->actor[k] = arena_bytes(t->arena, i->actor);
	t->source[k] = i->source.n > 0 ? arena_bytes(t->arena, i->source) : (struct bytes){0};
	t->detail[k] = i->detail.n > 0 ? arena_bytes(t->arena, i->detail) : (struct bytes){0};
	t->number[k] = i->number;
	return RC_OK;
}

enum rc
db_intents_flush(struct db_tx *tx, struct err *e)
{
	struct intents *t = &tx->intents;
	if (t->n == 0)
		return RC_OK;
	/* They would stand on the record of whichever tenant came last. */
	if (!uuid_eq(&t->tenant, &tx->tenant))
		return err_set(e, RC_INTERNAL, "the transaction ends in another tenant than its audit intents");
	struct db_args a;
	db_args_init(&a);
	db_arg_uuid(&a, &tx->tenant);
	/* The writer is the login role: schema and role say the same. */
	db_arg_text(&a, PQuser(tx->conn->pg));
	db_arg_uuid(&a, &tx->conn->epoch);
	db_arg_uuids(&a, t->id, t->n);
	db_arg_longs(&a, t->seq, t->n);
	db_arg_times(&a, t->at, t->n);
	db_arg_texts(&a, t->action, t->n);
	db_arg_texts(&a, t->outcome, t->n);
	db_arg_bytes_array(&a, t->actor, t->n);
	db_arg_uuids(&a, t->subject, t->n);
	db_arg_ints(&a, t->number, t->n);
	db_arg_bytes_array(&a, t->detail, t->n);
	db_arg_texts(&a, t->traceparent, t->n);
	db_arg_bytes_array(&a, t->source, t->n);
	return db_exec(tx, tx->pool->intent_sql, &a, e);
}

void
db_intents_done(struct db_tx *tx)
{
	struct intents *t = &tx->intents;
	free(t->id);
	free(t->subject);
	free(t->seq);
	free(t->at);
	free(t->action);
	free(t->outcome);
	free(t->traceparent);
	free(t->actor);
	free(t->source);
	free(t->detail);
	free(t->number);
	arena_free(&t->arena);
	*t = (struct intents){0};
}
