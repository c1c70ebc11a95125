/* SPDX-License-Identifier: MIT
 *
 * A record: 4 octets length of the body, 8 octets of its SHA-256, the body: a type and its fields, numbers big-endian.
 */
#include "journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#include "core/clock.h"
#include "core/log.h"

#define MAGIC	     "SKAJ0001"
#define MAGIC_SIZE   8
#define HEAD_SIZE    12 /* length and check */
#define BODY_MAX     (2u * 1024 * 1024)
#define WRITE_AT     (1024u * 1024)
#define PATH_SIZE    512
#define SEGMENTS_MAX 100000

enum type { STATE = 'S', BEGUN = 'B', ENTRY = 'E', KEY = 'K', HEAD = 'H' };

struct log {
	struct journal_log v;
	UT_hash_handle hh;
};

struct journal {
	pthread_mutex_t lock;
	char folder[PATH_SIZE - 64];
	int64_t segment_octets;
	int lock_fd, fd;
	uint64_t segment; /* number of the open one */
	int64_t octets;	  /* in it */
	struct buf out;	  /* not written yet */
	struct log *logs;
	bool broken;
};

/* --- encoding --------------------------------------------------------------------------------------------------- */
static void
put(struct buf *b, uint64_t v, int octets)
{
	uint8_t p[8];
	for (int i = 0; i < octets; i++)
		p[i] = (uint8_t)(v >> (8 * (octets - 1 - i)));
	buf_add(b, p, (size_t)octets);
}

/* Takes n octets from the front; false if there are fewer. */
static bool
cut(struct bytes *b, void *out, size_t n)
{
	if (b->n < n)
		return false;
	memcpy(out, b->p, n);
	*b = bytes_of(b->p + n, b->n - n);
	return true;
}

static bool
cut_number(struct bytes *b, int octets, uint64_t *out)
{
	uint8_t p[8];
	uint64_t v = 0;
	if (!cut(b, p, (size_t)octets))
		return false;
	for (int i = 0; i < octets; i++)
		v = v << 8 | p[i];
	*out = v;
	return true;
}

static void
add_record(struct buf *out, struct bytes body)
{
	struct merkle_hash h;
	merkle_sha256(body, &h);
	put(out, body.n, 4);
	buf_add(out, h.b, HEAD_SIZE - 4);
	buf_add_bytes(out, body);
}

/* The next whole record of *rest; false at the end or at one that is torn. */
static bool
next_record(struct bytes *rest, struct bytes *body_r)
{
	struct bytes at = *rest;
	uint64_t n;
	uint8_t check[HEAD_SIZE - 4];
	struct merkle_hash h;
	if (!cut_number(&at, 4, &n) || !cut(&at, check, sizeof(check)) || n == 0 || n > BODY_MAX || n > at.n)
		return false;
	merkle_sha256(bytes_of(at.p, n), &h);
	if (memcmp(h.b, check, sizeof(check)) != 0)
		return false;
	*body_r = bytes_of(at.p, n);
	*rest = bytes_of(at.p + n, at.n - n);
	return true;
}

/* --- logs ------------------------------------------------------------------------------------------------------- */
static struct log *
log_of(struct journal *j, const struct uuid *tenant)
{
	struct log *l;
	HASH_FIND(hh, j->logs, tenant, sizeof(*tenant), l);
	if (l == NULL) {
		l = calloc(1, sizeof(*l));
		if (l == NULL)
			abort();
		l->v.tenant = *tenant;
		merkle_empty(&l->v.root);
		HASH_ADD(hh, j->logs, v.tenant, sizeof(l->v.tenant), l);
	}
	return l;
}

static void
all_synced(struct journal *j)
{
	for (struct log *l = j->logs; l != NULL; l = l->hh.next)
		if (l->v.synced != l->v.tree.size || l->v.synced == 0) {
			l->v.synced = l->v.tree.size;
			merkle_frontier_root(&l->v.tree, &l->v.root);
		}
}

static void
add_state(struct buf *out, const struct journal_log *l)
{
	struct buf b;
	buf_init(&b, 0);
	put(&b, STATE, 1);
	buf_add(&b, l->tenant.b, 16);
	put(&b, l->tree.size, 8);
	put(&b, l->head, 8);
	put(&b, (uint64_t)l->head_us, 8);
	put(&b, l->keys, 4);
	buf_add(&b, l->tree.h, (size_t)l->tree.n * MERKLE_SIZE);
	add_record(out, buf_bytes(&b));
	buf_done(&b);
}

static bool
take_state(struct journal *j, struct bytes b)
{
	struct uuid tenant;
	uint64_t size, head, head_us, keys;
	if (!cut(&b, tenant.b, 16) || !cut_number(&b, 8, &size) || !cut_number(&b, 8, &head) ||
	    !cut_number(&b, 8, &head_us) || !cut_number(&b, 4, &keys) ||
	    b.n != (size_t)merkle_frontier_count(size) * MERKLE_SIZE)
		return false;
	struct log *l = log_of(j, &tenant);
	l->v.tree = (struct merkle_frontier){.size = size, .n = merkle_frontier_count(size)};
	memcpy(l->v.tree.h, b.p, b.n);
	l->v.head = head;
	l->v.head_us = (int64_t)head_us;
	l->v.keys = (uint32_t)keys;
	return true;
}

static bool
take_entry(struct bytes b, struct journal_entry *v)
{
	uint64_t at;
	uint8_t erased;
	if (!cut(&b, v->tenant.b, 16) || !cut(&b, v->intent.b, 16) || !cut_number(&b, 8, &v->index) ||
	    !cut_number(&b, 8, &at) || !cut(&b, v->leaf.b, MERKLE_SIZE) || !cut(&b, &erased, 1))
		return false;
	v->at_us = (int64_t)at;
	v->sealed = erased != 0 ? (struct bytes){0} : b;
	return true;
}

/* Applies a record to the state; hands it to r if there is one. */
static enum rc
take_record(struct journal *j, struct bytes b, const struct journal_reader *r, struct err *e)
{
	uint8_t type = b.p[0];
	struct journal_entry v;
	struct uuid tenant;
	uint64_t n, at;
	b = bytes_of(b.p + 1, b.n - 1);
	switch (type) {
	case BEGUN:
		return RC_OK;
	case STATE:
		if (r != NULL) /* all of it was read already */
			return RC_OK;
		return take_state(j, b) ? RC_OK : err_set(e, RC_INVALID, "journal: a state that is none");
	case ENTRY: {
		if (!take_entry(b, &v))
			return err_set(e, RC_INVALID, "journal: an entry that is none");
		if (r != NULL)
			return r->entry(r->ctx, &v, e);
		struct log *l = log_of(j, &v.tenant);
		if (l->v.tree.size != v.index)
			return err_set(e, RC_INVALID, "journal: entry %llu where %llu was due",
				       (unsigned long long)v.index, (unsigned long long)l->v.tree.size);
		merkle_frontier_add(&l->v.tree, &v.leaf);
		return RC_OK;
	}
	case KEY:
		if (!cut(&b, tenant.b, 16) || !cut_number(&b, 4, &n))
			return err_set(e, RC_INVALID, "journal: a key that is none");
		if (r != NULL)
			return r->key(r->ctx, &tenant, (int32_t)n, b, e);
		log_of(j, &tenant)->v.keys++;
		return RC_OK;
	case HEAD: {
		if (!cut(&b, tenant.b, 16) || !cut_number(&b, 8, &n) || !cut_number(&b, 8, &at))
			return err_set(e, RC_INVALID, "journal: a head that is none");
		if (r != NULL)
			return r->head(r->ctx, &tenant, n, (int64_t)at, b, e);
		struct log *l = log_of(j, &tenant);
		l->v.head = n;
		l->v.head_us = (int64_t)at;
		return RC_OK;
	}
	default:
		return err_set(e, RC_INVALID, "journal: a record of an unknown kind; was a newer program here?");
	}
}

/* --- segments --------------------------------------------------------------------------------------------------- */
static void
segment_path(const struct journal *j, uint64_t n, const char *end, char out[PATH_SIZE])
{
	snprintf(out, PATH_SIZE, "%s/%012llu.journal%s", j->folder, (unsigned long long)n, end);
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
	if (n >= MAGIC_SIZE && memcmp(p, MAGIC, MAGIC_SIZE) == 0) {
		rest = bytes_of(rest.p + MAGIC_SIZE, n - MAGIC_SIZE);
		while (rc == RC_OK && next_record(&rest, &body)) {
			rc = take_record(j, body, r, e);
			*begun_r |= body.p[0] == BEGUN;
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

static enum rc
write_all(int fd, struct bytes b, struct err *e)
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
static enum rc
begin_segment(struct journal *j, uint64_t number, struct err *e)
{
	char path[PATH_SIZE];
	static const uint8_t begun[] = {BEGUN};
	segment_path(j, number, "", path);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_set(e, RC_RETRY, "%s: %s", path, strerror(errno));
	struct buf b;
	buf_init(&b, 0);
	buf_add(&b, MAGIC, MAGIC_SIZE);
	for (const struct log *l = j->logs; l != NULL; l = l->hh.next)
		add_state(&b, &l->v);
	add_record(&b, bytes_of(begun, sizeof(begun)));
	enum rc rc = write_all(fd, buf_bytes(&b), e);
	if (rc == RC_OK && fdatasync(fd) != 0)
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
		unlink(path);
	}
	buf_done(&b);
	return rc;
}

/* Keep what is cut from the end: it was never synced, but who knows. */
static enum rc
cut_tail(struct journal *j, const char *path, size_t good, size_t size, struct err *e)
{
	char kept[PATH_SIZE + 32];
	void *p;
	size_t n;
	snprintf(kept, sizeof(kept), "%s.cut-%lld", path, (long long)clock_wall_us());
	enum rc rc = map_segment(path, &p, &n, e);
	if (rc != RC_OK)
		return rc;
	int fd = open(kept, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	rc = fd >= 0 ? write_all(fd, bytes_of((uint8_t *)p + good, n - good), e)
		     : err_set(e, RC_RETRY, "%s: %s", kept, strerror(errno));
	if (fd >= 0)
		close(fd);
	munmap(p, n);
	if (rc == RC_OK && truncate(path, (off_t)good) != 0)
		rc = err_set(e, RC_RETRY, "%s: %s", path, strerror(errno));
	if (rc == RC_OK)
		log_warn("the journal ended in a torn record, which was cut", LOG_INT("octets", size - good));
	return rc;
}

static void
forget_logs(struct journal *j)
{
	struct log *l, *more;
	HASH_ITER(hh, j->logs, l, more)
	{
		HASH_DEL(j->logs, l);
		free(l);
	}
}

static enum rc
open_newest(struct journal *j, const uint64_t *v, size_t n, struct err *e)
{
	char path[PATH_SIZE];
	size_t good = 0, size = 0;
	bool begun = false;
	enum rc rc = RC_OK;
	while (n > 0 && rc == RC_OK) {
		segment_path(j, v[n - 1], "", path);
		rc = read_segment(j, path, NULL, &good, &size, &begun, e);
		if (rc != RC_OK || begun)
			break;
		/* It was being made when the power went: the one before holds everything. */
		forget_logs(j);
		if (unlink(path) != 0)
			rc = err_set(e, RC_RETRY, "%s: %s", path, strerror(errno));
		n--;
	}
	if (rc != RC_OK || n == 0)
		return rc == RC_OK ? begin_segment(j, 1, e) : rc;
	if (good < size)
		rc = cut_tail(j, path, good, size, e);
	if (rc != RC_OK)
		return rc;
	j->fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	/* What another process wrote and did not sync must be on disk before it counts. */
	if (j->fd < 0 || fdatasync(j->fd) != 0)
		return err_set(e, RC_RETRY, "%s: %s", path, strerror(errno));
	j->segment = v[n - 1];
	j->octets = (int64_t)good;
	all_synced(j);
	return RC_OK;
}

enum rc
journal_open(const struct journal_options *o, struct journal **out_r, struct err *e)
{
	char path[PATH_SIZE];
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
	forget_logs(j);
	buf_done(&j->out);
	pthread_mutex_destroy(&j->lock);
	free(j);
	*p = NULL;
}

/* --- use -------------------------------------------------------------------------------------------------------- */
void
journal_log(struct journal *j, const struct uuid *tenant, struct journal_log *out)
{
	struct log *l;
	pthread_mutex_lock(&j->lock);
	HASH_FIND(hh, j->logs, tenant, sizeof(*tenant), l);
	if (l != NULL) {
		*out = l->v;
	} else {
		*out = (struct journal_log){.tenant = *tenant};
		merkle_empty(&out->root);
	}
	pthread_mutex_unlock(&j->lock);
}

void
journal_each(struct journal *j, void (*fn)(void *ctx, const struct journal_log *l), void *ctx)
{
	pthread_mutex_lock(&j->lock);
	size_t n = HASH_COUNT(j->logs), i = 0;
	struct journal_log *v = calloc(n + 1, sizeof(*v));
	if (v == NULL)
		abort();
	for (const struct log *l = j->logs; l != NULL; l = l->hh.next)
		v[i++] = l->v;
	pthread_mutex_unlock(&j->lock);
	for (i = 0; i < n; i++)
		fn(ctx, &v[i]);
	free(v);
}

static enum rc
flush(struct journal *j, struct err *e)
{
	if (j->broken)
		return err_set(e, RC_RETRY, "the journal failed before");
	enum rc rc = write_all(j->fd, buf_bytes(&j->out), e);
	if (rc == RC_OK)
		j->octets += (int64_t)j->out.n;
	else
		j->broken = true;
	buf_reset(&j->out);
	return rc;
}

static enum rc
add_body(struct journal *j, struct buf *b, struct err *e)
{
	if (b->n > BODY_MAX) {
		j->broken = true;
		return err_set(e, RC_LIMIT, "too long for the journal");
	}
	add_record(&j->out, buf_bytes(b));
	return j->out.n >= WRITE_AT ? flush(j, e) : RC_OK;
}

enum rc
journal_add(struct journal *j, const struct journal_entry *v, struct err *e)
{
	struct buf b;
	buf_init(&b, 0);
	put(&b, ENTRY, 1);
	buf_add(&b, v->tenant.b, 16);
	buf_add(&b, v->intent.b, 16);
	put(&b, v->index, 8);
	put(&b, (uint64_t)v->at_us, 8);
	buf_add(&b, v->leaf.b, MERKLE_SIZE);
	put(&b, v->sealed.p == NULL, 1);
	buf_add_bytes(&b, v->sealed);
	pthread_mutex_lock(&j->lock);
	struct log *l = log_of(j, &v->tenant);
	enum rc rc = v->index == l->v.tree.size ? add_body(j, &b, e)
						: err_set(e, RC_INTERNAL, "not the next entry of the journal");
	if (rc == RC_OK)
		merkle_frontier_add(&l->v.tree, &v->leaf);
	pthread_mutex_unlock(&j->lock);
	buf_done(&b);
	return rc;
}

enum rc
journal_add_key(struct journal *j, const struct uuid *tenant, int32_t epoch, struct bytes wrapped, struct err *e)
{
	struct buf b;
	buf_init(&b, 0);
	put(&b, KEY, 1);
	buf_add(&b, tenant->b, 16);
	put(&b, (uint32_t)epoch, 4);
	buf_add_bytes(&b, wrapped);
	pthread_mutex_lock(&j->lock);
	enum rc rc = add_body(j, &b, e);
	if (rc == RC_OK)
		log_of(j, tenant)->v.keys++;
	pthread_mutex_unlock(&j->lock);
	buf_done(&b);
	return rc;
}

enum rc
journal_sync(struct journal *j, struct err *e)
{
	pthread_mutex_lock(&j->lock);
	enum rc rc = flush(j, e);
	if (rc == RC_OK && fdatasync(j->fd) != 0) {
		j->broken = true; /* a failed sync says nothing about what is on disk */
		rc = err_set(e, RC_RETRY, "journal: %s", strerror(errno));
	}
	if (rc == RC_OK)
		all_synced(j);
	if (rc == RC_OK && j->octets > j->segment_octets)
		rc = begin_segment(j, j->segment + 1, e);
	pthread_mutex_unlock(&j->lock);
	return rc;
}

enum rc
journal_add_head(struct journal *j, const struct uuid *tenant, uint64_t size, int64_t at_us, struct bytes checkpoint,
		 struct err *e)
{
	struct buf b;
	buf_init(&b, 0);
	put(&b, HEAD, 1);
	buf_add(&b, tenant->b, 16);
	put(&b, size, 8);
	put(&b, (uint64_t)at_us, 8);
	buf_add_bytes(&b, checkpoint);
	pthread_mutex_lock(&j->lock);
	enum rc rc = add_body(j, &b, e);
	if (rc == RC_OK) {
		struct log *l = log_of(j, tenant);
		l->v.head = size;
		l->v.head_us = at_us;
	}
	pthread_mutex_unlock(&j->lock);
	buf_done(&b);
	return rc;
}

enum rc
journal_replay(struct journal *j, const struct journal_reader *r, struct err *e)
{
	uint64_t *v = NULL;
	size_t n = 0, good, size;
	bool begun;
	enum rc rc = list_segments(j, &v, &n, e);
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		char path[PATH_SIZE];
		segment_path(j, v[i], "", path);
		rc = read_segment(j, path, r, &good, &size, &begun, e);
		if (rc == RC_OK && good < size)
			rc = err_set(e, RC_INVALID, "%s is damaged at octet %zu", path, good);
	}
	free(v);
	return rc;
}
