/* SPDX-License-Identifier: MIT
 *
 * ingest: get mail in safely. Configuration, endpoints, metrics, and the order in which the parts begin and end.
 */
#include <unistd.h>

#include "ingest.h"
#include "ingest_net.h"
#include "ingest_pipeline.h"
#include "ingest_store.h"
#include "smtp/address.h"
#include "subjects.h"

#define DRAIN_MS 60000 /* the longest a transaction may take */

static struct ingest self;
#define C self.config

static const struct config_entry config[] = {
    {"SEKISHO_INGEST_LISTEN_MX", CONFIG_STRING, &C.listen[SESSION_MX], "", 0, 0, "host:port for mail from outside"},
    {"SEKISHO_INGEST_LISTEN_SUBMISSION", CONFIG_STRING, &C.listen[SESSION_SUBMISSION], "", 0, 0,
     "host:port for accounts, STARTTLS"},
    {"SEKISHO_INGEST_LISTEN_SUBMISSIONS", CONFIG_STRING, &C.listen[SESSION_SUBMISSIONS], "", 0, 0,
     "host:port for accounts, TLS at once"},
    {"SEKISHO_INGEST_LISTEN_INTERNAL", CONFIG_STRING, &C.listen[SESSION_INTERNAL], "", 0, 0,
     "path of the Unix socket for api"},
    {"SEKISHO_INGEST_TLS_CERT", CONFIG_PATH, &C.tls_cert, "", 0, 0, "certificate chain (PEM)"},
    {"SEKISHO_INGEST_TLS_KEY", CONFIG_PATH, &C.tls_key, "", 0, 0, "private key (PEM)"},
    {"SEKISHO_INGEST_TLS_CHECK", CONFIG_DURATION, &C.tls_check_ms, "1m", 1000, 86400000,
     "how often it is looked whether these files are new"},
    {"SEKISHO_INGEST_HOSTNAME", CONFIG_STRING, &C.hostname, "", 0, 0, "name in the greeting; empty: the machine's"},
    {"SEKISHO_INGEST_SCAN_SOCKET", CONFIG_STRING, &C.scan_socket, "/run/sekisho/scan", 0, 0,
     "Unix socket of the scanner"},
    {"SEKISHO_INGEST_MAX_SIZE", CONFIG_SIZE, &C.max_size, "50M", 1024, 1 << 30, "octets of a message"},
    {"SEKISHO_INGEST_MAX_RCPT", CONFIG_INT, &C.max_rcpt, "1000", 1, 2000, "recipients of a message"},
    {"SEKISHO_INGEST_MAX_CONN", CONFIG_INT, &C.max_conn, "20000", 1, 1000000, "connections"},
    {"SEKISHO_INGEST_MAX_CONN_PER_ADDR", CONFIG_INT, &C.max_conn_per_addr, "200", 1, 1000000,
     "connections of an address (IPv6: of a /64)"},
    {"SEKISHO_INGEST_MAX_ERRORS", CONFIG_INT, &C.max_errors, "20", 1, 1000, "5xx replies before the connection ends"},
    {"SEKISHO_INGEST_MAX_AUTH_FAILURES", CONFIG_INT, &C.max_auth_failures, "3", 1, 100,
     "failed logins before the connection ends"},
    {"SEKISHO_INGEST_MAX_IDLE_COMMANDS", CONFIG_INT, &C.max_idle_commands, "100", 1, 100000,
     "commands in a row that bring no mail further"},
    {"SEKISHO_INGEST_IDLE", CONFIG_DURATION, &C.idle_ms, "5m", 1000, 3600000, "time without input"},
    {"SEKISHO_INGEST_DATA_TIMEOUT", CONFIG_DURATION, &C.data_ms, "20m", 1000, 86400000,
     "the octets of one message, from first to last"},
    {"SEKISHO_INGEST_DATA_STRETCH", CONFIG_DURATION, &C.data_stretch_ms, "1m", 1000, 3600000,
     "stretches in which the rate of a message is looked at; the first is free"},
    {"SEKISHO_INGEST_DATA_RATE", CONFIG_SIZE, &C.data_rate, "1K", 0, 1 << 30,
     "octets per second of a message over such a stretch; 0: any"},
    {"SEKISHO_INGEST_PIPELINE_THREADS", CONFIG_INT, &C.pipeline_threads, "16", 1, 256, "messages at work at a time"},
    {"SEKISHO_INGEST_AUTH_THREADS", CONFIG_INT, &C.auth_threads, "8", 1, 256, "questions to auth at a time"},
    {"SEKISHO_INGEST_LOGIN_THREADS", CONFIG_INT, &C.login_threads, "8", 1, 256, "passwords checked at a time"},
    {"SEKISHO_INGEST_MEMORY", CONFIG_SIZE, &C.memory, "512M", 1 << 20, 1LL << 40, "octets of messages in memory"},
    {"SEKISHO_INGEST_MEMORY_SHARE", CONFIG_INT, &C.memory_share, "25", 1, 100,
     "percent of that for one client address, for one tenant"},
    {"SEKISHO_INGEST_PROXY_TRUSTED", CONFIG_STRING, &C.proxy_trusted, "", 0, 0,
     "addresses and networks that send PROXY protocol v2"},
    {"SEKISHO_INGEST_QUEUE_TIME", CONFIG_DURATION, &C.queue_ms, "10s", 100, 60000, "wait for the scanner"},
    {"SEKISHO_INGEST_SCAN_TIME", CONFIG_DURATION, &C.scan_ms, "30s", 100, 300000, "one scan"},
    {"SEKISHO_INGEST_POLICY_TIME", CONFIG_DURATION, &C.policy_ms, "5s", 100, 60000, "one decision"},
    {"SEKISHO_INGEST_COMMIT_TIME", CONFIG_DURATION, &C.commit_ms, "10s", 100, 60000, "one commit"},
    {"SEKISHO_INGEST_TOTAL_TIME", CONFIG_DURATION, &C.total_ms, "60s", 100, 600000, "from final dot to reply"},
    CONFIG_END,
};

static enum rc
name_of_machine(struct err *e)
{
	static char name[256];
	if (C.hostname[0] == '\0') {
		if (gethostname(name, sizeof(name) - 1) != 0)
			return err_set(e, RC_INVALID, "SEKISHO_INGEST_HOSTNAME: the machine has no name");
		C.hostname = name;
	}
	if (!smtp_domain_valid(bytes_str(C.hostname), false))
		return err_set(e, RC_INVALID, "SEKISHO_INGEST_HOSTNAME: not a host name");
	return RC_OK;
}

static enum rc
open_outbox(struct svc *s, struct err *e)
{
	static const char *const consumers[] = {"delivery", NULL};
	struct outbox_options o = {.subject = EVT_MAIL_ACCEPTED,
				   .ack_subject = ACK_INGEST,
				   .consumers = consumers,
				   .stream_made_subject = SIG_STREAM_MADE};
	store_outbox_options(&o);
	return outbox_open(s->bus, s->db, &o, &self.outbox, e);
}

/* A message of the greatest size fits into a share, whatever the percentage. */
static void
set_budget(struct ingest_budget *b)
{
	b->limit = C.memory;
	b->reserve = C.memory / 8;
	b->share = C.memory / 100 * C.memory_share;
	if (b->share < C.max_size + C.max_size / 4)
		b->share = C.max_size + C.max_size / 4;
}

static enum rc
init(struct svc *s, struct err *e)
{
	self.svc = s;
	enum rc rc = name_of_machine(e);
	if (rc != RC_OK)
		return rc;
	set_budget(&self.budget);
	self.session = (struct session_config){.hostname = C.hostname,
					       .size_max = (uint64_t)C.max_size,
					       .rcpt_max = (int)C.max_rcpt,
					       .errors_max = (int)C.max_errors,
					       .auth_failures_max = (int)C.max_auth_failures,
					       .idle_commands_max = (int)C.max_idle_commands,
					       .budget = &self.budget};
	ingest_metrics_init(&self);
	rc = net_new(&self, &self.net, e);
	if (rc != RC_OK)
		return rc;
	rc = open_outbox(s, e);
	if (rc != RC_OK)
		return rc;
	self.pipeline = pipeline_new(&self, net_done, self.net);
	net_start(self.net);
	return RC_OK;
}

static bool
ready(struct svc *s, char *why, size_t size)
{
	return pipeline_scanner_ready(self.pipeline, why, size);
}

static void
done(struct svc *s)
{
	if (self.pipeline == NULL)
		return;
	net_drain(self.net, DRAIN_MS);
	net_stop(self.net); /* its loop uses the pipeline */
	pipeline_free(&self.pipeline);
	net_free(&self.net);
	outbox_close(&self.outbox);
}

static const struct svc_program program = {
    .name = "ingest",
    .prefix = "SEKISHO_INGEST_",
    .needs = SVC_DB | SVC_BUS | SVC_CONTENT | SVC_ACTORS,
    .intent_sql = ingest_intent_sql,
    .config = config,
    .endpoints = ingest_endpoints,
    .metrics = ingest_metrics,
    .init = init,
    .ready = ready,
    .done = done,
};

int
main(int argc, char **argv)
{
	return svc_main(&program, argc, argv);
}
