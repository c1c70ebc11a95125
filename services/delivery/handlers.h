/* SPDX-License-Identifier: MIT
 *
 * The rpcs of proto/delivery.proto: handlers.c (what people look at), act.c (release and discard), admin.c (keys),
 * choices.c (routes and settings), sandbox_handlers.c, notice.c.
 */
#ifndef DELIVERY_HANDLERS_H
#define DELIVERY_HANDLERS_H

#include "svc/svc.h"

enum rc handle_list(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc handle_show(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc handle_holds(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc handle_queue(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc handle_search(const struct svc_request *r, struct buf *reply, struct err *e); /* search_handler.c */
enum rc handle_release(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc handle_discard(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc handle_dkim(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc handle_route(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc handle_route_get(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc handle_settings_get(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc handle_settings_put(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc handle_sandbox_list(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc handle_sandbox_get(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc handle_notice(const struct svc_request *r, struct buf *reply, struct err *e);

/* The intent of what the caller did to the tenant, in tx. detail: a JSON object. */
enum rc handlers_record(struct db_tx *tx, const struct svc_request *r, const char *action, const char *detail,
			struct err *e) MUST_CHECK;

#endif
