/* SPDX-License-Identifier: MIT
 *
 * A direct-mapped table of when a tenant had its turn.
 */
#include "ingest_housekeeping.h"

#include <pthread.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/log.h"
#include "ingest_store.h"

#define PLACES	  1024
#define DELETE_MS 10000

struct housekeeping {
	pthread_mutex_t lock;
	struct {
		struct uuid tenant;
		int64_t next_ms;
	} places[PLACES];
};

struct housekeeping *
housekeeping_new(void)
{
	struct housekeeping *h = calloc(1, sizeof(*h));
	if (h == NULL)
		abort();
	pthread_mutex_init(&h->lock, NULL);
	return h;
}

void
housekeeping_free(struct housekeeping **h)
{
	free(*h);
	*h = NULL;
}

bool
housekeeping_due(struct housekeeping *h, const struct uuid *tenant, int64_t now_ms)
{
	uint64_t hash = 14695981039346656037u; /* FNV-1a */
	for (size_t i = 0; i < sizeof(tenant->b); i++)
		hash = (hash ^ tenant->b[i]) * 1099511628211u;
	size_t i = (hash ^ hash >> 32) % PLACES;
	pthread_mutex_lock(&h->lock);
	bool due = !uuid_eq(&h->places[i].tenant, tenant) || now_ms >= h->places[i].next_ms;
	if (due) {
		h->places[i].tenant = *tenant;
		h->places[i].next_ms = now_ms + HOUSEKEEPING_EVERY_MS;
	}
	pthread_mutex_unlock(&h->lock);
	return due;
}

void
housekeeping_run(struct db_pool *db, const struct uuid *tenant)
{
	struct db_tx *tx = NULL;
	struct err err = {0};
	enum rc rc = db_begin(db, tenant, clock_mono_ms() + DELETE_MS, &tx, &err);
	if (rc == RC_OK)
		rc = store_purge(tx, tenant, clock_wall_us() - HOUSEKEEPING_KEEP_US, &err);
	if (rc == RC_OK)
		rc = db_commit(&tx, &err);
	db_end(&tx);
	if (rc != RC_OK)
		log_warn("old rows stay for now", LOG_TENANT(tenant), LOG_RC(rc), LOG_ERR(&err));
}
