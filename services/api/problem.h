/* SPDX-License-Identifier: MIT
 *
 * Errors as RFC 9457 problem details. `code` is stable and meant for programs; problem_codes is the one table of them
 * (docs/api.md explains each, docs/openapi.yaml says where each may come). `detail` is for people; `errors` points into
 * the request.
 */
#ifndef API_PROBLEM_H
#define API_PROBLEM_H

#include "api.h"

struct problem_code {
	const char *code; /* also the last segment of `type` */
	int status;
	const char *title; /* the same for every occurrence */
};
extern const struct problem_code problem_codes[]; /* code NULL at the end */

/* Fill w with a problem. where: NULL: about the whole request; "/a/0": JSON pointer (RFC 6901); "?name": a query or
 * path parameter; "@Name": a header field. Whatever w held is replaced; headers stay. */
void problem_set(const struct api_request *r, struct api_response *w, const char *code, const char *where,
		 const char *fmt, ...) PRINTF_LIKE(5, 6);
/* The one mapping from a service's refusal. */
void problem_from_rc(const struct api_request *r, struct api_response *w, const struct err *e);
/* The same for a body that is not yet a request (framing, overload): names of its own, for the
 * header too. Returns the status. */
int problem_write(struct buf *out, const char *code, const char *detail, char id_r[UUID_STR_SIZE],
		  char trace_r[TRACEPARENT_SIZE]);
/* The object without its closing brace, for members of the problem's own; w gets status and media type. */
void problem_open(const struct api_request *r, struct api_response *w, const char *code, const char *detail);

#endif
