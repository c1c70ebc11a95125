/* SPDX-License-Identifier: MIT
 *
 * What a caged process can and cannot do: each attempt in a child of its own, whose way out is the result.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cage.h"

#define DONE	  0   /* the attempt succeeded */
#define NOT_CAGED 200 /* a bug of the test or of the cage */

static char folder[64];

struct outcome {
	int code;   /* DONE, or the errno of the attempt */
	int signal; /* that killed the child */
};

static struct outcome
attempt(int (*fn)(void))
{
	int status;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		bool tmpfs;
		struct err e;
		struct cage c = {folder, 4 << 20, 1LL << 30, 64};
		if (cage_make_folder(&c, &tmpfs, &e) != RC_OK || cage_enter(&c, &e) != RC_OK)
			_exit(NOT_CAGED);
		_exit(fn());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	struct outcome o = {WIFEXITED(status) ? WEXITSTATUS(status) : -1, WIFSIGNALED(status) ? WTERMSIG(status) : 0};
	assert_int_not_equal(o.code, NOT_CAGED);
	return o;
}

static int
result(long rc)
{
	return rc >= 0 ? DONE : errno;
}

static int
open_passwd(void)
{
	return result(open("/etc/passwd", O_RDONLY));
}

static int
open_root(void)
{
	return result(open("/", O_RDONLY | O_DIRECTORY));
}

static int
open_proc(void)
{
	return result(open("/proc/self/mem", O_RDWR));
}

static int
open_outside_by_dots(void)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/../../../../etc/passwd", folder);
	return result(open(path, O_RDONLY));
}

static int
write_outside(void)
{
	return result(open("/tmp/escaped", O_WRONLY | O_CREAT, 0600));
}

static int
socket_inet(void)
{
	return result(socket(AF_INET, SOCK_STREAM, 0));
}

static int
socket_unix(void)
{
	return result(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int
connect_any(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX, .sun_path = "/run/x"};
	return result(connect(0, (struct sockaddr *)&sa, sizeof(sa)));
}

static int
exec_shell(void)
{
	char *const argv[] = {"sh", NULL};
	return result(execve("/bin/sh", argv, NULL));
}

static int
trace_parent(void)
{
	return result(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
}

static int
kill_parent(void)
{
	return result(kill(getppid(), 0));
}

static int
fork_child(void)
{
	return result(fork());
}

static int
map_executable(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED ? DONE : errno;
}

static int
make_executable(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? NOT_CAGED : result(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}

static int
mount_any(void)
{
	return result(syscall(SYS_mount, "x", "/", "tmpfs", 0, NULL));
}

static int
too_much_memory(void)
{
	return mmap(NULL, 2ULL << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED ? DONE
														: errno;
}

static int
raise_limits(void)
{
	return result(syscall(SYS_prlimit64, 0, 7, NULL, NULL));
}

static int
write_inside(void)
{
	char path[128], block[4096] = {1};
	snprintf(path, sizeof(path), "%s/file", folder);
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	if (fd < 0 || write(fd, block, sizeof(block)) != (ssize_t)sizeof(block))
		return errno;
	close(fd);
	snprintf(path, sizeof(path), "%s/sub", folder);
	if (mkdir(path, 0700) != 0)
		return errno;
	return cage_empty_folder(folder) && access(path, F_OK) != 0 ? DONE : NOT_CAGED;
}

static int
fill_inside(void)
{
	static char block[65536];
	char path[128];
	for (int f = 0; f < 1000; f++) {
		snprintf(path, sizeof(path), "%s/file%d", folder, f);
		int fd = open(path, O_WRONLY | O_CREAT, 0600);
		if (fd < 0)
			return errno;
		for (int i = 0; i < 16; i++)
			if (write(fd, block, sizeof(block)) != (ssize_t)sizeof(block))
				return errno;
		close(fd);
	}
	return DONE;
}

static void
denied(int (*fn)(void), int code)
{
	struct outcome o = attempt(fn);
	assert_int_equal(o.signal, 0);
	assert_int_equal(o.code, code);
}

static void
deadly(int (*fn)(void))
{
	assert_int_equal(attempt(fn).signal, SIGSYS);
}

static void
test_files(void **state)
{
	denied(open_passwd, EACCES);
	denied(open_root, EACCES);
	denied(open_proc, EACCES);
	denied(open_outside_by_dots, EACCES);
	denied(write_outside, EACCES);
	assert_int_not_equal(access("/tmp/escaped", F_OK), 0);
}

static void
test_network(void **state)
{
	denied(socket_inet, EPERM);
	denied(socket_unix, EPERM);
	deadly(connect_any);
}

static void
test_processes(void **state)
{
	deadly(exec_shell);
	deadly(trace_parent);
	denied(kill_parent, EPERM);
	denied(fork_child, EPERM);
	deadly(mount_any);
}

static void
test_memory(void **state)
{
	denied(map_executable, EPERM);
	denied(make_executable, EPERM);
	denied(too_much_memory, ENOMEM);
	denied(raise_limits, EPERM);
}

static void
test_own_folder(void **state)
{
	denied(write_inside, DONE);
	bool tmpfs = false;
	struct err e;
	struct cage c = {folder, 4 << 20, 1LL << 30, 64};
	pid_t pid = fork();
	if (pid == 0)
		_exit(cage_make_folder(&c, &tmpfs, &e) == RC_OK && tmpfs ? 1 : 0);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WEXITSTATUS(status) == 1)
		denied(fill_inside, ENOSPC);
}

static int
setup(void **state)
{
	strcpy(folder, "/tmp/cage-test-XXXXXX");
	return mkdtemp(folder) != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
	return cage_empty_folder(folder) && rmdir(folder) == 0 ? 0 : -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_files),  cmocka_unit_test(test_network),    cmocka_unit_test(test_processes),
	    cmocka_unit_test(test_memory), cmocka_unit_test(test_own_folder),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
