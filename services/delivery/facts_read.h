/* SPDX-License-Identifier: MIT
 *
 * The facts of many messages. They may be megabytes each, so they are in memory a few at a time: search and the list of
 * a sandbox read them by this.
 */
#ifndef DELIVERY_FACTS_READ_H
#define DELIVERY_FACTS_READ_H

#include "content/content.h"
#include "mail/facts.h"

#define FACTS_READ_OCTETS (16u * 1024 * 1024) /* encoded, in memory at once, about */

/* Called for messages 0..n-1 in turn. facts NULL: gone, or they do not decode. Both, and what is put into scratch, are
 * there until it returns. Not RC_OK ends the reading. */
typedef enum rc facts_read_each(void *ctx, size_t i, const struct facts *facts, struct arena *scratch, struct err *e);
/* sizes[i]: octets of message ids[i], which bound its facts. */
enum rc facts_read(struct content *c, struct db_tx *tx, const struct uuid *tenant, const struct uuid *ids,
		   const uint64_t *sizes, size_t n, facts_read_each *each, void *ctx, struct err *e) MUST_CHECK;

#endif
