/* SPDX-License-Identifier: MIT
 *
 * What delivery counts.
 */
#ifndef DELIVERY_METRICS_H
#define DELIVERY_METRICS_H

#include "svc/metrics.h"

extern struct metric metric_arrived, metric_claimed, metric_results, metric_lost_leases, metric_connections,
    metric_depth, metric_overdue, metric_attempt_seconds, metric_reports, metric_notices, metric_sandboxed,
    metric_search_indexed, metric_search_waiting, metric_search_lag;
extern struct metric *const delivery_metrics[];

#endif
