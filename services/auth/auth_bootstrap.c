/* SPDX-License-Identifier: MIT
 *
 * sekisho-auth --bootstrap FILE [--rotate]: the first key of the platform, which makes tenants. The file is complete
 * and on disk before the commit, and gets its name after it: no key is in force that nobody can read.
 */
#include "auth.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth_store.h"
#include "core/clock.h"
#include "crypt/token.h"
#include "permission.h"

#define DEADLINE_MS 30000

static struct {
	const char *db, *other;
} own;

/* The names that the skeleton knows beside ours: one environment, one file for both ways to run. */
static const struct config_entry table[] = {
    {"SEKISHO_AUTH_DB", CONFIG_STRING, &own.db, NULL, 0, 0, "libpq connection string of the service's role"},
    {"SEKISHO_AUTH_DB_POOL", CONFIG_STRING, &own.other, "", 0, 0, "not used here"},
    {"SEKISHO_AUTH_NKEY", CONFIG_STRING, &own.other, "", 0, 0, "not used here"},
    {"SEKISHO_AUTH_HEALTH_LISTEN", CONFIG_STRING, &own.other, "", 0, 0, "not used here"},
    {"SEKISHO_AUTH_THREADS", CONFIG_STRING, &own.other, "", 0, 0, "not used here"},
    CONFIG_END,
};

struct key_file {
	const char *path;
	char temporary[512];
	const char *secret;
};

static enum rc
write_file(void *ctx, struct err *e)
{
	struct key_file *f = ctx;
	char line[TOKEN_SIZE + 1];
	int n = snprintf(line, sizeof(line), "%s\n", f->secret);
	unlink(f->temporary); /* left by a run that was killed */
	int fd = open(f->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_set(e, RC_INVALID, "%s: %s", f->temporary, strerror(errno));
	bool ok = fchmod(fd, 0600) == 0 && write(fd, line, (size_t)n) == n && fsync(fd) == 0;
	int why = errno;
	close(fd);
	return ok ? RC_OK : err_set(e, RC_INVALID, "%s: %s", f->temporary, strerror(why));
}

static enum rc
make_key(struct db_pool *db, struct key_file *f, bool rotate, struct err *e)
{
	char secret[TOKEN_SIZE];
	struct arena *a = arena_new();
	struct store_by by = {
	    .db = db,
	    .actor = "system",
	    .client_ip = "",
	    .now_us = clock_wall_us(),
	    .deadline_ms = clock_mono_ms() + DEADLINE_MS,
	};
	struct store_new_key k = {
	    .id = uuid_v7(by.now_us),
	    .kind = "api",
	    .name = bytes_str("platform"),
	    .permissions = permission_text(permission_all(true), a),
	    .expires_us = DB_TIME_NULL,
	};
	token_make("skapi", secret);
	memcpy(k.lookup, secret + sizeof("skapi"), STORE_LOOKUP_SIZE - 1);
	token_hash(bytes_str(secret), k.hash);
	f->secret = secret;
	enum rc rc = store_set_platform_key(&by, &k, rotate, write_file, f, e);
	if (rc == RC_OK && rename(f->temporary, f->path) != 0)
		rc = err_set(e, RC_INVALID, "%s: %s; the key is in %s", f->path, strerror(errno), f->temporary);
	else if (rc != RC_OK && rc != RC_RETRY) /* nobody may know what became of the commit: then the file stays */
		unlink(f->temporary);
	f->secret = NULL;
	explicit_bzero(secret, sizeof(secret));
	arena_free(&a);
	return rc;
}

enum rc
auth_make_platform_key(struct db_pool *db, const char *path, bool rotate, struct err *e)
{
	struct key_file f = {.path = path};
	if (snprintf(f.temporary, sizeof(f.temporary), "%s.new", path) >= (int)sizeof(f.temporary))
		return err_set(e, RC_INVALID, "the file's name is too long");
	return make_key(db, &f, rotate, e);
}

int
auth_bootstrap(const struct config_entry *settings, const char *path, bool rotate)
{
	const struct config_entry *tables[] = {table, settings, NULL};
	struct db_pool *db = NULL;
	struct err err;
	if (config_load(tables, "SEKISHO_AUTH_", &err) != RC_OK) {
		fprintf(stderr, "sekisho-auth: %s\n", err.text);
		return CONFIG_EXIT;
	}
	struct db_options o = {.conninfo = own.db, .size = 1, .intent_sql = DB_INTENT_SQL("auth")};
	enum rc rc = db_pool_new(&o, &db, &err);
	if (rc == RC_OK)
		rc = auth_make_platform_key(db, path, rotate, &err);
	db_pool_free(&db);
	if (rc != RC_OK)
		fprintf(stderr, "sekisho-auth: %s\n", err.text);
	return rc == RC_OK ? 0 : 1;
}
