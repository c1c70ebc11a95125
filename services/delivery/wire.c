/* SPDX-License-Identifier: MIT
 *
 * Non-blocking sockets and poll(): every wait has its own end. Reading and writing go through two functions that know
 * whether there is TLS.
 */
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"

#define READ_SIZE 8192

struct wire {
	int fd;
	SSL *ssl;
	bool verified;
	struct buf in;
};

static SSL_CTX *context;

enum rc
wire_init(const char *ca, struct err *e)
{
	context = SSL_CTX_new(TLS_client_method());
	if (context == NULL)
		return err_set(e, RC_INTERNAL, "TLS: no context");
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
	int ok = ca[0] != '\0' ? SSL_CTX_load_verify_locations(context, ca, NULL)
			       : SSL_CTX_set_default_verify_paths(context);
	return ok == 1 ? RC_OK : err_set(e, RC_INVALID, "SEKISHO_DELIVERY_CA: cannot read certificate authorities");
}

void
wire_done(void)
{
	SSL_CTX_free(context);
	context = NULL;
}

static bool
wait_for(int fd, short events, int64_t deadline_ms)
{
	struct pollfd p = {.fd = fd, .events = events};
	int n;
	do {
		n = poll(&p, 1, (int)clock_left_ms(deadline_ms));
	} while (n < 0 && errno == EINTR);
	return n > 0;
}

static enum rc
connect_one(const struct addrinfo *ai, int64_t deadline_ms, int *fd_r, struct err *e)
{
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(e, RC_RETRY, "socket: %s", strerror(errno));
	int one = 1, failed = 0;
	socklen_t n = sizeof(failed);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, ai->ai_addr, ai->ai_addrlen) != 0) {
		failed = errno;
		if (failed == EINPROGRESS) {
			if (!wait_for(fd, POLLOUT, deadline_ms))
				failed = ETIMEDOUT;
			else
				getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &n);
		}
	}
	if (failed != 0) {
		close(fd);
		return err_set(e, RC_RETRY, "connect: %s", strerror(failed));
	}
	*fd_r = fd;
	return RC_OK;
}

enum rc
wire_connect(const char *address, int port, int64_t timeout_ms, struct wire **out_r, struct err *e)
{
	char service[12];
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV}, *ai = NULL;
	snprintf(service, sizeof(service), "%d", port);
	if (getaddrinfo(address, service, &hints, &ai) != 0)
		return err_set(e, RC_RETRY, "connect: not an address");
	int fd = -1;
	enum rc rc = connect_one(ai, clock_mono_ms() + timeout_ms, &fd, e);
	freeaddrinfo(ai);
	if (rc != RC_OK)
		return rc;
	struct wire *w = calloc(1, sizeof(*w));
	if (w == NULL)
		abort();
	w->fd = fd;
	buf_init(&w->in, SMTP_REPLY_LINE_MAX * SMTP_REPLY_LINES_MAX);
	*out_r = w;
	return RC_OK;
}

void
wire_close(struct wire **wp)
{
	if (wp == NULL || *wp == NULL)
		return;
	SSL_free((*wp)->ssl);
	close((*wp)->fd);
	buf_done(&(*wp)->in);
	free(*wp);
	*wp = NULL;
}

/* What SSL waits for; 0: it failed. */
static short
ssl_events(struct wire *w, int ret)
{
	switch (SSL_get_error(w->ssl, ret)) {
	case SSL_ERROR_WANT_READ:
		return POLLIN;
	case SSL_ERROR_WANT_WRITE:
		return POLLOUT;
	default:
		return 0;
	}
}

static enum rc
tls_failed(struct err *e, const char *what)
{
	char text[160] = "connection closed";
	unsigned long code = ERR_get_error();
	if (code != 0)
		ERR_error_string_n(code, text, sizeof(text));
	ERR_clear_error();
	return err_set(e, RC_RETRY, "TLS %s: %s", what, text);
}

enum rc
wire_start_tls(struct wire *w, const char *host, bool verify, int64_t timeout_ms, struct err *e)
{
	int64_t deadline = clock_mono_ms() + timeout_ms;
	struct in6_addr ip;
	bool is_ip = inet_pton(AF_INET, host, &ip) == 1 || inet_pton(AF_INET6, host, &ip) == 1;
	/* Octets that came in clear behind the 220 would be taken for the server's word under TLS. */
	if (w->in.n > 0)
		return err_set(e, RC_RETRY, "TLS: plain text after the reply to STARTTLS");
	w->ssl = SSL_new(context);
	if (w->ssl == NULL || SSL_set_fd(w->ssl, w->fd) != 1)
		return tls_failed(e, "set-up");
	SSL_set_verify(w->ssl, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	if (is_ip) {
		X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(w->ssl), host);
	} else {
		SSL_set_tlsext_host_name(w->ssl, host);
		SSL_set1_host(w->ssl, host);
	}
	ERR_clear_error();
	for (int ret; (ret = SSL_connect(w->ssl)) != 1;) {
		short events = ssl_events(w, ret);
		if (events == 0)
			return tls_failed(e, "handshake");
		if (!wait_for(w->fd, events, deadline))
			return err_set(e, RC_RETRY, "TLS handshake: no answer in time");
	}
	X509 *peer = SSL_get0_peer_certificate(w->ssl);
	w->verified = peer != NULL && SSL_get_verify_result(w->ssl) == X509_V_OK;
	return RC_OK;
}

bool
wire_has_tls(const struct wire *w)
{
	return w->ssl != NULL;
}

void
wire_tls_text(const struct wire *w, char *out, size_t size)
{
	if (w->ssl == NULL)
		snprintf(out, size, "none");
	else
		snprintf(out, size, "%s %s %s", SSL_get_version(w->ssl), SSL_get_cipher_name(w->ssl),
			 w->verified ? "verified" : "unverified");
}

enum rc
wire_write(struct wire *w, struct bytes b, int64_t timeout_ms, bool *all_r, struct err *e)
{
	int64_t deadline = clock_mono_ms() + timeout_ms;
	if (all_r != NULL)
		*all_r = false;
	while (b.n > 0) {
		size_t n = 0;
		short events = POLLOUT;
		if (w->ssl != NULL) {
			ERR_clear_error();
			int ret = SSL_write_ex(w->ssl, b.p, b.n, &n);
			if (ret != 1 && (events = ssl_events(w, ret)) == 0)
				return tls_failed(e, "write");
		} else {
			ssize_t k = send(w->fd, b.p, b.n, MSG_NOSIGNAL);
			if (k < 0 && errno != EAGAIN && errno != EINTR)
				return err_set(e, RC_RETRY, "connection lost: %s", strerror(errno));
			n = k > 0 ? (size_t)k : 0;
		}
		b = bytes_of(b.p + n, b.n - n);
		if (n == 0 && !wait_for(w->fd, events, deadline))
			return err_set(e, RC_RETRY, "connection timed out while sending");
	}
	if (all_r != NULL)
		*all_r = true;
	return RC_OK;
}

static enum rc
read_some(struct wire *w, int64_t deadline_ms, struct err *e)
{
	uint8_t *to = buf_reserve(&w->in, READ_SIZE);
	if (to == NULL)
		return err_set(e, RC_RETRY, "reply too long");
	for (;;) {
		size_t n = 0;
		short events = POLLIN;
		if (w->ssl != NULL) {
			ERR_clear_error();
			int ret = SSL_read_ex(w->ssl, to, READ_SIZE, &n);
			if (ret != 1 && (events = ssl_events(w, ret)) == 0)
				return tls_failed(e, "read");
		} else {
			ssize_t k = recv(w->fd, to, READ_SIZE, 0);
			if (k == 0)
				return err_set(e, RC_RETRY, "connection closed by the peer");
			if (k < 0 && errno != EAGAIN && errno != EINTR)
				return err_set(e, RC_RETRY, "connection lost: %s", strerror(errno));
			n = k > 0 ? (size_t)k : 0;
		}
		if (n > 0) {
			w->in.n += n;
			return RC_OK;
		}
		if (!wait_for(w->fd, events, deadline_ms))
			return err_set(e, RC_RETRY, "no reply in time");
	}
}

enum rc
wire_reply(struct wire *w, struct smtp_reply *reply, int64_t timeout_ms, struct err *e)
{
	int64_t deadline = clock_mono_ms() + timeout_ms;
	smtp_reply_reset(reply);
	for (;;) {
		size_t used = 0;
		enum smtp_progress p = smtp_reply_feed(reply, buf_bytes(&w->in), &used);
		buf_drop_front(&w->in, used);
		if (p == SMTP_DONE)
			return RC_OK;
		if (p == SMTP_BAD)
			return err_set(e, RC_RETRY, "the peer does not speak SMTP");
		enum rc rc = read_some(w, deadline, e);
		if (rc != RC_OK)
			return rc;
	}
}

bool
wire_quiet(struct wire *w)
{
	struct pollfd p = {.fd = w->fd, .events = POLLIN};
	return w->in.n == 0 && poll(&p, 1, 0) == 0;
}
