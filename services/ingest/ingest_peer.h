/* SPDX-License-Identifier: MIT
 *
 * Who is at the other end: PROXY protocol v2 headers, lists of trusted addresses, and how many connections an address
 * has. Pure but for the counts, which belong to the event loop's thread.
 */
#ifndef INGEST_PEER_H
#define INGEST_PEER_H

#include <sys/socket.h>

#include "core/bytes.h"
#include "core/rc.h"

/* An IPv4 address is kept as ::ffff:a.b.c.d. */
struct peer {
	uint8_t addr[16];
	bool known; /* false: a Unix socket */
};
#define PEER_TEXT_SIZE 46
struct peer peer_of(const struct sockaddr *sa);
void peer_format(const struct peer *p, char out[PEER_TEXT_SIZE]); /* "" when not known */

/* "127.0.0.1,10.0.0.0/8,2001:db8::/32" */
struct peer_list;
enum rc peer_list_parse(const char *text, struct peer_list **out_r, struct err *e) MUST_CHECK;
void peer_list_free(struct peer_list **l);
bool peer_list_has(const struct peer_list *l, const struct peer *p);

#define PROXY_HEADER_MAX (16 + 512)
enum proxy_progress { PROXY_MORE, PROXY_DONE, PROXY_BAD };
/* A version 2 header at the front of in. LOCAL connections and families without an address leave *peer as it is. */
enum proxy_progress proxy_parse(struct bytes in, size_t *used_r, struct peer *peer);

/* Connections per address; IPv6 counts by /64. */
struct peer_counts;
struct peer_counts *peer_counts_new(void);
void peer_counts_free(struct peer_counts **c);
/* False, and not counted, when it has max already. */
bool peer_counts_add(struct peer_counts *c, const struct peer *p, int max) MUST_CHECK;
void peer_counts_drop(struct peer_counts *c, const struct peer *p);

#endif
