/* SPDX-License-Identifier: MIT */
#include "limit.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>

#include "core/id.h"
#include "crypt/crypt.h"

/* 4096 sets of 8 places, 24 octets each: 768 KiB. */
#define SETS   4096
#define PLACES 8

/* Tokens are counted in thousandths, so that slow buckets fill evenly. */
struct bucket {
	uint64_t name; /* hash; 0: free */
	int64_t milli; /* at at_ms */
	int64_t at_ms;
};

struct limit {
	pthread_mutex_t lock;
	int64_t quota, window_s;
	uint8_t key[32];
	struct bucket buckets[SETS][PLACES];
};

struct limit *
limit_new(int64_t quota, int64_t window_s)
{
	struct limit *l = calloc(1, sizeof(*l));
	if (l == NULL)
		abort();
	pthread_mutex_init(&l->lock, NULL);
	l->quota = quota;
	l->window_s = window_s;
	random_bytes(l->key, sizeof(l->key));
	return l;
}

void
limit_free(struct limit **lp)
{
	if (*lp == NULL)
		return;
	pthread_mutex_destroy(&(*lp)->lock);
	free(*lp);
	*lp = NULL;
}

struct bytes
limit_address(const char *address, char out[LIMIT_ADDRESS_SIZE])
{
	struct in6_addr v6;
	if (inet_pton(AF_INET6, address, &v6) != 1)
		return bytes_str(address);
	if (IN6_IS_ADDR_V4MAPPED(&v6)) {
		inet_ntop(AF_INET, v6.s6_addr + 12, out, LIMIT_ADDRESS_SIZE);
	} else {
		memset(v6.s6_addr + 8, 0, 8);
		inet_ntop(AF_INET6, &v6, out, LIMIT_ADDRESS_SIZE);
	}
	return bytes_str(out);
}

int64_t
limit_quota(const struct limit *l)
{
	return l->quota;
}

int64_t
limit_window_s(const struct limit *l)
{
	return l->window_s;
}

static int64_t
level(const struct limit *l, const struct bucket *b, int64_t now_ms)
{
	int64_t full = l->quota * 1000, gone = now_ms - b->at_ms;
	if (gone <= 0)
		return b->milli;
	/* quota tokens per window: quota thousandths per window_s milliseconds. */
	if (gone >= l->window_s * 1000)
		return full;
	int64_t milli = b->milli + gone * l->quota / l->window_s;
	return milli < full ? milli : full;
}

/* The place of this name, else a free one, else the fullest. */
static struct bucket *
place_of(struct limit *l, uint64_t name, int64_t now_ms)
{
	struct bucket *set = l->buckets[name % SETS], *best = &set[0];
	int64_t best_level = -1;
	for (int i = 0; i < PLACES; i++) {
		if (set[i].name == name)
			return &set[i];
		int64_t has = set[i].name == 0 ? INT64_MAX : level(l, &set[i], now_ms);
		if (has > best_level) {
			best_level = has;
			best = &set[i];
		}
	}
	*best = (struct bucket){.name = name, .milli = l->quota * 1000, .at_ms = now_ms};
	return best;
}

/* Keyed, so that nobody chooses which names share a set. Never 0. */
static uint64_t
hash_of(const struct limit *l, struct bytes name)
{
	uint8_t both[64], digest[32];
	uint64_t h;
	memcpy(both, l->key, 32);
	crypt_sha256(name, both + 32);
	crypt_sha256(bytes_of(both, sizeof(both)), digest);
	memcpy(&h, digest, sizeof(h));
	return h != 0 ? h : 1;
}

bool
limit_take(struct limit *l, struct bytes name, int n, int64_t now_ms, struct limit_state *state_r)
{
	*state_r = (struct limit_state){.left = l->quota};
	if (l->quota == 0)
		return true;
	uint64_t h = hash_of(l, name);
	pthread_mutex_lock(&l->lock);
	struct bucket *b = place_of(l, h, now_ms);
	int64_t has = level(l, b, now_ms), want = (int64_t)n * 1000;
	bool taken = has >= want;
	/* A bucket is written only when tokens go: looking again and again must not lose what rounding drops. */
	if (taken && n > 0) {
		b->milli = has -= want;
		b->at_ms = now_ms;
	}
	pthread_mutex_unlock(&l->lock);
	int64_t full = l->quota * 1000, per_s = l->quota * 1000 / l->window_s;
	state_r->left = has / 1000;
	if (per_s < 1)
		per_s = 1;
	state_r->reset_s = (full - has + per_s - 1) / per_s;
	state_r->wait_s = has >= 1000 ? 0 : (1000 - has + per_s - 1) / per_s;
	return taken;
}
