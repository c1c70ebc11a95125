/* SPDX-License-Identifier: MIT
 *
 * Streams of events (server-sent events): a few threads serve all of them, none waits for a client. A stream asks
 * `audit` for what comes after its position when audit has said that there is more, and every few seconds in any case;
 * it asks again only when its client has taken what it got. Who waits longest is served first; a tenant has two of the
 * four threads at most, and a search that finds nothing rests as long as it took. The key is verified anew every 45 s;
 * if it is refused, or not verified for 60 s, the stream ends.
 */
#ifndef API_EVENTS_H
#define API_EVENTS_H

#include "api.h"

#define EVENTS_TYPES_MAX 64

struct events;
struct events_options {
	int streams_max; /* open at once */
	int tenant_max;	 /* of one tenant */
	struct metric *open, *sent;
};
/* api->events is set by the caller before requests come. */
enum rc events_open(const struct events_options *o, const struct api *api, struct events **out_r,
		    struct err *e) MUST_CHECK;
/* Ends every stream: what was read is still sent. */
void events_stop(struct events *v);
void events_close(struct events **v);

/* Begin a stream at `next` for the verified request: w gets its pipe. RC_LIMIT: the tenant has too many; RC_RETRY: all
 * have. */
enum rc events_begin(struct events *v, const struct api_request *r, uint64_t next, const char *const *types,
		     size_t n_types, struct api_response *w, struct err *e) MUST_CHECK;

/* One event as server-sent event. Pure. */
struct audit_event;
void events_write(struct buf *out, const struct audit_event *ev);

#endif
