/* SPDX-License-Identifier: MIT */
#include "bus/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/bus_internal.h"

#define JS_TIMEOUT_MS 3000
#define ACK_WAIT_NS   INT64_C(30000000000)
#define ACK_PENDING   256 /* bus messages, each a batch */

static enum rc
js_fail(natsStatus s, jsErrCode code, struct err *e, const char *what)
{
	enum rc rc = bus_fail(s, e, what);
	if (rc != RC_OK && e != NULL && code != 0) {
		size_t n = strlen(e->text);
		snprintf(e->text + n, sizeof(e->text) - n, " (JetStream %d)", (int)code);
	}
	return rc;
}

static enum rc
js_open(struct bus *b, jsCtx **js_r, struct err *e)
{
	if (!bus_connected(b))
		return err_set(e, RC_RETRY, "bus: not connected");
	jsOptions o;
	natsStatus s = jsOptions_Init(&o);
	o.Wait = JS_TIMEOUT_MS;
	if (s == NATS_OK)
		s = natsConnection_JetStream(js_r, b->nc, &o);
	return bus_fail(s, e, "JetStream");
}

static enum rc
assert_stream(jsCtx *js, const char *name, const char *const *subjects, int64_t max_age_ms, int64_t max_octets,
	      int replicas, bool *made_r, struct err *e)
{
	jsErrCode code = 0;
	jsStreamInfo *there = NULL;
	natsStatus s = js_GetStreamInfo(&there, js, name, NULL, &code);
	jsStreamInfo_Destroy(there);
	if (s == NATS_OK)
		return RC_OK;
	if (s != NATS_NOT_FOUND)
		return js_fail(s, code, e, name);
	jsStreamConfig c;
	s = jsStreamConfig_Init(&c);
	int n = 0;
	while (subjects[n] != NULL)
		n++;
	c.Name = name;
	c.Subjects = (const char **)subjects;
	c.SubjectsLen = n;
	c.Storage = js_MemoryStorage;
	c.Retention = js_LimitsPolicy;
	c.Discard = js_DiscardOld;
	c.MaxAge = max_age_ms * 1000000;
	c.MaxBytes = max_octets;
	c.Replicas = replicas;
	if (s == NATS_OK)
		s = js_AddStream(NULL, js, &c, NULL, &code);
	if (s == NATS_OK)
		*made_r = true;
	return js_fail(s, code, e, name);
}

static enum rc
assert_consumer(jsCtx *js, const char *stream, const char *service, bool *made_r, struct err *e)
{
	jsErrCode code = 0;
	jsConsumerInfo *there = NULL;
	natsStatus s = js_GetConsumerInfo(&there, js, stream, service, NULL, &code);
	jsConsumerInfo_Destroy(there);
	if (s == NATS_OK)
		return RC_OK;
	if (s != NATS_NOT_FOUND)
		return js_fail(s, code, e, service);
	char deliver[128];
	snprintf(deliver, sizeof(deliver), "deliver.%s.%s", service, stream);
	jsConsumerConfig c;
	s = jsConsumerConfig_Init(&c);
	c.Durable = service;
	c.DeliverSubject = deliver;
	c.DeliverGroup = service;
	c.DeliverPolicy = js_DeliverAll;
	c.AckPolicy = js_AckExplicit;
	c.AckWait = ACK_WAIT_NS;
	c.MaxDeliver = -1; /* poison is counted and set aside by the consumer itself */
	c.MaxAckPending = ACK_PENDING;
	if (s == NATS_OK)
		s = js_AddConsumer(NULL, js, stream, &c, NULL, &code);
	if (s == NATS_OK)
		*made_r = true;
	return js_fail(s, code, e, service);
}

enum rc
stream_assert(struct bus *b, const char *name, const char *const *subjects, const char *const *consumers,
	      int64_t max_age_ms, int64_t max_octets, int replicas, bool *made_r, struct err *e)
{
	jsCtx *js = NULL;
	bool made = false;
	enum rc rc = js_open(b, &js, e);
	if (rc == RC_OK)
		rc = assert_stream(js, name, subjects, max_age_ms, max_octets, replicas, &made, e);
	for (; rc == RC_OK && *consumers != NULL; consumers++)
		rc = assert_consumer(js, name, *consumers, &made, e);
	jsCtx_Destroy(js);
	if (rc == RC_OK)
		*made_r = made;
	return rc;
}

static enum rc
describe_consumers(jsCtx *js, const char *name, struct arena *a, struct stream_info *out, struct err *e)
{
	jsConsumerInfoList *list = NULL;
	jsErrCode code = 0;
	natsStatus s = js_Consumers(&list, js, name, NULL, &code);
	if (s == NATS_NOT_FOUND)
		return RC_OK;
	if (s != NATS_OK)
		return js_fail(s, code, e, name);
	out->consumers = arena_new_array(a, struct stream_consumer_info, (size_t)list->Count);
	for (int i = 0; i < list->Count; i++) {
		const jsConsumerInfo *ci = list->List[i];
		out->consumers[out->n_consumers++] = (struct stream_consumer_info){
		    .name = arena_strdup(a, ci->Name != NULL ? ci->Name : ""),
		    .pending = ci->NumPending,
		    .ack_pending = (uint64_t)ci->NumAckPending,
		    .redelivered = (uint64_t)ci->NumRedelivered,
		};
	}
	jsConsumerInfoList_Destroy(list);
	return RC_OK;
}

enum rc
stream_describe(struct bus *b, const char *name, struct arena *a, struct stream_info *out_r, struct err *e)
{
	jsCtx *js = NULL;
	jsStreamInfo *si = NULL;
	jsErrCode code = 0;
	enum rc rc = js_open(b, &js, e);
	if (rc == RC_OK)
		rc = js_fail(js_GetStreamInfo(&si, js, name, NULL, &code), code, e, name);
	struct stream_info info = {.name = arena_strdup(a, name)};
	if (rc == RC_OK) {
		info.messages = si->State.Msgs;
		info.octets = si->State.Bytes;
		info.created_us = si->Created / 1000;
		jsStreamInfo_Destroy(si);
		rc = describe_consumers(js, name, a, &info, e);
	}
	jsCtx_Destroy(js);
	if (rc == RC_OK)
		*out_r = info;
	return rc;
}
