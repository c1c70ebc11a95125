/* SPDX-License-Identifier: MIT
 *
 * Exports of the record: page after page from `audit`, as fast as the client takes them, in the memory of one page.
 * Each has a thread of its own; there are few. The first page is asked for by the worker, so that a refusal is an
 * answer and not a stream that breaks off. The key is verified anew every 45 s; an export that cannot go on breaks the
 * connection.
 */
#ifndef API_EXPORT_H
#define API_EXPORT_H

#include "api.h"
#include "client/audit_client.h"

struct exports;

struct exports *exports_new(const struct api *api, int max);
/* Breaks what is under way off and waits for its threads. */
void exports_stop(struct exports *x);
void exports_free(struct exports **x);

struct export_wish {
	uint64_t first;
	struct audit_filter filter;
	bool filtered; /* else every entry */
	bool csv;
};
/* RC_RETRY: too many are under way; else what audit says. */
enum rc exports_begin(struct exports *x, struct api_request *r, const struct export_wish *wish, struct api_response *w,
		      struct err *e) MUST_CHECK;

#endif
