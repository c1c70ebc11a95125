/* SPDX-License-Identifier: MIT
 *
 * Questions to auth, transactions to ingest_txn. The scanner's workers decide how many transactions may scan at a time,
 * and that no tenant holds all of them.
 */
#include "ingest_pipeline.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "client/scan_client.h"
#include "core/clock.h"
#include "core/log.h"
#include "ingest_housekeeping.h"
#include "ingest_logins.h"
#include "ingest_queue.h"
#include "ingest_strangers.h"
#include "ingest_txn.h"
#include "svc/record.h"

#define AUTH_MS		10000
#define STATUS_MS	1000
#define STATUS_EVERY_MS 2000
#define SEND_PERMISSION AUTH_MESSAGE_SEND
#define SUBMIT_ACTION	"ingest.submit" /* on the record, when it was denied */

struct pipeline {
	struct ingest *in;
	void (*done)(void *ctx, struct ask *a);
	void *ctx;
	struct queue *questions, *mails;
	struct logins *logins;
	struct strangers *strangers;
	struct poison *poison;
	struct housekeeping *housekeeping;
	pthread_t watcher;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool ending;
	struct scan_status scanner;
};

/* --- questions ------------------------------------------------------------------------------------------------ */
/* As libs/svc does for rpcs: a denial is on the record before it is said. The listener is api's, so it was api's token.
 */
static enum rc
deny_forged(struct pipeline *p, struct ask *a, struct err *e)
{
	struct err why = *e;
	enum rc rc = recorder_forged(p->in->svc->recorder, SUBMIT_ACTION, "api", why.text, a->traceparent,
				     clock_mono_ms() + AUTH_MS, e);
	return rc == RC_OK ? err_set(e, RC_DENIED, "no valid actor token") : rc;
}

static enum rc
deny_missing(struct pipeline *p, struct ask *a, const struct actor *actor, struct err *e)
{
	struct audit_intent i = {.action = SUBMIT_ACTION,
				 .outcome = "denied",
				 .actor = bytes_str(svc_actor_text(actor, a->arena)),
				 .source = bytes_str(actor->from),
				 .subject = actor->tenant,
				 .number = -1,
				 .at_us = clock_wall_us(),
				 .detail = bytes_str("{\"why\":\"permission " SEND_PERMISSION " is missing\"}"),
				 .traceparent = a->traceparent};
	enum rc rc = recorder_write(p->in->svc->recorder, &actor->tenant, &i, clock_mono_ms() + AUTH_MS, e);
	return rc == RC_OK ? err_set(e, RC_DENIED, "permission %s is missing", SEND_PERMISSION) : rc;
}

static enum rc
login_by_token(struct pipeline *p, struct ask *a, struct err *e)
{
	struct actor actor;
	enum rc rc = actor_verify(p->in->svc->actors, a->token, "ingest", clock_wall_us(), a->arena, &actor, e);
	if (rc != RC_OK)
		return deny_forged(p, a, e);
	if (!actor_may(&actor, SEND_PERMISSION))
		return deny_missing(p, a, &actor, e);
	a->identity = (struct auth_identity){.tenant = actor.tenant, .account = actor.account};
	a->from = actor.from;
	return RC_OK;
}

/* Who tried to send as somebody else is on the record before he is told no. */
static enum rc
record_sender_refused(struct pipeline *p, struct ask *a, struct err *e)
{
	struct db_tx *tx = NULL;
	char detail[200], account[UUID_STR_SIZE];
	uuid_format(&a->sender.account, account);
	snprintf(detail, sizeof(detail), "{\"reason\":\"%.120s\"}", a->sender.reason);
	struct audit_intent i = {.action = "mail.sender_refused",
				 .outcome = "denied",
				 .actor = bytes_str(account),
				 .source = bytes_str(a->client_ip),
				 .subject = a->sender.account,
				 .number = -1,
				 .at_us = clock_wall_us(),
				 .detail = bytes_str(detail),
				 .traceparent = a->traceparent};
	enum rc rc = db_begin(p->in->svc->db, &a->sender.tenant, clock_mono_ms() + AUTH_MS, &tx, e);
	if (rc == RC_OK)
		rc = db_intent(tx, &i, e);
	if (rc == RC_OK)
		rc = db_commit(&tx, e);
	db_end(&tx);
	return rc;
}

static enum rc
ask_sender(struct pipeline *p, const struct auth_call *c, struct ask *a, struct err *e)
{
	struct auth_sender_question q = {.identity = a->by_token ? NULL : &a->identity,
					 .actor_token = a->by_token ? a->token : (struct bytes){0},
					 .address = a->address};
	enum rc rc = auth_sender(c, &q, a->arena, &a->sender, e);
	if (rc == RC_OK && !a->sender.allowed && !uuid_is_nil(&a->sender.tenant))
		rc = record_sender_refused(p, a, e);
	return rc;
}

static struct bytes
domain_of(struct bytes address)
{
	const uint8_t *at = memrchr(address.p, '@', address.n);
	return at != NULL ? bytes_of(at + 1, address.n - (size_t)(at + 1 - address.p)) : address;
}

static enum rc
ask_recipient(struct pipeline *p, const struct auth_call *c, struct ask *a, struct err *e)
{
	enum rc rc = auth_recipient(c, a->address, a->arena, &a->tenant, e);
	if (rc == RC_NOT_FOUND)
		strangers_add(p->strangers, domain_of(a->address), clock_mono_ms());
	return rc;
}

static void
run_question(void *ctx, struct ask *a)
{
	struct pipeline *p = ctx;
	struct err err = {0};
	struct auth_call c = {
	    .bus = p->in->svc->bus, .traceparent = a->traceparent, .deadline_ms = a->received_ms + AUTH_MS};
	switch (a->kind) {
	case ASK_LOGIN:
		a->rc = a->by_token ? login_by_token(p, a, &err)
				    : auth_login(&c, a->name, a->password, a->client_ip, a->arena, &a->identity, &err);
		break;
	case ASK_SENDER:
		a->rc = ask_sender(p, &c, a, &err);
		break;
	case ASK_RECIPIENT:
		a->rc = ask_recipient(p, &c, a, &err);
		break;
	case ASK_MESSAGE:
		abort();
	}
	if (a->rc != RC_OK && a->rc != RC_NOT_FOUND)
		log_info("question to auth failed", LOG_RC(a->rc), LOG_ERR(&err), LOG_TRACE(a->traceparent));
	p->done(p->ctx, a);
}

/* --- transactions --------------------------------------------------------------------------------------------- */
struct slot {
	struct pipeline *p;
	struct uuid tenant;
};

static void
slot_over(void *ctx)
{
	struct slot *s = ctx;
	queue_release(s->p->mails, &s->tenant);
}

static void
run_mail(void *ctx, struct ask *a)
{
	struct pipeline *p = ctx;
	struct slot slot = {p, a->envelope->tenant};
	txn_run(p->in, p->poison, a, slot_over, &slot);
	p->done(p->ctx, a);
	if (housekeeping_due(p->housekeeping, &slot.tenant, clock_mono_ms()))
		housekeeping_run(p->in->svc->db, &slot.tenant);
}

void
pipeline_tick(struct pipeline *p)
{
	struct ask *a = queue_expire(p->mails, clock_mono_ms() - p->in->config.queue_ms);
	while (a != NULL) {
		struct ask *next = a->next;
		txn_expire(a);
		p->done(p->ctx, a);
		a = next;
	}
	metric_set(&ingest_queued, 0, (int64_t)queue_waiting(p->mails));
}

bool
pipeline_put(struct pipeline *p, struct ask *a)
{
	static const struct uuid nobody;
	a->received_ms = clock_mono_ms();
	if (a->kind == ASK_MESSAGE) {
		queue_put(p->mails, &a->envelope->tenant, a);
		return false;
	}
	if (a->kind == ASK_RECIPIENT && strangers_has(p->strangers, domain_of(a->address), a->received_ms)) {
		a->rc = RC_NOT_FOUND;
		return true;
	}
	if (a->kind == ASK_LOGIN && !a->by_token)
		logins_put(p->logins, a);
	else
		queue_put(p->questions, &nobody, a);
	return false;
}

/* --- the scanner ------------------------------------------------------------------------------------------------ */
static void
look_at_scanner(struct pipeline *p)
{
	struct scan_status st = {0};
	struct err err = {0};
	if (scan_status(p->in->config.scan_socket, STATUS_MS, &st, &err) != RC_OK)
		snprintf(st.reason, sizeof(st.reason), "%.100s", err.text);
	pthread_mutex_lock(&p->lock);
	p->scanner = st;
	pthread_mutex_unlock(&p->lock);
	/* One more than there are workers keeps them busy between two mails. */
	int workers = st.workers > 0 ? (int)st.workers : 1;
	queue_set_slots(p->mails, workers + 1, workers > 1 ? workers - 1 : 1);
}

static void *
watch(void *arg)
{
	struct pipeline *p = arg;
	pthread_mutex_lock(&p->lock);
	while (!p->ending) {
		struct timespec until;
		pthread_mutex_unlock(&p->lock);
		look_at_scanner(p);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += STATUS_EVERY_MS / 1000;
		pthread_mutex_lock(&p->lock);
		if (!p->ending)
			pthread_cond_timedwait(&p->wake, &p->lock, &until);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

bool
pipeline_scanner_ready(struct pipeline *p, char *why, size_t size)
{
	pthread_mutex_lock(&p->lock);
	struct scan_status st = p->scanner;
	pthread_mutex_unlock(&p->lock);
	if (st.ready && !st.stale)
		return true;
	snprintf(why, size, "scanner: %s", st.stale ? "signatures are stale" : st.reason);
	return false;
}

struct pipeline *
pipeline_new(struct ingest *in, void (*done)(void *ctx, struct ask *a), void *ctx)
{
	struct pipeline *p = calloc(1, sizeof(*p));
	if (p == NULL)
		abort();
	p->in = in;
	p->done = done;
	p->ctx = ctx;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	p->strangers = strangers_new();
	p->poison = poison_new();
	p->housekeeping = housekeeping_new();
	p->questions = queue_new((int)in->config.auth_threads, false, run_question, p);
	p->logins = logins_new((int)in->config.login_threads, run_question, p);
	p->mails = queue_new((int)in->config.pipeline_threads, true, run_mail, p);
	snprintf(p->scanner.reason, sizeof(p->scanner.reason), "not asked yet");
	if (pthread_create(&p->watcher, NULL, watch, p) != 0)
		abort();
	return p;
}

void
pipeline_free(struct pipeline **pp)
{
	struct pipeline *p = *pp;
	if (p == NULL)
		return;
	*pp = NULL;
	pthread_mutex_lock(&p->lock);
	p->ending = true;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->watcher, NULL);
	logins_free(&p->logins);
	queue_free(&p->questions);
	queue_free(&p->mails);
	strangers_free(&p->strangers);
	poison_free(&p->poison);
	housekeeping_free(&p->housekeeping);
	free(p);
}
