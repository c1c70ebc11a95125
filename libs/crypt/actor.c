/* SPDX-License-Identifier: MIT
 *
 * Token: version 2, tenant, account, expiry and the key's expiry (8 octets each, big endian), then name, from,
 * audience, request, and the permissions after their count (1 octet), each with a length of 2 octets; last 64 octets of
 * Ed25519 signature over a fixed preface and all before it. Decoding is strict: a length that leaves the token, a NUL
 * in a string, or an octet too many is RC_INVALID. Nothing is decoded before the signature is known to be good.
 */
#include "crypt/actor.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define VERSION	       2
#define HEAD_SIZE      (1 + 16 + 16 + 8 + 8)
#define SIGNATURE_SIZE 64
#define CLOCK_SKEW_US  5000000
#define STRING_MAX     512
#define PREFACE	       "sekisho actor token 2\n"

struct actor_signer {
	EVP_PKEY *key;
};
struct actor_verifier {
	EVP_PKEY *key;
};

static enum rc
open_key(const char *path, bool private, EVP_PKEY **out_r, struct err *e)
{
	struct stat st;
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return err_set(e, RC_INVALID, "%s: %s", path, strerror(errno));
	if (private && (fstat(fileno(f), &st) != 0 || (st.st_mode & 077) != 0)) {
		fclose(f);
		return err_set(e, RC_INVALID, "%s can be read by others (want mode 600)", path);
	}
	EVP_PKEY *key = private ? PEM_read_PrivateKey(f, NULL, NULL, (char *)"") : PEM_read_PUBKEY(f, NULL, NULL, NULL);
	fclose(f);
	if (key == NULL)
		return err_set(e, RC_INVALID, "%s holds no %s key in PEM", path, private ? "private" : "public");
	if (EVP_PKEY_get_base_id(key) != EVP_PKEY_ED25519) {
		EVP_PKEY_free(key);
		return err_set(e, RC_INVALID, "%s is not an Ed25519 key", path);
	}
	*out_r = key;
	return RC_OK;
}

enum rc
actor_signer_open(const char *private_pem, struct actor_signer **out_r, struct err *e)
{
	EVP_PKEY *key = NULL;
	enum rc rc = open_key(private_pem, true, &key, e);
	if (rc != RC_OK)
		return rc;
	struct actor_signer *s = calloc(1, sizeof(*s));
	if (s == NULL)
		abort();
	s->key = key;
	*out_r = s;
	return RC_OK;
}

void
actor_signer_free(struct actor_signer **s)
{
	if (s == NULL || *s == NULL)
		return;
	EVP_PKEY_free((*s)->key);
	free(*s);
	*s = NULL;
}

enum rc
actor_verifier_open(const char *public_pem, struct actor_verifier **out_r, struct err *e)
{
	EVP_PKEY *key = NULL;
	enum rc rc = open_key(public_pem, false, &key, e);
	if (rc != RC_OK)
		return rc;
	struct actor_verifier *v = calloc(1, sizeof(*v));
	if (v == NULL)
		abort();
	v->key = key;
	*out_r = v;
	return RC_OK;
}

void
actor_verifier_free(struct actor_verifier **v)
{
	if (v == NULL || *v == NULL)
		return;
	EVP_PKEY_free((*v)->key);
	free(*v);
	*v = NULL;
}

/* --- encoding ---------------------------------------------------------------------------------------------- */
static bool
put_string(struct buf *b, const char *s)
{
	size_t n = s != NULL ? strlen(s) : 0;
	if (n > STRING_MAX)
		return false;
	uint8_t len[2] = {(uint8_t)(n >> 8), (uint8_t)n};
	buf_add(b, len, 2);
	buf_add(b, s, n);
	return true;
}

static void
put_time(uint8_t to[8], int64_t us)
{
	for (int i = 0; i < 8; i++)
		to[i] = (uint8_t)((uint64_t)us >> (56 - 8 * i));
}

enum rc
actor_sign(const struct actor_signer *s, const struct actor *a, struct buf *token, struct err *e)
{
	uint8_t head[HEAD_SIZE] = {VERSION}, signature[SIGNATURE_SIZE];
	size_t n = sizeof(signature);
	struct buf b;
	if (a->n_permissions > ACTOR_PERMISSIONS_MAX)
		return err_set(e, RC_LIMIT, "too many permissions for one token");
	memcpy(head + 1, a->tenant.b, 16);
	memcpy(head + 17, a->account.b, 16);
	put_time(head + 33, a->expires_us);
	put_time(head + 41, a->key_expires_us);
	buf_init(&b, sizeof(PREFACE) + ACTOR_TOKEN_MAX);
	buf_add(&b, PREFACE, sizeof(PREFACE) - 1);
	buf_add(&b, head, sizeof(head));
	bool fits = put_string(&b, a->name) && put_string(&b, a->from) && put_string(&b, a->audience) &&
		    put_string(&b, a->request);
	uint8_t count = (uint8_t)a->n_permissions;
	buf_add(&b, &count, 1);
	for (size_t i = 0; i < a->n_permissions; i++)
		fits = fits && put_string(&b, a->permissions[i]);
	if (!fits || !buf_ok(&b) || b.n - (sizeof(PREFACE) - 1) + SIGNATURE_SIZE > ACTOR_TOKEN_MAX) {
		buf_done(&b);
		return err_set(e, RC_LIMIT, "too much for one actor token");
	}
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool ok = md != NULL && EVP_DigestSignInit(md, NULL, NULL, NULL, s->key) == 1 &&
		  EVP_DigestSign(md, signature, &n, b.p, b.n) == 1 && n == sizeof(signature);
	EVP_MD_CTX_free(md);
	if (ok) {
		buf_add(token, b.p + sizeof(PREFACE) - 1, b.n - (sizeof(PREFACE) - 1));
		buf_add(token, signature, sizeof(signature));
	}
	buf_done(&b);
	if (!ok)
		return err_set(e, RC_INTERNAL, "signing an actor token failed");
	return buf_ok(token) ? RC_OK : err_set(e, RC_LIMIT, "no room for an actor token");
}

/* --- decoding ---------------------------------------------------------------------------------------------- */
struct reader {
	struct bytes rest;
	struct arena *arena;
	bool failed;
};

static const uint8_t *
take(struct reader *r, size_t n)
{
	if (r->failed || n > r->rest.n) {
		r->failed = true;
		return NULL;
	}
	const uint8_t *p = r->rest.p;
	r->rest = bytes_of(p + n, r->rest.n - n);
	return p;
}

static const char *
take_string(struct reader *r)
{
	const uint8_t *len = take(r, 2);
	size_t n = len != NULL ? (size_t)len[0] << 8 | len[1] : 0;
	const uint8_t *p = take(r, n);
	if (p == NULL || n > STRING_MAX || memchr(p, 0, n) != NULL) {
		r->failed = true;
		return "";
	}
	return arena_strndup(r->arena, p, n);
}

static int64_t
time_at(const uint8_t from[8])
{
	uint64_t us = 0;
	for (int i = 0; i < 8; i++)
		us = us << 8 | from[i];
	return (int64_t)us;
}

static bool
decode(struct bytes body, struct arena *arena, struct actor *out)
{
	struct reader r = {.rest = body, .arena = arena};
	const uint8_t *head = take(&r, HEAD_SIZE);
	if (head == NULL || head[0] != VERSION)
		return false;
	memcpy(out->tenant.b, head + 1, 16);
	memcpy(out->account.b, head + 17, 16);
	out->expires_us = time_at(head + 33);
	out->key_expires_us = time_at(head + 41);
	out->name = take_string(&r);
	out->from = take_string(&r);
	out->audience = take_string(&r);
	out->request = take_string(&r);
	const uint8_t *count = take(&r, 1);
	if (count == NULL || *count > ACTOR_PERMISSIONS_MAX)
		return false;
	out->n_permissions = *count;
	for (size_t i = 0; i < out->n_permissions; i++)
		out->permissions[i] = take_string(&r);
	return !r.failed && r.rest.n == 0;
}

static bool
signature_good(const struct actor_verifier *v, struct bytes body, const uint8_t signature[SIGNATURE_SIZE])
{
	uint8_t signed_[sizeof(PREFACE) - 1 + ACTOR_TOKEN_MAX];
	memcpy(signed_, PREFACE, sizeof(PREFACE) - 1);
	memcpy(signed_ + sizeof(PREFACE) - 1, body.p, body.n);
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool ok = md != NULL && EVP_DigestVerifyInit(md, NULL, NULL, NULL, v->key) == 1 &&
		  EVP_DigestVerify(md, signature, SIGNATURE_SIZE, signed_, sizeof(PREFACE) - 1 + body.n) == 1;
	EVP_MD_CTX_free(md);
	return ok;
}

enum rc
actor_verify(const struct actor_verifier *v, struct bytes token, const char *audience, int64_t now_us, struct arena *a,
	     struct actor *out_r, struct err *e)
{
	struct actor got = {0};
	if (token.n <= SIGNATURE_SIZE || token.n > ACTOR_TOKEN_MAX)
		return err_set(e, RC_INVALID, "not an actor token");
	struct bytes body = bytes_of(token.p, token.n - SIGNATURE_SIZE);
	if (!signature_good(v, body, token.p + body.n))
		return err_set(e, RC_DENIED, "actor token: bad signature");
	if (!decode(body, a, &got))
		return err_set(e, RC_INVALID, "actor token does not decode");
	if (strcmp(got.audience, audience) != 0)
		return err_set(e, RC_DENIED, "actor token is for another service");
	if (got.expires_us <= now_us)
		return err_set(e, RC_DENIED, "actor token has expired");
	if (got.expires_us > now_us + ACTOR_LIFETIME_US + CLOCK_SKEW_US)
		return err_set(e, RC_DENIED, "actor token lives too long");
	*out_r = got;
	return RC_OK;
}

bool
actor_may(const struct actor *a, const char *permission)
{
	for (size_t i = 0; i < a->n_permissions; i++)
		if (strcmp(a->permissions[i], permission) == 0)
			return true;
	return false;
}
