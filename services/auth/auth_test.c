/* SPDX-License-Identifier: MIT
 *
 * The pure parts, table-driven: names, TXT records; and Argon2id at its cheapest. Permissions: access_test.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"
#include "crypt/token.h"
#include "names.h"
#include "password.h"
#include "proof.h"

#define N(a) (sizeof(a) / sizeof(*(a)))

static void
test_logins(void **state)
{
	static const struct {
		const char *in, *want; /* NULL: nobody's */
	} t[] = {
	    {"hanako", "hanako"},
	    {"Hanako.Sato", "hanako.sato"},
	    {"HANAKO@Example.JP", "hanako@example.jp"},
	    {"a+b_c-d", "a+b_c-d"},
	    {"", NULL},
	    {"a b", NULL},
	    {"a\n", NULL},
	    {"a'--", NULL},
	    {"\xe8\x8a\xb1", NULL},
	};
	struct arena *a = arena_new();
	char longest[NAMES_LOGIN_MAX + 2];
	const char *login = NULL;
	for (size_t i = 0; i < N(t); i++) {
		assert_int_equal(names_login(bytes_str(t[i].in), a, &login), t[i].want != NULL);
		if (t[i].want != NULL)
			assert_string_equal(login, t[i].want);
	}
	assert_false(names_login(bytes_of("a\0b", 3), a, &login));
	memset(longest, 'a', sizeof(longest));
	assert_true(names_login(bytes_of(longest, NAMES_LOGIN_MAX), a, &login));
	assert_false(names_login(bytes_of(longest, NAMES_LOGIN_MAX + 1), a, &login));
	arena_free(&a);
}

static void
test_addresses(void **state)
{
	static const struct {
		const char *in, *want, *domain;
	} t[] = {
	    {"hanako@example.jp", "hanako@example.jp", "example.jp"},
	    {"Hanako@EXAMPLE.jp", "Hanako@example.jp", "example.jp"},
	    {"\"a b\"@example.jp", "\"a b\"@example.jp", "example.jp"},
	    {"info@\xe9\x96\xa2\xe6\x89\x80.example", "info@xn--8ous75i.example", "xn--8ous75i.example"},
	    {"info@XN--8OUS75I.example", "info@xn--8ous75i.example", "xn--8ous75i.example"},
	    {"\xe8\x8a\xb1@example.jp", "\xe8\x8a\xb1@example.jp", "example.jp"},
	    {"", NULL, NULL},
	    {"hanako", NULL, NULL},
	    {"hanako@", NULL, NULL},
	    {"@example.jp", NULL, NULL},
	    {"a@b@example.jp", NULL, NULL},
	    {"<hanako@example.jp>", NULL, NULL},
	    {"hanako@[192.0.2.1]", NULL, NULL},
	    {"hanako@example.jp\r\n", NULL, NULL},
	    {"hanako @example.jp", NULL, NULL},
	};
	struct arena *a = arena_new();
	for (size_t i = 0; i < N(t); i++) {
		struct bytes out = {0};
		const char *domain = NULL;
		enum rc rc = names_address(bytes_str(t[i].in), a, &out, &domain, NULL);
		if (t[i].want == NULL) {
			if (rc == RC_OK)
				fail_msg("%s was taken", t[i].in);
			continue;
		}
		if (rc != RC_OK || !bytes_eq(out, bytes_str(t[i].want)))
			fail_msg("%s: %s, %.*s", t[i].in, rc_str(rc), (int)out.n, (const char *)out.p);
		assert_string_equal(domain, t[i].domain);
	}
	arena_free(&a);
}

static void
test_domains(void **state)
{
	static const struct {
		const char *in, *want;
	} t[] = {
	    {"Example.JP", "example.jp"}, {"\xe9\x96\xa2\xe6\x89\x80.example", "xn--8ous75i.example"},
	    {"localhost", NULL},	  {"", NULL},
	    {"[192.0.2.1]", NULL},	  {"exa mple.jp", NULL},
	    {"example..jp", NULL},	  {"-a.jp", NULL},
	};
	struct arena *a = arena_new();
	for (size_t i = 0; i < N(t); i++) {
		const char *domain = NULL;
		enum rc rc = names_domain(bytes_str(t[i].in), a, &domain, NULL);
		if ((rc == RC_OK) != (t[i].want != NULL))
			fail_msg("\"%s\": %s", t[i].in, rc_str(rc));
		if (t[i].want != NULL)
			assert_string_equal(domain, t[i].want);
	}
	/* 253 octets are a domain, but leave no room for the label of the proof. */
	char longest[254];
	for (int i = 0; i < 253; i++)
		longest[i] = i % 50 == 49 ? '.' : 'a';
	longest[253] = 0;
	const char *domain = NULL;
	assert_int_equal(names_domain(bytes_str(longest), a, &domain, NULL), RC_INVALID);
	arena_free(&a);
}

static void
test_people_names(void **state)
{
	char longest[NAMES_MAX + 1];
	memset(longest, 'a', sizeof(longest));
	assert_int_equal(names_check(bytes_str("\xe9\x96\xa2\xe6\x89\x80 Ltd."), false, "name", NULL), RC_OK);
	assert_int_equal(names_check(bytes_str(""), true, "name", NULL), RC_OK);
	assert_int_equal(names_check(bytes_str(""), false, "name", NULL), RC_INVALID);
	assert_int_equal(names_check(bytes_str("a\nb"), false, "name", NULL), RC_INVALID);
	assert_int_equal(names_check(bytes_str("a\xc2\x85"), false, "name", NULL), RC_INVALID);
	assert_int_equal(names_check(bytes_str("a\xff"), false, "name", NULL), RC_INVALID);
	assert_int_equal(names_check(bytes_of(longest, NAMES_MAX), false, "name", NULL), RC_OK);
	assert_int_equal(names_check(bytes_of(longest, NAMES_MAX + 1), false, "name", NULL), RC_LIMIT);
}

static void
test_txt(void **state)
{
	static const struct {
		const char *rdata;
		size_t n;
		bool want;
	} t[] = {
	    {"\x05value", 6, true},	  {"\x02va\x03lue", 7, true},
	    {"\x00\x05value", 7, true},	  {"\x05valuf", 6, false},
	    {"\x05value\x01!", 8, false}, {"\x06value", 6, false},
	    {"\x05valu", 5, false},	  {"", 0, false},
	    {"\xff", 1, false},
	};
	for (size_t i = 0; i < N(t); i++)
		assert_int_equal(proof_txt_equals(bytes_of(t[i].rdata, t[i].n), bytes_str("value")), t[i].want);
	char big[2000] = {0};
	assert_false(proof_txt_equals(bytes_of(big, sizeof(big)), bytes_str("")));
}

static void
test_passwords(void **state)
{
	struct password_cost cost = {1, 8192, 1};
	char hash[PASSWORD_HASH_SIZE], app[TOKEN_SIZE];
	int64_t until = clock_mono_ms() + 10000;
	bool good = false;
	assert_int_equal(password_setup(&(struct password_cost){1, 1, 1}, NULL), RC_INVALID);
	assert_int_equal(password_setup(&cost, NULL), RC_OK);
	assert_int_equal(password_hash(bytes_str("correct horse"), until, hash, NULL), RC_OK);
	assert_memory_equal(hash, "$argon2id$", 10);
	assert_int_equal(password_check(bytes_str("correct horse"), bytes_str(hash), until, &good, NULL), RC_OK);
	assert_true(good);
	assert_int_equal(password_check(bytes_str("correct hors"), bytes_str(hash), until, &good, NULL), RC_OK);
	assert_false(good);
	assert_int_equal(password_check(bytes_of(NULL, 0), bytes_str(hash), until, &good, NULL), RC_OK);
	assert_false(good);
	assert_int_equal(password_check(bytes_str("correct horse"), bytes_of(NULL, 0), until, &good, NULL), RC_OK);
	assert_false(good);
	assert_int_equal(password_check(bytes_str("x"), bytes_str("not a hash"), until, &good, NULL), RC_OK);
	assert_false(good);

	assert_int_equal(password_acceptable(bytes_str("123456789"), NULL), RC_INVALID);
	assert_int_equal(password_acceptable(bytes_str("1234567890"), NULL), RC_OK);
	token_make("skapp", app);
	assert_int_equal(password_acceptable(bytes_str(app), NULL), RC_INVALID);
	password_done();
}

static struct {
	pthread_barrier_t start;
	_Atomic int good, sent_away;
} crowd;

static void *
one_of_many(void *ctx)
{
	bool good = false;
	pthread_barrier_wait(&crowd.start);
	enum rc rc = password_check(bytes_str("x"), bytes_of(NULL, 0), clock_mono_ms() + 60000, &good, NULL);
	atomic_fetch_add(rc == RC_OK ? &crowd.good : &crowd.sent_away, rc == RC_OK || rc == RC_RETRY);
	return NULL;
}

/* Sixteen at once where one may run and two may wait: no flood of logins takes all the memory. */
static void
test_crowd(void **state)
{
	pthread_t threads[16];
	assert_int_equal(password_setup(&(struct password_cost){3, 32 << 20, 1}, NULL), RC_OK);
	pthread_barrier_init(&crowd.start, NULL, 16);
	for (int i = 0; i < 16; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, one_of_many, NULL), 0);
	for (int i = 0; i < 16; i++)
		pthread_join(threads[i], NULL);
	assert_true(crowd.good >= 1);
	assert_true(crowd.sent_away >= 1);
	assert_int_equal(crowd.good + crowd.sent_away, 16);
	/* Afterwards there is room again. */
	bool good = true;
	assert_int_equal(password_check(bytes_str("x"), bytes_of(NULL, 0), clock_mono_ms() + 60000, &good, NULL),
			 RC_OK);
	assert_false(good);
	pthread_barrier_destroy(&crowd.start);
	password_done();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_logins),	 cmocka_unit_test(test_addresses), cmocka_unit_test(test_domains),
	    cmocka_unit_test(test_people_names), cmocka_unit_test(test_txt),	   cmocka_unit_test(test_passwords),
	    cmocka_unit_test(test_crowd),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
