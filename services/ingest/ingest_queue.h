/* SPDX-License-Identifier: MIT
 *
 * Questions waiting for a thread, fair between tenants: threads take from the tenants in turn, and a tenant (and all of
 * them together) may hold only so many slots at a time. A slot is taken with the question and given back by
 * queue_release(), which may be long before the thread is done with it. Thread-safe.
 */
#ifndef INGEST_QUEUE_H
#define INGEST_QUEUE_H

#include "ingest_envelope.h"

struct queue;
/* run owns the question. Without slots (slots false) every question may run at once. */
struct queue *queue_new(int threads, bool slots, void (*run)(void *ctx, struct ask *a), void *ctx);
/* Runs what is waiting, then ends the threads. */
void queue_free(struct queue **q);
void queue_set_slots(struct queue *q, int all, int per_tenant);
void queue_put(struct queue *q, const struct uuid *tenant, struct ask *a);
void queue_release(struct queue *q, const struct uuid *tenant);
/* Take out what was received before then (monotonic ms) and still waits: a list by ->next, NULL if none. */
struct ask *queue_expire(struct queue *q, int64_t received_before_ms);
size_t queue_waiting(struct queue *q);

#endif
