/* SPDX-License-Identifier: MIT
 *
 * The service as a whole: what is configured, what the skeleton lends, and the parts that hold on to each other. One
 * instance, made in main.c before any thread.
 */
#ifndef INGEST_H
#define INGEST_H

#include "bus/outbox.h"
#include "ingest_session.h"
#include "svc/svc.h"

struct ingest_config {
	const char *listen[4]; /* by enum session_kind; "host:port", a path for the internal one, "" for none */
	const char *tls_cert, *tls_key, *hostname, *scan_socket, *proxy_trusted;
	int64_t max_size, max_rcpt, max_conn, max_conn_per_addr, idle_ms, pipeline_threads, auth_threads, login_threads,
	    memory;
	int64_t max_errors, max_auth_failures, max_idle_commands;
	int64_t tls_check_ms;
	int64_t data_ms, data_stretch_ms, data_rate, memory_share;
	int64_t queue_ms, scan_ms, policy_ms, commit_ms, total_ms;
};

struct ingest {
	struct ingest_config config;
	struct svc *svc;
	struct outbox *outbox;
	struct ingest_budget budget;
	struct session_config session;
	struct queue *questions; /* LOGIN, SENDER, RECIPIENT */
	struct pipeline *pipeline;
	struct net *net;
};

/* --- metrics (ingest_metrics.c) --------------------------------------------------------------------------------- */
enum ingest_outcome_label {
	OUTCOME_ACCEPTED,
	OUTCOME_QUARANTINED,
	OUTCOME_REFUSED,
	OUTCOME_DEFERRED,
	OUTCOME_ABANDONED
};
enum ingest_drop_label { DROP_TOTAL, DROP_ADDRESS, DROP_EARLY, DROP_PROXY, DROP_TLS, DROP_IDLE, DROP_SLOW };
extern struct metric ingest_mails, ingest_connections, ingest_connections_total, ingest_dropped, ingest_bytes;
extern struct metric ingest_outbox_depth, ingest_queued, ingest_scan_failures;
extern struct metric ingest_seconds_queued, ingest_seconds_scanning, ingest_seconds_judging, ingest_seconds_committing,
    ingest_seconds_total;
extern struct metric *const ingest_metrics[];
void ingest_metrics_init(struct ingest *in);

/* --- endpoints (ingest_handlers.c) -------------------------------------------------------------------------------- */
extern const struct svc_endpoint ingest_endpoints[];

#endif
