/* SPDX-License-Identifier: MIT
 *
 * All SQL of ingest. Transactions are the caller's unless a function opens its own.
 */
#ifndef INGEST_STORE_H
#define INGEST_STORE_H

#include "bus/outbox.h"
#include "db/db.h"
#include "ingest_envelope.h"

extern const char ingest_intent_sql[];

struct store_acceptance {
	struct uuid id;
	int64_t accepted_us;
	const struct envelope *envelope;
	const uint8_t *sha256; /* of the body, 32 octets */
	const uint8_t *digest; /* of envelope and body, 32 octets: goes with the idempotency key */
	struct bytes event;
};
/* Queues the acceptance and, if there is one, the idempotency key. A key that is taken makes db_commit() (or the next
 * wait) fail with RC_CONFLICT. */
enum rc store_accept(struct db_tx *tx, const struct store_acceptance *s, struct err *e) MUST_CHECK;

/* RC_NOT_FOUND: that account never used it. Keys are an account's own: another's neither stands in its way nor tells it
 * of its mail. */
enum rc store_idempotency(struct db_tx *tx, const struct uuid *account, struct bytes key, struct uuid *message_r,
			  int64_t *accepted_us_r, uint8_t digest_r[32], struct err *e) MUST_CHECK;

/* One more scan failure on this message; *failures_r: how many by now. After an hour without it counts from 1 again. */
enum rc store_poison_add(struct db_tx *tx, const struct uuid *tenant, const uint8_t sha256[32], int64_t now_us,
			 int64_t *failures_r, struct err *e) MUST_CHECK;

/* Deletes the tenant's idempotency keys and counts of scan failures from before then: a few thousand at most. */
enum rc store_purge(struct db_tx *tx, const struct uuid *tenant, int64_t before_us, struct err *e) MUST_CHECK;

/* Fills the SQL and the loader. */
void store_outbox_options(struct outbox_options *o);
/* Rows in the outbox and the age of the oldest in seconds. */
enum rc store_outbox_depth(struct db_pool *p, int64_t deadline_ms, int64_t *depth_r, int64_t *age_r,
			   struct err *e) MUST_CHECK;

#endif
