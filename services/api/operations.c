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

static const char *const to_auth[] = {"auth", NULL};
static const char *const to_policy[] = {"policy", NULL};
static const char *const to_delivery[] = {"delivery", NULL};
static const char *const to_ingest[] = {"ingest", NULL};
static const char *const to_keeper[] = {"keeper", NULL};
static const char *const to_auth_and_delivery[] = {"auth", "delivery", NULL};

static const char *const list_query[] = {"limit", "cursor", "state", "sender", "recipient", "direction", NULL};
static const char *const page_query[] = {"limit", "cursor", NULL};
static const char *const envelope_query[] = {"sender", "recipient", NULL};

const struct api_operation api_operations[] = {
    {"getHealth", API_GET, "/v1/health", API_BODY_NONE, NULL, NULL, op_health},

    {"listMessages", API_GET, "/v1/messages", API_BODY_NONE, to_delivery, list_query, op_messages_list},
    {"submitMessage", API_POST, "/v1/messages", API_BODY_MESSAGE, to_ingest, envelope_query, op_messages_submit},
    {"getMessage", API_GET, "/v1/messages/{id}", API_BODY_NONE, to_delivery, NULL, op_messages_show},
    {"releaseRecipients", API_POST, "/v1/messages/{id}/release", API_BODY_JSON_OPTIONAL, to_delivery, NULL,
     op_messages_release},
    {"discardRecipients", API_POST, "/v1/messages/{id}/discard", API_BODY_JSON_OPTIONAL, to_delivery, NULL,
     op_messages_discard},
    {"listHolds", API_GET, "/v1/holds", API_BODY_NONE, to_delivery, page_query, op_holds_list},
    {"getQueue", API_GET, "/v1/queue", API_BODY_NONE, to_delivery, NULL, op_queue_get},

    {"getPolicy", API_GET, "/v1/policy", API_BODY_NONE, to_policy, NULL, op_policy_get},
    {"putPolicy", API_PUT, "/v1/policy", API_BODY_JSON, to_policy, NULL, op_policy_put},
    {"checkPolicy", API_POST, "/v1/policy/check", API_BODY_JSON, to_policy, NULL, op_policy_check},
    {"getPolicyVersion", API_GET, "/v1/policy/{version}", API_BODY_NONE, to_policy, NULL, op_policy_version},

    {"listTenants", API_GET, "/v1/tenants", API_BODY_NONE, to_auth, NULL, op_tenants_list},
    {"createTenant", API_POST, "/v1/tenants", API_BODY_JSON, to_auth, NULL, op_tenants_create},
    {"createUser", API_POST, "/v1/users", API_BODY_JSON, to_auth, NULL, op_users_create},
    {"createKey", API_POST, "/v1/keys", API_BODY_JSON, to_auth, NULL, op_keys_create},
    {"revokeKey", API_DELETE, "/v1/keys/{id}", API_BODY_NONE, to_auth, NULL, op_keys_revoke},
    {"addDomain", API_POST, "/v1/domains", API_BODY_JSON, to_auth_and_delivery, NULL, op_domains_add},
    {"getDomainDkim", API_GET, "/v1/domains/{name}/dkim", API_BODY_NONE, to_delivery, NULL, op_domains_dkim},
    {"getRoute", API_GET, "/v1/routes/{direction}", API_BODY_NONE, to_delivery, NULL, op_routes_get},
    {"putRoute", API_PUT, "/v1/routes/{direction}", API_BODY_JSON, to_delivery, NULL, op_routes_put},

    {"getBus", API_GET, "/v1/bus", API_BODY_NONE, to_keeper, NULL, op_bus_get},
    {"getConservation", API_GET, "/v1/conservation", API_BODY_NONE, to_keeper, NULL, op_conservation_get},
    {.id = NULL},
};

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
	const char *winner = NULL; /* the pattern that stands for this path: a literal one comes first */
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
