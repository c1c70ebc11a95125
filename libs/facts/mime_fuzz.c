/* SPDX-License-Identifier: MIT
 *
 * Any octets as a mail, through everything in libs/facts: our reading, GMime's, text, header facts, the part map. What
 * comes out must pass the decoder that the rest of Sekisho uses.
 */
#include <stdio.h>
#include <stdlib.h>

#include "facts/archive.h"
#include "facts/extract.h"
#include "facts/mime_second.h"
#include "facts/sniff.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
on_report(void *ctx, enum facts_verdict v, const char *reason)
{
	if (reason == NULL || v == FACTS_CLEAN)
		abort();
}

static void
look_at_files(const struct mime *m)
{
	struct archive_list list;
	for (size_t i = 0; i < m->n_parts; i++) {
		struct bytes b = m->parts[i].content;
		if (archive_list_zip(b, 5, &list) == ARCHIVE_LISTED ||
		    archive_list_tnef(b, 5, &list) == ARCHIVE_LISTED ||
		    archive_list_tar(b, 5, &list) == ARCHIVE_LISTED || archive_gzip_is_tiny(b, 5) ||
		    archive_bzip2_is_single(b) || archive_find_embedded(b) != NULL || sniff_opaque(b) != NULL)
			continue;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct mime m;
	struct err e;
	struct buf out;
	struct facts *again;
	struct arena *a = arena_new();
	struct facts f = {.verdict = FACTS_AMBIGUOUS, .signature = "", .reason = "", .scanner = ""};
	buf_init(&out, 0);
	mime_read(&m, bytes_of(p, n), a, on_report, NULL);
	mime_second_compare(&m);
	look_at_files(&m);
	extract_facts(&m, &f);
	if (facts_encode(&f, &out, &e) == RC_OK && facts_decode(buf_bytes(&out), a, &again, &e) != RC_OK) {
		fprintf(stderr, "facts do not decode: %s\n", e.text);
		abort();
	}
	buf_done(&out);
	arena_free(&a);
	return 0;
}
