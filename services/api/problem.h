/* SPDX-License-Identifier: MIT
 *
 * Errors as RFC 9457 problem details. `code` is stable and meant for programs (the list is in docs/openapi.yaml),
 * `detail` for people; `errors` points into the request (RFC 6901 JSON pointer, or "?name" for a query parameter).
 */
#ifndef API_PROBLEM_H
#define API_PROBLEM_H

#include "api.h"

/* Fill w with a problem. pointer NULL: about the whole request. Whatever w held is replaced; headers stay. */
void problem_set(const struct api_request *r, struct api_response *w, int status, const char *code, const char *pointer,
		 const char *fmt, ...) PRINTF_LIKE(6, 7);
/* The one mapping from a service's refusal. */
void problem_from_rc(const struct api_request *r, struct api_response *w, const struct err *e);
/* The same for a body that is not yet a request (framing, overload): body only, request_id may be "". */
void problem_write(struct buf *out, int status, const char *code, const char *detail, const char *request_id,
		   const char *pointer);
/* The object without its closing brace, for members of the problem's own. */
void problem_open(struct buf *out, int status, const char *code, const char *detail, const char *request_id);
const char *problem_title(int status);

#endif
