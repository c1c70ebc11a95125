/* SPDX-License-Identifier: MIT
 *
 * What happens often is put on the record at most once in a minute for each (action, tenant, subject, source), with how
 * often it happened: somebody who tries keys, or a machine that logs in for each mail, cannot fill the record. The
 * first of a minute is written before it is answered; the rest wait here, at most a minute and at the end of the
 * process. Bounded: when there are too many different ones, the rest share a place without subject and source.
 * Thread-safe; time is the caller's.
 */
#ifndef AUTH_TALLY_H
#define AUTH_TALLY_H

#include "core/bytes.h"
#include "core/id.h"
#include "core/rc.h"

#define TALLY_PLACES	2048
#define TALLY_MINUTE_US INT64_C(60000000)
#define TALLY_SOURCE	64
#define TALLY_REASON	32

struct tally_entry {
	const char *action; /* static storage */
	enum rc outcome;
	struct uuid tenant, subject;
	char source[TALLY_SOURCE], reason[TALLY_REASON];
	int64_t count; /* not yet on the record */
	int64_t last_us;
};

struct tally;
struct tally *tally_new(void);
void tally_free(struct tally **t);
/* One more of what (its count and last_us are not looked at). True: write what->count of them now, and call
 * tally_failed() if that does not succeed. */
bool tally_add(struct tally *t, struct tally_entry *what, int64_t now_us) MUST_CHECK;
/* It was not written after all. */
void tally_failed(struct tally *t, const struct tally_entry *what);
/* What has waited for a minute, or with all set anything that waits: one into *out_r, counted as written. */
bool tally_take(struct tally *t, int64_t now_us, bool all, struct tally_entry *out_r) MUST_CHECK;

#endif
