/* SPDX-License-Identifier: MIT
 *
 * policy: what should happen to this message. README.md is the way in.
 */
#include "policy.h"
#include "subjects.h"

struct policy policy;

static const struct config_entry config[] = {
    {"SEKISHO_POLICY_STANDARD_HOLD", CONFIG_DURATION, &policy.standard_hold_ms, "300s", 0, INT64_C(2592000000),
     "how long the standard course holds outgoing mail, whole seconds; 0s: it passes"},
    CONFIG_END,
};

static const struct svc_endpoint endpoints[] = {
    {RPC_POLICY_EVALUATE, policy_handle_evaluate}, {RPC_POLICY_GET, policy_handle_get},
    {RPC_POLICY_PUT, policy_handle_put},	   {RPC_POLICY_CHECK, policy_handle_check},
    {RPC_POLICY_VERSIONS, policy_handle_versions}, SVC_ENDPOINTS_END,
};

static const char *const decisions[] = {"pass", "hold", "refuse", "quarantine", "failed", NULL};
struct metric policy_metric_decisions = {
    .name = "sekisho_policy_decisions_total",
    .type = METRIC_COUNTER,
    .help = "Recipients passed, held, quarantined; messages refused; questions that could not be decided.",
    .label = "outcome",
    .values = decisions,
};
struct metric policy_metric_evaluate_seconds = {
    .name = "sekisho_policy_evaluate_duration_seconds",
    .type = METRIC_HISTOGRAM,
    .help = "From request to decision record.",
};
struct metric policy_metric_activations = {
    .name = "sekisho_policy_activations_total",
    .type = METRIC_COUNTER,
    .help = "Rule set versions activated here.",
};

static void
collect_cache(struct metric *m)
{
	struct cache_stats s = {0};
	if (policy.cache != NULL)
		cache_stats(policy.cache, &s);
	metric_set(m, 0, s.refreshes);
	metric_set(m, 1, s.failures);
}
static const char *const looks[] = {"all", "failed", NULL};
static struct metric cache_looks = {
    .name = "sekisho_policy_cache_looks_total",
    .type = METRIC_COUNTER,
    .help = "Looks at the database or at auth for rules or a directory.",
    .label = "outcome",
    .values = looks,
    .collect = collect_cache,
};
static struct metric *const metrics[] = {&policy_metric_decisions, &policy_metric_evaluate_seconds,
					 &policy_metric_activations, &cache_looks, NULL};

/* A hint carries the tenant's 16 octets; anything else means all. */
static void
on_change(void *ctx, const char *subject, struct bytes payload)
{
	struct uuid tenant;
	bool one = payload.n == sizeof(tenant.b);
	if (one)
		memcpy(tenant.b, payload.p, sizeof(tenant.b));
	cache_mark(policy.cache, one ? &tenant : NULL,
		   strcmp(subject, SIG_POLICY_CHANGED) == 0 ? CACHE_RULES : CACHE_DIRECTORY);
}

static enum rc
init(struct svc *s, struct err *e)
{
	policy.svc = s;
	if (policy.standard_hold_ms % 1000 != 0)
		return err_set(e, RC_INVALID, "SEKISHO_POLICY_STANDARD_HOLD must be whole seconds");
	static struct buf json; /* as long as the process */
	ruleset_standard(policy.standard_hold_ms / 1000, &json);
	policy.standard_json = buf_bytes(&json);
	struct arena *a = arena_new();
	struct policy_findings findings;
	enum rc rc = ruleset_parse(policy.standard_json, a, &policy.standard, &findings, e);
	arena_free(&a);
	if (rc != RC_OK)
		return rc;
	struct cache_source source = policy_source();
	policy.cache = cache_new(&source);
	rc = bus_listen(s->bus, SIG_POLICY_CHANGED, NULL, on_change, NULL, e);
	if (rc == RC_OK)
		rc = bus_listen(s->bus, SIG_DIRECTORY_CHANGED, NULL, on_change, NULL, e);
	return rc;
}

static void
done(struct svc *s)
{
	/* Hints and scrapes may still come: the cache itself lives as long as the process. */
	cache_stop(policy.cache);
}

static const struct svc_program program = {
    .name = "policy",
    .prefix = "SEKISHO_POLICY_",
    .needs = SVC_DB | SVC_BUS | SVC_ACTORS,
    .intent_sql = DB_INTENT_SQL("policy"),
    .config = config,
    .endpoints = endpoints,
    .metrics = metrics,
    .init = init,
    .done = done,
};

int
main(int argc, char **argv)
{
	return svc_main(&program, argc, argv);
}
