/* SPDX-License-Identifier: MIT
 *
 * Decoding of mail.accepted. The bytes come from ingest, which took many of them from strangers.
 */
#include "accepted.h"

#include <stdlib.h>

#include "proto/ingest.pb-c.h"
#include "smtp/address.h"
#include "smtp/command.h"

#define STRING_MAX 1024

static struct bytes
copy(struct arena *a, const char *s)
{
	return arena_bytes(a, bytes_str(s));
}

static bool
domain_of(struct bytes address, const char *host, struct arena *a, struct bytes *domain_r)
{
	struct smtp_address parsed;
	char ascii[SMTP_ASCII_DOMAIN_SIZE];
	if (bytes_ieq(address, bytes_str("postmaster"))) { /* the one address without a domain: ours */
		*domain_r = copy(a, host);
		return true;
	}
	if (smtp_address_parse(address, &parsed, NULL) != RC_OK)
		return false;
	if (parsed.literal) {
		*domain_r = arena_bytes(a, parsed.domain);
		return true;
	}
	if (smtp_domain_ascii(parsed.domain, ascii, NULL) != RC_OK)
		return false;
	*domain_r = copy(a, ascii);
	return true;
}

/* No recipient costs the others their mail. What is wrong with one is left out; one without a usable domain keeps an
 * empty one, and its leg bounces when it is sent. */
static void
leg_of(const Sekisho__Ingest__Recipient *r, const char *host, struct arena *a, struct store_leg *l)
{
	unsigned notify;
	bool notify_ok = r->notify[0] == '\0' || smtp_notify_parse(bytes_str(r->notify), &notify);
	l->address = arena_bytes(a, bytes_of(r->address.data, r->address.len));
	l->rule = copy(a, strlen(r->rule) <= STRING_MAX ? r->rule : "");
	l->orcpt = copy(a, strlen(r->orcpt) <= STRING_MAX ? r->orcpt : "");
	l->notify = arena_strdup(a, notify_ok ? r->notify : "");
	l->cause = "envelope";
	l->version = 1;
	l->due_us = DB_TIME_NULL;
	switch (r->action) {
	case SEKISHO__INGEST__RECIPIENT__ACTION__PASS:
		l->state = LEG_QUEUED;
		break;
	case SEKISHO__INGEST__RECIPIENT__ACTION__HOLD:
		l->state = LEG_HELD;
		if (r->hold_until_us > 0)
			l->due_us = r->hold_until_us;
		break;
	case SEKISHO__INGEST__RECIPIENT__ACTION__QUARANTINE:
		l->state = LEG_QUARANTINED;
		break;
	default: /* UNDECIDED, and whatever a newer ingest may say: an operator decides */
		l->state = LEG_HELD;
		break;
	}
	if (!domain_of(l->address, host, a, &l->domain))
		l->domain = bytes_of("", 0);
}

static enum rc
check(const Sekisho__Ingest__Accepted *m, struct err *e)
{
	const char *const strings[] = {m->traceparent, m->account_name, m->client_ip, m->helo,	  m->protocol,
				       m->tls,	       m->envid,	m->ret,	      m->verdict, m->host};
	struct smtp_address from;
	struct uuid id;
	if (m->message.len != sizeof(id.b) || (m->account.len != 0 && m->account.len != sizeof(id.b)))
		return err_set(e, RC_INVALID, "accepted: an id is not 16 octets");
	memcpy(id.b, m->message.data, sizeof(id.b));
	if (m->accepted_us <= 0 || llabs(uuid_time_us(&id) - m->accepted_us) > 1000)
		return err_set(e, RC_INVALID, "accepted: the id is not of that time");
	if (m->n_recipients == 0 || m->n_recipients > ACCEPTED_RECIPIENTS_MAX)
		return err_set(e, RC_INVALID, "accepted: %zu recipients", m->n_recipients);
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		if (strlen(strings[i]) > STRING_MAX)
			return err_set(e, RC_INVALID, "accepted: string %zu is too long", i);
	if (!traceparent_valid(m->traceparent))
		return err_set(e, RC_INVALID, "accepted: no traceparent");
	if (m->ret[0] != '\0' && strcmp(m->ret, "FULL") != 0 && strcmp(m->ret, "HDRS") != 0)
		return err_set(e, RC_INVALID, "accepted: RET is neither FULL nor HDRS");
	if (m->mail_from.len > 0 &&
	    smtp_address_parse(bytes_of(m->mail_from.data, m->mail_from.len), &from, NULL) != RC_OK)
		return err_set(e, RC_INVALID, "accepted: the sender is no address");
	return RC_OK;
}

enum rc
accepted_decode(struct bytes payload, struct arena *a, struct store_arrival *out_r, struct err *e)
{
	Sekisho__Ingest__Accepted *m = sekisho__ingest__accepted__unpack(NULL, payload.n, payload.p);
	if (m == NULL)
		return err_set(e, RC_INVALID, "accepted: does not decode");
	enum rc rc = check(m, e);
	if (rc != RC_OK)
		goto out;
	struct store_arrival v = {.n_legs = m->n_recipients};
	struct store_message *to = &v.message;
	memcpy(to->id.b, m->message.data, sizeof(to->id.b));
	to->accepted_us = m->accepted_us;
	to->direction = m->incoming ? STORE_INCOMING : STORE_OUTGOING;
	to->mail_from = arena_bytes(a, bytes_of(m->mail_from.data, m->mail_from.len));
	to->size = m->size;
	to->traceparent = arena_strdup(a, m->traceparent);
	to->eight_bit = m->eight_bit;
	to->smtputf8 = m->smtputf8;
	if (m->account.len > 0)
		memcpy(to->account.b, m->account.data, sizeof(to->account.b));
	to->account_name = copy(a, m->account_name);
	to->client_ip = copy(a, m->client_ip);
	to->helo = copy(a, m->helo);
	to->protocol = copy(a, m->protocol);
	to->tls = copy(a, m->tls);
	to->envid = copy(a, m->envid);
	to->ret = arena_strdup(a, m->ret);
	to->verdict = copy(a, m->verdict);
	to->host = copy(a, m->host);
	v.legs = arena_new_array(a, struct store_leg, v.n_legs);
	for (size_t i = 0; i < v.n_legs; i++) {
		v.legs[i].number = (int32_t)i;
		leg_of(m->recipients[i], m->host, a, &v.legs[i]);
	}
	*out_r = v;
out:
	sekisho__ingest__accepted__free_unpacked(m, NULL);
	return rc;
}
