/* SPDX-License-Identifier: MIT
 *
 * Actor tokens: what was signed comes back, and nothing else passes: another audience, another time, another key, any
 * bit that changed, any length.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypt/actor.h"

static char dir[] = "/tmp/sekisho-actor-XXXXXX";
static char private_pem[64], public_pem[64], other_pem[64], rsa_pem[64];
static const int64_t now = 1790000000000000;

static void
write_pair(const char *algorithm, const char *priv, const char *pub)
{
	EVP_PKEY *k = strcmp(algorithm, "RSA") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048)
						    : EVP_PKEY_Q_keygen(NULL, NULL, algorithm);
	assert_non_null(k);
	if (priv != NULL) {
		FILE *f = fopen(priv, "w");
		assert_non_null(f);
		assert_int_equal(PEM_write_PrivateKey(f, k, NULL, NULL, 0, NULL, NULL), 1);
		fclose(f);
		assert_int_equal(chmod(priv, 0600), 0);
	}
	FILE *f = fopen(pub, "w");
	assert_non_null(f);
	assert_int_equal(PEM_write_PUBKEY(f, k), 1);
	fclose(f);
	EVP_PKEY_free(k);
}

static int
setup(void **state)
{
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(private_pem, sizeof(private_pem), "%s/a.key", dir);
	snprintf(public_pem, sizeof(public_pem), "%s/a.pub", dir);
	snprintf(other_pem, sizeof(other_pem), "%s/b.pub", dir);
	snprintf(rsa_pem, sizeof(rsa_pem), "%s/r.pub", dir);
	write_pair("ED25519", private_pem, public_pem);
	write_pair("ED25519", NULL, other_pem);
	write_pair("RSA", NULL, rsa_pem);
	return 0;
}

static int
teardown(void **state)
{
	unlink(private_pem);
	unlink(public_pem);
	unlink(other_pem);
	unlink(rsa_pem);
	return rmdir(dir);
}

static struct actor
sample(void)
{
	return (struct actor){
	    .tenant = uuid_v7(1),
	    .account = uuid_v7(2),
	    .name = "hanako",
	    .from = "192.0.2.1",
	    .audience = "delivery",
	    .request = "req-1",
	    .permissions = {"message.read", "hold.release"},
	    .n_permissions = 2,
	    .expires_us = now + ACTOR_LIFETIME_US,
	    .key_expires_us = now + INT64_C(86400000000),
	};
}

static void
sign(const struct actor *a, struct buf *token)
{
	struct actor_signer *s = NULL;
	assert_int_equal(actor_signer_open(private_pem, &s, NULL), RC_OK);
	buf_init(token, 0);
	assert_int_equal(actor_sign(s, a, token, NULL), RC_OK);
	actor_signer_free(&s);
	assert_null(s);
}

static enum rc
verify(const char *pem, struct bytes token, const char *audience, int64_t at)
{
	struct actor_verifier *v = NULL;
	struct actor got;
	struct arena *arena = arena_new();
	assert_int_equal(actor_verifier_open(pem, &v, NULL), RC_OK);
	enum rc rc = actor_verify(v, token, audience, at, arena, &got, NULL);
	actor_verifier_free(&v);
	arena_free(&arena);
	return rc;
}

static void
test_round(void **state)
{
	struct actor a = sample(), got;
	struct actor_verifier *v = NULL;
	struct arena *arena = arena_new();
	struct buf token;
	sign(&a, &token);
	assert_true(token.n <= ACTOR_TOKEN_MAX);
	assert_int_equal(actor_verifier_open(public_pem, &v, NULL), RC_OK);
	assert_int_equal(actor_verify(v, buf_bytes(&token), "delivery", now, arena, &got, NULL), RC_OK);
	assert_true(uuid_eq(&got.tenant, &a.tenant) && uuid_eq(&got.account, &a.account));
	assert_string_equal(got.name, "hanako");
	assert_string_equal(got.from, "192.0.2.1");
	assert_string_equal(got.request, "req-1");
	assert_int_equal(got.expires_us, a.expires_us);
	assert_int_equal(got.key_expires_us, a.key_expires_us);
	assert_int_equal(got.n_permissions, 2);
	assert_true(actor_may(&got, "message.read") && actor_may(&got, "hold.release"));
	assert_false(actor_may(&got, "hold.discard") || actor_may(&got, "message") || actor_may(&got, ""));
	actor_verifier_free(&v);
	arena_free(&arena);
	buf_done(&token);
}

static void
test_refused(void **state)
{
	struct actor a = sample();
	struct buf token;
	sign(&a, &token);
	assert_int_equal(verify(public_pem, buf_bytes(&token), "policy", now), RC_DENIED);
	assert_int_equal(verify(public_pem, buf_bytes(&token), "", now), RC_DENIED);
	assert_int_equal(verify(other_pem, buf_bytes(&token), "delivery", now), RC_DENIED);
	assert_int_equal(verify(public_pem, buf_bytes(&token), "delivery", a.expires_us - 1), RC_OK);
	assert_int_equal(verify(public_pem, buf_bytes(&token), "delivery", a.expires_us), RC_DENIED);
	assert_int_equal(verify(public_pem, buf_bytes(&token), "delivery", INT64_MIN / 2), RC_DENIED);
	buf_done(&token);
	a.expires_us = now + 3600 * INT64_C(1000000); /* even auth itself cannot make one that lives for an hour */
	sign(&a, &token);
	assert_int_equal(verify(public_pem, buf_bytes(&token), "delivery", now), RC_DENIED);
	buf_done(&token);
}

static void
test_changed(void **state)
{
	struct actor a = sample();
	struct buf token;
	sign(&a, &token);
	for (size_t bit = 0; bit < token.n * 8; bit++) {
		token.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_not_equal(verify(public_pem, buf_bytes(&token), "delivery", now), RC_OK);
		token.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t n = 0; n < token.n; n++)
		assert_int_not_equal(verify(public_pem, bytes_of(token.p, n), "delivery", now), RC_OK);
	buf_add(&token, "", 1);
	assert_int_equal(verify(public_pem, buf_bytes(&token), "delivery", now), RC_DENIED);
	buf_done(&token);
	uint8_t *big = calloc(1, 1 << 20);
	assert_int_equal(verify(public_pem, bytes_of(big, 1 << 20), "delivery", now), RC_INVALID);
	free(big);
}

static void
test_bounds(void **state)
{
	struct actor a = sample();
	struct actor_signer *s = NULL;
	struct buf token;
	char longest[600];
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = 0;
	assert_int_equal(actor_signer_open(private_pem, &s, NULL), RC_OK);
	buf_init(&token, 0);
	a.name = longest;
	assert_int_equal(actor_sign(s, &a, &token, NULL), RC_LIMIT);
	a = sample();
	longest[500] = 0;
	a.name = a.from = a.request = a.audience = longest;
	assert_int_equal(actor_sign(s, &a, &token, NULL), RC_LIMIT);
	a = sample();
	a.n_permissions = ACTOR_PERMISSIONS_MAX + 1;
	assert_int_equal(actor_sign(s, &a, &token, NULL), RC_LIMIT);
	assert_int_equal(token.n, 0);
	buf_done(&token);
	actor_signer_free(&s);
}

static void
test_key_files(void **state)
{
	struct actor_signer *s = NULL;
	struct actor_verifier *v = NULL;
	assert_int_equal(actor_verifier_open(rsa_pem, &v, NULL), RC_INVALID);
	assert_int_equal(actor_verifier_open(private_pem, &v, NULL), RC_INVALID);
	assert_int_equal(actor_signer_open(public_pem, &s, NULL), RC_INVALID);
	assert_int_equal(actor_signer_open("/nonexistent", &s, NULL), RC_INVALID);
	assert_int_equal(chmod(private_pem, 0644), 0);
	assert_int_equal(actor_signer_open(private_pem, &s, NULL), RC_INVALID);
	assert_int_equal(chmod(private_pem, 0600), 0);
	assert_null(s);
	assert_null(v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round),  cmocka_unit_test(test_refused),   cmocka_unit_test(test_changed),
	    cmocka_unit_test(test_bounds), cmocka_unit_test(test_key_files),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
