/* SPDX-License-Identifier: MIT */
#include "page.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/clock.h"

/* Longer than a worker takes to be replaced, shorter than anybody's patience. */
#define REPLACE_MS 2000
/* Clocks of two machines differ; a stamp further ahead was made up and would be fresh for ever. */
#define AHEAD_US (600 * (int64_t)1000000)

/* The descriptor for reading must be one of its own: what is mapped by it cannot be made writable later. */
static int
open_for_reading(int fd)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDONLY | O_CLOEXEC);
}

enum rc
page_new(struct page **out_r, struct err *e)
{
	int fd = memfd_create("page", MFD_CLOEXEC), truth_fd = -1;
	void *p = MAP_FAILED;
	if (fd >= 0 && ftruncate(fd, sizeof(struct page)) == 0 && (truth_fd = open_for_reading(fd)) >= 0)
		p = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	int why = errno;
	if (fd >= 0)
		close(fd);
	if (p == MAP_FAILED) {
		if (truth_fd >= 0)
			close(truth_fd);
		return err_set(e, RC_INTERNAL, "shared page: %s", strerror(why));
	}
	*out_r = p;
	(*out_r)->truth_fd = truth_fd;
	atomic_store(&(*out_r)->reason, PAGE_LOADING);
	atomic_store(&(*out_r)->ready_ms, -REPLACE_MS);
	return RC_OK;
}

enum rc
page_give_up_truth(struct page *p, struct err *e)
{
	int fd = p->truth_fd;
	if (mmap(p, PAGE_TRUTH_OCTETS, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		return err_set(e, RC_INTERNAL, "shared page: %s", strerror(errno));
	close(fd);
	return RC_OK;
}

const char *
page_reason_str(enum page_reason r)
{
	switch (r) {
	case PAGE_READY:
		return "no worker is up";
	case PAGE_LOADING:
		return "signatures are being loaded";
	case PAGE_NO_SIGNATURES:
		return "no signatures";
	case PAGE_LOAD_FAILED:
		return "signatures do not load";
	case PAGE_NO_EICAR:
		return "signatures do not know the EICAR test file";
	case PAGE_SELFTEST_FAILED:
		return "self-test failed";
	case PAGE_CAGE_FAILED:
		return "workers cannot be caged";
	case PAGE_STALE:
		return "signatures are stale";
	}
	return "unknown";
}

uint32_t
page_ready_workers(const struct page *p)
{
	uint32_t n = 0;
	for (size_t i = 0; i < PAGE_SLOTS; i++) {
		int32_t s = atomic_load(&p->slots[i].state);
		n += s == PAGE_IDLE || s == PAGE_BUSY;
	}
	return n;
}

bool
page_is_ready(const struct page *p)
{
	int32_t reason = atomic_load(&p->reason);
	bool failed = reason != PAGE_READY && reason != PAGE_LOADING;
	return page_ready_workers(p) > 0 || (!failed && clock_mono_ms() - atomic_load(&p->ready_ms) < REPLACE_MS);
}

int
page_is_stale(const struct page *p, int64_t max_age_ms)
{
	int64_t age_us = clock_wall_us() - atomic_load(&p->signatures_us);
	return max_age_ms > 0 && (age_us > max_age_ms * 1000 || age_us < -AHEAD_US);
}

void
page_status(const struct page *p, int64_t max_age_ms, Sekisho__Facts__Status *out)
{
	sekisho__facts__status__init(out);
	out->workers = page_ready_workers(p);
	out->ready = page_is_ready(p);
	out->stale = out->ready && page_is_stale(p, max_age_ms);
	out->generation = atomic_load(&p->generation);
	out->signatures = atomic_load(&p->signatures);
	out->signatures_us = atomic_load(&p->signatures_us);
	enum page_reason why = out->stale ? PAGE_STALE : (enum page_reason)atomic_load(&p->reason);
	if (!out->ready || out->stale)
		out->reason = (char *)(uintptr_t)page_reason_str(why);
}
