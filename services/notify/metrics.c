/* SPDX-License-Identifier: MIT
 *
 * The table of metrics. Gauges are set by the scheduler, which looks at the table of what is due anyway.
 */
#include "metrics.h"

#include <stddef.h>

#include "post.h"

static const char *const outcomes[] = {"ok",	  "status", "timeout", "refused", "resolve",
				       "connect", "tls",    "broken",  "stopped", NULL};
static const char *const kinds[] = {"off", "idle", "ready", "retry", NULL};
static const char *const head_results[] = {"mailed", "failed", NULL};

struct metric metric_attempts = {.name = "sekisho_notify_attempts_total",
				 .type = METRIC_COUNTER,
				 .help = "Posts to webhooks by what came of them.",
				 .label = "outcome",
				 .values = outcomes};
struct metric metric_attempt_seconds = {.name = "sekisho_notify_attempt_duration_seconds",
					.type = METRIC_HISTOGRAM,
					.help = "How long a post to a webhook took."};
struct metric metric_refused = {.name = "sekisho_notify_refused_addresses_total",
				.type = METRIC_COUNTER,
				.help = "Connections that were not made because of where they led."};
struct metric metric_aside = {.name = "sekisho_notify_events_given_up_total",
			      .type = METRIC_COUNTER,
			      .help = "Events that were put aside at the end of the ladder."};
struct metric metric_disabled = {.name = "sekisho_notify_webhooks_disabled_total",
				 .type = METRIC_COUNTER,
				 .help = "Webhooks that the service disabled."};
struct metric metric_webhooks = {.name = "sekisho_notify_webhooks",
				 .type = METRIC_GAUGE,
				 .help = "Webhooks by how they stand; retry: failing.",
				 .label = "kind",
				 .values = kinds};
struct metric metric_oldest = {.name = "sekisho_notify_oldest_unsent_seconds",
			       .type = METRIC_GAUGE,
			       .help = "Age of the oldest event that a webhook could not be given yet."};
struct metric metric_busy = {
    .name = "sekisho_notify_busy_senders", .type = METRIC_GAUGE, .help = "Senders that are at a webhook."};
struct metric metric_lost_leases = {.name = "sekisho_notify_lost_leases_total",
				    .type = METRIC_COUNTER,
				    .help = "Turns whose result came after their lease."};
struct metric metric_heads = {.name = "sekisho_notify_heads_total",
			      .type = METRIC_COUNTER,
			      .help = "Tenants whose administrators were mailed the day's head.",
			      .label = "result",
			      .values = head_results};

struct metric *const notify_metrics[] = {&metric_attempts,
					 &metric_attempt_seconds,
					 &metric_refused,
					 &metric_aside,
					 &metric_disabled,
					 &metric_webhooks,
					 &metric_oldest,
					 &metric_busy,
					 &metric_lost_leases,
					 &metric_heads,
					 NULL};
