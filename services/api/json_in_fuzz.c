/* SPDX-License-Identifier: MIT
 *
 * Whatever comes is JSON or is not; what is can be written and read again as the same.
 */
#include <stdlib.h>

#include "json_in.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e;
	json_t *first = NULL, *second = NULL;
	if (json_in_parse(bytes_of(data, size), 20000, &first, &e) != RC_OK)
		return 0;
	char *text = json_dumps(first, JSON_ENCODE_ANY | JSON_COMPACT);
	if (text == NULL || json_in_parse(bytes_str(text), 20000, &second, &e) != RC_OK)
		abort();
	if (json_typeof(first) != json_typeof(second))
		abort();
	free(text);
	json_decref(first);
	json_decref(second);
	return 0;
}
