/* SPDX-License-Identifier: MIT
 *
 * What the files of the service share: its parts, its handlers, its metrics.
 */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include "cache.h"
#include "svc/svc.h"

struct policy {
	struct svc *svc;
	struct cache *cache;
	int64_t standard_hold_ms; /* configuration */
	struct bytes standard_json;
	struct ruleset *standard;
};
extern struct policy policy;

/* The source behind the cache: PostgreSQL for rules, auth and the stored copy for directories. */
struct cache_source policy_source(void);

enum rc policy_handle_evaluate(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc policy_handle_get(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc policy_handle_versions(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc policy_handle_put(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc policy_handle_check(const struct svc_request *r, struct buf *reply, struct err *e);

extern struct metric policy_metric_decisions, policy_metric_evaluate_seconds, policy_metric_activations;

#endif
