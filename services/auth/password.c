/* SPDX-License-Identifier: MIT
 *
 * State: the cost, a semaphore for what runs, a count of what runs or waits, and a hash of nobody's password, which is
 * checked where there is none so that unknown and wrong take the same time.
 */
#include "password.h"

#include <errno.h>
#include <semaphore.h>
#include <sodium.h>
#include <stdatomic.h>
#include <time.h>

#include "core/id.h"
#include "crypt/token.h"

#define WAITING_PER_RUNNING 2

static struct password_cost cost;
static sem_t running;
static _Atomic int64_t inside;
static char nobody[PASSWORD_HASH_SIZE];

enum rc
password_setup(const struct password_cost *c, struct err *e)
{
	uint8_t secret[32];
	if (sodium_init() < 0 || sem_init(&running, 0, (unsigned)c->concurrency) != 0)
		return err_set(e, RC_INTERNAL, "password hashing cannot start");
	if (c->operations < crypto_pwhash_OPSLIMIT_MIN || c->memory < (int64_t)crypto_pwhash_MEMLIMIT_MIN ||
	    c->memory > (int64_t)crypto_pwhash_MEMLIMIT_MAX)
		return err_set(e, RC_INVALID, "the cost of a password is out of bounds");
	cost = *c;
	random_bytes(secret, sizeof(secret));
	if (crypto_pwhash_str(nobody, (const char *)secret, sizeof(secret), (unsigned long long)cost.operations,
			      (size_t)cost.memory) != 0)
		return err_set(e, RC_INTERNAL, "no memory to hash a password");
	return RC_OK;
}

void
password_done(void)
{
	sem_destroy(&running);
}

static enum rc
enter(int64_t deadline_ms, struct err *e)
{
	struct timespec until = {deadline_ms / 1000, deadline_ms % 1000 * 1000000};
	int failed = 0;
	if (atomic_fetch_add(&inside, 1) >= cost.concurrency * (1 + WAITING_PER_RUNNING)) {
		atomic_fetch_sub(&inside, 1);
		return err_set(e, RC_RETRY, "too many passwords are being checked");
	}
	do
		failed = sem_clockwait(&running, CLOCK_MONOTONIC, &until);
	while (failed != 0 && errno == EINTR);
	if (failed != 0) {
		atomic_fetch_sub(&inside, 1);
		return err_set(e, RC_RETRY, "too many passwords are being checked");
	}
	return RC_OK;
}

static void
leave(void)
{
	sem_post(&running);
	atomic_fetch_sub(&inside, 1);
}

enum rc
password_hash(struct bytes password, int64_t deadline_ms, char out[PASSWORD_HASH_SIZE], struct err *e)
{
	enum rc rc = enter(deadline_ms, e);
	if (rc != RC_OK)
		return rc;
	int failed = crypto_pwhash_str(out, (const char *)password.p, password.n, (unsigned long long)cost.operations,
				       (size_t)cost.memory);
	leave();
	return failed == 0 ? RC_OK : err_set(e, RC_RETRY, "no memory to hash a password");
}

enum rc
password_check(struct bytes password, struct bytes hash, int64_t deadline_ms, bool *good_r, struct err *e)
{
	char text[PASSWORD_HASH_SIZE] = {0};
	bool known = hash.p != NULL && hash.n < sizeof(text);
	memcpy(text, known ? hash.p : (const uint8_t *)nobody, known ? hash.n : sizeof(text));
	enum rc rc = enter(deadline_ms, e);
	if (rc != RC_OK)
		return rc;
	errno = 0;
	int failed = crypto_pwhash_str_verify(text, password.p != NULL ? (const char *)password.p : "", password.n);
	int why = errno;
	leave();
	/* A wrong password is EINVAL; a lack of memory must not count as one and lock somebody out. */
	if (failed != 0 && why == ENOMEM)
		return err_set(e, RC_RETRY, "no memory to check a password");
	*good_r = known && failed == 0;
	return RC_OK;
}

enum rc
password_acceptable(struct bytes password, struct err *e)
{
	if (password.n < PASSWORD_MIN || password.n > PASSWORD_MAX)
		return err_set(e, RC_INVALID, "a password has %d to %d octets", PASSWORD_MIN, PASSWORD_MAX);
	/* What looks like an application password is checked as one only. */
	if (token_well_formed("skapp", password))
		return err_set(e, RC_INVALID, "an application password cannot be chosen as a password");
	return RC_OK;
}
