/* SPDX-License-Identifier: MIT
 *
 * Actor tokens: who asks, signed by `auth` (Ed25519), for one audience service, for at most 60 s. Every rpc made for a
 * person or a key carries one; services verify it themselves with auth's public key.
 */
#ifndef CRYPT_ACTOR_H
#define CRYPT_ACTOR_H

#include "core/arena.h"
#include "core/id.h"
#include "core/rc.h"

#define ACTOR_LIFETIME_US     60000000
#define ACTOR_TOKEN_MAX	      2048
#define ACTOR_PERMISSIONS_MAX 64

struct actor {
	struct uuid tenant; /* nil: the platform's own */
	struct uuid account;
	const char *name;				/* login or key name, for the record */
	const char *from;				/* address of the client */
	const char *audience;				/* service */
	const char *request;				/* request id */
	const char *permissions[ACTOR_PERMISSIONS_MAX]; /* "message.read", ... */
	size_t n_permissions;
	int64_t expires_us;
	int64_t key_expires_us; /* of the key that was shown; 0: never */
};

struct actor_signer;   /* holds the private key: auth only */
struct actor_verifier; /* holds the public key */
/* PEM files (Ed25519). */
enum rc actor_signer_open(const char *private_pem, struct actor_signer **out_r, struct err *e) MUST_CHECK;
void actor_signer_free(struct actor_signer **s);
enum rc actor_verifier_open(const char *public_pem, struct actor_verifier **out_r, struct err *e) MUST_CHECK;
void actor_verifier_free(struct actor_verifier **v);

enum rc actor_sign(const struct actor_signer *s, const struct actor *a, struct buf *token, struct err *e) MUST_CHECK;
/* RC_DENIED for a bad signature, another audience, or out of time; RC_INVALID if it does not decode. Strings in a. */
enum rc actor_verify(const struct actor_verifier *v, struct bytes token, const char *audience, int64_t now_us,
		     struct arena *a, struct actor *out_r, struct err *e) MUST_CHECK;
bool actor_may(const struct actor *a, const char *permission);

#endif
