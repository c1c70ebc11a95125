/* SPDX-License-Identifier: MIT
 *
 * Per tenant: the compiled rule set in force and the directory, shared by all threads. A hint (sig.v1...) or a change
 * made here marks an entry; the next question then waits for one look at the source. Without a hint an entry is looked
 * at again in the background once it is older than CACHE_FRESH_MS, while questions go on with what is there; one that
 * is older than CACHE_OLD_MS is never used without a look.
 *
 * Rules whose source does not answer: RC_RETRY. A directory whose source does not answer: the source falls back to its
 * stored copy, and asks again at most every CACHE_FRESH_MS.
 */
#ifndef POLICY_CACHE_H
#define POLICY_CACHE_H

#include "directory.h"
#include "ruleset.h"

#define CACHE_FRESH_MS 2000
#define CACHE_OLD_MS   10000

/* Where the cache reads. known may be NULL; *out_r NULL: known is still right. References pass to the cache. */
struct cache_source {
	void *ctx;
	enum rc (*rules)(void *ctx, const struct uuid *tenant, const struct ruleset *known, uint64_t known_version,
			 int64_t deadline_ms, struct ruleset **out_r, uint64_t *version_r, struct err *e);
	enum rc (*directory)(void *ctx, const struct uuid *tenant, const struct directory *known, int64_t deadline_ms,
			     struct directory **out_r, struct err *e);
	int64_t (*now_ms)(void); /* monotonic */
};

struct cache;
struct cache_lease {
	struct ruleset *rules;
	uint64_t version;
	struct directory *directory;
};

/* Starts the background thread. */
struct cache *cache_new(const struct cache_source *source);
/* No more looks in the background; everything else goes on. Once. */
void cache_stop(struct cache *c);
/* After cache_stop(); nobody may use it any more. */
void cache_free(struct cache **c);
/* What is in force for this tenant; cache_return() it. */
enum rc cache_lease(struct cache *c, const struct uuid *tenant, int64_t deadline_ms, struct cache_lease *out_r,
		    struct err *e) MUST_CHECK;
void cache_return(struct cache_lease *l);

enum cache_part { CACHE_RULES = 1, CACHE_DIRECTORY = 2 };
/* Something changed; tenant NULL: anybody's. */
void cache_mark(struct cache *c, const struct uuid *tenant, enum cache_part part);

struct cache_stats {
	int64_t tenants, refreshes, failures;
};
void cache_stats(struct cache *c, struct cache_stats *out_r);

#endif
