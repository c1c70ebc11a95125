/* SPDX-License-Identifier: MIT
 *
 * What journal.c and journal_file.c share. Nobody else includes this.
 */
#ifndef AUDIT_JOURNAL_INTERNAL_H
#define AUDIT_JOURNAL_INTERNAL_H

#include <pthread.h>
#include <uthash.h>

#include "core/bytes.h"
#include "journal.h"

#define JOURNAL_PATH_SIZE 512
#define JOURNAL_BODY_MAX  (2u * 1024 * 1024)

enum journal_type {
	JOURNAL_STATE = 'S', /* of a log, at the beginning of a segment */
	JOURNAL_BEGUN = 'B', /* all states were written */
	JOURNAL_ENTRY = 'E',
	JOURNAL_KEY = 'K',
	JOURNAL_HEAD = 'H',
};
#define JOURNAL_FRAME_SIZE 12 /* length and check value before a body */

struct log {
	struct journal_log v;
	UT_hash_handle hh;
};

struct journal {
	pthread_mutex_t lock;
	char folder[JOURNAL_PATH_SIZE - 64];
	int64_t segment_octets;
	uint64_t (*published)(const struct uuid *tenant);
	int lock_fd, fd;
	uint64_t segment; /* number of the open one */
	int64_t octets;	  /* in it */
	struct buf out;	  /* not written yet */
	struct log *logs;
	bool broken;
};

/* --- journal.c: records and state --- */
void journal_put(struct buf *b, uint64_t v, int octets);
void journal_add_record(struct buf *out, struct bytes body);
bool journal_is_type(uint8_t type);
/* The next whole record of *rest; false at the end or at one that is torn. */
bool journal_next_record(struct bytes *rest, struct bytes *body_r);
/* Applies a record to the state, or hands it to r if there is one. */
enum rc journal_take_record(struct journal *j, struct bytes body, const struct journal_reader *r,
			    struct err *e) MUST_CHECK;
void journal_add_state(struct buf *out, const struct journal_log *l);
void journal_all_synced(struct journal *j);
void journal_forget_logs(struct journal *j);

/* --- journal_file.c: segments --- */
enum rc journal_write_all(int fd, struct bytes b, struct err *e) MUST_CHECK;
/* A new segment with the state of all logs; what was written before is synced. */
enum rc journal_begin_segment(struct journal *j, uint64_t number, struct err *e) MUST_CHECK;

#endif
