/* SPDX-License-Identifier: MIT
 *
 * sekisho-notify: tell people and systems. Configuration, endpoints, metrics, and the order in which the parts start
 * and stop: the record -> hints -> turns -> senders -> receivers.
 */
#include <stdio.h>

#include "handlers.h"
#include "heads.h"
#include "metrics.h"
#include "notify.h"
#include "post.h"
#include "subjects.h"
#include "turns.h"

#define C notify_config
#define P "SEKISHO_NOTIFY_"
static const struct config_entry config[] = {
    {P "RETRY", CONFIG_STRING, &C.retry, "5s,5m,30m,2h,5h,10h,14h,20h,24h", 0, 0,
     "waits between the attempts of an event; after the last it is put aside"},
    {P "DISABLE_AFTER", CONFIG_DURATION, &C.disable_ms, "5d", 0, 0,
     "a webhook to which nothing goes for so long is disabled"},
    {P "TIMEOUT", CONFIG_DURATION, &C.timeout_ms, "15s", 0, 0, "for an attempt, from the name to the answer's end"},
    {P "CONNECT_TIMEOUT", CONFIG_DURATION, &C.connect_ms, "5s", 0, 0, "for the connection, TLS included"},
    {P "PORTS", CONFIG_STRING, &C.ports, "443,8443", 0, 0, "that a webhook may have; any: every one"},
    {P "ALLOW", CONFIG_STRING, &C.allow, "", 0, 0,
     "prefixes that may be reached although not public (closed networks, tests)"},
    {P "ALLOW_HTTP", CONFIG_BOOL, &C.allow_http, "false", 0, 0, "http too, but to addresses of ALLOW only (tests)"},
    {P "CA", CONFIG_PATH, &C.ca, "", 0, 0, "certificate authorities of receivers (PEM); empty: the system's"},
    {P "SENDERS", CONFIG_INT, &C.senders, "64", 1, 1000, "webhooks served at the same time"},
    {P "PER_TENANT", CONFIG_INT, &C.per_tenant, "4", 1, 1000, "of them of one tenant"},
    {P "LEASE", CONFIG_DURATION, &C.lease_ms, "60s", 0, 0, "how long a sender may hold a webhook"},
    {P "IDLE", CONFIG_DURATION, &C.idle_ms, "60s", 0, 0, "without a hint an idle webhook is looked at that often"},
    {P "KEEP", CONFIG_DURATION, &C.keep_ms, "30d", 0, 0, "how long attempts are kept"},
    {P "KEEP_ATTEMPTS", CONFIG_INT, &C.keep_attempts, "10000", 1, 10000000, "and how many per webhook"},
    {P "HEADS", CONFIG_DURATION, &C.heads_ms, "1d", 0, 0, "period in which a tenant's head is mailed once"},
    CONFIG_END,
};

static const struct svc_endpoint endpoints[] = {
    {RPC_NOTIFY_WEBHOOK_LIST, handle_webhook_list},	{RPC_NOTIFY_WEBHOOK_GET, handle_webhook_get},
    {RPC_NOTIFY_WEBHOOK_CREATE, handle_webhook_create}, {RPC_NOTIFY_WEBHOOK_UPDATE, handle_webhook_update},
    {RPC_NOTIFY_WEBHOOK_DELETE, handle_webhook_delete}, {RPC_NOTIFY_WEBHOOK_ROTATE, handle_webhook_rotate},
    {RPC_NOTIFY_WEBHOOK_TEST, handle_webhook_test},	{RPC_NOTIFY_WEBHOOK_ATTEMPTS, handle_webhook_attempts},
    {RPC_NOTIFY_WEBHOOK_REPLAY, handle_webhook_replay}, SVC_ENDPOINTS_END,
};

/* The tenant's 16 octets, then the size of its log; nothing depends on it. */
static void
on_appended(void *ctx, const char *subject, struct bytes payload)
{
	struct uuid tenant;
	if (payload.n < sizeof(tenant.b))
		return;
	memcpy(tenant.b, payload.p, sizeof(tenant.b));
	turns_hint(notify.turns, &tenant);
}

static void
done(struct svc *s)
{
	turns_stop(&notify.turns);
	heads_stop(&notify.heads);
}

static enum rc
init(struct svc *s, struct err *e)
{
	enum rc rc = notify_config_parse(&notify_config, e);
	if (rc == RC_OK)
		rc = post_init(e);
	if (rc != RC_OK)
		return rc;
	notify.svc = s;
	notify.turns = turns_start(s);
	notify.heads = heads_start(s);
	rc = bus_listen(s->bus, SIG_AUDIT_APPENDED, NULL, on_appended, NULL, e);
	if (rc != RC_OK)
		done(s);
	return rc;
}

int
main(int argc, char **argv)
{
	static const struct svc_program program = {
	    .name = "notify",
	    .prefix = P,
	    .needs = SVC_DB | SVC_BUS | SVC_CONTENT | SVC_ACTORS,
	    .intent_sql = DB_INTENT_SQL("notify"),
	    .once_sql = &store_once_sql,
	    .config = config,
	    .endpoints = endpoints,
	    .metrics = notify_metrics,
	    .init = init,
	    .done = done,
	};
	return svc_main(&program, argc, argv);
}
