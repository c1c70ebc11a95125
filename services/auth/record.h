/* SPDX-License-Identifier: MIT
 *
 * Logins and refused keys on the record, by tally.h, and the thread that writes what waits there.
 */
#ifndef AUTH_RECORD_H
#define AUTH_RECORD_H

#include "auth_store.h"
#include "tally.h"

/* One more; written before this returns if it is the first in a minute. subject and tenant may be nil. */
enum rc record_note(const struct store_by *by, const struct uuid *tenant, const struct uuid *subject,
		    const char *action, enum rc outcome, const char *reason, struct err *e) MUST_CHECK;

void record_start(struct db_pool *db);
void record_stop(void); /* writes what is left */

#endif
