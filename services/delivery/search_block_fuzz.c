/* SPDX-License-Identifier: MIT
 *
 * Blocks of the search index from anywhere: whatever decodes is the same as a list and as bits, and survives a merge.
 */
#include <stdlib.h>

#include "search_segment.h"

#define MESSAGES_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
	struct buf out;
	uint32_t messages;
};

static enum rc
take(void *ctx, uint32_t bucket, struct bytes block, struct err *e)
{
	struct result *r = ctx;
	struct search_block b;
	struct search_postings p;
	search_block_begin(&b, block, r->messages);
	while (search_block_next(&b, &p, NULL) == RC_OK)
		if (search_bucket(p.hash, 2) != bucket)
			abort();
	if (b.rest.n != 0 || block.n == 0)
		abort();
	return RC_OK;
}

/* False when a list of the block is broken. */
static bool
walk(struct bytes block, uint32_t messages)
{
	static uint32_t list[MESSAGES_MAX];
	uint64_t bits[MESSAGES_MAX / 64];
	struct search_block b;
	struct search_postings p, again;
	bool good = true;
	enum rc rc;
	search_block_begin(&b, block, messages);
	while ((rc = search_block_next(&b, &p, NULL)) == RC_OK) {
		memset(bits, 0, sizeof(bits));
		enum rc as_list = search_postings_list(&p, messages, list, NULL);
		if (search_postings_mark(&p, messages, bits, NULL) != as_list)
			abort();
		good &= as_list == RC_OK;
		for (uint32_t i = 0; as_list == RC_OK && i < p.count; i++) {
			if (list[i] >= messages || (i > 0 && list[i] <= list[i - 1]))
				abort();
			bits[list[i] / 64] &= ~(UINT64_C(1) << list[i] % 64);
		}
		for (size_t i = 0; as_list == RC_OK && i < MESSAGES_MAX / 64; i++)
			if (bits[i] != 0)
				abort();
		if (search_block_find(block, messages, p.hash, &again, NULL) != RC_OK || again.list.p != p.list.p)
			abort();
	}
	return good && rc == RC_NOT_FOUND;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 4)
		return 0;
	uint32_t messages = 1 + (data[0] | (uint32_t)data[1] << 8) % (MESSAGES_MAX / 2);
	size_t split = data[2] * (size - 4) / 255;
	struct bytes halves[2] = {bytes_of(data + 4, split), bytes_of(data + 4 + split, size - 4 - split)};
	bool good = walk(halves[0], messages);
	good = walk(halves[1], messages) && good;
	/* Two inputs whose messages take turns. */
	uint32_t *maps[2] = {calloc(messages, sizeof(uint32_t)), calloc(messages, sizeof(uint32_t))};
	for (uint32_t i = 0; i < messages; i++) {
		maps[0][i] = 2 * i;
		maps[1][i] = 2 * i + 1;
	}
	struct search_input in[2] = {{maps[0], messages, &halves[0], 1}, {maps[1], messages, &halves[1], 1}};
	struct result r = {.messages = 2 * messages};
	enum rc rc = RC_OK;
	for (uint32_t k = 0; k < 2 && rc == RC_OK; k++) {
		struct search_range range = {k, 1};
		rc = search_merge(in, 2, &range, 2 * messages, 2, take, &r, NULL);
	}
	if (good && rc != RC_OK)
		abort();
	free(maps[0]);
	free(maps[1]);
	return 0;
}
