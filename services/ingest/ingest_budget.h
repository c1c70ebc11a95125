/* SPDX-License-Identifier: MIT
 *
 * Octets of messages in memory: over all connections, and of that at most a share for one client address (IPv6: a /64)
 * and one tenant, so that nobody fills it alone. A reserve is left to the internal listener. Thread-safe; all zero but
 * for the limits is a budget ready for use.
 */
#ifndef INGEST_BUDGET_H
#define INGEST_BUDGET_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/id.h"
#include "core/rc.h"

#define BUDGET_BUCKETS 256

/* Whose message it is. */
struct budget_payer {
	bool inside; /* may use the reserve; no share of an address */
	bool has_client, has_tenant;
	uint8_t client[16];
	struct uuid tenant;
};
/* client_ip: text; "" and what is no address: not known. tenant NULL: not known. */
struct budget_payer budget_payer_of(bool inside, const char *client_ip, const struct uuid *tenant);

struct ingest_budget {
	int64_t limit;
	int64_t share;	 /* of an address, of a tenant; 0: no bound but the limit */
	int64_t reserve; /* of the limit: for payers inside only */
	_Atomic int64_t used;
	pthread_mutex_t lock; /* below */
	struct budget_share *shares[BUDGET_BUCKETS];
};
bool budget_take(struct ingest_budget *b, const struct budget_payer *p, int64_t n) MUST_CHECK;
/* What was taken for the same payer. */
void budget_give(struct ingest_budget *b, const struct budget_payer *p, int64_t n);

#endif
