/* SPDX-License-Identifier: MIT
 *
 * HTTP: libmicrohttpd on one thread of its own reads requests that the door has let in and writes answers; the requests
 * themselves run on the worker pool while their connection is suspended. Bodies are kept in memory, each bounded by its
 * operation and all together by bodies_max.
 */
#ifndef API_HTTP_H
#define API_HTTP_H

#include "api.h"

struct http;
struct http_options {
	const char *socket;
	int threads;	    /* workers */
	int queue;	    /* requests that may wait for a worker */
	int64_t bodies_max; /* octets of all bodies held at once */
	int64_t idle_ms;    /* a connection that moves nothing for so long is closed */
};
struct http_metrics {
	struct metric *requests; /* by class: 2xx, 4xx, 5xx */
	struct metric *seconds;
	struct metric *refused; /* at the door */
};

enum rc http_open(const struct http_options *o, const struct api *api, const struct http_metrics *m,
		  struct http **out_r, struct err *e) MUST_CHECK;
/* Accepts nothing more, finishes what was accepted, then ends. */
void http_close(struct http **h);

#endif
