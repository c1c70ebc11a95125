/* SPDX-License-Identifier: MIT
 *
 * The threads that may block: one pool answers short questions (auth), one checks
 * passwords, one runs whole transactions, one watches the
 * scanner to know how many workers it has. Every question given in comes out at done() once, on any thread.
 */
#ifndef INGEST_PIPELINE_H
#define INGEST_PIPELINE_H

#include "ingest.h"

struct pipeline;
struct pipeline *pipeline_new(struct ingest *in, void (*done)(void *ctx, struct ask *a), void *ctx);
/* Finishes what was given in. */
void pipeline_free(struct pipeline **p);
/* True: answered at once from memory, done() is not called. */
bool pipeline_put(struct pipeline *p, struct ask *a) MUST_CHECK;
/* Once a second or so: ends what waits for too long. */
void pipeline_tick(struct pipeline *p);
bool pipeline_scanner_ready(struct pipeline *p, char *why, size_t size);

#endif
