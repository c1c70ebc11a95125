/* SPDX-License-Identifier: MIT
 *
 * Heads: signed over what is on disk in the journal, at most every so often per log, and at once when somebody asks for
 * an export. A head is in the journal before it is anywhere else. Any thread.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit.h"
#include "core/clock.h"
#include "core/log.h"
#include "store.h"

#define DEADLINE_MS 10000
#define PATH_SIZE   600

static pthread_mutex_t signing = PTHREAD_MUTEX_INITIALIZER;

void
heads_name(const struct uuid *tenant, char out[NOTE_NAME_MAX + 1])
{
	char id[UUID_STR_SIZE];
	uuid_format(tenant, id);
	snprintf(out, NOTE_NAME_MAX + 1, "%s/audit/%s", audit.config.hostname, id);
}

void
heads_key(const struct uuid *tenant, struct buf *out)
{
	char name[NOTE_NAME_MAX + 1];
	struct note_key k;
	heads_name(tenant, name);
	if (note_signer_key(audit.signer, name, &k, NULL) == RC_OK)
		note_key_format(&k, out);
}

/* --- the folder of heads ----------------------------------------------------------------------------------------- */
static void
file_of(const struct uuid *tenant, const char *end, char out[PATH_SIZE])
{
	char id[UUID_STR_SIZE];
	uuid_format(tenant, id);
	snprintf(out, PATH_SIZE, "%.500s/%s.checkpoint%s", audit.config.heads, id, end);
}

bool
heads_newest(const struct uuid *tenant, struct note_head *h)
{
	char path[PATH_SIZE], name[NOTE_NAME_MAX + 1], text[NOTE_MAX];
	struct note_key k;
	enum note_trust trust;
	if (audit.config.heads[0] == 0)
		return false;
	file_of(tenant, "", path);
	heads_name(tenant, name);
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return false;
	size_t n = fread(text, 1, sizeof(text), f);
	fclose(f);
	return note_parse(bytes_of(text, n), h, NULL) == RC_OK &&
	       note_signer_key(audit.signer, name, &k, NULL) == RC_OK && strcmp(h->origin, name) == 0 &&
	       note_check(bytes_of(text, n), &k, &trust, NULL) == RC_OK && trust == NOTE_GOOD;
}

uint64_t
heads_published(const struct uuid *tenant)
{
	struct note_head h;
	return heads_newest(tenant, &h) ? h.size : 0;
}

void
heads_each(void (*fn)(void *ctx, const struct uuid *tenant), void *ctx)
{
	static const char end[] = ".checkpoint";
	DIR *d = audit.config.heads[0] != 0 ? opendir(audit.config.heads) : NULL;
	if (d == NULL)
		return;
	for (struct dirent *f; (f = readdir(d)) != NULL;) {
		struct uuid tenant;
		size_t n = strlen(f->d_name), name = n - (sizeof(end) - 1);
		if (n < sizeof(end) || strcmp(f->d_name + name, end) != 0)
			continue;
		f->d_name[name] = 0;
		if (uuid_parse(f->d_name, &tenant))
			fn(ctx, &tenant);
	}
	closedir(d);
}

/* In place of the one before, and on disk; never in place of one that says more, or something else. */
static enum rc
write_file(const struct uuid *tenant, const struct note_head *h, struct bytes note, struct err *e)
{
	char path[PATH_SIZE], fresh[PATH_SIZE];
	struct note_head old;
	if (audit.config.heads[0] == 0)
		return RC_OK;
	file_of(tenant, "", path);
	file_of(tenant, ".new", fresh);
	if (heads_newest(tenant, &old) &&
	    (old.size > h->size || (old.size == h->size && !merkle_eq(&old.root, &h->root))))
		return err_set(e, RC_CONFLICT, "a head of %llu entries is published and does not fit one of %llu",
			       (unsigned long long)old.size, (unsigned long long)h->size);
	int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	bool ok = fd >= 0 && write(fd, note.p, note.n) == (ssize_t)note.n && fsync(fd) == 0;
	if (fd >= 0)
		ok = close(fd) == 0 && ok;
	ok = ok && rename(fresh, path) == 0;
	return ok ? RC_OK : err_set(e, RC_RETRY, "%s: %s", path, strerror(errno));
}

/* --- signing ----------------------------------------------------------------------------------------------------- */
/* The next head, or, when the log has not grown, the last one again: signatures of the same are the same. */
static enum rc
sign_log(const struct journal_log *l, struct err *e)
{
	struct note_head h = {.size = l->synced, .root = l->root};
	struct buf note;
	bool next = l->synced > l->head;
	int64_t at = next ? clock_wall_us() : l->head_us;
	heads_name(&l->tenant, h.origin);
	buf_init(&note, NOTE_MAX);
	enum rc rc = note_sign(audit.signer, &h, &note, e);
	if (rc == RC_OK && next)
		rc = journal_add_head(audit.journal, &l->tenant, h.size, at, buf_bytes(&note), e);
	if (rc == RC_OK)
		rc = journal_sync(audit.journal, e);
	struct store_head row = {h.size, h.root, buf_bytes(&note), at};
	if (rc == RC_OK)
		rc = store_head_put(audit.svc->db, &l->tenant, &row, clock_mono_ms() + DEADLINE_MS, e);
	if (rc == RC_OK)
		rc = write_file(&l->tenant, &h, buf_bytes(&note), e);
	if (rc == RC_OK) {
		journal_published(audit.journal, &l->tenant, h.size);
		witness_offer(&l->tenant, buf_bytes(&note));
		metric_add(&audit_metric_heads, 0, next ? 1 : 0);
	} else {
		metric_add(&audit_metric_failures, FAILED_HEAD, 1);
	}
	if (rc == RC_CONFLICT)
		appender_refuse(&l->tenant, e);
	buf_done(&note);
	return rc;
}

/* Signed, and not everywhere that it goes to: a failure, or a crash, came between. */
static bool
unpublished(const struct journal_log *l)
{
	return l->synced == l->head && l->published < l->head;
}

static void
sign_if_due(void *ctx, const struct journal_log *l)
{
	struct err e;
	int64_t now = *(const int64_t *)ctx;
	bool due = l->synced > l->head && now - l->head_us >= audit.config.head_every_ms * 1000;
	if ((!due && !unpublished(l)) || appender_refuses(&l->tenant))
		return;
	if (sign_log(l, &e) != RC_OK)
		log_warn("a head was not signed or not published", LOG_TENANT(&l->tenant), LOG_ERR(&e));
}

void
heads_due(void)
{
	int64_t now = clock_wall_us();
	pthread_mutex_lock(&signing);
	journal_each(audit.journal, sign_if_due, &now);
	pthread_mutex_unlock(&signing);
}

enum rc
heads_now(const struct uuid *tenant, struct err *e)
{
	struct journal_log l;
	enum rc rc = RC_OK;
	if (appender_refuses(tenant))
		return RC_OK;
	pthread_mutex_lock(&signing);
	pthread_mutex_lock(&audit.journal_lock); /* the appender closes it when it fails */
	if (audit.journal != NULL) {
		journal_log(audit.journal, tenant, &l);
		if (l.synced > l.head || unpublished(&l))
			rc = sign_log(&l, e);
	}
	pthread_mutex_unlock(&audit.journal_lock);
	pthread_mutex_unlock(&signing);
	return rc;
}
