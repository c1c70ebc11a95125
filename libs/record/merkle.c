/* SPDX-License-Identifier: MIT */
#include "record/merkle.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* One digest object per thread: making one costs more than the hash. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;

static void
end_digest(void *p)
{
	EVP_MD_CTX_free(p);
}

static void
begin_digests(void)
{
	if (pthread_key_create(&key, end_digest) != 0)
		abort();
}

static EVP_MD_CTX *
digest(void)
{
	static EVP_MD *sha256;
	pthread_once(&once, begin_digests);
	EVP_MD_CTX *c = pthread_getspecific(key);
	if (c == NULL) {
		EVP_MD *mine = __atomic_load_n(&sha256, __ATOMIC_ACQUIRE);
		if (mine == NULL) {
			EVP_MD *none = NULL;
			mine = EVP_MD_fetch(NULL, "SHA256", NULL);
			if (mine != NULL && !__atomic_compare_exchange_n(&sha256, &none, mine, false, __ATOMIC_ACQ_REL,
									 __ATOMIC_ACQUIRE)) {
				EVP_MD_free(mine);
				mine = none;
			}
		}
		c = EVP_MD_CTX_new();
		if (mine == NULL || c == NULL || EVP_DigestInit_ex2(c, mine, NULL) != 1 ||
		    pthread_setspecific(key, c) != 0)
			abort();
	}
	if (EVP_DigestInit_ex2(c, NULL, NULL) != 1)
		abort();
	return c;
}

static void
add(EVP_MD_CTX *c, const void *p, size_t n)
{
	if (n > 0 && EVP_DigestUpdate(c, p, n) != 1)
		abort();
}

static void
end(EVP_MD_CTX *c, struct merkle_hash *out)
{
	if (EVP_DigestFinal_ex(c, out->b, NULL) != 1)
		abort();
}

void
merkle_sha256(struct bytes in, struct merkle_hash *out)
{
	EVP_MD_CTX *c = digest();
	add(c, in.p, in.n);
	end(c, out);
}

void
merkle_hmac(const uint8_t hkey[32], struct bytes in, struct merkle_hash *out)
{
	uint8_t pad[64];
	struct merkle_hash inner;
	for (int i = 0; i < 64; i++)
		pad[i] = (i < 32 ? hkey[i] : 0) ^ 0x36;
	EVP_MD_CTX *c = digest();
	add(c, pad, sizeof(pad));
	add(c, in.p, in.n);
	end(c, &inner);
	for (int i = 0; i < 64; i++)
		pad[i] = (i < 32 ? hkey[i] : 0) ^ 0x5c;
	c = digest();
	add(c, pad, sizeof(pad));
	add(c, inner.b, sizeof(inner.b));
	end(c, out);
}

void
merkle_leaf(struct bytes input, struct merkle_hash *out)
{
	EVP_MD_CTX *c = digest();
	add(c, "\0", 1);
	add(c, input.p, input.n);
	end(c, out);
}

void
merkle_node(const struct merkle_hash *l, const struct merkle_hash *r, struct merkle_hash *out)
{
	uint8_t in[1 + 2 * MERKLE_SIZE];
	in[0] = 1;
	memcpy(in + 1, l->b, MERKLE_SIZE);
	memcpy(in + 1 + MERKLE_SIZE, r->b, MERKLE_SIZE);
	merkle_sha256(bytes_of(in, sizeof(in)), out);
}

void
merkle_empty(struct merkle_hash *out)
{
	merkle_sha256((struct bytes){0}, out);
}

bool
merkle_eq(const struct merkle_hash *a, const struct merkle_hash *b)
{
	return memcmp(a->b, b->b, MERKLE_SIZE) == 0;
}

/* --- frontier ------------------------------------------------------------------------------------------------ */
void
merkle_frontier_add(struct merkle_frontier *f, const struct merkle_hash *leaf)
{
	struct merkle_hash h = *leaf;
	/* Each 1 bit at the end of size is a perfect subtree as large as the one in hand. */
	for (uint64_t bits = f->size; bits & 1; bits >>= 1)
		merkle_node(&f->h[--f->n], &h, &h);
	f->h[f->n++] = h;
	f->size++;
}

void
merkle_frontier_root(const struct merkle_frontier *f, struct merkle_hash *out)
{
	if (f->n == 0) {
		merkle_empty(out);
		return;
	}
	struct merkle_hash h = f->h[f->n - 1];
	for (int i = f->n - 2; i >= 0; i--)
		merkle_node(&f->h[i], &h, &h);
	*out = h;
}

int
merkle_frontier_count(uint64_t size)
{
	return __builtin_popcountll(size);
}

/* --- proofs: RFC 9162, 2.1.3.2 and 2.1.4.2 ------------------------------------------------------------------- */
bool
merkle_check_inclusion(const struct merkle_hash *leaf, uint64_t index, uint64_t size, const struct merkle_hash *proof,
		       size_t n, const struct merkle_hash *root)
{
	if (index >= size)
		return false;
	uint64_t fn = index, sn = size - 1;
	struct merkle_hash r = *leaf;
	for (size_t i = 0; i < n; i++) {
		if (sn == 0)
			return false;
		if ((fn & 1) != 0 || fn == sn) {
			merkle_node(&proof[i], &r, &r);
			while ((fn & 1) == 0 && fn != 0) {
				fn >>= 1;
				sn >>= 1;
			}
		} else {
			merkle_node(&r, &proof[i], &r);
		}
		fn >>= 1;
		sn >>= 1;
	}
	return sn == 0 && merkle_eq(&r, root);
}

bool
merkle_check_consistency(uint64_t first, const struct merkle_hash *first_root, uint64_t second,
			 const struct merkle_hash *second_root, const struct merkle_hash *proof, size_t n)
{
	struct merkle_hash fr, sr;
	if (first > second)
		return false;
	if (first == second)
		return n == 0 && merkle_eq(first_root, second_root);
	if (first == 0) { /* everything begins with nothing */
		merkle_empty(&fr);
		return n == 0 && merkle_eq(first_root, &fr);
	}
	size_t i = 0;
	uint64_t fn = first - 1, sn = second - 1;
	while ((fn & 1) != 0) {
		fn >>= 1;
		sn >>= 1;
	}
	if ((first & (first - 1)) == 0) {
		fr = sr = *first_root; /* a power of two: its root is the first node itself, and not sent */
	} else {
		if (n == 0)
			return false;
		fr = sr = proof[i++];
	}
	for (; i < n; i++) {
		if (sn == 0)
			return false;
		if ((fn & 1) != 0 || fn == sn) {
			merkle_node(&proof[i], &fr, &fr);
			merkle_node(&proof[i], &sr, &sr);
			while ((fn & 1) == 0 && fn != 0) {
				fn >>= 1;
				sn >>= 1;
			}
		} else {
			merkle_node(&sr, &proof[i], &sr);
		}
		fn >>= 1;
		sn >>= 1;
	}
	return sn == 0 && merkle_eq(&fr, first_root) && merkle_eq(&sr, second_root);
}
