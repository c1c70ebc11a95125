/* SPDX-License-Identifier: MIT
 *
 * Any headers: a verdict, never a crash, and never "genuine" (nobody finds an HMAC by chance). Lines: secret, id,
 * timestamp, signature, body.
 */
#include <stdlib.h>
#include <string.h>

#include "hook.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	char *text = arena_strndup(a, data, size), *line[5] = {text};
	for (int i = 1; i < 5 && line[i - 1] != NULL; i++) {
		line[i] = strchr(line[i - 1], '\n');
		if (line[i] != NULL)
			*line[i]++ = '\0';
	}
	struct hook_secret parsed, known = {.n = 32};
	if (hook_secret_parse(line[0], &parsed) && (parsed.n < 16 || parsed.n > HOOK_SECRET_MAX))
		abort();
	struct hook_request r = {line[1], line[2], line[3], bytes_str(line[4] != NULL ? line[4] : "")};
	if (hook_check(&known, &r, 1700000000) == NULL)
		abort();
	arena_free(&a);
	return 0;
}
