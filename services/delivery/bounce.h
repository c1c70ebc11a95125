/* SPDX-License-Identifier: MIT
 *
 * Reports to senders (RFC 3461, 3464), made in the commit of the change they tell of. A report is system mail: null
 * sender, its own decision record, signed like any mail of the tenant, never held, never reported on itself.
 */
#ifndef DELIVERY_BOUNCE_H
#define DELIVERY_BOUNCE_H

#include "change.h"
#include "content/content.h"

/* Hop count from which on nothing is reported any more. */
#define BOUNCE_HOPS_MAX 25

/* Whether the sender wants to hear of it: not a null sender, not system mail, NOTIFY respected. Pure. */
bool bounce_wanted(const struct store_message *m, const struct store_leg *l, enum change_report what);
/* Before the transaction: have what sealing reports needs, so that no thread that holds a connection waits for another.
 */
enum rc bounces_prepare(struct content *content, const struct uuid *tenant, const struct change *v, size_t n,
			struct err *e) MUST_CHECK;
/* One report per message for those of v that were made (row.done) and whose sender wants to hear of it. */
enum rc bounces_make(struct db_tx *tx, struct content *content, const struct uuid *tenant, const struct change *v,
		     size_t n, int64_t now_us, struct err *e) MUST_CHECK;

#endif
