/* SPDX-License-Identifier: MIT
 *
 * Envelope keys. One key-encryption key (a file of 32 octets as 64 hex digits, mode 0600) wraps one data key per
 * tenant. Unwrapped keys stay in memory of the process that uses them. Thread-safe after keyring_open().
 */
#ifndef CRYPT_KEYRING_H
#define CRYPT_KEYRING_H

#include "core/id.h"
#include "crypt/crypt.h"

struct keyring;
enum rc keyring_open(const char *kek_path, struct keyring **out_r, struct err *e) MUST_CHECK;
void keyring_free(struct keyring **k);
/* A new random data key for a tenant: its wrapped form (for the database) is appended to wrapped. */
enum rc keyring_make(struct keyring *k, const struct uuid *tenant, int32_t epoch, struct buf *wrapped,
		     struct err *e) MUST_CHECK;
/* RC_INVALID if it was wrapped for another tenant, epoch or key-encryption key. */
enum rc keyring_unwrap(struct keyring *k, const struct uuid *tenant, int32_t epoch, struct bytes wrapped,
		       uint8_t key[CRYPT_KEY_SIZE], struct err *e) MUST_CHECK;

#endif
