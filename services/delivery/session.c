/* SPDX-License-Identifier: MIT
 *
 * The dialogue. MAIL, RCPT and DATA leave in one write where the server pipelines. The rule that matters: before the
 * final dot has left, nothing was taken; after it, only a reply says what became of it.
 */
#include "session.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"
#include "crypt/secret.h"
#include "lease.h"
#include "metrics.h"
#include "smtp/command.h"
#include "smtp/data.h"
#include "smtp/xtext.h"
#include "wire.h"

#define CHUNK	     (256u * 1024)
#define MESSAGES_MAX 1000 /* on one connection */

struct session {
	struct delivery *d;
	struct wire *wire;
	struct smtp_capabilities offers;
	struct smtp_reply reply;
	char destination[400], remote[300];
	bool broken;
	unsigned messages;
	struct buf out;
};

static enum rc
command(struct session *s, const char *line, int64_t timeout_ms, struct err *e)
{
	enum rc rc = wire_write(s->wire, bytes_str(line), timeout_ms, NULL, e);
	return rc == RC_OK ? wire_reply(s->wire, &s->reply, timeout_ms, e) : rc;
}

static enum rc
unexpected(struct session *s, const char *what, struct err *e)
{
	char line[200];
	smtp_reply_line(&s->reply, line, sizeof(line));
	return err_set(e, RC_RETRY, "%s: %s", what, line);
}

static enum rc
hello(struct session *s, struct err *e)
{
	char line[300];
	snprintf(line, sizeof(line), "EHLO %s\r\n", delivery_config.hostname);
	enum rc rc = command(s, line, delivery_config.greeting_ms, e);
	if (rc != RC_OK)
		return rc;
	s->offers = (struct smtp_capabilities){0};
	if (s->reply.code == 250) {
		smtp_capabilities_parse(&s->reply, &s->offers);
		return RC_OK;
	}
	if (s->reply.code / 100 != 5 || wire_has_tls(s->wire))
		return unexpected(s, "EHLO", e);
	snprintf(line, sizeof(line), "HELO %s\r\n", delivery_config.hostname);
	rc = command(s, line, delivery_config.greeting_ms, e);
	return rc != RC_OK || s->reply.code == 250 ? rc : unexpected(s, "HELO", e);
}

/* RC_CONFLICT: the handshake failed where TLS is only wished for; try again without. */
static enum rc
start_tls(struct session *s, const struct route_targets *to, const char *host, struct err *e)
{
	if (!s->offers.starttls)
		return to->tls == ROUTE_TLS_MAY ? RC_OK : err_set(e, RC_RETRY, "STARTTLS is required and not offered");
	enum rc rc = command(s, "STARTTLS\r\n", delivery_config.command_ms, e);
	if (rc != RC_OK)
		return rc;
	if (s->reply.code != 220)
		return to->tls == ROUTE_TLS_MAY ? RC_OK : unexpected(s, "STARTTLS", e);
	rc = wire_start_tls(s->wire, host, to->tls == ROUTE_TLS_VERIFY, delivery_config.command_ms, e);
	if (rc != RC_OK)
		return to->tls == ROUTE_TLS_MAY ? RC_CONFLICT : rc;
	return hello(s, e); /* RFC 3207, 4.2: what was known before counts no more */
}

static void
add_base64_line(struct buf *b, struct bytes in)
{
	uint8_t *to = buf_reserve(b, (in.n + 2) / 3 * 4 + 1);
	if (to != NULL)
		b->n += (size_t)EVP_EncodeBlock(to, in.p, (int)in.n);
	buf_add_str(b, "\r\n");
}

static enum rc
send_secret(struct session *s, struct buf *line, struct err *e)
{
	enum rc rc = wire_write(s->wire, buf_bytes(line), delivery_config.command_ms, NULL, e);
	secret_wipe(line->p, line->n);
	buf_reset(line);
	return rc == RC_OK ? wire_reply(s->wire, &s->reply, delivery_config.command_ms, e) : rc;
}

static enum rc
auth_plain(struct session *s, const struct route_targets *to, struct buf *line, struct err *e)
{
	struct buf plain;
	buf_init(&plain, 0);
	buf_add(&plain, "", 1);
	buf_add_str(&plain, to->username);
	buf_add(&plain, "", 1);
	buf_add_bytes(&plain, buf_bytes(&to->password));
	buf_add_str(line, "AUTH PLAIN ");
	add_base64_line(line, buf_bytes(&plain));
	secret_wipe(plain.p, plain.n);
	buf_done(&plain);
	return send_secret(s, line, e);
}

static enum rc
auth_login(struct session *s, const struct route_targets *to, struct buf *line, struct err *e)
{
	enum rc rc = command(s, "AUTH LOGIN\r\n", delivery_config.command_ms, e);
	if (rc == RC_OK && s->reply.code == 334) {
		add_base64_line(line, bytes_str(to->username));
		rc = send_secret(s, line, e);
	}
	if (rc == RC_OK && s->reply.code == 334) {
		add_base64_line(line, buf_bytes(&to->password));
		rc = send_secret(s, line, e);
	}
	return rc;
}

static enum rc
authenticate(struct session *s, const struct route_targets *to, struct err *e)
{
	if (!to->has_auth)
		return RC_OK;
	if (!wire_has_tls(s->wire))
		return err_set(e, RC_RETRY, "AUTH only under TLS");
	struct buf line;
	buf_init(&line, 0);
	enum rc rc;
	if (s->offers.auth_plain)
		rc = auth_plain(s, to, &line, e);
	else if (s->offers.auth_login)
		rc = auth_login(s, to, &line, e);
	else
		rc = err_set(e, RC_RETRY, "AUTH: neither PLAIN nor LOGIN is offered");
	buf_done(&line);
	return rc != RC_OK || s->reply.code == 235 ? rc : unexpected(s, "AUTH", e);
}

static enum rc
greet(struct session *s, const struct route_targets *to, const char *host, bool try_tls, struct err *e)
{
	enum rc rc = wire_reply(s->wire, &s->reply, delivery_config.greeting_ms, e);
	if (rc == RC_OK && s->reply.code != 220)
		rc = unexpected(s, "greeting", e);
	if (rc == RC_OK)
		rc = hello(s, e);
	if (rc == RC_OK && try_tls)
		rc = start_tls(s, to, host, e);
	if (rc == RC_OK)
		rc = authenticate(s, to, e);
	return rc;
}

static enum rc
open_one(struct session *s, const struct route_targets *to, const char *name, const char *address, int port,
	 struct err *e)
{
	enum rc rc = RC_CONFLICT;
	for (int try_tls = 1; rc == RC_CONFLICT && try_tls >= 0; try_tls--) {
		wire_close(&s->wire);
		rc = wire_connect(address, port, delivery_config.connect_ms, &s->wire, e);
		if (rc == RC_OK)
			rc = greet(s, to, name, try_tls == 1, e);
	}
	return rc;
}

enum rc
session_open(struct delivery *d, const struct route_targets *to, const char *destination, struct session **out_r,
	     char *remote, size_t remote_size, struct err *e)
{
	struct session *s = calloc(1, sizeof(*s));
	if (s == NULL)
		abort();
	s->d = d;
	smtp_reply_init(&s->reply);
	buf_init(&s->out, 0);
	snprintf(s->destination, sizeof(s->destination), "%s", destination);
	enum rc rc = err_set(e, RC_RETRY, "no address to connect to");
	for (size_t i = 0; rc != RC_OK && i < to->n; i++) {
		const struct route_target *t = &to->v[i];
		if (strcmp(t->host, t->address) == 0)
			snprintf(s->remote, sizeof(s->remote), "[%s]:%d", t->address, t->port);
		else
			snprintf(s->remote, sizeof(s->remote), "%s [%s]:%d", t->host, t->address, t->port);
		rc = open_one(s, to, t->host, t->address, t->port, e);
	}
	if (remote != NULL)
		snprintf(remote, remote_size, "%s", s->remote);
	metric_add(&metric_connections, rc == RC_OK ? 0 : 2, 1);
	if (rc != RC_OK) {
		s->broken = true;
		session_close(&s);
		return rc;
	}
	*out_r = s;
	return RC_OK;
}

void
session_close(struct session **sp)
{
	struct session *s = *sp;
	if (s == NULL)
		return;
	if (!s->broken && wire_write(s->wire, bytes_str("QUIT\r\n"), 1000, NULL, NULL) != RC_OK)
		s->broken = true;
	wire_close(&s->wire);
	smtp_reply_done(&s->reply);
	buf_done(&s->out);
	free(s);
	*sp = NULL;
}

const struct smtp_capabilities *
session_offers(const struct session *s)
{
	return &s->offers;
}

const char *
session_destination(const struct session *s)
{
	return s->destination;
}

bool
session_usable(struct session *s)
{
	return !s->broken && s->messages < MESSAGES_MAX && wire_quiet(s->wire);
}

/* --- a transaction ----------------------------------------------------------------------------------------- */
static enum leg_event
event_of(int code)
{
	return code / 100 == 2 ? LEG_ON_ACCEPT : code / 100 == 5 ? LEG_ON_BOUNCE : LEG_ON_DEFER;
}

static void
settle(struct session *s, struct job_leg *l, enum leg_event v)
{
	l->event = v;
	smtp_reply_line(&s->reply, l->reply, sizeof(l->reply));
}

static void
settle_open(struct session *s, struct job *j, const bool *taken, enum leg_event v)
{
	for (size_t i = 0; i < j->n_legs; i++)
		if (j->legs[i].event == LEG_EVENTS && taken[i])
			settle(s, &j->legs[i], v);
}

static void
write_mail(struct session *s, const struct job *j, const struct session_message *m)
{
	struct smtp_mail mail = {
	    .from = {.text = j->message->mail_from},
	    .has_size = s->offers.size,
	    .size = m->size,
	    .eight_bit = m->eight_bit && s->offers.eightbitmime,
	    .smtputf8 = m->smtputf8,
	};
	struct buf envid;
	buf_init(&envid, 0);
	if (s->offers.dsn) {
		mail.ret = strcmp(j->message->ret, "FULL") == 0	  ? SMTP_RET_FULL
			   : strcmp(j->message->ret, "HDRS") == 0 ? SMTP_RET_HDRS
								  : SMTP_RET_NONE;
		if (j->message->envid.n > 0) {
			smtp_xtext_encode(j->message->envid, &envid);
			mail.envid = buf_bytes(&envid);
		}
	}
	smtp_mail_write(&s->out, &mail);
	buf_done(&envid);
}

static void
write_rcpt(struct session *s, struct job_leg *l)
{
	struct smtp_rcpt rcpt = {.to = {.text = l->leg.address}};
	if (s->offers.dsn) {
		if (!smtp_notify_parse(bytes_str(l->leg.notify), &rcpt.notify))
			rcpt.notify = 0;
		if (l->leg.orcpt.n > 0)
			rcpt.orcpt = l->leg.orcpt;
	}
	l->dsn_passed_on = s->offers.dsn; /* an earlier try of ours may have been to another server */
	smtp_rcpt_write(&s->out, &rcpt);
}

static enum rc
flush(struct session *s, struct err *e)
{
	enum rc rc = wire_write(s->wire, buf_bytes(&s->out), delivery_config.command_ms, NULL, e);
	buf_reset(&s->out);
	return rc;
}

/* Without PIPELINING every command waits for its reply. */
static enum rc
turn(struct session *s, struct err *e)
{
	return s->offers.pipelining ? RC_OK : flush(s, e);
}

/* MAIL and RCPTs. *n_taken_r recipients were accepted (taken[i]); DATA is on its way when we pipeline. */
static enum rc
envelope(struct session *s, struct job *j, const struct session_message *m, bool *taken, size_t *n_taken_r,
	 bool *mail_ok_r, struct err *e)
{
	buf_reset(&s->out);
	write_mail(s, j, m);
	*n_taken_r = 0;
	for (size_t i = 0; i < j->n_legs; i++)
		taken[i] = j->legs[i].event == LEG_EVENTS; /* asked for; its reply decides */
	if (s->offers.pipelining) {
		for (size_t i = 0; i < j->n_legs; i++)
			if (taken[i])
				write_rcpt(s, &j->legs[i]);
		buf_add_str(&s->out, "DATA\r\n");
	}
	enum rc rc = flush(s, e);
	if (rc == RC_OK)
		rc = wire_reply(s->wire, &s->reply, delivery_config.command_ms, e);
	if (rc != RC_OK)
		return rc;
	*mail_ok_r = s->reply.code / 100 == 2;
	if (!*mail_ok_r) {
		settle_open(s, j, taken, event_of(s->reply.code));
		if (!s->offers.pipelining)
			return RC_OK;
	}
	for (size_t i = 0; i < j->n_legs; i++) {
		struct job_leg *l = &j->legs[i];
		if (!taken[i])
			continue;
		if (!s->offers.pipelining) {
			write_rcpt(s, l);
			if ((rc = turn(s, e)) != RC_OK)
				return rc;
		}
		rc = wire_reply(s->wire, &s->reply, delivery_config.command_ms, e);
		if (rc != RC_OK)
			return rc;
		/* After a refused MAIL what it says about RCPT means nothing. */
		taken[i] = *mail_ok_r && s->reply.code / 100 == 2;
		*n_taken_r += taken[i];
		if (*mail_ok_r && !taken[i])
			settle(s, l, event_of(s->reply.code));
	}
	return RC_OK;
}

/* RC_CONFLICT: the lease is over, or cannot be kept. */
static enum rc
keep(struct session *s, struct job *j, struct err *e)
{
	struct err why = {.text = ""};
	if (lease_keep(s->d, j, &why) == RC_OK)
		return RC_OK;
	return err_set(e, RC_CONFLICT, "given up before the final dot: %s", why.text);
}

/* However slowly the peer reads: every block leaves under a lease that outlives it and the reply to the dot. */
static enum rc
body(struct session *s, struct job *j, const struct session_message *m, bool *dot_left_r, struct err *e)
{
	struct smtp_dot dot;
	enum rc rc = RC_OK;
	smtp_dot_init(&dot);
	buf_reset(&s->out);
	for (size_t i = 0; rc == RC_OK && i < m->n_pieces; i++) {
		struct bytes rest = m->pieces[i];
		while (rc == RC_OK && rest.n > 0) {
			size_t n = rest.n < CHUNK ? rest.n : CHUNK;
			rc = smtp_dot_encode(&dot, bytes_of(rest.p, n), &s->out, e);
			rest = bytes_of(rest.p + n, rest.n - n);
			if (rc == RC_OK && s->out.n >= CHUNK) {
				rc = keep(s, j, e);
				if (rc != RC_OK)
					return rc;
				rc = wire_write(s->wire, buf_bytes(&s->out), delivery_config.block_ms, NULL, e);
				buf_reset(&s->out);
			}
		}
	}
	if (rc == RC_OK)
		rc = smtp_dot_end(&dot, &s->out, e);
	if (rc == RC_OK)
		rc = keep(s, j, e);
	if (rc == RC_OK)
		rc = wire_write(s->wire, buf_bytes(&s->out), delivery_config.block_ms, dot_left_r, e);
	buf_reset(&s->out);
	return rc;
}

/* After 354. */
static enum rc
data(struct session *s, struct job *j, const struct session_message *m, const bool *taken, struct err *e)
{
	bool dot_left = false;
	enum rc rc = body(s, j, m, &dot_left, e);
	if (rc == RC_CONFLICT) { /* an attempt like any other that failed: counted, and not repeated at once */
		for (size_t i = 0; i < j->n_legs; i++) {
			if (!taken[i])
				continue;
			j->legs[i].event = LEG_ON_DEFER;
			j->legs[i].status = "4.4.2";
			snprintf(j->legs[i].reply, sizeof(j->legs[i].reply), "4.4.2 %s", e->text);
		}
		return rc;
	}
	if (rc == RC_OK) {
		rc = wire_reply(s->wire, &s->reply, delivery_config.dot_ms, e);
		if (rc == RC_OK) {
			settle_open(s, j, taken, event_of(s->reply.code));
			return RC_OK;
		}
	}
	for (size_t i = 0; rc == RC_INVALID && !dot_left && i < j->n_legs; i++) { /* bare CR or LF: never sent by us */
		if (!taken[i])
			continue;
		j->legs[i].event = LEG_ON_BOUNCE;
		j->legs[i].status = "5.6.0";
		snprintf(j->legs[i].reply, sizeof(j->legs[i].reply), "5.6.0 %s", e->text);
	}
	for (size_t i = 0; dot_left && i < j->n_legs; i++) {
		if (!taken[i])
			continue;
		j->legs[i].event = LEG_ON_LOSE;
		snprintf(j->legs[i].reply, sizeof(j->legs[i].reply), "no reply after the final dot: %s", e->text);
	}
	return rc;
}

static enum rc
transaction(struct session *s, struct job *j, const struct session_message *m, bool *taken, struct err *e)
{
	size_t n_taken = 0;
	bool mail_ok = false;
	enum rc rc = envelope(s, j, m, taken, &n_taken, &mail_ok, e);
	if (rc != RC_OK)
		return rc;
	if (!s->offers.pipelining) {
		if (n_taken == 0)
			return command(s, "RSET\r\n", delivery_config.command_ms, e);
		rc = wire_write(s->wire, bytes_str("DATA\r\n"), delivery_config.command_ms, NULL, e);
		if (rc != RC_OK)
			return rc;
	}
	rc = wire_reply(s->wire, &s->reply, delivery_config.data_ms, e);
	if (rc != RC_OK)
		return rc;
	if (s->reply.code != 354) {
		settle_open(s, j, taken, s->reply.code / 100 == 5 ? LEG_ON_BOUNCE : LEG_ON_DEFER);
		/* MAIL may have been taken: begin the next one clean. */
		return mail_ok ? command(s, "RSET\r\n", delivery_config.command_ms, e) : RC_OK;
	}
	if (n_taken == 0) /* 354 to nobody: an empty message, whose reply means nothing (RFC 2920, 3.1) */
		return command(s, ".\r\n", delivery_config.dot_ms, e);
	return data(s, j, m, taken, e);
}

enum rc
session_send(struct session *s, struct job *j, const struct session_message *m, struct err *e)
{
	bool *taken = calloc(j->n_legs, sizeof(*taken));
	if (taken == NULL)
		abort();
	snprintf(j->remote, sizeof(j->remote), "%s", s->remote);
	wire_tls_text(s->wire, j->tls, sizeof(j->tls));
	s->messages++;
	enum rc rc = transaction(s, j, m, taken, e);
	if (rc != RC_OK || s->reply.code == 421)
		s->broken = true;
	free(taken);
	return rc;
}
