/* SPDX-License-Identifier: MIT
 *
 * The shared page as Prometheus metrics and readiness, on the listener of libs/svc.
 */
#ifndef SCAN_SCAN_METRICS_H
#define SCAN_SCAN_METRICS_H

#include "scan.h"
#include "svc/health.h"

enum rc scan_metrics_open(struct scan *s, struct health **out_r, struct err *e) MUST_CHECK;
void scan_metrics_close(struct health **h);

#endif
