/* SPDX-License-Identifier: MIT
 *
 * Prometheus metrics: counters, gauges and histograms in a static table per program, lock-free to update. At most one
 * label, whose values are known words (never addresses or ids).
 */
#ifndef SVC_METRICS_H
#define SVC_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "core/bytes.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };
#define METRIC_LABELS_MAX  16
#define METRIC_BUCKETS_MAX 12

struct metric {
	const char *name; /* "sekisho_ingest_mails_total" */
	enum metric_type type;
	const char *help;
	const char *label;	   /* NULL: none */
	const char *const *values; /* NULL-terminated, at most METRIC_LABELS_MAX */
	/* Called before each scrape for gauges that are computed; may be NULL. */
	void (*collect)(struct metric *m);
	_Atomic int64_t count[METRIC_LABELS_MAX];
	_Atomic int64_t bucket[METRIC_BUCKETS_MAX + 1];
	_Atomic int64_t sum_us;
};

void metric_add(struct metric *m, int label, int64_t n); /* label 0 when there is none */
void metric_set(struct metric *m, int label, int64_t v);
void metric_observe_us(struct metric *m, int64_t us); /* seconds in the output; buckets 1 ms .. 60 s */
/* Tables: arrays of pointers, NULL at the end. Prometheus text format 0.0.4. */
void metrics_print(struct metric *const *const *tables, struct buf *out);

#endif
