/* SPDX-License-Identifier: MIT
 *
 * Unwrapped tenant keys, kept in memory: the hot path of every mail asks for one. Thread-safe.
 */
#ifndef CONTENT_KEYS_H
#define CONTENT_KEYS_H

#include "crypt/keyring.h"
#include "db/db.h"

struct keys;
enum rc keys_open(const char *kek_path, struct db_pool *pool, struct keys **out_r, struct err *e) MUST_CHECK;
void keys_free(struct keys **k);
/* The tenant's newest key, to seal with. Reads it, or makes the first one, in a transaction of its own. */
enum rc keys_current(struct keys *k, const struct uuid *tenant, int32_t *epoch_r, uint8_t key[CRYPT_KEY_SIZE],
		     struct err *e) MUST_CHECK;
/* The key of that epoch, to open with; tx NULL: in a transaction of its own. RC_NOT_FOUND: there is none. */
enum rc keys_of(struct keys *k, struct db_tx *tx, const struct uuid *tenant, int32_t epoch, uint8_t key[CRYPT_KEY_SIZE],
		struct err *e) MUST_CHECK;

#endif
