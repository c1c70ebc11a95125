/* SPDX-License-Identifier: MIT
 *
 * Addresses that are taken and refused, as people and attackers write them.
 */
#include "url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct {
	const char *url;
	bool good, good_in_tests; /* with 127.0.0.0/8 allowed, http, any port */
} table[] = {
    {"https://hooks.example.com/in", true, true},
    {"https://hooks.example.com", true, true},
    {"https://hooks.example.com./in", true, true},
    {"https://hooks.example.com:8443/in?key=a&b=%20", true, true},
    {"HTTPS://Hooks.Example.com/", true, true},
    {"https://8.8.8.8/", true, true},
    {"https://[2606:4700::1111]/", true, true},
    {"https://日本語.example/", true, true},
    {"https://xn--wgv71a119e.example/", true, true},
    /* scheme */
    {"http://hooks.example.com/", false, true},
    {"http://8.8.8.8/", false, false},
    {"http://127.0.0.1:9000/", false, true},
    {"hooks.example.com", false, false},
    {"//hooks.example.com/", false, false},
    {"ftp://hooks.example.com/", false, false},
    {"file:///etc/passwd", false, false},
    {"gopher://127.0.0.1:25/_HELO", false, false},
    {"javascript:alert(1)", false, false},
    {"https:hooks.example.com", false, false},
    {"https:/hooks.example.com", false, false},
    {"https:///hooks.example.com/", false, false},
    {"https://", false, false},
    {"", false, false},
    /* what does not belong there */
    {"https://user@hooks.example.com/", false, false},
    {"https://user:pass@hooks.example.com/", false, false},
    {"https://@hooks.example.com/", false, false},
    {"https://hooks.example.com@127.0.0.1/", false, false},
    {"https://hooks.example.com\\@127.0.0.1/", false, false},
    {"https://hooks.example.com#@127.0.0.1/", false, false},
    {"https://hooks.example.com/#x", false, false},
    {"https://hooks.example.com/a b", false, false},
    {"https://hooks.example.com/\r\nX: y", false, false},
    {"https://hooks.example.com/\t", false, false},
    {"https://hooks.example.com/日本", false, false},
    {"https://hooks.example.com/?q=日本", false, false},
    {" https://hooks.example.com/", false, false},
    /* ports */
    {"https://hooks.example.com:22/", false, true},
    {"https://hooks.example.com:25/", false, true},
    {"https://hooks.example.com:0/", false, false},
    {"https://hooks.example.com:65536/", false, false},
    {"https://hooks.example.com:-1/", false, false},
    {"https://hooks.example.com:443x/", false, false},
    /* numbers */
    {"https://127.0.0.1/", false, true},
    {"https://127.1/", false, true},
    {"https://0x7f.1/", false, true},
    {"https://0x7f000001/", false, true},
    {"https://2130706433/", false, true},
    {"https://017700000001/", false, true},
    {"https://127.0.0.1./", false, true},
    {"https://127.0.0.1../", false, true},
    {"https://①②⑦.0.0.1/", false, true},
    {"https://１２７.0.0.1/", false, true},
    {"https://10.0.0.1/", false, false},
    {"https://169.254.169.254/latest/meta-data/", false, false},
    {"https://2852039166/", false, false},
    {"https://[::1]/", false, false},
    {"https://[::ffff:127.0.0.1]/", false, true},
    {"https://[::ffff:169.254.169.254]/", false, false},
    {"https://[fd00:ec2::254]/", false, false},
    {"https://[fe80::1%25eth0]/", false, false},
    {"https://[fe80::1]/", false, false},
    {"https://[::]/", false, false},
    {"https://[64:ff9b::a9fe:a9fe]/", false, false},
    {"https://[127.0.0.1]/", false, false},
    {"https://0/", false, false},
    {"https://./", false, false},
    {"https://../", false, false},
};

static void
test_table(void **state)
{
	struct guard outside, inside;
	struct err e;
	assert_int_equal(guard_parse("", "443,8443", false, &outside, &e), RC_OK);
	assert_int_equal(guard_parse("127.0.0.0/8", "any", true, &inside, &e), RC_OK);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		for (int tests = 0; tests < 2; tests++) {
			bool want = tests ? table[i].good_in_tests : table[i].good;
			char out[URL_SIZE], again[URL_SIZE];
			const struct guard *g = tests ? &inside : &outside;
			enum rc rc = url_check(g, bytes_str(table[i].url), out, &e);
			if ((rc == RC_OK) != want)
				fail_msg("%s: %s %s", table[i].url, rc_str(rc), rc == RC_OK ? "" : e.text);
			if (rc != RC_OK && strncmp(e.text, "url: ", 5) != 0)
				fail_msg("%s: \"%s\" does not name the field", table[i].url, e.text);
			if (rc == RC_OK &&
			    (url_check(g, bytes_str(out), again, &e) != RC_OK || strcmp(out, again) != 0))
				fail_msg("%s: becomes %s, which is another address", table[i].url, out);
		}
}

static void
test_length_and_nul(void **state)
{
	struct guard g;
	struct err e;
	char text[2100], out[URL_SIZE];
	assert_int_equal(guard_parse("", "443", false, &g, &e), RC_OK);
	memset(text, 'a', sizeof(text));
	memcpy(text, "https://x.example/", 18);
	assert_int_equal(url_check(&g, bytes_of(text, 2048), out, &e), RC_OK);
	assert_int_equal(url_check(&g, bytes_of(text, 2049), out, &e), RC_INVALID);
	text[30] = '\0';
	assert_int_equal(url_check(&g, bytes_of(text, 100), out, &e), RC_INVALID);
}

static void
test_labels(void **state)
{
	struct guard g;
	struct err e;
	char out[URL_SIZE];
	assert_int_equal(guard_parse("127.0.0.0/8", "any", false, &g, &e), RC_OK);
	assert_int_equal(url_check(&g, bytes_str("https://日本語.example/a?b"), out, &e), RC_OK);
	assert_string_equal(out, "https://xn--wgv71a119e.example/a?b");
}

static void
test_host(void **state)
{
	char host[URL_HOST_SIZE];
	url_host("https://hooks.example.com:8443/secret?token=x", host);
	assert_string_equal(host, "hooks.example.com");
	url_host("nonsense", host);
	url_host("", host);
	assert_string_equal(host, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_length_and_nul),
					   cmocka_unit_test(test_labels), cmocka_unit_test(test_host)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
