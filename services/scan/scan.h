/* SPDX-License-Identifier: MIT
 *
 * The rooms of the cage: parent (listens, starts generations, answers when nobody else can) -> generation (loads
 * signatures, forks workers, buries them) -> worker (caged; serves one request per connection). Configuration is
 * read once by main.c and shared by all through fork.
 */
#ifndef SCAN_SCAN_H
#define SCAN_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/rc.h"
#include "engine.h"
#include "page.h"

struct scan_config {
	const char *socket, *db, *tmp, *health_listen, *log_level;
	int64_t workers, retire_after;
	int64_t tmp_octets, memory_octets, message_octets;
	int64_t max_age_ms, timeout_ms, reload_ms, selftest_ms;
};

struct scan {
	struct scan_config config;
	struct page *page;
	int listen_fd;
	pid_t forker;  /* whoever forks next: its children see by it that they were orphaned before they could ask */
	int status_fd; /* the parent's own socket; generations and workers do not hold it */
};

/* Until SIGTERM or SIGINT. */
enum rc parent_run(struct scan *s, struct err *e) MUST_CHECK;

/* What a generation tells its parent through the pipe. */
enum generation_word { GENERATION_READY = 'R', GENERATION_FAILED = 'F' };
/* Runs in a process of its own and never returns. half: 0 or 1, which half of the slots it may use. */
_Noreturn void generation_run(struct scan *s, uint64_t number, int half, int tell_fd);

enum worker_exit {
	WORKER_RETIRED = 0,
	WORKER_SELFTEST = 10,
	WORKER_NO_EICAR = 11,
	WORKER_NO_CAGE = 12,
	WORKER_ANOMALY = 13,
};
/* Runs in a process of its own and never returns. */
_Noreturn void worker_run(struct scan *s, struct engine *engine, struct page_slot *slot, int slot_number);

#endif
