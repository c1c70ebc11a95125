/* SPDX-License-Identifier: MIT
 *
 * What the files of the session share: commands (ingest_session.c), AUTH (ingest_session_auth.c), the message
 * (ingest_session_data.c).
 */
#ifndef INGEST_SESSION_INTERNAL_H
#define INGEST_SESSION_INTERNAL_H

#include "ingest_session.h"
#include "smtp/data.h"

enum session_state {
	AT_COMMAND,
	AT_AUTH_USER,	/* LOGIN: the name is awaited */
	AT_AUTH_PASS,	/* LOGIN: the password */
	AT_AUTH_SINGLE, /* PLAIN or an actor token, without initial response */
	AT_DATA,
	AT_BDAT,
	AT_ASK, /* a question is open */
	AT_END, /* nothing is read any more */
};

/* How the message under way cannot be had; the reply comes at its end. */
enum session_trouble { TROUBLE_NONE, TROUBLE_SIZE, TROUBLE_MEMORY, TROUBLE_SEQUENCE };

struct session {
	const struct session_config *cfg;
	enum session_kind kind;
	enum session_state state;
	bool esmtp, authed, by_token, chunking;
	enum session_trouble trouble;
	int errors, auth_failures, idle_commands;
	char client_ip[46];
	char traceparent[TRACEPARENT_SIZE];
	char tls[56]; /* "" in clear */
	char *helo;   /* NULL: not greeted */
	struct auth_identity identity;
	struct buf secret; /* AUTH: name of LOGIN; the actor token */
	const char *mechanism;
	char *token_from;	   /* client address in the actor token */
	struct envelope *envelope; /* from MAIL on */
	uint64_t declared_size;
	struct smtp_data data;
	uint64_t messages; /* begun */
	uint64_t chunk_left;
	bool chunk_last;
	struct smtp_mail mail; /* while ASK_SENDER is open; borrows from the ask's arena */
	struct smtp_rcpt rcpt;
	struct ask *ask;
};

/* Every reply goes through here: 5xx are counted, and too many end the session. */
enum session_want session_reply(struct session *s, struct buf *out, int code, const char *enhanced, const char *text);
/* Reply and end. */
enum session_want session_end(struct session *s, struct buf *out, int code, const char *enhanced, const char *text);
enum session_want session_open_ask(struct session *s, struct ask *a);
void session_reset(struct session *s); /* no transaction */
/* The line at the front of in, without CRLF; *used_r: with it. False: *want_r says what now. */
bool session_line(struct session *s, struct bytes in, size_t max, struct bytes *line_r, size_t *used_r,
		  enum session_want *want_r, struct buf *out) MUST_CHECK;

enum session_want session_auth_begin(struct session *s, const struct smtp_command *c, struct buf *out);
enum session_want session_auth_line(struct session *s, struct bytes line, struct buf *out);
enum session_want session_auth_answer(struct session *s, struct ask *a, struct buf *out);

enum session_want session_data_begin(struct session *s, struct buf *out);
enum session_want session_bdat_begin(struct session *s, const struct smtp_command *c, struct buf *out);
enum session_want session_data_feed(struct session *s, struct bytes in, size_t *used_r, struct buf *out);
enum session_want session_message_answer(struct session *s, struct ask *a, struct buf *out);

#endif
