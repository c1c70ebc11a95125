/* SPDX-License-Identifier: MIT
 *
 * Any stream, cut anywhere, gives the same events and no crash.
 */
#include <stdlib.h>

#include "sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
count(void *ctx, const struct sse_event *e)
{
	uint64_t *sum = ctx;
	*sum = *sum * 31 + e->data.n + strlen(e->id) * 7 + strlen(e->type) * 3 + 1;
	return true;
}

static uint64_t
fed(struct bytes in, size_t step)
{
	uint64_t sum = 0;
	struct sse s;
	sse_init(&s, count, &sum);
	for (size_t i = 0; i < in.n; i += step)
		if (!sse_feed(&s, bytes_of(in.p + i, i + step < in.n ? step : in.n - i)))
			break;
	sse_done(&s);
	return sum;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = bytes_of(data, size);
	if (fed(in, size + 1) != fed(in, 1) || fed(in, 7) != fed(in, 1))
		abort();
	return 0;
}
