/* SPDX-License-Identifier: MIT
 *
 * Claimed work inside the process. A lane holds the jobs of one tenant for one destination, in order; senders take from
 * the lanes in turn, at most so many at a time per destination, so a backlog of one tenant or one slow destination
 * delays nobody else. One scheduler puts, many senders take. Thread-safe.
 */
#ifndef DELIVERY_LANES_H
#define DELIVERY_LANES_H

#include <stdatomic.h>

#include "store.h"

/* What was claimed together lives together; freed when the last job of it is. */
struct batch {
	struct arena *arena;
	_Atomic int refs;
};
struct batch *batch_new(void);
void batch_unref(struct batch *b);

/* One recipient of a job, and after sending what became of it. */
struct job_leg {
	struct store_leg leg; /* as it is in the store: sending, under our lease */
	enum leg_event event; /* out: LEG_ON_ACCEPT, DEFER, BOUNCE, LOSE, GIVE_BACK or PARK */
	char reply[512];      /* out: one line */
	bool dsn_passed_on;   /* out: the next hop has taken the duty to report */
	const char *status;   /* out: enhanced code when there was no reply ("5.6.7"), else NULL */
};

/* Recipients of one message for one destination: one SMTP transaction. */
struct job {
	struct batch *batch;
	struct uuid tenant;
	const struct store_message *message;
	struct bytes body, facts; /* as stored, in the batch; p NULL: to be read */
	struct job_leg *legs;
	size_t n_legs;
	const char *destination; /* key of the lane, see route.h */
	struct uuid owner;	 /* generation that claimed it, see alive.h */
	int64_t lease_us;	 /* wall */
	bool ask_uncertain;
	bool unknown;		   /* whether the claim was committed is not known */
	char remote[300], tls[96]; /* out */
	char signers[160];	   /* out: "rsa-sha256 example.com", ...; "none" */
	struct job *next;
};

struct lanes;
struct lanes *lanes_new(size_t capacity, int per_destination, int per_hop);
void lanes_free(struct lanes **l);
/* Jobs that may still come in. */
size_t lanes_room(struct lanes *l);
/* Whether the lane would take one more; one lane never fills more than three quarters of all room. */
bool lanes_open(struct lanes *l, const struct uuid *tenant, const char *destination);
void lanes_put(struct lanes *l, struct job *j);
/* Blocks. NULL after lanes_stop(). */
struct job *lanes_take(struct lanes *l);
/* The job's transaction is over. */
void lanes_done(struct lanes *l, const struct job *j);
/* No more work: wakes all takers; what was never taken comes back as a list to be given back. */
struct job *lanes_stop(struct lanes *l);

#endif
