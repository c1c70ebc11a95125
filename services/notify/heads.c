/* SPDX-License-Identifier: MIT
 *
 * What was mailed is noted after the mails are accepted by delivery; a crash between makes the same calls again, whose
 * keys make no second mail.
 */
#include "heads.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "client/audit_client.h"
#include "client/auth_client.h"
#include "client/delivery_client.h"
#include "core/clock.h"
#include "core/log.h"
#include "crypt/crypt.h"
#include "head_text.h"
#include "metrics.h"
#include "notify.h"
#include "store.h"

#define CALL_MS	   10000
#define AGAIN_MS   300000 /* after a round in which something failed */
#define TIDY_MS	   600000
#define TIDY_LIMIT 100
#define TICK_MS	   500
#define READER	   "audit.read"
#define CAUSE	   "audit.head"

struct heads {
	struct svc *svc;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t wake; /* CLOCK_MONOTONIC */
	bool stopping;
	int64_t done_period;	   /* every tenant has had it */
	int64_t heads_ms, tidy_ms; /* not before (monotonic) */
	struct store_claim tidied;
	char traceparent[TRACEPARENT_SIZE];
};

/* --- one tenant ---------------------------------------------------------------------------------------------- */
static enum rc
last_mailed(struct heads *h, const struct uuid *tenant, int64_t *period_r, int64_t *size_r, struct err *e)
{
	struct db_tx *tx = NULL;
	enum rc rc = db_begin(h->svc->db, tenant, clock_mono_ms() + CALL_MS, &tx, e);
	if (rc == RC_OK)
		rc = store_head_get(tx, tenant, period_r, size_r, e);
	db_end(&tx);
	return rc;
}

static enum rc
note_mailed(struct heads *h, const struct uuid *tenant, int64_t period, uint64_t size, size_t people, struct err *e)
{
	struct db_tx *tx = NULL;
	bool first = false;
	char detail[96];
	snprintf(detail, sizeof(detail), "{\"size\":%" PRIu64 ",\"people\":%zu}", size, people);
	struct audit_intent i = {
	    .action = "head.mailed",
	    .outcome = rc_str(RC_OK),
	    .actor = bytes_str("system"),
	    .subject = *tenant,
	    .number = -1,
	    .at_us = clock_wall_us(),
	    .detail = bytes_str(detail),
	    .traceparent = h->traceparent,
	};
	enum rc rc = db_begin(h->svc->db, tenant, clock_mono_ms() + CALL_MS, &tx, e);
	if (rc == RC_OK)
		rc = store_head_set(tx, tenant, period, (int64_t)size, i.at_us, &first, e);
	if (rc == RC_OK && first) /* another instance may have been quicker */
		rc = db_intent(tx, &i, e);
	if (rc == RC_OK)
		rc = db_commit(&tx, e);
	db_end(&tx);
	return rc;
}

static enum rc
mail_one(struct heads *h, const struct uuid *tenant, int64_t period, const char *address, const struct head_mail *m,
	 const char *checkpoint, struct err *e)
{
	uint8_t hash[32];
	char key[64];
	struct uuid message;
	struct delivery_call call = {
	    .bus = h->svc->bus,
	    .tenant = tenant,
	    .traceparent = h->traceparent,
	    .deadline_ms = clock_mono_ms() + CALL_MS,
	};
	crypt_sha256(bytes_str(address), hash);
	snprintf(key, sizeof(key), "head.%" PRId64 ".%02x%02x%02x%02x%02x%02x%02x%02x", period, hash[0], hash[1],
		 hash[2], hash[3], hash[4], hash[5], hash[6], hash[7]);
	struct delivery_notice n = {
	    .key = key,
	    .to = address,
	    .subject = m->subject,
	    .text = m->text,
	    .cause = CAUSE,
	    .attachment_name = m->file,
	    .attachment = bytes_str(checkpoint),
	};
	return delivery_notice(&call, &n, &message, e);
}

/* Every address is tried; the first failure is the answer. */
static enum rc
mail_all(struct heads *h, const struct uuid *tenant, int64_t period, const struct auth_contacts *to,
	 const struct audit_head *head, const char *verifier_key, struct arena *a, struct err *e)
{
	struct head_facts facts = {head->size, head->at_us, head->checkpoint, verifier_key};
	struct head_mail m = head_text(&facts, to->language, a);
	enum rc rc = RC_OK;
	for (size_t i = 0; i < to->n; i++) {
		struct err each;
		enum rc one = mail_one(h, tenant, period, to->addresses[i], &m, head->checkpoint, &each);
		if (one == RC_OK || rc != RC_OK)
			continue;
		rc = one;
		*e = each;
	}
	return rc;
}

static enum rc
serve(struct heads *h, const struct uuid *tenant, int64_t period, struct arena *a, struct err *e)
{
	int64_t mailed_period = -1, mailed_size = -1;
	struct auth_contacts contacts;
	struct audit_head head;
	const char *key = "";
	struct auth_call auth = {
	    .bus = h->svc->bus, .traceparent = h->traceparent, .deadline_ms = clock_mono_ms() + CALL_MS};
	struct audit_call audit = {
	    .bus = h->svc->bus,
	    .tenant = tenant,
	    .traceparent = h->traceparent,
	    .deadline_ms = clock_mono_ms() + 2 * CALL_MS,
	};
	enum rc rc = last_mailed(h, tenant, &mailed_period, &mailed_size, e);
	if (rc != RC_OK || mailed_period >= period)
		return rc;
	rc = auth_contacts(&auth, tenant, READER, a, &contacts, e);
	if (rc != RC_OK || !contacts.head_mail || contacts.n == 0)
		return rc == RC_NOT_FOUND ? RC_OK : rc;
	rc = audit_last_head(&audit, a, &head, &key, e);
	if (rc != RC_OK || (int64_t)head.size <= mailed_size)
		return rc == RC_NOT_FOUND ? RC_OK : rc;
	rc = mail_all(h, tenant, period, &contacts, &head, key, a, e);
	if (rc == RC_OK)
		rc = note_mailed(h, tenant, period, head.size, contacts.n, e);
	metric_add(&metric_heads, rc == RC_OK ? METRIC_HEAD_MAILED : METRIC_HEAD_FAILED, 1);
	return rc;
}

/* --- rounds -------------------------------------------------------------------------------------------------- */
static void
round_of_heads(struct heads *h)
{
	int64_t period = clock_wall_us() / 1000 / notify_config.heads_ms;
	if (period <= h->done_period || clock_mono_ms() < h->heads_ms)
		return;
	struct arena *a = arena_new(), *each = arena_new();
	struct uuid *ids = NULL;
	size_t n = 0, failed = 0;
	struct err e;
	traceparent_new(h->traceparent);
	struct auth_call call = {
	    .bus = h->svc->bus, .traceparent = h->traceparent, .deadline_ms = clock_mono_ms() + CALL_MS};
	enum rc rc = auth_tenants(&call, a, &ids, &n, &e);
	for (size_t i = 0; rc == RC_OK && i < n && !svc_stopping(); i++) {
		struct err why;
		enum rc one = serve(h, &ids[i], period, each, &why);
		arena_reset(each);
		if (one == RC_OK)
			continue;
		failed++;
		log_warn("the day's head could not be mailed", LOG_TENANT(&ids[i]), LOG_RC(one), LOG_ERR(&why));
	}
	if (rc != RC_OK)
		log_warn("tenants could not be had", LOG_RC(rc), LOG_ERR(&e));
	if (rc == RC_OK && failed == 0 && !svc_stopping())
		h->done_period = period;
	else
		h->heads_ms =
		    clock_mono_ms() + (AGAIN_MS < notify_config.heads_ms / 4 ? AGAIN_MS : notify_config.heads_ms / 4);
	arena_free(&a);
	arena_free(&each);
}

static void
tidy(struct heads *h)
{
	if (clock_mono_ms() < h->tidy_ms)
		return;
	struct arena *a = arena_new();
	struct err e;
	bool done = false;
	h->tidied = (struct store_claim){0};
	while (!done && !svc_stopping()) {
		int64_t before = clock_wall_us() - notify_config.keep_ms * 1000;
		if (store_tidy(h->svc->db, &h->tidied, before, notify_config.keep_attempts, TIDY_LIMIT, a, &done,
			       clock_mono_ms() + 6 * CALL_MS, &e) != RC_OK) {
			log_warn("old attempts could not be removed", LOG_ERR(&e));
			break;
		}
	}
	h->tidy_ms = clock_mono_ms() + TIDY_MS;
	arena_free(&a);
}

static void *
heads_main(void *ctx)
{
	struct heads *h = ctx;
	pthread_mutex_lock(&h->mutex);
	while (!h->stopping) {
		struct timespec at;
		clock_gettime(CLOCK_MONOTONIC, &at);
		at.tv_nsec += TICK_MS * 1000000L;
		if (at.tv_nsec >= 1000000000) {
			at.tv_nsec -= 1000000000;
			at.tv_sec++;
		}
		(void)pthread_cond_timedwait(&h->wake, &h->mutex, &at);
		if (h->stopping)
			break;
		pthread_mutex_unlock(&h->mutex);
		round_of_heads(h);
		tidy(h);
		pthread_mutex_lock(&h->mutex);
	}
	pthread_mutex_unlock(&h->mutex);
	return NULL;
}

struct heads *
heads_start(struct svc *s)
{
	struct heads *h = calloc(1, sizeof(*h));
	pthread_condattr_t attr;
	if (h == NULL)
		abort();
	h->svc = s;
	h->done_period = -1;
	pthread_mutex_init(&h->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&h->wake, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&h->thread, NULL, heads_main, h) != 0)
		abort();
	return h;
}

void
heads_stop(struct heads **hh)
{
	struct heads *h = *hh;
	if (h == NULL)
		return;
	pthread_mutex_lock(&h->mutex);
	h->stopping = true;
	pthread_cond_signal(&h->wake);
	pthread_mutex_unlock(&h->mutex);
	pthread_join(h->thread, NULL);
	pthread_mutex_destroy(&h->mutex);
	pthread_cond_destroy(&h->wake);
	free(h);
	*hh = NULL;
}
