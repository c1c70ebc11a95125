/* SPDX-License-Identifier: MIT
 *
 * One load of the signatures and the workers that share it. This process never looks at a message: it forks workers,
 * kills those over their time, buries and replaces them, and leaves with them when told to (SIGTERM).
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "inspect.h"
#include "scan.h"

#define TICK_MS		50
#define FAILURE_WAIT_MS 1000
#define SCANTIME_SHARE	8 / 10 /* libclamav gives up before the worker is killed */

struct generation {
	struct scan *scan;
	struct engine *engine;
	struct page_slot *slots;      /* our half */
	pid_t pids[PAGE_WORKERS_MAX]; /* not in the page: a worker taken over must not choose whom we kill */
	int first_slot, tell_fd;
	uint64_t number;
	bool told_ready, leaving;
	int64_t fork_after_ms; /* back-off after a worker that could not start */
};

static volatile sig_atomic_t told_to_leave;

static void
on_term(int sig)
{
	told_to_leave = 1;
}

static void
on_child(int sig)
{
}

static void
tell(struct generation *g, enum generation_word word)
{
	char c = (char)word;
	if (g->tell_fd < 0)
		return;
	if (write(g->tell_fd, &c, 1) != 1)
		log_warn("parent does not listen", LOG_STR("error", strerror(errno)));
	close(g->tell_fd);
	g->tell_fd = -1;
}

static void
fork_worker(struct generation *g, int i)
{
	struct page_slot *slot = &g->slots[i];
	atomic_store(&slot->scans, 0);
	atomic_store(&slot->started_ms, clock_mono_ms());
	atomic_store(&slot->state, PAGE_STARTING);
	pid_t pid = fork();
	if (pid == 0) {
		if (g->tell_fd >= 0)
			close(g->tell_fd);
		worker_run(g->scan, g->engine, slot, g->first_slot + i);
	}
	if (pid < 0) {
		log_error("cannot fork a worker", LOG_STR("error", strerror(errno)));
		atomic_store(&slot->state, PAGE_EMPTY);
		g->fork_after_ms = clock_mono_ms() + FAILURE_WAIT_MS;
		return;
	}
	g->pids[i] = pid;
}

/* --- burying -------------------------------------------------------------------------------------------- */

static void
worker_failed(struct generation *g, enum page_reason why)
{
	atomic_store(&g->scan->page->reason, why);
	log_error("worker cannot serve", LOG_STR("reason", page_reason_str(why)),
		  LOG_INT("sekisho.scan.generation", g->number));
	g->fork_after_ms = clock_mono_ms() + FAILURE_WAIT_MS;
}

static void
judge_exit(struct generation *g, pid_t pid, int status)
{
	if (WIFEXITED(status)) {
		switch (WEXITSTATUS(status)) {
		case WORKER_RETIRED:
			return;
		case WORKER_ANOMALY:
			log_info("worker retired after an anomaly", LOG_INT("process.pid", pid));
			return;
		case WORKER_SELFTEST:
			worker_failed(g, PAGE_SELFTEST_FAILED);
			return;
		case WORKER_NO_EICAR:
			worker_failed(g, PAGE_NO_EICAR);
			return;
		case WORKER_NO_CAGE:
			worker_failed(g, PAGE_CAGE_FAILED);
			return;
		default:
			break;
		}
	}
	atomic_fetch_add(&g->scan->page->crashes, 1);
	log_error("worker died", LOG_INT("process.pid", pid),
		  LOG_INT("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
		  LOG_INT("exit", WIFEXITED(status) ? WEXITSTATUS(status) : -1));
}

static void
bury(struct generation *g)
{
	int status;
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
		for (int i = 0; i < g->scan->config.workers; i++) {
			if (g->pids[i] != pid)
				continue;
			int32_t was = atomic_exchange(&g->slots[i].state, PAGE_EMPTY);
			g->pids[i] = 0;
			if (was == PAGE_BUSY || was == PAGE_IDLE)
				atomic_store(&g->scan->page->ready_ms, clock_mono_ms());
		}
		judge_exit(g, pid, status);
	}
}

/* --- watching ------------------------------------------------------------------------------------------- */

static void
kill_slow(struct generation *g)
{
	int64_t now = clock_mono_ms();
	for (int i = 0; i < g->scan->config.workers; i++) {
		struct page_slot *s = &g->slots[i];
		int32_t state = atomic_load(&s->state);
		pid_t pid = g->pids[i];
		bool working = state == PAGE_BUSY || state == PAGE_STARTING;
		if (!working || pid <= 0 || now - atomic_load(&s->started_ms) <= g->scan->config.timeout_ms)
			continue;
		log_error("worker over its time", LOG_INT("process.pid", pid));
		atomic_fetch_add(&g->scan->page->timeouts, 1);
		kill(pid, SIGKILL);
		atomic_store(&s->started_ms, now);
	}
}

static int
count(struct generation *g, bool ready_only)
{
	int n = 0;
	for (int i = 0; i < g->scan->config.workers; i++) {
		int32_t s = atomic_load(&g->slots[i].state);
		n += ready_only ? s == PAGE_IDLE || s == PAGE_BUSY : g->pids[i] > 0;
	}
	return n;
}

static void
refill(struct generation *g)
{
	for (int i = 0; i < g->scan->config.workers; i++)
		if (g->pids[i] == 0 && clock_mono_ms() >= g->fork_after_ms)
			fork_worker(g, i);
}

static void
leave(struct generation *g)
{
	if (!g->leaving)
		for (int i = 0; i < g->scan->config.workers; i++) {
			pid_t pid = g->pids[i];
			if (pid > 0)
				kill(pid, SIGTERM);
		}
	g->leaving = true;
	if (count(g, false) == 0)
		_exit(0);
}

/* What the serving signatures are. The first generation says it before its workers come up, a later one when it takes
 * over from the one that serves. */
static void
publish(struct generation *g)
{
	struct page *p = g->scan->page;
	atomic_store(&p->signatures, engine_signatures(g->engine));
	atomic_store(&p->signatures_us, engine_folder_time_us(g->scan->config.db));
	atomic_store(&p->generation, g->number);
}

static void
take_over(struct generation *g)
{
	publish(g);
	atomic_store(&g->scan->page->reason, PAGE_READY);
	log_info("signatures loaded", LOG_INT("sekisho.scan.generation", g->number),
		 LOG_INT("signatures", engine_signatures(g->engine)), LOG_STR("scanner", engine_name(g->engine)));
	if (!atomic_load(&g->scan->page->tmpfs))
		log_warn("temp folders are plain folders: a tmpfs of their own is not allowed here");
	g->told_ready = true;
	tell(g, GENERATION_READY);
}

static void
load(struct generation *g)
{
	struct err e;
	const struct scan_config *c = &g->scan->config;
	/* Two files of the largest size at once must fit the temp folder: one unpacked from the other. */
	struct engine_limits limits = {c->timeout_ms * SCANTIME_SHARE, c->tmp_octets / 2, c->tmp_octets * 2};
	enum rc rc = engine_load(c->db, &limits, &g->engine, &e);
	if (rc == RC_OK)
		return;
	/* While an older generation serves, what is wrong with the new files is for the log. */
	if (page_ready_workers(g->scan->page) == 0)
		atomic_store(&g->scan->page->reason, rc == RC_NOT_FOUND ? PAGE_NO_SIGNATURES : PAGE_LOAD_FAILED);
	log_error("signatures not loaded", LOG_ERR(&e));
	tell(g, GENERATION_FAILED);
	_exit(1);
}

_Noreturn void
generation_run(struct scan *s, uint64_t number, int half, int tell_fd)
{
	struct generation g = {.scan = s,
			       .slots = &s->page->slots[half * PAGE_WORKERS_MAX],
			       .first_slot = half * PAGE_WORKERS_MAX,
			       .tell_fd = tell_fd,
			       .number = number};
	sigset_t none;
	sigemptyset(&none);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != s->forker)
		_exit(0);
	s->forker = getpid();
	sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_term}, NULL);
	sigaction(SIGINT, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
	sigaction(SIGCHLD, &(struct sigaction){.sa_handler = on_child}, NULL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	load(&g);
	if (page_ready_workers(s->page) == 0)
		publish(&g);
	inspect_preload();
	for (;;) {
		bury(&g);
		kill_slow(&g);
		if (told_to_leave)
			leave(&g);
		else
			refill(&g);
		if (g.told_ready && !told_to_leave && count(&g, true) > 0)
			atomic_store(&s->page->reason, PAGE_READY);
		if (!g.told_ready && count(&g, true) == s->config.workers)
			take_over(&g);
		nanosleep(&(struct timespec){0, TICK_MS * 1000000}, NULL);
	}
}
