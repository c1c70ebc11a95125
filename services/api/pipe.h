/* SPDX-License-Identifier: MIT
 *
 * A body that comes while it is sent: one thread writes, the HTTP library reads. Bounded; neither side waits for the
 * other without a deadline. The reader sleeps (its connection is suspended) while there is nothing, and is woken by the
 * writer. Both hold a reference; the last one frees.
 */
#ifndef API_PIPE_H
#define API_PIPE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/bytes.h"

struct pipe;

/* With two references: the writer's and the reader's. max: octets held at once.
 */
struct pipe *pipe_new(size_t max);

/* --- writer
 * ---------------------------------------------------------------------------------------------
 */
/* False: the reader has gone, or it does not fit. */
bool pipe_write(struct pipe *p, struct bytes b) MUST_CHECK;
/* Nothing unread is left, or the reader has gone. */
bool pipe_is_empty(struct pipe *p);
bool pipe_is_closed(struct pipe *p);
/* Wait until it is empty. False: the reader has gone, or the monotonic deadline has passed. */
bool pipe_wait_empty(struct pipe *p, int64_t deadline_ms) MUST_CHECK;
/* No more comes; broken: and what came is not whole. Gives the writer's reference up. */
void pipe_end(struct pipe **p, bool broken);

/* --- reader
 * ---------------------------------------------------------------------------------------------
 */
#define PIPE_END    (-1)
#define PIPE_BROKEN (-2)
/* Octets copied; 0: none now: sleep(ctx) was called, and wake(ctx) will be when there is something. */
long pipe_read(struct pipe *p, void *to, size_t max, void (*sleep)(void *ctx), void (*wake)(void *ctx), void *ctx);
/* The connection has gone; after it wake() is not called any more. Gives the reader's reference up. NULL is fine. */
void pipe_close(struct pipe **p);

#endif
