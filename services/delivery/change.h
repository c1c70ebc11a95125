/* SPDX-License-Identifier: MIT
 *
 * A change of a leg with everything that belongs into the same commit: the compare-and-set, its audit intent, and the
 * delivery status notification it causes. Scheduler, results and operators all go through changes_apply().
 */
#ifndef DELIVERY_CHANGE_H
#define DELIVERY_CHANGE_H

#include "store.h"

enum change_report { REPORT_NONE, REPORT_FAILED, REPORT_EXPIRED, REPORT_DELAYED, REPORT_RELAYED };

struct change {
	struct store_change row; /* row.done is an output */
	const struct store_message *message;
	const char *action; /* audit intent; NULL: none (taking and giving back a lease) */
	struct bytes actor;
	struct bytes source; /* address the actor came from; empty: from inside */
	struct bytes detail; /* JSON object or empty */
	enum change_report report;
	const char *status; /* enhanced code when there is no reply that has one; may be NULL */
};

/* c begins at leg as it was read; changes_step() then takes it along the table. */
void change_init(struct change *c, const struct store_message *m, const struct store_leg *leg);
/* Take the event: state and version move. False: the table has no such move. */
bool change_step(struct change *c, enum leg_event v, enum leg_who who, int64_t now_us) MUST_CHECK;

/* What may be told of a reply without its text, which quotes addresses: "550 5.1.1 text" and "5.6.7 text" are taken
 * apart. status: what it is whatever the reply says; NULL: nothing. *code_r: 0 if there is none; status_r: "" if there
 * is none. */
#define CHANGE_STATUS_SIZE 12
void change_codes(struct bytes reply, const char *status, int *code_r, char status_r[CHANGE_STATUS_SIZE]);

struct content;
/* Make the changes, record and report those that were made. The caller commits. */
enum rc changes_apply(struct db_tx *tx, struct content *content, const struct uuid *tenant,
		      const struct uuid *lease_owner, struct change *v, size_t n, int64_t now_us,
		      struct err *e) MUST_CHECK;

#endif
