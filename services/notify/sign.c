/* SPDX-License-Identifier: MIT
 *
 * OpenSSL does the arithmetic; nothing is kept.
 */
#include "sign.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>

#include "core/id.h"
#include "crypt/secret.h"

#define PREFIX	    "whsec_"
#define PREFIX_SIZE 6
#define TEXT_SIZE   44 /* base64 of 32 octets */

void
sign_secret_make(char out[SIGN_SECRET_SIZE])
{
	uint8_t octets[SIGN_SECRET_OCTETS], text[TEXT_SIZE + 1];
	random_bytes(octets, sizeof(octets));
	EVP_EncodeBlock(text, octets, sizeof(octets));
	snprintf(out, SIGN_SECRET_SIZE, PREFIX "%s", (const char *)text);
	secret_wipe(octets, sizeof(octets));
	secret_wipe(text, sizeof(text));
}

enum rc
sign_value(struct bytes secret, const char *id, int64_t timestamp_s, struct bytes payload, char out[SIGN_VALUE_SIZE],
	   struct err *e)
{
	uint8_t key[SIGN_SECRET_OCTETS + 4], mac[32], text[TEXT_SIZE + 1];
	char before[128];
	struct buf signed_;
	unsigned mac_size = sizeof(mac);
	if (secret.n != PREFIX_SIZE + TEXT_SIZE || memcmp(secret.p, PREFIX, PREFIX_SIZE) != 0 ||
	    EVP_DecodeBlock(key, secret.p + PREFIX_SIZE, TEXT_SIZE) != SIGN_SECRET_OCTETS + 1)
		return err_set(e, RC_INVALID, "not a webhook's secret");
	int n = snprintf(before, sizeof(before), "%s.%" PRId64 ".", id, timestamp_s);
	if (n < 0 || (size_t)n >= sizeof(before))
		return err_set(e, RC_INVALID, "a webhook-id that is too long");
	buf_init(&signed_, 0);
	buf_add(&signed_, before, (size_t)n);
	buf_add_bytes(&signed_, payload);
	bool ok = buf_ok(&signed_) &&
		  HMAC(EVP_sha256(), key, SIGN_SECRET_OCTETS, signed_.p, signed_.n, mac, &mac_size) != NULL;
	buf_done(&signed_);
	secret_wipe(key, sizeof(key));
	if (!ok)
		return err_set(e, RC_INTERNAL, "no signature could be made");
	EVP_EncodeBlock(text, mac, sizeof(mac));
	snprintf(out, SIGN_VALUE_SIZE, "v1,%s", (const char *)text);
	return RC_OK;
}
