/* SPDX-License-Identifier: MIT
 *
 * From the final dot to the reply: one explicit state machine (the table in ingest_txn.c). Blocking; one transaction is
 * on one thread.
 */
#ifndef INGEST_TXN_H
#define INGEST_TXN_H

#include "ingest.h"
#include "ingest_poison.h"

enum txn_state {
	TXN_QUEUED, /* received; waits for a thread and a scan slot of its tenant */
	TXN_SCANNING,
	TXN_JUDGING,
	TXN_COMMITTING,
	TXN_REPLIED, /* accepted: 250 */
	TXN_REFUSED,
	TXN_DEFERRED,
	TXN_ABANDONED,
};
const char *txn_state_str(enum txn_state s);

/* Run a->envelope to its end and set a->reply. scan_over is called exactly once, when the scanner is not needed any
 * more. */
void txn_run(struct ingest *in, struct poison *poison, struct ask *a, void (*scan_over)(void *ctx), void *ctx);
/* It waited too long in the queue: set a->reply, count. */
void txn_expire(struct ask *a);

#endif
