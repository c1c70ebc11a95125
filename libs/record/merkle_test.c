/* SPDX-License-Identifier: MIT
 *
 * The tree against the vectors of RFC 6962's test data, against a definition written down as the RFC has it, and every
 * proof of every small tree; the tiles against the frontier.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/base64.h"
#include "record/tiles.h"

/* --- known values ------------------------------------------------------------------------------------------------ */
static const char *const leaves[] = {
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"};
static const char *const roots[] = {
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
};

static void
known_roots(void **state)
{
	struct merkle_frontier f = {0};
	for (size_t i = 0; i < 9; i++) {
		struct merkle_hash root, leaf, want;
		merkle_frontier_root(&f, &root);
		assert_true(hex_take(bytes_str(roots[i]), want.b, 32));
		assert_memory_equal(root.b, want.b, 32);
		if (i == 8)
			break;
		uint8_t raw[16];
		size_t n = strlen(leaves[i]) / 2;
		assert_true(hex_take(bytes_str(leaves[i]), raw, n));
		merkle_leaf(bytes_of(raw, n), &leaf);
		merkle_frontier_add(&f, &leaf);
		assert_int_equal(merkle_frontier_count(f.size), f.n);
	}
}

/* RFC 4231, test case 6 has a longer key; case 1 padded to 32 octets is the same key (HMAC pads with zeros). */
static void
known_hmac(void **state)
{
	uint8_t key[32] = {0};
	struct merkle_hash h, want;
	memset(key, 0x0b, 20);
	merkle_hmac(key, bytes_str("Hi There"), &h);
	assert_true(
	    hex_take(bytes_str("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"), want.b, 32));
	assert_memory_equal(h.b, want.b, 32);
}

/* --- a forest in memory ------------------------------------------------------------------------------------------ */
#define LEAVES 1200
#define TILES  16
static struct merkle_hash all[LEAVES];
static struct merkle_hash tiles[3][TILES][TILES_WIDTH];
static unsigned widths[3][TILES];

static void
keep(void *ctx, int level, uint64_t number, const struct merkle_hash *h, unsigned width)
{
	assert_true(level < 3 && number < TILES && width >= widths[level][number]);
	/* What was there stays. */
	assert_memory_equal(tiles[level][number], h, widths[level][number] * MERKLE_SIZE);
	memcpy(tiles[level][number], h, width * MERKLE_SIZE);
	widths[level][number] = width;
}

static enum rc
lend(void *ctx, int level, uint64_t number, unsigned width, const struct merkle_hash **h_r, struct err *e)
{
	assert_true(level < 3 && number < TILES && width <= widths[level][number]);
	*h_r = tiles[level][number];
	return RC_OK;
}
static const struct tiles_reader reader = {lend, NULL};

static int
grow(void **state)
{
	static struct tiles_edge edge;
	struct merkle_frontier f = {0};
	for (uint64_t i = 0; i < LEAVES;) {
		/* Batches of 1, 2, 3, ... leaves. */
		uint64_t before = i, n = before % 40 + 1;
		for (; n > 0 && i < LEAVES; n--, i++) {
			merkle_leaf(bytes_of(&i, sizeof(i)), &all[i]);
			tiles_edge_add(&edge, &all[i], keep, NULL);
			merkle_frontier_add(&f, &all[i]);
		}
		tiles_edge_flush(&edge, before, keep, NULL);
		struct merkle_hash a, b, c;
		tiles_edge_root(&edge, &a);
		merkle_frontier_root(&f, &b);
		if (tiles_root(&reader, i, &c, NULL) != RC_OK || !merkle_eq(&a, &b) || !merkle_eq(&b, &c))
			return -1;
	}
	return 0;
}

/* The definition of RFC 9162, 2.1.1, word for word. */
static void
mth(const struct merkle_hash *d, size_t n, struct merkle_hash *out)
{
	struct merkle_hash l, r;
	if (n == 0) {
		merkle_empty(out);
	} else if (n == 1) {
		*out = d[0];
	} else {
		size_t k = 1;
		while (k * 2 < n)
			k *= 2;
		mth(d, k, &l);
		mth(d + k, n - k, &r);
		merkle_node(&l, &r, out);
	}
}

static void
roots_are_the_definition(void **state)
{
	for (size_t n = 0; n <= LEAVES; n += n < 300 ? 1 : 37) {
		struct merkle_hash a, b;
		struct merkle_frontier f;
		mth(all, n, &a);
		assert_int_equal(tiles_root(&reader, n, &b, NULL), RC_OK);
		assert_memory_equal(&a, &b, 32);
		assert_int_equal(tiles_frontier(&reader, n, &f, NULL), RC_OK);
		merkle_frontier_root(&f, &b);
		assert_memory_equal(&a, &b, 32);
		for (size_t i = n; i < n + 3 && i < LEAVES; i++) { /* and it grows on */
			merkle_frontier_add(&f, &all[i]);
			mth(all, i + 1, &a);
			merkle_frontier_root(&f, &b);
			assert_memory_equal(&a, &b, 32);
		}
	}
}

static const size_t sizes[] = {1,  2,  3,   4,	 5,   6,   7,	8,   9,	  15,  16,  17,	  31,	33,
			       64, 65, 100, 127, 255, 256, 257, 300, 511, 512, 513, 1023, 1025, 1200};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static void
inclusion_of_every_leaf(void **state)
{
	size_t longest = 0, checked = 0;
	for (size_t s = 0; s < SIZES; s++) {
		struct merkle_hash root, proof[MERKLE_PROOF_MAX];
		size_t size = sizes[s], n = 0;
		mth(all, size, &root);
		for (size_t i = 0; i < size; i++, checked++) {
			assert_int_equal(tiles_inclusion(&reader, i, size, proof, &n, NULL), RC_OK);
			longest = n > longest ? n : longest;
			assert_true(merkle_check_inclusion(&all[i], i, size, proof, n, &root));
			/* Another leaf, place, size, a shorter or longer proof, another hash: none of them. */
			assert_false(merkle_check_inclusion(&all[(i + 1) % LEAVES], i, size, proof, n, &root));
			if (size > 1)
				assert_false(merkle_check_inclusion(&all[i], (i + 1) % size, size, proof, n, &root));
			assert_false(merkle_check_inclusion(&all[i], i, size, proof, n + 1, &root));
			if (n > 0) {
				assert_false(merkle_check_inclusion(&all[i], i, size, proof, n - 1, &root));
				proof[i % n].b[i % 32] ^= 1;
				assert_false(merkle_check_inclusion(&all[i], i, size, proof, n, &root));
			}
		}
		assert_false(merkle_check_inclusion(&all[0], size, size, proof, n, &root));
		assert_int_equal(tiles_inclusion(&reader, size, size, proof, &n, NULL), RC_INVALID);
	}
	printf("%zu inclusion proofs, the longest of %zu hashes\n", checked, longest);
	assert_int_equal(longest, 11);
}

static void
consistency_of_all_sizes(void **state)
{
	size_t checked = 0;
	for (size_t s = 0; s < SIZES; s++) {
		size_t second = sizes[s];
		struct merkle_hash two, one, proof[MERKLE_PROOF_MAX], other = all[7];
		mth(all, second, &two);
		for (size_t first = 0; first <= second; first += first < 70 ? 1 : 13, checked++) {
			size_t n = 0;
			mth(all, first, &one);
			assert_int_equal(tiles_consistency(&reader, first, second, proof, &n, NULL), RC_OK);
			assert_true(merkle_check_consistency(first, &one, second, &two, proof, n));
			assert_false(merkle_check_consistency(first, &other, second, &two, proof, n));
			assert_int_equal(merkle_check_consistency(first, &one, second, &other, proof, n), first == 0);
			assert_false(merkle_check_consistency(first, &one, second, &two, proof, n + 1));
			if (n > 0) {
				assert_false(merkle_check_consistency(first, &one, second, &two, proof, n - 1));
				proof[first % n].b[first % 32] ^= 0x80;
				assert_false(merkle_check_consistency(first, &one, second, &two, proof, n));
			}
		}
		assert_false(merkle_check_consistency(second + 1, &two, second, &two, proof, 0));
	}
	printf("%zu consistency proofs\n", checked);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(known_roots),
	    cmocka_unit_test(known_hmac),
	    cmocka_unit_test(roots_are_the_definition),
	    cmocka_unit_test(inclusion_of_every_leaf),
	    cmocka_unit_test(consistency_of_all_sizes),
	};
	return cmocka_run_group_tests(tests, grow, NULL);
}
