/* SPDX-License-Identifier: MIT
 *
 * The segments of the journal: found, opened, read, begun; a torn end is cut and kept beside. A segment gets its number
 * when it is whole and on disk, and no numbered file is ever removed: what is wrong with one is for a person to judge.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "journal_internal.h"

#define MAGIC	     "SKAJ0001"
#define MAGIC_SIZE   8
#define SEGMENTS_MAX 100000

/* --- segments --------------------------------------------------------------------------------------------------- */
static void
segment_path(const struct journal *j, uint64_t n, const char *end, char out[JOURNAL_PATH_SIZE])
{
	snprintf(out, JOURNAL_PATH_SIZE, "%s/%012llu.journal%s", j->folder, (unsigned long long)n, end);
}

static int
compare_numbers(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

/* Numbers of all segments, ascending; to be freed. */
static enum rc
list_segments(const struct journal *j, uint64_t **v_r, size_t *n_r, struct err *e)
{
	DIR *d = opendir(j->folder);
	if (d == NULL)
		return err_set(e, RC_INVALID, "%s: %s", j->folder, strerror(errno));
	uint64_t *v = NULL;
	size_t n = 0;
	for (struct dirent *f; (f = readdir(d)) != NULL;) {
		unsigned long long number;
		int end = 0;
		if (sscanf(f->d_name, "%12llu.journal%n", &number, &end) != 1 || end == 0 || f->d_name[end] != 0 ||
		    n == SEGMENTS_MAX)
			continue;
		v = realloc(v, (n + 1) * sizeof(*v));
		if (v == NULL)
			abort();
		v[n++] = number;
	}
	closedir(d);
	if (n > 0)
		qsort(v, n, sizeof(*v), compare_numbers);
	*v_r = v;
	*n_r = n;
	return RC_OK;
}

/* A whole segment in memory, or NULL with *n_r 0 if it is empty. */
static enum rc
map_segment(const char *path, void **p_r, size_t *n_r, struct err *e)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0) {
		if (fd >= 0)
			close(fd);
		return err_set(e, RC_RETRY, "%s: %s", path, strerror(errno));
	}
	*n_r = (size_t)st.st_size;
	*p_r = *n_r > 0 ? mmap(NULL, *n_r, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
	close(fd);
	return *p_r != MAP_FAILED ? RC_OK : err_set(e, RC_RETRY, "%s: %s", path, strerror(errno));
}

/* Reads a segment into the state or for r. good_r: octets up to the last whole record; begun_r: its states were whole.
 */
static enum rc
read_segment(struct journal *j, const char *path, const struct journal_reader *r, size_t *good_r, size_t *size_r,
	     bool *begun_r, struct err *e)
{
	void *p;
	size_t n;
	enum rc rc = map_segment(path, &p, &n, e);
	if (rc != RC_OK)
		return rc;
	struct bytes rest = bytes_of(p, n), body;
	*size_r = n;
	*good_r = 0;
	*begun_r = false;
	if (n < MAGIC_SIZE || memcmp(p, MAGIC, MAGIC_SIZE) != 0) {
		rc = err_set(e, RC_INVALID, "%s is not a segment of a journal, or a newer program's", path);
	} else {
		rest = bytes_of(rest.p + MAGIC_SIZE, n - MAGIC_SIZE);
		while (rc == RC_OK && journal_next_record(&rest, &body)) {
			rc = journal_take_record(j, body, r, e);
			*begun_r |= body.p[0] == JOURNAL_BEGUN;
		}
		*good_r = n - rest.n;
	}
	if (p != NULL)
		munmap(p, n);
	return rc;
}

static enum rc
sync_folder(const struct journal *j, struct err *e)
{
	int fd = open(j->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;
	if (fd >= 0)
		close(fd);
	return ok ? RC_OK : err_set(e, RC_RETRY, "%s: %s", j->folder, strerror(errno));
}

enum rc
journal_write_all(int fd, struct bytes b, struct err *e)
{
	while (b.n > 0) {
		ssize_t n = write(fd, b.p, b.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(e, RC_RETRY, "journal: %s", strerror(errno));
		b = bytes_of(b.p + n, b.n - (size_t)n);
	}
	return RC_OK;
}

/* A new segment with the state of all logs; what was written before is synced. */
enum rc
journal_begin_segment(struct journal *j, uint64_t number, struct err *e)
{
	char path[JOURNAL_PATH_SIZE], fresh[JOURNAL_PATH_SIZE];
	static const uint8_t begun[] = {JOURNAL_BEGUN};
	segment_path(j, number, "", path);
	segment_path(j, number, ".new", fresh);
	if (access(path, F_OK) == 0)
		return err_set(e, RC_INVALID, "%s is there already", path);
	int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_set(e, RC_RETRY, "%s: %s", fresh, strerror(errno));
	struct buf b;
	buf_init(&b, 0);
	buf_add(&b, MAGIC, MAGIC_SIZE);
	for (const struct log *l = j->logs; l != NULL; l = l->hh.next)
		journal_add_state(&b, &l->v);
	journal_add_record(&b, bytes_of(begun, sizeof(begun)));
	enum rc rc = journal_write_all(fd, buf_bytes(&b), e);
	if (rc == RC_OK && (fdatasync(fd) != 0 || rename(fresh, path) != 0))
		rc = err_set(e, RC_RETRY, "%s: %s", path, strerror(errno));
	if (rc == RC_OK)
		rc = sync_folder(j, e);
	if (rc == RC_OK) {
		if (j->fd >= 0)
			close(j->fd);
		j->fd = fd;
		j->segment = number;
		j->octets = (int64_t)b.n;
	} else {
		close(fd);
		j->broken = true; /* it may have its number already: whoever opens the journal again sees */
	}
	buf_done(&b);
	return rc;
}

/* Whether anything behind the bad spot is a record: then octets that had been written before it went bad are damaged,
 * and that is no torn end. */
static bool
record_behind(struct bytes tail)
{
	for (size_t at = 1; at + JOURNAL_FRAME_SIZE < tail.n; at++) {
		struct bytes rest = bytes_of(tail.p + at, tail.n - at), body;
		/* The type first: hashing at every octet would take minutes for a long tail. */
		if (journal_is_type(rest.p[JOURNAL_FRAME_SIZE]) && journal_next_record(&rest, &body))
			return true;
	}
	return false;
}

/* RC_INVALID unless what is lost with the octets from `good` on can be what was being written when the power went. */
static enum rc
check_tail(const struct journal *j, const char *path, struct bytes tail, size_t good, struct err *e)
{
	if (record_behind(tail))
		return err_set(e, RC_INVALID, "%s is damaged at octet %zu, and there are whole records behind", path,
			       good);
	for (const struct log *l = j->logs; j->published != NULL && l != NULL; l = l->hh.next) {
		uint64_t published = j->published(&l->v.tenant);
		if (published > l->v.tree.size)
			return err_set(e, RC_INVALID,
				       "%s is damaged at octet %zu: a log has %llu entries before that, but a head of "
				       "%llu was published",
				       path, good, (unsigned long long)l->v.tree.size, (unsigned long long)published);
	}
	return RC_OK;
}

/* Keep what is cut from the end: it was never synced, but who knows. */
static enum rc
cut_tail(struct journal *j, const char *path, size_t good, size_t size, struct err *e)
{
	char kept[JOURNAL_PATH_SIZE + 32];
	void *p;
	size_t n;
	snprintf(kept, sizeof(kept), "%s.cut-%lld", path, (long long)clock_wall_us());
	enum rc rc = map_segment(path, &p, &n, e);
	if (rc != RC_OK)
		return rc;
	struct bytes tail = bytes_of((uint8_t *)p + good, n - good);
	rc = check_tail(j, path, tail, good, e);
	if (rc != RC_OK) {
		munmap(p, n);
		return rc;
	}
	int fd = open(kept, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	rc = fd >= 0 ? journal_write_all(fd, tail, e) : err_set(e, RC_RETRY, "%s: %s", kept, strerror(errno));
	if (rc == RC_OK && fsync(fd) != 0)
		rc = err_set(e, RC_RETRY, "%s: %s", kept, strerror(errno));
	if (fd >= 0)
		close(fd);
	munmap(p, n);
	if (rc == RC_OK && truncate(path, (off_t)good) != 0)
		rc = err_set(e, RC_RETRY, "%s: %s", path, strerror(errno));
	if (rc == RC_OK)
		log_warn("the journal ended in a torn record, which was cut", LOG_INT("octets", size - good));
	return rc;
}

static enum rc
open_newest(struct journal *j, const uint64_t *v, size_t n, struct err *e)
{
	char path[JOURNAL_PATH_SIZE];
	size_t good = 0, size = 0;
	bool begun = false;
	if (n == 0)
		return journal_begin_segment(j, 1, e);
	segment_path(j, v[n - 1], "", path);
	enum rc rc = read_segment(j, path, NULL, &good, &size, &begun, e);
	if (rc == RC_OK && !begun) /* it had all its states before it had its number */
		rc = err_set(e, RC_INVALID, "%s is damaged at octet %zu, in the states of the logs it begins with",
			     path, good);
	if (rc != RC_OK)
		return rc;
	if (good < size)
		rc = cut_tail(j, path, good, size, e);
	if (rc != RC_OK)
		return rc;
	j->fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	/* What another process wrote and did not sync must be on disk before it counts. */
	if (j->fd < 0 || fdatasync(j->fd) != 0)
		return err_set(e, RC_RETRY, "%s: %s", path, strerror(errno));
	if ((rc = sync_folder(j, e)) != RC_OK)
		return rc;
	j->segment = v[n - 1];
	j->octets = (int64_t)good;
	journal_all_synced(j);
	return RC_OK;
}

enum rc
journal_open(const struct journal_options *o, struct journal **out_r, struct err *e)
{
	char path[JOURNAL_PATH_SIZE];
	uint64_t *v = NULL;
	size_t n = 0;
	if (strlen(o->folder) >= sizeof(((struct journal *)0)->folder))
		return err_set(e, RC_INVALID, "the path of the journal is too long");
	struct journal *j = calloc(1, sizeof(*j));
	if (j == NULL)
		abort();
	pthread_mutex_init(&j->lock, NULL);
	snprintf(j->folder, sizeof(j->folder), "%s", o->folder);
	j->segment_octets = o->segment_octets;
	j->published = o->published;
	j->fd = -1;
	buf_init(&j->out, 0);
	snprintf(path, sizeof(path), "%s/lock", o->folder);
	j->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	enum rc rc = RC_OK;
	if (j->lock_fd < 0)
		rc = err_set(e, RC_INVALID, "%s: %s", path, strerror(errno));
	else if (flock(j->lock_fd, LOCK_EX | LOCK_NB) != 0)
		rc = err_set(e, RC_CONFLICT, "another process has the journal %s", o->folder);
	if (rc == RC_OK)
		rc = list_segments(j, &v, &n, e);
	if (rc == RC_OK)
		rc = open_newest(j, v, n, e);
	free(v);
	if (rc != RC_OK)
		journal_close(&j);
	else
		*out_r = j;
	return rc;
}

void
journal_close(struct journal **p)
{
	struct journal *j = *p;
	if (j == NULL)
		return;
	if (j->fd >= 0)
		close(j->fd);
	if (j->lock_fd >= 0)
		close(j->lock_fd);
	journal_forget_logs(j);
	buf_done(&j->out);
	pthread_mutex_destroy(&j->lock);
	free(j);
	*p = NULL;
}

enum rc
journal_replay(struct journal *j, const struct journal_reader *r, struct err *e)
{
	uint64_t *v = NULL;
	size_t n = 0, good, size;
	bool begun;
	enum rc rc = list_segments(j, &v, &n, e);
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		char path[JOURNAL_PATH_SIZE];
		segment_path(j, v[i], "", path);
		rc = read_segment(j, path, r, &good, &size, &begun, e);
		if (rc == RC_OK && good < size)
			rc = err_set(e, RC_INVALID, "%s is damaged at octet %zu", path, good);
	}
	free(v);
	return rc;
}
