/* SPDX-License-Identifier: MIT
 *
 * The copy outside the database: every appended entry (sealed, as in the database), the wrapped keys, and the heads
 * that were signed, in segment files that only grow. A head is signed only over what is on disk here; a database that
 * is behind the journal was restored to an earlier point, and nothing is appended to it until --repair has brought it
 * forward.
 *
 * Segments are "<number>.journal"; each begins with the state of every log, so that opening reads the newest one only.
 * A torn record at the end of the newest segment was never synced: it is cut and kept beside. Anything else that is
 * wrong is damage, and stays as it is. Thread-safe; one process at a time (lock file).
 */
#ifndef AUDIT_JOURNAL_H
#define AUDIT_JOURNAL_H

#include "core/id.h"
#include "record/merkle.h"

struct journal;

struct journal_options {
	const char *folder;	/* must be there */
	int64_t segment_octets; /* a new one is begun beyond this */
	/* Size of the last head of a log that is known outside; NULL: none is. An end that holds more is not cut. */
	uint64_t (*published)(const struct uuid *tenant);
};
/* RC_CONFLICT: another process has it. RC_INVALID: it is damaged other than by a torn end; nothing was changed. */
enum rc journal_open(const struct journal_options *o, struct journal **out_r, struct err *e) MUST_CHECK;
void journal_close(struct journal **j);

/* What the journal knows of a log. */
struct journal_log {
	struct uuid tenant;
	bool known;		     /* it is in the journal, if only by journal_add_log() */
	struct merkle_frontier tree; /* of all entries written */
	uint64_t synced;	     /* entries that are on disk */
	struct merkle_hash root;     /* of those */
	uint64_t head;		     /* size of the last head that was signed */
	int64_t head_us;
	uint64_t published; /* size of the last head that also is where heads go; not kept in files: 0 when opened */
	uint32_t keys;	    /* wrapped keys written */
};
/* A copy; all zero (and the root of nothing) if the tenant is new. */
void journal_log(struct journal *j, const struct uuid *tenant, struct journal_log *out);
/* Calls fn for each log, by copy. */
void journal_each(struct journal *j, void (*fn)(void *ctx, const struct journal_log *l), void *ctx);

/* A log that has no entry yet. What is said of it before its first commit tells an empty log from a lost journal. */
enum rc journal_add_log(struct journal *j, const struct uuid *tenant, struct err *e) MUST_CHECK;
void journal_published(struct journal *j, const struct uuid *tenant, uint64_t size);

struct journal_entry {
	struct uuid tenant, intent;
	uint64_t index;
	int64_t at_us;
	struct merkle_hash leaf;
	struct bytes sealed; /* p NULL: erased */
};
/* The next entry of its log (index = entries written so far, else RC_INTERNAL). On disk after journal_sync(). */
enum rc journal_add(struct journal *j, const struct journal_entry *v, struct err *e) MUST_CHECK;
enum rc journal_add_key(struct journal *j, const struct uuid *tenant, int32_t epoch, struct bytes wrapped,
			struct err *e) MUST_CHECK;
/* Entries from an index on, in order; none: there are no more. Borrowed until the next call. */
struct journal_source {
	enum rc (*next)(void *ctx, uint64_t from, const struct journal_entry **v_r, size_t *n_r, struct err *e);
	void *ctx;
};
/* Bring a log that is behind to that size and root. The entries are read twice, and none is written unless they make
 * the root (RC_CONFLICT). */
enum rc journal_forward(struct journal *j, const struct uuid *tenant, uint64_t size, const struct merkle_hash *root,
			const struct journal_source *s, struct err *e) MUST_CHECK;
/* After any failure here the journal must be closed and opened again: what is on disk counts. */
enum rc journal_sync(struct journal *j, struct err *e) MUST_CHECK;
enum rc journal_add_head(struct journal *j, const struct uuid *tenant, uint64_t size, int64_t at_us,
			 struct bytes checkpoint, struct err *e) MUST_CHECK;

/* Everything in order, for the repair. Borrowed until the call returns; anything but RC_OK ends it. */
struct journal_reader {
	enum rc (*entry)(void *ctx, const struct journal_entry *v, struct err *e);
	enum rc (*key)(void *ctx, const struct uuid *tenant, int32_t epoch, struct bytes wrapped, struct err *e);
	enum rc (*head)(void *ctx, const struct uuid *tenant, uint64_t size, int64_t at_us, struct bytes checkpoint,
			struct err *e);
	void *ctx;
};
enum rc journal_replay(struct journal *j, const struct journal_reader *r, struct err *e) MUST_CHECK;

#endif
