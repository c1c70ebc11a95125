/* SPDX-License-Identifier: MIT
 *
 * n threads take messages from one queue subscription, gather what is there into one batch per tenant, hand it to the
 * handler, and after its commit confirm to the producer and acknowledge to the stream. Acknowledgements may get lost:
 * the message then comes again and the handler's unique key makes that harmless.
 */
#include "bus/consumer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bus/bus_internal.h"
#include "core/clock.h"
#include "core/log.h"
#include "proto/bus.pb-c.h"

#define POLL_MS	     500
#define MESSAGES_MAX 64 /* bus messages gathered into one round */
#define NAK_DELAY    "-NAK {\"delay\": 1000000000}"
#define BACKOFF_MS   200

struct consumer {
	struct bus *bus;
	struct consumer_options opt;
	natsSubscription *sub;
	int n_threads;
	pthread_t *threads;
	_Atomic bool stopping;
	_Atomic uint64_t items, batches, retried, poisoned, undecodable;
};

/* A bus message and what was in it. */
struct delivery_msg {
	natsMsg *msg;
	struct uuid tenant;
	Sekisho__Bus__Batch *batch;
	bool failed; /* some item must come again */
};
struct work {
	struct bus_item item;
	struct delivery_msg *from;
};

static void
ack(struct consumer *c, natsMsg *m, const char *what)
{
	const char *to = natsMsg_GetReply(m);
	if (to != NULL)
		natsConnection_PublishString(c->bus->nc, to, what);
}

static bool
decode(struct consumer *c, natsMsg *m, struct delivery_msg *out_r)
{
	*out_r = (struct delivery_msg){.msg = m};
	size_t n = (size_t)natsMsg_GetDataLength(m);
	if (bus_subject_tenant(natsMsg_GetSubject(m), &out_r->tenant) && n <= BUS_PAYLOAD_MAX)
		out_r->batch = sekisho__bus__batch__unpack(NULL, n, (const uint8_t *)natsMsg_GetData(m));
	bool good = out_r->batch != NULL;
	for (size_t i = 0; good && i < out_r->batch->n_items; i++)
		good = out_r->batch->items[i] != NULL && out_r->batch->items[i]->id.len == 16;
	if (good)
		return true;
	/* Not from an outbox of ours. The rows it may have come from are still there and are sent again. */
	atomic_fetch_add(&c->undecodable, 1);
	log_error("event that does not decode", LOG_STR("subject", natsMsg_GetSubject(m)), LOG_INT("octets", n));
	if (out_r->batch != NULL)
		sekisho__bus__batch__free_unpacked(out_r->batch, NULL);
	ack(c, m, "+ACK");
	natsMsg_Destroy(m);
	return false;
}

static void
confirm(struct consumer *c, const struct work *w, size_t n)
{
	if (n == 0)
		return;
	ProtobufCBinaryData *ids = calloc(n, sizeof(*ids));
	if (ids == NULL)
		abort();
	for (size_t i = 0; i < n; i++)
		ids[i] = (ProtobufCBinaryData){16, (uint8_t *)w[i].item.id.b};
	Sekisho__Bus__Confirm m = SEKISHO__BUS__CONFIRM__INIT;
	m.consumer = c->bus->service;
	m.n_ids = n;
	m.ids = ids;
	size_t size = sekisho__bus__confirm__get_packed_size(&m);
	uint8_t *packed = malloc(size);
	if (packed == NULL)
		abort();
	sekisho__bus__confirm__pack(&m, packed);
	struct err err;
	if (bus_publish(c->bus, c->opt.ack_subject, bytes_of(packed, size), &err) != RC_OK)
		log_debug("confirmation not sent", LOG_ERR(&err));
	free(packed);
	free(ids);
}

/* One item that failed in its batch. True when it is done with (handled or set aside). */
static bool
handle_alone(struct consumer *c, const struct uuid *tenant, const struct work *w, struct arena *a)
{
	struct err err = {.file = __FILE__}, poison_err = {.file = __FILE__};
	arena_reset(a);
	enum rc rc = c->opt.handle(c->opt.ctx, tenant, &w->item, 1, a, &err);
	if (rc == RC_OK)
		return true;
	if (rc !=
	    RC_INVALID) { /* a missing right or row may be ours to mend: only what is wrong in itself is set aside */
		log_warn("event not handled, comes again", LOG_UUID("event", &w->item.id), LOG_TENANT(tenant),
			 LOG_RC(rc), LOG_ERR(&err));
		return false;
	}
	rc = c->opt.poison(c->opt.ctx, tenant, &w->item, &err, &poison_err);
	log_error("event set aside", LOG_UUID("event", &w->item.id), LOG_TENANT(tenant), LOG_ERR(&err));
	if (rc != RC_OK)
		return false;
	atomic_fetch_add(&c->poisoned, 1);
	return true;
}

static void
handle_tenant(struct consumer *c, const struct uuid *tenant, struct work *w, size_t n, struct arena *a)
{
	struct bus_item *items = calloc(n, sizeof(*items));
	if (items == NULL)
		abort();
	for (size_t i = 0; i < n; i++)
		items[i] = w[i].item;
	struct err err = {.file = __FILE__};
	arena_reset(a);
	enum rc rc = c->opt.handle(c->opt.ctx, tenant, items, n, a, &err);
	free(items);
	atomic_fetch_add(&c->batches, 1);
	if (rc == RC_OK) {
		atomic_fetch_add(&c->items, n);
		confirm(c, w, n);
		return;
	}
	atomic_fetch_add(&c->retried, 1);
	size_t done = 0; /* handled ones move to the front */
	for (size_t i = 0; i < n; i++) {
		if (handle_alone(c, tenant, &w[i], a)) {
			struct work t = w[done];
			w[done++] = w[i];
			w[i] = t;
		} else {
			w[i].from->failed = true;
		}
	}
	atomic_fetch_add(&c->items, done);
	confirm(c, w, done);
}

static void
round_run(struct consumer *c, struct delivery_msg *msgs, size_t n_msgs, struct arena *a)
{
	size_t total = 0;
	for (size_t i = 0; i < n_msgs; i++)
		total += msgs[i].batch->n_items;
	struct work *work = calloc(total > 0 ? total : 1, sizeof(*work));
	bool *taken = calloc(n_msgs, sizeof(*taken));
	if (work == NULL || taken == NULL)
		abort();
	for (size_t i = 0; i < n_msgs; i++) {
		if (taken[i])
			continue;
		size_t n = 0;
		for (size_t k = i; k < n_msgs; k++) {
			if (taken[k] || !uuid_eq(&msgs[k].tenant, &msgs[i].tenant))
				continue;
			taken[k] = true;
			for (size_t j = 0; j < msgs[k].batch->n_items; j++) {
				const Sekisho__Bus__Item *it = msgs[k].batch->items[j];
				struct work *w = &work[n++];
				memcpy(w->item.id.b, it->id.data, 16);
				w->item.payload = bytes_of(it->payload.data, it->payload.len);
				w->from = &msgs[k];
			}
		}
		for (size_t at = 0; at < n; at += c->opt.batch_max)
			handle_tenant(c, &msgs[i].tenant, work + at,
				      n - at < c->opt.batch_max ? n - at : c->opt.batch_max, a);
	}
	bool failed = false;
	for (size_t i = 0; i < n_msgs; i++) {
		ack(c, msgs[i].msg, msgs[i].failed ? NAK_DELAY : "+ACK");
		failed |= msgs[i].failed;
		sekisho__bus__batch__free_unpacked(msgs[i].batch, NULL);
		natsMsg_Destroy(msgs[i].msg);
	}
	free(work);
	free(taken);
	if (failed) /* as a rule the database is away: do not spin */
		nanosleep(&(struct timespec){.tv_nsec = BACKOFF_MS * 1000000L}, NULL);
}

static void *
consumer_run(void *arg)
{
	struct consumer *c = arg;
	struct arena *a = arena_new();
	struct delivery_msg msgs[MESSAGES_MAX];
	for (;;) {
		size_t n = 0, items = 0;
		natsMsg *m = NULL;
		natsStatus s = natsSubscription_NextMsg(&m, c->sub, POLL_MS);
		while (s == NATS_OK) {
			if (decode(c, m, &msgs[n]))
				items += msgs[n++].batch->n_items;
			if (n == MESSAGES_MAX || items >= c->opt.batch_max)
				break;
			s = natsSubscription_NextMsg(&m, c->sub, 0);
		}
		if (n > 0)
			round_run(c, msgs, n, a);
		else if (atomic_load(&c->stopping) || (s != NATS_OK && s != NATS_TIMEOUT && s != NATS_SLOW_CONSUMER))
			break;
	}
	arena_free(&a);
	return NULL;
}

enum rc
consumer_open(struct bus *b, const struct consumer_options *o, struct consumer **out_r, struct err *e)
{
	struct consumer *c = calloc(1, sizeof(*c));
	if (c == NULL || (c->threads = calloc((size_t)o->threads, sizeof(*c->threads))) == NULL)
		abort();
	c->bus = b;
	c->opt = *o;
	natsStatus s = natsConnection_QueueSubscribeSync(&c->sub, b->nc, o->deliver_subject, b->service);
	if (s != NATS_OK) {
		free(c->threads);
		free(c);
		return bus_fail(s, e, o->deliver_subject);
	}
	for (int i = 0; i < o->threads; i++)
		if (pthread_create(&c->threads[c->n_threads], NULL, consumer_run, c) == 0)
			c->n_threads++;
	if (c->n_threads == 0) {
		natsSubscription_Destroy(c->sub);
		free(c->threads);
		free(c);
		return err_set(e, RC_INTERNAL, "no thread could be started");
	}
	*out_r = c;
	return RC_OK;
}

void
consumer_close(struct consumer **cp)
{
	if (cp == NULL || *cp == NULL)
		return;
	struct consumer *c = *cp;
	atomic_store(&c->stopping, true);
	natsSubscription_Unsubscribe(c->sub); /* what is not acknowledged goes to another instance */
	for (int i = 0; i < c->n_threads; i++)
		pthread_join(c->threads[i], NULL);
	natsSubscription_Destroy(c->sub);
	free(c->threads);
	free(c);
	*cp = NULL;
}

void
consumer_stats(const struct consumer *c, struct consumer_stats *out_r)
{
	*out_r = (struct consumer_stats){
	    .items = atomic_load(&c->items),
	    .batches = atomic_load(&c->batches),
	    .retried = atomic_load(&c->retried),
	    .poisoned = atomic_load(&c->poisoned),
	    .undecodable = atomic_load(&c->undecodable),
	};
}
