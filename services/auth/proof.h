/* SPDX-License-Identifier: MIT
 *
 * Proof that a domain is a tenant's: a TXT record at _sekisho-challenge.<domain>, looked up with libunbound. Each
 * look-up has a resolver context of its own: they are rare, and nothing old is believed.
 */
#ifndef AUTH_PROOF_H
#define AUTH_PROOF_H

#include "core/arena.h"
#include "core/bytes.h"

#define PROOF_LABEL "_sekisho-challenge."

struct proof_resolver {
	const char *server; /* "address@port" to forward to; empty: /etc/resolv.conf */
	const char *anchor; /* DNSSEC trust anchor file; empty: no validation */
};
/* RC_NOT_FOUND: the record is not there (or DNSSEC says it is forged); RC_RETRY: no answer in time. */
enum rc proof_look_up(const struct proof_resolver *r, const char *domain, const char *value, int64_t deadline_ms,
		      struct err *e) MUST_CHECK;
/* Is one of the strings of this TXT record data (RFC 1035, 3.3.14), joined, equal to value? Pure; data is hostile. */
bool proof_txt_equals(struct bytes rdata, struct bytes value);

#endif
