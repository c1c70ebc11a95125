/* SPDX-License-Identifier: MIT
 *
 * All SQL of policy. Every call is one transaction of one tenant. Thread-safe (the pool is).
 */
#ifndef POLICY_STORE_H
#define POLICY_STORE_H

#include "core/arena.h"
#include "db/db.h"

struct store_rules {
	uint64_t version;      /* 0: the tenant has none of its own */
	struct bytes document; /* p NULL: left out, because version is the one the caller knows */
	int64_t activated_us;
	const char *activated_by;
};

/* The rule set in force. known: leave the document out if it still is this version (0: never). */
enum rc store_rules_in_force(struct db_pool *p, const struct uuid *tenant, uint64_t known, int64_t deadline_ms,
			     struct arena *a, struct store_rules *out_r, struct err *e) MUST_CHECK;
/* RC_NOT_FOUND: that version never was. */
enum rc store_rules_version(struct db_pool *p, const struct uuid *tenant, uint64_t version, int64_t deadline_ms,
			    struct arena *a, struct store_rules *out_r, struct err *e) MUST_CHECK;

struct store_activation {
	struct bytes document;
	uint8_t sha256[32];
	uint64_t if_version;		 /* 0: no condition */
	bool if_none;			 /* only as the first version */
	uint32_t rules;			 /* how many it has */
	const char *name, *actor, *from; /* who: for people; for the record, and from where */
	const char *traceparent;
	int64_t now_us;
};
/* Activate as the next version, with its audit intent in the same commit. RC_CONFLICT: a condition
 * does not hold, or others were faster each time. */
enum rc store_rules_activate(struct db_pool *p, const struct uuid *tenant, const struct store_activation *v,
			     int64_t deadline_ms, uint64_t *version_r, struct err *e) MUST_CHECK;

/* Versions below `before` (0: all), newest first, at most limit; documents are left out. */
struct store_version {
	struct store_rules about;
	uint32_t rules;
	bool active;
};
enum rc store_rules_versions(struct db_pool *p, const struct uuid *tenant, uint64_t before, uint32_t limit,
			     int64_t deadline_ms, struct arena *a, struct store_version **v_r, size_t *n_r,
			     struct err *e) MUST_CHECK;

/* The newest copy of the directory. RC_NOT_FOUND: there is none. */
enum rc store_directory_newest(struct db_pool *p, const struct uuid *tenant, int64_t deadline_ms, struct arena *a,
			       uint64_t *version_r, struct bytes *document_r, struct err *e) MUST_CHECK;
/* Keep a copy; one that is there already is no error. */
enum rc store_directory_keep(struct db_pool *p, const struct uuid *tenant, uint64_t version, struct bytes document,
			     const uint8_t sha256[32], int64_t now_us, int64_t deadline_ms, struct err *e) MUST_CHECK;

#endif
