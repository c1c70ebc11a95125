/* SPDX-License-Identifier: MIT
 *
 * The senders: a pool of threads, each with one job at a time, and the open connections they share.
 */
#ifndef DELIVERY_SENDER_H
#define DELIVERY_SENDER_H

#include "delivery.h"
#include "lanes.h"

struct senders;
struct senders *senders_prepare(struct delivery *d);
/* The threads; after the scheduler is there. */
void senders_start(struct senders *s);
/* Close connections that were idle for too long. Called now and then by the scheduler. */
void senders_reap(struct senders *s);
/* Finishes what is under way, gives back what was claimed and not begun. lanes_stop() is called here. */
void senders_stop(struct senders **s);

/* Everything of the job that has no outcome yet gets this one. reason: one line. */
void sender_settle(struct job *j, enum leg_event v, const char *status, const char *reason);

#endif
