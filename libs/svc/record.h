/* SPDX-License-Identifier: MIT
 *
 * The record of what changes nothing: reads, refusals, denials. An audit intent of each is committed before the answer
 * leaves; callers block meanwhile. Those that wait at the same time share a commit: few threads take what waits of one
 * tenant at a time. Thread-safe. (Changes write their intent in their own commit, with db_intent().)
 */
#ifndef SVC_RECORD_H
#define SVC_RECORD_H

#include "db/db.h"

#define RECORD_WAITING_MAX 1000
#define RECORD_BATCH_MAX   256
#define RECORD_COMMIT_MS   3000
#define RECORD_FORGED_MS   60000

struct recorder;

/* Starts its threads; db must have an intent_sql. */
struct recorder *recorder_new(struct db_pool *db);
/* Writes what was held back, ends the threads. Nobody may be in recorder_write() any more. */
void recorder_free(struct recorder **r);

/* Blocks until the intent is committed under tenant (nil: the platform's). RC_RETRY: it is not on the record, because
 * the database is down, too much waits, or the deadline passed; whoever asked gets no answer then. */
enum rc recorder_write(struct recorder *r, const struct uuid *tenant, const struct audit_intent *i, int64_t deadline_ms,
		       struct err *e) MUST_CHECK;
/* Somebody without a valid token: under the nil tenant, at most one entry per action, source and minute, whose detail
 * counts how many there were. Action and source are short words of ours. */
enum rc recorder_forged(struct recorder *r, const char *action, const char *source, const char *reason,
			const char *traceparent, int64_t deadline_ms, struct err *e) MUST_CHECK;

struct recorder_stats {
	int64_t written, failed, commits, forged;
};
void recorder_stats(struct recorder *r, struct recorder_stats *out_r);

#endif
