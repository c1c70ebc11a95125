/* SPDX-License-Identifier: MIT
 *
 * The few primitives everything else is made of: SHA-256, HKDF-SHA-256, AES-256-GCM (OpenSSL 3). Thread-safe.
 */
#ifndef CRYPT_CRYPT_H
#define CRYPT_CRYPT_H

#include "core/bytes.h"
#include "core/rc.h"

#define CRYPT_KEY_SIZE	 32
#define CRYPT_NONCE_SIZE 12
#define CRYPT_TAG_SIZE	 16

void crypt_sha256(struct bytes in, uint8_t out[32]);
bool crypt_equal(const void *a, const void *b, size_t n); /* constant time */
/* SipHash-2-4: a short keyed hash for look-ups, not a signature. */
#define CRYPT_SHORT_KEY_SIZE 16
uint64_t crypt_short_hash(const uint8_t key[CRYPT_SHORT_KEY_SIZE], struct bytes in);
/* RFC 5869 with SHA-256. */
enum rc crypt_hkdf(struct bytes key, struct bytes salt, struct bytes info, uint8_t out[CRYPT_KEY_SIZE],
		   struct err *e) MUST_CHECK;
/* Append ciphertext and tag to out (in.n + CRYPT_TAG_SIZE octets). A nonce must never repeat under a key. */
enum rc crypt_seal(const uint8_t key[CRYPT_KEY_SIZE], const uint8_t nonce[CRYPT_NONCE_SIZE], struct bytes aad,
		   struct bytes in, struct buf *out, struct err *e) MUST_CHECK;
/* RC_INVALID when the tag does not fit; out is then as before. */
enum rc crypt_open(const uint8_t key[CRYPT_KEY_SIZE], const uint8_t nonce[CRYPT_NONCE_SIZE], struct bytes aad,
		   struct bytes in, struct buf *out, struct err *e) MUST_CHECK;

#endif
