/* SPDX-License-Identifier: MIT
 *
 * Old rows go: idempotency keys and counts of scan failures of a tenant are deleted after a week, a few at a time, by
 * whoever has just dealt with a mail of that tenant. Thread-safe.
 */
#ifndef INGEST_HOUSEKEEPING_H
#define INGEST_HOUSEKEEPING_H

#include "core/id.h"
#include "db/db.h"

#define HOUSEKEEPING_KEEP_US  INT64_C(604800000000)
#define HOUSEKEEPING_EVERY_MS 600000

struct housekeeping;
struct housekeeping *housekeeping_new(void);
void housekeeping_free(struct housekeeping **h);
/* True once in HOUSEKEEPING_EVERY_MS for a tenant (or more often, when many tenants meet in one place). */
bool housekeeping_due(struct housekeeping *h, const struct uuid *tenant, int64_t now_ms) MUST_CHECK;
/* In a transaction of its own; what fails is logged and left for the next time. */
void housekeeping_run(struct db_pool *db, const struct uuid *tenant);

#endif
