/* SPDX-License-Identifier: MIT
 *
 * Tables of prefixes (RFC 6890 and the IANA registries of special-purpose addresses).
 */
#include "reach.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct prefix {
	uint8_t octets[16];
	int bits;
};

static const struct prefix v4[] = {
    {{0}, 8},	       {{10}, 8},	 {{100, 64}, 10}, {{127}, 8}, {{169, 254}, 16}, {{172, 16}, 12},
    {{192, 0, 0}, 24}, {{192, 168}, 16}, {{198, 18}, 15}, {{224}, 4}, {{240}, 4},
};
static const struct prefix v6[] = {
    {{0}, 96},			       /* unspecified, loopback, IPv4-compatible */
    {{0, 0x64, 0xff, 0x9b, 0, 1}, 48}, /* translation to local IPv4 */
    {{0x01}, 64},		       /* discard */
    {{0x20, 0x01, 0, 0}, 32},	       /* Teredo */
    {{0xfc}, 7},		       /* unique local */
    {{0xfe, 0x80}, 10},
    {{0xfe, 0xc0}, 10},
    {{0xff}, 8},
};
/* These carry an IPv4 address at an offset. */
static const struct {
	struct prefix p;
	int at;
} carriers[] = {
    {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96}, 12}, /* mapped */
    {{{0, 0x64, 0xff, 0x9b}, 96}, 12},			    /* NAT64 */
    {{{0x20, 0x02}, 16}, 2},				    /* 6to4 */
};

static bool
within(const uint8_t *address, const struct prefix *p)
{
	int whole = p->bits / 8, rest = p->bits % 8;
	if (memcmp(address, p->octets, (size_t)whole) != 0)
		return false;
	return rest == 0 || (address[whole] ^ p->octets[whole]) >> (8 - rest) == 0;
}

static bool
public_v4(const uint8_t *address)
{
	for (size_t i = 0; i < sizeof(v4) / sizeof(v4[0]); i++)
		if (within(address, &v4[i]))
			return false;
	return true;
}

static bool
public_v6(const uint8_t *address)
{
	for (size_t i = 0; i < sizeof(carriers) / sizeof(carriers[0]); i++)
		if (within(address, &carriers[i].p))
			return i != 0 && public_v4(address + carriers[i].at); /* nobody mails to a mapped one */
	for (size_t i = 0; i < sizeof(v6) / sizeof(v6[0]); i++)
		if (within(address, &v6[i]))
			return false;
	return true;
}

bool
reach_public(const char *address)
{
	uint8_t octets[16];
	if (inet_pton(AF_INET, address, octets) == 1)
		return public_v4(octets);
	return inet_pton(AF_INET6, address, octets) == 1 && public_v6(octets);
}

bool
reach_mail_port(int port)
{
	return port == 25 || port == 465 || port == 587 || port == 2525;
}
