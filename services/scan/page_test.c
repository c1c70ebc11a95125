/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "page.h"

/* In a process of its own, as there is no way back. */
static void
be_worker(struct page *p, int go_fd)
{
	struct err e;
	char c;
	if (page_give_up_truth(p, &e) != RC_OK)
		_exit(1);
	if (mprotect(p, PAGE_TRUTH_OCTETS, PROT_READ | PROT_WRITE) == 0)
		_exit(2);
	if (mmap(NULL, PAGE_TRUTH_OCTETS, PROT_READ | PROT_WRITE, MAP_SHARED, p->truth_fd, 0) != MAP_FAILED)
		_exit(3);
	if (read(go_fd, &c, 1) != 1 || atomic_load(&p->reason) != PAGE_STALE)
		_exit(4);
	atomic_store(&p->slots[0].state, PAGE_BUSY);
	_exit(0);
}

static void
a_worker_reads_the_truth_and_cannot_change_it(void **state)
{
	struct page *p;
	struct err e;
	int go[2], status;
	assert_int_equal(page_new(&p, &e), RC_OK);
	assert_int_equal(pipe(go), 0);
	pid_t pid = fork();
	if (pid == 0)
		be_worker(p, go[0]);
	atomic_store(&p->reason, PAGE_STALE);
	assert_int_equal(write(go[1], "x", 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(atomic_load(&p->slots[0].state), PAGE_BUSY);
	close(go[0]);
	close(go[1]);
	close(p->truth_fd);
	munmap(p, sizeof(*p));
}

static void
signatures_are_stale_by_age(void **state)
{
	static const struct {
		int64_t age_s, max_ms;
		bool stale;
	} t[] = {
	    {0, 3600000, false},   {3500, 3600000, false}, {3700, 3600000, true}, {-300, 3600000, false},
	    {-900, 3600000, true}, {1000000, 0, false},	   {-1000000, 0, false},
	};
	struct page *p;
	struct err e;
	assert_int_equal(page_new(&p, &e), RC_OK);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		atomic_store(&p->signatures_us, clock_wall_us() - t[i].age_s * 1000000);
		assert_int_equal(page_is_stale(p, t[i].max_ms), t[i].stale);
	}
	close(p->truth_fd);
	munmap(p, sizeof(*p));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_worker_reads_the_truth_and_cannot_change_it),
	    cmocka_unit_test(signatures_are_stale_by_age),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
