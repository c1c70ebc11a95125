/* SPDX-License-Identifier: MIT
 *
 * The Unix socket on which the gateway reaches us. One thread accepts, waits until a request's header is whole, and
 * looks at it with MSG_PEEK: what framing.h refuses is answered here and closed; what passes goes on, unread, to the
 * HTTP library. One request per connection, so nothing can hide behind the first.
 */
#ifndef API_DOOR_H
#define API_DOOR_H

#include "core/rc.h"
#include "svc/metrics.h"

struct door;
/* Takes the connection; its header has been checked and is still to be read. Returns false (and has closed fd) when it
 * could not. Called on the door's thread. */
typedef bool (*door_pass)(void *ctx, int fd);

/* A stale socket file is replaced; a live one is an error (another instance). refused may be NULL. */
enum rc door_open(const char *path, door_pass pass, void *ctx, struct metric *refused, struct door **out_r,
		  struct err *e) MUST_CHECK;
/* Stops accepting and drops whoever has not sent a whole header. */
void door_close(struct door **d);

#endif
