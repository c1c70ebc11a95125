/* SPDX-License-Identifier: MIT
 *
 * rpc notice: services ask for a mail to a person. The key is stored in the commit that makes the mail, so it is made
 * once; asked again, its id is the answer.
 */
#include "handlers.h"

#include "codec.h"
#include "core/clock.h"
#include "delivery.h"
#include "metrics.h"
#include "notice_text.h"
#include "schedule.h"
#include "smtp/address.h"
#include "system_mail.h"

#define KEY_MAX	       200
#define CAUSE_MAX      64
#define SUBJECT_MAX    400
#define TEXT_MAX       (256u * 1024)
#define NAME_MAX_      200
#define ATTACHMENT_MAX (1024u * 1024)

static bool
is_key(const char *s)
{
	size_t n = 0;
	for (; s[n] != '\0'; n++)
		if (s[n] < 0x21 || s[n] > 0x7e)
			return false;
	return n >= 1 && n <= KEY_MAX;
}

static bool
is_cause(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789._");
	return s[n] == '\0' && n >= 1 && n <= CAUSE_MAX && strcmp(s, "envelope") != 0;
}

static enum rc
check(const Sekisho__Delivery__NoticeRequest *q, struct smtp_address *to_r, struct err *e)
{
	if (!is_key(q->key))
		return err_set(e, RC_INVALID, "key: 1 to %d visible ASCII characters", KEY_MAX);
	if (!is_cause(q->cause))
		return err_set(e, RC_INVALID, "cause: a-z, 0-9, dot, underscore, at most %d", CAUSE_MAX);
	if (smtp_address_parse(bytes_str(q->to), to_r, NULL) != RC_OK || to_r->domain.n == 0)
		return err_set(e, RC_INVALID, "to: not an address");
	if (strlen(q->subject) > SUBJECT_MAX || strlen(q->text) > TEXT_MAX || strlen(q->attachment_name) > NAME_MAX_ ||
	    q->attachment.len > ATTACHMENT_MAX)
		return err_set(e, RC_LIMIT, "notice: too long");
	if (q->attachment.len > 0 && q->attachment_name[0] == '\0')
		return err_set(e, RC_INVALID, "attachment_name: missing");
	return RC_OK;
}

/* From where: a domain of the tenant that signs, the receiver's own first; else this host. */
static enum rc
sender(struct db_tx *tx, const struct uuid *tenant, struct bytes to, struct arena *a, const char **from_r,
       struct err *e)
{
	const char *own = system_mail_domain(to, a), *domain = NULL;
	enum rc rc = store_key_domain(tx, tenant, bytes_str(own != NULL ? own : ""), a, &domain, e);
	if (rc == RC_OK)
		*from_r = arena_printf(a, "no-reply@%s", domain != NULL ? domain : delivery_config.hostname);
	return rc;
}

static enum rc
make(const struct svc_request *r, struct db_tx *tx, const Sekisho__Delivery__NoticeRequest *q,
     const struct smtp_address *to, const struct uuid *id, int64_t now_us, struct err *e)
{
	struct arena *a = r->in->arena;
	struct notice_text t = {
	    .id = *id,
	    .at_us = now_us,
	    .host = delivery_config.hostname,
	    .to = bytes_str(q->to),
	    .subject = q->subject,
	    .text = q->text,
	    .attachment_name = q->attachment_name,
	    .attachment = bytes_of(q->attachment.data, q->attachment.len),
	};
	struct dsn_text map;
	struct buf body;
	char at[CLOCK_RFC3339_SIZE];
	clock_rfc3339(now_us, at);
	enum rc rc = sender(tx, &r->in->tenant, t.to, a, &t.from, e);
	if (rc != RC_OK)
		return rc;
	buf_init(&body, 0);
	rc = notice_text_write(&t, &body, &map, e);
	if (rc == RC_OK) {
		const struct system_mail m = {
		    .id = *id,
		    .at_us = now_us,
		    .to = t.to,
		    .cause = q->cause,
		    .host = t.host,
		    .traceparent = r->in->traceparent,
		    .smtputf8 = to->utf8,
		    .body = buf_bytes(&body),
		    .map = &map,
		    .from = t.from,
		    .from_display = NOTICE_FROM_DISPLAY,
		    .subject = q->subject,
		    .text = q->text,
		    .utf8_header = to->utf8,
		    .decision = bytes_str(
			arena_printf(a,
				     "{\"class\":\"system\",\"kind\":\"notice\",\"cause\":\"%s\",\"at\":\"%s\","
				     "\"plans\":[{\"action\":\"pass\",\"rule\":\"system mail is never held\"}]}",
				     q->cause, at)),
		    .action = "notice.made",
		};
		rc = system_mail_insert(tx, r->svc->content, &r->in->tenant, &m, a, e);
		if (rc == RC_NOT_FOUND)
			rc = err_set(e, RC_INVALID, "to: nobody can be sent to at that address");
	}
	buf_done(&body);
	return rc;
}

enum rc
handle_notice(const struct svc_request *r, struct buf *reply, struct err *e)
{
	const Sekisho__Delivery__NoticeRequest *q = CODEC_UNPACK(notice_request, r);
	Sekisho__Delivery__NoticeReply m = SEKISHO__DELIVERY__NOTICE_REPLY__INIT;
	struct smtp_address to = {0};
	struct db_tx *tx = NULL;
	bool fresh = false;
	int64_t now = clock_wall_us();
	struct uuid id = uuid_v7(now), made = id;
	if (q == NULL || !r->in->has_tenant)
		return err_set(e, RC_INVALID, "request does not decode, or is of no tenant");
	enum rc rc = check(q, &to, e);
	if (rc == RC_OK)
		rc = system_mail_prepare(r->svc->content, &r->in->tenant, &id, e);
	if (rc == RC_OK)
		rc = db_begin(r->svc->db, &r->in->tenant, r->in->deadline_ms, &tx, e);
	if (rc == RC_OK)
		rc = store_notice(tx, &r->in->tenant, q->key, &made, &fresh, e);
	if (rc == RC_OK && fresh)
		rc = make(r, tx, q, &to, &id, now, e);
	if (rc == RC_OK && fresh)
		rc = db_commit(&tx, e);
	db_end(&tx);
	if (rc != RC_OK)
		return rc;
	if (fresh) {
		metric_add(&metric_notices, 0, 1);
		scheduler_wake(delivery.scheduler);
	}
	m.message = (ProtobufCBinaryData){sizeof(made.b), made.b};
	return codec_pack(&m.base, reply, e);
}
