/* SPDX-License-Identifier: MIT
 *
 * Connections of the bench tools: see conn.h.
 */
#include "conn.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

void *
xrealloc(void *p, size_t n)
{
	p = realloc(p, n ? n : 1);
	if (!p) {
		fputs("out of memory\n", stderr);
		exit(71);
	}
	return p;
}

uint64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static void
octets_room(struct octets *o, size_t n)
{
	if (o->off == o->len)
		o->off = o->len = 0;
	if (o->cap - o->len >= n)
		return;
	if (o->off > 0) {
		memmove(o->data, o->data + o->off, o->len - o->off);
		o->len -= o->off;
		o->off = 0;
		if (o->cap - o->len >= n)
			return;
	}
	o->cap = (o->len + n) * 3 / 2;
	o->data = xrealloc(o->data, o->cap);
}

void
conn_open(struct conn *c, int epoll, int fd, void *owner)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = owner};

	c->fd = fd;
	c->ssl = NULL;
	c->handshaking = false;
	c->in.off = c->in.len = c->out.off = c->out.len = 0;
	c->events = EPOLLIN;
	c->owner = owner;
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) != 0) {
		perror("epoll_ctl");
		exit(71);
	}
}

void
conn_close(struct conn *c)
{
	if (c->ssl)
		SSL_free(c->ssl);
	if (c->fd >= 0)
		close(c->fd);
	c->ssl = NULL;
	c->fd = -1;
}

void
conn_free(struct conn *c)
{
	conn_close(c);
	free(c->in.data);
	free(c->out.data);
	memset(c, 0, sizeof *c);
	c->fd = -1;
}

void
conn_put(struct conn *c, const void *p, size_t n)
{
	octets_room(&c->out, n);
	memcpy(c->out.data + c->out.len, p, n);
	c->out.len += n;
}

void
conn_putf(struct conn *c, const char *format, ...)
{
	char line[2048];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof line, format, args);
	va_end(args);
	if (n > 0)
		conn_put(c, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
}

bool
conn_flushed(const struct conn *c)
{
	return c->out.off == c->out.len;
}

/* One step of the handshake; 1 done, 0 goes on, -1 failed. */
static int
handshake(struct conn *c)
{
	int rc;

	ERR_clear_error();
	rc = SSL_do_handshake(c->ssl);
	if (rc == 1) {
		c->handshaking = false;
		return 1;
	}
	rc = SSL_get_error(c->ssl, rc);
	return rc == SSL_ERROR_WANT_READ || rc == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static ssize_t
send_some(struct conn *c, const char *p, size_t n)
{
	int rc;

	if (!c->ssl) {
		ssize_t sent = send(c->fd, p, n, MSG_NOSIGNAL);

		return sent < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : sent;
	}
	ERR_clear_error();
	rc = SSL_write(c->ssl, p, n > 16384 ? 16384 : (int)n);
	if (rc > 0)
		return rc;
	rc = SSL_get_error(c->ssl, rc);
	return rc == SSL_ERROR_WANT_READ || rc == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

bool
conn_flush(struct conn *c, int epoll)
{
	uint32_t want = EPOLLIN;
	ssize_t n = 1;

	if (c->handshaking && handshake(c) < 0)
		return false;
	while (!c->handshaking && c->out.off < c->out.len && n > 0) {
		n = send_some(c, c->out.data + c->out.off, c->out.len - c->out.off);
		if (n < 0)
			return false;
		c->out.off += (size_t)n;
	}
	if (c->out.off < c->out.len && !c->handshaking)
		want |= EPOLLOUT;
	if (want != c->events) {
		struct epoll_event e = {.events = want, .data.ptr = c->owner};

		c->events = want;
		if (epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &e) != 0)
			return false;
	}
	return true;
}

bool
conn_fill(struct conn *c)
{
	for (;;) {
		ssize_t n;

		if (c->handshaking) {
			int rc = handshake(c);

			if (rc <= 0)
				return rc == 0;
		}
		octets_room(&c->in, 65536);
		if (c->ssl) {
			int rc;

			ERR_clear_error();
			rc = SSL_read(c->ssl, c->in.data + c->in.len, 65536);
			if (rc <= 0) {
				rc = SSL_get_error(c->ssl, rc);
				return rc == SSL_ERROR_WANT_READ || rc == SSL_ERROR_WANT_WRITE;
			}
			n = rc;
		} else {
			n = recv(c->fd, c->in.data + c->in.len, 65536, 0);
			if (n < 0)
				return errno == EAGAIN || errno == EINTR;
			if (n == 0)
				return false;
		}
		c->in.len += (size_t)n;
		if (!c->ssl && n < 65536)
			return true;
	}
}

char *
conn_line(struct conn *c)
{
	char *p = c->in.data + c->in.off;
	char *nl = c->in.off < c->in.len ? memchr(p, '\n', c->in.len - c->in.off) : NULL;

	if (!nl)
		return NULL;
	c->in.off = (size_t)(nl - c->in.data) + 1;
	*nl = 0;
	if (nl > p && nl[-1] == '\r')
		nl[-1] = 0;
	return p;
}

void
conn_tls(struct conn *c, SSL_CTX *ctx, bool server)
{
	c->in.off = c->in.len = 0;
	c->ssl = SSL_new(ctx);
	if (!c->ssl || SSL_set_fd(c->ssl, c->fd) != 1) {
		fputs("TLS: out of memory\n", stderr);
		exit(71);
	}
	SSL_set_mode(c->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if (server)
		SSL_set_accept_state(c->ssl);
	else
		SSL_set_connect_state(c->ssl);
	c->handshaking = true;
}
