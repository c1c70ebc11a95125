/* SPDX-License-Identifier: MIT
 *
 * Secrets that people and programs carry: "<prefix>_<base62 of 20 random octets><checksum>", prefix skapi (API key) or
 * skapp (application password); 160 random bits; the checksum (6 base62 digits of CRC-32) lets secret scanners and a
 * typo be told from a wrong key without asking the database. Stored as SHA-256 only.
 */
#ifndef CRYPT_TOKEN_H
#define CRYPT_TOKEN_H

#include "core/bytes.h"
#include "core/rc.h"

#define TOKEN_SIZE	  64 /* room for text and NUL */
#define TOKEN_LOOKUP_SIZE 13 /* first characters after the prefix that may be stored and shown, with NUL */

void token_make(const char *prefix, char out[TOKEN_SIZE]);
/* Form and checksum only. */
bool token_well_formed(const char *prefix, struct bytes token) MUST_CHECK;
void token_hash(struct bytes token, uint8_t out[32]);

#endif
