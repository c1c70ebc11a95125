/* SPDX-License-Identifier: MIT
 *
 * What the files with handlers share: decoding, the snapshot of a request, conditions of a search.
 */
#ifndef AUDIT_HANDLERS_H
#define AUDIT_HANDLERS_H

#include "audit.h"
#include "proto/audit.pb-c.h"
#include "store.h"

#define HANDLERS_REQUEST_MAX (64u * 1024)

enum rc handlers_unpack(const struct svc_request *r, const ProtobufCMessageDescriptor *type, void **out_r,
			struct err *e) MUST_CHECK;
enum rc handlers_pack(const ProtobufCMessage *m, struct buf *reply, struct err *e) MUST_CHECK;
ProtobufCBinaryData handlers_data(struct bytes b);
/* A snapshot of the request's tenant; the caller ends it. */
enum rc handlers_begin(const struct svc_request *r, struct db_tx **tx_r, struct err *e) MUST_CHECK;
/* Borrows from q. */
enum rc handlers_filter(const Sekisho__Audit__SearchRequest *q, struct arena *a, struct store_filter *out_r,
			struct err *e) MUST_CHECK;
/* RC_NOT_FOUND if none was signed. */
enum rc handlers_last_head(struct db_tx *tx, const struct uuid *tenant, struct arena *a, struct store_head *out_r,
			   struct err *e) MUST_CHECK;

#endif
