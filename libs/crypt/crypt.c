/* SPDX-License-Identifier: MIT
 *
 * SHA-256 and AES-256-GCM by OpenSSL, HMAC by libsodium. The algorithms are fetched once per process and each thread
 * keeps its contexts: OpenSSL 3 spends more on fetching and allocating than on sealing a small mail.
 */
#include "crypt/crypt.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

struct thread_contexts {
	EVP_CIPHER_CTX *cipher;
	EVP_MD_CTX *md;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t contexts_key;
static EVP_CIPHER *aes_256_gcm;
static EVP_MD *sha_256;

static void
contexts_free(void *p)
{
	struct thread_contexts *c = p;
	EVP_CIPHER_CTX_free(c->cipher);
	EVP_MD_CTX_free(c->md);
	free(c);
}

static void
setup(void)
{
	aes_256_gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	sha_256 = EVP_MD_fetch(NULL, "SHA2-256", NULL);
	if (aes_256_gcm == NULL || sha_256 == NULL || pthread_key_create(&contexts_key, contexts_free) != 0 ||
	    sodium_init() < 0)
		abort();
}

static struct thread_contexts *
contexts(void)
{
	pthread_once(&once, setup);
	struct thread_contexts *c = pthread_getspecific(contexts_key);
	if (c != NULL)
		return c;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		abort();
	c->cipher = EVP_CIPHER_CTX_new();
	c->md = EVP_MD_CTX_new();
	if (c->cipher == NULL || c->md == NULL || pthread_setspecific(contexts_key, c) != 0)
		abort();
	return c;
}

void
crypt_sha256(struct bytes in, uint8_t out[32])
{
	EVP_MD_CTX *md = contexts()->md;
	/* Only a lack of memory can fail here; a wrong hash must never go on. */
	if (EVP_DigestInit_ex(md, sha_256, NULL) != 1 || (in.n > 0 && EVP_DigestUpdate(md, in.p, in.n) != 1) ||
	    EVP_DigestFinal_ex(md, out, NULL) != 1)
		abort();
}

bool
crypt_equal(const void *a, const void *b, size_t n)
{
	return CRYPTO_memcmp(a, b, n) == 0;
}

static void
hmac(struct bytes key, struct bytes one, struct bytes two, uint8_t out[32])
{
	crypto_auth_hmacsha256_state st;
	crypto_auth_hmacsha256_init(&st, key.p, key.n);
	crypto_auth_hmacsha256_update(&st, one.p, one.n);
	crypto_auth_hmacsha256_update(&st, two.p, two.n);
	crypto_auth_hmacsha256_final(&st, out);
	sodium_memzero(&st, sizeof(st));
}

uint64_t
crypt_short_hash(const uint8_t key[CRYPT_SHORT_KEY_SIZE], struct bytes in)
{
	uint8_t out[crypto_shorthash_siphash24_BYTES];
	uint64_t h = 0;
	_Static_assert(CRYPT_SHORT_KEY_SIZE == crypto_shorthash_siphash24_KEYBYTES, "key of SipHash");
	crypto_shorthash_siphash24(out, in.p, in.n, key);
	for (size_t i = 0; i < sizeof(out); i++)
		h |= (uint64_t)out[i] << (8 * i);
	return h;
}

enum rc
crypt_hkdf(struct bytes key, struct bytes salt, struct bytes info, uint8_t out[CRYPT_KEY_SIZE], struct err *e)
{
	static const uint8_t no_salt[32];
	static const uint8_t counter = 1;
	uint8_t prk[32];
	pthread_once(&once, setup);
	if (key.n == 0)
		return err_set(e, RC_INVALID, "no key to derive from");
	/* Extract, then the first and only block of expand (RFC 5869, 2.2 and 2.3). */
	hmac(salt.n > 0 ? salt : bytes_of(no_salt, sizeof(no_salt)), key, bytes_of(NULL, 0), prk);
	hmac(bytes_of(prk, sizeof(prk)), info, bytes_of(&counter, 1), out);
	sodium_memzero(prk, sizeof(prk));
	return RC_OK;
}

enum rc
crypt_seal(const uint8_t key[CRYPT_KEY_SIZE], const uint8_t nonce[CRYPT_NONCE_SIZE], struct bytes aad, struct bytes in,
	   struct buf *out, struct err *e)
{
	EVP_CIPHER_CTX *c = contexts()->cipher;
	int n = 0, tail = 0;
	if (in.n > INT_MAX - CRYPT_TAG_SIZE || aad.n > INT_MAX)
		return err_set(e, RC_LIMIT, "too long to be sealed at once");
	uint8_t *p = buf_reserve(out, in.n + CRYPT_TAG_SIZE);
	if (p == NULL)
		return err_set(e, RC_LIMIT, "no room for what is to be sealed");
	bool ok = EVP_EncryptInit_ex(c, aes_256_gcm, NULL, key, nonce) == 1 &&
		  (aad.n == 0 || EVP_EncryptUpdate(c, NULL, &tail, aad.p, (int)aad.n) == 1) &&
		  (in.n == 0 || EVP_EncryptUpdate(c, p, &n, in.p, (int)in.n) == 1) &&
		  EVP_EncryptFinal_ex(c, p + n, &tail) == 1 &&
		  EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, CRYPT_TAG_SIZE, p + in.n) == 1;
	EVP_CIPHER_CTX_reset(c); /* the key goes */
	if (!ok || (size_t)(n + tail) != in.n)
		return err_set(e, RC_INTERNAL, "sealing failed");
	out->n += in.n + CRYPT_TAG_SIZE;
	out->p[out->n] = 0;
	return RC_OK;
}

enum rc
crypt_open(const uint8_t key[CRYPT_KEY_SIZE], const uint8_t nonce[CRYPT_NONCE_SIZE], struct bytes aad, struct bytes in,
	   struct buf *out, struct err *e)
{
	EVP_CIPHER_CTX *c = contexts()->cipher;
	uint8_t tag[CRYPT_TAG_SIZE];
	int n = 0, tail = 0;
	if (in.n < CRYPT_TAG_SIZE)
		return err_set(e, RC_INVALID, "too short to hold a seal");
	if (in.n > INT_MAX || aad.n > INT_MAX)
		return err_set(e, RC_LIMIT, "too long to be opened at once");
	size_t plain = in.n - CRYPT_TAG_SIZE;
	uint8_t *p = buf_reserve(out, plain);
	if (p == NULL)
		return err_set(e, RC_LIMIT, "no room for what is to be opened");
	memcpy(tag, in.p + plain, sizeof(tag));
	bool ok = EVP_DecryptInit_ex(c, aes_256_gcm, NULL, key, nonce) == 1 &&
		  (aad.n == 0 || EVP_DecryptUpdate(c, NULL, &tail, aad.p, (int)aad.n) == 1) &&
		  (plain == 0 || EVP_DecryptUpdate(c, p, &n, in.p, (int)plain) == 1) &&
		  EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, CRYPT_TAG_SIZE, tag) == 1 &&
		  EVP_DecryptFinal_ex(c, p + n, &tail) == 1;
	EVP_CIPHER_CTX_reset(c);
	if (!ok) {
		sodium_memzero(p, plain); /* unauthenticated octets are for nobody */
		return err_set(e, RC_INVALID, "the seal does not fit");
	}
	out->n += plain;
	out->p[out->n] = 0;
	return RC_OK;
}
