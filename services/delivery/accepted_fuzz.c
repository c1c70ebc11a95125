/* SPDX-License-Identifier: MIT
 *
 * Any octets as mail.accepted: refused or taken, and what is taken keeps the bounds that the store relies on.
 */
#include "accepted.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	struct store_arrival v = {0};
	struct err err;
	if (accepted_decode(bytes_of(data, size), a, &v, &err) == RC_OK) {
		if (v.n_legs == 0 || v.n_legs > ACCEPTED_RECIPIENTS_MAX)
			abort();
		for (size_t i = 0; i < v.n_legs; i++)
			if (!leg_is_initial(v.legs[i].state) || v.legs[i].domain.p == NULL)
				abort();
	}
	arena_free(&a);
	return 0;
}
