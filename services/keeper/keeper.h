/* SPDX-License-Identifier: MIT
 *
 * The rooms of keeper. It owns no data: it watches the bus, makes partitions and counts recipients.
 */
#ifndef KEEPER_H
#define KEEPER_H

#include "bus/stream.h"
#include "conservation.h"
#include "core/arena.h"
#include "svc/svc.h"

/* --- configuration (main.c) ------------------------------------------------------------------------------ */
struct keeper_config {
	int64_t assert_every_ms, count_every_ms, stuck_after_ms, stream_max_age_ms, stream_max_octets, stream_replicas;
};
extern struct keeper_config keeper_config;

/* --- rounds (keeper_rounds.c): two threads, streams and housekeeping --------------------------------------- */
enum rc keeper_rounds_start(struct svc *s, struct err *e) MUST_CHECK;
void keeper_rounds_stop(void); /* waits for the round under way */
/* The streams were all there when last looked at. why as in svc_program.ready. */
bool keeper_streams_ready(char *why, size_t size);

/* --- rows (keeper_store.c): all SQL ------------------------------------------------------------------------ */
#define KEEPER_VIOLATIONS_LISTED 100
struct keeper_count {
	struct uuid tenant;
	int64_t at_us; /* of the snapshot */
	struct conservation sum;
	const char **violations; /* "<message>/<number>: what is wrong", the first KEEPER_VIOLATIONS_LISTED */
	size_t n_violations;
};
/* Count each tenant in one snapshot of the database. */
enum rc keeper_store_count(struct db_pool *p, const struct uuid *tenants, size_t n, int64_t deadline_ms,
			   struct arena *a, struct keeper_count *counts, struct err *e) MUST_CHECK;
/* Partitions of this month and the next two. */
enum rc keeper_store_partitions(struct db_pool *p, int64_t deadline_ms, int64_t *made_r, struct err *e) MUST_CHECK;

/* --- handlers (keeper_handlers.c) -------------------------------------------------------------------------- */
extern const struct svc_endpoint keeper_endpoints[];

/* --- metrics (keeper_rounds.c) ------------------------------------------------------------------------------ */
extern struct metric *const keeper_metrics[];

#endif
