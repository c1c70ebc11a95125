/* SPDX-License-Identifier: MIT
 *
 * The address of a webhook as somebody typed it. What is refused here would fail at every attempt; where a name leads
 * is judged later, at each connection (guard.h). Read by the same parser that will use it (libcurl's), so that the two
 * never see different hosts. Pure.
 */
#ifndef NOTIFY_URL_H
#define NOTIFY_URL_H

#include "client/notify_client.h"
#include "core/bytes.h"
#include "core/rc.h"
#include "guard.h"

#define URL_SIZE (NOTIFY_URL_MAX + 1)

/* https (http if g->http), a host, an allowed port, no user, password, fragment, zone; ASCII but for the host, which
 * becomes A-labels in out; at most NOTIFY_URL_MAX octets before and after; a host that is a number is judged at once.
 * RC_INVALID with a text that begins "url: ". */
enum rc url_check(const struct guard *g, struct bytes url, char out[URL_SIZE], struct err *e) MUST_CHECK;

#define URL_HOST_SIZE 256
/* The host, for the record: no path, no query (they may hold secrets). "" if url is none. */
void url_host(const char *url, char out[URL_HOST_SIZE]);

#endif
