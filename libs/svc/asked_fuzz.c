/* SPDX-License-Identifier: MIT
 *
 * Any octets as any request: what was asked for comes out as a JSON object, however the request is made. The first
 * octet chooses the rpc.
 */
#include <jansson.h>
#include <stdlib.h>

#include "svc/svc_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	size_t count = 0;
	while (subject_rpcs[count].subject != NULL)
		count++;
	if (n == 0)
		return 0;
	struct arena *a = arena_new();
	struct asked asked = asked_read(subject_rpcs[p[0] % count].request, bytes_of(p + 1, n - 1), a);
	json_error_t why;
	json_t *root = json_loadb((const char *)asked.json.p, asked.json.n, JSON_ALLOW_NUL, &why);
	if (!json_is_object(root))
		abort();
	json_decref(root);
	arena_free(&a);
	return 0;
}
