/* SPDX-License-Identifier: MIT
 *
 * The shared-memory page: what the parent, the generations and the workers know of each other. Everything in it is
 * atomic; a worker (hostile, at worst) can write its nonsense to most of it, so readers take numbers only and check
 * them.
 */
#ifndef SCAN_PAGE_H
#define SCAN_PAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/rc.h"
#include "proto/facts.pb-c.h"

#define PAGE_WORKERS_MAX 64
#define PAGE_SLOTS	 (2 * PAGE_WORKERS_MAX) /* two generations during a swap */
#define PAGE_VERDICTS	 7

enum page_state { PAGE_EMPTY, PAGE_STARTING, PAGE_IDLE, PAGE_BUSY };

enum page_reason {
	PAGE_READY,
	PAGE_LOADING,
	PAGE_NO_SIGNATURES,
	PAGE_LOAD_FAILED,
	PAGE_NO_EICAR,
	PAGE_SELFTEST_FAILED,
	PAGE_CAGE_FAILED,
	PAGE_STALE,
};

struct page_slot {
	_Atomic int32_t state;
	_Atomic int64_t started_ms; /* monotonic, of the running scan */
	_Atomic int64_t scans;
};

/* Of the largest pages a machine has. */
#define PAGE_TRUTH_OCTETS 65536

struct page {
	/* What decides whether messages are scanned at all; workers can read it only. It fills whole pages of its own,
	 * by size and not by alignment, because mmap() aligns to this machine's pages only. */
	union {
		struct {
			_Atomic uint64_t generation; /* the one that serves */
			_Atomic uint64_t signatures;
			_Atomic int64_t signatures_us;
			_Atomic int32_t reason; /* enum page_reason: why nobody is ready */
			int truth_fd;		/* read-only descriptor of all this */
		};
		char truth_octets[PAGE_TRUTH_OCTETS];
	};

	struct page_slot slots[PAGE_SLOTS];
	_Atomic int64_t ready_ms; /* monotonic: when a worker was ready last */
	_Atomic int32_t tmpfs;	  /* workers have a bounded file system of their own */

	_Atomic int64_t verdicts[PAGE_VERDICTS];
	_Atomic int64_t scan_us, scan_octets;
	_Atomic int64_t crashes, timeouts, retired, selftests, selftest_failures, reloads, reload_failures, refused;
};

/* Shared memory without a name; every process forked later sees the same. */
enum rc page_new(struct page **out_r, struct err *e) MUST_CHECK;
/* For good, in this process: no write permission can be had for what is above the slots. */
enum rc page_give_up_truth(struct page *p, struct err *e) MUST_CHECK;
const char *page_reason_str(enum page_reason r);
uint32_t page_ready_workers(const struct page *p);
/* Somebody is ready, or was a moment ago and is being replaced. */
bool page_is_ready(const struct page *p);
/* Too old, or from the future. max_age_ms 0: signatures never get stale. */
int page_is_stale(const struct page *p, int64_t max_age_ms);
/* What a client is told; points at static storage only. */
void page_status(const struct page *p, int64_t max_age_ms, Sekisho__Facts__Status *out);

#endif
