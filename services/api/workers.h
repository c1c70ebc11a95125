/* SPDX-License-Identifier: MIT
 *
 * A bounded pool of threads with a bounded queue. Long work (a submission waits for scan and commit) may not take every
 * thread: at most `long_max` run at once, so that reading stays possible while the scanner is slow. Neither may one
 * owner's: what waits beyond its part is refused, what runs leaves threads to the others, and items behind it overtake.
 */
#ifndef API_WORKERS_H
#define API_WORKERS_H

#include "core/bytes.h"
#include "core/rc.h"

struct workers;
typedef void (*workers_fn)(void *ctx, void *item);

struct workers_options {
	int threads;	     /* >= 2 */
	int long_max;	     /* of them, for long work */
	int slow_max;	     /* of those, for work that waits on what a stranger answers */
	int queue_max;	     /* items that may wait, of each kind */
	int owner_max;	     /* of the threads, for one owner */
	int owner_queue_max; /* of the queue, for one owner */
};
enum workers_kind { WORKERS_BRIEF, WORKERS_LONG, WORKERS_SLOW };

enum rc workers_open(const struct workers_options *o, workers_fn fn, void *ctx, struct workers **out_r,
		     struct err *e) MUST_CHECK;
/* owner: any octets. False: the queue or the owner's part of it is full, the item was not taken. */
bool workers_push(struct workers *w, void *item, enum workers_kind kind, struct bytes owner) MUST_CHECK;
/* Runs everything that was taken, then ends the threads. */
void workers_close(struct workers **w);

#endif
