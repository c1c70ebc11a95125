/* SPDX-License-Identifier: MIT
 *
 * Workers count in the page, not in the metrics: these are filled from it at each scrape, on the listener's thread.
 */
#include "scan_metrics.h"

#include <stdio.h>

#include "core/clock.h"

static struct scan *source;

static const char *const verdict_names[] = {"error",	 "clean",     "infected", "unscannable",
					    "encrypted", "ambiguous", "limit",	  NULL};
static const char *const loss_names[] = {"crash", "timeout", NULL};

static void
collect_verdicts(struct metric *m)
{
	for (int i = 0; i < PAGE_VERDICTS; i++)
		metric_set(m, i, atomic_load(&source->page->verdicts[i]));
}

static void
collect_losses(struct metric *m)
{
	metric_set(m, 0, atomic_load(&source->page->crashes));
	metric_set(m, 1, atomic_load(&source->page->timeouts));
}

static void
collect_signature_age(struct metric *m)
{
	int64_t us = atomic_load(&source->page->signatures_us);
	metric_set(m, 0, us > 0 ? (clock_wall_us() - us) / 1000000 : 0);
}

static void
collect_ready(struct metric *m)
{
	metric_set(m, 0, page_ready_workers(source->page));
}

#define FROM_PAGE(field)                                                                                               \
	static void collect_##field(struct metric *m)                                                                  \
	{                                                                                                              \
		metric_set(m, 0, (int64_t)atomic_load(&source->page->field));                                          \
	}
FROM_PAGE(scan_us)
FROM_PAGE(scan_octets)
FROM_PAGE(retired)
FROM_PAGE(refused)
FROM_PAGE(selftests)
FROM_PAGE(selftest_failures)
FROM_PAGE(reloads)
FROM_PAGE(reload_failures)
FROM_PAGE(generation)
FROM_PAGE(signatures)
FROM_PAGE(tmpfs)

#define COUNTER(id, text, help_, fn)                                                                                   \
	static struct metric id = {.name = "sekisho_scan_" text, .type = METRIC_COUNTER, .help = help_, .collect = fn}
#define GAUGE(id, text, help_, fn)                                                                                     \
	static struct metric id = {.name = "sekisho_scan_" text, .type = METRIC_GAUGE, .help = help_, .collect = fn}

static struct metric verdicts = {.name = "sekisho_scan_messages_total",
				 .type = METRIC_COUNTER,
				 .help = "Messages scanned, by verdict",
				 .label = "verdict",
				 .values = verdict_names,
				 .collect = collect_verdicts};
static struct metric losses = {.name = "sekisho_scan_workers_lost_total",
			       .type = METRIC_COUNTER,
			       .help = "Workers that died, or were killed over their time",
			       .label = "cause",
			       .values = loss_names,
			       .collect = collect_losses};
COUNTER(busy, "busy_microseconds_total", "Time spent scanning", collect_scan_us);
COUNTER(octets, "octets_total", "Octets of messages scanned", collect_scan_octets);
COUNTER(retired, "workers_retired_total", "Workers that left in order", collect_retired);
COUNTER(refused, "requests_refused_total", "Requests without a sealed message of the said size", collect_refused);
COUNTER(selftests, "selftests_total", "Self-tests run", collect_selftests);
COUNTER(blind, "selftest_failures_total", "Self-tests that did not find EICAR", collect_selftest_failures);
COUNTER(reloads, "reloads_total", "Signature sets swapped in", collect_reloads);
COUNTER(misloads, "reload_failures_total", "Signature sets that did not load", collect_reload_failures);
GAUGE(generation, "generation", "Signature loads since start", collect_generation);
GAUGE(signatures, "signatures", "Signatures loaded", collect_signatures);
GAUGE(age, "signature_age_seconds", "Age of the newest signature file", collect_signature_age);
GAUGE(ready, "workers_ready", "Workers that can take a message", collect_ready);
GAUGE(tmpfs, "tmpfs", "1: each worker has a bounded file system of its own; 0: a plain folder", collect_tmpfs);

static struct metric *const table[] = {&verdicts,  &losses, &busy,    &octets,	 &retired,    &refused,
				       &selftests, &blind,  &reloads, &misloads, &generation, &signatures,
				       &age,	   &ready,  &tmpfs,   NULL};
static struct metric *const *const tables[] = {table, NULL};

static bool
is_ready(void *ctx, char *why, size_t size)
{
	Sekisho__Facts__Status st;
	page_status(source->page, source->config.max_age_ms, &st);
	if (!st.ready || st.stale)
		snprintf(why, size, "%s", st.reason);
	return st.ready && !st.stale;
}

enum rc
scan_metrics_open(struct scan *s, struct health **out_r, struct err *e)
{
	source = s;
	return health_open(s->config.health_listen, tables, is_ready, NULL, out_r, e);
}

void
scan_metrics_close(struct health **h)
{
	health_close(h);
}
