/* SPDX-License-Identifier: MIT
 *
 * The octets that are sent: a header block in front of the body as it is stored. Everything in the block comes from
 * stored data (time of acceptance, keys), so that a second attempt sends the same octets (docs/decisions/0020).
 */
#ifndef DELIVERY_COMPOSE_H
#define DELIVERY_COMPOSE_H

#include "signers.h"
#include "mail/facts.h"
#include "store.h"

struct composed {
	struct bytes body;   /* of the content store */
	struct facts *facts; /* checked against body */
	struct bytes *pieces;
	size_t n_pieces;
	uint64_t size;
	bool eight_bit; /* of pieces */
	char signers[160];
	char from_domain[256], sender_domain[256]; /* A-labels or empty */
	struct key_set *keys;
	struct arena *arena; /* everything lies in it */
};
/* Body and facts, as the job has them or read in one transaction of the tenant, and the keys. */
struct job;
enum rc compose_load(struct delivery *d, const struct job *j, struct composed *c, struct err *e) MUST_CHECK;
/* Header block and signatures for the octets as they are, or with seven_bit for a next hop without 8BITMIME. RC_DENIED:
 * there is no 7-bit variant because a part is signed or encrypted (5.6.3). May be called again for the other variant.
 */
enum rc compose_build(const struct store_message *m, struct composed *c, bool seven_bit, struct err *e) MUST_CHECK;
void compose_done(struct delivery *d, struct composed *c);

/* "Received: ..." and what a submission lacks. Pure. */
void compose_trace(const struct store_message *m, const struct facts *f, struct buf *out);

#endif
