/* SPDX-License-Identifier: MIT
 *
 * Once: an operation that is asked for again with the same idempotency key (bus_incoming.idempotency_key) has one
 *effect and gives the first answer again, whatever broke in between. Key and answer are stored in the commit of the
 *effect:
 *
 *	db_begin(..., &tx, e)
 *	svc_once_begin(r, tx, reply, &done, e)		known key: reply is the stored answer: db_end(), return RC_OK
 *	... change, db_intent(), encode into reply ...
 *	svc_once_end(r, tx, buf_bytes(reply), e)
 *	db_commit(&tx, e)				then hints, logs
 *
 * Without a key both do nothing, so a handler calls them always. Two at once: the second waits in svc_once_begin()
 *until the first has committed or given up (an advisory lock that ends with the transaction), at most until tx's
 *deadline.
 *
 * A key is of one operation, account (a tenant's own key: its name), set of permissions (what the credential gave at
 * that moment) and tenant; the same text elsewhere is another key.
 * "The same request" is the SHA-256 of the payload: a caller puts nothing into it that differs from try to try (a time,
 * a fresh id). Answers are sealed under the tenant's data key, because some hold secrets; they are kept for two days at
 * least, then go when the tenant uses a key again. Only what succeeded is stored: what failed is tried anew.
 *
 * A service that uses this sets SVC_CONTENT, svc_program.once_sql and has the table:
 * SELECT sekisho.make_idempotency('<schema>', '<role>') in its migration.
 */
#ifndef SVC_ONCE_H
#define SVC_ONCE_H

#include "svc/svc.h"

#define SVC_ONCE_REPLY_MAX (256u * 1024)

/* static const struct svc_once_sql once_sql = SVC_ONCE_SQL("auth"); in the store file */
struct svc_once_sql {
	const char *get, *add, *purge;
};
#define SVC_ONCE_SQL(schema)                                                                                           \
	{                                                                                                              \
		.get = "SELECT request, reply FROM " schema ".idempotency WHERE tenant = $1 AND key = $2",             \
		.add = "INSERT INTO " schema ".idempotency (tenant, key, request, reply, made_at) "                    \
		       "VALUES ($1, $2, $3, $4, $5)",                                                                  \
		.purge = "DELETE FROM " schema ".idempotency WHERE ctid = ANY (ARRAY(SELECT ctid FROM " schema         \
			 ".idempotency WHERE tenant = $1 AND made_at < $2 LIMIT 5000))",                               \
	}

/* tx may belong to another tenant than the caller's (the platform makes a tenant): the key is the caller's all the
 * same. *done_r: reply holds the stored answer. RC_CONFLICT: the key was used for another request. RC_RETRY: the first
 * request is still at work. */
enum rc svc_once_begin(const struct svc_request *r, struct db_tx *tx, struct buf *reply, bool *done_r,
		       struct err *e) MUST_CHECK;
/* Last before db_commit(). Queues, does not wait. RC_LIMIT: the answer is over SVC_ONCE_REPLY_MAX. */
enum rc svc_once_end(const struct svc_request *r, struct db_tx *tx, struct bytes reply, struct err *e) MUST_CHECK;

#endif
