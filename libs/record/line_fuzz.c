/* SPDX-License-Identifier: MIT
 *
 * Any octets as lines of an export, and as a record. What parses as an entry is written again to the same octets.
 */
#include <stdlib.h>

#include "record/verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct line l;
	static struct line_header h;
	struct verify_result r;
	struct record_entry entry;
	struct arena *a = arena_new();
	struct bytes text = bytes_of(data, size);
	if (line_parse(text, &l, NULL) == RC_OK && l.kind != LINE_HEAD) {
		struct buf b;
		buf_init(&b, 0);
		line_write_entry(&b, l.index, &l.leaf, l.kind == LINE_ERASED ? NULL : l.salt,
				 l.has_proof ? l.proof : NULL, l.n_proof, l.record);
		if (b.n != size + 1 || memcmp(b.p, data, size) != 0)
			abort();
		buf_done(&b);
	}
	if (line_parse_header(text, &h, NULL) == RC_OK && h.n_checkpoint > NOTE_MAX)
		abort();
	if (record_entry_parse(text, a, &entry, NULL) == RC_OK && entry.action == NULL)
		abort();
	/* The verifier never says good to what is not signed. */
	struct verifier *v = verifier_new(NULL);
	struct bytes rest = text;
	while (rest.n > 0) {
		const uint8_t *end = memchr(rest.p, '\n', rest.n);
		size_t n = end != NULL ? (size_t)(end - rest.p) : rest.n;
		verifier_line(v, bytes_of(rest.p, n));
		rest = end != NULL ? bytes_of(end + 1, rest.n - n - 1) : bytes_of(rest.p, 0);
	}
	verifier_end(v, true, &r);
	verifier_free(&v);
	arena_free(&a);
	return 0;
}
