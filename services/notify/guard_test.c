/* SPDX-License-Identifier: MIT
 *
 * Every refused range by its first and last address and the ones beside it; spellings as a resolver reads them.
 */
#include "guard.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct guard
guard_of(const char *allow, const char *ports, bool http)
{
	struct guard g;
	struct err e;
	assert_int_equal(guard_parse(allow, ports, http, &g, &e), RC_OK);
	return g;
}

static enum guard_verdict
judge(const struct guard *g, const char *address, uint16_t port, bool plain)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	if (inet_pton(AF_INET, address, &in.sin_addr) == 1)
		return guard_judge(g, (struct sockaddr *)&in, plain);
	assert_int_equal(inet_pton(AF_INET6, address, &in6.sin6_addr), 1);
	return guard_judge(g, (struct sockaddr *)&in6, plain);
}

static const struct {
	const char *address;
	bool public;
} table[] = {
    /* IPv4, range by range: first, last, and the neighbours that are public */
    {"0.0.0.0", false},
    {"0.255.255.255", false},
    {"1.0.0.0", true},
    {"9.255.255.255", true},
    {"10.0.0.0", false},
    {"10.255.255.255", false},
    {"11.0.0.0", true},
    {"100.63.255.255", true},
    {"100.64.0.0", false},
    {"100.100.100.200", false},
    {"100.127.255.255", false},
    {"100.128.0.0", true},
    {"126.255.255.255", true},
    {"127.0.0.0", false},
    {"127.0.0.1", false},
    {"127.255.255.255", false},
    {"128.0.0.0", true},
    {"168.63.129.15", true},
    {"168.63.129.16", false},
    {"168.63.129.17", true},
    {"169.253.255.255", true},
    {"169.254.0.0", false},
    {"169.254.169.254", false},
    {"169.254.170.2", false},
    {"169.254.255.255", false},
    {"169.255.0.0", true},
    {"172.15.255.255", true},
    {"172.16.0.0", false},
    {"172.31.255.255", false},
    {"172.32.0.0", true},
    {"191.255.255.255", true},
    {"192.0.0.0", false},
    {"192.0.0.192", false},
    {"192.0.0.255", false},
    {"192.0.1.0", true},
    {"192.0.2.0", false},
    {"192.0.2.255", false},
    {"192.0.3.0", true},
    {"192.88.98.255", true},
    {"192.88.99.0", false},
    {"192.88.99.255", false},
    {"192.88.100.0", true},
    {"192.167.255.255", true},
    {"192.168.0.0", false},
    {"192.168.255.255", false},
    {"192.169.0.0", true},
    {"198.17.255.255", true},
    {"198.18.0.0", false},
    {"198.19.255.255", false},
    {"198.20.0.0", true},
    {"198.51.99.255", true},
    {"198.51.100.0", false},
    {"198.51.100.255", false},
    {"198.51.101.0", true},
    {"203.0.112.255", true},
    {"203.0.113.0", false},
    {"203.0.113.255", false},
    {"203.0.114.0", true},
    {"223.255.255.255", true},
    {"224.0.0.0", false},
    {"239.255.255.255", false},
    {"240.0.0.0", false},
    {"255.255.255.255", false},
    {"8.8.8.8", true},
    /* IPv6 */
    {"::", false},
    {"::1", false},
    {"::7f00:1", false},	 /* IPv4-compatible */
    {"::808:808", false},	 /* the same of a public one: nobody uses it */
    {"::ffff:127.0.0.1", false}, /* mapped */
    {"::ffff:10.0.0.1", false},
    {"::ffff:169.254.169.254", false},
    {"::ffff:8.8.8.8", true},
    {"::fffe:8.8.8.8", false},
    {"::ffff:0:127.0.0.1", false}, /* translated */
    {"::ffff:0:8.8.8.8", false},
    {"64:ff9b::127.0.0.1", false}, /* NAT64 */
    {"64:ff9b::10.1.2.3", false},
    {"64:ff9b::169.254.169.254", false},
    {"64:ff9b::8.8.8.8", true},
    {"64:ff9b:0:0:0:1:808:808", false}, /* not of the /96 */
    {"64:ff9b:1::8.8.8.8", false},	/* local use */
    {"64:ff9b:1:ffff::1", false},
    {"100::1", false}, /* discard */
    {"1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false},
    {"2000::1", true},
    {"2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true},
    {"2001::1", false}, /* Teredo */
    {"2001:0:4136:e378:8000:63bf:3fff:fdd2", false},
    {"2001:2::1", false},  /* benchmarks */
    {"2001:10::1", false}, /* ORCHID */
    {"2001:20::1", false},
    {"2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", false},
    {"2001:200::1", true},
    {"2001:4860:4860::8888", true},
    {"2001:db7:ffff::1", true},
    {"2001:db8::", false},
    {"2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", false},
    {"2001:db9::1", true},
    {"2001:ffff::1", true},
    {"2002::1", false}, /* 6to4 */
    {"2002:7f00:1::1", false},
    {"2002:808:808::1", false},
    {"2003::1", true},
    {"2606:4700::1111", true},
    {"3ffe:ffff::1", true},
    {"3fff::1", false}, /* documentation */
    {"3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", false},
    {"3fff:1000::1", true},
    {"4000::1", false},
    {"5f00::1", false}, /* segment routing */
    {"fbff::1", false},
    {"fc00::1", false},
    {"fd00:ec2::254", false}, /* a cloud's metadata */
    {"fdff:ffff::1", false},
    {"fe80::1", false},
    {"febf::1", false},
    {"fec0::1", false}, /* site-local */
    {"feff::1", false},
    {"ff02::1", false},
    {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false},
};

static void
test_ranges(void **state)
{
	struct guard g = guard_of("", "443", false);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		enum guard_verdict got = judge(&g, table[i].address, 443, false);
		if (got != (table[i].public ? GUARD_OK : GUARD_REFUSED))
			fail_msg("%s: %s", table[i].address, guard_verdict_str(got));
	}
}

/* Everything the resolver makes of odd spellings is judged by what it is, not by how it was written. */
static void
test_spellings(void **state)
{
	static const char *const spellings[] = {
	    "0x7f.1",
	    "0x7f000001",
	    "2130706433",
	    "017700000001",
	    "0177.0.0.1",
	    "127.1",
	    "127.0.1",
	    "0",
	    "0.0.0.0",
	    "10.1",
	    "0xa9fea9fe",
	    "2852039166",
	    "169.254.43518",
	    "0xA9.0xFE.0xA9.0xFE",
	    "::ffff:7f00:1",
	    "::ffff:0a00:1",
	    "0:0:0:0:0:ffff:127.0.0.1",
	    "0000:0000:0000:0000:0000:0000:0000:0001",
	};
	struct guard g = guard_of("", "443", false);
	for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
		struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST}, *found = NULL;
		if (getaddrinfo(spellings[i], "443", &hints, &found) != 0)
			fail_msg("%s is not read as a number here: the table says nothing", spellings[i]);
		for (struct addrinfo *a = found; a != NULL; a = a->ai_next)
			if (guard_judge(&g, a->ai_addr, false) != GUARD_REFUSED)
				fail_msg("%s is let through", spellings[i]);
		freeaddrinfo(found);
	}
}

static void
test_other_families(void **state)
{
	struct guard g = guard_of("0.0.0.0/0,::/0", "any", true);
	struct sockaddr_storage s = {.ss_family = AF_UNIX};
	assert_int_equal(guard_judge(&g, (struct sockaddr *)&s, false), GUARD_REFUSED);
	s.ss_family = AF_UNSPEC;
	assert_int_equal(guard_judge(&g, (struct sockaddr *)&s, false), GUARD_REFUSED);
}

static void
test_allow_ports_plain(void **state)
{
	struct guard g = guard_of("127.0.0.0/8,::1/128,10.1.0.0/20", "443,8443", true);
	assert_int_equal(judge(&g, "127.9.9.9", 443, false), GUARD_OK);
	assert_int_equal(judge(&g, "::1", 8443, false), GUARD_OK);
	assert_int_equal(judge(&g, "::ffff:127.0.0.1", 443, false), GUARD_OK);
	assert_int_equal(judge(&g, "::2", 443, false), GUARD_REFUSED);
	assert_int_equal(judge(&g, "10.1.15.255", 443, false), GUARD_OK);
	assert_int_equal(judge(&g, "10.1.16.0", 443, false), GUARD_REFUSED);
	assert_int_equal(judge(&g, "127.0.0.1", 80, false), GUARD_PORT);
	assert_int_equal(judge(&g, "8.8.8.8", 22, false), GUARD_PORT);
	/* http only to what was allowed by name */
	assert_int_equal(judge(&g, "127.0.0.1", 443, true), GUARD_OK);
	assert_int_equal(judge(&g, "8.8.8.8", 443, true), GUARD_PLAIN);
	g = guard_of("127.0.0.0/8", "any", false);
	assert_int_equal(judge(&g, "127.0.0.1", 50000, false), GUARD_OK);
	assert_int_equal(judge(&g, "127.0.0.1", 50000, true), GUARD_PLAIN);
	assert_int_equal(judge(&g, "127.0.0.1", 0, false), GUARD_PORT);
}

static void
test_configuration_refused(void **state)
{
	static const struct {
		const char *allow, *ports;
	} bad[] = {
	    {"10.0.0.0", "443"},
	    {"10.0.0.0/33", "443"},
	    {"::/129", "443"},
	    {"10.0.0/8", "443"},
	    {"localhost/8", "443"},
	    {"10.0.0.0/-1", "443"},
	    {"10.0.0.0/", "443"},
	    {"", ""},
	    {"", "0"},
	    {"", "65536"},
	    {"", "443;80"},
	    {"", "https"},
	    {"", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct guard g;
		struct err e;
		if (guard_parse(bad[i].allow, bad[i].ports, false, &g, &e) != RC_INVALID)
			fail_msg("\"%s\" \"%s\" is taken", bad[i].allow, bad[i].ports);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ranges),
	    cmocka_unit_test(test_spellings),
	    cmocka_unit_test(test_other_families),
	    cmocka_unit_test(test_allow_ports_plain),
	    cmocka_unit_test(test_configuration_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
