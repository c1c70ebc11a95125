/* SPDX-License-Identifier: MIT
 *
 * The row's key is a hash, so that a caller's text is neither in an index nor in a log; the lock's number is made from
 * the same hash. Two different keys that meet in a lock wait for each other, no more.
 */
#include "svc/once.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/log.h"
#include "crypt/crypt.h"
#include "svc/svc_internal.h"

#define KEEP_US	      INT64_C(172800000000)
#define TIDY_EVERY_MS 60000
#define TIDY_MS	      3000
#define PLACES	      256

static const char sql_patience[] = "SELECT set_config('lock_timeout', $1, true)";
static const char sql_lock[] = "SELECT pg_advisory_xact_lock($1)";

struct row {
	uint8_t key[32], request[32];
	char label[80]; /* a stored answer cannot be moved to another key unseen */
};

static void
add_part(struct buf *b, struct bytes part)
{
	uint32_t n = (uint32_t)part.n;
	uint8_t size[4] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
	buf_add(b, size, sizeof(size));
	buf_add_bytes(b, part);
}

static bool
has_key(const struct svc_request *r)
{
	return r->in->idempotency_key != NULL && r->in->idempotency_key[0] != '\0';
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* What the key permits that was shown, in whatever order the token says it: an answer that holds a secret is not given
 * again to another of the person's keys that may less. */
static void
add_permissions(struct buf *b, const struct actor *actor)
{
	const char *sorted[ACTOR_PERMISSIONS_MAX];
	size_t n = actor != NULL ? actor->n_permissions : 0;
	for (size_t i = 0; i < n; i++)
		sorted[i] = actor->permissions[i];
	if (n > 1)
		qsort(sorted, n, sizeof(*sorted), by_text);
	for (size_t i = 0; i < n; i++)
		add_part(b, bytes_str(sorted[i]));
}

static struct row
row_of(const struct svc_request *r)
{
	static const struct uuid nobody;
	const struct uuid *account = r->actor != NULL ? &r->actor->account : &nobody;
	struct row row;
	struct buf b;
	buf_init(&b, 0);
	add_part(&b, bytes_str(r->in->subject));
	add_part(&b, bytes_of(account->b, sizeof(account->b)));
	/* Keys that belong to no person are told apart by their names. */
	add_part(&b, bytes_str(r->actor != NULL && uuid_is_nil(account) ? r->actor->name : ""));
	add_part(&b, bytes_str(r->in->idempotency_key));
	add_permissions(&b, r->actor); /* last: as many parts as there are */
	crypt_sha256(buf_bytes(&b), row.key);
	buf_done(&b);
	crypt_sha256(r->in->payload, row.request);
	int n = snprintf(row.label, sizeof(row.label), "idempotency/");
	for (int i = 0; i < 32; i++)
		n += snprintf(row.label + n, sizeof(row.label) - (size_t)n, "%02x", row.key[i]);
	return row;
}

static enum rc
lock(const struct svc_request *r, struct db_tx *tx, const struct row *row, struct err *e)
{
	char ms[24];
	struct db_args a;
	uint8_t both[48], hash[32];
	int64_t left = clock_left_ms(r->in->deadline_ms) - 200, number = 0;
	snprintf(ms, sizeof(ms), "%lld", (long long)(left > 1 ? left : 1));
	memcpy(both, r->in->tenant.b, 16);
	memcpy(both + 16, row->key, 32);
	crypt_sha256(bytes_of(both, sizeof(both)), hash);
	memcpy(&number, hash, sizeof(number));
	db_args_init(&a);
	db_arg_text(&a, ms);
	enum rc rc = db_exec(tx, sql_patience, &a, e);
	if (rc != RC_OK)
		return rc;
	db_args_init(&a);
	db_arg_long(&a, number);
	return db_exec(tx, sql_lock, &a, e);
}

static enum rc
stored_answer(const struct svc_request *r, const struct row *row, const struct db_rows *rows, struct buf *reply,
	      struct err *e)
{
	struct bytes request = db_bytes(rows, 0);
	if (!bytes_eq(request, bytes_of(row->request, sizeof(row->request))))
		return err_set(e, RC_CONFLICT, "this idempotency key belongs to another request");
	enum rc rc = content_open_secret(r->svc->content, &r->in->tenant, row->label, db_bytes(rows, 1), reply, e);
	return rc == RC_INVALID ? err_set(e, RC_INTERNAL, "a stored answer does not open") : rc;
}

/* In tx's tenant as it is now: the caller's. */
static enum rc
find(const struct svc_request *r, struct db_tx *tx, const struct row *row, struct buf *reply, bool *found_r,
     struct err *e)
{
	struct db_args a;
	struct db_rows *rows = NULL;
	enum rc rc = lock(r, tx, row, e);
	if (rc != RC_OK)
		return rc;
	db_args_init(&a);
	db_arg_uuid(&a, &r->in->tenant);
	db_arg_bytes(&a, bytes_of(row->key, sizeof(row->key)));
	rc = db_query(tx, r->svc->once_sql->get, &a, &rows, e);
	if (rc != RC_OK)
		return rc;
	bool found = db_rows_next(rows);
	if (found)
		rc = stored_answer(r, row, rows, reply, e);
	db_rows_free(&rows);
	if (rc == RC_OK)
		*found_r = found;
	return rc;
}

/* Whose rows tx sees; a transaction without a tenant stays the caller's. */
static enum rc
go_to(struct db_tx *tx, const struct uuid *tenant, struct err *e)
{
	const struct uuid *now = db_tenant(tx);
	return now != NULL && uuid_eq(now, tenant) ? RC_OK : db_set_tenant(tx, tenant, e);
}

enum rc
svc_once_begin(const struct svc_request *r, struct db_tx *tx, struct buf *reply, bool *done_r, struct err *e)
{
	*done_r = false;
	if (!has_key(r))
		return RC_OK;
	if (r->svc->once_sql == NULL || r->svc->content == NULL)
		return err_set(e, RC_INTERNAL, "this service has no idempotency keys");
	struct row row = row_of(r);
	const struct uuid *tenant = db_tenant(tx);
	struct uuid before = tenant != NULL ? *tenant : r->in->tenant;
	bool found = false;
	enum rc rc = go_to(tx, &r->in->tenant, e);
	if (rc == RC_OK)
		rc = find(r, tx, &row, reply, &found, e);
	if (rc == RC_OK && !found)
		rc = go_to(tx, &before, e);
	if (rc != RC_OK)
		return rc;
	if (found && r->note != NULL)
		r->note->replayed = true;
	*done_r = found;
	return RC_OK;
}

enum rc
svc_once_end(const struct svc_request *r, struct db_tx *tx, struct bytes reply, struct err *e)
{
	if (!has_key(r))
		return RC_OK;
	if (reply.n > SVC_ONCE_REPLY_MAX)
		return err_set(e, RC_LIMIT, "the answer is too long to be kept under an idempotency key");
	struct row row = row_of(r);
	const struct uuid *tenant = db_tenant(tx);
	struct uuid before = tenant != NULL ? *tenant : r->in->tenant;
	struct buf sealed;
	buf_init(&sealed, 0);
	enum rc rc = content_seal_secret(r->svc->content, &r->in->tenant, row.label, reply, &sealed, e);
	if (rc == RC_OK)
		rc = go_to(tx, &r->in->tenant, e);
	if (rc == RC_OK) {
		struct db_args a;
		db_args_init(&a);
		db_arg_uuid(&a, &r->in->tenant);
		db_arg_bytes(&a, bytes_of(row.key, sizeof(row.key)));
		db_arg_bytes(&a, bytes_of(row.request, sizeof(row.request)));
		db_arg_bytes(&a, buf_bytes(&sealed));
		db_arg_time(&a, clock_wall_us());
		rc = db_exec(tx, r->svc->once_sql->add, &a, e);
	}
	if (rc == RC_OK)
		rc = go_to(tx, &before, e);
	buf_done(&sealed);
	if (rc == RC_OK && r->note != NULL)
		r->note->stored = true;
	return rc;
}

/* --- old keys ---------------------------------------------------------------------------------------------------- */
/* A direct-mapped table of when a tenant had its turn. */
static struct {
	pthread_mutex_t lock;
	struct {
		struct uuid tenant;
		int64_t next_ms;
	} places[PLACES];
} turns = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool
due(const struct uuid *tenant)
{
	size_t i = tenant->b[15]; /* random in a version 7 id */
	int64_t now = clock_mono_ms();
	pthread_mutex_lock(&turns.lock);
	bool yes = !uuid_eq(&turns.places[i].tenant, tenant) || now >= turns.places[i].next_ms;
	if (yes) {
		turns.places[i].tenant = *tenant;
		turns.places[i].next_ms = now + TIDY_EVERY_MS;
	}
	pthread_mutex_unlock(&turns.lock);
	return yes;
}

void
once_tidy(const struct svc_request *r)
{
	struct db_tx *tx = NULL;
	struct err err = {0};
	struct db_args a;
	if (!due(&r->in->tenant))
		return;
	enum rc rc = db_begin(r->svc->db, &r->in->tenant, clock_mono_ms() + TIDY_MS, &tx, &err);
	if (rc == RC_OK) {
		db_args_init(&a);
		db_arg_uuid(&a, &r->in->tenant);
		db_arg_time(&a, clock_wall_us() - KEEP_US);
		rc = db_exec(tx, r->svc->once_sql->purge, &a, &err);
	}
	if (rc == RC_OK)
		rc = db_commit(&tx, &err);
	db_end(&tx);
	if (rc != RC_OK)
		log_warn("old idempotency keys stay for now", LOG_TENANT(&r->in->tenant), LOG_RC(rc), LOG_ERR(&err));
}
