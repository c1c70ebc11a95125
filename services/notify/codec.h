/* SPDX-License-Identifier: MIT
 *
 * Between the structs of the store and the messages of proto/notify.proto. Everything lies in the request's arena.
 */
#ifndef NOTIFY_CODEC_H
#define NOTIFY_CODEC_H

#include <protobuf-c/protobuf-c.h>

#include "core/arena.h"
#include "proto/notify.pb-c.h"
#include "store.h"

/* An allocator for protobuf-c that takes everything from an arena and frees nothing. */
ProtobufCAllocator codec_allocator(struct arena *a);
enum rc codec_pack(const ProtobufCMessage *m, struct buf *reply, struct err *e) MUST_CHECK;
/* Foreign octets as a string that is UTF-8: what is not becomes "?". */
char *codec_text(struct arena *a, struct bytes b);
Sekisho__Notify__Webhook *codec_webhook(const struct store_webhook *w, struct arena *a);
Sekisho__Notify__Attempt *codec_attempt(const struct store_attempt *t, struct arena *a);
/* "" or the id after which the next page begins. */
bool codec_cursor(const char *cursor, bool *has_r, struct uuid *out_r) MUST_CHECK;
/* 16 octets. */
bool codec_id(const ProtobufCBinaryData *b, struct uuid *out_r) MUST_CHECK;

/* Decode a request in the handler's arena; NULL when it does not decode. */
#define CODEC_UNPACK(type, r)                                                                                          \
	({                                                                                                             \
		ProtobufCAllocator allocator_ = codec_allocator((r)->in->arena);                                       \
		sekisho__notify__##type##__unpack(&allocator_, (r)->in->payload.n, (r)->in->payload.p);                \
	})

#endif
