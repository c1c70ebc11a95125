/* SPDX-License-Identifier: MIT
 *
 * audit: the record nobody can alter unseen. README.md is the way in.
 */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit.h"
#include "config.h"
#include "subjects.h"

struct audit audit = {.journal_lock = PTHREAD_MUTEX_INITIALIZER};

static const struct svc_endpoint endpoints[] = {
    {RPC_AUDIT_SEARCH, audit_handle_search},	   {RPC_AUDIT_HEADS, audit_handle_heads},
    {RPC_AUDIT_PROVE, audit_handle_prove},	   {RPC_AUDIT_EXPORT, audit_handle_export},
    {RPC_AUDIT_EVENTS, audit_handle_events},	   {RPC_AUDIT_FEED, audit_handle_events},
    {RPC_AUDIT_LAST_HEAD, audit_handle_last_head}, SVC_ENDPOINTS_END,
};

struct metric audit_metric_appended = {
    .name = "sekisho_audit_entries_appended_total",
    .type = METRIC_COUNTER,
    .help = "Entries appended to the logs of all tenants.",
};
struct metric audit_metric_lag = {
    .name = "sekisho_audit_oldest_unread_seconds",
    .type = METRIC_GAUGE,
    .help = "Age of the oldest intent that was found unread in the last round; more than 10 is an alert.",
};
struct metric audit_metric_delay = {
    .name = "sekisho_audit_effect_to_tree_seconds",
    .type = METRIC_HISTOGRAM,
    .help = "From the effect an intent tells of to the commit of its entry.",
};
struct metric audit_metric_gaps = {
    .name = "sekisho_audit_gaps_total",
    .type = METRIC_COUNTER,
    .help = "Times numbers of a writer's intents were missing; anything but 0 is an alert.",
};
struct metric audit_metric_unwatched = {
    .name = "sekisho_audit_gaps_unwatched_seconds",
    .type = METRIC_GAUGE,
    .help = "Since the last round that read everything: gaps are only looked for after one; more than 60 is an alert.",
};
struct metric audit_metric_refused = {
    .name = "sekisho_audit_refused_logs",
    .type = METRIC_GAUGE,
    .help = "Logs nothing is appended to, because the database does not fit the journal; anything but 0 is an alert.",
};
struct metric audit_metric_heads = {
    .name = "sekisho_audit_heads_signed_total",
    .type = METRIC_COUNTER,
    .help = "Heads signed.",
};
static const char *const failures[] = {"round", "journal", "head", "witness", "entry", NULL};
struct metric audit_metric_failures = {
    .name = "sekisho_audit_failures_total",
    .type = METRIC_COUNTER,
    .help = "Rounds that failed, journals that could not be opened, heads that were not signed or not taken by the "
	    "witness, "
	    "entries whose content does not fit its leaf.",
    .label = "what",
    .values = failures,
};
static struct metric *const metrics[] = {&audit_metric_appended, &audit_metric_lag,	  &audit_metric_delay,
					 &audit_metric_gaps,	 &audit_metric_unwatched, &audit_metric_refused,
					 &audit_metric_heads,	 &audit_metric_failures,  NULL};

static void
on_waiting(void *ctx, const char *subject, struct bytes payload)
{
	appender_wake();
}

static enum rc
init(struct svc *s, struct err *e)
{
	audit.svc = s;
	enum rc rc = audit_config_check(e);
	if (rc == RC_OK)
		rc = note_signer_open(audit.config.key, &audit.signer, e);
	if (rc == RC_OK)
		rc = witness_start(e);
	if (rc == RC_OK)
		rc = bus_listen(s->bus, SIG_AUDIT_WAITING, NULL, on_waiting, NULL, e);
	return rc == RC_OK ? appender_start(e) : rc;
}

static bool
ready(struct svc *s, char *why, size_t size)
{
	return appender_ready(why, size);
}

static void
done(struct svc *s)
{
	appender_stop();
	witness_stop();
	note_signer_free(&audit.signer);
}

static const struct svc_program program = {
    .name = "audit",
    .prefix = "SEKISHO_AUDIT_",
    .needs = SVC_DB | SVC_BUS | SVC_CONTENT | SVC_ACTORS,
    .intent_sql = DB_INTENT_SQL("audit"),
    .config = audit_config_table,
    .endpoints = endpoints,
    .metrics = metrics,
    .init = init,
    .ready = ready,
    .done = done,
};

int
main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--repair") == 0)
		return repair_main();
	if (argc == 2 && strcmp(argv[1], "--adopt") == 0) {
		audit.adopt = true;
		argc = 1;
	}
	return svc_main(&program, argc, argv);
}
