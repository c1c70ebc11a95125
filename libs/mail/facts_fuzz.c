/* SPDX-License-Identifier: MIT
 *
 * Any octets as facts: they decode or they do not; what decodes encodes again to facts that decode, and no range of it
 * leaves the message.
 */
#include <stdlib.h>

#include "mail/facts.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
check_ranges(const struct facts *f)
{
	for (size_t i = 0; i < f->n_fields; i++)
		if ((uint64_t)f->fields[i].offset + f->fields[i].length > f->size)
			abort();
	for (size_t i = 0; i < f->n_parts; i++)
		if (f->parts[i].body_offset > f->size || f->parts[i].body_length > f->size - f->parts[i].body_offset)
			abort();
	for (size_t i = 0; i < f->n_attachments; i++)
		if (f->attachments[i].part >= f->n_parts)
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct err e;
	struct facts *f, *again;
	struct buf out;
	struct arena *a = arena_new();
	buf_init(&out, 0);
	if (facts_decode(bytes_of(p, n), a, &f, &e) == RC_OK) {
		check_ranges(f);
		if (facts_encode(f, &out, &e) != RC_OK || facts_decode(buf_bytes(&out), a, &again, &e) != RC_OK)
			abort();
	}
	buf_done(&out);
	arena_free(&a);
	return 0;
}
