/* SPDX-License-Identifier: MIT
 *
 * What the files of the service share: its parts, its configuration, its metrics, its handlers.
 */
#ifndef AUDIT_AUDIT_H
#define AUDIT_AUDIT_H

#include <pthread.h>

#include "journal.h"
#include "record/note.h"
#include "svc/svc.h"

struct audit_config {
	const char *key, *journal, *heads, *witness, *witness_ca, *hostname;
	int64_t head_every_ms, round_ms, segment_octets;
};
struct audit {
	struct svc *svc;
	struct audit_config config;
	struct note_signer *signer;
	struct journal *journal;      /* the appender's; NULL while it cannot be opened */
	bool adopt;		      /* logs that the journal does not know are taken from the database */
	pthread_mutex_t journal_lock; /* for whoever is not the appender, and for closing it */
};
extern struct audit audit;

/* --- appender.c: one thread that turns intents into entries ---------------------------------------------------- */
enum rc appender_start(struct err *e) MUST_CHECK;
void appender_stop(void);
void appender_wake(void);
/* Whether nothing is appended to this log, because the database does not fit the journal. */
bool appender_refuses(const struct uuid *tenant);
/* Nothing more is appended or signed; says so, and alarms. */
void appender_refuse(const struct uuid *tenant, const struct err *why);
bool appender_ready(char *why, size_t size);

/* --- append.c: one batch of one log ----------------------------------------------------------------------------- */
struct store_horizon;
struct append_state {
	struct uuid tenant;
	unsigned sources; /* bits of those with unread intents; cleared when they were read up to the horizon */
	uint64_t appended;
	uint64_t size; /* of the log now */
};
/* RC_CONFLICT: the database does not fit the journal, e says how. */
enum rc append_batch(struct append_state *s, const struct store_horizon *h, struct err *e) MUST_CHECK;

/* --- gaps.c: numbers of writers that are missing -------------------------------------------------------------------
 */
/* Everything below one point was read: report, in the platform's own log too, what is missing. */
enum rc gaps_look(struct arena *a, struct err *e) MUST_CHECK;
/* After each round: whether it was complete, and if not, whose logs are stuck (one of n). Alarms after a minute. */
void gaps_watched(bool complete, const struct uuid *stuck, size_t n_stuck);

/* --- fit.c: the log in the database against what lies outside it. RC_CONFLICT: they do not fit, e says how -------- */
struct db_tx;
/* Brings the journal forward if it is behind and everything fits. */
enum rc fit_log(struct db_tx *tx, const struct uuid *tenant, uint64_t size, const struct merkle_hash *root,
		struct err *e) MUST_CHECK;
/* In a transaction of its own, and heads in any case. */
enum rc fit_check(const struct uuid *tenant, struct err *e) MUST_CHECK;

/* --- heads.c ------------------------------------------------------------------------------------------------------ */
void heads_name(const struct uuid *tenant, char out[NOTE_NAME_MAX + 1]);
void heads_key(const struct uuid *tenant, struct buf *out); /* verifier key as text */
/* Sign what has grown and is due; called by the appender after a sync. */
void heads_due(void);
/* Sign now if it has grown. Not an error if there is nothing new or the log is refused. */
enum rc heads_now(const struct uuid *tenant, struct err *e) MUST_CHECK;
/* The head in the folder of heads; false: none, or not ours. */
bool heads_newest(const struct uuid *tenant, struct note_head *out);
/* Calls fn for each log with a file there. */
void heads_each(void (*fn)(void *ctx, const struct uuid *tenant), void *ctx);
/* Its size, or 0. */
uint64_t heads_published(const struct uuid *tenant);

/* --- witness.c: hands heads to somebody else, in a thread of its own ---------------------------------------------- */
enum rc witness_start(struct err *e) MUST_CHECK;
void witness_stop(void);
void witness_offer(const struct uuid *tenant,
		   struct bytes checkpoint); /* the newest of a log replaces one that waits */

/* --- repair.c: sekisho-audit --repair; returns the exit code ------------------------------------------------------ */
int repair_main(void);

/* --- entries.c: a stored entry opened, checked against its leaf --------------------------------------------------- */
struct store_entry;
struct record_entry;
struct opened {
	bool erased;
	uint8_t salt[32];
	struct bytes record; /* canonical */
};
/* RC_INTERNAL if what is sealed is not what the leaf commits to. */
enum rc entry_open(const struct uuid *tenant, const struct store_entry *v, struct arena *a, struct opened *out_r,
		   struct err *e) MUST_CHECK;
enum rc entry_seal(const struct uuid *tenant, uint64_t index, const struct record_entry *r, struct arena *a,
		   struct store_entry *out, struct err *e) MUST_CHECK;

/* --- handlers ----------------------------------------------------------------------------------------------------- */
enum rc audit_handle_search(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc audit_handle_heads(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc audit_handle_prove(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc audit_handle_export(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc audit_handle_events(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc audit_handle_last_head(const struct svc_request *r, struct buf *reply, struct err *e);

extern struct metric audit_metric_appended, audit_metric_lag, audit_metric_delay, audit_metric_gaps,
    audit_metric_unwatched, audit_metric_refused, audit_metric_heads, audit_metric_failures;
enum { FAILED_ROUND, FAILED_JOURNAL, FAILED_HEAD, FAILED_WITNESS, FAILED_ENTRY };

#endif
