/* SPDX-License-Identifier: MIT */
#include "hook.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "crypt/crypt.h"

#define SIGNATURES_MAX 16

/* Strict base64 with padding. Octets, or -1. */
static int
decode(const char *s, size_t n, uint8_t *out, size_t max)
{
	if (n == 0 || n % 4 != 0 || n / 4 * 3 > max + 2)
		return -1;
	uint8_t piece[(HOOK_SECRET_MAX + 5) / 3 * 3];
	if (n / 4 * 3 > sizeof(piece))
		return -1;
	size_t pad = s[n - 1] == '=' ? 1 + (s[n - 2] == '=') : 0;
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (size_t i = 0; i < n - pad; i++)
		if (memchr(alphabet, s[i], sizeof(alphabet) - 1) == NULL)
			return -1;
	int got = EVP_DecodeBlock(piece, (const unsigned char *)s, (int)n);
	if (got < 0 || (size_t)got < pad || (size_t)got - pad > max)
		return -1;
	memcpy(out, piece, (size_t)got - pad);
	return got - (int)pad;
}

bool
hook_secret_parse(const char *text, struct hook_secret *out_r)
{
	if (strncmp(text, "whsec_", 6) == 0)
		text += 6;
	struct hook_secret s = {0};
	int n = decode(text, strlen(text), s.key, sizeof(s.key));
	if (n < 16)
		return false;
	s.n = (size_t)n;
	*out_r = s;
	return true;
}

static bool
parse_time(const char *s, int64_t *out_r)
{
	int64_t v = 0;
	size_t n = strlen(s);
	if (n == 0 || n > 12)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		v = v * 10 + (s[i] - '0');
	}
	*out_r = v;
	return true;
}

static bool
sign(const struct hook_secret *secret, const struct hook_request *r, uint8_t out[32])
{
	struct buf b;
	unsigned n = 0;
	buf_init(&b, 0);
	buf_addf(&b, "%s.%s.", r->id, r->timestamp);
	buf_add_bytes(&b, r->body);
	bool ok = HMAC(EVP_sha256(), secret->key, (int)secret->n, b.p, b.n, out, &n) != NULL && n == 32;
	buf_done(&b);
	return ok;
}

const char *
hook_check(const struct hook_secret *secret, const struct hook_request *r, int64_t now)
{
	int64_t at;
	uint8_t wanted[32], given[32];
	if (r->id == NULL || r->timestamp == NULL || r->signature == NULL)
		return "a header is missing (webhook-id, webhook-timestamp, webhook-signature)";
	if (r->id[0] == '\0' || strlen(r->id) > 256 || strchr(r->id, '.') != NULL)
		return "webhook-id is not one";
	if (!parse_time(r->timestamp, &at))
		return "webhook-timestamp is no time";
	if (at < now - HOOK_TOLERANCE_S || at > now + HOOK_TOLERANCE_S)
		return "webhook-timestamp is too far from now";
	if (!sign(secret, r, wanted))
		return "the signature cannot be made";
	const char *p = r->signature;
	for (int i = 0; i < SIGNATURES_MAX && *p != '\0'; i++) {
		size_t n = strcspn(p, " ");
		if (n > 3 && strncmp(p, "v1,", 3) == 0 && decode(p + 3, n - 3, given, sizeof(given)) == 32 &&
		    crypt_equal(wanted, given, 32))
			return NULL;
		p += n;
		p += strspn(p, " ");
	}
	return "no signature fits";
}
