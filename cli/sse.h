/* SPDX-License-Identifier: MIT
 *
 * Server-sent events (WHATWG HTML, 9.2.6), as they come off the wire in pieces of any size. Pure; bounded: a line or an
 * event over SSE_MAX is an error, not memory.
 */
#ifndef CLI_SSE_H
#define CLI_SSE_H

#include "core/bytes.h"

#define SSE_MAX (1024u * 1024)

struct sse_event {
	const char *type; /* "message" if none was named */
	const char *id;	  /* the last id that was said; "" if none was */
	struct bytes data;
};
struct sse {
	bool (*on_event)(void *ctx, const struct sse_event *e); /* false: enough */
	void *ctx;
	struct buf line, data;
	char type[128];
	char id[64], next_id[64]; /* of the last event that ended; of the one that is coming */
	bool after_cr, begun, has_data;
	int retry_ms; /* as the server asked; 0: it did not */
};
void sse_init(struct sse *s, bool (*on_event)(void *ctx, const struct sse_event *e), void *ctx);
/* A new connection: what was cut off is dropped, the last id stays. */
void sse_restart(struct sse *s);
/* false: on_event had enough, or a bound was met. */
bool sse_feed(struct sse *s, struct bytes piece) MUST_CHECK;
void sse_done(struct sse *s);

#endif
