/* SPDX-License-Identifier: MIT
 *
 * What Prometheus is told.
 */
#ifndef NOTIFY_METRICS_H
#define NOTIFY_METRICS_H

#include "svc/metrics.h"

extern struct metric metric_attempts, metric_attempt_seconds, metric_refused, metric_aside, metric_disabled;
extern struct metric metric_webhooks, metric_oldest, metric_busy, metric_lost_leases, metric_heads;
extern struct metric *const notify_metrics[];

enum { METRIC_HEAD_MAILED, METRIC_HEAD_FAILED };
enum { METRIC_WEBHOOK_OFF, METRIC_WEBHOOK_IDLE, METRIC_WEBHOOK_READY, METRIC_WEBHOOK_RETRY };

#endif
