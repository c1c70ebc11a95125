/* SPDX-License-Identifier: MIT
 *
 * What became of jobs, committed in batches by tenant. A result stays in memory until its commit is certain; if we die
 * before, the lease ends and the leg is uncertain.
 */
#ifndef DELIVERY_RESULTS_H
#define DELIVERY_RESULTS_H

#include "delivery.h"
#include "lanes.h"

struct results;
struct results *results_start(struct delivery *d);
/* Takes the job; never blocks on the database. */
void results_push_take(struct results *r, struct job *j);
/* Commits what is there, at most until the deadline. */
void results_stop(struct results **r, int64_t deadline_ms);

/* The change that a leg's outcome means. Pure but for the arena. */
struct change;
void results_change(const struct delivery_config *cfg, const struct job *j, const struct job_leg *l, int64_t now_us,
		    struct arena *a, struct change *out_r);

#endif
