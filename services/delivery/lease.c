/* SPDX-License-Identifier: MIT
 *
 * Renewal is compare-and-set on owner and end: every claim of a recipient has an end of its own, so a claim made after
 * ours, even by ourselves, is never taken for ours.
 */
#include "lease.h"

#include <stdlib.h>

#include "alive.h"
#include "core/clock.h"

#define RENEW_MS  5000
#define MARGIN_MS 5000

enum rc
lease_keep(struct delivery *d, struct job *j, struct err *e)
{
	const struct delivery_config *cfg = &delivery_config;
	int64_t now = clock_wall_us(), need_us = (cfg->dot_ms + cfg->block_ms + MARGIN_MS) * 1000;
	if (!alive_holds(d->alive, &j->owner))
		return err_set(e, RC_CONFLICT, "the lease is no longer ours");
	if (now + need_us < j->lease_us)
		return RC_OK;
	int32_t *numbers = calloc(j->n_legs, sizeof(*numbers));
	if (numbers == NULL)
		abort();
	for (size_t i = 0; i < j->n_legs; i++)
		numbers[i] = j->legs[i].leg.number;
	struct store_lease l = {
	    .tenant = j->tenant,
	    .message = j->message->id,
	    .owner = j->owner,
	    .numbers = numbers,
	    .n = j->n_legs,
	    .was_us = j->lease_us,
	    .until_us = now + cfg->lease_ms * 1000,
	};
	enum rc rc = store_lease_renew(d->svc->db, &l, clock_mono_ms() + RENEW_MS, e);
	free(numbers);
	if (rc == RC_OK)
		j->lease_us = l.until_us;
	return rc;
}
