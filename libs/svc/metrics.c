/* SPDX-License-Identifier: MIT */
#include "svc/metrics.h"

/* Upper bounds in microseconds; their texts are seconds. */
static const struct {
	int64_t us;
	const char *le;
} buckets[METRIC_BUCKETS_MAX] = {
    {1000, "0.001"}, {2500, "0.0025"}, {5000, "0.005"}, {10000, "0.01"}, {25000, "0.025"}, {50000, "0.05"},
    {100000, "0.1"}, {250000, "0.25"}, {1000000, "1"},	{5000000, "5"},	 {30000000, "30"}, {60000000, "60"},
};

void
metric_add(struct metric *m, int label, int64_t n)
{
	if (label >= 0 && label < METRIC_LABELS_MAX)
		atomic_fetch_add_explicit(&m->count[label], n, memory_order_relaxed);
}

void
metric_set(struct metric *m, int label, int64_t v)
{
	if (label >= 0 && label < METRIC_LABELS_MAX)
		atomic_store_explicit(&m->count[label], v, memory_order_relaxed);
}

void
metric_observe_us(struct metric *m, int64_t us)
{
	int i = 0;
	while (i < METRIC_BUCKETS_MAX && us > buckets[i].us)
		i++;
	atomic_fetch_add_explicit(&m->bucket[i], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&m->sum_us, us, memory_order_relaxed);
}

static void
print_histogram(const struct metric *m, struct buf *out)
{
	int64_t total = 0;
	for (int i = 0; i < METRIC_BUCKETS_MAX; i++) {
		total += atomic_load(&m->bucket[i]);
		buf_addf(out, "%s_bucket{le=\"%s\"} %lld\n", m->name, buckets[i].le, (long long)total);
	}
	total += atomic_load(&m->bucket[METRIC_BUCKETS_MAX]);
	buf_addf(out, "%s_bucket{le=\"+Inf\"} %lld\n", m->name, (long long)total);
	buf_addf(out, "%s_sum %.6f\n%s_count %lld\n", m->name, (double)atomic_load(&m->sum_us) / 1e6, m->name,
		 (long long)total);
}

static void
print_one(struct metric *m, struct buf *out)
{
	static const char *const types[] = {
	    [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram"};
	if (m->collect != NULL)
		m->collect(m);
	buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name, types[m->type]);
	if (m->type == METRIC_HISTOGRAM) {
		print_histogram(m, out);
	} else if (m->label == NULL) {
		buf_addf(out, "%s %lld\n", m->name, (long long)atomic_load(&m->count[0]));
	} else {
		for (int i = 0; i < METRIC_LABELS_MAX && m->values[i] != NULL; i++)
			buf_addf(out, "%s{%s=\"%s\"} %lld\n", m->name, m->label, m->values[i],
				 (long long)atomic_load(&m->count[i]));
	}
}

void
metrics_print(struct metric *const *const *tables, struct buf *out)
{
	for (; *tables != NULL; tables++)
		for (struct metric *const *m = *tables; *m != NULL; m++)
			print_one(*m, out);
}
