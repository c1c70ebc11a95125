/* SPDX-License-Identifier: MIT
 *
 * Order matters: mounts and folders first, then no new privileges, resource limits, Landlock, and seccomp last, since
 * each takes away what the one before needs.
 */
#include "cage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EMPTY_DEPTH_MAX 64

/* --- the folder ----------------------------------------------------------------------------------------- */

static bool
write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t n = (ssize_t)strlen(text);
	bool ok = write(fd, text, (size_t)n) == n;
	close(fd);
	return ok;
}

/* As root a mount namespace is enough; otherwise a user namespace that maps nobody but ourselves. */
static bool
enter_namespace(void)
{
	char map[64];
	uid_t uid = geteuid();
	gid_t gid = getegid();
	if (unshare(CLONE_NEWNS) == 0)
		return true;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
		return false;
	write_text("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "%u %u 1", uid, uid);
	if (!write_text("/proc/self/uid_map", map))
		return false;
	snprintf(map, sizeof(map), "%u %u 1", gid, gid);
	return write_text("/proc/self/gid_map", map);
}

static bool
mount_tmpfs(const struct cage *c)
{
	char options[64];
	snprintf(options, sizeof(options), "size=%lld,mode=0700,nr_inodes=20000", (long long)c->folder_octets);
	return enter_namespace() && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("scan", c->folder, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options) == 0;
}

enum rc
cage_make_folder(const struct cage *c, bool *tmpfs_r, struct err *e)
{
	if (mkdir(c->folder, 0700) != 0 && errno != EEXIST)
		return err_set(e, RC_INTERNAL, "temp folder: %s", strerror(errno));
	*tmpfs_r = mount_tmpfs(c);
	if (!*tmpfs_r && !cage_empty_folder(c->folder))
		return err_set(e, RC_INTERNAL, "temp folder cannot be emptied");
	return RC_OK;
}

static bool
empty_at(int dir_fd, int depth)
{
	DIR *d = depth < EMPTY_DEPTH_MAX ? fdopendir(dir_fd) : NULL;
	if (d == NULL) {
		close(dir_fd);
		return false;
	}
	bool ok = true;
	for (struct dirent *de; (de = readdir(d)) != NULL;) {
		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
			continue;
		if (unlinkat(dirfd(d), de->d_name, 0) == 0)
			continue;
		int sub = openat(dirfd(d), de->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		ok &= sub >= 0 && empty_at(sub, depth + 1);
		ok &= unlinkat(dirfd(d), de->d_name, AT_REMOVEDIR) == 0;
	}
	closedir(d);
	return ok;
}

bool
cage_empty_folder(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd >= 0 && empty_at(fd, 0);
}

/* --- limits --------------------------------------------------------------------------------------------- */

static int64_t
mapped_octets(void)
{
	long long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");
	if (f != NULL) {
		if (fscanf(f, "%lld", &pages) != 1)
			pages = 0;
		fclose(f);
	}
	return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

static enum rc
set_limits(const struct cage *c, struct err *e)
{
	const struct {
		int what;
		rlim_t value;
		const char *name;
	} v[] = {
	    {RLIMIT_CORE, 0, "core"},
	    {RLIMIT_NPROC, 0, "processes"},
	    {RLIMIT_NOFILE, (rlim_t)c->files, "descriptors"},
	    {RLIMIT_FSIZE, (rlim_t)c->folder_octets, "file size"},
	    {RLIMIT_AS, (rlim_t)(mapped_octets() + c->memory_octets), "memory"},
	    {RLIMIT_MEMLOCK, 0, "locked memory"},
	};
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct rlimit r = {v[i].value, v[i].value};
		if (setrlimit((__rlimit_resource_t)v[i].what, &r) != 0)
			return err_set(e, RC_INTERNAL, "limit of %s: %s", v[i].name, strerror(errno));
	}
	return RC_OK;
}

/* --- landlock ------------------------------------------------------------------------------------------- */

/* The rights of the first version (Linux 5.13) and the two later ones that a header of 2022 lacks. */
#define FS_REFER    (1ULL << 13)
#define FS_TRUNCATE (1ULL << 14)
#define FS_ALL_V1   ((1ULL << 13) - 1)

static enum rc
lock_land(const char *folder, struct err *e)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 1)
		return err_set(e, RC_INTERNAL, "landlock: %s", strerror(errno));
	uint64_t all = FS_ALL_V1 | (abi >= 2 ? FS_REFER : 0) | (abi >= 3 ? FS_TRUNCATE : 0);
	struct landlock_ruleset_attr set = {.handled_access_fs = all};
	int rules = (int)syscall(SYS_landlock_create_ruleset, &set, sizeof(set), 0);
	if (rules < 0)
		return err_set(e, RC_INTERNAL, "landlock: %s", strerror(errno));
	struct landlock_path_beneath_attr path = {
	    .allowed_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
			      LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR |
			      LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
			      LANDLOCK_ACCESS_FS_MAKE_REG | (abi >= 3 ? FS_TRUNCATE : 0),
	    .parent_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC),
	};
	bool ok = path.parent_fd >= 0 &&
		  syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &path, 0) == 0 &&
		  syscall(SYS_landlock_restrict_self, rules, 0) == 0;
	int why = errno;
	if (path.parent_fd >= 0)
		close(path.parent_fd);
	close(rules);
	return ok ? RC_OK : err_set(e, RC_INTERNAL, "landlock: %s", strerror(why));
}

/* --- seccomp -------------------------------------------------------------------------------------------- */

/* What scanning needs. Files are bounded by Landlock; no call here makes a socket, a process or executable memory. */
static const int allowed[] = {
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(lseek),
    SCMP_SYS(close),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(stat),
    SCMP_SYS(lstat),
    SCMP_SYS(statx),
    SCMP_SYS(fstatfs),
    SCMP_SYS(openat),
    SCMP_SYS(open),
    SCMP_SYS(creat),
    SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),
    SCMP_SYS(rmdir),
    SCMP_SYS(mkdir),
    SCMP_SYS(mkdirat),
    SCMP_SYS(ftruncate),
    SCMP_SYS(getdents64),
    SCMP_SYS(getdents),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(fcntl),
    SCMP_SYS(dup),
    SCMP_SYS(dup2),
    SCMP_SYS(dup3),
    SCMP_SYS(fsync),
    SCMP_SYS(fdatasync),
    SCMP_SYS(fadvise64),
    SCMP_SYS(fallocate),
    SCMP_SYS(umask),
    SCMP_SYS(readlink),
    SCMP_SYS(memfd_create),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(brk),
    SCMP_SYS(madvise),
    SCMP_SYS(futex),
    SCMP_SYS(getrandom),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(times),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(getppid),
    SCMP_SYS(getrusage),
    SCMP_SYS(sysinfo),
    SCMP_SYS(uname),
    SCMP_SYS(getcwd),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(ppoll),
    SCMP_SYS(poll),
    SCMP_SYS(accept4),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(rseq),
    SCMP_SYS(set_robust_list),
};

/* No innocent parser asks for these: whoever does has been taken over, and dies. */
static const int fatal[] = {
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(ptrace),
    SCMP_SYS(connect),
    SCMP_SYS(bind),
    SCMP_SYS(listen),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
    SCMP_SYS(bpf),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(unshare),
    SCMP_SYS(setns),
    SCMP_SYS(chroot),
    SCMP_SYS(pivot_root),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(keyctl),
    SCMP_SYS(add_key),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(pidfd_getfd),
};

#define PROT_EXEC_BIT 4

static int
add_rules(scmp_filter_ctx ctx)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < sizeof(allowed) / sizeof(allowed[0]); i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	for (size_t i = 0; rc == 0 && i < sizeof(fatal) / sizeof(fatal[0]); i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, fatal[i], 0);
	/* Memory, but never executable; a signal, but only to ourselves (abort). */
	if (rc == 0)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				      SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC_BIT, 0));
	if (rc == 0)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				      SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC_BIT, 0));
	if (rc == 0)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				      SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
	return rc;
}

static enum rc
filter_calls(struct err *e)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (ctx == NULL)
		return err_set(e, RC_INTERNAL, "seccomp: no filter");
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	int rc = add_rules(ctx);
	if (rc == 0)
		rc = seccomp_load(ctx);
	seccomp_release(ctx);
	return rc == 0 ? RC_OK : err_set(e, RC_INTERNAL, "seccomp: %s", strerror(-rc));
}

/* Root's, or those of the user namespace that the mount was made in. */
static enum rc
drop_capabilities(struct err *e)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
	if (syscall(SYS_capset, &head, none) != 0)
		return err_set(e, RC_INTERNAL, "capabilities: %s", strerror(errno));
	return RC_OK;
}

enum rc
cage_enter(const struct cage *c, struct err *e)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return err_set(e, RC_INTERNAL, "prctl: %s", strerror(errno));
	enum rc rc = set_limits(c, e);
	if (rc == RC_OK)
		rc = drop_capabilities(e);
	if (rc == RC_OK)
		rc = lock_land(c->folder, e);
	if (rc == RC_OK)
		rc = filter_calls(e);
	return rc;
}
