/* SPDX-License-Identifier: MIT
 *
 * Connections. Input is read into one scratch buffer of the loop and fed to the session straight from there; only what
 * the session leaves is kept. Replies to pipelined commands gather in out and are written once the input is used up.
 */
#include "ingest_conn.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

#include "ingest_pipeline.h"

#define IN_MAX	   (64u * 1024) /* kept while a question is open; then reading pauses */
#define OUT_MAX	   (64u * 1024) /* replies nobody reads: nothing more is taken */
#define LINGER_MAX (1u << 20)
#define ROUNDS_MAX 8 /* reads in a row before others get their turn */

static const struct timeval linger_time = {2, 0};

enum io { IO_OK, IO_AGAIN, IO_END };

static void pump(struct conn *c);

/* --- octets ----------------------------------------------------------------------------------------------------- */
static enum io
tls_result(struct conn *c, int k)
{
	int why = SSL_get_error(c->ssl, k);
	ERR_clear_error();
	if (why == SSL_ERROR_WANT_WRITE) {
		c->rd_wants_write = true;
		event_add(&c->wr, NULL);
		c->wr_added = true;
		return IO_AGAIN;
	}
	return why == SSL_ERROR_WANT_READ ? IO_AGAIN : IO_END;
}

static enum io
read_some(struct conn *c, uint8_t *p, size_t cap, size_t *n_r)
{
	if (c->ssl != NULL) {
		int k = SSL_read(c->ssl, p, (int)cap);
		if (k <= 0)
			return tls_result(c, k);
		*n_r = (size_t)k;
		return IO_OK;
	}
	ssize_t k = recv(c->fd, p, cap, 0);
	if (k > 0) {
		*n_r = (size_t)k;
		return IO_OK;
	}
	return k < 0 && (errno == EAGAIN || errno == EINTR) ? IO_AGAIN : IO_END;
}

static enum io
write_some(struct conn *c, const uint8_t *p, size_t n, size_t *n_r)
{
	if (c->ssl != NULL) {
		int k = SSL_write(c->ssl, p, (int)n);
		if (k > 0) {
			*n_r = (size_t)k;
			return IO_OK;
		}
		int why = SSL_get_error(c->ssl, k);
		ERR_clear_error();
		return why == SSL_ERROR_WANT_WRITE || why == SSL_ERROR_WANT_READ ? IO_AGAIN : IO_END;
	}
	ssize_t k = send(c->fd, p, n, MSG_NOSIGNAL);
	if (k >= 0) {
		*n_r = (size_t)k;
		return IO_OK;
	}
	return errno == EAGAIN || errno == EINTR ? IO_AGAIN : IO_END;
}

/* Octets that are there already, in clear below any TLS. */
static bool
something_waits(const struct conn *c)
{
	uint8_t one;
	if (c->ssl != NULL) {
		int k = SSL_peek(c->ssl, &one, 1);
		ERR_clear_error();
		return k > 0;
	}
	return recv(c->fd, &one, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* --- the end ---------------------------------------------------------------------------------------------------- */
void
conn_close(struct conn *c)
{
	struct net *n = c->net;
	if (c->ask != NULL) {
		ask_claim(c->ask, CLAIM_GONE);
		c->ask->owner = NULL;
	}
	event_del(&c->rd);
	event_del(&c->wr);
	if (c->counted)
		peer_counts_drop(n->counts, &c->peer);
	*(c->prev != NULL ? &c->prev->next : &n->conns) = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	n->n_conns--;
	metric_add(&ingest_connections, c->kind, -1);
	session_free(&c->session);
	SSL_free(c->ssl);
	ERR_clear_error();
	close(c->fd);
	buf_done(&c->in);
	buf_done(&c->out);
	free(c);
}

/* Closing with unread input would reset the connection and take our last words with it. */
static void
begin_linger(struct conn *c)
{
	c->state = CONN_LINGER;
	if (c->ssl != NULL)
		SSL_shutdown(c->ssl);
	ERR_clear_error();
	shutdown(c->fd, SHUT_WR);
	buf_done(&c->in);
	event_add(&c->rd, &linger_time);
}

/* False: the connection is gone. */
static bool
flush(struct conn *c)
{
	while (c->out_sent < c->out.n) {
		size_t n = 0;
		enum io io = write_some(c, c->out.p + c->out_sent, c->out.n - c->out_sent, &n);
		if (io == IO_END) {
			conn_close(c);
			return false;
		}
		if (io == IO_AGAIN) {
			if (!c->wr_added)
				event_add(&c->wr, NULL);
			c->wr_added = true;
			return true;
		}
		c->out_sent += n;
	}
	buf_done(&c->out);
	c->out_sent = 0;
	if (c->state == CONN_FLUSH)
		begin_linger(c);
	return true;
}

static void
say_goodbye(struct conn *c, int code, const char *enhanced, const char *text)
{
	if (c->state != CONN_TALK) {
		conn_close(c);
		return;
	}
	session_goodbye(c->session, code, enhanced, text, &c->out);
	c->state = CONN_FLUSH;
	flush(c);
}

/* --- beginning --------------------------------------------------------------------------------------------------- */
static void
begin_talk(struct conn *c)
{
	char text[PEER_TEXT_SIZE];
	peer_format(&c->peer, text);
	c->state = CONN_TALK;
	c->session = session_new(&c->net->in->session, c->kind, text, &c->out);
	if (c->session == NULL) {
		conn_close(c);
		return;
	}
	if (c->ssl != NULL) {
		char tls[56];
		tls_describe(c->ssl, tls, sizeof(tls));
		session_tls_started(c->session, tls);
	}
	if (something_waits(c)) {
		metric_add(&ingest_dropped, DROP_EARLY, 1);
		buf_reset(&c->out);
		say_goodbye(c, 554, NULL, "input before the greeting");
		return;
	}
	flush(c);
}

/* False: refused and closed. */
static bool
admit(struct conn *c)
{
	if (!peer_counts_add(c->net->counts, &c->peer, (int)c->net->in->config.max_conn_per_addr)) {
		static const char words[] = "421 4.7.0 too many connections from your address\r\n";
		metric_add(&ingest_dropped, DROP_ADDRESS, 1);
		if (c->kind != SESSION_SUBMISSIONS && send(c->fd, words, sizeof(words) - 1, MSG_NOSIGNAL) < 0)
			errno = 0; /* it was worth a try */
		conn_close(c);
		return false;
	}
	c->counted = true;
	return true;
}

static bool
begin_tls(struct conn *c)
{
	c->ssl = SSL_new(c->net->tls);
	if (c->ssl == NULL || SSL_set_fd(c->ssl, c->fd) != 1) {
		conn_close(c);
		return false;
	}
	SSL_set_accept_state(c->ssl);
	c->state = CONN_HANDSHAKE;
	return true;
}

static void
begin_kind(struct conn *c)
{
	if (!admit(c))
		return;
	if (c->kind != SESSION_SUBMISSIONS)
		begin_talk(c);
	else
		begin_tls(c);
}

static void
continue_proxy(struct conn *c)
{
	size_t used = 0, n = 0;
	size_t want = c->in.n < 16 ? 16 - c->in.n : 16 + ((size_t)c->in.p[14] << 8 | c->in.p[15]) - c->in.n;
	/* Never more than the header: what follows is TLS's or the session's. */
	uint8_t *p = want <= PROXY_HEADER_MAX ? buf_reserve(&c->in, want) : NULL;
	if (p == NULL) {
		conn_close(c);
		return;
	}
	enum io io = want > 0 ? read_some(c, p, want, &n) : IO_OK;
	if (io == IO_AGAIN)
		return;
	c->in.n += n;
	enum proxy_progress progress = io == IO_END ? PROXY_BAD : proxy_parse(buf_bytes(&c->in), &used, &c->peer);
	if (progress == PROXY_BAD) {
		metric_add(&ingest_dropped, DROP_PROXY, 1);
		conn_close(c);
	} else if (progress == PROXY_DONE) {
		buf_done(&c->in);
		begin_kind(c);
	}
}

static void
continue_handshake(struct conn *c)
{
	int k = SSL_accept(c->ssl);
	if (k != 1) {
		if (tls_result(c, k) == IO_END) {
			metric_add(&ingest_dropped, DROP_TLS, 1);
			conn_close(c);
		}
		return;
	}
	if (c->session == NULL) {
		begin_talk(c);
		return;
	}
	char tls[56];
	tls_describe(c->ssl, tls, sizeof(tls));
	session_tls_started(c->session, tls);
	c->state = CONN_TALK;
	pump(c);
}

/* Whatever was sent behind STARTTLS came in clear: an honest client waits for our 220. */
static void
begin_starttls(struct conn *c)
{
	if (c->in.n > 0 || something_waits(c)) {
		metric_add(&ingest_dropped, DROP_EARLY, 1);
		conn_close(c);
		return;
	}
	if (!flush(c))
		return;
	if (c->out.n > 0) /* 30 octets that do not fit into an empty socket buffer: not a client */
		conn_close(c);
	else
		begin_tls(c);
}

/* --- talking ------------------------------------------------------------------------------------------------------ */
/* Feed what can be fed; in is what was just read, or what was kept. Returns what the session wants last. */
static enum session_want
feed(struct conn *c, struct bytes in, size_t *used_r)
{
	enum session_want want = SESSION_MORE;
	*used_r = 0;
	do {
		size_t used = 0;
		want = session_feed(c->session, bytes_of(in.p + *used_r, in.n - *used_r), &used, &c->out);
		*used_r += used;
		if (want != SESSION_ASK)
			break;
		c->ask = session_take_ask(c->session);
		c->ask->owner = c;
		if (!pipeline_put(c->net->in->pipeline, c->ask))
			break;
		struct ask *a = c->ask;
		c->ask = NULL;
		want = session_answer(c->session, &a, &c->out);
	} while (want == SESSION_MORE && c->out.n < OUT_MAX);
	return want;
}

/* False: no more input is wanted now, or the connection is gone. */
static bool
after_feed(struct conn *c, enum session_want want)
{
	switch (want) {
	case SESSION_MORE:
		break;
	case SESSION_ASK:
		/* A mail may take a minute: say what there is to say. Else the answer soon joins what has gathered. */
		if (c->ask != NULL && c->ask->kind == ASK_MESSAGE && !flush(c))
			return false;
		break;
	case SESSION_STARTTLS:
		begin_starttls(c);
		return false;
	case SESSION_CLOSE:
		c->state = CONN_FLUSH;
		flush(c);
		return false;
	}
	return true;
}

/* The session takes from what was kept. */
static bool
feed_kept(struct conn *c)
{
	size_t used = 0;
	if (c->in.n == 0 || c->ask != NULL)
		return true;
	enum session_want want = feed(c, buf_bytes(&c->in), &used);
	if (used == c->in.n)
		buf_done(&c->in);
	else
		buf_drop_front(&c->in, used);
	return after_feed(c, want);
}

static void
pause_reading(struct conn *c)
{
	event_del(&c->rd);
	c->paused = true;
}

/* Read, feed, and write what came of it. */
static void
pump(struct conn *c)
{
	struct net *n = c->net;
	for (int round = 0; round < ROUNDS_MAX; round++) {
		size_t got = 0, used = 0;
		if ((c->ask != NULL && c->in.n >= IN_MAX) || c->out.n >= OUT_MAX) {
			pause_reading(c);
			break;
		}
		enum io io = read_some(c, n->scratch, sizeof(n->scratch), &got);
		if (io == IO_AGAIN)
			break;
		if (io == IO_END) {
			conn_close(c);
			return;
		}
		if (c->ask != NULL || c->in.n > 0) {
			buf_add(&c->in, n->scratch, got);
			if (!feed_kept(c))
				return;
			continue;
		}
		enum session_want want = feed(c, bytes_of(n->scratch, got), &used);
		if (used < got)
			buf_add(&c->in, n->scratch + used, got - used);
		if (!after_feed(c, want))
			return;
		if (c->ssl == NULL && got < sizeof(n->scratch))
			break;
	}
	/* Reading stopped with decrypted octets left inside: no event will tell. */
	if (c->ssl != NULL && !c->paused && SSL_pending(c->ssl) > 0)
		event_active(&c->rd, EV_READ, 1);
	if (c->ask == NULL)
		flush(c);
}

void
conn_answer(struct conn *c, struct ask *a)
{
	c->ask = NULL;
	enum session_want want = session_answer(c->session, &a, &c->out);
	if (!after_feed(c, want))
		return;
	if (c->net->draining && !session_in_transaction(c->session) && c->in.n == 0) {
		say_goodbye(c, 421, "4.3.2", "shutting down");
		return;
	}
	if (!feed_kept(c))
		return;
	if (c->paused) {
		c->paused = false;
		event_add(&c->rd, c->net->idle);
	}
	if (c->ask == NULL)
		flush(c);
}

void
conn_drain(struct conn *c)
{
	if (c->state == CONN_TALK && session_in_transaction(c->session))
		return;
	if (c->state != CONN_FLUSH && c->state != CONN_LINGER)
		say_goodbye(c, 421, "4.3.2", "shutting down");
}

void
conn_look(struct conn *c, int64_t now_ms)
{
	const struct ingest_config *cfg = &c->net->in->config;
	const struct pace_limits limits = {cfg->data_ms, cfg->data_stretch_ms, cfg->data_rate};
	uint64_t octets = 0, message = c->state == CONN_TALK ? session_receiving(c->session, &octets) : 0;
	enum pace_finding finding = pace_look(&c->pace, &limits, message, octets, now_ms);
	if (finding == PACE_FINE)
		return;
	metric_add(&ingest_dropped, DROP_SLOW, 1);
	say_goodbye(c, 421, "4.4.2", finding == PACE_LATE ? "message takes too long" : "message comes too slowly");
}

/* --- events ---------------------------------------------------------------------------------------------------------
 */
static void
discard(struct conn *c)
{
	size_t got = 0;
	ssize_t k = recv(c->fd, c->net->scratch, sizeof(c->net->scratch), 0);
	if (k < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	got = k > 0 ? (size_t)k : 0;
	c->lingered += got;
	if (got == 0 || c->lingered > LINGER_MAX)
		conn_close(c);
}

static void
go_on(struct conn *c)
{
	switch (c->state) {
	case CONN_PROXY:
		continue_proxy(c);
		return;
	case CONN_HANDSHAKE:
		continue_handshake(c);
		return;
	case CONN_TALK:
		pump(c);
		return;
	case CONN_FLUSH:
	case CONN_LINGER:
		discard(c);
		return;
	}
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	if ((what & EV_TIMEOUT) == 0) {
		go_on(c);
		return;
	}
	if (c->state == CONN_LINGER || c->state == CONN_FLUSH) {
		conn_close(c);
		return;
	}
	if (c->ask != NULL) /* it is us who take long */
		return;
	metric_add(&ingest_dropped, DROP_IDLE, 1);
	say_goodbye(c, 421, "4.4.2", "idle for too long");
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	c->wr_added = false;
	if (c->rd_wants_write) {
		c->rd_wants_write = false;
		go_on(c);
		return;
	}
	if (!flush(c) || c->out.n > 0)
		return;
	if (c->paused && c->ask == NULL) {
		c->paused = false;
		event_add(&c->rd, c->net->idle);
		if (feed_kept(c) && c->ask == NULL)
			flush(c);
	}
}

void
conn_open(struct net *n, enum session_kind kind, int fd, const struct peer *peer)
{
	struct conn *c = calloc(1, sizeof(*c));
	if (c == NULL) {
		close(fd);
		return;
	}
	c->net = n;
	c->kind = kind;
	c->fd = fd;
	c->peer = *peer;
	buf_init(&c->in, 0);
	buf_init(&c->out, 0);
	event_assign(&c->rd, n->base, fd, EV_READ | EV_PERSIST, on_readable, c);
	event_assign(&c->wr, n->base, fd, EV_WRITE, on_writable, c);
	c->next = n->conns;
	if (c->next != NULL)
		c->next->prev = c;
	n->conns = c;
	n->n_conns++;
	metric_add(&ingest_connections, kind, 1);
	metric_add(&ingest_connections_total, kind, 1);
	event_add(&c->rd, n->idle);
	if (peer_list_has(n->proxies, peer))
		c->state = CONN_PROXY;
	else
		begin_kind(c);
}
