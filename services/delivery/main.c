/* SPDX-License-Identifier: MIT
 *
 * sekisho-delivery: everything after acceptance. Configuration, endpoints, metrics, and the order in which the parts
 * start and stop: mail.accepted -> consumer -> scheduler -> lanes -> senders -> results.
 */
#include <stdio.h>
#include <stdlib.h>

#include "alive.h"
#include "consume.h"
#include "core/clock.h"
#include "delivery.h"
#include "dns.h"
#include "handlers.h"
#include "signers.h"
#include "store.h"
#include "lanes.h"
#include "metrics.h"
#include "results.h"
#include "sandbox.h"
#include "schedule.h"
#include "search_index.h"
#include "sender.h"
#include "subjects.h"
#include "wire.h"

#define RESULTS_MS 10000

#define C delivery_config
#define P "SEKISHO_DELIVERY_"
static const struct config_entry config[] = {
    {P "HOSTNAME", CONFIG_STRING, &C.hostname, "localhost", 0, 0, "name for EHLO and reports"},
    {P "NEXT_HOP", CONFIG_STRING, &C.next_hop, "", 0, 0, "host:port that takes all outgoing mail; empty: routes, MX"},
    {P "INBOUND_HOP", CONFIG_STRING, &C.inbound_hop, "", 0, 0,
     "host:port for incoming mail of tenants without a route"},
    {P "TLS", CONFIG_STRING, &C.tls, "may", 0, 0, "towards MX and the configured hops: may, encrypt or verify"},
    {P "CA", CONFIG_PATH, &C.ca, "", 0, 0, "certificate authorities of next hops (PEM); empty: the system's"},
    {P "RESOLV_CONF", CONFIG_PATH, &C.resolv_conf, "", 0, 0, "name servers; empty: /etc/resolv.conf"},
    {P "HOSTS", CONFIG_PATH, &C.hosts, "", 0, 0, "static addresses (hosts file); empty: none"},
    {P "MX_PORT", CONFIG_INT, &C.mx_port, "25", 1, 65535, "port of mail hosts found by MX"},
    {P "ALLOW_PRIVATE", CONFIG_BOOL, &C.allow_private, "false", 0, 0,
     "send to internal addresses and any port where an MX or a tenant's route says so (tests)"},
    {P "RETRY", CONFIG_STRING, &C.retry_text, "1m,5m,15m,30m,1h,2h,4h", 0, 0,
     "waits between attempts; the last repeats"},
    {P "EXPIRY", CONFIG_DURATION, &C.expiry_ms, "5d", 0, 0, "from acceptance to giving up"},
    {P "DELAY_NOTICE", CONFIG_DURATION, &C.delay_ms, "4h", 0, 0, "after which a delay is reported to who asked for it"},
    {P "SENDERS", CONFIG_INT, &C.senders, "32", 1, 1000, "mails on their way at the same time"},
    {P "QUEUE", CONFIG_INT, &C.queue, "512", 8, 100000, "transactions claimed ahead"},
    {P "DESTINATION_LIMIT", CONFIG_INT, &C.destination_limit, "10", 1, 1000, "connections to one mail domain"},
    {P "LEASE", CONFIG_DURATION, &C.lease_ms, "20m", 0, 0, "how long a worker may hold a recipient"},
    {P "IDLE", CONFIG_DURATION, &C.idle_ms, "5s", 0, 0, "how long an unused connection stays open"},
    {P "CONNECT_TIMEOUT", CONFIG_DURATION, &C.connect_ms, "30s", 0, 0, "for a TCP connection"},
    {P "GREETING_TIMEOUT", CONFIG_DURATION, &C.greeting_ms, "5m", 0, 0, "for 220 and the reply to EHLO"},
    {P "COMMAND_TIMEOUT", CONFIG_DURATION, &C.command_ms, "5m", 0, 0, "for MAIL, RCPT, STARTTLS, AUTH"},
    {P "DATA_TIMEOUT", CONFIG_DURATION, &C.data_ms, "2m", 0, 0, "for 354"},
    {P "BLOCK_TIMEOUT", CONFIG_DURATION, &C.block_ms, "3m", 0, 0, "for a block of the message to leave"},
    {P "DOT_TIMEOUT", CONFIG_DURATION, &C.dot_ms, "10m", 0, 0, "for the reply to the final dot"},
    {P "SANDBOX_KEEP", CONFIG_DURATION, &C.sandbox_keep_ms, "30d", 0, 0,
     "how long the sink of a sandbox tenant keeps a mail"},
    CONFIG_END,
};

static const struct svc_endpoint endpoints[] = {
    {RPC_DELIVERY_LIST, handle_list},
    {RPC_DELIVERY_SHOW, handle_show},
    {RPC_DELIVERY_HOLDS, handle_holds},
    {RPC_DELIVERY_SEARCH, handle_search},
    {RPC_DELIVERY_RELEASE, handle_release},
    {RPC_DELIVERY_DISCARD, handle_discard},
    {RPC_DELIVERY_QUEUE, handle_queue},
    {RPC_DELIVERY_DKIM, handle_dkim},
    {RPC_DELIVERY_ROUTE, handle_route},
    {RPC_DELIVERY_ROUTE_GET, handle_route_get},
    {RPC_DELIVERY_SETTINGS_GET, handle_settings_get},
    {RPC_DELIVERY_SETTINGS_PUT, handle_settings_put},
    {RPC_DELIVERY_SANDBOX_LIST, handle_sandbox_list},
    {RPC_DELIVERY_SANDBOX_GET, handle_sandbox_get},
    {RPC_DELIVERY_NOTICE, handle_notice},
    SVC_ENDPOINTS_END,
};

static struct consumer *consumer;

/* Against the stream: first nothing new, then what is under way, then its results. */
static void
done(struct svc *s)
{
	if (consumer != NULL)
		consumer_close(&consumer);
	search_index_stop(&delivery.search_index);
	scheduler_stop(delivery.scheduler);
	sandbox_wake(delivery.sandbox);
	senders_stop(&delivery.senders);
	sandbox_stop(&delivery.sandbox);
	results_stop(&delivery.results, clock_mono_ms() + RESULTS_MS);
	alive_stop(&delivery.alive);
	scheduler_free(&delivery.scheduler);
	lanes_free(&delivery.lanes);
	signers_free(&delivery.signers);
	dns_free(&delivery.dns);
	wire_done();
}

static enum rc
init(struct svc *s, struct err *e)
{
	enum rc rc = delivery_config_parse(&delivery_config, e);
	if (rc == RC_OK)
		rc = wire_init(delivery_config.ca, e);
	if (rc == RC_OK)
		rc = dns_open(delivery_config.resolv_conf, delivery_config.hosts, &delivery.dns, e);
	if (rc != RC_OK)
		return rc;
	delivery.svc = s;
	delivery.signers = signers_new();
	delivery.lanes = lanes_new((size_t)delivery_config.queue, (int)delivery_config.destination_limit,
				   (int)delivery_config.senders);
	delivery.results = results_start(&delivery);
	delivery.sandbox = sandbox_start(&delivery);
	delivery.senders = senders_prepare(&delivery);
	delivery.alive = alive_start(&delivery);
	delivery.scheduler = scheduler_start(&delivery);
	senders_start(delivery.senders);
	delivery.search_index = search_index_start(&delivery);
	rc = consume_start(&delivery, &consumer, e);
	if (rc != RC_OK)
		done(s);
	return rc;
}

static bool
ready(struct svc *s, char *why, size_t size)
{
	struct uuid self;
	if (alive_self(delivery.alive, &self))
		return true;
	snprintf(why, size, "no heartbeat yet");
	return false;
}

int
main(int argc, char **argv)
{
	static const struct svc_program program = {
	    .name = "delivery",
	    .prefix = P,
	    .needs = SVC_DB | SVC_BUS | SVC_CONTENT | SVC_ACTORS,
	    .intent_sql = DB_INTENT_SQL("delivery"),
	    /* Every statement of ours goes by an index and joins a handful of rows: docs/decisions/0023. */
	    .db_settings = "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off",
	    .once_sql = &store_once_sql,
	    .config = config,
	    .endpoints = endpoints,
	    .metrics = delivery_metrics,
	    .init = init,
	    .ready = ready,
	    .done = done,
	};
	return svc_main(&program, argc, argv);
}
