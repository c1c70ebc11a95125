/* SPDX-License-Identifier: MIT
 *
 * Known answers (FIPS 180-4, RFC 5869, the GCM specification), and that a seal notices every kind of change.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypt/crypt.h"
#include "crypt/keyring.h"
#include "crypt/secret.h"
#include "crypt/token.h"

static void
unhex(const char *hex, uint8_t *out)
{
	for (size_t i = 0; hex[2 * i] != 0; i++)
		assert_int_equal(sscanf(hex + 2 * i, "%2hhx", &out[i]), 1);
}

static void
test_sha256(void **state)
{
	uint8_t want[32], got[32];
	unhex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", want);
	crypt_sha256(bytes_str("abc"), got);
	assert_memory_equal(got, want, 32);
	unhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", want);
	crypt_sha256(bytes_of(NULL, 0), got);
	assert_memory_equal(got, want, 32);
}

/* RFC 5869, A.1 and A.3: the first 32 octets of the output do not depend on its length. */
static void
test_hkdf(void **state)
{
	uint8_t key[22], salt[13], info[10], want[32], got[32];
	memset(key, 0x0b, sizeof(key));
	unhex("000102030405060708090a0b0c", salt);
	unhex("f0f1f2f3f4f5f6f7f8f9", info);
	unhex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf", want);
	assert_int_equal(crypt_hkdf(bytes_of(key, 22), bytes_of(salt, 13), bytes_of(info, 10), got, NULL), RC_OK);
	assert_memory_equal(got, want, 32);
	unhex("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d", want);
	assert_int_equal(crypt_hkdf(bytes_of(key, 22), bytes_of(NULL, 0), bytes_of(NULL, 0), got, NULL), RC_OK);
	assert_memory_equal(got, want, 32);
	assert_int_equal(crypt_hkdf(bytes_of(NULL, 0), bytes_of(NULL, 0), bytes_of(NULL, 0), got, NULL), RC_INVALID);
}

/* Test case 16 of "The Galois/Counter Mode of Operation" (McGrew, Viega): AES-256 with associated data. */
static void
test_seal_known(void **state)
{
	uint8_t key[32], nonce[12], aad[20], plain[60], want[76];
	struct buf out, back;
	struct err e;
	unhex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", key);
	unhex("cafebabefacedbaddecaf888", nonce);
	unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2", aad);
	unhex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
	      "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
	      plain);
	unhex("522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
	      "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b",
	      want);
	buf_init(&out, 0);
	buf_init(&back, 0);
	assert_int_equal(crypt_seal(key, nonce, bytes_of(aad, 20), bytes_of(plain, 60), &out, &e), RC_OK);
	assert_int_equal(out.n, sizeof(want));
	assert_memory_equal(out.p, want, sizeof(want));
	assert_int_equal(crypt_open(key, nonce, bytes_of(aad, 20), buf_bytes(&out), &back, &e), RC_OK);
	assert_int_equal(back.n, 60);
	assert_memory_equal(back.p, plain, 60);
	buf_done(&out);
	buf_done(&back);
}

static void
test_seal_notices(void **state)
{
	uint8_t key[32] = {1}, nonce[12] = {2};
	struct bytes plain = bytes_str("twenty octets of it."), aad = bytes_str("where");
	struct buf out, back;
	struct err e;
	buf_init(&out, 0);
	buf_init(&back, 0);
	buf_add_str(&back, "kept");
	assert_int_equal(crypt_seal(key, nonce, aad, plain, &out, &e), RC_OK);
	for (size_t bit = 0; bit < out.n * 8; bit++) {
		out.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(crypt_open(key, nonce, aad, buf_bytes(&out), &back, &e), RC_INVALID);
		out.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t n = 0; n < out.n; n++)
		assert_int_equal(crypt_open(key, nonce, aad, bytes_of(out.p, n), &back, &e), RC_INVALID);
	assert_int_equal(crypt_open(key, nonce, bytes_str("there"), buf_bytes(&out), &back, &e), RC_INVALID);
	assert_int_equal(crypt_open(key, nonce, bytes_of(NULL, 0), buf_bytes(&out), &back, &e), RC_INVALID);
	assert_string_equal((char *)back.p, "kept");
	assert_int_equal(crypt_open(key, nonce, aad, buf_bytes(&out), &back, &e), RC_OK);
	assert_string_equal((char *)back.p, "kepttwenty octets of it.");
	buf_reset(&out);
	assert_int_equal(crypt_seal(key, nonce, aad, bytes_of(NULL, 0), &out, &e), RC_OK);
	assert_int_equal(out.n, CRYPT_TAG_SIZE);
	assert_int_equal(crypt_open(key, nonce, aad, buf_bytes(&out), &back, &e), RC_OK);
	buf_done(&out);
	buf_done(&back);
}

static void
write_file(const char *path, const char *text, mode_t mode)
{
	unlink(path);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, mode);
	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, mode), 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void
test_secret_file(void **state)
{
	char dir[] = "/tmp/sekisho-crypt-XXXXXX", path[64];
	struct secret s = {0};
	struct err e;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
	write_file(path, "correct horse\n", 0600);
	assert_int_equal(secret_from_file(path, 100, &s, &e), RC_OK);
	assert_int_equal(s.n, 13);
	assert_memory_equal(s.p, "correct horse", 13);
	secret_done(&s);
	assert_null(s.p);
	secret_done(&s);
	assert_int_equal(secret_from_file(path, 13, &s, &e), RC_INVALID);
	static const mode_t open_modes[] = {0640, 0604, 0610, 0666};
	for (size_t i = 0; i < sizeof(open_modes) / sizeof(*open_modes); i++) {
		write_file(path, "x", open_modes[i]);
		assert_int_equal(secret_from_file(path, 100, &s, &e), RC_INVALID);
	}
	assert_int_equal(secret_from_file(dir, 100, &s, &e), RC_INVALID);
	unlink(path);
	assert_int_equal(secret_from_file(path, 100, &s, &e), RC_INVALID);
	assert_null(s.p);
	rmdir(dir);
}

static void
test_keyring(void **state)
{
	static const char hex[] = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F\n";
	char dir[] = "/tmp/sekisho-crypt-XXXXXX", path[64];
	struct uuid one = uuid_v7(1), two = uuid_v7(2);
	struct keyring *k = NULL, *other = NULL;
	uint8_t key[32], again[32];
	struct buf wrapped;
	struct err e;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/kek", dir);
	write_file(path, hex, 0644);
	assert_int_equal(keyring_open(path, &k, &e), RC_INVALID);
	write_file(path, "0001", 0600);
	assert_int_equal(keyring_open(path, &k, &e), RC_INVALID);
	write_file(path, "x00102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F", 0600);
	assert_int_equal(keyring_open(path, &k, &e), RC_INVALID);
	assert_null(k);
	write_file(path, hex, 0600);
	assert_int_equal(keyring_open(path, &k, &e), RC_OK);
	write_file(path, "ff0102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F", 0600);
	assert_int_equal(keyring_open(path, &other, &e), RC_OK);

	buf_init(&wrapped, 0);
	assert_int_equal(keyring_make(k, &one, 1, &wrapped, &e), RC_OK);
	assert_int_equal(keyring_unwrap(k, &one, 1, buf_bytes(&wrapped), key, &e), RC_OK);
	assert_int_equal(keyring_unwrap(k, &one, 1, buf_bytes(&wrapped), again, &e), RC_OK);
	assert_memory_equal(key, again, 32);
	assert_int_equal(keyring_unwrap(k, &two, 1, buf_bytes(&wrapped), again, &e), RC_INVALID);
	assert_int_equal(keyring_unwrap(k, &one, 2, buf_bytes(&wrapped), again, &e), RC_INVALID);
	assert_int_equal(keyring_unwrap(other, &one, 1, buf_bytes(&wrapped), again, &e), RC_INVALID);
	assert_int_equal(keyring_unwrap(k, &one, 1, bytes_of(wrapped.p, wrapped.n - 1), again, &e), RC_INVALID);
	for (size_t i = 0; i < wrapped.n; i++) {
		wrapped.p[i] ^= 1;
		assert_int_equal(keyring_unwrap(k, &one, 1, buf_bytes(&wrapped), again, &e), RC_INVALID);
		wrapped.p[i] ^= 1;
	}
	assert_memory_equal(key, again, 32); /* untouched by the failures */
	buf_reset(&wrapped);
	assert_int_equal(keyring_make(k, &one, 1, &wrapped, &e), RC_OK);
	assert_int_equal(keyring_unwrap(k, &one, 1, buf_bytes(&wrapped), again, &e), RC_OK);
	assert_memory_not_equal(key, again, 32);
	buf_done(&wrapped);
	keyring_free(&k);
	keyring_free(&other);
	keyring_free(&k);
	unlink(path);
	rmdir(dir);
}

static void
test_token(void **state)
{
	char a[TOKEN_SIZE], b[TOKEN_SIZE];
	uint8_t hash_a[32], hash_b[32];
	token_make("skapi", a);
	token_make("skapi", b);
	assert_string_not_equal(a, b);
	assert_int_equal(strlen(a), 39);
	assert_true(token_well_formed("skapi", bytes_str(a)));
	assert_false(token_well_formed("skapp", bytes_str(a)));
	assert_false(token_well_formed("skapi", bytes_of(a, 38)));
	assert_false(token_well_formed("skapi", bytes_of(a, 0)));
	assert_true(strlen(a) - strlen("skapi_") >= TOKEN_LOOKUP_SIZE - 1);
	/* Every single wrong character is noticed. */
	for (size_t i = 0; i < strlen(a); i++) {
		char kept = a[i];
		a[i] = kept == 'x' ? 'y' : 'x';
		assert_false(token_well_formed("skapi", bytes_str(a)));
		a[i] = kept;
	}
	a[10] = '\0';
	assert_false(token_well_formed("skapi", bytes_of(a, 39)));
	token_hash(bytes_str("skapi_x"), hash_a);
	crypt_sha256(bytes_str("skapi_x"), hash_b);
	assert_memory_equal(hash_a, hash_b, 32);
}

/* Made by an independent CRC-32 and base 62 (Python): the form is fixed, keys outlive versions. */
static void
test_token_known(void **state)
{
	assert_true(token_well_formed("skapi", bytes_str("skapi_0000000000000000000000000000dStUh")));
	assert_true(token_well_formed("skapp", bytes_str("skapp_Sekisho0Sekisho1Sekisho2abc1fXrpo")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sha256),	 cmocka_unit_test(test_hkdf),	     cmocka_unit_test(test_seal_known),
	    cmocka_unit_test(test_seal_notices), cmocka_unit_test(test_secret_file), cmocka_unit_test(test_keyring),
	    cmocka_unit_test(test_token),	 cmocka_unit_test(test_token_known),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
