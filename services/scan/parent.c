/* SPDX-License-Identifier: MIT
 *
 * The first process: holds the listening socket, watches the signature folder, and swaps generations: the new one
 * serves before the old one is told to leave, so no request meets a gap. While no worker is up it takes the connections
 * itself and says why nobody scans.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "client/scan_client.h"
#include "scan.h"

#define TICK_MS	    100
#define BACKLOG	    512
#define RETRY_MS    5000
#define ALERT_MS    60000
#define REQUEST_MS  50
#define AGING_SHARE 2 /* the first alert comes at half of the age at which scanning stops */

struct child {
	pid_t pid;
	int half, hear_fd;
	uint64_t print; /* of the folder it loaded */
};

struct parent {
	struct scan *scan;
	struct child serving, coming;
	struct child parting; /* told to leave; its half of the slots is not free before it has gone */
	uint64_t generations, failed_print;
	int64_t look_ms, retry_ms, alert_ms;
	int signal_fd;
	bool leaving;
};

/* --- generations ---------------------------------------------------------------------------------------- */

static int
by_number(const void *x, const void *y)
{
	return *(const int *)x - *(const int *)y;
}

/* A generation and its workers have no business with the parent's other descriptors (health listener, signals). */
static void
keep_only(int one, int other, int third)
{
	int keep[] = {STDERR_FILENO, one, other, third};
	qsort(keep, 4, sizeof(*keep), by_number);
	for (size_t i = 0; i < 3; i++)
		if (keep[i + 1] > keep[i] + 1)
			close_range((unsigned)keep[i] + 1, (unsigned)keep[i + 1] - 1, 0);
	close_range((unsigned)keep[3] + 1, ~0u, 0);
}

static void
start_generation(struct parent *p, uint64_t print)
{
	int pipe_fds[2];
	sigset_t none;
	int half = p->serving.pid > 0 ? 1 - p->serving.half : 0;
	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) != 0) {
		log_error("no pipe", LOG_STR("error", strerror(errno)));
		return;
	}
	p->scan->forker = getpid();
	pid_t pid = fork();
	if (pid == 0) {
		keep_only(p->scan->listen_fd, pipe_fds[1], p->scan->page->truth_fd);
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		generation_run(p->scan, p->generations + 1, half, pipe_fds[1]);
	}
	close(pipe_fds[1]);
	if (pid < 0) {
		log_error("cannot fork a generation", LOG_STR("error", strerror(errno)));
		close(pipe_fds[0]);
		p->retry_ms = clock_mono_ms() + RETRY_MS;
		return;
	}
	p->generations++;
	p->coming = (struct child){pid, half, pipe_fds[0], print};
}

static void
part_with(struct parent *p, struct child *c)
{
	kill(c->pid, SIGTERM);
	if (c->hear_fd >= 0)
		close(c->hear_fd);
	p->parting = (struct child){.pid = c->pid, .half = c->half, .hear_fd = -1};
	*c = (struct child){.hear_fd = -1};
}

static void
swap_in(struct parent *p)
{
	if (p->serving.pid > 0) {
		part_with(p, &p->serving);
		atomic_fetch_add(&p->scan->page->reloads, 1);
	}
	close(p->coming.hear_fd);
	p->serving = p->coming;
	p->serving.hear_fd = -1;
	p->coming = (struct child){.hear_fd = -1};
	p->failed_print = 0;
}

static void
note_failure(struct parent *p)
{
	atomic_fetch_add(&p->scan->page->reload_failures, 1);
	p->failed_print = p->coming.print;
	p->retry_ms = clock_mono_ms() + RETRY_MS;
}

static void
hear(struct parent *p)
{
	char word;
	if (p->coming.pid <= 0)
		return;
	ssize_t n = read(p->coming.hear_fd, &word, 1);
	if (n < 0)
		return;
	if (n == 1 && word == GENERATION_READY) {
		swap_in(p);
	} else {
		note_failure(p);
		part_with(p, &p->coming);
	}
}

static void
look_at_folder(struct parent *p)
{
	const struct scan_config *c = &p->scan->config;
	int64_t now = clock_mono_ms();
	if (p->coming.pid > 0 || p->parting.pid > 0 || p->leaving || now < p->look_ms || now < p->retry_ms)
		return;
	p->look_ms = now + c->reload_ms;
	uint64_t print = engine_folder_print(c->db);
	if (print == 0 && p->serving.pid <= 0) {
		atomic_store(&p->scan->page->reason, PAGE_NO_SIGNATURES);
		return;
	}
	if (print != 0 && (p->serving.pid <= 0 || print != p->serving.print) &&
	    (print != p->failed_print || p->serving.pid <= 0))
		start_generation(p, print);
}

/* A generation that was killed cannot say that its workers are gone too (they die with it). */
static void
clear_half(struct parent *p, int half)
{
	struct page_slot *slots = &p->scan->page->slots[half * PAGE_WORKERS_MAX];
	for (int i = 0; i < PAGE_WORKERS_MAX; i++)
		atomic_store(&slots[i].state, PAGE_EMPTY);
}

static void
bury(struct parent *p)
{
	int status;
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
		if (pid == p->serving.pid) {
			log_error("the serving generation died", LOG_INT("status", status));
			clear_half(p, p->serving.half);
			atomic_store(&p->scan->page->reason, PAGE_LOADING);
			atomic_store(&p->scan->page->ready_ms, 0);
			p->serving = (struct child){.hear_fd = -1};
			p->look_ms = 0;
		} else if (pid == p->coming.pid) {
			note_failure(p);
			clear_half(p, p->coming.half);
			close(p->coming.hear_fd);
			p->coming = (struct child){.hear_fd = -1};
		} else if (pid == p->parting.pid) {
			clear_half(p, p->parting.half);
			p->parting = (struct child){.hear_fd = -1};
		}
	}
}

/* --- answering while nobody else can -------------------------------------------------------------------- */

static void
answer_not_ready(struct parent *p)
{
	uint8_t packed[512], request[1024];
	Sekisho__Facts__Status m;
	int fd = accept4(p->scan->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return;
	page_status(p->scan->page, p->scan->config.max_age_ms, &m);
	m.ready = 0; /* a worker may have come up since; this connection is not served by one */
	if (m.reason[0] == '\0')
		m.reason = (char *)(uintptr_t)page_reason_str(PAGE_LOADING);
	size_t n = sekisho__facts__status__pack(&m, packed);
	struct pollfd pf = {.fd = fd, .events = POLLIN};
	/* Read what came, descriptor and all: closing over it would look like a reset to the client. */
	if (send(fd, packed, n, MSG_NOSIGNAL) == (ssize_t)n && poll(&pf, 1, REQUEST_MS) == 1 &&
	    recv(fd, request, sizeof(request), MSG_DONTWAIT) < 0)
		log_debug("request not read", LOG_STR("error", strerror(errno)));
	close(fd);
}

static void
answer_status(struct parent *p)
{
	uint8_t packed[512];
	Sekisho__Facts__Status m;
	for (int fd; (fd = accept4(p->scan->status_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0; close(fd)) {
		page_status(p->scan->page, p->scan->config.max_age_ms, &m);
		size_t n = sekisho__facts__status__pack(&m, packed);
		if (send(fd, packed, n, MSG_NOSIGNAL) != (ssize_t)n)
			log_debug("status not sent", LOG_STR("error", strerror(errno)));
	}
}

static void
watch_age(struct parent *p)
{
	int64_t now = clock_mono_ms(), age = p->scan->config.max_age_ms;
	if (p->serving.pid <= 0 || age == 0 || now < p->alert_ms)
		return;
	p->alert_ms = now + ALERT_MS;
	if (page_is_stale(p->scan->page, age))
		log_error("signatures are stale: nothing is scanned");
	else if (page_is_stale(p->scan->page, age / AGING_SHARE))
		log_warn("signatures are getting old");
}

/* --- life ----------------------------------------------------------------------------------------------- */

static enum rc
open_socket(const char *path, int *fd_r, struct err *e)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(sa.sun_path))
		return err_set(e, RC_INVALID, "SEKISHO_SCAN_SOCKET: path too long");
	memcpy(sa.sun_path, path, strlen(path) + 1);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set(e, RC_INTERNAL, "socket: %s", strerror(errno));
	*fd_r = fd;
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return err_set(e, RC_CONFLICT, "another instance listens on %s", path);
	unlink(path);
	/* 0660: whoever shares the folder's group may ask; the folder decides who that is. */
	mode_t old = umask(0117);
	int bound = bind(fd, (struct sockaddr *)&sa, sizeof(sa));
	umask(old);
	if (bound != 0 || listen(fd, BACKLOG) != 0)
		return err_set(e, RC_INTERNAL, "%s: %s", path, strerror(errno));
	return RC_OK;
}

static void
status_path(const struct scan *s, char *out, size_t size)
{
	snprintf(out, size, "%s" SCAN_STATUS_SUFFIX, s->config.socket);
}

static enum rc
open_listeners(struct scan *s, struct err *e)
{
	char path[256];
	status_path(s, path, sizeof(path));
	enum rc rc = open_socket(s->config.socket, &s->listen_fd, e);
	return rc == RC_OK ? open_socket(path, &s->status_fd, e) : rc;
}

static int
open_signals(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void
take_signals(struct parent *p)
{
	struct signalfd_siginfo si;
	while (read(p->signal_fd, &si, sizeof(si)) == sizeof(si))
		p->leaving |= si.ssi_signo != SIGCHLD;
	bury(p);
}

static void
drain(struct parent *p)
{
	if (p->serving.pid > 0)
		kill(p->serving.pid, SIGTERM);
	if (p->coming.pid > 0)
		kill(p->coming.pid, SIGTERM);
	char path[256];
	status_path(p->scan, path, sizeof(path));
	unlink(path);
	unlink(p->scan->config.socket);
	int64_t deadline = clock_mono_ms() + p->scan->config.timeout_ms;
	while (waitpid(-1, NULL, WNOHANG) >= 0 && clock_left_ms(deadline) > 0)
		poll(NULL, 0, TICK_MS);
}

enum rc
parent_run(struct scan *s, struct err *e)
{
	struct parent p = {
	    .scan = s, .serving = {.hear_fd = -1}, .coming = {.hear_fd = -1}, .parting = {.hear_fd = -1}};
	enum rc rc = open_listeners(s, e);
	if (rc != RC_OK)
		return rc;
	p.signal_fd = open_signals();
	log_info("listening", LOG_STR("socket", s->config.socket));
	while (!p.leaving) {
		look_at_folder(&p);
		watch_age(&p);
		/* For a moment the queue may wait: a worker that left is replaced. */
		bool alone = !page_is_ready(s->page);
		struct pollfd pf[4] = {{.fd = p.signal_fd, .events = POLLIN},
				       {.fd = p.coming.hear_fd, .events = POLLIN},
				       {.fd = alone ? s->listen_fd : -1, .events = POLLIN},
				       {.fd = s->status_fd, .events = POLLIN}};
		poll(pf, 4, TICK_MS);
		take_signals(&p);
		hear(&p);
		if ((pf[2].revents & POLLIN) != 0 && page_ready_workers(s->page) == 0)
			answer_not_ready(&p);
		if ((pf[3].revents & POLLIN) != 0)
			answer_status(&p);
	}
	log_info("leaving");
	drain(&p);
	close(p.signal_fd);
	return RC_OK;
}
