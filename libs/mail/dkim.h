/* SPDX-License-Identifier: MIT
 *
 * DKIM signing: RFC 6376 with rsa-sha256 and RFC 8463 ed25519-sha256, relaxed/relaxed, no l=. Header fields come as
 * ranges (mail/facts.h), MIME is never parsed here. Signatures are deterministic: the same input and time give the same
 * octets. Keys are immutable and may be shared by threads.
 */
#ifndef MAIL_DKIM_H
#define MAIL_DKIM_H

#include <stdint.h>

#include "core/bytes.h"
#include "core/rc.h"

enum dkim_algorithm { DKIM_RSA_SHA256, DKIM_ED25519_SHA256 };
const char *dkim_algorithm_str(enum dkim_algorithm a); /* "rsa-sha256" */
bool dkim_algorithm_parse(const char *name, enum dkim_algorithm *out_r) MUST_CHECK;

struct dkim_key;
/* A new private key (PKCS #8 DER) and what goes into p= (base64). RSA has 2048 bits. */
enum rc dkim_key_make(enum dkim_algorithm alg, struct buf *pkcs8, struct buf *public_b64, struct err *e) MUST_CHECK;
/* domain and selector are copied; both A-label, lower case. RC_INVALID if the key does not fit the algorithm. */
enum rc dkim_key_open(enum dkim_algorithm alg, struct bytes pkcs8, const char *domain, const char *selector,
		      struct dkim_key **out_r, struct err *e) MUST_CHECK;
void dkim_key_free(struct dkim_key **k);
enum dkim_algorithm dkim_key_algorithm(const struct dkim_key *k);

struct dkim_message {
	const struct bytes *fields; /* whole header fields in order, top first; folding and CRLF included */
	size_t n_fields;
	const struct bytes *body; /* pieces in order: everything after the empty line */
	size_t n_body;
	int64_t signed_at; /* seconds since 1970: t= */
};
/* Append one DKIM-Signature field per key. From must be there (RC_INVALID). From, To, Cc, Subject, Date, Message-ID,
 * Reply-To and the MIME fields are signed once more than they occur, so that none can be added unseen. */
enum rc dkim_sign(const struct dkim_message *m, const struct dkim_key *const *keys, size_t n, struct buf *out,
		  struct err *e) MUST_CHECK;

#endif
