/* SPDX-License-Identifier: MIT
 *
 * The cache of parsed keys. Entries are counted; one that is out of date leaves the table and dies with its last user.
 */
#include "signers.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <uthash.h>

#include "core/clock.h"
#include "crypt/secret.h"
#include "store.h"

#define TTL_MS	      60000
#define TTL_ABSENT_MS 10000
#define ENTRIES_MAX   4096
#define LOAD_MS	      20000

struct entry {
	struct key_set set; /* first: signers_put() gets it back */
	char key[300];
	int refs; /* users, and one for the table */
	int64_t until_ms;
	UT_hash_handle hh;
};

struct signers {
	pthread_mutex_t mutex;
	struct entry *table;
};

struct signers *
signers_new(void)
{
	struct signers *k = calloc(1, sizeof(*k));
	if (k == NULL)
		abort();
	pthread_mutex_init(&k->mutex, NULL);
	return k;
}

static void
unref(struct entry *x)
{
	if (--x->refs > 0)
		return;
	for (size_t i = 0; i < x->set.n; i++)
		dkim_key_free(&x->set.v[i]);
	free(x);
}

static void
drop(struct signers *k, struct entry *x)
{
	HASH_DEL(k->table, x);
	unref(x);
}

void
signers_free(struct signers **kp)
{
	struct entry *x, *next;
	if (kp == NULL || *kp == NULL)
		return;
	HASH_ITER(hh, (*kp)->table, x, next)
	{
		drop(*kp, x);
	}
	pthread_mutex_destroy(&(*kp)->mutex);
	free(*kp);
	*kp = NULL;
}

static bool
key_of(const struct uuid *tenant, struct bytes domain, char out[300])
{
	char t[UUID_STR_SIZE];
	uuid_format(tenant, t);
	return snprintf(out, 300, "%s %.*s", t, (int)domain.n, (const char *)domain.p) < 300;
}

static enum rc
open_key(struct content *content, const struct uuid *tenant, const struct store_key *row, struct dkim_key **out_r,
	 struct err *e)
{
	enum dkim_algorithm alg;
	struct buf plain;
	char label[300], domain[256];
	if (!dkim_algorithm_parse(row->algorithm, &alg))
		return err_set(e, RC_INTERNAL, "dkim: unknown algorithm");
	snprintf(domain, sizeof(domain), "%.*s", (int)row->domain.n, (const char *)row->domain.p);
	snprintf(label, sizeof(label), "dkim %s %s", domain, row->algorithm);
	buf_init(&plain, 65536);
	enum rc rc = content_open_secret(content, tenant, label, row->sealed, &plain, e);
	if (rc == RC_OK)
		rc = dkim_key_open(alg, buf_bytes(&plain), domain, row->selector, out_r, e);
	secret_wipe(plain.p, plain.n);
	buf_done(&plain);
	return rc;
}

static enum rc
load(struct content *content, struct db_pool *pool, const struct uuid *tenant, struct bytes domain, struct entry *x,
     struct err *e)
{
	struct arena *a = arena_new();
	struct store_key *rows = NULL;
	struct db_tx *tx = NULL;
	size_t n = 0;
	enum rc rc = db_begin(pool, tenant, clock_mono_ms() + LOAD_MS, &tx, e);
	if (rc == RC_OK)
		rc = store_keys(tx, tenant, domain, a, &rows, &n, e);
	db_end(&tx);
	for (size_t i = 0; rc == RC_OK && i < n && x->set.n < KEYS_PER_DOMAIN; i++)
		if ((rc = open_key(content, tenant, &rows[i], &x->set.v[x->set.n], e)) == RC_OK)
			x->set.n++;
	arena_free(&a);
	return rc;
}

static struct entry *
find(struct signers *k, const char *key)
{
	struct entry *x;
	HASH_FIND_STR(k->table, key, x);
	if (x != NULL && x->until_ms <= clock_mono_ms()) {
		drop(k, x);
		return NULL;
	}
	return x;
}

enum rc
signers_get(struct signers *k, struct content *content, struct db_pool *pool, const struct uuid *tenant,
	    struct bytes domain, struct key_set **out_r, struct err *e)
{
	char key[300];
	if (!key_of(tenant, domain, key))
		return err_set(e, RC_INVALID, "dkim: domain too long");
	pthread_mutex_lock(&k->mutex);
	struct entry *x = find(k, key);
	if (x != NULL)
		x->refs++;
	pthread_mutex_unlock(&k->mutex);
	if (x != NULL) {
		*out_r = &x->set;
		return RC_OK;
	}
	x = calloc(1, sizeof(*x));
	if (x == NULL)
		abort();
	memcpy(x->key, key, sizeof(key));
	snprintf(x->set.domain, sizeof(x->set.domain), "%.*s", (int)domain.n, (const char *)domain.p);
	x->refs = 1;
	enum rc rc = load(content, pool, tenant, domain, x, e);
	if (rc != RC_OK) {
		unref(x);
		return rc;
	}
	x->until_ms = clock_mono_ms() + (x->set.n > 0 ? TTL_MS : TTL_ABSENT_MS);
	pthread_mutex_lock(&k->mutex);
	struct entry *other = find(k, key);
	if (other == NULL) {
		if (HASH_COUNT(k->table) >= ENTRIES_MAX)
			drop(k, k->table); /* the oldest */
		x->refs++;
		HASH_ADD_STR(k->table, key, x);
	}
	pthread_mutex_unlock(&k->mutex);
	*out_r = &x->set;
	return RC_OK;
}

void
signers_put(struct signers *k, struct key_set *s)
{
	if (s == NULL)
		return;
	pthread_mutex_lock(&k->mutex);
	unref((struct entry *)s);
	pthread_mutex_unlock(&k->mutex);
}

void
signers_forget(struct signers *k, const struct uuid *tenant, struct bytes domain)
{
	char key[300];
	if (!key_of(tenant, domain, key))
		return;
	pthread_mutex_lock(&k->mutex);
	struct entry *x = find(k, key);
	if (x != NULL)
		drop(k, x);
	pthread_mutex_unlock(&k->mutex);
}

/* --- making ------------------------------------------------------------------------------------------------ */
static enum rc
make(struct content *content, struct db_tx *tx, const struct uuid *tenant, struct bytes domain, enum dkim_algorithm alg,
     int64_t now_us, struct err *e)
{
	struct buf pkcs8, public_, sealed;
	char label[300], selector[40];
	struct tm tm;
	time_t t = (time_t)(now_us / 1000000);
	gmtime_r(&t, &tm);
	snprintf(selector, sizeof(selector), "sk%04d%02d%s", tm.tm_year + 1900, tm.tm_mon + 1,
		 alg == DKIM_RSA_SHA256 ? "r" : "e");
	snprintf(label, sizeof(label), "dkim %.*s %s", (int)domain.n, (const char *)domain.p, dkim_algorithm_str(alg));
	buf_init(&pkcs8, 0);
	buf_init(&public_, 0);
	buf_init(&sealed, 0);
	enum rc rc = dkim_key_make(alg, &pkcs8, &public_, e);
	if (rc == RC_OK)
		rc = content_seal_secret(content, tenant, label, buf_bytes(&pkcs8), &sealed, e);
	if (rc == RC_OK) {
		struct store_key row = {.domain = domain,
					.sealed = buf_bytes(&sealed),
					.public_ = buf_bytes(&public_),
					.selector = selector,
					.algorithm = dkim_algorithm_str(alg)};
		rc = store_key_add(tx, tenant, &row, now_us, e);
	}
	secret_wipe(pkcs8.p, pkcs8.n);
	buf_done(&pkcs8);
	buf_done(&public_);
	buf_done(&sealed);
	return rc;
}

enum rc
signers_ensure(struct content *content, struct db_tx *tx, const struct uuid *tenant, struct bytes domain,
	       int64_t now_us, struct arena *a, bool *made_r, struct err *e)
{
	struct store_key *have = NULL;
	size_t n = 0;
	bool made = false;
	enum rc rc = store_keys(tx, tenant, domain, a, &have, &n, e);
	for (enum dkim_algorithm alg = DKIM_RSA_SHA256; rc == RC_OK && alg <= DKIM_ED25519_SHA256; alg++) {
		bool there = false;
		for (size_t i = 0; i < n; i++)
			there |= strcmp(have[i].algorithm, dkim_algorithm_str(alg)) == 0;
		if (there)
			continue;
		rc = make(content, tx, tenant, domain, alg, now_us, e);
		made = true;
	}
	if (rc == RC_OK)
		*made_r = made;
	return rc;
}
