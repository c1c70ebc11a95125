/* SPDX-License-Identifier: MIT
 *
 * Any octets as a signed head and as a verifier key. A key that parses is written again to the same octets.
 */
#include <stdlib.h>

#include "record/note.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct note_head h;
	struct note_key k = {.name = "log.example/audit"}, parsed;
	enum note_trust trust;
	if (note_parse(bytes_of(data, size), &h, NULL) == RC_OK && h.origin[0] == 0)
		abort();
	if (note_check(bytes_of(data, size), &k, &trust, NULL) == RC_OK && trust == NOTE_GOOD)
		abort();
	if (note_key_parse(bytes_of(data, size), &parsed, NULL) == RC_OK) {
		struct buf b;
		buf_init(&b, 0);
		note_key_format(&parsed, &b);
		if (b.n != size || memcmp(b.p, data, size) != 0)
			abort();
		buf_done(&b);
	}
	return 0;
}
