/* SPDX-License-Identifier: MIT
 *
 * The rpcs of this service, one function per line of proto/subjects.tsv. handlers.c reads, change.c changes, replay.c
 * and test_event.c do what takes longer.
 */
#ifndef NOTIFY_HANDLERS_H
#define NOTIFY_HANDLERS_H

#include "store.h"
#include "svc/svc.h"

enum rc handle_webhook_list(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc handle_webhook_get(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc handle_webhook_attempts(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc handle_webhook_create(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc handle_webhook_update(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc handle_webhook_delete(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc handle_webhook_rotate(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc handle_webhook_replay(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc handle_webhook_test(const struct svc_request *r, struct buf *reply, struct err *e);

/* An intent of this request about a webhook. detail: a JSON object. */
enum rc handlers_intent(const struct svc_request *r, struct db_tx *tx, const char *action, const struct uuid *webhook,
			const char *detail, struct err *e) MUST_CHECK;
/* Of the tenant of the request; *id_r from 16 octets. RC_DENIED without a tenant. */
enum rc handlers_begin(const struct svc_request *r, bool decoded, struct err *e) MUST_CHECK;

#endif
