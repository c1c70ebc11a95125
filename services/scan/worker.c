/* SPDX-License-Identifier: MIT
 *
 * One caged process, one thread: takes a connection, says so, reads one request, answers, empties its folder. It leaves
 * after its share of scans, after anything odd, and when told to (SIGTERM, acted upon between requests only).
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cage.h"
#include "core/clock.h"
#include "core/log.h"
#include "inspect.h"
#include "scan.h"
#include "selftest.h"

#define SEALS		(F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define PACKET_MAX	(64u * 1024)
#define REQUEST_WAIT_MS 1000
#define DESCRIPTORS	256

struct worker {
	struct scan *scan;
	struct engine *engine;
	struct page_slot *slot;
	struct selftest *selftest;
	struct arena *arena;
	struct buf reply;
	char folder[256];
	int64_t selftest_due_ms;
	bool odd;
};

static volatile sig_atomic_t told_to_leave;

static void
on_term(int sig)
{
	told_to_leave = 1;
}

/* --- the protocol --------------------------------------------------------------------------------------- */

static bool
send_packet(int fd, struct bytes b, int passed)
{
	struct iovec iov = {(void *)(uintptr_t)b.p, b.n};
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	if (passed >= 0) {
		m.msg_control = control.space;
		m.msg_controllen = sizeof(control.space);
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &passed, sizeof(int));
	}
	ssize_t k;
	do {
		k = sendmsg(fd, &m, MSG_NOSIGNAL);
	} while (k < 0 && errno == EINTR);
	return k == (ssize_t)b.n;
}

static bool
send_status(struct worker *w, int fd, bool *serving_r)
{
	uint8_t packed[512];
	Sekisho__Facts__Status m;
	page_status(w->scan->page, w->scan->config.max_age_ms, &m);
	*serving_r = m.ready && !m.stale;
	return send_packet(fd, bytes_of(packed, sekisho__facts__status__pack(&m, packed)), -1);
}

static bool
receive_request(int fd, struct bytes into, Sekisho__Facts__Request **req_r, int *memfd_r)
{
	struct pollfd pf = {.fd = fd, .events = POLLIN};
	int ready;
	do {
		ready = poll(&pf, 1, REQUEST_WAIT_MS);
	} while (ready < 0 && errno == EINTR);
	if (ready <= 0)
		return false;
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov = {(void *)(uintptr_t)into.p, into.n};
	struct msghdr m = {
	    .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof(control.space)};
	ssize_t k = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
	if (k <= 0)
		return false;
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(memfd_r, CMSG_DATA(c), sizeof(int));
	if ((m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
		return false;
	*req_r = sekisho__facts__request__unpack(NULL, (size_t)k, into.p);
	return *req_r != NULL;
}

/* The sender must not be able to change the octets while we look: unsealed memory is refused. */
static bool
map_message(int memfd, uint64_t size, int64_t size_max, struct bytes *msg_r)
{
	struct stat st;
	int seals = memfd >= 0 ? fcntl(memfd, F_GET_SEALS) : -1;
	if (seals < 0 || (seals & SEALS) != SEALS || fstat(memfd, &st) != 0 || st.st_size <= 0 ||
	    st.st_size > size_max || (uint64_t)st.st_size != size)
		return false;
	void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, memfd, 0);
	if (p == MAP_FAILED)
		return false;
	*msg_r = bytes_of(p, (size_t)st.st_size);
	return true;
}

static bool
send_large(int fd, struct bytes b)
{
	int memfd = memfd_create("facts", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (memfd < 0)
		return false;
	bool ok = true;
	for (size_t done = 0; ok && done < b.n;) {
		ssize_t k = write(memfd, b.p + done, b.n - done);
		ok = k > 0 || (k < 0 && errno == EINTR);
		done += k > 0 ? (size_t)k : 0;
	}
	ok = ok && fcntl(memfd, F_ADD_SEALS, SEALS) == 0 && send_packet(fd, bytes_of("", 0), memfd);
	close(memfd);
	return ok;
}

/* --- one scan ------------------------------------------------------------------------------------------- */

/* Facts that do not fit their encoding still have a verdict: the lists go, and it is no longer clean. */
static bool
encode(struct worker *w, struct facts *f)
{
	struct err e;
	buf_reset(&w->reply);
	if (facts_encode(f, &w->reply, &e) == RC_OK)
		return true;
	struct facts bare = {.verdict = f->verdict == FACTS_CLEAN ? FACTS_LIMIT : f->verdict,
			     .signature = f->signature,
			     .reason = "more facts than an answer holds",
			     .scanner = f->scanner,
			     .size = f->size};
	memcpy(bare.sha256, f->sha256, sizeof(bare.sha256));
	buf_reset(&w->reply);
	return facts_encode(&bare, &w->reply, &e) == RC_OK;
}

static void
count_scan(struct worker *w, const struct facts *f, size_t octets, int64_t from_us)
{
	struct page *p = w->scan->page;
	unsigned v = (unsigned)f->verdict < PAGE_VERDICTS ? (unsigned)f->verdict : 0;
	atomic_fetch_add(&p->verdicts[v], 1);
	atomic_fetch_add(&p->scan_us, clock_wall_us() - from_us);
	atomic_fetch_add(&p->scan_octets, (int64_t)octets);
	atomic_fetch_add(&w->slot->scans, 1);
}

static void
inspect(struct worker *w, int fd, const Sekisho__Facts__Request *req, struct bytes msg)
{
	bool anomaly = false;
	int64_t from_us = clock_wall_us();
	struct facts *f = inspect_message(w->engine, msg, w->arena, &anomaly);
	/* An unlink that failed leaves a temp folder that fills up: whatever was in it, this scan is not to be trusted.
	 */
	if (!cage_empty_folder(w->folder)) {
		anomaly = true;
		if (f->verdict == FACTS_CLEAN) {
			f->verdict = FACTS_UNSCANNABLE;
			f->reason = "the scanner's folder cannot be emptied";
		}
	}
	/* What found a gap in a reader is most likely among the odd ones: do not let it meet the next message. */
	w->odd |= anomaly || (f->verdict != FACTS_CLEAN && f->verdict != FACTS_INFECTED);
	if (encode(w, f)) {
		if (w->reply.n <= PACKET_MAX)
			send_packet(fd, buf_bytes(&w->reply), -1);
		else if (!send_large(fd, buf_bytes(&w->reply)))
			w->odd = true;
	}
	count_scan(w, f, msg.n, from_us);
	struct uuid id;
	if (req->message.len == sizeof(id.b)) {
		memcpy(id.b, req->message.data, sizeof(id.b));
		log_debug("scanned", LOG_MESSAGE(&id), LOG_TRACE(req->traceparent),
			  LOG_STR("verdict", facts_verdict_str(f->verdict)), LOG_INT("size", msg.n));
	}
}

static void
say_idle(struct worker *w)
{
	atomic_store(&w->slot->state, PAGE_IDLE);
	atomic_store(&w->scan->page->ready_ms, clock_mono_ms());
}

static void
serve(struct worker *w, int fd)
{
	uint8_t packet[1024];
	Sekisho__Facts__Request *req = NULL;
	int memfd = -1;
	bool serving = false;
	struct bytes msg;
	atomic_store(&w->slot->started_ms, clock_mono_ms());
	atomic_store(&w->slot->state, PAGE_BUSY);
	if (send_status(w, fd, &serving) && receive_request(fd, bytes_of(packet, sizeof(packet)), &req, &memfd) &&
	    req->verb == SEKISHO__FACTS__REQUEST__VERB__INSPECT && serving) {
		if (map_message(memfd, req->size, w->scan->config.message_octets, &msg)) {
			inspect(w, fd, req, msg);
			munmap((void *)(uintptr_t)msg.p, msg.n);
		} else {
			atomic_fetch_add(&w->scan->page->refused, 1);
		}
	}
	if (memfd >= 0)
		close(memfd);
	if (req != NULL)
		sekisho__facts__request__free_unpacked(req, NULL);
	close(fd);
	arena_reset(w->arena);
	say_idle(w);
}

/* --- life ----------------------------------------------------------------------------------------------- */

static void
test_self(struct worker *w)
{
	struct page *p = w->scan->page;
	enum selftest_result r = selftest_run(w->selftest, w->engine);
	atomic_fetch_add(&p->selftests, 1);
	if (r != SELFTEST_PASSED || !cage_empty_folder(w->folder)) {
		atomic_fetch_add(&p->selftest_failures, 1);
		_exit(r == SELFTEST_NO_EICAR ? WORKER_NO_EICAR : WORKER_SELFTEST);
	}
	w->selftest_due_ms = clock_mono_ms() + w->scan->config.selftest_ms;
}

static void
enter(struct worker *w)
{
	struct err e;
	bool tmpfs = false;
	const struct scan_config *c = &w->scan->config;
	struct cage cage = {w->folder, c->tmp_octets, c->memory_octets, DESCRIPTORS};
	enum rc rc = page_give_up_truth(w->scan->page, &e);
	if (rc == RC_OK)
		rc = cage_make_folder(&cage, &tmpfs, &e);
	if (rc == RC_OK)
		rc = engine_set_folder(w->engine, w->folder, &e);
	if (rc == RC_OK)
		rc = cage_enter(&cage, &e);
	if (rc != RC_OK) {
		log_error("no cage", LOG_ERR(&e));
		_exit(WORKER_NO_CAGE);
	}
	atomic_store(&w->scan->page->tmpfs, tmpfs);
}

static void
catch_signals(sigset_t *waiting_r)
{
	struct sigaction sa = {.sa_handler = on_term};
	sigset_t block;
	sigemptyset(&block);
	sigaddset(&block, SIGTERM);
	sigprocmask(SIG_BLOCK, &block, waiting_r);
	sigdelset(waiting_r, SIGTERM);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
	sigaction(SIGXFSZ, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
}

static bool
should_go_on(const struct worker *w)
{
	return !told_to_leave && !w->odd && atomic_load(&w->slot->scans) < w->scan->config.retire_after;
}

_Noreturn void
worker_run(struct scan *s, struct engine *engine, struct page_slot *slot, int slot_number)
{
	sigset_t waiting;
	struct worker w = {.scan = s, .engine = engine, .slot = slot, .selftest = selftest_new(), .arena = arena_new()};
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != s->forker)
		_exit(WORKER_RETIRED);
	catch_signals(&waiting);
	/* Large blocks come back with every mail: keep them instead of asking the kernel for zeroed pages anew. */
	mallopt(M_MMAP_THRESHOLD, 32 << 20);
	mallopt(M_TRIM_THRESHOLD, 64 << 20);
	snprintf(w.folder, sizeof(w.folder), "%s/worker-%d", s->config.tmp, slot_number);
	buf_init(&w.reply, 0);
	enter(&w);
	test_self(&w);
	say_idle(&w);
	while (should_go_on(&w)) {
		struct pollfd pf = {.fd = s->listen_fd, .events = POLLIN};
		int64_t left = clock_left_ms(w.selftest_due_ms);
		struct timespec wait = {left / 1000, left % 1000 * 1000000};
		if (left == 0) {
			test_self(&w);
			continue;
		}
		if (ppoll(&pf, 1, &wait, &waiting) <= 0)
			continue;
		int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			serve(&w, fd);
	}
	atomic_store(&slot->state, PAGE_EMPTY);
	atomic_fetch_add(&s->page->retired, 1);
	_exit(w.odd ? WORKER_ANOMALY : WORKER_RETIRED);
}
