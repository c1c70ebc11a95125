/* SPDX-License-Identifier: MIT */
#include "problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"

const struct problem_code problem_codes[] = {
    {"bad_framing", 400, "The request's framing is not valid"},
    {"bad_encoding", 400, "Percent-encoding or UTF-8 is broken"},
    {"unexpected_body", 400, "This operation takes no body"},
    {"empty_body", 400, "This operation needs a body"},
    {"not_json", 400, "The body is not JSON"},
    {"bad_if_match", 400, "If-Match cannot be understood"},
    {"bad_if_none_match", 400, "If-None-Match cannot be understood"},
    {"unauthorized", 401, "An API key in force is needed"},
    {"forbidden", 403, "The key may not do this"},
    {"no_such_path", 404, "Nothing is served at this path"},
    {"not_found", 404, "There is nothing of this name"},
    {"no_such_recipient", 404, "The message has no such recipient"},
    {"method", 405, "The path does not allow this method"},
    {"not_acceptable", 406, "Nothing that is accepted can be sent"},
    {"header_timeout", 408, "The request's header did not come in time"},
    {"conflict", 409, "It contradicts what is there"},
    {"already_decided", 409, "Somebody was first"},
    {"nothing_to_do", 409, "No recipient can be acted on"},
    {"precondition", 412, "The precondition does not hold"},
    {"too_large", 413, "Over a bound"},
    {"uri_too_long", 414, "The request line is too long"},
    {"media_type", 415, "Another media type is needed"},
    {"invalid", 422, "The request cannot be carried out as it is"},
    {"invalid_field", 422, "A member of the document is wrong"},
    {"invalid_parameter", 422, "A parameter is wrong"},
    {"unknown_parameter", 422, "A parameter is not known here"},
    {"repeated_parameter", 422, "A parameter is given twice"},
    {"invalid_envelope", 422, "The envelope is wrong"},
    {"two_envelopes", 422, "The envelope is given twice"},
    {"line_ends", 422, "Lines must end in CRLF"},
    {"invalid_idempotency_key", 422, "The idempotency key is not well formed"},
    {"idempotency_mismatch", 422, "The idempotency key belongs to another request"},
    {"policy_invalid", 422, "The rule set has errors"},
    {"refused", 422, "Refused at the checkpoint"},
    {"rate_limited", 429, "Too many requests"},
    {"limit", 429, "A bound of the tenant was met"},
    {"header_too_large", 431, "The request's header is too large"},
    {"internal", 500, "An error on our side"},
    {"not_implemented", 501, "The method is not known"},
    {"try_later", 503, "A part is down or busy"},
    {"overload", 503, "Too much at once"},
    {.code = NULL},
};

static const struct problem_code *
find(const char *code)
{
	const struct problem_code *c = problem_codes;
	while (c->code != NULL && strcmp(c->code, code) != 0)
		c++;
	if (c->code == NULL)
		abort(); /* not in the table: nobody may be told so */
	return c;
}

static int
open_object(struct buf *out, const char *code, const char *detail, const char *request_id, const char *traceparent)
{
	const struct problem_code *c = find(code);
	char trace[33];
	traceparent_trace_id(traceparent, trace);
	buf_addf(out,
		 "{\"type\":\"/problems/"
		 "%s\",\"title\":\"%s\",\"status\":%d,\"code\":\"%s\",\"detail\":",
		 code, c->title, c->status, code);
	buf_add_json(out, bytes_str(detail));
	buf_add_str(out, ",\"request_id\":");
	buf_add_json(out, bytes_str(request_id));
	buf_addf(out, ",\"trace_id\":\"%s\"", trace);
	return c->status;
}

int
problem_write(struct buf *out, const char *code, const char *detail, char id[UUID_STR_SIZE],
	      char trace[TRACEPARENT_SIZE])
{
	struct uuid u = uuid_v7(clock_wall_us());
	uuid_format(&u, id);
	traceparent_new(trace);
	int status = open_object(out, code, detail, id, trace);
	buf_add_str(out, "}\n");
	return status;
}

void
problem_open(const struct api_request *r, struct api_response *w, const char *code, const char *detail)
{
	buf_reset(&w->body);
	w->status = open_object(&w->body, code, detail, r->request_id, r->traceparent);
	w->content_type = "application/problem+json";
	w->etag = "";
	if (w->status == 503 || w->status == 429)
		api_response_header(w, "Retry-After", "5");
}

/* One element of errors: where, and what. */
static void
add_where(struct buf *out, const char *where, const char *detail)
{
	static const struct {
		char sign;
		const char *member;
	} kinds[] = {{'?', "parameter"}, {'@', "header"}, {'/', "pointer"}, {'\0', "pointer"}};
	size_t k = 0;
	while (k < 3 && kinds[k].sign != where[0])
		k++;
	buf_addf(out, ",\"errors\":[{\"%s\":", kinds[k].member);
	buf_add_json(out, bytes_str(k < 2 ? where + 1 : where));
	buf_add_str(out, ",\"detail\":");
	/* "/name must be ..." is for the whole; here the pointer stands beside it. */
	size_t n = strlen(where);
	if (k >= 2 && n > 0 && strncmp(detail, where, n) == 0 && detail[n] == ' ')
		detail += n + 1;
	buf_add_json(out, bytes_str(detail));
	buf_add_str(out, "}]");
}

void
problem_set(const struct api_request *r, struct api_response *w, const char *code, const char *where, const char *fmt,
	    ...)
{
	char detail[768];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	problem_open(r, w, code, detail);
	if (where != NULL)
		add_where(&w->body, where, detail);
	buf_add_str(&w->body, "}\n");
}

/* Services that know the member say it first: "url: must be ..." or "types[3]: ...". NULL: they did not. */
static const char *
pointer_in(const struct api_request *r, const char *text)
{
	size_t name = strspn(text, "abcdefghijklmnopqrstuvwxyz_"), at = name;
	const char *digits = NULL;
	if (name == 0 || !json_is_object(r->json))
		return NULL;
	if (text[at] == '[') {
		digits = text + at + 1;
		at += 1 + strspn(digits, "0123456789");
		if (text + at == digits || text[at] != ']')
			return NULL;
		at++;
	}
	if (text[at] != ':' || text[at + 1] != ' ')
		return NULL;
	const char *member = arena_strndup(r->arena, text, name);
	if (json_object_get(r->json, member) == NULL)
		return NULL;
	return digits == NULL ? arena_printf(r->arena, "/%s", member)
			      : arena_printf(r->arena, "/%s/%.*s", member, (int)strspn(digits, "0123456789"), digits);
}

static void
from_conflict(const struct api_request *r, struct api_response *w, const char *text)
{
	if (strstr(text, "idempotency key") != NULL)
		problem_set(r, w, "idempotency_mismatch", "@Idempotency-Key", "%s", text);
	else if (r->if_match[0] != '\0' && strncmp(text, "version is ", 11) == 0)
		problem_set(r, w, "precondition", "@If-Match", "%s", text);
	else if (r->if_none_match[0] != '\0' && (r->op->flags & API_IF_NEW) != 0)
		problem_set(r, w, "precondition", "@If-None-Match", "%s", text);
	else
		problem_set(r, w, "conflict", NULL, "%s", text);
}

void
problem_from_rc(const struct api_request *r, struct api_response *w, const struct err *e)
{
	switch (e->rc) {
	case RC_DENIED:
		problem_set(r, w, "forbidden", NULL, "%s", e->text);
		return;
	case RC_INVALID: {
		const char *pointer = pointer_in(r, e->text);
		problem_set(r, w, pointer != NULL ? "invalid_field" : "invalid", pointer, "%s", e->text);
		return;
	}
	case RC_NOT_FOUND:
		/* The condition was that it is there in this version. */
		if (r->if_match[0] != '\0' && (r->op->flags & API_IF_NEW) != 0)
			problem_set(r, w, "precondition", "@If-Match", "%s", e->text);
		else
			problem_set(r, w, "not_found", NULL, "%s", e->text);
		return;
	case RC_CONFLICT:
		from_conflict(r, w, e->text);
		return;
	case RC_LIMIT:
		problem_set(r, w, "limit", NULL, "%s", e->text);
		return;
	case RC_RETRY:
		/* Which part, and why, is for the log (execute.c). */
		problem_set(r, w, "try_later", NULL,
			    "a part of the service is down or busy, the outcome is not "
			    "known: try again");
		return;
	case RC_OK:
	case RC_INTERNAL:
		break;
	}
	/* Our own trouble is for the log, not for the caller. */
	problem_set(r, w, "internal", NULL, "an error on our side; the request id names it in our log");
}
