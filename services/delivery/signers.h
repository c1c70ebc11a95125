/* SPDX-License-Identifier: MIT
 *
 * Signing keys by tenant and domain, parsed and cached. A domain without keys is remembered too, for a short time.
 * Thread-safe; what signers_get() lends stays valid until signers_put().
 */
#ifndef DELIVERY_SIGNERS_H
#define DELIVERY_SIGNERS_H

#include "delivery.h"
#include "mail/dkim.h"

#define KEYS_PER_DOMAIN 4

struct signers;
struct key_set {
	struct dkim_key *v[KEYS_PER_DOMAIN];
	size_t n; /* 0: the domain has none */
	char domain[256];
};
struct signers *signers_new(void);
void signers_free(struct signers **k);
/* domain: A-label, lower case. The pool is used only when the cache does not know. */
enum rc signers_get(struct signers *k, struct content *content, struct db_pool *pool, const struct uuid *tenant,
		    struct bytes domain, struct key_set **out_r, struct err *e) MUST_CHECK;
void signers_put(struct signers *k, struct key_set *s);
/* The domain's keys changed. */
void signers_forget(struct signers *k, const struct uuid *tenant, struct bytes domain);

struct store_key;
/* Make sure that there is an RSA and an Ed25519 key; in tx, the caller commits. *made_r: something was made. */
enum rc signers_ensure(struct content *content, struct db_tx *tx, const struct uuid *tenant, struct bytes domain,
		       int64_t now_us, struct arena *a, bool *made_r, struct err *e) MUST_CHECK;

#endif
