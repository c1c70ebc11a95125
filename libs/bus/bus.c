/* SPDX-License-Identifier: MIT
 *
 * The connection: made in the background, kept for ever; hints in and out. nats.c has its own threads; the callbacks
 * here run on them.
 */
#include "bus/bus_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/rpc_internal.h"
#include "core/clock.h"
#include "core/log.h"

#define FLUSH_MS 500

struct listener {
	struct listener *next;
	natsSubscription *sub;
	bus_listener fn;
	void *ctx;
};

enum rc
bus_fail(natsStatus s, struct err *e, const char *what)
{
	switch (s) {
	case NATS_OK:
		return RC_OK;
	case NATS_TIMEOUT:
		return err_set(e, RC_RETRY, "bus: %s: no answer in time", what);
	case NATS_NO_RESPONDERS:
		return err_set(e, RC_RETRY, "bus: %s: nobody serves it", what);
	case NATS_NOT_FOUND:
		return err_set(e, RC_NOT_FOUND, "bus: %s: not found", what);
	case NATS_MAX_PAYLOAD:
		return err_set(e, RC_LIMIT, "bus: %s: too large", what);
	case NATS_CONNECTION_CLOSED:
	case NATS_CONNECTION_DISCONNECTED:
	case NATS_NO_SERVER:
	case NATS_IO_ERROR:
	case NATS_INSUFFICIENT_BUFFER:
	case NATS_SLOW_CONSUMER:
		return err_set(e, RC_RETRY, "bus: %s: %s", what, natsStatus_GetText(s));
	default:
		return err_set(e, RC_INTERNAL, "bus: %s: %s", what, natsStatus_GetText(s));
	}
}

bool
bus_subject_tenant(const char *subject, struct uuid *out_r)
{
	const char *dot = subject != NULL ? strrchr(subject, '.') : NULL;
	return dot != NULL && uuid_parse(dot + 1, out_r);
}

static void
on_connected(natsConnection *nc, void *ctx)
{
	log_info("bus connected");
}

static void
on_disconnected(natsConnection *nc, void *ctx)
{
	log_warn("bus disconnected");
}

static void
on_reconnected(natsConnection *nc, void *ctx)
{
	struct bus *b = ctx;
	atomic_fetch_add(&b->reconnects, 1);
	log_info("bus reconnected");
}

static void
on_error(natsConnection *nc, natsSubscription *sub, natsStatus s, void *ctx)
{
	/* Slow consumers and permission violations come this way; the subject is ours, not a stranger's. */
	const char *text = NULL;
	natsConnection_GetLastError(nc, &text);
	log_warn("bus error", LOG_STR("error", natsStatus_GetText(s)), LOG_STR("detail", text != NULL ? text : ""));
}

/* The public half lies beside the seed: "x.seed" -> "x.pub". */
static enum rc
read_public_key(const char *seed_path, char *out, size_t size, struct err *e)
{
	char path[512];
	const char *dot = strrchr(seed_path, '.');
	size_t stem = dot != NULL ? (size_t)(dot - seed_path) : strlen(seed_path);
	snprintf(path, sizeof(path), "%.*s.pub", (int)stem, seed_path);
	FILE *f = fopen(path, "re");
	bool good = f != NULL && fgets(out, (int)size, f) != NULL;
	if (f != NULL)
		fclose(f);
	if (!good)
		return err_set(e, RC_INVALID, "cannot read the public nkey \"%.200s\"", path);
	out[strcspn(out, "\r\n")] = 0;
	return RC_OK;
}

static natsStatus
set_options(struct bus *b, const struct bus_options *o, const char *public_key)
{
	char inbox[80];
	snprintf(inbox, sizeof(inbox), "_INBOX_%s", o->service);
	natsOptions *n = b->options;
	natsStatus s = natsOptions_SetURL(n, o->url);
	if (s == NATS_OK)
		s = natsOptions_SetNKeyFromSeed(n, public_key, o->nkey_seed_path);
	if (s == NATS_OK)
		s = natsOptions_SetName(n, o->service);
	if (s == NATS_OK)
		s = natsOptions_SetCustomInboxPrefix(n, inbox);
	if (s == NATS_OK)
		s = natsOptions_SetSendAsap(n, true);
	if (s == NATS_OK)
		s = natsOptions_SetMaxReconnect(n, -1);
	if (s == NATS_OK)
		s = natsOptions_SetReconnectWait(n, 200);
	if (s == NATS_OK)
		s = natsOptions_SetReconnectJitter(n, 100, 100);
	/* Nothing is kept while disconnected: the outbox does that. */
	if (s == NATS_OK)
		s = natsOptions_SetReconnectBufSize(n, 1);
	if (s == NATS_OK)
		s = natsOptions_SetPingInterval(n, 5000);
	if (s == NATS_OK)
		s = natsOptions_SetMaxPingsOut(n, 3);
	if (s == NATS_OK)
		s = natsOptions_SetRetryOnFailedConnect(n, true, on_connected, b);
	if (s == NATS_OK)
		s = natsOptions_SetDisconnectedCB(n, on_disconnected, b);
	if (s == NATS_OK)
		s = natsOptions_SetReconnectedCB(n, on_reconnected, b);
	if (s == NATS_OK)
		s = natsOptions_SetErrorHandler(n, on_error, b);
	if (s == NATS_OK)
		s = natsOptions_SetIgnoreDiscoveredServers(n, false);
	if (s == NATS_OK && o->ca_path != NULL && o->ca_path[0] != 0) {
		s = natsOptions_SetSecure(n, true);
		if (s == NATS_OK)
			s = natsOptions_LoadCATrustedCertificates(n, o->ca_path);
	}
	return s;
}

enum rc
bus_open(const struct bus_options *o, struct bus **out_r, struct err *e)
{
	char public_key[128];
	enum rc rc = read_public_key(o->nkey_seed_path, public_key, sizeof(public_key), e);
	if (rc != RC_OK)
		return rc;
	struct bus *b = calloc(1, sizeof(*b));
	if (b == NULL || (b->service = strdup(o->service)) == NULL)
		abort();
	pthread_mutex_init(&b->lock, NULL);
	natsStatus s = natsOptions_Create(&b->options);
	if (s == NATS_OK)
		s = set_options(b, o, public_key);
	if (s == NATS_OK)
		s = natsConnection_Connect(&b->nc, b->options);
	if (s == NATS_OK || s == NATS_NOT_YET_CONNECTED)
		s = callers_open(b);
	if (s != NATS_OK) {
		rc = bus_fail(s, e, "connect");
		bus_close(&b);
		return rc;
	}
	*out_r = b;
	return RC_OK;
}

bool
bus_stop_serving(struct bus *b, int64_t drain_ms)
{
	if (b == NULL)
		return true;
	atomic_store(&b->stopping, true);
	rpc_servers_stop(b, clock_mono_ms() + drain_ms);
	return !atomic_load(&b->stuck);
}

void
bus_close(struct bus **bp)
{
	if (bp == NULL || *bp == NULL)
		return;
	struct bus *b = *bp;
	*bp = NULL;
	if (!bus_stop_serving(b, 0))
		return;
	for (struct listener *l = b->listeners; l != NULL; l = l->next)
		natsSubscription_Unsubscribe(l->sub);
	if (b->nc != NULL) {
		natsConnection_FlushTimeout(b->nc, FLUSH_MS);
		natsConnection_Close(b->nc);
	}
	callers_free(&b->callers);
	while (b->listeners != NULL) {
		struct listener *l = b->listeners;
		b->listeners = l->next;
		natsSubscription_Destroy(l->sub);
		free(l);
	}
	natsConnection_Destroy(b->nc);
	natsOptions_Destroy(b->options);
	pthread_mutex_destroy(&b->lock);
	free(b->service);
	free(b);
}

bool
bus_connected(const struct bus *b)
{
	return b->nc != NULL && natsConnection_Status(b->nc) == NATS_CONN_STATUS_CONNECTED;
}

const char *
bus_service(const struct bus *b)
{
	return b->service;
}

enum rc
bus_publish(struct bus *b, const char *subject, struct bytes payload, struct err *e)
{
	if (payload.n > BUS_PAYLOAD_MAX)
		return err_set(e, RC_LIMIT, "bus: %s: %zu octets are too many", subject, payload.n);
	if (!bus_connected(b))
		return err_set(e, RC_RETRY, "bus: not connected");
	natsStatus s = natsConnection_Publish(b->nc, subject, payload.p, (int)payload.n);
	if (s == NATS_OK)
		atomic_fetch_add(&b->published, 1);
	return bus_fail(s, e, subject);
}

static void
on_message(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *ctx)
{
	struct listener *l = ctx;
	l->fn(l->ctx, natsMsg_GetSubject(msg), bytes_of(natsMsg_GetData(msg), (size_t)natsMsg_GetDataLength(msg)));
	natsMsg_Destroy(msg);
}

enum rc
bus_listen(struct bus *b, const char *subject, const char *queue_group, bus_listener fn, void *ctx, struct err *e)
{
	struct listener *l = calloc(1, sizeof(*l));
	if (l == NULL)
		abort();
	l->fn = fn;
	l->ctx = ctx;
	natsStatus s = queue_group != NULL
			   ? natsConnection_QueueSubscribe(&l->sub, b->nc, subject, queue_group, on_message, l)
			   : natsConnection_Subscribe(&l->sub, b->nc, subject, on_message, l);
	if (s != NATS_OK) {
		free(l);
		return bus_fail(s, e, subject);
	}
	pthread_mutex_lock(&b->lock);
	l->next = b->listeners;
	b->listeners = l;
	pthread_mutex_unlock(&b->lock);
	return RC_OK;
}

void
bus_stats(const struct bus *b, struct bus_stats *out_r)
{
	*out_r = (struct bus_stats){
	    .calls = atomic_load(&b->calls),
	    .calls_failed = atomic_load(&b->calls_failed),
	    .requests = atomic_load(&b->requests),
	    .served = atomic_load(&b->served),
	    .served_failed = atomic_load(&b->served_failed),
	    .expired = atomic_load(&b->expired),
	    .undecodable = atomic_load(&b->undecodable),
	    .published = atomic_load(&b->published),
	    .reconnects = atomic_load(&b->reconnects),
	};
}
