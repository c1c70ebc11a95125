/* SPDX-License-Identifier: MIT
 *
 * A template with foreign octets filled in. The returned message is a part of its own behind a boundary that is made
 * from a random id, so nothing in it can end the part.
 */
#include "mail/dsn.h"

#include <stdio.h>

#include "core/clock.h"

const char *
dsn_action_str(enum dsn_action a)
{
	static const char *const names[] = {"failed", "delayed", "delivered", "relayed", "expanded"};
	return names[a];
}

/* On one line: printable ASCII, everything else "?". */
static void
add_line_text(struct buf *b, struct bytes s, size_t max)
{
	for (size_t i = 0; i < s.n && i < max; i++) {
		uint8_t c = s.p[i];
		buf_add(b, c >= 0x20 && c < 0x7f ? &c : (const uint8_t *)"?", 1);
	}
}

/* Long texts are folded at spaces. */
static void
add_folded_text(struct buf *b, struct bytes s)
{
	size_t column = 20;
	for (size_t i = 0; i < s.n && i < 900; i++) {
		uint8_t c = s.p[i];
		if (c == ' ' && column > 60) {
			buf_add_str(b, "\r\n ");
			column = 1;
			continue;
		}
		buf_add(b, c >= 0x20 && c < 0x7f ? &c : (const uint8_t *)"?", 1);
		column++;
	}
}

static bool
is_ascii(struct bytes s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] >= 0x80)
			return false;
	return true;
}

/* RFC 6533 for addresses that are not ASCII: utf-8-addr-unitext would need 8 bits, so hexpoint form. */
static void
add_address(struct buf *b, struct bytes a)
{
	if (is_ascii(a)) {
		buf_add_str(b, "rfc822; ");
		add_line_text(b, a, 512);
		return;
	}
	buf_add_str(b, "utf-8; ");
	for (size_t i = 0; i < a.n && i < 512;) {
		uint8_t c = a.p[i];
		size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
		uint32_t cp = c < 0x80 ? c : c & (0xffu >> (n + 1));
		if (n > a.n - i)
			break;
		for (size_t k = 1; k < n; k++)
			cp = cp << 6 | (a.p[i + k] & 0x3f);
		if (cp > 0x20 && cp < 0x7f && cp != '+' && cp != '=' && cp != '\\')
			buf_addf(b, "%c", (char)cp);
		else
			buf_addf(b, "\\x{%X}", cp);
		i += n;
	}
}

static const char *
subject_of(const struct dsn *d)
{
	switch (d->n_recipients > 0 ? d->recipients[0].action : DSN_FAILED) {
	case DSN_FAILED:
		return "Undelivered mail: your message could not be delivered";
	case DSN_DELAYED:
		return "Delayed mail: your message is still waiting";
	default:
		return "Delivered mail: your message was handed over";
	}
}

static const char *
intro_of(enum dsn_action a)
{
	switch (a) {
	case DSN_FAILED:
		return "could not be delivered to";
	case DSN_DELAYED:
		return "could not be delivered yet, and will be tried again, to";
	case DSN_RELAYED:
		return "was handed to a mail server that sends no confirmation of its own, for";
	default:
		return "was delivered to";
	}
}

static void
write_header(const struct dsn *d, const char *id, const char *boundary, struct buf *b)
{
	char date[CLOCK_RFC5322_SIZE];
	clock_rfc5322(d->at_us, date);
	buf_addf(b, "From: Mail Delivery System <%s>\r\nTo: ", d->from);
	add_line_text(b, d->to, 512);
	buf_addf(b, "\r\nSubject: %s\r\nDate: %s\r\n", subject_of(d), date);
	buf_addf(b, "Message-ID: <%s@%s>\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n", id, d->host);
	buf_addf(b, "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"%s\"\r\n", boundary);
}

void
dsn_map_fields(const struct buf *b, size_t from, struct dsn_text *t)
{
	*t = (struct dsn_text){.header_length = (uint32_t)(b->n - from)};
	for (size_t i = from; i < b->n && t->n_fields < DSN_FIELDS_MAX;) {
		size_t start = i;
		const uint8_t *colon = memchr(b->p + i, ':', b->n - i);
		do {
			const uint8_t *lf = memchr(b->p + i, '\n', b->n - i);
			i = (size_t)(lf - b->p) + 1;
		} while (i < b->n && (b->p[i] == ' ' || b->p[i] == '\t'));
		t->fields[t->n_fields++] = (struct dsn_field){
		    .offset = (uint32_t)(start - from),
		    .name_length = (uint32_t)(colon - (b->p + start)),
		    .length = (uint32_t)(i - start),
		};
	}
}

static void
write_people(const struct dsn *d, const char *boundary, struct buf *b)
{
	char date[CLOCK_RFC5322_SIZE];
	clock_rfc5322(d->arrived_us, date);
	buf_addf(b, "--%s\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n", boundary);
	buf_addf(b, "This is the mail system at %s.\r\n\r\nYour message of %s\r\n", d->host, date);
	for (size_t i = 0; i < d->n_recipients; i++) {
		const struct dsn_recipient *r = &d->recipients[i];
		buf_addf(b, "%s\r\n\r\n    ", intro_of(r->action));
		add_line_text(b, r->address, 512);
		buf_add_str(b, "\r\n\r\n");
		if (r->reply.n > 0) {
			buf_add_str(b, "    ");
			add_folded_text(b, r->reply);
			buf_add_str(b, "\r\n\r\n");
		}
	}
	buf_add_str(b, "Details for your mail administrator follow.\r\n\r\n");
}

static void
write_status(const struct dsn *d, const char *boundary, struct buf *b)
{
	char date[CLOCK_RFC5322_SIZE];
	clock_rfc5322(d->arrived_us, date);
	buf_addf(b, "--%s\r\nContent-Type: message/delivery-status\r\n\r\n", boundary);
	if (d->envid.n > 0) {
		buf_add_str(b, "Original-Envelope-Id: ");
		add_line_text(b, d->envid, 100);
		buf_add_str(b, "\r\n");
	}
	buf_addf(b, "Reporting-MTA: dns; %s\r\nArrival-Date: %s\r\n", d->host, date);
	for (size_t i = 0; i < d->n_recipients; i++) {
		const struct dsn_recipient *r = &d->recipients[i];
		buf_add_str(b, "\r\n");
		if (r->orcpt.n > 0) {
			buf_add_str(b, "Original-Recipient: ");
			add_line_text(b, r->orcpt, 600);
			buf_add_str(b, "\r\n");
		}
		buf_add_str(b, "Final-Recipient: ");
		add_address(b, r->address);
		buf_addf(b, "\r\nAction: %s\r\nStatus: %s\r\n", dsn_action_str(r->action), r->status);
		if (r->remote.n > 0) {
			buf_add_str(b, "Remote-MTA: dns; ");
			add_line_text(b, r->remote, 300);
			buf_add_str(b, "\r\n");
		}
		if (r->reply.n > 0) {
			buf_add_str(b, "Diagnostic-Code: smtp; ");
			add_folded_text(b, r->reply);
			buf_add_str(b, "\r\n");
		}
		clock_rfc5322(r->last_attempt_us, date);
		buf_addf(b, "Last-Attempt-Date: %s\r\n", date);
		if (r->retry_until_us != 0) {
			clock_rfc5322(r->retry_until_us, date);
			buf_addf(b, "Will-Retry-Until: %s\r\n", date);
		}
	}
	buf_add_str(b, "\r\n");
}

/* The original: CRLF as it is, octets that are not 7-bit, and NUL, as "?". */
static void
write_original(const struct dsn *d, const char *boundary, struct buf *b)
{
	buf_addf(b, "--%s\r\nContent-Type: %s\r\n\r\n", boundary, d->full ? "message/rfc822" : "text/rfc822-headers");
	for (size_t i = 0; i < d->original.n;) {
		size_t k = i;
		while (k < d->original.n && d->original.p[k] < 0x80 && d->original.p[k] != 0)
			k++;
		buf_add(b, d->original.p + i, k - i);
		if (k < d->original.n)
			buf_add_str(b, "?");
		i = k + 1;
	}
	if (b->n < 2 || b->p[b->n - 2] != '\r' || b->p[b->n - 1] != '\n')
		buf_add_str(b, "\r\n");
	buf_addf(b, "\r\n--%s--\r\n", boundary);
}

enum rc
dsn_write(const struct dsn *d, struct buf *out, struct dsn_text *text_r, struct err *e)
{
	char id[UUID_STR_SIZE], boundary[UUID_STR_SIZE + 8];
	size_t from = out->n;
	struct dsn_text text;
	uuid_format(&d->id, id);
	snprintf(boundary, sizeof(boundary), "report-%s", id);
	write_header(d, id, boundary, out);
	if (!buf_ok(out))
		return err_set(e, RC_LIMIT, "dsn: too large");
	dsn_map_fields(out, from, &text);
	buf_add_str(out, "\r\n");
	write_people(d, boundary, out);
	write_status(d, boundary, out);
	write_original(d, boundary, out);
	if (!buf_ok(out))
		return err_set(e, RC_LIMIT, "dsn: too large");
	*text_r = text;
	return RC_OK;
}
