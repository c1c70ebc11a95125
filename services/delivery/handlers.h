/* SPDX-License-Identifier: MIT
 *
 * The rpcs of proto/delivery.proto: handlers.c (what people look at), act.c (release and discard), admin.c (keys and
 * routes).
 */
#ifndef DELIVERY_HANDLERS_H
#define DELIVERY_HANDLERS_H

#include "svc/svc.h"

enum rc handle_list(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc handle_show(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc handle_holds(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc handle_queue(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc handle_release(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc handle_discard(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc handle_dkim(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc handle_route(const struct svc_request *r, struct buf *reply, struct err *e);

#endif
