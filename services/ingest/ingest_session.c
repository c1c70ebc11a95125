/* SPDX-License-Identifier: MIT
 *
 * Commands and their order (RFC 5321 section 4.1.4). One row per verb says what must have happened before it, so that
 * the functions themselves only do the work.
 */
#include <stdio.h>
#include <stdlib.h>

#include "crypt/secret.h"
#include "ingest_session_internal.h"
#include "smtp/reply.h"
#include "smtp/xtext.h"

const char *
session_kind_str(enum session_kind k)
{
	static const char *const names[] = {"mx", "submission", "submissions", "internal"};
	return names[k];
}

struct session *
session_new(const struct session_config *cfg, enum session_kind kind, const char *client_ip, struct buf *out)
{
	struct session *s = calloc(1, sizeof(*s));
	char text[300];
	if (s == NULL)
		return NULL;
	s->cfg = cfg;
	s->kind = kind;
	snprintf(s->client_ip, sizeof(s->client_ip), "%s", client_ip);
	traceparent_new(s->traceparent);
	buf_init(&s->secret, SMTP_AUTH_MAX);
	snprintf(text, sizeof(text), "%s ESMTP", cfg->hostname);
	smtp_reply_write(out, 220, NULL, text, false);
	return s;
}

static void
forget_secret(struct session *s)
{
	secret_wipe(s->secret.p, s->secret.n);
	buf_done(&s->secret);
}

void
session_free(struct session **sp)
{
	struct session *s = *sp;
	if (s == NULL)
		return;
	*sp = NULL;
	forget_secret(s);
	envelope_free(&s->envelope);
	ask_free(&s->ask);
	free(s->helo);
	free(s->token_from);
	free(s);
}

bool
session_in_transaction(const struct session *s)
{
	return s->state == AT_ASK || s->state == AT_DATA || s->state == AT_BDAT;
}

uint64_t
session_receiving(const struct session *s, uint64_t *octets_r)
{
	bool chunks = s->chunking && (s->state == AT_BDAT || (s->state == AT_COMMAND && s->envelope != NULL));
	if (s->state != AT_DATA && !chunks)
		return 0;
	*octets_r = s->data.octets;
	return s->messages;
}

void
session_goodbye(struct session *s, int code, const char *enhanced, const char *text, struct buf *out)
{
	session_reset(s); /* its memory is not kept for a client that does not read */
	s->state = AT_END;
	smtp_reply_write(out, code, enhanced, text, false);
}

void
session_tls_started(struct session *s, const char *tls)
{
	snprintf(s->tls, sizeof(s->tls), "%s", tls);
	free(s->helo);
	s->helo = NULL;
	s->esmtp = false;
	session_reset(s);
	s->state = AT_COMMAND;
}

void
session_reset(struct session *s)
{
	envelope_free(&s->envelope);
	s->chunking = false;
	s->trouble = TROUBLE_NONE;
	s->declared_size = 0;
}

enum session_want
session_end(struct session *s, struct buf *out, int code, const char *enhanced, const char *text)
{
	session_goodbye(s, code, enhanced, text, out);
	return SESSION_CLOSE;
}

enum session_want
session_reply(struct session *s, struct buf *out, int code, const char *enhanced, const char *text)
{
	bool utf8 = s->envelope != NULL && s->envelope->smtputf8;
	smtp_reply_write(out, code, s->esmtp ? enhanced : NULL, text, utf8);
	if (code >= 500 && ++s->errors >= s->cfg->errors_max)
		return session_end(s, out, 421, "4.7.0", "too many errors");
	return SESSION_MORE;
}

enum session_want
session_open_ask(struct session *s, struct ask *a)
{
	a->client_ip = arena_strdup(a->arena, s->token_from != NULL ? s->token_from : s->client_ip);
	traceparent_child(s->traceparent, a->traceparent);
	s->ask = a;
	s->state = AT_ASK;
	return SESSION_ASK;
}

struct ask *
session_take_ask(struct session *s)
{
	struct ask *a = s->ask;
	s->ask = NULL;
	return a;
}

/* --- commands ------------------------------------------------------------------------------------------------- */
static enum session_want
on_hello(struct session *s, const struct smtp_command *c, struct buf *out)
{
	char text[SMTP_DOMAIN_MAX + 300];
	char *helo = strndup((const char *)c->argument.p, c->argument.n);
	if (helo == NULL)
		return session_end(s, out, 421, "4.3.0", "out of memory");
	session_reset(s);
	free(s->helo);
	s->helo = helo;
	s->esmtp = c->verb == SMTP_EHLO;
	if (!s->esmtp) {
		smtp_reply_write(out, 250, NULL, s->cfg->hostname, false);
		return SESSION_MORE;
	}
	bool account = s->kind != SESSION_MX;
	const char *auth = s->kind == SESSION_INTERNAL	  ? "\nAUTH XSEKISHO-ACTOR"
			   : account && s->tls[0] != '\0' ? "\nAUTH PLAIN LOGIN"
							  : "";
	bool starttls = s->cfg->starttls && s->tls[0] == '\0' && s->kind != SESSION_INTERNAL;
	snprintf(text, sizeof(text),
		 "%s\nPIPELINING\nSIZE %llu\n8BITMIME\nSMTPUTF8\nCHUNKING\nENHANCEDSTATUSCODES\nDSN%s%s",
		 s->cfg->hostname, (unsigned long long)s->cfg->size_max, starttls ? "\nSTARTTLS" : "", auth);
	smtp_reply_write(out, 250, NULL, text, false);
	return SESSION_MORE;
}

static struct bytes
decode_xtext(struct arena *a, struct bytes x)
{
	struct buf b;
	struct bytes v = {0};
	buf_init(&b, 0);
	if (smtp_xtext_decode(x, &b, NULL) == RC_OK)
		v = arena_bytes(a, buf_bytes(&b));
	buf_done(&b);
	return v;
}

static const char *
protocol_of(const struct session *s, bool smtputf8)
{
	static const char *const names[2][4] = {{"ESMTP", "ESMTPS", "ESMTPA", "ESMTPSA"},
						{"UTF8SMTP", "UTF8SMTPS", "UTF8SMTPA", "UTF8SMTPSA"}};
	return s->esmtp ? names[smtputf8][(s->tls[0] != '\0') + 2 * s->authed] : "SMTP";
}

static enum session_want
begin_envelope(struct session *s, const struct smtp_mail *m, struct buf *out)
{
	struct envelope *e = envelope_new(s->cfg->budget);
	e->incoming = s->kind == SESSION_MX;
	e->inside = s->kind == SESSION_INTERNAL;
	e->mail_from = arena_bytes(e->arena, m->from.text);
	e->smtputf8 = m->smtputf8;
	e->eight_bit = m->eight_bit;
	e->ret = m->ret;
	e->envid = decode_xtext(e->arena, m->envid);
	e->idempotency = decode_xtext(e->arena, m->idempotency);
	e->client_ip = arena_strdup(e->arena, s->token_from != NULL ? s->token_from : s->client_ip);
	e->helo = arena_strdup(e->arena, s->helo);
	e->protocol = protocol_of(s, m->smtputf8);
	e->tls = arena_strdup(e->arena, s->tls);
	char parent[TRACEPARENT_SIZE];
	snprintf(parent, sizeof(parent), "%s", s->traceparent);
	if (m->trace.n == TRACEPARENT_SIZE - 1)
		memcpy(parent, m->trace.p, m->trace.n);
	traceparent_child(parent, e->traceparent);
	s->declared_size = m->has_size ? m->size : 0;
	s->envelope = e;
	if (e->incoming)
		return session_reply(s, out, 250, "2.1.0", "sender ok");
	return SESSION_MORE;
}

static enum session_want
on_mail(struct session *s, const struct smtp_command *c, struct buf *out)
{
	const struct smtp_mail *m = &c->mail;
	if (s->envelope != NULL)
		return session_reply(s, out, 503, "5.5.1", "nested MAIL command");
	if (s->kind != SESSION_MX && s->kind != SESSION_INTERNAL && s->tls[0] == '\0')
		return session_reply(s, out, 530, "5.7.0", "must issue a STARTTLS command first");
	if (s->kind != SESSION_MX && !s->authed)
		return session_reply(s, out, 530, "5.7.0", "authentication required");
	if (m->has_size && m->size > s->cfg->size_max)
		return session_reply(s, out, 552, "5.3.4", "message is larger than this server takes");
	session_reset(s); /* what a BDAT without MAIL left behind */
	if (s->kind == SESSION_MX)
		return begin_envelope(s, m, out);
	struct ask *a = ask_new(ASK_SENDER);
	a->identity = s->identity;
	a->by_token = s->by_token;
	a->token = s->by_token ? arena_bytes(a->arena, buf_bytes(&s->secret)) : (struct bytes){0};
	a->address = arena_bytes(a->arena, m->from.text);
	s->mail = *m;
	s->mail.from.text = a->address;
	s->mail.envid = m->envid.p != NULL ? arena_bytes(a->arena, m->envid) : m->envid;
	s->mail.idempotency = arena_bytes(a->arena, m->idempotency);
	s->mail.trace = arena_bytes(a->arena, m->trace);
	return session_open_ask(s, a);
}

static enum session_want
sender_answer(struct session *s, struct ask *a, struct buf *out)
{
	char text[300];
	if (a->rc == RC_DENIED)
		return session_reply(s, out, 535, "5.7.8", "authentication is no longer valid");
	if (a->rc != RC_OK)
		return session_reply(s, out, 451, "4.3.0", "sender cannot be verified now, try again later");
	if (!a->sender.allowed) {
		snprintf(text, sizeof(text), "sender refused: %s", a->sender.reason);
		return session_reply(s, out, 550, "5.7.1", text);
	}
	enum session_want want = begin_envelope(s, &s->mail, out);
	struct envelope *e = s->envelope;
	e->tenant = a->sender.tenant;
	e->has_tenant = true;
	e->account = a->sender.account;
	e->account_name = arena_strdup(e->arena, a->sender.account_name);
	e->n_may_send_as = a->sender.n_addresses;
	e->may_send_as = arena_new_array(e->arena, struct bytes, e->n_may_send_as + 1);
	for (size_t i = 0; i < e->n_may_send_as; i++)
		e->may_send_as[i] = arena_bytes(e->arena, a->sender.addresses[i]);
	smtp_reply_write(out, 250, "2.1.0", "sender ok", false);
	return want;
}

static void
add_recipient(struct session *s, const struct smtp_rcpt *r, struct bytes address)
{
	struct envelope_recipient *to = envelope_add(s->envelope);
	to->address = arena_bytes(s->envelope->arena, address);
	to->notify = r->notify;
	to->orcpt = arena_bytes(s->envelope->arena, r->orcpt);
}

/* The domain of the recipient before: it has been asked for already, in this very mail. */
static bool
same_domain(const struct envelope *e, struct bytes domain)
{
	if (e->n_recipients == 0 || domain.n == 0)
		return false;
	struct bytes last = e->recipients[e->n_recipients - 1].address;
	return last.n > domain.n && last.p[last.n - domain.n - 1] == '@' &&
	       bytes_ieq(bytes_of(last.p + last.n - domain.n, domain.n), domain);
}

static enum session_want
on_rcpt(struct session *s, const struct smtp_command *c, struct buf *out)
{
	const struct smtp_rcpt *r = &c->rcpt;
	if (s->envelope == NULL || s->chunking)
		return session_reply(s, out, 503, "5.5.1", s->chunking ? "BDAT has begun" : "MAIL first");
	if (s->envelope->n_recipients >= (size_t)s->cfg->rcpt_max)
		return session_reply(s, out, 452, "4.5.3", "too many recipients");
	if (r->to.utf8 && !s->envelope->smtputf8)
		return session_reply(s, out, 553, "5.6.7", "address needs the SMTPUTF8 parameter");
	if (r->to.literal)
		return session_reply(s, out, 550, "5.1.2", "no mail to address literals");
	if (!s->envelope->incoming && r->to.domain.n == 0)
		return session_reply(s, out, 550, "5.1.2", "a domain is needed");
	if (!s->envelope->incoming || same_domain(s->envelope, r->to.domain)) {
		add_recipient(s, r, r->to.text);
		return session_reply(s, out, 250, "2.1.5", "recipient ok");
	}
	struct ask *a = ask_new(ASK_RECIPIENT);
	a->address = arena_bytes(a->arena, r->to.text);
	if (r->to.domain.n == 0)
		a->address = bytes_str(arena_printf(a->arena, "postmaster@%s", s->cfg->hostname));
	s->rcpt = *r;
	s->rcpt.orcpt = arena_bytes(a->arena, r->orcpt);
	return session_open_ask(s, a);
}

static enum session_want
recipient_answer(struct session *s, struct ask *a, struct buf *out)
{
	struct envelope *e = s->envelope;
	if (a->rc == RC_NOT_FOUND || a->rc == RC_DENIED || a->rc == RC_INVALID)
		return session_reply(s, out, 550, "5.7.1", "relaying denied");
	if (a->rc != RC_OK)
		return session_reply(s, out, 451, "4.3.0", "recipient cannot be verified now, try again later");
	if (e->has_tenant && !uuid_eq(&e->tenant, &a->tenant))
		return session_reply(s, out, 451, "4.5.3", "send separately to this recipient");
	e->tenant = a->tenant;
	e->has_tenant = true;
	add_recipient(s, &s->rcpt, a->address);
	return session_reply(s, out, 250, "2.1.5", "recipient ok");
}

static enum session_want
on_data(struct session *s, const struct smtp_command *c, struct buf *out)
{
	return session_data_begin(s, out);
}

static enum session_want
on_rset(struct session *s, const struct smtp_command *c, struct buf *out)
{
	session_reset(s);
	return session_reply(s, out, 250, "2.0.0", "ok");
}

static enum session_want
on_noop(struct session *s, const struct smtp_command *c, struct buf *out)
{
	return session_reply(s, out, 250, "2.0.0", "ok");
}

static enum session_want
on_quit(struct session *s, const struct smtp_command *c, struct buf *out)
{
	return session_end(s, out, 221, "2.0.0", "bye");
}

static enum session_want
on_vrfy(struct session *s, const struct smtp_command *c, struct buf *out)
{
	if (c->argument.n == 0)
		return session_reply(s, out, 501, "5.5.4", "needs an argument");
	return session_reply(s, out, 252, "2.5.0", "cannot verify, but will take mail");
}

static enum session_want
on_expn(struct session *s, const struct smtp_command *c, struct buf *out)
{
	return session_reply(s, out, 502, "5.5.1", "not implemented");
}

static enum session_want
on_help(struct session *s, const struct smtp_command *c, struct buf *out)
{
	return session_reply(s, out, 214, "2.0.0", "see RFC 5321");
}

static enum session_want
on_starttls(struct session *s, const struct smtp_command *c, struct buf *out)
{
	if (!s->cfg->starttls || s->kind == SESSION_INTERNAL)
		return session_reply(s, out, 502, "5.5.1", "not offered");
	if (s->tls[0] != '\0')
		return session_reply(s, out, 503, "5.5.1", "TLS is on already");
	smtp_reply_write(out, 220, s->esmtp ? "2.0.0" : NULL, "ready to start TLS", false);
	return SESSION_STARTTLS;
}

enum row_flags {
	NEEDS_HELLO = 1,
	NEEDS_ESMTP = 2,
	OUTSIDE_MAIL = 4,  /* not between MAIL and the message's end */
	LAST_IN_GROUP = 8, /* nothing may have been sent behind it (RFC 2920, 3.1; RFC 3207, 4; RFC 4954, 4) */
	IDLE = 16,	   /* brings no mail further */
};
static const struct row {
	enum smtp_verb verb;
	unsigned flags;
	enum session_want (*run)(struct session *s, const struct smtp_command *c, struct buf *out);
} rows[] = {
    {SMTP_HELO, LAST_IN_GROUP | IDLE, on_hello},
    {SMTP_EHLO, LAST_IN_GROUP | IDLE, on_hello},
    {SMTP_STARTTLS, NEEDS_HELLO | OUTSIDE_MAIL | LAST_IN_GROUP | IDLE, on_starttls},
    {SMTP_AUTH, NEEDS_ESMTP | OUTSIDE_MAIL | LAST_IN_GROUP | IDLE, session_auth_begin},
    {SMTP_MAIL, NEEDS_HELLO | IDLE, on_mail},
    {SMTP_RCPT, NEEDS_HELLO, on_rcpt},
    {SMTP_DATA, NEEDS_HELLO | LAST_IN_GROUP, on_data},
    {SMTP_BDAT, NEEDS_ESMTP, session_bdat_begin},
    {SMTP_RSET, IDLE, on_rset},
    {SMTP_NOOP, IDLE, on_noop},
    {SMTP_QUIT, 0, on_quit},
    {SMTP_VRFY, IDLE, on_vrfy},
    {SMTP_EXPN, IDLE, on_expn},
    {SMTP_HELP, IDLE, on_help},
};

static enum session_want
run_command(struct session *s, struct bytes line, bool more_behind, struct buf *out)
{
	struct smtp_command c;
	unsigned offers = SMTP_OFFER_DSN | (s->kind == SESSION_INTERNAL ? SMTP_OFFER_INTERNAL : 0u);
	const struct smtp_fault *fault = smtp_command_parse(line, offers, &c);
	if (fault != NULL)
		return session_reply(s, out, fault->code, fault->enhanced, fault->text);
	const struct row *r = NULL;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows) && r == NULL; i++)
		r = rows[i].verb == c.verb ? &rows[i] : NULL;
	if (r == NULL)
		return session_reply(s, out, 500, "5.5.1", "command not recognised");
	if ((r->flags & LAST_IN_GROUP) != 0 && more_behind)
		return session_end(s, out, 503, "5.5.0", "input sent ahead of a reply that changes the dialogue");
	if ((r->flags & NEEDS_HELLO) != 0 && s->helo == NULL)
		return session_reply(s, out, 503, "5.5.1", "send EHLO first");
	if ((r->flags & NEEDS_ESMTP) != 0 && !s->esmtp)
		return session_reply(s, out, 503, "5.5.1", "send EHLO first");
	if ((r->flags & OUTSIDE_MAIL) != 0 && s->envelope != NULL)
		return session_reply(s, out, 503, "5.5.1", "not inside a mail transaction");
	if ((r->flags & IDLE) != 0 && ++s->idle_commands > s->cfg->idle_commands_max)
		return session_end(s, out, 421, "4.7.0", "too many commands without mail");
	return r->run(s, &c, out);
}

bool
session_line(struct session *s, struct bytes in, size_t max, struct bytes *line_r, size_t *used_r,
	     enum session_want *want_r, struct buf *out)
{
	const uint8_t *lf = memchr(in.p, '\n', in.n);
	size_t n = lf != NULL ? (size_t)(lf - in.p) + 1 : in.n;
	if (n > max) {
		*want_r = session_end(s, out, 500, "5.5.6", "line too long");
		return false;
	}
	if (lf == NULL) {
		*want_r = SESSION_MORE;
		return false;
	}
	if (n < 2 || in.p[n - 2] != '\r') {
		*want_r = session_end(s, out, 500, "5.5.2", "lines end with CRLF");
		return false;
	}
	*line_r = bytes_of(in.p, n - 2);
	*used_r = n;
	return true;
}

/* One command line, or one line of an AUTH dialogue. */
static enum session_want
feed_line(struct session *s, struct bytes in, size_t *used_r, struct buf *out)
{
	struct bytes line;
	enum session_want want;
	bool auth = s->state != AT_COMMAND || (in.n >= 5 && bytes_ieq(bytes_of(in.p, 5), bytes_str("AUTH ")));
	if (!session_line(s, in, auth ? SMTP_AUTH_MAX : SMTP_COMMAND_MAX, &line, used_r, &want, out))
		return want;
	if (s->state == AT_COMMAND)
		return run_command(s, line, *used_r < in.n, out);
	return session_auth_line(s, line, out);
}

enum session_want
session_feed(struct session *s, struct bytes in, size_t *used_r, struct buf *out)
{
	size_t done = 0;
	enum session_want want = SESSION_MORE;
	while (want == SESSION_MORE) {
		size_t used = 0;
		struct bytes rest = bytes_of(in.p + done, in.n - done);
		bool empty_chunk = s->state == AT_BDAT && s->chunk_left == 0;
		if (s->state == AT_ASK || (rest.n == 0 && !empty_chunk))
			break;
		if (s->state == AT_END)
			want = SESSION_CLOSE;
		else if (s->state == AT_DATA || s->state == AT_BDAT)
			want = session_data_feed(s, rest, &used, out);
		else
			want = feed_line(s, rest, &used, out);
		done += used;
		if (used == 0 && !empty_chunk)
			break;
	}
	*used_r = done;
	return want;
}

enum session_want
session_answer(struct session *s, struct ask **ap, struct buf *out)
{
	static enum session_want (*const answers[])(struct session *, struct ask *, struct buf *) = {
	    [ASK_LOGIN] = session_auth_answer,
	    [ASK_SENDER] = sender_answer,
	    [ASK_RECIPIENT] = recipient_answer,
	    [ASK_MESSAGE] = session_message_answer,
	};
	s->state = AT_COMMAND;
	enum session_want want = answers[(*ap)->kind](s, *ap, out);
	ask_free(ap);
	return want;
}
