/* SPDX-License-Identifier: MIT
 *
 * The door to the cage against a cage of paper: a child that plays one scene of the protocol per connection.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/scan_client.h"
#include "mail/facts.h"
#include "proto/facts.pb-c.h"

static char folder[64], path[96];
static int listener;

struct scene {
	bool accept, status, ready, stale, answer, memfd, sealed, hang, unread;
};

static void
send_memfd(int fd, bool sealed)
{
	int memfd = memfd_create("facts", MFD_ALLOW_SEALING);
	if (write(memfd, "facts", 5) != 5)
		_exit(1);
	if (sealed)
		fcntl(memfd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {NULL, 0};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &memfd, sizeof(int));
	if (sendmsg(fd, &m, 0) != 0)
		_exit(1);
}

static void
play(const struct scene *s)
{
	uint8_t packed[256], request[1024];
	char reason[] = "a reason";
	int fd = accept(listener, NULL, NULL);
	if (!s->unread && recv(fd, request, sizeof(request), 0) <= 0)
		_exit(1);
	Sekisho__Facts__Status st = SEKISHO__FACTS__STATUS__INIT;
	st.ready = s->ready;
	st.stale = s->stale;
	st.reason = reason;
	st.workers = 3;
	if (s->status)
		send(fd, packed, sekisho__facts__status__pack(&st, packed), 0);
	if (s->hang)
		pause();
	if (s->memfd)
		send_memfd(fd, s->sealed);
	else if (s->answer)
		send(fd, "facts", 5, 0);
	close(fd);
}

static pid_t
start(const struct scene *s)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		play(s);
		_exit(0);
	}
	return pid;
}

static void
finish(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static enum scan_end
inspect(const char *socket_path, int64_t ms, struct arena *a, struct bytes *facts)
{
	struct err e = {.text = ""};
	int fd = scan_seal(bytes_str("message"));
	assert_true(fd >= 0);
	enum scan_end end = scan_inspect(socket_path, fd, 7, NULL, NULL, ms, ms, a, facts, &e);
	if (end != SCAN_DONE)
		assert_true(e.text[0] != '\0');
	close(fd);
	return end;
}

static void
every_end_has_its_scene(void **state)
{
	static const struct {
		struct scene scene;
		enum scan_end end;
		int64_t ms;
	} t[] = {
	    {{.accept = true, .status = true, .ready = true, .answer = true}, SCAN_DONE, 10000},
	    {{.accept = true, .status = true, .ready = true, .memfd = true, .sealed = true}, SCAN_DONE, 10000},
	    {{.accept = true, .status = true, .ready = true, .memfd = true}, SCAN_BROKEN, 10000},
	    {{.accept = true, .status = true, .ready = true}, SCAN_CRASHED, 10000},
	    {{.accept = true, .status = true, .ready = true, .hang = true}, SCAN_TIMEOUT, 50},
	    {{.accept = true, .status = true}, SCAN_DOWN, 10000},
	    {{.accept = true, .status = true, .unread = true}, SCAN_DOWN, 10000},
	    {{.accept = true, .status = true, .ready = true, .stale = true}, SCAN_DOWN, 10000},
	    {{.accept = true}, SCAN_DOWN, 10000},
	    {{.accept = false}, SCAN_BUSY, 50},
	};
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct bytes facts = {NULL, 0};
		struct arena *a = arena_new();
		pid_t pid = t[i].scene.accept ? start(&t[i].scene) : 0;
		enum scan_end end = inspect(path, t[i].ms, a, &facts);
		if (end != t[i].end)
			fail_msg("scene %zu: %s", i, scan_end_str(end));
		assert_true(end == SCAN_DONE ? bytes_eq(facts, bytes_str("facts")) : facts.p == NULL);
		if (pid > 0)
			finish(pid);
		arena_free(&a);
	}
}

static void
nobody_there(void **state)
{
	struct bytes facts = {NULL, 0};
	struct scan_status st;
	struct err e;
	struct arena *a = arena_new();
	char missing[128], long_path[256];
	snprintf(missing, sizeof(missing), "%s/missing", folder);
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	assert_int_equal(inspect(missing, 1000, a, &facts), SCAN_DOWN);
	assert_int_equal(inspect(long_path, 1000, a, &facts), SCAN_DOWN);
	assert_int_equal(scan_status(missing, 1000, &st, &e), RC_RETRY);
	arena_free(&a);
}

static void
status_is_told(void **state)
{
	struct scan_status st;
	struct err e;
	struct scene scene = {.accept = true, .status = true, .ready = true, .unread = true};
	pid_t pid = start(&scene);
	assert_int_equal(scan_status(path, 10000, &st, &e), RC_OK);
	assert_true(st.ready && !st.stale && st.workers == 3);
	assert_string_equal(st.reason, "a reason");
	finish(pid);
}

static void
sealed_means_sealed(void **state)
{
	int fd = scan_seal(bytes_str("message"));
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(ftruncate(fd, 100), -1);
	close(fd);
}

/* A new listener for each test: a connection left in the queue of one must not be the next one's. */
static int
setup(void **state)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	strcpy(folder, "/tmp/scan-client-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/s", folder);
	memcpy(sa.sun_path, path, strlen(path) + 1);
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	return bind(listener, (struct sockaddr *)&sa, sizeof(sa)) == 0 && listen(listener, 8) == 0 ? 0 : -1;
}

static int
teardown(void **state)
{
	close(listener);
	return unlink(path) == 0 && rmdir(folder) == 0 ? 0 : -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(every_end_has_its_scene, setup, teardown),
	    cmocka_unit_test_setup_teardown(nobody_there, setup, teardown),
	    cmocka_unit_test_setup_teardown(status_is_told, setup, teardown),
	    cmocka_unit_test_setup_teardown(sealed_means_sealed, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
