/* SPDX-License-Identifier: MIT
 *
 * Payload, headers, signatures.
 */
#include "send.h"

#include <inttypes.h>
#include <stdio.h>

#include "core/clock.h"
#include "crypt/secret.h"
#include "metrics.h"
#include "sign.h"

#define LABEL_SIZE  64
#define HEADERS	    6
#define PAYLOAD_MAX (256u * 1024)

static void
label_of(const struct uuid *webhook, char out[LABEL_SIZE])
{
	char id[UUID_STR_SIZE];
	uuid_format(webhook, id);
	snprintf(out, LABEL_SIZE, "webhook %s", id);
}

enum rc
send_secret_seal(struct content *c, const struct uuid *tenant, const struct uuid *webhook, const char *secret,
		 struct buf *sealed, struct err *e)
{
	char label[LABEL_SIZE];
	label_of(webhook, label);
	return content_seal_secret(c, tenant, label, bytes_str(secret), sealed, e);
}

enum rc
send_secrets_open(struct content *c, const struct uuid *tenant, const struct store_webhook *w,
		  struct send_secrets *out_r, struct err *e)
{
	char label[LABEL_SIZE];
	struct send_secrets s = {.old_until_us = w->old_until_us};
	label_of(&w->id, label);
	buf_init(&s.now, 0);
	buf_init(&s.old, 0);
	enum rc rc = content_open_secret(c, tenant, label, w->sealed, &s.now, e);
	if (rc == RC_OK && w->old_sealed.p != NULL && w->old_until_us > clock_wall_us())
		rc = content_open_secret(c, tenant, label, w->old_sealed, &s.old, e);
	if (rc == RC_OK)
		*out_r = s;
	else
		send_secrets_done(&s);
	return rc;
}

void
send_secrets_done(struct send_secrets *s)
{
	if (s->now.p != NULL)
		secret_wipe(s->now.p, s->now.n);
	if (s->old.p != NULL)
		secret_wipe(s->old.p, s->old.n);
	buf_done(&s->now);
	buf_done(&s->old);
}

void
send_payload(const struct send_event *ev, struct buf *out)
{
	char at[CLOCK_RFC3339_SIZE];
	clock_rfc3339(ev->at_us, at);
	buf_add_str(out, "{\"type\":");
	buf_add_json(out, bytes_str(ev->type));
	buf_addf(out, ",\"timestamp\":\"%s\",\"data\":", at);
	buf_add_bytes(out, ev->data);
	buf_add_str(out, "}");
}

enum rc
send_signatures(const struct send_secrets *s, const char *id, int64_t now_us, struct bytes payload, struct buf *out,
		struct err *e)
{
	char value[SIGN_VALUE_SIZE];
	enum rc rc = sign_value(buf_bytes(&s->now), id, now_us / 1000000, payload, value, e);
	if (rc != RC_OK)
		return rc;
	buf_add_str(out, value);
	if (s->old.n == 0 || s->old_until_us <= now_us)
		return RC_OK;
	rc = sign_value(buf_bytes(&s->old), id, now_us / 1000000, payload, value, e);
	if (rc == RC_OK)
		buf_addf(out, " %s", value);
	return rc;
}

enum rc
send_event(struct poster *p, const char *url, const struct send_secrets *s, const struct send_event *ev,
	   struct post_answer *out_r, struct err *e)
{
	char id[UUID_STR_SIZE], id_line[64], time_line[64], position_line[64], trace[TRACEPARENT_SIZE], trace_line[80];
	const char *headers[HEADERS];
	size_t n = 0;
	int64_t now = clock_wall_us();
	struct buf payload, signature;
	buf_init(&payload, PAYLOAD_MAX);
	buf_init(&signature, 0);
	uuid_format(&ev->id, id);
	send_payload(ev, &payload);
	buf_add_str(&signature, "webhook-signature: ");
	enum rc rc = buf_ok(&payload) ? send_signatures(s, id, now, buf_bytes(&payload), &signature, e)
				      : err_set(e, RC_LIMIT, "an event is over %u octets", PAYLOAD_MAX);
	if (rc == RC_OK) {
		snprintf(id_line, sizeof(id_line), "webhook-id: %s", id);
		snprintf(time_line, sizeof(time_line), "webhook-timestamp: %" PRId64, now / 1000000);
		headers[n++] = "Content-Type: application/json";
		headers[n++] = id_line;
		headers[n++] = time_line;
		headers[n++] = (const char *)signature.p;
		if (ev->position >= 0) {
			snprintf(position_line, sizeof(position_line), "sekisho-position: %" PRId64, ev->position);
			headers[n++] = position_line;
		}
		if (ev->traceparent != NULL && traceparent_valid(ev->traceparent)) {
			traceparent_child(ev->traceparent, trace);
			snprintf(trace_line, sizeof(trace_line), "traceparent: %s", trace);
			headers[n++] = trace_line;
		}
		poster_send(p, url, headers, n, buf_bytes(&payload), out_r);
		metric_add(&metric_attempts, (int)out_r->outcome, 1);
		metric_observe_us(&metric_attempt_seconds, (int64_t)out_r->duration_ms * 1000);
		if (out_r->outcome == POST_REFUSED)
			metric_add(&metric_refused, 0, 1);
	}
	buf_done(&payload);
	buf_done(&signature);
	return rc;
}

struct store_attempt
send_attempt(const struct send_event *ev, const struct post_answer *answer, int64_t at_us, int32_t number,
	     struct arena *a)
{
	return (struct store_attempt){
	    .id = uuid_v7(at_us),
	    .event = ev->id,
	    .type = ev->type,
	    .position = ev->position > 0 ? ev->position : 0,
	    .at_us = at_us,
	    .number = number,
	    .status = (int32_t)answer->status,
	    .error = arena_strdup(a, answer->error),
	    .duration_ms = (int32_t)answer->duration_ms,
	    .response = arena_bytes(a, bytes_of(answer->body, answer->n_body)),
	    .ok = answer->outcome == POST_OK,
	};
}
