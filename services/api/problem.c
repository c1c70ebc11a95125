/* SPDX-License-Identifier: MIT */
#include "problem.h"

#include <stdarg.h>
#include <stdio.h>

const char *
problem_title(int status)
{
	switch (status) {
	case 400:
		return "Bad Request";
	case 401:
		return "Unauthorized";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 408:
		return "Request Timeout";
	case 409:
		return "Conflict";
	case 412:
		return "Precondition Failed";
	case 413:
		return "Content Too Large";
	case 415:
		return "Unsupported Media Type";
	case 422:
		return "Unprocessable Content";
	case 429:
		return "Too Many Requests";
	case 431:
		return "Request Header Fields Too Large";
	case 503:
		return "Service Unavailable";
	default:
		return "Internal Server Error";
	}
}

void
problem_open(struct buf *out, int status, const char *code, const char *detail, const char *request_id)
{
	buf_addf(out, "{\"type\":\"urn:sekisho:problem:%s\",\"title\":", code);
	buf_add_json(out, bytes_str(problem_title(status)));
	buf_addf(out, ",\"status\":%d,\"code\":\"%s\",\"detail\":", status, code);
	buf_add_json(out, bytes_str(detail));
	if (request_id[0] != '\0') {
		buf_add_str(out, ",\"request_id\":");
		buf_add_json(out, bytes_str(request_id));
	}
}

void
problem_write(struct buf *out, int status, const char *code, const char *detail, const char *request_id,
	      const char *pointer)
{
	problem_open(out, status, code, detail, request_id);
	if (pointer != NULL) {
		buf_add_str(out, ",\"errors\":[{\"pointer\":");
		buf_add_json(out, bytes_str(pointer));
		buf_add_str(out, ",\"detail\":");
		buf_add_json(out, bytes_str(detail));
		buf_add_str(out, "}]");
	}
	buf_add_str(out, "}\n");
}

void
problem_set(const struct api_request *r, struct api_response *w, int status, const char *code, const char *pointer,
	    const char *fmt, ...)
{
	char detail[768];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	w->status = status;
	w->content_type = "application/problem+json";
	buf_reset(&w->body);
	problem_write(&w->body, status, code, detail, r->request_id, pointer);
	if (status == 503 || status == 429)
		api_response_header(w, "Retry-After", "5");
}

void
problem_from_rc(const struct api_request *r, struct api_response *w, const struct err *e)
{
	switch (e->rc) {
	case RC_DENIED:
		problem_set(r, w, 403, "forbidden", NULL, "%s", e->text);
		return;
	case RC_INVALID:
		problem_set(r, w, 422, "invalid", NULL, "%s", e->text);
		return;
	case RC_NOT_FOUND:
		problem_set(r, w, 404, "not_found", NULL, "%s", e->text);
		return;
	case RC_CONFLICT:
		problem_set(r, w, 409, "conflict", NULL, "%s", e->text);
		return;
	case RC_LIMIT:
		problem_set(r, w, 429, "limit", NULL, "%s", e->text);
		return;
	case RC_RETRY:
		/* Which part, and why, is for the log (execute.c). */
		problem_set(r, w, 503, "try_later", NULL,
			    "a part of the service is down or busy, the outcome is not known: try again");
		return;
	case RC_OK:
	case RC_INTERNAL:
		break;
	}
	/* Our own trouble is for the log, not for the caller. */
	problem_set(r, w, 500, "internal", NULL, "an error on our side; the request id names it in our log");
}
