/* SPDX-License-Identifier: MIT
 *
 * The table of metrics. Depth and age are set by the scheduler, which looks at the queue anyway.
 */
#include "metrics.h"

#include <stddef.h>

static const char *const events[] = {
#define LEG_EVENT(c, name, text) #name,
#include "legs.def"
    NULL};
static const char *const kinds[] = {"hold", "quarantine", "send", NULL};
static const char *const connection_kinds[] = {"opened", "reused", "failed", NULL};

struct metric metric_arrived = {
    .name = "sekisho_delivery_recipients_total", .type = METRIC_COUNTER, .help = "Recipients taken over from ingest."};
struct metric metric_claimed = {
    .name = "sekisho_delivery_claimed_total", .type = METRIC_COUNTER, .help = "Recipients taken under a lease."};
struct metric metric_results = {.name = "sekisho_delivery_results_total",
				.type = METRIC_COUNTER,
				.help = "Attempts by what became of them.",
				.label = "event",
				.values = events};
struct metric metric_lost_leases = {.name = "sekisho_delivery_lost_leases_total",
				    .type = METRIC_COUNTER,
				    .help = "Results that came after the lease had ended."};
struct metric metric_connections = {.name = "sekisho_delivery_connections_total",
				    .type = METRIC_COUNTER,
				    .help = "Connections to next hops.",
				    .label = "kind",
				    .values = connection_kinds};
struct metric metric_depth = {.name = "sekisho_delivery_open_recipients",
			      .type = METRIC_GAUGE,
			      .help = "Recipients that are not final, by what they wait for.",
			      .label = "kind",
			      .values = kinds};
struct metric metric_overdue = {.name = "sekisho_delivery_overdue_seconds",
				.type = METRIC_GAUGE,
				.help = "How long the most overdue recipient waits for a worker."};
struct metric metric_attempt_seconds = {.name = "sekisho_delivery_attempt_duration_seconds",
					.type = METRIC_HISTOGRAM,
					.help = "From taking a message to the next hop's answer."};
struct metric metric_reports = {
    .name = "sekisho_delivery_reports_total", .type = METRIC_COUNTER, .help = "Status notifications made."};
struct metric metric_notices = {
    .name = "sekisho_delivery_notices_total", .type = METRIC_COUNTER, .help = "Notices made for other services."};
struct metric metric_sandboxed = {.name = "sekisho_delivery_sandbox_mails_total",
				  .type = METRIC_COUNTER,
				  .help = "Transactions that ended in the sink of a sandbox tenant."};

struct metric metric_search_indexed = {.name = "sekisho_delivery_search_indexed_total",
				       .type = METRIC_COUNTER,
				       .help = "Messages that went into the search index."};
struct metric metric_search_waiting = {.name = "sekisho_delivery_search_waiting",
				       .type = METRIC_GAUGE,
				       .help = "Messages that are not in the search index yet."};
struct metric metric_search_lag = {
    .name = "sekisho_delivery_search_lag_seconds", .type = METRIC_GAUGE, .help = "How long the first of them waits."};

struct metric *const delivery_metrics[] = {
    &metric_arrived,   &metric_claimed,	       &metric_results,		&metric_lost_leases, &metric_connections,
    &metric_depth,     &metric_overdue,	       &metric_attempt_seconds, &metric_reports,     &metric_notices,
    &metric_sandboxed, &metric_search_indexed, &metric_search_waiting,	&metric_search_lag,  NULL};
