/* SPDX-License-Identifier: MIT
 *
 * Peers: addresses in one form, so that lists, counts and headers compare the same octets.
 */
#include "ingest_peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

static struct peer
from4(const void *v4)
{
	struct peer p = {.known = true};
	memcpy(p.addr, mapped, 12);
	memcpy(p.addr + 12, v4, 4);
	return p;
}

static bool
is4(const struct peer *p)
{
	return memcmp(p->addr, mapped, 12) == 0;
}

struct peer
peer_of(const struct sockaddr *sa)
{
	struct peer p = {0};
	if (sa->sa_family == AF_INET)
		return from4(&((const struct sockaddr_in *)(const void *)sa)->sin_addr);
	if (sa->sa_family != AF_INET6)
		return p;
	memcpy(p.addr, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16);
	p.known = true;
	return p;
}

void
peer_format(const struct peer *p, char out[PEER_TEXT_SIZE])
{
	out[0] = '\0';
	if (!p->known)
		return;
	if (is4(p))
		inet_ntop(AF_INET, p->addr + 12, out, PEER_TEXT_SIZE);
	else
		inet_ntop(AF_INET6, p->addr, out, PEER_TEXT_SIZE);
}

/* --- lists ------------------------------------------------------------------------------------------------------ */
struct peer_list {
	size_t n;
	struct {
		struct peer net;
		unsigned bits;
	} v[64];
};

static bool
parse_net(const char *text, struct peer *net_r, unsigned *bits_r)
{
	char addr[64];
	unsigned bits = 128, offset = 0;
	const char *slash = strchr(text, '/');
	size_t n = slash != NULL ? (size_t)(slash - text) : strlen(text);
	uint8_t raw[16];
	if (n == 0 || n >= sizeof(addr))
		return false;
	memcpy(addr, text, n);
	addr[n] = '\0';
	if (inet_pton(AF_INET, addr, raw) == 1) {
		*net_r = from4(raw);
		offset = 96;
	} else if (inet_pton(AF_INET6, addr, raw) == 1) {
		memcpy(net_r->addr, raw, 16);
		net_r->known = true;
	} else {
		return false;
	}
	if (slash != NULL) {
		char *end;
		unsigned long v = strtoul(slash + 1, &end, 10);
		if (slash[1] < '0' || slash[1] > '9' || *end != '\0' || v > 128 - offset)
			return false;
		bits = (unsigned)v + offset;
	}
	*bits_r = bits;
	return true;
}

enum rc
peer_list_parse(const char *text, struct peer_list **out_r, struct err *e)
{
	struct peer_list *l = calloc(1, sizeof(*l));
	char *copy = strdup(text), *save = NULL;
	enum rc rc = RC_OK;
	if (l == NULL || copy == NULL)
		abort();
	for (char *word = strtok_r(copy, ", ", &save); word != NULL && rc == RC_OK;
	     word = strtok_r(NULL, ", ", &save)) {
		if (l->n == sizeof(l->v) / sizeof(*l->v))
			rc = err_set(e, RC_INVALID, "more than %zu addresses", l->n);
		else if (!parse_net(word, &l->v[l->n].net, &l->v[l->n].bits))
			rc = err_set(e, RC_INVALID, "not an address or network: %.60s", word);
		else
			l->n++;
	}
	free(copy);
	if (rc != RC_OK)
		free(l);
	else
		*out_r = l;
	return rc;
}

void
peer_list_free(struct peer_list **l)
{
	free(*l);
	*l = NULL;
}

bool
peer_list_has(const struct peer_list *l, const struct peer *p)
{
	for (size_t i = 0; p->known && i < l->n; i++) {
		unsigned bits = l->v[i].bits, whole = bits / 8;
		uint8_t mask = (uint8_t)(0xff00u >> bits % 8);
		if (memcmp(l->v[i].net.addr, p->addr, whole) == 0 &&
		    (bits % 8 == 0 || ((l->v[i].net.addr[whole] ^ p->addr[whole]) & mask) == 0))
			return true;
	}
	return false;
}

/* --- PROXY protocol v2 ------------------------------------------------------------------------------------------- */
enum proxy_progress
proxy_parse(struct bytes in, size_t *used_r, struct peer *peer)
{
	static const uint8_t magic[12] = "\r\n\r\n\0\r\nQUIT\n";
	size_t compare = in.n < sizeof(magic) ? in.n : sizeof(magic);
	if (memcmp(in.p, magic, compare) != 0)
		return PROXY_BAD;
	if (in.n < 16)
		return PROXY_MORE;
	uint8_t command = in.p[12] & 0x0f, family = in.p[13];
	size_t length = (size_t)in.p[14] << 8 | in.p[15];
	if (in.p[12] >> 4 != 2 || command > 1 || 16 + length > PROXY_HEADER_MAX)
		return PROXY_BAD;
	if (in.n < 16 + length)
		return PROXY_MORE;
	*used_r = 16 + length;
	if (command == 0) /* LOCAL: the proxy's own health check */
		return PROXY_DONE;
	if (family == 0x11) { /* TCP over IPv4 */
		if (length < 12)
			return PROXY_BAD;
		*peer = from4(in.p + 16);
	} else if (family == 0x21) { /* TCP over IPv6 */
		if (length < 36)
			return PROXY_BAD;
		memcpy(peer->addr, in.p + 16, 16);
		peer->known = true;
	}
	return PROXY_DONE;
}

/* --- counts ------------------------------------------------------------------------------------------------------- */
#define BUCKETS 1024
struct count {
	uint8_t key[16];
	int n;
	struct count *next;
};
struct peer_counts {
	struct count *buckets[BUCKETS];
};

struct peer_counts *
peer_counts_new(void)
{
	struct peer_counts *c = calloc(1, sizeof(*c));
	if (c == NULL)
		abort();
	return c;
}

void
peer_counts_free(struct peer_counts **cp)
{
	for (size_t i = 0; *cp != NULL && i < BUCKETS; i++)
		while ((*cp)->buckets[i] != NULL) {
			struct count *k = (*cp)->buckets[i];
			(*cp)->buckets[i] = k->next;
			free(k);
		}
	free(*cp);
	*cp = NULL;
}

static struct count **
count_at(struct peer_counts *c, const struct peer *p, uint8_t key[16])
{
	uint64_t h = 14695981039346656037u;
	memcpy(key, p->addr, 16);
	if (!is4(p))
		memset(key + 8, 0, 8);
	for (int i = 0; i < 16; i++)
		h = (h ^ key[i]) * 1099511628211u;
	struct count **at = &c->buckets[(h ^ h >> 32) % BUCKETS];
	while (*at != NULL && memcmp((*at)->key, key, 16) != 0)
		at = &(*at)->next;
	return at;
}

bool
peer_counts_add(struct peer_counts *c, const struct peer *p, int max)
{
	uint8_t key[16];
	if (!p->known)
		return true;
	struct count **at = count_at(c, p, key);
	if (*at == NULL) {
		*at = calloc(1, sizeof(**at));
		if (*at == NULL)
			return false;
		memcpy((*at)->key, key, 16);
	}
	if ((*at)->n >= max)
		return false;
	(*at)->n++;
	return true;
}

void
peer_counts_drop(struct peer_counts *c, const struct peer *p)
{
	uint8_t key[16];
	struct count **at = p->known ? count_at(c, p, key) : NULL;
	if (at == NULL || *at == NULL || --(*at)->n > 0)
		return;
	struct count *k = *at;
	*at = k->next;
	free(k);
}
