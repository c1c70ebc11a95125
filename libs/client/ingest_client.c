/* SPDX-License-Identifier: MIT
 *
 * A submission is an SMTP dialogue on a Unix socket, one connection each: EHLO, AUTH with the actor
 * token, then envelope and message pipelined by BDAT, so that it costs three round trips.
 */
#include "client/ingest_client.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "core/clock.h"
#include "crypt/actor.h"
#include "crypt/secret.h"
#include "proto/ingest.pb-c.h"
#include "smtp/command.h"
#include "smtp/reply.h"
#include "smtp/xtext.h"
#include "subjects.h"

struct dialogue {
	int fd;
	int64_t deadline;
	struct buf in, out;
	struct smtp_reply reply;
};

static enum rc
connect_to(const char *path, int *fd_r, struct err *e)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(sa.sun_path))
		return err_set(e, RC_INVALID, "socket path too long");
	memcpy(sa.sun_path, path, strlen(path) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
		enum rc rc = err_set(e, RC_RETRY, "ingest: %s", strerror(errno));
		if (fd >= 0)
			close(fd);
		return rc;
	}
	*fd_r = fd;
	return RC_OK;
}

static enum rc
wait_for(struct dialogue *d, short events, struct err *e)
{
	struct pollfd pf = {.fd = d->fd, .events = events};
	int k;
	do {
		k = poll(&pf, 1, (int)clock_left_ms(d->deadline));
	} while (k < 0 && errno == EINTR);
	return k > 0 ? RC_OK : err_set(e, RC_RETRY, "ingest: no answer in time");
}

static enum rc
send_out(struct dialogue *d, struct bytes more, struct err *e)
{
	struct bytes parts[] = {buf_bytes(&d->out), more};
	for (int i = 0; i < 2; i++)
		for (size_t done = 0; done < parts[i].n;) {
			ssize_t k = send(d->fd, parts[i].p + done, parts[i].n - done, MSG_NOSIGNAL);
			if (k >= 0) {
				done += (size_t)k;
				continue;
			}
			if (errno != EAGAIN && errno != EINTR)
				return err_set(e, RC_RETRY, "ingest: %s", strerror(errno));
			enum rc rc = wait_for(d, POLLOUT, e);
			if (rc != RC_OK)
				return rc;
		}
	buf_reset(&d->out);
	return RC_OK;
}

static enum rc
next_reply(struct dialogue *d, struct err *e)
{
	smtp_reply_reset(&d->reply);
	for (;;) {
		size_t used = 0;
		enum smtp_progress p = smtp_reply_feed(&d->reply, buf_bytes(&d->in), &used);
		buf_drop_front(&d->in, used);
		if (p == SMTP_DONE)
			return RC_OK;
		if (p == SMTP_BAD)
			return err_set(e, RC_RETRY, "ingest: not an SMTP reply");
		enum rc rc = wait_for(d, POLLIN, e);
		if (rc != RC_OK)
			return rc;
		uint8_t *room = buf_reserve(&d->in, 4096);
		if (room == NULL)
			return err_set(e, RC_INTERNAL, "out of memory");
		ssize_t k = recv(d->fd, room, 4096, 0);
		if (k == 0 || (k < 0 && errno != EAGAIN && errno != EINTR))
			return err_set(e, RC_RETRY, "ingest: connection lost");
		d->in.n += k > 0 ? (size_t)k : 0;
	}
}

/* The reply that decided, in the caller's words. Its first line may end in our own marks. */
static void
decided(const struct dialogue *d, int32_t recipient, struct ingest_outcome *o)
{
	char line[600];
	const struct smtp_reply *r = &d->reply;
	static const char accepted[] = "accepted as ";
	*o = (struct ingest_outcome){.code = r->code, .recipient = recipient};
	if (r->status_class != 0)
		snprintf(o->enhanced, sizeof(o->enhanced), "%d.%d.%d", r->status_class, r->subject, r->detail);
	smtp_reply_line(r, line, sizeof(line));
	const char *text = line + 4 + (o->enhanced[0] != '\0' ? strlen(o->enhanced) + 1 : 0);
	snprintf(o->text, sizeof(o->text), "%.500s", text);
	char id[UUID_STR_SIZE] = "";
	if (r->code != 250 || strncmp(o->text, accepted, sizeof(accepted) - 1) != 0)
		return;
	snprintf(id, sizeof(id), "%.36s", o->text + sizeof(accepted) - 1);
	o->accepted = uuid_parse(id, &o->message);
	o->replayed = strstr(o->text, "(replayed)") != NULL;
}

static void
write_auth(struct dialogue *d, struct bytes token)
{
	char text[(ACTOR_TOKEN_MAX + 2) / 3 * 4 + 1];
	EVP_EncodeBlock((unsigned char *)text, token.p, (int)token.n);
	buf_add_str(&d->out, "AUTH XSEKISHO-ACTOR ");
	buf_add_str(&d->out, text);
	buf_add_str(&d->out, "\r\n");
	secret_wipe(text, sizeof(text));
}

static bool
has_high(struct bytes b)
{
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] >= 0x80)
			return true;
	return false;
}

/* SMTPUTF8 is always asked for: refusals then come in the rule's own words. */
static void
write_envelope(struct dialogue *d, const struct ingest_submission *s)
{
	struct buf key;
	buf_init(&key, 0);
	smtp_xtext_encode(s->idempotency_key, &key);
	struct smtp_mail m = {.from.text = s->mail_from,
			      .smtputf8 = true,
			      .eight_bit = has_high(s->message),
			      .has_size = true,
			      .size = s->message.n,
			      .idempotency = s->idempotency_key.n > 0 ? buf_bytes(&key) : (struct bytes){0},
			      .trace = s->traceparent != NULL ? bytes_str(s->traceparent) : (struct bytes){0}};
	smtp_mail_write(&d->out, &m);
	buf_done(&key);
	for (size_t i = 0; i < s->n_recipients; i++) {
		struct smtp_rcpt r = {.to.text = s->recipients[i]};
		smtp_rcpt_write(&d->out, &r);
	}
}

/* One reply of the dialogue's beginning. *over_r: it was not the one hoped for, and is the outcome. */
static enum rc
expect(struct dialogue *d, int code, struct ingest_outcome *o, bool *over_r, struct err *e)
{
	enum rc rc = next_reply(d, e);
	*over_r = rc != RC_OK || d->reply.code != code;
	if (rc == RC_OK && *over_r)
		decided(d, -1, o);
	return rc;
}

static enum rc
submit(struct dialogue *d, const struct ingest_submission *s, struct ingest_outcome *o, struct err *e)
{
	bool over;
	enum rc rc = expect(d, 220, o, &over, e);
	if (over)
		return rc;
	buf_add_str(&d->out, "EHLO api.internal\r\n");
	if ((rc = send_out(d, (struct bytes){0}, e)) != RC_OK || (rc = expect(d, 250, o, &over, e)) != RC_OK || over)
		return rc;
	write_auth(d, s->actor_token);
	if ((rc = send_out(d, (struct bytes){0}, e)) != RC_OK || (rc = expect(d, 235, o, &over, e)) != RC_OK || over)
		return rc;
	/* The envelope first: the message goes only when every recipient was taken. */
	write_envelope(d, s);
	if ((rc = send_out(d, (struct bytes){0}, e)) != RC_OK || (rc = expect(d, 250, o, &over, e)) != RC_OK || over)
		return rc;
	bool refused = false;
	for (size_t i = 0; i < s->n_recipients; i++) {
		if ((rc = next_reply(d, e)) != RC_OK)
			return rc;
		if (d->reply.code != 250 && !refused) {
			refused = true;
			decided(d, (int32_t)i, o);
		}
	}
	if (refused)
		return RC_OK;
	buf_addf(&d->out, "BDAT %zu LAST\r\n", s->message.n);
	if ((rc = send_out(d, s->message, e)) != RC_OK || (rc = next_reply(d, e)) != RC_OK)
		return rc;
	decided(d, -1, o);
	if (d->reply.code == 250 && !o->accepted)
		return err_set(e, RC_INTERNAL, "ingest: accepted without a message id");
	return RC_OK;
}

static enum rc
check(const struct ingest_submission *s, struct err *e)
{
	struct smtp_address a;
	if (s->actor_token.n == 0 || s->actor_token.n > ACTOR_TOKEN_MAX)
		return err_set(e, RC_INVALID, "actor token: no or too many octets");
	if (s->idempotency_key.n > 200)
		return err_set(e, RC_INVALID, "idempotency key: more than 200 octets");
	if (s->n_recipients == 0 || s->message.n == 0)
		return err_set(e, RC_INVALID, "no recipients or no message");
	if (s->mail_from.n > 0 && smtp_address_parse(s->mail_from, &a, e) != RC_OK)
		return err_prefix(e, "sender");
	/* What is no address could be a command: nothing goes into a line unchecked. */
	for (size_t i = 0; i < s->n_recipients; i++)
		if (smtp_address_parse(s->recipients[i], &a, e) != RC_OK)
			return err_prefix(e, "recipient %zu", i);
	return s->traceparent == NULL || traceparent_valid(s->traceparent)
		   ? RC_OK
		   : err_set(e, RC_INVALID, "not a traceparent");
}

enum rc
ingest_submit(const char *socket_path, const struct ingest_submission *s, int64_t deadline_ms, struct arena *a,
	      struct ingest_outcome *out_r, struct err *e)
{
	struct dialogue d = {.fd = -1, .deadline = deadline_ms};
	struct ingest_outcome o = {.recipient = -1};
	enum rc rc = check(s, e);
	if (rc == RC_OK)
		rc = connect_to(socket_path, &d.fd, e);
	if (rc != RC_OK)
		return rc;
	buf_init(&d.in, 256 * 1024);
	buf_init(&d.out, 0);
	smtp_reply_init(&d.reply);
	rc = submit(&d, s, &o, e);
	close(d.fd);
	smtp_reply_done(&d.reply);
	secret_wipe(d.out.p, d.out.n);
	buf_done(&d.out);
	buf_done(&d.in);
	if (rc == RC_OK)
		*out_r = o;
	return rc;
}

enum rc
ingest_lookup(const struct ingest_call *c, const char *idempotency_key, struct uuid *message_r, int64_t *accepted_us_r,
	      struct err *e)
{
	Sekisho__Ingest__LookupRequest q = SEKISHO__INGEST__LOOKUP_REQUEST__INIT;
	q.idempotency_key = (char *)(uintptr_t)idempotency_key;
	struct arena *a = arena_new();
	size_t n = sekisho__ingest__lookup_request__get_packed_size(&q);
	uint8_t *p = arena_alloc(a, n + 1);
	struct bus_request r = {.subject = RPC_INGEST_LOOKUP,
				.tenant = c->tenant,
				.traceparent = c->traceparent,
				.actor_token = c->actor_token,
				.payload = bytes_of(p, sekisho__ingest__lookup_request__pack(&q, p)),
				.deadline_ms = c->deadline_ms};
	struct bytes reply;
	enum rc rc = bus_call(c->bus, &r, a, &reply, e);
	Sekisho__Ingest__LookupReply *m =
	    rc == RC_OK ? sekisho__ingest__lookup_reply__unpack(NULL, reply.n, reply.p) : NULL;
	if (rc == RC_OK && (m == NULL || m->message.len != sizeof(message_r->b)))
		rc = err_set(e, RC_RETRY, "ingest: its answer does not decode");
	if (rc == RC_OK) {
		memcpy(message_r->b, m->message.data, sizeof(message_r->b));
		*accepted_us_r = m->accepted_us;
	}
	if (m != NULL)
		sekisho__ingest__lookup_reply__free_unpacked(m, NULL);
	arena_free(&a);
	return rc;
}
