/* SPDX-License-Identifier: MIT
 *
 * epoll is edge-triggered: more octets wake us although the earlier ones are left in the socket for the next reader.
 */
#include "door.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/clock.h"
#include "framing.h"
#include "problem.h"

#define PENDING_MAX 256	  /* connections whose header is not whole yet */
#define PENDING_MS  10000 /* how long one may take */

struct pending {
	int fd; /* -1: free */
	int64_t since_ms;
};

struct door {
	int listen_fd, epoll_fd, stop_fd;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	pthread_t thread;
	door_pass pass;
	void *ctx;
	struct metric *refused;
	uint8_t *peeked; /* FRAMING_HEADER_MAX octets */
	size_t n_pending;
	struct pending pending[PENDING_MAX];
};

/* epoll's data: an index into pending, or one of these. */
#define AT_LISTEN UINT32_MAX
#define AT_STOP	  (UINT32_MAX - 1)

static const char *
reason(int status)
{
	switch (status) {
	case 400:
		return "Bad Request";
	case 408:
		return "Request Timeout";
	case 414:
		return "URI Too Long";
	case 431:
		return "Request Header Fields Too Large";
	default:
		return "Service Unavailable";
	}
}

static void
refuse(struct door *d, int fd, const char *code, const char *why)
{
	struct buf body, head;
	buf_init(&body, 0);
	buf_init(&head, 0);
	char id[UUID_STR_SIZE], trace[TRACEPARENT_SIZE];
	int status = problem_write(&body, code, why, id, trace);
	buf_addf(&head,
		 "HTTP/1.1 %d %s\r\nContent-Type: "
		 "application/problem+json\r\nContent-Length: %zu\r\n"
		 "Cache-Control: no-store\r\nX-Request-Id: %s\r\ntraceparent: %s\r\nConnection: close\r\n\r\n",
		 status, reason(status), body.n, id, trace);
	buf_add_bytes(&head, buf_bytes(&body));
	if (buf_ok(&head) && send(fd, head.p, head.n, MSG_NOSIGNAL | MSG_DONTWAIT) > 0) {
		/* Closing with unread octets resets the connection and may take our answer with it: read some away. */
		shutdown(fd, SHUT_WR);
		for (int i = 0; i < 64 && recv(fd, d->peeked, FRAMING_HEADER_MAX, MSG_DONTWAIT) > 0; i++)
			;
	}
	buf_done(&body);
	buf_done(&head);
	close(fd);
	if (d->refused != NULL)
		metric_add(d->refused, 0, 1);
}

static void
forget(struct door *d, uint32_t at)
{
	epoll_ctl(d->epoll_fd, EPOLL_CTL_DEL, d->pending[at].fd, NULL);
	d->pending[at].fd = -1;
	d->n_pending--;
}

static void
look(struct door *d, uint32_t at)
{
	int fd = d->pending[at].fd;
	ssize_t n = recv(fd, d->peeked, FRAMING_HEADER_MAX, MSG_PEEK | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		forget(d, at);
		close(fd);
		return;
	}
	const char *why = "";
	switch (framing_check(bytes_of(d->peeked, (size_t)n), &why)) {
	case FRAMING_MORE:
		return;
	case FRAMING_OK:
		forget(d, at);
		if (!d->pass(d->ctx, fd) && d->refused != NULL)
			metric_add(d->refused, 0, 1);
		return;
	case FRAMING_BAD:
		forget(d, at);
		refuse(d, fd, "bad_framing", why);
		return;
	case FRAMING_LONG:
		forget(d, at);
		refuse(d, fd, "uri_too_long", "the request line is too long");
		return;
	case FRAMING_TOO_BIG:
		forget(d, at);
		refuse(d, fd, "header_too_large", "the request's header is too large");
		return;
	}
}

static void
take_in(struct door *d)
{
	for (;;) {
		int fd = accept4(d->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0)
			return;
		if (d->n_pending == PENDING_MAX) {
			refuse(d, fd, "overload", "too many requests at once");
			continue;
		}
		uint32_t at = 0;
		while (d->pending[at].fd >= 0)
			at++;
		struct epoll_event ev = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.u32 = at};
		if (epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, fd, &ev) != 0) {
			close(fd);
			continue;
		}
		d->pending[at] = (struct pending){.fd = fd, .since_ms = clock_mono_ms()};
		d->n_pending++;
		look(d, at);
	}
}

static void
drop_late(struct door *d, int64_t now)
{
	for (uint32_t at = 0; d->n_pending > 0 && at < PENDING_MAX; at++) {
		int fd = d->pending[at].fd;
		if (fd < 0 || now - d->pending[at].since_ms < PENDING_MS)
			continue;
		forget(d, at);
		refuse(d, fd, "header_timeout", "the request's header did not come in time");
	}
}

static void *
door_main(void *arg)
{
	struct door *d = arg;
	struct epoll_event ev[64];
	for (;;) {
		int n = epoll_wait(d->epoll_fd, ev, 64, d->n_pending > 0 ? 1000 : -1);
		for (int i = 0; i < n; i++) {
			uint32_t at = ev[i].data.u32;
			if (at == AT_STOP)
				return NULL;
			if (at == AT_LISTEN)
				take_in(d);
			else if (d->pending[at].fd >= 0)
				look(d, at);
		}
		drop_late(d, clock_mono_ms());
	}
}

static enum rc
listen_at(struct door *d, const char *path, struct err *e)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(sa.sun_path))
		return err_set(e, RC_INVALID, "SEKISHO_API_SOCKET: path is too long");
	memcpy(sa.sun_path, path, strlen(path) + 1);
	memcpy(d->path, sa.sun_path, sizeof(d->path));
	d->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (d->listen_fd < 0)
		return err_set(e, RC_INTERNAL, "socket: %s", strerror(errno));
	int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool live = probe >= 0 && (connect(probe, (struct sockaddr *)&sa, sizeof(sa)) == 0 || errno == EAGAIN);
	if (probe >= 0)
		close(probe);
	if (live)
		return err_set(e, RC_CONFLICT, "SEKISHO_API_SOCKET: somebody serves %s already", path);
	unlink(path);
	if (bind(d->listen_fd, (struct sockaddr *)&sa, sizeof(sa)) != 0 || chmod(path, 0660) != 0 ||
	    listen(d->listen_fd, 512) != 0) {
		d->path[0] = '\0';
		return err_set(e, RC_INVALID, "SEKISHO_API_SOCKET: cannot listen on %s: %s", path, strerror(errno));
	}
	return RC_OK;
}

static void
door_free(struct door **dp)
{
	struct door *d = *dp;
	if (d->listen_fd >= 0)
		close(d->listen_fd);
	if (d->epoll_fd >= 0)
		close(d->epoll_fd);
	if (d->stop_fd >= 0)
		close(d->stop_fd);
	for (size_t i = 0; i < PENDING_MAX; i++)
		if (d->pending[i].fd >= 0)
			close(d->pending[i].fd);
	free(d->peeked);
	free(d);
	*dp = NULL;
}

enum rc
door_open(const char *path, door_pass pass, void *ctx, struct metric *refused, struct door **out_r, struct err *e)
{
	struct door *d = calloc(1, sizeof(*d));
	if (d == NULL)
		abort();
	d->pass = pass;
	d->ctx = ctx;
	d->refused = refused;
	d->listen_fd = -1;
	for (size_t i = 0; i < PENDING_MAX; i++)
		d->pending[i].fd = -1;
	d->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	d->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	d->peeked = malloc(FRAMING_HEADER_MAX);
	if (d->peeked == NULL)
		abort();
	enum rc rc = listen_at(d, path, e);
	struct epoll_event on_listen = {.events = EPOLLIN, .data.u32 = AT_LISTEN};
	struct epoll_event on_stop = {.events = EPOLLIN, .data.u32 = AT_STOP};
	if (rc == RC_OK && (epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, d->listen_fd, &on_listen) != 0 ||
			    epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, d->stop_fd, &on_stop) != 0 ||
			    pthread_create(&d->thread, NULL, door_main, d) != 0))
		rc = err_set(e, RC_INTERNAL, "door: %s", strerror(errno));
	if (rc != RC_OK) {
		door_free(&d);
		return rc;
	}
	*out_r = d;
	return RC_OK;
}

void
door_close(struct door **dp)
{
	struct door *d = *dp;
	if (d == NULL)
		return;
	uint64_t one = 1;
	if (write(d->stop_fd, &one, sizeof(one)) != sizeof(one))
		abort(); /* an eventfd takes its first write */
	pthread_join(d->thread, NULL);
	unlink(d->path);
	door_free(dp);
}
