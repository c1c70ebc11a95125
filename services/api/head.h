/* SPDX-License-Identifier: MIT
 *
 * What can be said of a request before its body: method, path, whether there is something like a key, what is accepted,
 * and whether a body of this kind and length is taken. Pure but for the limit of wrong keys.
 */
#ifndef API_HEAD_H
#define API_HEAD_H

#include "api.h"

/* Fills op, param and key of r; false with a problem written. length: as announced; chunked: none was. */
bool head_check(const struct api *api, struct api_request *r, struct api_response *w, const char *path,
		const char *method, int64_t length, bool chunked) MUST_CHECK;
/* Octets of a body that the operation takes. */
int64_t head_body_bound(const struct api *api, const struct api_operation *op);

#endif
