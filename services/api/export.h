/* SPDX-License-Identifier: MIT
 *
 * Exports of the record: page after page from `audit`, as fast as the client takes them, in the memory of one page.
 * Each has a thread of its own; there are few, so a
 * tenant has a part of them, and a reader keeps up with a least rate or is cut. The first page is asked for by the
 * worker, so that a refusal is an answer and not a stream that breaks off. The key is verified anew every 45 s; an
 * export that cannot go on breaks the connection.
 */
#ifndef API_EXPORT_H
#define API_EXPORT_H

#include "api.h"
#include "client/audit_client.h"

struct exports;

#define EXPORTS_MAX 64
struct exports_options {
	int max;	    /* under way, at most EXPORTS_MAX */
	int tenant_max;	    /* of one tenant */
	int64_t slow_ms;    /* how far in all a reader may fall behind ... */
	int64_t least_rate; /* ... this many octets a second, before it is cut */
};
struct exports *exports_new(const struct api *api, const struct exports_options *o);
/* Breaks what is under way off and waits for its threads. */
void exports_stop(struct exports *x);
void exports_free(struct exports **x);

struct export_wish {
	uint64_t first;
	struct audit_filter filter;
	bool filtered; /* else every entry */
	bool csv;
};
/* RC_LIMIT: the tenant has too many under way; RC_RETRY: all have; else what audit says. */
enum rc exports_begin(struct exports *x, struct api_request *r, const struct export_wish *wish, struct api_response *w,
		      struct err *e) MUST_CHECK;

#endif
