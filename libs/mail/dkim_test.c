/* SPDX-License-Identifier: MIT
 *
 * Canonicalisation against tables (RFC 6376, 3.4.5 and more), the whole against the published signature of RFC 8463,
 * appendix A, and our own signatures against a verifier written here from the RFC.
 */
#include "mail/dkim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "mail/dkim_canon.h"

static void
gather(void *ctx, const void *p, size_t n)
{
	buf_add(ctx, p, n);
}

/* The canonical body of in, fed in pieces of at most `step`. */
static void
canon_body(struct bytes in, size_t step, struct buf *out)
{
	struct dkim_canon_body c;
	buf_reset(out);
	dkim_canon_body_init(&c, gather, out);
	for (size_t i = 0; i < in.n; i += step)
		dkim_canon_body_feed(&c, bytes_of(in.p + i, in.n - i < step ? in.n - i : step));
	dkim_canon_body_end(&c);
}

static void
bodies(void **state)
{
	static const struct {
		const char *in, *want;
	} rows[] = {
	    {"", ""},
	    {"\r\n", ""},
	    {"\r\n\r\n\r\n", ""},
	    {" \t\r\n  \r\n", ""},
	    {" C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n"}, /* RFC 6376, 3.4.5 */
	    {"text", "text\r\n"},
	    {"text\r\n", "text\r\n"},
	    {"text \t", "text\r\n"},
	    {"\r\n\r\ntext\r\n", "\r\n\r\ntext\r\n"},
	    {"a\r\n\r\n \r\nb\r\n", "a\r\n\r\n\r\nb\r\n"},
	    {"a  b\tc \t d\r\n", "a b c d\r\n"},
	    {"\ta\r\n", " a\r\n"},
	    {"a\r\n  ", "a\r\n"},
	    {"a b", "a b\r\n"},
	    {"a  ", "a\r\n"},
	    {" \r\na", "\r\na\r\n"},
	    {"a\rb\r\n", "a\rb\r\n"}, /* bare CR: never in what we take, still not trouble */
	};
	struct buf out;
	buf_init(&out, 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t step = 1; step < 8; step++) {
			canon_body(bytes_str(rows[i].in), step, &out);
			if (!bytes_eq(buf_bytes(&out), bytes_str(rows[i].want)))
				fail_msg("row %zu in steps of %zu gave \"%.*s\"", i, step, (int)out.n, (char *)out.p);
		}
	buf_done(&out);
}

static void
large_bodies(void **state)
{
	size_t n = 300000, o = 0;
	uint8_t *in = malloc(n), *want = malloc(n);
	struct buf out;
	buf_init(&out, 0);
	for (size_t i = 0; i + 80 <= n; i += 80) {
		memset(in + i, 'a' + (int)(i % 26), 78);
		memcpy(in + i + 76, " \t\r\n", 4);
		memcpy(want + o, in + i, 76);
		memcpy(want + o + 76, "\r\n", 2);
		o += 78;
	}
	canon_body(bytes_of(in, n / 80 * 80), 7777, &out);
	assert_true(bytes_eq(buf_bytes(&out), bytes_of(want, o)));
	buf_done(&out);
	free(in);
	free(want);
}

static void
fields(void **state)
{
	static const struct {
		const char *in, *want;
	} rows[] = {
	    {"A: X\r\n", "a:X\r\n"}, /* RFC 6376, 3.4.5 */
	    {"B : Y\t\r\n\tZ  \r\n", "b:Y Z\r\n"},
	    {"Subject: hello\r\n\tfolded  subject\r\n", "subject:hello folded subject\r\n"},
	    {"SUBJect:  AbC\r\n", "subject:AbC\r\n"},
	    {"X:\r\n", "x:\r\n"},
	    {"X: \t \r\n", "x:\r\n"},
	    {"X:a:b", "x:a:b\r\n"},
	    {"X:\r\n a\r\n", "x:a\r\n"},
	    {"no colon", "no colon:\r\n"},
	    {"", ":\r\n"},
	};
	struct buf out;
	buf_init(&out, 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		buf_reset(&out);
		dkim_canon_field(bytes_str(rows[i].in), &out);
		if (!bytes_eq(buf_bytes(&out), bytes_str(rows[i].want)))
			fail_msg("row %zu gave \"%.*s\"", i, (int)out.n, (char *)out.p);
	}
	buf_done(&out);
}

/* --- RFC 8463, appendix A ---------------------------------------------------------------------------------- */
#define RFC_FROM    "From: Joe SixPack <joe@football.example.com>\r\n"
#define RFC_TO	    "To: Suzie Q <suzie@shopping.example.net>\r\n"
#define RFC_SUBJECT "Subject: Is dinner ready?\r\n"
#define RFC_DATE    "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
#define RFC_ID	    "Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
#define RFC_BODY    "Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n"
#define RFC_FIELD                                                                                                      \
	"DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n d=football.example.com; "                       \
	"i=@football.example.com;\r\n"                                                                                 \
	" q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n subject : date : message-id : from : subject : "      \
	"date;\r\n"                                                                                                    \
	" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n b="
static const char rfc_public[] = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
static const char rfc_signature[] =
    "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==";

static size_t
unbase64(struct bytes in, uint8_t *out)
{
	size_t pad = 0;
	int n = EVP_DecodeBlock(out, in.p, (int)in.n);
	assert_true(n >= 0);
	while (in.n > pad && in.p[in.n - 1 - pad] == '=')
		pad++;
	return (size_t)n - pad;
}

static void
published_signature(void **state)
{
	static const char *const signed_fields[] = {RFC_FROM, RFC_TO, RFC_SUBJECT, RFC_DATE, RFC_ID};
	uint8_t digest[32], public_[64], sig[128], bh[64];
	struct buf b;
	buf_init(&b, 0);
	canon_body(bytes_str(RFC_BODY), 1000, &b);
	assert_int_equal(EVP_Digest(b.p, b.n, digest, NULL, EVP_sha256(), NULL), 1);
	assert_int_equal(unbase64(bytes_str("2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8="), bh), 32);
	assert_memory_equal(digest, bh, 32);
	buf_reset(&b);
	for (int i = 0; i < 5; i++)
		dkim_canon_field(bytes_str(signed_fields[i]), &b);
	dkim_canon_field(bytes_str(RFC_FIELD), &b);
	assert_int_equal(EVP_Digest(b.p, b.n - 2, digest, NULL, EVP_sha256(), NULL), 1);
	assert_int_equal(unbase64(bytes_str(rfc_public), public_), 32);
	size_t n = unbase64(bytes_str(rfc_signature), sig);
	EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_, 32);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	assert_int_equal(EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key), 1);
	assert_int_equal(EVP_DigestVerify(ctx, sig, n, digest, 32), 1);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	buf_done(&b);
}

/* --- our own signatures ------------------------------------------------------------------------------------ */
struct signer {
	struct dkim_key *key;
	EVP_PKEY *public_;
};

static struct signer
signer_new(enum dkim_algorithm alg)
{
	struct signer s;
	struct buf pkcs8, b64;
	struct err err;
	uint8_t raw[600];
	buf_init(&pkcs8, 0);
	buf_init(&b64, 0);
	assert_int_equal(dkim_key_make(alg, &pkcs8, &b64, &err), RC_OK);
	assert_int_equal(dkim_key_open(alg, buf_bytes(&pkcs8), "example.com", "sel", &s.key, &err), RC_OK);
	size_t n = unbase64(buf_bytes(&b64), raw);
	const uint8_t *p = raw;
	s.public_ = alg == DKIM_RSA_SHA256 ? d2i_PUBKEY(NULL, &p, (long)n)
					   : EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, raw, n);
	assert_non_null(s.public_);
	buf_done(&pkcs8);
	buf_done(&b64);
	return s;
}

static void
signer_done(struct signer *s)
{
	dkim_key_free(&s->key);
	EVP_PKEY_free(s->public_);
}

/* Verify as RFC 6376, 6.1.3 says: fields of h= from below, then the signature's own field with an empty b=. */
static bool
verify(struct bytes field, const struct bytes *f, size_t n, struct bytes body, EVP_PKEY *key, bool ed25519)
{
	struct buf canon, own, b;
	uint8_t digest[32], bh[64], sig[600];
	char tag[4096];
	bool used[32] = {0};
	snprintf(tag, sizeof(tag), "%.*s", (int)field.n, (const char *)field.p);
	char *h = strstr(tag, "h=From"), *bhp = strstr(tag, "bh="), *bp = strstr(tag, "\tb=");
	assert_non_null(h);
	assert_non_null(bp);
	buf_init(&canon, 0);
	buf_init(&own, 0);
	buf_init(&b, 0);
	canon_body(body, 100, &b);
	EVP_Digest(b.p, b.n, digest, NULL, EVP_sha256(), NULL);
	unbase64(bytes_of(bhp + 3, 44), bh);
	bool ok = memcmp(digest, bh, 32) == 0;
	for (char *p = h + 2; p < strchr(h, ';');) {
		size_t k = strcspn(p, ":;\r\n\t ");
		for (size_t i = n; k > 0 && i > 0; i--)
			if (!used[i - 1] && f[i - 1].n > k && f[i - 1].p[k] == ':' &&
			    bytes_ieq(bytes_of(f[i - 1].p, k), bytes_of(p, k))) {
				used[i - 1] = true;
				dkim_canon_field(f[i - 1], &canon);
				break;
			}
		p += k + (k == 0 || p[k] == ':');
	}
	buf_add(&own, tag, (size_t)(bp - tag) + 3);
	dkim_canon_field(buf_bytes(&own), &canon);
	buf_reset(&b);
	for (const char *p = bp + 3; *p != '\0'; p++)
		if (strchr("\r\n\t ", *p) == NULL)
			buf_add(&b, p, 1);
	size_t sn = unbase64(buf_bytes(&b), sig);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_Digest(canon.p, canon.n - 2, digest, NULL, EVP_sha256(), NULL);
	ok = ok && EVP_DigestVerifyInit(ctx, NULL, ed25519 ? NULL : EVP_sha256(), NULL, key) == 1 &&
	     (ed25519 ? EVP_DigestVerify(ctx, sig, sn, digest, 32)
		      : EVP_DigestVerify(ctx, sig, sn, canon.p, canon.n - 2)) == 1;
	EVP_MD_CTX_free(ctx);
	buf_done(&canon);
	buf_done(&own);
	buf_done(&b);
	return ok;
}

static void
sign_and_verify(void **state)
{
	struct bytes f[] = {bytes_str("Received: by somebody\r\n"),
			    bytes_str("From: a@example.com\r\n"),
			    bytes_str("To: b@example.net\r\n"),
			    bytes_str("Subject: one\r\n\ttwo\r\n"),
			    bytes_str("List-Id: first\r\n"),
			    bytes_str("List-Id: second\r\n"),
			    bytes_str("Date: Sun, 22 Nov 2026 03:00:00 +0000\r\n")};
	const size_t n = sizeof(f) / sizeof(f[0]);
	struct bytes body[] = {bytes_str("Hello  you \r\n"), bytes_str("\r\nbye\r\n\r\n")};
	struct bytes whole = bytes_str("Hello  you \r\n\r\nbye\r\n\r\n");
	for (enum dkim_algorithm alg = DKIM_RSA_SHA256; alg <= DKIM_ED25519_SHA256; alg++) {
		bool ed = alg == DKIM_ED25519_SHA256;
		struct signer s = signer_new(alg);
		struct dkim_message m = {
		    .fields = f, .n_fields = n, .body = body, .n_body = 2, .signed_at = 1795319589};
		const struct dkim_key *key = s.key;
		struct buf one, two;
		struct err err;
		buf_init(&one, 0);
		buf_init(&two, 0);
		assert_int_equal(dkim_sign(&m, &key, 1, &one, &err), RC_OK);
		assert_int_equal(dkim_sign(&m, &key, 1, &two, &err), RC_OK);
		assert_true(bytes_eq(buf_bytes(&one), buf_bytes(&two))); /* a retry sends the same octets */
		assert_true(verify(buf_bytes(&one), f, n, whole, s.public_, ed));
		assert_false(verify(buf_bytes(&one), f, n, bytes_str("Hello you\r\n"), s.public_, ed));
		assert_non_null(strstr((char *)one.p, "t=1795319589"));
		assert_null(strstr((char *)one.p, " l="));
		for (const char *line = (char *)one.p; line != NULL && *line != '\0';) {
			const char *end = strstr(line, "\r\n");
			assert_true(end != NULL && end - line <= 78);
			line = end + 2;
		}
		/* Oversigned: a second Subject, or a Cc where there was none, breaks it. */
		for (int added = 0; added < 2; added++) {
			struct bytes more[16];
			memcpy(more, f, sizeof(f));
			more[n] = bytes_str(added == 0 ? "Subject: other\r\n" : "Cc: c@example.org\r\n");
			assert_false(verify(buf_bytes(&one), more, n + 1, whole, s.public_, ed));
		}
		/* Received is not signed. */
		f[0] = bytes_str("Received: by somebody else\r\n");
		assert_true(verify(buf_bytes(&one), f, n, whole, s.public_, ed));
		buf_done(&one);
		buf_done(&two);
		signer_done(&s);
	}
}

static void
refusals(void **state)
{
	struct signer s = signer_new(DKIM_ED25519_SHA256);
	struct bytes f[] = {bytes_str("Subject: no sender\r\n")};
	struct dkim_message m = {.fields = f, .n_fields = 1};
	const struct dkim_key *key = s.key;
	struct dkim_key *other = NULL;
	struct buf out, pkcs8, b64;
	struct err err;
	buf_init(&out, 0);
	buf_init(&pkcs8, 0);
	buf_init(&b64, 0);
	assert_int_equal(dkim_sign(&m, &key, 1, &out, &err), RC_INVALID);
	assert_int_equal(out.n, 0);
	assert_int_equal(dkim_key_open(DKIM_RSA_SHA256, bytes_str("nonsense"), "d", "s", &other, &err), RC_INVALID);
	assert_int_equal(dkim_key_make(DKIM_ED25519_SHA256, &pkcs8, &b64, &err), RC_OK);
	assert_int_equal(dkim_key_open(DKIM_RSA_SHA256, buf_bytes(&pkcs8), "d", "s", &other, &err), RC_INVALID);
	assert_null(other);
	buf_done(&out);
	buf_done(&pkcs8);
	buf_done(&b64);
	signer_done(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bodies),	       cmocka_unit_test(large_bodies),
	    cmocka_unit_test(fields),	       cmocka_unit_test(published_signature),
	    cmocka_unit_test(sign_and_verify), cmocka_unit_test(refusals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
