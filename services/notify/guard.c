/* SPDX-License-Identifier: MIT
 *
 * Tables after the IANA registries of special-purpose addresses (RFC 6890 and what came after). For IPv6 the table says
 * what of 2000::/3 is refused; outside of it nothing is public.
 */
#include "guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct guard_prefix refused_v4[] = {
    {AF_INET, {0}, 8},		       /* this network */
    {AF_INET, {10}, 8},		       /* private */
    {AF_INET, {100, 64}, 10},	       /* shared (CGNAT); a cloud's metadata at 100.100.100.200 */
    {AF_INET, {127}, 8},	       /* loopback */
    {AF_INET, {168, 63, 129, 16}, 32}, /* a cloud's host agent, on an address that looks public */
    {AF_INET, {169, 254}, 16},	       /* link-local; metadata */
    {AF_INET, {172, 16}, 12},	       /* private */
    {AF_INET, {192, 0, 0}, 24},	       /* protocol assignments; a cloud's metadata at 192.0.0.192 */
    {AF_INET, {192, 0, 2}, 24},	       /* documentation */
    {AF_INET, {192, 88, 99}, 24},      /* 6to4 relays */
    {AF_INET, {192, 168}, 16},	       /* private */
    {AF_INET, {198, 18}, 15},	       /* benchmarks */
    {AF_INET, {198, 51, 100}, 24},     /* documentation */
    {AF_INET, {203, 0, 113}, 24},      /* documentation */
    {AF_INET, {224}, 4},	       /* multicast */
    {AF_INET, {240}, 4},	       /* reserved, broadcast */
};
static const struct guard_prefix refused_v6[] = {
    {AF_INET6, {0x20, 0x01, 0x00}, 23},	      /* protocol assignments: Teredo, ORCHID, benchmarks */
    {AF_INET6, {0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
    {AF_INET6, {0x20, 0x02}, 16},	      /* 6to4: carries an IPv4 address */
    {AF_INET6, {0x3f, 0xff}, 20},	      /* documentation */
};
static const struct guard_prefix global_v6 = {AF_INET6, {0x20}, 3};
static const struct guard_prefix nat64 = {AF_INET6, {0x00, 0x64, 0xff, 0x9b}, 96};
static const struct guard_prefix mapped = {AF_INET6, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96};

const char *
guard_verdict_str(enum guard_verdict v)
{
	switch (v) {
	case GUARD_OK:
		return "ok";
	case GUARD_REFUSED:
		return "refused address";
	case GUARD_PORT:
		return "refused port";
	case GUARD_PLAIN:
		return "refused: https only";
	}
	return "unknown";
}

static bool
in_prefix(const struct guard_prefix *p, int family, const uint8_t *octets)
{
	if (p->family != family)
		return false;
	int whole = p->bits / 8, rest = p->bits % 8;
	if (memcmp(p->octets, octets, (size_t)whole) != 0)
		return false;
	return rest == 0 || ((p->octets[whole] ^ octets[whole]) >> (8 - rest)) == 0;
}

static bool
in_any(const struct guard_prefix *v, size_t n, int family, const uint8_t *octets)
{
	for (size_t i = 0; i < n; i++)
		if (in_prefix(&v[i], family, octets))
			return true;
	return false;
}

static bool
is_public(int family, const uint8_t *octets)
{
	if (family == AF_INET)
		return !in_any(refused_v4, sizeof(refused_v4) / sizeof(refused_v4[0]), family, octets);
	/* What a network without IPv4 makes of an IPv4 address: as good as that address. */
	if (in_prefix(&nat64, family, octets))
		return is_public(AF_INET, octets + 12);
	return in_prefix(&global_v6, family, octets) &&
	       !in_any(refused_v6, sizeof(refused_v6) / sizeof(refused_v6[0]), family, octets);
}

bool
guard_port_allowed(const struct guard *g, unsigned port)
{
	for (int i = 0; i < g->n_ports; i++)
		if (g->ports[i] == port)
			return true;
	return g->n_ports == 0 && port > 0;
}

enum guard_verdict
guard_judge(const struct guard *g, const struct sockaddr *to, bool plain)
{
	int family = to->sa_family;
	uint8_t octets[16];
	unsigned port;
	if (family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)to;
		memcpy(octets, &in->sin_addr, 4);
		port = ntohs(in->sin_port);
	} else if (family == AF_INET6) {
		const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)(const void *)to;
		memcpy(octets, &in->sin6_addr, 16);
		port = ntohs(in->sin6_port);
	} else
		return GUARD_REFUSED;
	if (family == AF_INET6 && in_prefix(&mapped, family, octets)) {
		/* The kernel would speak IPv4 to it. */
		family = AF_INET;
		memmove(octets, octets + 12, 4);
	}
	bool allowed = in_any(g->allow, (size_t)g->n_allow, family, octets);
	if (!allowed && !is_public(family, octets))
		return GUARD_REFUSED;
	if (!guard_port_allowed(g, port))
		return GUARD_PORT;
	return plain && !(g->http && allowed) ? GUARD_PLAIN : GUARD_OK;
}

/* --- configuration ------------------------------------------------------------------------------------------- */
static bool
parse_number(const char *s, unsigned long max, unsigned long *out_r)
{
	if (s[0] == '\0' || strspn(s, "0123456789") != strlen(s) || strlen(s) > 9)
		return false;
	*out_r = strtoul(s, NULL, 10);
	return *out_r <= max;
}

static bool
parse_prefix(char *word, struct guard_prefix *out_r)
{
	char *slash = strchr(word, '/');
	unsigned long bits;
	if (slash == NULL)
		return false;
	*slash = '\0';
	memset(out_r, 0, sizeof(*out_r));
	out_r->family = strchr(word, ':') != NULL ? AF_INET6 : AF_INET;
	bool ok = inet_pton(out_r->family, word, out_r->octets) == 1 &&
		  parse_number(slash + 1, out_r->family == AF_INET ? 32 : 128, &bits);
	*slash = '/';
	if (ok)
		out_r->bits = (int)bits;
	return ok;
}

static bool
parse_word(char *word, bool port, struct guard *g)
{
	unsigned long number;
	if (!port)
		return g->n_allow < GUARD_ALLOW_MAX && parse_prefix(word, &g->allow[g->n_allow]) && g->n_allow++ >= 0;
	if (g->n_ports == GUARD_PORTS_MAX || !parse_number(word, 65535, &number) || number == 0)
		return false;
	g->ports[g->n_ports++] = (uint16_t)number;
	return true;
}

static enum rc
parse_list(const char *text, bool port, struct guard *g, struct err *e)
{
	char word[64];
	for (const char *p = text; *p != '\0';) {
		size_t n = strcspn(p, ",");
		snprintf(word, sizeof(word), "%.*s", (int)(n < sizeof(word) ? n : sizeof(word) - 1), p);
		if (n >= sizeof(word) || !parse_word(word, port, g))
			return err_set(e, RC_INVALID, "\"%s\" is not %s, or there are too many", word,
				       port ? "a port" : "a prefix like 10.1.0.0/16");
		p += n + (p[n] == ',');
	}
	return RC_OK;
}

enum rc
guard_parse(const char *allow, const char *ports, bool http, struct guard *out_r, struct err *e)
{
	struct guard g = {.http = http};
	enum rc rc = parse_list(allow, false, &g, e);
	if (rc == RC_OK && strcmp(ports, "any") != 0)
		rc = parse_list(ports, true, &g, e);
	if (rc == RC_OK && g.n_ports == 0 && strcmp(ports, "any") != 0)
		rc = err_set(e, RC_INVALID, "no port at all; \"any\" allows every one");
	if (rc == RC_OK)
		*out_r = g;
	return rc;
}
