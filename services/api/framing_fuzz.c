/* SPDX-License-Identifier: MIT
 *
 * The framing guard: its answer for any octets is the same however they arrive, and what it lets through has one
 * Content-Length or one Transfer-Encoding at most and no control character but tab before the empty line.
 */
#include <stdlib.h>

#include "framing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *why = "";
	struct bytes in = bytes_of(data, size);
	enum framing_state whole = framing_check(in, &why);
	enum framing_state first = FRAMING_MORE;
	for (size_t n = 0; n < size && n < 512 && first == FRAMING_MORE; n++)
		first = framing_check(bytes_of(data, n), &why);
	if (first != FRAMING_MORE && first != whole)
		abort();
	if (whole != FRAMING_OK)
		return 0;
	ptrdiff_t end = bytes_find(in, bytes_str("\r\n\r\n"));
	if (end < 0)
		abort();
	for (ptrdiff_t i = 0; i < end; i++)
		if (data[i] < 0x20 && data[i] != '\t' && data[i] != '\r' && data[i] != '\n')
			abort();
	return 0;
}
