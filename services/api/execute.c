/* SPDX-License-Identifier: MIT
 *
 * What every operation has in common, on a worker: limits, key, query, JSON, the handler, conditions, and the problem
 * that its rc means.
 */
#include <string.h>
#include <strings.h>

#include "api.h"
#include "conditional.h"
#include "core/clock.h"
#include "core/log.h"
#include "json_in.h"
#include "limit.h"
#include "problem.h"

#define API_KEY_MAX 256

void
api_response_header(struct api_response *w, const char *name, const char *value)
{
	for (size_t i = 0; i < w->n_headers; i++)
		if (strcmp(w->headers[i].name, name) == 0) {
			w->headers[i].value = value;
			return;
		}
	if (w->n_headers < API_HEADERS_MAX)
		w->headers[w->n_headers++] = (struct api_pair){name, value};
}

const char *
api_query(const struct api_request *r, const char *name)
{
	for (size_t i = 0; i < r->n_query; i++)
		if (strcmp(r->query[i].name, name) == 0)
			return r->query[i].value;
	return NULL;
}

struct bytes
api_token(const struct api_request *r, const char *audience)
{
	for (size_t i = 0; i < r->holder.n_tokens; i++)
		if (strcmp(r->holder.tokens[i].audience, audience) == 0)
			return r->holder.tokens[i].token;
	return bytes_of(NULL, 0); /* the service will refuse it */
}

/* Names of the operation only, each once unless it may be repeated. */
static bool
decode_query(struct api_request *r, struct api_response *w)
{
	for (size_t i = 0; i < r->n_query; i++) {
		struct api_pair *p = &r->query[i];
		const char *const *known = r->op->query;
		while (known != NULL && *known != NULL && strcmp(*known, p->name) != 0)
			known++;
		if (known == NULL || *known == NULL) {
			problem_set(r, w, "unknown_parameter", NULL, "a query parameter is not known here");
			return false;
		}
		for (size_t k = 0; k < i && (r->op->flags & API_REPEATS) == 0; k++)
			if (strcmp(r->query[k].name, p->name) == 0) {
				problem_set(r, w, "repeated_parameter", arena_printf(r->arena, "?%s", p->name),
					    "%s is given twice", p->name);
				return false;
			}
		p->value = api_percent_decode(r->arena, p->value);
		if (p->value == NULL) {
			problem_set(r, w, "bad_encoding", arena_printf(r->arena, "?%s", p->name),
				    "a query parameter is not percent-encoded UTF-8");
			return false;
		}
	}
	return true;
}

/* --- keys and limits
 * ------------------------------------------------------------------------------------------
 */
static void
put_unauthorized(const struct api *api, struct api_request *r, struct api_response *w)
{
	struct limit_state s;
	char address[LIMIT_ADDRESS_SIZE];
	(void)limit_take(api->by_address, limit_address(r->client_ip, address), 1, clock_mono_ms(), &s);
	problem_set(r, w, "unauthorized", NULL,
		    "an API key is needed (Authorization: Bearer ...); this is none "
		    "or not one in force");
	api_response_header(w, "WWW-Authenticate", "Bearer realm=\"sekisho\"");
}

static void
put_rate_limited(struct api_request *r, struct api_response *w, int64_t wait_s, const char *what)
{
	problem_set(r, w, "rate_limited", NULL, "too many %s: try again in %lld seconds", what, (long long)wait_s);
	api_response_header(w, "Retry-After", arena_printf(r->arena, "%lld", (long long)(wait_s > 0 ? wait_s : 1)));
}

static void
log_trouble(const struct api_request *r, const struct err *e)
{
	if (!rc_is_transient(e->rc))
		return;
	log_write(e->rc == RC_RETRY ? LOG_LEVEL_WARN : LOG_LEVEL_ERROR, "request failed",
		  LOG_FIELDS(LOG_STR("http.request.id", r->request_id), LOG_STR("sekisho.operation", r->op->id),
			     LOG_RC(e->rc), LOG_ERR(e), LOG_TRACE(r->traceparent)));
}

/* What cannot be a key is not worth a question. */
static const char *
presented_key(const struct api_request *r)
{
	static const char scheme[] = "Bearer ";
	if (strncasecmp(r->authorization, scheme, sizeof(scheme) - 1) != 0)
		return NULL;
	const char *key = r->authorization + sizeof(scheme) - 1;
	key += strspn(key, " ");
	size_t n = strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~+/=");
	return n > 0 && n <= API_KEY_MAX && key[n] == '\0' ? key : NULL;
}

bool
api_key_presented(const struct api *api, struct api_request *r, struct api_response *w)
{
	struct limit_state s;
	char address[LIMIT_ADDRESS_SIZE];
	if (r->op->audiences == NULL)
		return true;
	/* Who was wrong too often is not even looked at. */
	if (!limit_take(api->by_address, limit_address(r->client_ip, address), 0, clock_mono_ms(), &s) ||
	    s.wait_s > 0) {
		put_rate_limited(r, w, s.wait_s, "wrong keys from this address");
		return false;
	}
	r->key = presented_key(r);
	if (r->key != NULL)
		return true;
	put_unauthorized(api, r, w);
	return false;
}

enum rc
api_verify_again(const struct api *api, const struct api_request *r, struct arena *a, struct auth_key_holder *out_r,
		 struct err *e)
{
	size_t n = 0;
	while (r->op->audiences[n] != NULL)
		n++;
	struct auth_call c = {
	    .bus = api->svc->bus, .traceparent = r->traceparent, .deadline_ms = clock_mono_ms() + api->rpc_ms};
	return auth_api_key(&c, r->key, r->client_ip, r->request_id, r->op->audiences, n, a, out_r, e);
}

bool
api_verify(const struct api *api, struct api_request *r, struct api_response *w)
{
	struct limit_state s;
	struct err e = {0};
	if (r->verified || r->op->audiences == NULL)
		return true;
	r->counted = true;
	if (!limit_take(api->by_key, bytes_str(r->key), 1, clock_mono_ms(), &s)) {
		put_rate_limited(r, w, s.wait_s, "requests with this key");
		return false;
	}
	r->verified_ms = clock_mono_ms();
	enum rc rc = api_verify_again(api, r, r->arena, &r->holder, &e);
	r->verified = rc == RC_OK;
	if (r->verified)
		return r->op->admit == NULL || r->op->admit(api, r, w);
	log_trouble(r, &e);
	r->counted = false;
	if (rc == RC_DENIED || rc == RC_INVALID || rc == RC_NOT_FOUND)
		put_unauthorized(api, r, w);
	else
		problem_from_rc(r, w, &e);
	return false;
}

void
api_rate_headers(const struct api *api, struct api_request *r, struct api_response *w)
{
	struct limit_state s;
	char address[LIMIT_ADDRESS_SIZE];
	struct limit *l = r->counted ? api->by_key : api->by_address;
	const char *name = r->counted ? "key" : "address";
	if (limit_quota(l) == 0)
		return;
	(void)limit_take(l, r->counted ? bytes_str(r->key) : limit_address(r->client_ip, address), 0, clock_mono_ms(),
			 &s);
	api_response_header(w, "RateLimit-Policy",
			    arena_printf(r->arena, "\"%s\";q=%lld;w=%lld", name, (long long)limit_quota(l),
					 (long long)limit_window_s(l)));
	api_response_header(
	    w, "RateLimit",
	    arena_printf(r->arena, "\"%s\";r=%lld;t=%lld", name, (long long)s.left, (long long)s.reset_s));
}

/* --- one request
 * ------------------------------------------------------------------------------------------------
 */
static size_t
values_max(const struct api_operation *op)
{
	if (op->body == API_BODY_MESSAGE)
		return API_MESSAGE_VALUES_MAX;
	return (op->flags & API_RULES) != 0 ? API_RULES_VALUES_MAX : API_VALUES_MAX;
}

static bool
parse_body(struct api_request *r, struct api_response *w)
{
	if (r->op->body == API_BODY_NONE)
		return true;
	if (r->body.n == 0) {
		if (r->op->body == API_BODY_JSON_OPTIONAL)
			return true;
		problem_set(r, w, "empty_body", NULL, "this operation needs a body");
		return false;
	}
	/* The media type was checked before the body was taken: what is not JSON here is message/rfc822. */
	if (strncasecmp(r->content_type, "application/json", strlen("application/json")) != 0)
		return true;
	struct err e = {0};
	enum rc rc = json_in_parse(r->body, values_max(r->op), &r->json, &e);
	if (rc == RC_CONFLICT || rc == RC_LIMIT)
		problem_set(r, w, "invalid_field", "", "%s", e.text);
	else if (rc != RC_OK)
		problem_set(r, w, "not_json", NULL, "%s", e.text);
	return rc == RC_OK;
}

#define IDEMPOTENCY_KEY_MAX 200

static bool
idempotency_key_ok(const struct api_request *r, struct api_response *w)
{
	size_t n = strlen(r->idempotency_key);
	bool ok = n <= IDEMPOTENCY_KEY_MAX;
	for (size_t i = 0; i < n; i++)
		ok = ok && r->idempotency_key[i] > 0x20 && r->idempotency_key[i] < 0x7f;
	if (!ok)
		problem_set(r, w, "invalid_idempotency_key", "@Idempotency-Key",
			    "Idempotency-Key must be 1 to %d visible ASCII characters", IDEMPOTENCY_KEY_MAX);
	return ok;
}

/* The ETag of what is answered; 304 if the client has it. */
static void
finish(struct api_request *r, struct api_response *w)
{
	if (w->status != 200 && w->status != 201)
		return;
	bool json = w->content_type != NULL && strcmp(w->content_type, "application/json") == 0;
	if (w->etag == NULL && r->op->method == API_GET && json && r->op->audiences != NULL)
		w->etag = conditional_etag(r->arena, 0, buf_bytes(&w->body));
	if (w->etag == NULL || w->etag[0] == '\0')
		return;
	api_response_header(w, "ETag", w->etag);
	if (r->op->method == API_GET && r->if_none_match[0] != '\0' &&
	    conditional_none_match(r->if_none_match, w->etag)) {
		w->status = 304;
		w->content_type = NULL;
		buf_reset(&w->body);
	}
}

void
api_execute(const struct api *api, struct api_request *r, struct api_response *w)
{
	r->deadline_ms = clock_mono_ms() + api->rpc_ms;
	if (r->param == NULL) {
		problem_set(r, w, "bad_encoding", NULL, "the path is not percent-encoded UTF-8");
		return;
	}
	if (!api_verify(api, r, w) || !decode_query(r, w) || !parse_body(r, w))
		return;
	if ((r->op->flags & API_ONCE) != 0 && !idempotency_key_ok(r, w))
		return;
	struct err e = {0};
	enum rc rc = r->op->run(api, r, w, &e);
	if (rc == RC_OK && w->status != 0 && buf_ok(&w->body)) {
		finish(r, w);
		return;
	}
	if (rc == RC_OK)
		rc = err_set(&e, RC_INTERNAL, "the handler said nothing");
	e.rc = rc;
	log_trouble(r, &e);
	problem_from_rc(r, w, &e);
}
