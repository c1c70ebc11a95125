/* SPDX-License-Identifier: MIT
 *
 * The one table of operations, and the router that reads it. docs/openapi.yaml describes exactly these; a test compares
 * the two in both directions (tests/integration/d_api_openapi_test.py).
 */
#include <stdio.h>
#include <string.h>

#include "api.h"
#include "ops.h"
#include "smtp/address.h"

/* clang-format off */
static const char *const to_auth[] = {"auth", NULL};
static const char *const to_policy[] = {"policy", NULL};
static const char *const to_delivery[] = {"delivery", NULL};
static const char *const to_ingest[] = {"ingest", NULL};
static const char *const to_keeper[] = {"keeper", NULL};
static const char *const to_audit[] = {"audit", NULL};
static const char *const to_notify[] = {"notify", NULL};
static const char *const to_auth_and_delivery[] = {"auth", "delivery", NULL};

static const char *const list_query[] = {"limit", "cursor", "state", "sender", "recipient", "direction", NULL};
static const char *const page_query[] = {"limit", "cursor", NULL};
static const char *const search_query[] = {"q", "limit", "cursor", "from", "until", "direction", NULL};
static const char *const envelope_query[] = {"sender", "recipient", NULL};
static const char *const users_query[] = {"limit", "cursor", "search", NULL};
static const char *const keys_query[] = {"limit", "cursor", "login", "ended", NULL};
static const char *const sandbox_query[] = {"limit", "cursor", "recipient", NULL};
static const char *const entries_query[] = {"limit", "cursor", "actor", "action", "outcome", "source", "subject", "from", "until", NULL};
static const char *const export_query[] = {"format", "first", "actor", "action", "outcome", "source", "subject", "from", "until", NULL};
static const char *const inclusion_query[] = {"index", "size", NULL};
static const char *const consistency_query[] = {"first", "size", NULL};
static const char *const events_query[] = {"after", "types", NULL};
static const char *const attempts_query[] = {"limit", "cursor", "failed", NULL};

#define CHANGE API_IF_MATCH
#define UPSERT (API_IF_MATCH | API_IF_NEW)

const struct api_operation api_operations[] = {
    {"getHealth", API_GET, "/v1/health", API_BODY_NONE, 0, NULL, NULL, op_health},
    {"getMe", API_GET, "/v1/me", API_BODY_NONE, 0, to_auth, NULL, op_me_get},

    {"listMessages", API_GET, "/v1/messages", API_BODY_NONE, 0, to_delivery, list_query, op_messages_list},
    {"submitMessage", API_POST, "/v1/messages", API_BODY_MESSAGE, API_ONCE | API_REPEATS, to_ingest, envelope_query, op_messages_submit, submit_admit},
    {"searchMessages", API_GET, "/v1/messages/search", API_BODY_NONE, 0, to_delivery, search_query, op_messages_search},
    {"getMessage", API_GET, "/v1/messages/{id}", API_BODY_NONE, 0, to_delivery, NULL, op_messages_show},
    {"releaseRecipients", API_POST, "/v1/messages/{id}/release", API_BODY_JSON_OPTIONAL, API_ONCE, to_delivery, NULL, op_messages_release},
    {"discardRecipients", API_POST, "/v1/messages/{id}/discard", API_BODY_JSON_OPTIONAL, API_ONCE, to_delivery, NULL, op_messages_discard},
    {"getSubmission", API_GET, "/v1/submissions/{key}", API_BODY_NONE, 0, to_ingest, NULL, op_submissions_get},
    {"listHolds", API_GET, "/v1/holds", API_BODY_NONE, 0, to_delivery, page_query, op_holds_list},

    {"getPolicy", API_GET, "/v1/policy", API_BODY_NONE, 0, to_policy, NULL, op_policy_get},
    {"putPolicy", API_PUT, "/v1/policy", API_BODY_JSON, UPSERT | API_RULES, to_policy, NULL, op_policy_put},
    {"checkPolicy", API_POST, "/v1/policy/check", API_BODY_JSON, API_RULES, to_policy, NULL, op_policy_check},
    {"listPolicyVersions", API_GET, "/v1/policy/versions", API_BODY_NONE, 0, to_policy, page_query, op_policy_versions},
    {"getPolicyVersion", API_GET, "/v1/policy/{version}", API_BODY_NONE, 0, to_policy, NULL, op_policy_version},

    {"listTenants", API_GET, "/v1/tenants", API_BODY_NONE, 0, to_auth, NULL, op_tenants_list},
    {"createTenant", API_POST, "/v1/tenants", API_BODY_JSON, API_ONCE, to_auth, NULL, op_tenants_create},
    {"getTenant", API_GET, "/v1/tenant", API_BODY_NONE, 0, to_auth, NULL, op_tenant_get},
    {"updateTenant", API_PUT, "/v1/tenant", API_BODY_JSON, CHANGE, to_auth, NULL, op_tenant_put},
    {"listDomains", API_GET, "/v1/domains", API_BODY_NONE, 0, to_auth, NULL, op_domains_list},
    {"addDomain", API_POST, "/v1/domains", API_BODY_JSON, API_ONCE, to_auth_and_delivery, NULL, op_domains_add},
    {"getDomainDkim", API_GET, "/v1/domains/{name}/dkim", API_BODY_NONE, 0, to_delivery, NULL, op_domains_dkim},

    {"listUsers", API_GET, "/v1/users", API_BODY_NONE, 0, to_auth, users_query, op_users_list},
    {"createUser", API_POST, "/v1/users", API_BODY_JSON, API_ONCE, to_auth, NULL, op_users_create},
    {"getUser", API_GET, "/v1/users/{id}", API_BODY_NONE, 0, to_auth, NULL, op_users_get},
    {"updateUser", API_PUT, "/v1/users/{id}", API_BODY_JSON, CHANGE, to_auth, NULL, op_users_put},
    {"putUserAccess", API_PUT, "/v1/users/{id}/access", API_BODY_JSON, CHANGE, to_auth, NULL, op_users_access},
    {"getUserPermissions", API_GET, "/v1/users/{id}/permissions", API_BODY_NONE, 0, to_auth, NULL, op_users_permissions},
    {"listKeys", API_GET, "/v1/keys", API_BODY_NONE, 0, to_auth, keys_query, op_keys_list},
    {"createKey", API_POST, "/v1/keys", API_BODY_JSON, API_ONCE, to_auth, NULL, op_keys_create},
    {"revokeKey", API_DELETE, "/v1/keys/{id}", API_BODY_NONE, 0, to_auth, NULL, op_keys_revoke},
    {"rotateKey", API_POST, "/v1/keys/{id}/rotate", API_BODY_JSON_OPTIONAL, API_ONCE, to_auth, NULL, op_keys_rotate},
    {"listRoles", API_GET, "/v1/roles", API_BODY_NONE, 0, to_auth, NULL, op_roles_list},
    {"putRole", API_PUT, "/v1/roles/{name}", API_BODY_JSON, UPSERT, to_auth, NULL, op_roles_put},
    {"deleteRole", API_DELETE, "/v1/roles/{name}", API_BODY_NONE, CHANGE, to_auth, NULL, op_roles_delete},
    {"listGroups", API_GET, "/v1/groups", API_BODY_NONE, 0, to_auth, NULL, op_groups_list},
    {"putGroup", API_PUT, "/v1/groups/{name}", API_BODY_JSON, UPSERT, to_auth, NULL, op_groups_put},
    {"deleteGroup", API_DELETE, "/v1/groups/{name}", API_BODY_NONE, CHANGE, to_auth, NULL, op_groups_delete},

    {"getRoute", API_GET, "/v1/routes/{direction}", API_BODY_NONE, 0, to_delivery, NULL, op_routes_get},
    {"putRoute", API_PUT, "/v1/routes/{direction}", API_BODY_JSON, CHANGE, to_delivery, NULL, op_routes_put},
    {"getDeliverySettings", API_GET, "/v1/settings/delivery", API_BODY_NONE, 0, to_delivery, NULL, op_settings_get},
    {"putDeliverySettings", API_PUT, "/v1/settings/delivery", API_BODY_JSON, CHANGE, to_delivery, NULL, op_settings_put},
    {"listSandboxMails", API_GET, "/v1/sandbox/mails", API_BODY_NONE, 0, to_delivery, sandbox_query, op_sandbox_list},
    {"getSandboxMail", API_GET, "/v1/sandbox/mails/{id}", API_BODY_NONE, 0, to_delivery, NULL, op_sandbox_get},
    {"getSandboxMailContent", API_GET, "/v1/sandbox/mails/{id}/content", API_BODY_NONE, API_MAIL, to_delivery, NULL, op_sandbox_content},
    {"getQueue", API_GET, "/v1/queue", API_BODY_NONE, 0, to_delivery, NULL, op_queue_get},
    {"getBus", API_GET, "/v1/bus", API_BODY_NONE, 0, to_keeper, NULL, op_bus_get},
    {"getConservation", API_GET, "/v1/conservation", API_BODY_NONE, 0, to_keeper, NULL, op_conservation_get},

    {"searchAudit", API_GET, "/v1/audit/entries", API_BODY_NONE, 0, to_audit, entries_query, op_audit_search},
    {"listHeads", API_GET, "/v1/audit/heads", API_BODY_NONE, 0, to_audit, page_query, op_audit_heads},
    {"proveInclusion", API_GET, "/v1/audit/proofs/inclusion", API_BODY_NONE, 0, to_audit, inclusion_query, op_audit_inclusion},
    {"proveConsistency", API_GET, "/v1/audit/proofs/consistency", API_BODY_NONE, 0, to_audit, consistency_query, op_audit_consistency},
    {"exportAudit", API_GET, "/v1/audit/export", API_BODY_NONE, API_LINES, to_audit, export_query, op_audit_export},
    {"streamEvents", API_GET, "/v1/events", API_BODY_NONE, API_EVENTS, to_audit, events_query, op_events_stream},

    {"listWebhooks", API_GET, "/v1/webhooks", API_BODY_NONE, 0, to_notify, page_query, op_webhooks_list},
    {"createWebhook", API_POST, "/v1/webhooks", API_BODY_JSON, API_ONCE, to_notify, NULL, op_webhooks_create},
    {"getWebhook", API_GET, "/v1/webhooks/{id}", API_BODY_NONE, 0, to_notify, NULL, op_webhooks_get},
    {"updateWebhook", API_PUT, "/v1/webhooks/{id}", API_BODY_JSON, CHANGE, to_notify, NULL, op_webhooks_put},
    {"deleteWebhook", API_DELETE, "/v1/webhooks/{id}", API_BODY_NONE, CHANGE, to_notify, NULL, op_webhooks_delete},
    {"rotateWebhookSecret", API_POST, "/v1/webhooks/{id}/rotate", API_BODY_JSON_OPTIONAL, API_ONCE, to_notify, NULL, op_webhooks_rotate},
    {"testWebhook", API_POST, "/v1/webhooks/{id}/test", API_BODY_NONE, API_ONCE | API_SLOW, to_notify, NULL, op_webhooks_test},
    {"listWebhookAttempts", API_GET, "/v1/webhooks/{id}/attempts", API_BODY_NONE, 0, to_notify, attempts_query, op_webhooks_attempts},
    {"replayWebhook", API_POST, "/v1/webhooks/{id}/replay", API_BODY_JSON, API_ONCE, to_notify, NULL, op_webhooks_replay},
    {.id = NULL},
};
/* clang-format on */

const char *
api_method_str(enum api_method m)
{
	switch (m) {
	case API_GET:
		return "GET";
	case API_POST:
		return "POST";
	case API_PUT:
		return "PUT";
	case API_DELETE:
		return "DELETE";
	}
	return "?";
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

const char *
api_percent_decode(struct arena *a, const char *s)
{
	char *out = arena_alloc(a, strlen(s) + 1), *to = out;
	for (; *s != '\0'; s++) {
		if (*s != '%') {
			*to++ = *s;
			continue;
		}
		int hi = hex_digit(s[1]), lo = hi >= 0 ? hex_digit(s[2]) : -1;
		if (lo < 0 || (hi == 0 && lo == 0))
			return NULL;
		*to++ = (char)(hi * 16 + lo);
		s += 2;
	}
	*to = '\0';
	return smtp_utf8_valid(bytes_str(out)) ? out : NULL;
}

/* Does path fit the pattern? Where the pattern has {name}, *param_r is what stands there (still encoded). */
static bool
path_fits(const char *pattern, const char *path, struct bytes *param_r)
{
	for (;;) {
		if (*pattern == '{') {
			size_t n = strcspn(path, "/");
			if (n == 0)
				return false;
			*param_r = bytes_of(path, n);
			path += n;
			pattern = strchr(pattern, '}') + 1;
		} else if (*pattern != *path) {
			return false;
		} else if (*pattern == '\0') {
			return true;
		} else {
			pattern++;
			path++;
		}
	}
}

enum api_route
api_route(const char *method, const char *path, struct arena *a, const struct api_operation **op_r,
	  const char **param_r, char allow[API_ALLOW_SIZE])
{
	if (strcmp(method, "HEAD") == 0)
		method = "GET";
	const char *winner = NULL; /* the pattern that stands for this path: a literal
				      one comes first */
	struct bytes param = bytes_str("");
	for (const struct api_operation *op = api_operations; op->id != NULL; op++) {
		struct bytes p = bytes_str("");
		if (!path_fits(op->path, path, &p))
			continue;
		if (winner == NULL || (strchr(winner, '{') != NULL && strchr(op->path, '{') == NULL)) {
			winner = op->path;
			param = p;
		}
	}
	if (winner == NULL)
		return API_ROUTE_NO_PATH;
	size_t n = 0;
	for (const struct api_operation *op = api_operations; op->id != NULL; op++) {
		if (strcmp(op->path, winner) != 0)
			continue;
		if (strcmp(api_method_str(op->method), method) == 0) {
			*op_r = op;
			*param_r = api_percent_decode(a, arena_strndup(a, param.p, param.n));
			return API_ROUTE_FOUND;
		}
		n += (size_t)snprintf(allow + n, API_ALLOW_SIZE - n, "%s%s", n > 0 ? ", " : "",
				      op->method == API_GET ? "GET, HEAD" : api_method_str(op->method));
	}
	return API_ROUTE_NO_METHOD;
}
