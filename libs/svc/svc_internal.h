/* SPDX-License-Identifier: MIT
 *
 * What the files of libs/svc share. Nobody else includes this.
 */
#ifndef SVC_SVC_INTERNAL_H
#define SVC_SVC_INTERNAL_H

#include "subjects.h"
#include "svc/svc.h"

/* One endpoint as it is served. */
struct bound {
	struct svc *svc;
	const struct svc_endpoint *endpoint;
	const struct subject_rpc *rule;
};

/* A bus_handler over a struct bound: token, permission, handler, record. */
enum rc request_handle(void *ctx, const struct bus_incoming *in, struct buf *reply, struct err *e);
extern struct metric *const request_metrics[]; /* NULL-terminated */

/* What a handler said about its request while it ran. */
struct svc_note {
	bool has_subject, replayed, stored, unchanged;
	struct uuid subject;
	struct bytes detail;
};

/* What was asked for: a JSON object in which numbers, choices, ids and a few named texts are shown, and of everything
 * else the length (docs/decisions/0069); and the id it is about. All in a. */
#define ASKED_MAX (64u * 1024)
struct asked {
	struct bytes json;
	bool has_subject;
	struct uuid subject;
};
struct asked asked_read(const struct ProtobufCMessageDescriptor *d, struct bytes request, struct arena *a);

/* After a request that stored a key: now and then deletes the tenant's old ones, a few thousand at most. */
void once_tidy(const struct svc_request *r);

#endif
