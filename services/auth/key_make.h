/* SPDX-License-Identifier: MIT
 *
 * A new secret, and what is stored of it.
 */
#ifndef AUTH_KEY_MAKE_H
#define AUTH_KEY_MAKE_H

#include "crypt/token.h"
#include "key_store.h"

/* kind "api" or "app". secret is for the answer only; what is stored is its hash. Without permissions and end. */
struct store_new_key key_make(const char *kind, struct bytes name, char secret[TOKEN_SIZE]);
/* "skapi" or "skapp". */
const char *key_prefix(bool app);

#endif
