/* SPDX-License-Identifier: MIT
 *
 * If-Match, If-None-Match and Accept as they come: every answer is one of those there are, and a tag that was made here
 * is known again.
 */
#include <stdlib.h>
#include <string.h>

#include "conditional.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	const char *header = arena_strndup(a, data, size);
	uint64_t version = 1;
	enum conditional got = conditional_match(header, &version);
	if (got > CONDITIONAL_BAD || (got != CONDITIONAL_VERSION && got != CONDITIONAL_NEVER && version != 0))
		abort();
	const char *etag = conditional_etag(a, version, bytes_of(data, size));
	const char *list = arena_printf(a, "\"x\", %s", etag);
	if (!conditional_none_match(etag, etag) || !conditional_none_match(list, etag))
		abort();
	if (got == CONDITIONAL_ANY && !conditional_none_match(header, etag))
		abort();
	(void)conditional_none_match(header, etag);
	(void)conditional_accepts(header, "application/json");
	arena_free(&a);
	return 0;
}
