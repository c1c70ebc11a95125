/* SPDX-License-Identifier: MIT
 *
 * An event as a webhook gets it: the payload {"type", "timestamp", "data"} of the Standard Webhooks specification, its
 * headers, signed at the moment of the attempt. The same event makes the same payload and webhook-id at every attempt.
 */
#ifndef NOTIFY_SEND_H
#define NOTIFY_SEND_H

#include "content/content.h"
#include "post.h"
#include "store.h"

#define SEND_TEST_TYPE "webhook.test"

struct send_event {
	struct uuid id; /* becomes webhook-id */
	const char *type;
	int64_t position; /* -1: none (a test) */
	int64_t at_us;
	struct bytes data;	 /* JSON object */
	const char *traceparent; /* of what caused it; NULL or "": none */
};

/* A webhook's secrets, opened. */
struct send_secrets {
	struct buf now, old; /* old empty: none, or its time is over */
	int64_t old_until_us;
};
enum rc send_secret_seal(struct content *c, const struct uuid *tenant, const struct uuid *webhook, const char *secret,
			 struct buf *sealed, struct err *e) MUST_CHECK;
enum rc send_secrets_open(struct content *c, const struct uuid *tenant, const struct store_webhook *w,
			  struct send_secrets *out_r, struct err *e) MUST_CHECK;
void send_secrets_done(struct send_secrets *s);

void send_payload(const struct send_event *ev, struct buf *out);
/* Values of webhook-signature, separated by spaces. */
enum rc send_signatures(const struct send_secrets *s, const char *id, int64_t now_us, struct bytes payload,
			struct buf *out, struct err *e) MUST_CHECK;
/* One attempt. RC_OK whatever came of it: *out_r says. Anything else: it could not be made. Counts the metrics. */
enum rc send_event(struct poster *p, const char *url, const struct send_secrets *s, const struct send_event *ev,
		   struct post_answer *out_r, struct err *e) MUST_CHECK;
/* A line of the log of attempts; its octets are in a. */
struct store_attempt send_attempt(const struct send_event *ev, const struct post_answer *answer, int64_t at_us,
				  int32_t number, struct arena *a);

#endif
