/* SPDX-License-Identifier: MIT
 *
 * Mail born inside: reports (bounce.c) and notices (notice.c). Class system: null sender, a decision record of its own,
 * never held, never reported on. Its content, row, leg and audit intent are queued into the caller's transaction.
 */
#ifndef DELIVERY_SYSTEM_MAIL_H
#define DELIVERY_SYSTEM_MAIL_H

#include "content/content.h"
#include "mail/dsn.h"
#include "mail/facts.h"
#include "store.h"

struct system_mail {
	struct uuid id; /* UUID version 7 of at_us */
	int64_t at_us;
	struct bytes to;   /* addr-spec */
	const char *cause; /* of its one recipient, which nobody named in an envelope */
	const char *host;
	const char *traceparent;
	bool smtputf8;
	struct bytes body; /* the whole message */
	const struct dsn_text *map;
	const char *from, *from_display, *subject, *text; /* for the facts; text may be NULL */
	bool utf8_header;
	struct bytes decision; /* JSON; also the detail of the intent */
	const char *action;    /* of the intent */
};

/* Domain of an address in A-label form, NULL: it has none to send to. */
const char *system_mail_domain(struct bytes address, struct arena *a);
/* Before the transaction: have what sealing needs, so that no thread that holds a connection waits for another. */
enum rc system_mail_prepare(struct content *content, const struct uuid *tenant, const struct uuid *id,
			    struct err *e) MUST_CHECK;
/* RC_NOT_FOUND: nobody can be sent to at that address; nothing was queued. */
enum rc system_mail_insert(struct db_tx *tx, struct content *content, const struct uuid *tenant,
			   const struct system_mail *m, struct arena *a, struct err *e) MUST_CHECK;

#endif
