/* SPDX-License-Identifier: MIT
 *
 * Against a value made by hand with another tool (openssl dgst).
 */
#include "sign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* printf '%s' 'msg_1.1614265330.{"test": 2432232314}' | openssl dgst -sha256 -mac HMAC -macopt hexkey:00..1f */
#define SECRET "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

static void
test_known_value(void **state)
{
	char got[SIGN_VALUE_SIZE];
	struct err e;
	assert_int_equal(
	    sign_value(bytes_str(SECRET), "msg_1", 1614265330, bytes_str("{\"test\": 2432232314}"), got, &e), RC_OK);
	assert_string_equal(got, "v1,GWvjEzx3AphU7wha3hNZPXJnymF9Fg+ZdvPQqWPOjZ0=");
}

static void
test_every_part_counts(void **state)
{
	char a[SIGN_VALUE_SIZE], b[SIGN_VALUE_SIZE], other[SIGN_SECRET_SIZE];
	struct err e;
	sign_secret_make(other);
	assert_int_equal(sign_value(bytes_str(SECRET), "id", 1, bytes_str("{}"), a, &e), RC_OK);
	assert_int_equal(sign_value(bytes_str(SECRET), "id", 1, bytes_str("{}"), b, &e), RC_OK);
	assert_string_equal(a, b);
	assert_int_equal(sign_value(bytes_str(SECRET), "ie", 1, bytes_str("{}"), b, &e), RC_OK);
	assert_string_not_equal(a, b);
	assert_int_equal(sign_value(bytes_str(SECRET), "id", 2, bytes_str("{}"), b, &e), RC_OK);
	assert_string_not_equal(a, b);
	assert_int_equal(sign_value(bytes_str(SECRET), "id", 1, bytes_str("{} "), b, &e), RC_OK);
	assert_string_not_equal(a, b);
	assert_int_equal(sign_value(bytes_str(other), "id", 1, bytes_str("{}"), b, &e), RC_OK);
	assert_string_not_equal(a, b);
}

static void
test_secrets(void **state)
{
	char a[SIGN_SECRET_SIZE], b[SIGN_SECRET_SIZE], value[SIGN_VALUE_SIZE];
	struct err e;
	sign_secret_make(a);
	sign_secret_make(b);
	assert_int_equal(strlen(a), 50);
	assert_memory_equal(a, "whsec_", 6);
	assert_string_not_equal(a, b);
	static const char *const bad[] = {"", "whsec_", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
					  "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "whsec_????"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(sign_value(bytes_str(bad[i]), "id", 1, bytes_str("{}"), value, &e), RC_INVALID);
	char id[200];
	memset(id, 'x', sizeof(id));
	id[199] = '\0';
	assert_int_equal(sign_value(bytes_str(a), id, 1, bytes_str("{}"), value, &e), RC_INVALID);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_known_value), cmocka_unit_test(test_every_part_counts),
					   cmocka_unit_test(test_secrets)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
