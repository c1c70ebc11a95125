/* SPDX-License-Identifier: MIT
 *
 * What every operation has in common, on a worker: query, key, JSON, the handler, and the problem that its rc means.
 */
#include <string.h>
#include <strings.h>

#include "api.h"
#include "core/clock.h"
#include "core/log.h"
#include "json_in.h"
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

static bool
decode_query(struct api_request *r, struct api_response *w)
{
	for (size_t i = 0; i < r->n_query; i++) {
		struct api_pair *p = &r->query[i];
		const char *const *known = r->op->query;
		while (known != NULL && *known != NULL && strcmp(*known, p->name) != 0)
			known++;
		if (known == NULL || *known == NULL) {
			problem_set(r, w, 422, "unknown_parameter", NULL, "a query parameter is not known here");
			return false;
		}
		p->value = api_percent_decode(r->arena, p->value);
		if (p->value == NULL) {
			problem_set(r, w, 400, "bad_encoding", NULL, "a query parameter is not percent-encoded UTF-8");
			return false;
		}
	}
	return true;
}

static void
put_unauthorized(const struct api_request *r, struct api_response *w)
{
	problem_set(r, w, 401, "unauthorized", NULL,
		    "an API key is needed (Authorization: Bearer ...); this is none or not one in force");
	api_response_header(w, "WWW-Authenticate", "Bearer realm=\"sekisho\"");
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
api_key_presented(const struct api_request *r, struct api_response *w)
{
	if (r->op->audiences == NULL || presented_key(r) != NULL)
		return true;
	put_unauthorized(r, w);
	return false;
}

/* API key to actor tokens, for this request only. */
static bool
authenticate(const struct api *api, struct api_request *r, struct api_response *w)
{
	size_t n = 0;
	while (r->op->audiences[n] != NULL)
		n++;
	struct err e = {0};
	struct auth_call c = {.bus = api->svc->bus, .traceparent = r->traceparent, .deadline_ms = r->deadline_ms};
	enum rc rc = auth_api_key(&c, presented_key(r), r->client_ip, r->request_id, r->op->audiences, n, r->arena,
				  &r->holder, &e);
	if (rc == RC_OK)
		return true;
	log_trouble(r, &e);
	if (rc == RC_DENIED || rc == RC_INVALID || rc == RC_NOT_FOUND)
		put_unauthorized(r, w);
	else
		problem_from_rc(r, w, &e);
	return false;
}

static bool
parse_body(struct api_request *r, struct api_response *w)
{
	if (r->op->body == API_BODY_NONE)
		return true;
	if (r->body.n == 0) {
		if (r->op->body == API_BODY_JSON_OPTIONAL)
			return true;
		problem_set(r, w, 400, "empty_body", NULL, "this operation needs a body");
		return false;
	}
	/* The media type was checked before the body was taken: what is not JSON here is message/rfc822. */
	if (strncasecmp(r->content_type, "application/json", strlen("application/json")) != 0)
		return true;
	struct err e = {0};
	r->json = json_in_parse(r->body, &e);
	if (r->json == NULL) {
		problem_set(r, w, 400, "not_json", NULL, "%s", e.text);
		return false;
	}
	return true;
}

void
api_execute(const struct api *api, struct api_request *r, struct api_response *w)
{
	r->deadline_ms = clock_mono_ms() + api->rpc_ms;
	if (r->param == NULL) {
		problem_set(r, w, 400, "bad_encoding", NULL, "the path is not percent-encoded UTF-8");
		return;
	}
	if (!api_key_presented(r, w) || (r->op->audiences != NULL && !authenticate(api, r, w)))
		return;
	if (!decode_query(r, w) || !parse_body(r, w))
		return;
	struct err e = {0};
	enum rc rc = r->op->run(api, r, w, &e);
	if (rc == RC_OK && w->status != 0 && buf_ok(&w->body))
		return;
	if (rc == RC_OK)
		rc = err_set(&e, RC_INTERNAL, "the handler said nothing");
	e.rc = rc;
	log_trouble(r, &e);
	problem_from_rc(r, w, &e);
}
