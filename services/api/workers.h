/* SPDX-License-Identifier: MIT
 *
 * A bounded pool of threads with a bounded queue. Long work (a submission waits for scan and commit) may not take every
 * thread: at most `long_max` run at once, so that reading stays possible while the scanner is slow.
 */
#ifndef API_WORKERS_H
#define API_WORKERS_H

#include "core/rc.h"

struct workers;
typedef void (*workers_fn)(void *ctx, void *item);

/* threads >= 2; queue_max items may wait. */
enum rc workers_open(int threads, int long_max, int queue_max, workers_fn fn, void *ctx, struct workers **out_r,
		     struct err *e) MUST_CHECK;
/* False: the queue is full, the item was not taken. */
bool workers_push(struct workers *w, void *item, bool is_long) MUST_CHECK;
/* Runs everything that was taken, then ends the threads. */
void workers_close(struct workers **w);

#endif
