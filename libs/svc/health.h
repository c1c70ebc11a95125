/* SPDX-License-Identifier: MIT
 *
 * The small HTTP listener of every program: GET /healthz (alive), /readyz (ready, or 503 and why), /metrics. Needs
 * neither bus nor database, so that `scan` can use it. Own thread (libmicrohttpd).
 */
#ifndef SVC_HEALTH_H
#define SVC_HEALTH_H

#include "svc/metrics.h"

struct health;
/* Write the reason into why when not ready. Called on the listener's thread. */
typedef bool (*health_ready)(void *ctx, char *why, size_t size);

/* listen: "127.0.0.1:9101"; empty: no listener, *out_r NULL. */
enum rc health_open(const char *listen, struct metric *const *const *tables, health_ready ready, void *ctx,
		    struct health **out_r, struct err *e) MUST_CHECK;
void health_close(struct health **h);

#endif
