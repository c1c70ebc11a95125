/* SPDX-License-Identifier: MIT
 *
 * NATS: the road. Request/reply with deadline, tenant, trace and actor; hints; the connection. Nothing
 * that is sent here is kept: whatever must not be lost is in an outbox (bus/outbox.h) and is consumed by a confirmed
 * consumer (bus/consumer.h). Thread-safe.
 */
#ifndef BUS_BUS_H
#define BUS_BUS_H

#include <stdint.h>

#include "core/arena.h"
#include "core/id.h"
#include "core/rc.h"

struct bus;

struct bus_options {
	const char *url;	    /* nats://127.0.0.1:4222 */
	const char *service;	    /* user, inbox prefix and queue group */
	const char *nkey_seed_path; /* file with the service's seed, mode 0600 */
	const char *ca_path;	    /* empty: no TLS */
};

#define BUS_PAYLOAD_MAX (8u * 1024 * 1024)
#define BUS_KEY_MAX	255 /* of an idempotency key */

/* Begins to connect and goes on for ever in the background; a service starts without its bus. */
enum rc bus_open(const struct bus_options *o, struct bus **out_r, struct err *e) MUST_CHECK;
/* Takes no new requests; answers what has arrived and waits for handlers under way, at most drain_ms. False: one is
 * still at work, so nothing that a handler uses may be freed any more, and bus_close() frees nothing. */
bool bus_stop_serving(struct bus *b, int64_t drain_ms) MUST_CHECK;
void bus_close(struct bus **b);
bool bus_connected(const struct bus *b);
const char *bus_service(const struct bus *b);

/* 1 to BUS_KEY_MAX visible ASCII characters. */
bool bus_key_valid(struct bytes key) MUST_CHECK;

struct bus_request {
	const char *subject;
	const struct uuid *tenant;   /* NULL: none */
	const char *traceparent;     /* NULL: none */
	struct bytes actor_token;    /* empty: none */
	const char *idempotency_key; /* 1 to BUS_KEY_MAX visible ASCII characters; NULL or "": none */
	struct bytes payload;
	int64_t deadline_ms; /* monotonic */
	bool may_share;	     /* a question that is answered in a few ms; see bus_call() */
};
/* Blocking. On RC_OK *reply_r lies in a. A failing handler's code and text come back as this call's; RC_RETRY when
 * nobody serves, the bus is down or the deadline passes. Never sent again by itself.
 *
 * Calls of several threads to one subject share a message if they may: one that finds others under way waits for
 * company until those are answered, at most 2 ms. They are handled one after the other and answered together, so a slow
 * one holds up the rest; tenant, actor, deadline, result and error stay each call's own. A call that finds no other is
 * sent at once. A call that may share can fail with RC_RETRY because the answers together were over BUS_PAYLOAD_MAX. */
enum rc bus_call(struct bus *b, const struct bus_request *r, struct arena *a, struct bytes *reply_r,
		 struct err *e) MUST_CHECK;

/* What a handler sees. Everything lives until it returns. */
struct bus_incoming {
	const char *subject;
	struct uuid tenant; /* nil: none given */
	bool has_tenant;
	const char *traceparent; /* never NULL: a child of the caller's, or a new one */
	struct bytes actor_token;
	const char *idempotency_key; /* never NULL; "": none; see svc/once.h */
	struct bytes payload;
	const char *caller;  /* service that the answer goes to; "": not one of ours */
	int64_t deadline_ms; /* monotonic, from the caller's header; bounded by 60 s */
	struct arena *arena;
};
/* Fill reply (protobuf) and return RC_OK, or fill e. The text of e goes to the caller: no secrets, no addresses. */
typedef enum rc (*bus_handler)(void *ctx, const struct bus_incoming *in, struct buf *reply, struct err *e);

/* Serve subject in the queue group of the service with n threads. A request that is already past its deadline is not
 * handled, and counted. What does not decode is counted, and refused as a whole. */
enum rc bus_serve(struct bus *b, const char *subject, int threads, bus_handler handler, void *ctx,
		  struct err *e) MUST_CHECK;

/* Fire and forget. RC_RETRY while disconnected (nothing is kept in memory). */
enum rc bus_publish(struct bus *b, const char *subject, struct bytes payload, struct err *e) MUST_CHECK;
/* Called on a thread of the bus for each message; queue_group NULL: every instance gets it. */
typedef void (*bus_listener)(void *ctx, const char *subject, struct bytes payload);
enum rc bus_listen(struct bus *b, const char *subject, const char *queue_group, bus_listener fn, void *ctx,
		   struct err *e) MUST_CHECK;

struct bus_stats {
	uint64_t calls, calls_failed;
	uint64_t requests; /* messages that the calls travelled in */
	uint64_t served, served_failed, expired, undecodable, published, reconnects;
};
void bus_stats(const struct bus *b, struct bus_stats *out_r);

#endif
