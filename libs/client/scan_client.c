/* SPDX-License-Identifier: MIT
 *
 * One connection per call, two waits: for the Status that says a worker took it, then for the answer. A connection that
 * ends before the first is the cage's trouble (down), after it the message's (crashed). Thread-safe: no state.
 */
#include "client/scan_client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/clock.h"
#include "mail/facts.h"
#include "proto/facts.pb-c.h"

#define SEALS	   (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define PACKET_MAX (64u * 1024)
#define BACKOFF_MS 5

const char *
scan_end_str(enum scan_end end)
{
	switch (end) {
	case SCAN_DONE:
		return "done";
	case SCAN_BUSY:
		return "busy";
	case SCAN_DOWN:
		return "down";
	case SCAN_CRASHED:
		return "crashed";
	case SCAN_TIMEOUT:
		return "timeout";
	case SCAN_BROKEN:
		return "broken";
	}
	return "unknown";
}

int
scan_seal(struct bytes message)
{
	int fd = memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -1;
	for (size_t done = 0; done < message.n;) {
		ssize_t k = write(fd, message.p + done, message.n - done);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			goto fail;
		done += (size_t)k;
	}
	if (fcntl(fd, F_ADD_SEALS, SEALS) == 0)
		return fd;
fail:;
	int saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* A full backlog is EAGAIN at once, whatever the timeouts of the socket: wait a little and ask again. */
static enum scan_end
connect_until(const char *path, int64_t deadline, int *fd_r, struct err *e)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(sa.sun_path)) {
		err_set(e, RC_INVALID, "socket path too long");
		return SCAN_DOWN;
	}
	memcpy(sa.sun_path, path, strlen(path) + 1);
	for (;;) {
		int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (fd < 0) {
			err_set(e, RC_RETRY, "socket: %s", strerror(errno));
			return SCAN_DOWN;
		}
		if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0) {
			*fd_r = fd;
			return SCAN_DONE;
		}
		int why = errno;
		close(fd);
		if (why != EAGAIN && why != EINTR) {
			err_set(e, RC_RETRY, "scanner: %s", strerror(why));
			return SCAN_DOWN;
		}
		if (clock_left_ms(deadline) == 0) {
			err_set(e, RC_RETRY, "scanner: queue is full");
			return SCAN_BUSY;
		}
		poll(NULL, 0, BACKOFF_MS);
	}
}

static bool
send_request(int fd, const Sekisho__Facts__Request *req, int memfd)
{
	uint8_t packed[512];
	size_t n = sekisho__facts__request__get_packed_size(req);
	if (n > sizeof(packed)) {
		errno = EMSGSIZE;
		return false;
	}
	struct iovec iov = {packed, sekisho__facts__request__pack(req, packed)};
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	if (memfd >= 0) {
		m.msg_control = control.space;
		m.msg_controllen = sizeof(control.space);
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &memfd, sizeof(int));
	}
	ssize_t k;
	do {
		k = sendmsg(fd, &m, MSG_NOSIGNAL);
	} while (k < 0 && errno == EINTR);
	return k == (ssize_t)iov.iov_len;
}

enum receive { RECEIVED, RECEIVE_TIMEOUT, RECEIVE_EOF };

/* One packet of at most cap octets, with at most one descriptor (-1: none). A descriptor marks an empty packet as a
 * packet; without one, no octets are the end of the connection. */
static enum receive
receive(int fd, uint8_t *p, size_t cap, size_t *n_r, int *passed_r, int64_t deadline)
{
	struct pollfd pf = {.fd = fd, .events = POLLIN};
	int ready;
	do {
		ready = poll(&pf, 1, (int)clock_left_ms(deadline));
	} while (ready < 0 && errno == EINTR);
	if (ready <= 0)
		return RECEIVE_TIMEOUT;
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov = {p, cap};
	struct msghdr m = {
	    .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof(control.space)};
	ssize_t k = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
	/* A peer that left without reading our request sets the error before we see the packets it had sent. */
	if (k < 0 && errno == ECONNRESET)
		k = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
	if (k < 0)
		return RECEIVE_EOF;
	int passed = -1;
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&passed, CMSG_DATA(c), sizeof(int));
	if (k == 0 && passed < 0)
		return RECEIVE_EOF;
	if ((m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || (passed >= 0 && passed_r == NULL)) {
		if (passed >= 0)
			close(passed);
		return RECEIVE_EOF;
	}
	*n_r = (size_t)k;
	if (passed_r != NULL)
		*passed_r = passed;
	return RECEIVED;
}

static enum rc
status_decode(struct bytes b, struct scan_status *out_r, struct err *e)
{
	Sekisho__Facts__Status *m = sekisho__facts__status__unpack(NULL, b.n, b.p);
	if (m == NULL)
		return err_set(e, RC_RETRY, "scanner: its status does not decode");
	*out_r = (struct scan_status){
	    .ready = m->ready,
	    .stale = m->stale,
	    .workers = m->workers,
	    .generation = m->generation,
	    .signatures = m->signatures,
	    .signatures_us = m->signatures_us,
	};
	snprintf(out_r->reason, sizeof(out_r->reason), "%s", m->reason);
	sekisho__facts__status__free_unpacked(m, NULL);
	return RC_OK;
}

/* Large facts come in a sealed memfd: nobody can change them while they are read. */
static bool
facts_from_memfd(int fd, struct arena *a, struct bytes *facts_r)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) != 0 || st.st_size <= 0 ||
	    st.st_size > FACTS_ENCODED_MAX)
		return false;
	size_t n = (size_t)st.st_size;
	uint8_t *p = arena_alloc(a, n);
	for (size_t done = 0; done < n;) {
		ssize_t k = pread(fd, p + done, n - done, (off_t)done);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return false;
		done += (size_t)k;
	}
	*facts_r = bytes_of(p, n);
	return true;
}

/* The first packet: somebody took the connection, and says whether it can serve it. */
static enum scan_end
await_taken(int fd, int64_t deadline, struct scan_status *status_r, struct err *e)
{
	uint8_t packet[1024];
	size_t n;
	switch (receive(fd, packet, sizeof(packet), &n, NULL, deadline)) {
	case RECEIVE_TIMEOUT:
		err_set(e, RC_RETRY, "scanner: no worker was free in time");
		return SCAN_BUSY;
	case RECEIVE_EOF:
		err_set(e, RC_RETRY, "scanner: connection closed before a worker took it");
		return SCAN_DOWN;
	case RECEIVED:
		break;
	}
	return status_decode(bytes_of(packet, n), status_r, e) == RC_OK ? SCAN_DONE : SCAN_DOWN;
}

static enum scan_end
await_facts(int fd, int64_t deadline, struct arena *a, struct bytes *facts_r, struct err *e)
{
	size_t n;
	int passed = -1;
	uint8_t *packet = arena_alloc(a, PACKET_MAX);
	switch (receive(fd, packet, PACKET_MAX, &n, &passed, deadline)) {
	case RECEIVE_TIMEOUT:
		err_set(e, RC_RETRY, "scanner: no answer in time");
		return SCAN_TIMEOUT;
	case RECEIVE_EOF:
		err_set(e, RC_RETRY, "scanner: the worker died");
		return SCAN_CRASHED;
	case RECEIVED:
		break;
	}
	if (passed < 0) {
		*facts_r = bytes_of(packet, n);
		return SCAN_DONE;
	}
	bool ok = n == 0 && facts_from_memfd(passed, a, facts_r);
	close(passed);
	if (ok)
		return SCAN_DONE;
	err_set(e, RC_RETRY, "scanner: its facts cannot be read");
	return SCAN_BROKEN;
}

enum scan_end
scan_inspect(const char *socket_path, int memfd, uint64_t size, const struct uuid *message, const char *traceparent,
	     int64_t queue_ms, int64_t scan_ms, struct arena *a, struct bytes *facts_r, struct err *e)
{
	int fd;
	int64_t queue_deadline = clock_mono_ms() + queue_ms;
	struct scan_status status;
	struct uuid id = message != NULL ? *message : (struct uuid){{0}};
	char trace[TRACEPARENT_SIZE] = "";
	if (traceparent != NULL)
		snprintf(trace, sizeof(trace), "%s", traceparent);
	Sekisho__Facts__Request req = SEKISHO__FACTS__REQUEST__INIT;
	req.verb = SEKISHO__FACTS__REQUEST__VERB__INSPECT;
	req.size = size;
	req.message = (ProtobufCBinaryData){sizeof(id.b), id.b};
	req.traceparent = trace;

	enum scan_end end = connect_until(socket_path, queue_deadline, &fd, e);
	if (end != SCAN_DONE)
		return end;
	/* A worker that is not ready may have closed already; its Status is still there to be read. */
	if (!send_request(fd, &req, memfd) && errno != EPIPE && errno != ECONNRESET) {
		err_set(e, RC_RETRY, "scanner: cannot send: %s", strerror(errno));
		close(fd);
		return SCAN_DOWN;
	}
	end = await_taken(fd, queue_deadline, &status, e);
	if (end == SCAN_DONE && (!status.ready || status.stale)) {
		err_set(e, RC_RETRY, "scanner: %s", status.reason[0] != '\0' ? status.reason : "not ready");
		end = SCAN_DOWN;
	}
	if (end == SCAN_DONE)
		end = await_facts(fd, clock_mono_ms() + scan_ms, a, facts_r, e);
	close(fd);
	return end;
}

/* The parent's own socket answers also while every worker is busy; an older cage has only the one. */
static enum scan_end
connect_for_status(const char *socket_path, int64_t deadline, int *fd_r, struct err *e)
{
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	int n = snprintf(path, sizeof(path), "%s" SCAN_STATUS_SUFFIX, socket_path);
	if (n < (int)sizeof(path) && connect_until(path, deadline, fd_r, e) == SCAN_DONE)
		return SCAN_DONE;
	return connect_until(socket_path, deadline, fd_r, e);
}

enum rc
scan_status(const char *socket_path, int64_t timeout_ms, struct scan_status *out_r, struct err *e)
{
	int fd;
	int64_t deadline = clock_mono_ms() + timeout_ms;
	if (connect_for_status(socket_path, deadline, &fd, e) != SCAN_DONE)
		return RC_RETRY;
	/* Whoever takes the connection speaks first; there is nothing to ask. */
	enum rc rc = await_taken(fd, deadline, out_r, e) == SCAN_DONE ? RC_OK : RC_RETRY;
	close(fd);
	return rc;
}
