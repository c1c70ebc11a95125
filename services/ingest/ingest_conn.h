/* SPDX-License-Identifier: MIT
 *
 * One connection on the event loop: socket, TLS and PROXY header below, session above. Everything here runs on the
 * loop's thread. A connection that idles holds no buffers.
 */
#ifndef INGEST_CONN_H
#define INGEST_CONN_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "ingest_net_internal.h"
#include "ingest_pace.h"
#include "ingest_peer.h"

enum conn_state {
	CONN_PROXY,	/* PROXY header awaited */
	CONN_HANDSHAKE, /* TLS */
	CONN_TALK,
	CONN_FLUSH,  /* the last words are being written */
	CONN_LINGER, /* written and shut; what still comes is thrown away so that the words arrive */
};

struct conn {
	struct net *net;
	enum session_kind kind;
	enum conn_state state;
	int fd;
	SSL *ssl; /* NULL in clear */
	bool counted, paused, wr_added, rd_wants_write;
	struct event rd, wr;
	struct buf in;	/* read and not yet taken by the session */
	struct buf out; /* not yet written: from out_sent on */
	size_t out_sent, lingered;
	struct session *session;
	struct ask *ask; /* somebody works on it */
	struct peer peer;
	struct pace pace;
	struct conn *prev, *next;
};

/* Takes the descriptor. */
void conn_open(struct net *net, enum session_kind kind, int fd, const struct peer *peer);
void conn_answer(struct conn *c, struct ask *a);
/* At once, without a word; who works on its question finds it gone. */
void conn_close(struct conn *c);
/* Shutting down: close it unless a mail is under way. */
void conn_drain(struct conn *c);

/* Once a second: a message that comes too slowly ends the connection. */
void conn_look(struct conn *c, int64_t now_ms);

#endif
