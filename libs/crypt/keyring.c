/* SPDX-License-Identifier: MIT
 *
 * Wrapped form: version 1, nonce, sealed key; tenant and epoch are associated data. Nonces are random: a
 * key-encryption key wraps far fewer than 2^32 keys.
 */
#include "crypt/keyring.h"

#include <stdlib.h>

#include "crypt/secret.h"

#define WRAP_VERSION 1
#define WRAPPED_SIZE (1 + CRYPT_NONCE_SIZE + CRYPT_KEY_SIZE + CRYPT_TAG_SIZE)
#define KEK_HEX	     (2 * CRYPT_KEY_SIZE)

struct keyring {
	uint8_t kek[CRYPT_KEY_SIZE];
};

static int
hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
hex_decode(struct bytes hex, uint8_t out[CRYPT_KEY_SIZE])
{
	if (hex.n != KEK_HEX)
		return false;
	for (size_t i = 0; i < CRYPT_KEY_SIZE; i++) {
		int hi = hex_value(hex.p[2 * i]), lo = hex_value(hex.p[2 * i + 1]);
		if (hi < 0 || lo < 0)
			return false;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

enum rc
keyring_open(const char *kek_path, struct keyring **out_r, struct err *e)
{
	struct secret file = {0};
	enum rc rc = secret_from_file(kek_path, KEK_HEX + 2, &file, e);
	if (rc != RC_OK)
		return rc;
	struct keyring *k = calloc(1, sizeof(*k));
	if (k == NULL)
		abort();
	if (!hex_decode(secret_bytes(&file), k->kek)) {
		keyring_free(&k);
		rc = err_set(e, RC_INVALID, "%s must hold %d hex digits", kek_path, KEK_HEX);
	} else {
		*out_r = k;
	}
	secret_done(&file);
	return rc;
}

void
keyring_free(struct keyring **k)
{
	if (k == NULL || *k == NULL)
		return;
	secret_wipe(*k, sizeof(**k));
	free(*k);
	*k = NULL;
}

struct wrap_aad {
	uint8_t b[11 + 16 + 4];
};

static struct bytes
wrap_aad(struct wrap_aad *a, const struct uuid *tenant, int32_t epoch)
{
	uint32_t v = (uint32_t)epoch;
	memcpy(a->b, "tenant-key:", 11);
	memcpy(a->b + 11, tenant->b, 16);
	for (int i = 0; i < 4; i++)
		a->b[27 + i] = (uint8_t)(v >> (24 - 8 * i));
	return bytes_of(a->b, sizeof(a->b));
}

enum rc
keyring_make(struct keyring *k, const struct uuid *tenant, int32_t epoch, struct buf *wrapped, struct err *e)
{
	uint8_t head[1 + CRYPT_NONCE_SIZE] = {WRAP_VERSION}, key[CRYPT_KEY_SIZE];
	struct wrap_aad aad;
	size_t before = wrapped->n;
	random_bytes(head + 1, CRYPT_NONCE_SIZE);
	random_bytes(key, sizeof(key));
	buf_add(wrapped, head, sizeof(head));
	enum rc rc =
	    crypt_seal(k->kek, head + 1, wrap_aad(&aad, tenant, epoch), bytes_of(key, sizeof(key)), wrapped, e);
	secret_wipe(key, sizeof(key));
	if (rc != RC_OK && buf_ok(wrapped))
		wrapped->n = before;
	return rc;
}

enum rc
keyring_unwrap(struct keyring *k, const struct uuid *tenant, int32_t epoch, struct bytes wrapped,
	       uint8_t key[CRYPT_KEY_SIZE], struct err *e)
{
	struct wrap_aad aad;
	struct buf plain;
	if (wrapped.n != WRAPPED_SIZE || wrapped.p[0] != WRAP_VERSION)
		return err_set(e, RC_INVALID, "not a wrapped key");
	buf_init(&plain, CRYPT_KEY_SIZE);
	struct bytes sealed = bytes_of(wrapped.p + 1 + CRYPT_NONCE_SIZE, WRAPPED_SIZE - 1 - CRYPT_NONCE_SIZE);
	enum rc rc = crypt_open(k->kek, wrapped.p + 1, wrap_aad(&aad, tenant, epoch), sealed, &plain, e);
	if (rc == RC_OK)
		memcpy(key, plain.p, CRYPT_KEY_SIZE);
	else
		(void)err_prefix(e, "tenant key");
	secret_wipe(plain.p, plain.n);
	buf_done(&plain);
	return rc;
}
