/* SPDX-License-Identifier: MIT
 *
 * From claims to jobs. No state of its own.
 */
#include "claim.h"

#include "delivery.h"
#include "metrics.h"
#include "results.h"
#include "route.h"

static bool
is_claimed(const struct claim *c)
{
	return c->destination != NULL && c->change.row.done;
}

static size_t
end_of_job(const struct store_picked *picked, const struct claim *claims, size_t from, size_t n)
{
	size_t to = from;
	while (to < n && is_claimed(&claims[to]) && to - from < ROUTE_RECIPIENTS_MAX &&
	       uuid_eq(&picked[to].message.id, &picked[from].message.id) &&
	       strcmp(claims[to].destination, claims[from].destination) == 0)
		to++;
	return to;
}

void
claims_to_jobs(struct delivery *d, const struct uuid *tenant, const struct uuid *owner, struct batch *b,
	       const struct store_picked *picked, const struct claim *claims, const struct claim_content *content,
	       size_t n, bool unknown)
{
	for (size_t i = 0, to; i < n; i = to) {
		if (!is_claimed(&claims[i])) {
			to = i + 1;
			continue;
		}
		to = end_of_job(picked, claims, i, n);
		struct job *j = arena_new_array(b->arena, struct job, 1);
		j->batch = b;
		j->tenant = *tenant;
		j->message = &picked[i].message;
		if (content != NULL) {
			j->body = content[i].body;
			j->facts = content[i].facts;
		}
		j->n_legs = to - i;
		j->legs = arena_new_array(b->arena, struct job_leg, j->n_legs);
		for (size_t k = 0; k < j->n_legs; k++)
			j->legs[k].leg = claims[i + k].change.row.now;
		j->destination = claims[i].destination;
		j->owner = *owner;
		j->lease_us = claims[i].change.row.lease_us;
		j->ask_uncertain = picked[i].ask_uncertain;
		j->unknown = unknown;
		atomic_fetch_add(&b->refs, 1);
		for (size_t k = 0; unknown && k < j->n_legs; k++)
			j->legs[k].event = LEG_ON_GIVE_BACK;
		if (unknown) {
			results_push_take(d->results, j);
		} else {
			lanes_put(d->lanes, j);
			metric_add(&metric_claimed, 0, (int64_t)j->n_legs);
		}
	}
}
