/* SPDX-License-Identifier: MIT */
#include "head.h"

#include <string.h>
#include <strings.h>

#include "conditional.h"
#include "problem.h"

int64_t
head_body_bound(const struct api *api, const struct api_operation *op)
{
	switch (op->body) {
	case API_BODY_NONE:
		return 0;
	case API_BODY_JSON:
	case API_BODY_JSON_OPTIONAL:
		return API_JSON_MAX;
	case API_BODY_MESSAGE:
		return api->body_max;
	}
	return 0;
}

static bool
media_type_is(const char *content_type, const char *want)
{
	size_t n = strlen(want);
	if (strncasecmp(content_type, want, n) != 0)
		return false;
	const char *rest = content_type + n + strspn(content_type + n, " \t");
	return *rest == '\0' || *rest == ';';
}

/* Fills a problem and returns false when the body that is announced cannot be taken. */
static bool
check_body(const struct api *api, const struct api_request *r, struct api_response *w, int64_t length, bool chunked)
{
	int64_t bound = head_body_bound(api, r->op);
	if (!chunked && length == 0)
		return true; /* whether one is needed is asked when it is parsed */
	if (r->op->body == API_BODY_NONE) {
		problem_set(r, w, "unexpected_body", NULL, "this operation takes no body");
		return false;
	}
	if (r->content_encoding[0] != '\0' && strcasecmp(r->content_encoding, "identity") != 0) {
		problem_set(r, w, "media_type", "@Content-Encoding", "bodies are taken as they are");
		api_response_header(w, "Accept-Encoding", "identity");
		return false;
	}
	bool json = media_type_is(r->content_type, "application/json");
	bool message = r->op->body == API_BODY_MESSAGE && media_type_is(r->content_type, "message/rfc822");
	if (!json && !message) {
		const char *types =
		    r->op->body == API_BODY_MESSAGE ? "application/json, message/rfc822" : "application/json";
		problem_set(r, w, "media_type", "@Content-Type", "Content-Type must be one of: %s", types);
		api_response_header(w, "Accept", types);
		return false;
	}
	if (length > bound) {
		problem_set(r, w, "too_large", NULL, "the body may have at most %lld octets", (long long)bound);
		return false;
	}
	return true;
}

static bool
check_accept(const struct api_request *r, struct api_response *w)
{
	static const struct {
		unsigned flag;
		const char *types[2];
	} kinds[] = {{API_MAIL, {"message/rfc822", NULL}},
		     {API_EVENTS, {"text/event-stream", NULL}},
		     {API_LINES, {"application/jsonl", "text/csv"}},
		     {0, {"application/json", NULL}}};
	size_t k = 0;
	while (kinds[k].flag != 0 && (r->op->flags & kinds[k].flag) == 0)
		k++;
	for (int i = 0; i < 2 && kinds[k].types[i] != NULL; i++)
		if (conditional_accepts(r->accept, kinds[k].types[i]))
			return true;
	problem_set(r, w, "not_acceptable", "@Accept", "this operation answers %s", kinds[k].types[0]);
	return false;
}

static bool
is_method(const char *method)
{
	static const char *const known[] = {"GET",   "HEAD",	"POST",	 "PUT",	    "DELETE",
					    "PATCH", "OPTIONS", "TRACE", "CONNECT", NULL};
	const char *const *m = known;
	while (*m != NULL && strcmp(*m, method) != 0)
		m++;
	return *m != NULL;
}

bool
head_check(const struct api *api, struct api_request *r, struct api_response *w, const char *path, const char *method,
	   int64_t length, bool chunked)
{
	char allow[API_ALLOW_SIZE];
	r->path = arena_strdup(r->arena, path);
	if (!is_method(method)) {
		problem_set(r, w, "not_implemented", NULL, "nothing here knows this method");
		return false;
	}
	switch (api_route(method, path, r->arena, &r->op, &r->param, allow)) {
	case API_ROUTE_FOUND:
		break;
	case API_ROUTE_NO_PATH:
		problem_set(r, w, "no_such_path", NULL, "nothing is served at this path");
		return false;
	case API_ROUTE_NO_METHOD:
		problem_set(r, w, "method", NULL, "this path allows %s", allow);
		api_response_header(w, "Allow", arena_strdup(r->arena, allow));
		return false;
	}
	return api_key_presented(api, r, w) && check_accept(r, w) && check_body(api, r, w, length, chunked);
}
