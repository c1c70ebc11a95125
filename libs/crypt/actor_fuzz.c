/* SPDX-License-Identifier: MIT
 *
 * The decoder behind the signature: the input is signed first, as a leaked or misused key would, so that it is read.
 * The first octet's top bit instead sends it as it is, unsigned.
 */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypt/actor.h"

#define PREFACE "sekisho actor token 2\n"

static EVP_PKEY *key;
static struct actor_verifier *verifier;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char path[] = "/tmp/sekisho-actor-fuzz-XXXXXX";
	int fd = mkstemp(path);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
	key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	if (f == NULL || key == NULL || PEM_write_PUBKEY(f, key) != 1)
		abort();
	fclose(f);
	if (actor_verifier_open(path, &verifier, NULL) != RC_OK)
		abort();
	unlink(path);
	return 0;
}

static void
check(const struct actor *a)
{
	if (strcmp(a->audience, "delivery") != 0 || a->n_permissions > ACTOR_PERMISSIONS_MAX ||
	    strlen(a->name) + strlen(a->from) + strlen(a->request) > ACTOR_TOKEN_MAX)
		abort();
	for (size_t i = 0; i < a->n_permissions; i++)
		if (!actor_may(a, a->permissions[i]))
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	uint8_t text[sizeof(PREFACE) + 2 * ACTOR_TOKEN_MAX], token[2 * ACTOR_TOKEN_MAX];
	size_t signature = 64;
	struct actor got;
	if (n == 0 || n > ACTOR_TOKEN_MAX)
		return 0;
	bool raw = (p[0] & 0x80) != 0;
	struct arena *arena = arena_new();
	memcpy(token, p, n);
	memcpy(text, PREFACE, sizeof(PREFACE) - 1);
	memcpy(text + sizeof(PREFACE) - 1, p, n);
	if (!raw) {
		EVP_MD_CTX *md = EVP_MD_CTX_new();
		if (EVP_DigestSignInit(md, NULL, NULL, NULL, key) != 1 ||
		    EVP_DigestSign(md, token + n, &signature, text, sizeof(PREFACE) - 1 + n) != 1)
			abort();
		EVP_MD_CTX_free(md);
		n += signature;
	}
	if (actor_verify(verifier, bytes_of(token, n), "delivery", 0, arena, &got, NULL) == RC_OK) {
		if (raw)
			abort();
		check(&got);
	}
	arena_free(&arena);
	return 0;
}
