/* SPDX-License-Identifier: MIT
 *
 * A hash table of unwrapped keys under a read-write lock. Which epoch is the newest is believed for ten minutes; keys
 * themselves never change.
 */
#include "content/keys.h"

#include <pthread.h>
#include <stdlib.h>
#include <uthash.h>

#include "core/clock.h"
#include "crypt/secret.h"

#define DATABASE_MS  5000
#define CURRENT_MS   600000
#define ENTRIES_MAX  200000
#define EPOCH_NEWEST 0 /* in the table: whatever is the newest */

static const char select_newest[] = "SELECT epoch, wrapped FROM content.tenant_key WHERE tenant = $1 "
				    "ORDER BY epoch DESC LIMIT 1";
static const char select_epoch[] = "SELECT epoch, wrapped FROM content.tenant_key WHERE tenant = $1 AND epoch = $2";
static const char insert_first[] = "INSERT INTO content.tenant_key (tenant, epoch, wrapped) VALUES ($1, 1, $2) "
				   "ON CONFLICT DO NOTHING";

struct name {
	struct uuid tenant;
	int32_t epoch;
};
struct entry {
	struct name name;
	int32_t epoch;
	uint8_t key[CRYPT_KEY_SIZE];
	int64_t read_ms;
	UT_hash_handle hh;
};
struct keys {
	struct keyring *ring;
	struct db_pool *pool;
	pthread_rwlock_t lock;
	struct entry *entries;
};

enum rc
keys_open(const char *kek_path, struct db_pool *pool, struct keys **out_r, struct err *e)
{
	struct keyring *ring = NULL;
	enum rc rc = keyring_open(kek_path, &ring, e);
	if (rc != RC_OK)
		return rc;
	struct keys *k = calloc(1, sizeof(*k));
	if (k == NULL || pthread_rwlock_init(&k->lock, NULL) != 0)
		abort();
	k->ring = ring;
	k->pool = pool;
	*out_r = k;
	return RC_OK;
}

static void
forget_all(struct keys *k)
{
	struct entry *it = k->entries, *next;
	HASH_CLEAR(hh, k->entries); /* the table; the entries are still a list */
	for (; it != NULL; it = next) {
		next = it->hh.next;
		secret_wipe(it, sizeof(*it));
		free(it);
	}
}

void
keys_free(struct keys **k)
{
	if (k == NULL || *k == NULL)
		return;
	forget_all(*k);
	keyring_free(&(*k)->ring);
	pthread_rwlock_destroy(&(*k)->lock);
	free(*k);
	*k = NULL;
}

static bool
find(struct keys *k, const struct uuid *tenant, int32_t epoch, int32_t *epoch_r, uint8_t key[CRYPT_KEY_SIZE])
{
	struct name name = {.tenant = *tenant, .epoch = epoch};
	struct entry *it = NULL;
	bool found = false;
	pthread_rwlock_rdlock(&k->lock);
	HASH_FIND(hh, k->entries, &name, sizeof(name), it);
	if (it != NULL && (epoch != EPOCH_NEWEST || clock_mono_ms() - it->read_ms < CURRENT_MS)) {
		*epoch_r = it->epoch;
		memcpy(key, it->key, CRYPT_KEY_SIZE);
		found = true;
	}
	pthread_rwlock_unlock(&k->lock);
	return found;
}

static void
keep(struct keys *k, const struct uuid *tenant, int32_t name_epoch, int32_t epoch, const uint8_t key[CRYPT_KEY_SIZE])
{
	struct name name = {.tenant = *tenant, .epoch = name_epoch};
	struct entry *it = NULL;
	pthread_rwlock_wrlock(&k->lock);
	HASH_FIND(hh, k->entries, &name, sizeof(name), it);
	if (it == NULL) {
		if (HASH_COUNT(k->entries) >= ENTRIES_MAX)
			forget_all(k);
		it = calloc(1, sizeof(*it));
		if (it == NULL)
			abort();
		it->name = name;
		HASH_ADD(hh, k->entries, name, sizeof(name), it);
	}
	it->epoch = epoch;
	it->read_ms = clock_mono_ms();
	memcpy(it->key, key, CRYPT_KEY_SIZE);
	pthread_rwlock_unlock(&k->lock);
}

/* epoch EPOCH_NEWEST: the newest. */
static enum rc
read_key(struct keys *k, struct db_tx *tx, const struct uuid *tenant, int32_t epoch, int32_t *epoch_r,
	 uint8_t key[CRYPT_KEY_SIZE], struct err *e)
{
	struct db_args args;
	struct db_rows *rows = NULL;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	if (epoch != EPOCH_NEWEST)
		db_arg_int(&args, epoch);
	enum rc rc = db_query(tx, epoch != EPOCH_NEWEST ? select_epoch : select_newest, &args, &rows, e);
	if (rc != RC_OK)
		return rc;
	if (!db_rows_next(rows)) {
		rc = err_set(e, RC_NOT_FOUND, "the tenant has no such data key");
	} else {
		int32_t got = (int32_t)db_int(rows, 0);
		rc = keyring_unwrap(k->ring, tenant, got, db_bytes(rows, 1), key, e);
		if (rc == RC_OK)
			*epoch_r = got;
	}
	db_rows_free(&rows);
	return rc;
}

/* Two makers at once: the second one's row gives way, and it reads the first one's. */
static enum rc
make_first(struct keys *k, struct db_tx *tx, const struct uuid *tenant, int32_t *epoch_r, uint8_t key[CRYPT_KEY_SIZE],
	   struct err *e)
{
	struct db_args args;
	struct buf wrapped;
	buf_init(&wrapped, 0);
	enum rc rc = keyring_make(k->ring, tenant, 1, &wrapped, e);
	if (rc == RC_OK) {
		db_args_init(&args);
		db_arg_uuid(&args, tenant);
		db_arg_bytes(&args, buf_bytes(&wrapped));
		rc = db_exec(tx, insert_first, &args, e);
	}
	buf_done(&wrapped);
	return rc == RC_OK ? read_key(k, tx, tenant, EPOCH_NEWEST, epoch_r, key, e) : rc;
}

enum rc
keys_current(struct keys *k, const struct uuid *tenant, int32_t *epoch_r, uint8_t key[CRYPT_KEY_SIZE], struct err *e)
{
	struct db_tx *tx = NULL;
	int32_t epoch = 0;
	if (find(k, tenant, EPOCH_NEWEST, epoch_r, key))
		return RC_OK;
	enum rc rc = db_begin(k->pool, tenant, clock_mono_ms() + DATABASE_MS, &tx, e);
	if (rc != RC_OK)
		return rc;
	rc = read_key(k, tx, tenant, EPOCH_NEWEST, &epoch, key, e);
	if (rc == RC_NOT_FOUND) {
		rc = make_first(k, tx, tenant, &epoch, key, e);
		/* Nothing may be sealed under a key that is not safely stored. */
		if (rc == RC_OK)
			rc = db_commit(&tx, e);
	}
	db_end(&tx);
	if (rc != RC_OK) {
		(void)err_prefix(e, "tenant key");
		return rc;
	}
	keep(k, tenant, EPOCH_NEWEST, epoch, key);
	keep(k, tenant, epoch, epoch, key);
	*epoch_r = epoch;
	return RC_OK;
}

enum rc
keys_of(struct keys *k, struct db_tx *tx, const struct uuid *tenant, int32_t epoch, uint8_t key[CRYPT_KEY_SIZE],
	struct err *e)
{
	struct db_tx *own = NULL;
	int32_t got = 0;
	if (epoch <= EPOCH_NEWEST)
		return err_set(e, RC_INVALID, "no epoch of a tenant key");
	if (find(k, tenant, epoch, &got, key))
		return RC_OK;
	if (tx == NULL) {
		enum rc rc = db_begin(k->pool, tenant, clock_mono_ms() + DATABASE_MS, &own, e);
		if (rc != RC_OK)
			return rc;
		tx = own;
	}
	enum rc rc = read_key(k, tx, tenant, epoch, &got, key, e);
	db_end(&own);
	if (rc == RC_OK)
		keep(k, tenant, epoch, epoch, key);
	return rc;
}
