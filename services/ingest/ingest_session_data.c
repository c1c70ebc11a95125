/* SPDX-License-Identifier: MIT
 *
 * The message: DATA and BDAT (RFC 3030), decoded straight into the envelope's body. What cannot be kept (too large, no
 * memory) is read to its end and thrown away, so that the dialogue stays in step. A bare CR or LF ends the connection:
 * after it nobody knows any more where the message ends.
 */
#include <stdio.h>

#include "ingest_session_internal.h"
#include "smtp/reply.h"

#define EXPECT_MAX (1u << 20) /* room made at once on the word of SIZE */

static enum session_want
no_transaction(struct session *s, struct buf *out)
{
	if (s->envelope == NULL)
		return session_reply(s, out, 503, "5.5.1", "MAIL first");
	return session_reply(s, out, 554, "5.5.1", "no valid recipients");
}

enum session_want
session_data_begin(struct session *s, struct buf *out)
{
	if (s->envelope == NULL || s->envelope->n_recipients == 0)
		return no_transaction(s, out);
	if (s->chunking)
		return session_reply(s, out, 503, "5.5.1", "BDAT has begun");
	smtp_data_init(&s->data, true);
	s->messages++;
	s->state = AT_DATA;
	smtp_reply_write(out, 354, NULL, "end with <CR><LF>.<CR><LF>", false);
	return SESSION_MORE;
}

enum session_want
session_bdat_begin(struct session *s, const struct smtp_command *c, struct buf *out)
{
	/* We would have to read it all before the next command; nobody who means well sends so much. */
	if (c->chunk > s->cfg->size_max)
		return session_end(s, out, 552, "5.3.4", "chunk is larger than this server takes");
	if (s->envelope == NULL || s->envelope->n_recipients == 0)
		s->trouble = TROUBLE_SEQUENCE;
	if (!s->chunking) {
		smtp_data_init(&s->data, false);
		s->messages++;
	}
	s->chunking = true;
	s->chunk_left = c->chunk;
	s->chunk_last = c->last;
	s->state = AT_BDAT;
	return SESSION_MORE;
}

/* Where octets go: the body while it can grow, else nowhere. */
static struct buf *
room_for(struct session *s, size_t n)
{
	struct envelope *e = s->envelope;
	if (s->trouble == TROUBLE_NONE && s->data.octets + n > s->cfg->size_max + 2)
		s->trouble = TROUBLE_SIZE;
	if (s->trouble == TROUBLE_NONE &&
	    !envelope_reserve(e, n + 2, s->declared_size < EXPECT_MAX ? (size_t)s->declared_size + 256 : EXPECT_MAX))
		s->trouble = TROUBLE_MEMORY;
	return s->trouble == TROUBLE_NONE ? &e->body : NULL;
}

static enum session_want
report_trouble(struct session *s, struct buf *out)
{
	enum session_trouble t = s->trouble;
	if (t == TROUBLE_MEMORY)
		return session_reply(s, out, 452, "4.3.1", "out of room for messages, try again later");
	if (t == TROUBLE_SEQUENCE)
		return no_transaction(s, out);
	return session_reply(s, out, 552, "5.3.4", "message is larger than this server takes");
}

static enum session_want
hand_over(struct session *s, struct buf *out)
{
	if (s->trouble == TROUBLE_NONE && s->envelope->body.n > s->cfg->size_max)
		s->trouble = TROUBLE_SIZE;
	s->state = AT_COMMAND;
	s->idle_commands = 0;
	if (s->trouble != TROUBLE_NONE) {
		enum session_want want = report_trouble(s, out);
		session_reset(s);
		return want;
	}
	if (s->data.nul) {
		enum session_want want = session_reply(s, out, 554, "5.6.0", "message contains NUL");
		session_reset(s);
		return want;
	}
	struct ask *a = ask_new(ASK_MESSAGE);
	a->envelope = s->envelope;
	s->envelope = NULL;
	session_reset(s);
	return session_open_ask(s, a);
}

static enum session_want
bare(struct session *s, struct buf *out)
{
	session_reset(s);
	return session_end(s, out, 554, "5.5.2", "bare CR or LF in message");
}

static enum session_want
chunk_done(struct session *s, struct buf *out)
{
	bool needs_crlf;
	char text[64];
	if (!s->chunk_last) {
		s->state = AT_COMMAND;
		if (s->trouble != TROUBLE_NONE)
			return report_trouble(s, out);
		snprintf(text, sizeof(text), "%llu octets received", (unsigned long long)s->data.octets);
		return session_reply(s, out, 250, "2.0.0", text);
	}
	if (!smtp_data_finish(&s->data, &needs_crlf))
		return bare(s, out);
	if (needs_crlf && room_for(s, 2) != NULL)
		buf_add(&s->envelope->body, "\r\n", 2);
	return hand_over(s, out);
}

enum session_want
session_data_feed(struct session *s, struct bytes in, size_t *used_r, struct buf *out)
{
	if (s->state == AT_BDAT && in.n > s->chunk_left)
		in.n = (size_t)s->chunk_left;
	enum smtp_data_progress p = smtp_data_decode(&s->data, in, room_for(s, in.n), used_r);
	if (p == SMTP_DATA_BAD)
		return bare(s, out);
	if (s->state == AT_DATA)
		return p == SMTP_DATA_DONE ? hand_over(s, out) : SESSION_MORE;
	s->chunk_left -= *used_r;
	return s->chunk_left == 0 ? chunk_done(s, out) : SESSION_MORE;
}

enum session_want
session_message_answer(struct session *s, struct ask *a, struct buf *out)
{
	const struct ingest_reply *r = &a->reply;
	bool utf8 = a->envelope != NULL && a->envelope->smtputf8;
	smtp_reply_write(out, r->code, s->esmtp ? r->enhanced : NULL, r->text, utf8);
	if (r->code >= 500 && ++s->errors >= s->cfg->errors_max)
		return session_end(s, out, 421, "4.7.0", "too many errors");
	return SESSION_MORE;
}
