/* SPDX-License-Identifier: MIT */
#ifndef BUS_RPC_INTERNAL_H
#define BUS_RPC_INTERNAL_H

#include "bus/bus_internal.h"

/* Take no new requests, wait for those under way until the deadline, free the servers; the bus is "stuck" if one did
 * not end. */
void rpc_servers_stop(struct bus *b, int64_t deadline_ms);

/* The caller's end (call.c): one inbox per bus. Freed when no call is under way and the connection is closed or was
 * never made. */
natsStatus callers_open(struct bus *b);
void callers_free(struct callers **cs);

#endif
