/* SPDX-License-Identifier: MIT
 *
 * Reports. The original is read from the content store in the same transaction; what is returned are octets, copied.
 */
#include "bounce.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/log.h"
#include "delivery.h"
#include "mail/dsn.h"
#include "mail/facts.h"
#include "metrics.h"
#include "smtp/command.h"
#include "system_mail.h"

#define FULL_MAX   (256u * 1024) /* a larger message is returned as its header */
#define HEADER_MAX (64u * 1024)

bool
bounce_wanted(const struct store_message *m, const struct store_leg *l, enum change_report what)
{
	unsigned notify = 0;
	if (what == REPORT_NONE || m->direction == STORE_SYSTEM || m->mail_from.n == 0)
		return false;
	if (l->notify[0] != '\0' && !smtp_notify_parse(bytes_str(l->notify), &notify))
		notify = 0;
	switch (what) {
	case REPORT_FAILED:
	case REPORT_EXPIRED:
		return notify == 0 || (notify & SMTP_NOTIFY_FAILURE) != 0;
	case REPORT_DELAYED:
		return (notify & SMTP_NOTIFY_DELAY) != 0;
	default:
		return (notify & SMTP_NOTIFY_SUCCESS) != 0;
	}
}

/* The enhanced code of its reply, else one made of the first digit. */
static void
status_of(const struct change *c, char out[CHANGE_STATUS_SIZE])
{
	int code;
	change_codes(c->row.now.reply, c->status, &code, out);
	if (out[0] == '\0')
		snprintf(out, CHANGE_STATUS_SIZE, "%s",
			 c->report == REPORT_RELAYED   ? "2.0.0"
			 : c->report == REPORT_DELAYED ? "4.0.0"
						       : "5.0.0");
	/* What expired or failed is reported as permanent, whatever the last reply said. */
	if (c->report == REPORT_FAILED || c->report == REPORT_EXPIRED)
		out[0] = '5';
}

static enum dsn_action
action_of(enum change_report r)
{
	return r == REPORT_DELAYED ? DSN_DELAYED : r == REPORT_RELAYED ? DSN_RELAYED : DSN_FAILED;
}

static bool
same_report(const struct change *x, const struct change *y)
{
	return x->row.done && x->report == y->report && uuid_eq(&x->message->id, &y->message->id) &&
	       bounce_wanted(x->message, &x->row.now, x->report);
}

/* What goes back: read in this transaction. *report_r false: the message has gone round too often. */
static enum rc
read_original(struct db_tx *tx, struct content *content, const struct uuid *tenant, const struct store_message *m,
	      struct arena *a, struct dsn *d, bool *report_r, struct err *e)
{
	static const enum content_kind facts[] = {CONTENT_FACTS};
	struct bytes data = {0}, body = {0};
	struct facts *f = NULL;
	*report_r = true;
	/* However large the message, at most its first chunk is read: FULL_MAX octets, or the header. */
	enum rc rc = content_get(content, tx, tenant, &m->id, facts, &data, 1, FACTS_ENCODED_MAX, a, e);
	if (rc == RC_OK)
		rc = content_get_first(content, tx, tenant, &m->id, CONTENT_BODY, &body, a, e);
	/* Without its content the report is still better than silence; a database that fails is not that case. */
	if (rc != RC_OK)
		return rc_is_transient(rc) ? rc : RC_OK;
	if (data.p == NULL || body.p == NULL || facts_decode(data, a, &f, NULL) != RC_OK || f->size < body.n)
		return RC_OK;
	if (f->received_count > BOUNCE_HOPS_MAX) {
		*report_r = false;
		return RC_OK;
	}
	d->full =
	    strcmp(m->ret, "FULL") == 0 && !f->eight_bit && !f->utf8_header && f->size <= FULL_MAX && f->size == body.n;
	size_t header = f->header_length < HEADER_MAX ? f->header_length : HEADER_MAX;
	d->original = d->full ? body : bytes_of(body.p, header < body.n ? header : body.n);
	return RC_OK;
}

static struct bytes
decision_of(const struct dsn *d, struct arena *a)
{
	char id[UUID_STR_SIZE], at[CLOCK_RFC3339_SIZE];
	uuid_format(&d->message, id);
	clock_rfc3339(d->at_us, at);
	return bytes_str(
	    arena_printf(a,
			 "{\"class\":\"system\",\"kind\":\"dsn\",\"about\":\"%s\",\"at\":\"%s\",\"action\":\"%s\","
			 "\"plans\":[{\"action\":\"pass\",\"rule\":\"system mail is never held\"}]}",
			 id, at, dsn_action_str(d->recipients[0].action)));
}

/* The new message: content, row and leg. */
static enum rc
insert(struct db_tx *tx, struct content *content, const struct uuid *tenant, const struct store_message *about,
       const struct dsn *d, struct bytes body, const struct dsn_text *map, struct arena *a, struct err *e)
{
	char trace[TRACEPARENT_SIZE];
	traceparent_child(about->traceparent, trace);
	const struct system_mail m = {
	    .id = d->id,
	    .at_us = d->at_us,
	    .to = d->to,
	    .cause = "dsn",
	    .host = d->host,
	    .traceparent = trace,
	    .smtputf8 = about->smtputf8,
	    .body = body,
	    .map = map,
	    .from = d->from,
	    .from_display = "Mail Delivery System",
	    .subject = "Delivery status notification",
	    .decision = decision_of(d, a),
	    .action = "report.made",
	};
	enum rc rc = system_mail_insert(tx, content, tenant, &m, a, e);
	if (rc == RC_NOT_FOUND)
		return RC_OK; /* a sender like user@[192.0.2.1]: nobody to tell */
	if (rc == RC_OK)
		metric_add(&metric_reports, 0, 1);
	return rc;
}

/* One report on the recipients r[0..n) of one message. */
static enum rc
make_one(struct db_tx *tx, struct content *content, const struct uuid *tenant, const struct change *const *r, size_t n,
	 int64_t now_us, struct err *e)
{
	struct arena *a = arena_new();
	const struct store_message *m = r[0]->message;
	struct dsn_recipient *v = arena_new_array(a, struct dsn_recipient, n);
	/* The tenant's own domain: the sender's for outgoing mail, the recipient's for incoming; it has the keys. */
	const char *domain =
	    system_mail_domain(m->direction == STORE_OUTGOING ? m->mail_from : r[0]->row.now.address, a);
	const char *host = m->host.n > 0 ? arena_strndup(a, m->host.p, m->host.n) : delivery_config.hostname;
	struct dsn d = {
	    .id = uuid_v7(now_us),
	    .at_us = now_us,
	    .host = host,
	    .from = arena_printf(a, "mailer-daemon@%s", domain != NULL ? domain : host),
	    .to = m->mail_from,
	    .message = m->id,
	    .arrived_us = m->accepted_us,
	    .envid = m->envid,
	    .recipients = v,
	    .n_recipients = n,
	};
	for (size_t i = 0; i < n; i++) {
		const struct store_leg *l = &r[i]->row.now;
		v[i] = (struct dsn_recipient){
		    .address = l->address,
		    .orcpt = l->orcpt,
		    .action = action_of(r[i]->report),
		    .reply = l->reply,
		    .remote = l->remote,
		    .last_attempt_us = now_us,
		    .retry_until_us =
			r[i]->report == REPORT_DELAYED ? store_sendable_us(m, l) + delivery_config.expiry_ms * 1000 : 0,
		};
		status_of(r[i], v[i].status);
	}
	bool report = false;
	struct buf body;
	struct dsn_text text;
	buf_init(&body, 0);
	enum rc rc = read_original(tx, content, tenant, m, a, &d, &report, e);
	if (rc == RC_OK && report)
		rc = dsn_write(&d, &body, &text, e);
	if (rc == RC_OK && report)
		rc = insert(tx, content, tenant, m, &d, buf_bytes(&body), &text, a, e);
	buf_done(&body);
	arena_free(&a);
	return rc;
}

enum rc
bounces_make(struct db_tx *tx, struct content *content, const struct uuid *tenant, const struct change *v, size_t n,
	     int64_t now_us, struct err *e)
{
	const struct change **r = NULL;
	enum rc rc = RC_OK;
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		const struct change *c = &v[i];
		if (!c->row.done || c->report == REPORT_NONE)
			continue;
		if (c->message->direction == STORE_SYSTEM && leg_is_final(c->row.now.state) &&
		    c->report != REPORT_RELAYED)
			log_error("system mail could not be delivered", LOG_MESSAGE(&c->row.message),
				  LOG_TENANT(tenant));
		if (!bounce_wanted(c->message, &c->row.now, c->report))
			continue;
		/* All recipients of a message with the same kind of news share a report. The same message may have been
		 * read more than once: by its id, not by where it lies. */
		bool first = true;
		for (size_t k = 0; k < i && first; k++)
			first = !same_report(&v[k], c);
		if (!first)
			continue;
		if (r == NULL && (r = calloc(n, sizeof(*r))) == NULL)
			abort();
		size_t k = 0;
		for (size_t j = i; j < n; j++)
			if (same_report(&v[j], c))
				r[k++] = &v[j];
		rc = make_one(tx, content, tenant, r, k, now_us, e);
	}
	free(r);
	return rc;
}

enum rc
bounces_prepare(struct content *content, const struct uuid *tenant, const struct change *v, size_t n, struct err *e)
{
	bool wanted = false;
	for (size_t i = 0; i < n && !wanted; i++)
		wanted = bounce_wanted(v[i].message, &v[i].row.now, v[i].report);
	if (!wanted)
		return RC_OK;
	return system_mail_prepare(content, tenant, &v[0].message->id, e);
}
