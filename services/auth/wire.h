/* SPDX-License-Identifier: MIT
 *
 * protobuf in and out of handlers: requests are unpacked into the request's arena after their size was bounded.
 */
#ifndef AUTH_WIRE_H
#define AUTH_WIRE_H

#include "auth.h"
#include "auth_store.h"
#include "proto/auth.pb-c.h"

/* message_r: pointer to a pointer to the message's type. */
enum rc wire_decode(const struct svc_request *r, const ProtobufCMessageDescriptor *d, void *message_r,
		    struct err *e) MUST_CHECK;
enum rc wire_encode(const void *message, struct buf *reply, struct err *e) MUST_CHECK;
/* 16 octets. */
enum rc wire_uuid(ProtobufCBinaryData b, struct uuid *out_r, struct err *e) MUST_CHECK;
ProtobufCBinaryData wire_bytes(struct bytes b); /* borrows */
ProtobufCBinaryData wire_id(const struct uuid *u);
/* UTF-8 that was checked when it came in, as strings of a message. */
char **wire_strings(const struct bytes *v, size_t n, struct arena *a);
char **wire_permissions(struct permission_set s, struct arena *a, size_t *n_r);
/* Whose cursor is an id; "": none, and *id_r stays. */
enum rc wire_cursor(const char *cursor, struct uuid *id_r, const struct uuid **or_null_r, struct err *e) MUST_CHECK;
#define WIRE_LIST_MAX	  200
#define WIRE_LIST_DEFAULT 50
/* 0: the default. */
enum rc wire_limit(uint32_t wished, int32_t *limit_r, struct err *e) MUST_CHECK;
/* For the store: the request's actor, or "unknown" where there is none. */
struct store_by wire_by(const struct svc_request *r, const char *client_ip);

#endif
