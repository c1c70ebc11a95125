/* SPDX-License-Identifier: MIT
 *
 * The table of metrics. Labels are known words: never addresses, never ids.
 */
#include <stddef.h>

#include "core/clock.h"
#include "ingest.h"
#include "ingest_store.h"

#define DEPTH_MS 2000

static struct ingest *the_one; /* for the collector */

static const char *const outcomes[] = {"accepted", "quarantined", "refused", "deferred", "abandoned", NULL};
static const char *const kinds[] = {"mx", "submission", "submissions", "internal", NULL};
static const char *const drops[] = {"total", "address", "early", "proxy", "tls", "idle", "slow", NULL};
static const char *const depths[] = {"rows", "oldest_seconds", NULL};

static void
collect_outbox(struct metric *m)
{
	int64_t depth = 0, age = 0;
	struct err err;
	if (the_one == NULL ||
	    store_outbox_depth(the_one->svc->db, clock_mono_ms() + DEPTH_MS, &depth, &age, &err) != RC_OK)
		return;
	metric_set(m, 0, depth);
	metric_set(m, 1, age);
}

void
ingest_metrics_init(struct ingest *in)
{
	the_one = in;
}

struct metric ingest_mails = {.name = "sekisho_ingest_mails_total",
			      .type = METRIC_COUNTER,
			      .help = "Messages by outcome.",
			      .label = "outcome",
			      .values = outcomes};
struct metric ingest_connections = {.name = "sekisho_ingest_connections",
				    .type = METRIC_GAUGE,
				    .help = "Open connections.",
				    .label = "listener",
				    .values = kinds};
struct metric ingest_connections_total = {.name = "sekisho_ingest_connections_total",
					  .type = METRIC_COUNTER,
					  .help = "Connections taken.",
					  .label = "listener",
					  .values = kinds};
struct metric ingest_dropped = {.name = "sekisho_ingest_connections_dropped_total",
				.type = METRIC_COUNTER,
				.help = "Connections ended by us, by reason.",
				.label = "reason",
				.values = drops};
struct metric ingest_bytes = {
    .name = "sekisho_ingest_message_bytes", .type = METRIC_GAUGE, .help = "Octets of messages in memory."};
struct metric ingest_outbox_depth = {.name = "sekisho_ingest_outbox",
				     .type = METRIC_GAUGE,
				     .help = "Events that delivery has not confirmed, and the age of the oldest.",
				     .label = "what",
				     .values = depths,
				     .collect = collect_outbox};
struct metric ingest_queued = {
    .name = "sekisho_ingest_queued", .type = METRIC_GAUGE, .help = "Messages that wait for a scan slot."};
struct metric ingest_scan_failures = {.name = "sekisho_ingest_scan_failures_total",
				      .type = METRIC_COUNTER,
				      .help = "Scans that crashed, timed out or gave no facts."};
#define SECONDS(variable, stage)                                                                                       \
	struct metric variable = {.name = "sekisho_ingest_" stage "_seconds",                                          \
				  .type = METRIC_HISTOGRAM,                                                            \
				  .help = "Time of a message in this stage."}
SECONDS(ingest_seconds_queued, "queued");
SECONDS(ingest_seconds_scanning, "scanning");
SECONDS(ingest_seconds_judging, "judging");
SECONDS(ingest_seconds_committing, "committing");
SECONDS(ingest_seconds_total, "total");

struct metric *const ingest_metrics[] = {&ingest_mails,
					 &ingest_connections,
					 &ingest_connections_total,
					 &ingest_dropped,
					 &ingest_bytes,
					 &ingest_outbox_depth,
					 &ingest_queued,
					 &ingest_scan_failures,
					 &ingest_seconds_queued,
					 &ingest_seconds_scanning,
					 &ingest_seconds_judging,
					 &ingest_seconds_committing,
					 &ingest_seconds_total,
					 NULL};
