/* SPDX-License-Identifier: MIT
 *
 * The producer's side of an event (law 1): a row per (event, consumer) is committed with the effect; the event is then
 * published in batches, one bus message per tenant and batch; the row leaves when the consumer has confirmed that it
 * committed. What is not confirmed is published again, with back-off, and at once when a stream was made anew.
 *
 * The table (content-free, no row-level security), in the producer's schema:
 *   outbox (id uuid, tenant uuid, consumer text, attempts int4, next_at timestamptz, PRIMARY KEY (id, consumer))
 */
#ifndef BUS_OUTBOX_H
#define BUS_OUTBOX_H

#include "bus/bus.h"
#include "db/db.h"

struct outbox;

/* Adds the payload of an event that must be published again. */
struct outbox_emit;
void outbox_emit(struct outbox_emit *to, const struct uuid *id, struct bytes payload);

struct outbox_options {
	const char *subject;		 /* EVT_...: the tenant is appended */
	const char *ack_subject;	 /* ACK_... */
	const char *const *consumers;	 /* NULL-terminated */
	const char *stream_made_subject; /* SIG_STREAM_MADE */
	/* SQL of the store: see OUTBOX_SQL_* below for what each must do. */
	const char *sql_insert, *sql_due, *sql_confirm, *sql_hasten, *sql_depth;
	/* Load payloads of ids from the producer's own tables, in a transaction of that tenant, and emit each. An id
	 * whose event is gone is left out (and the row dropped as an orphan is reported in the log). */
	enum rc (*load)(void *ctx, struct db_tx *tx, const struct uuid *tenant, const struct uuid *ids, size_t n,
			struct outbox_emit *to, struct err *e);
	void *ctx;
};
#define OUTBOX_SQL_INSERT(schema)                                                                                      \
	"INSERT INTO " schema ".outbox (id, tenant, consumer, attempts, next_at) "                                     \
	"SELECT $1, $2, c, 0, now() + interval '5 seconds' FROM unnest($3::text[]) AS c"
#define OUTBOX_SQL_DUE(schema) /* take what is due and put it off: 5 s, 10 s, ... at most 5 min */                     \
	"UPDATE " schema ".outbox o SET attempts = o.attempts + 1, next_at = now() + least(interval '5 minutes', "     \
	"interval '5 seconds' * power(2, least(o.attempts, 8))) FROM (SELECT id, consumer FROM " schema                \
	".outbox WHERE next_at <= now() ORDER BY next_at LIMIT $1 FOR UPDATE SKIP LOCKED) d "                          \
	"WHERE o.id = d.id AND o.consumer = d.consumer RETURNING o.id, o.tenant"
#define OUTBOX_SQL_CONFIRM(schema) "DELETE FROM " schema ".outbox WHERE consumer = $1 AND id = ANY($2::uuid[])"
#define OUTBOX_SQL_HASTEN(schema)  "UPDATE " schema ".outbox SET attempts = 0, next_at = now()"
#define OUTBOX_SQL_DEPTH(schema)                                                                                       \
	"SELECT count(*), coalesce(extract(epoch FROM now() - min(next_at)), 0)::int8 FROM " schema ".outbox"

/* Starts the publisher, the reconciler and the confirmation listener. */
enum rc outbox_open(struct bus *b, struct db_pool *p, const struct outbox_options *o, struct outbox **out_r,
		    struct err *e) MUST_CHECK;
void outbox_close(struct outbox **o);
/* In the transaction of the effect: one row per consumer. */
enum rc outbox_add(struct outbox *o, struct db_tx *tx, const struct uuid *tenant, const struct uuid *id,
		   struct err *e) MUST_CHECK;
/* After the commit: publish soon (batched). Never fails; what gets lost is found by the reconciler. Copies. */
void outbox_publish(struct outbox *o, const struct uuid *tenant, const struct uuid *id, struct bytes payload);

struct outbox_stats {
	uint64_t published, republished, confirmed;
};
void outbox_stats(const struct outbox *o, struct outbox_stats *out_r);

#endif
