/* SPDX-License-Identifier: MIT
 *
 * What is wrong with one message, collected while it is looked at: the worst finding wins. The order says what a
 * tenant's choice may not soften: a message both encrypted and ambiguous is ambiguous.
 */
#ifndef SCAN_FINDING_H
#define SCAN_FINDING_H

#include "core/arena.h"
#include "core/bytes.h"
#include "mail/facts.h"

#define FINDING_MAILS_MAX 50

struct findings {
	struct arena *arena; /* borrowed: names, reasons and copies live here */
	enum facts_verdict worst;
	const char *signature, *reason;
	struct bytes mails[FINDING_MAILS_MAX]; /* found inside containers, still to be looked at */
	size_t n_mails;
	bool anomaly; /* the library behaved oddly: this worker should retire */
};

void findings_init(struct findings *f, struct arena *a);
/* Keeps it if it is worse than what was there. reason is for people and holds no content of the message. */
void findings_add(struct findings *f, enum facts_verdict v, const char *reason);
void findings_add_signature(struct findings *f, const char *signature);
/* Copies b; over the bound it adds a FACTS_LIMIT instead. */
void findings_add_mail(struct findings *f, struct bytes b);

#endif
