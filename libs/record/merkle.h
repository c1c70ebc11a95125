/* SPDX-License-Identifier: MIT
 *
 * The Merkle tree of RFC 9162, section 2.1, with SHA-256: hashes of leaves and nodes, the growing right edge of a tree
 * (frontier), and the checks of inclusion and consistency proofs. Pure; any thread (scratch memory is the thread's).
 */
#ifndef RECORD_MERKLE_H
#define RECORD_MERKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/bytes.h"

#define MERKLE_SIZE 32
struct merkle_hash {
	uint8_t b[MERKLE_SIZE];
};
/* A proof has at most one hash per bit of the tree's size, and one more. */
#define MERKLE_PROOF_MAX 65

void merkle_sha256(struct bytes in, struct merkle_hash *out);
/* HMAC (RFC 2104) with a key of 32 octets. */
void merkle_hmac(const uint8_t key[32], struct bytes in, struct merkle_hash *out);

void merkle_leaf(struct bytes input, struct merkle_hash *out); /* SHA-256(0x00 || input) */
void merkle_node(const struct merkle_hash *l, const struct merkle_hash *r,
		 struct merkle_hash *out);  /* 0x01 || l || r */
void merkle_empty(struct merkle_hash *out); /* root of no leaves */
bool merkle_eq(const struct merkle_hash *a, const struct merkle_hash *b);

/* The perfect subtrees a tree consists of, from the largest: one per 1 bit of size. Starts zeroed. */
struct merkle_frontier {
	uint64_t size;
	int n;
	struct merkle_hash h[64];
};
void merkle_frontier_add(struct merkle_frontier *f, const struct merkle_hash *leaf);
void merkle_frontier_root(const struct merkle_frontier *f, struct merkle_hash *out);
/* Hashes a frontier of that size has. */
int merkle_frontier_count(uint64_t size);

/* True if the proof leads from the leaf at index to the root of the tree of that size. */
bool merkle_check_inclusion(const struct merkle_hash *leaf, uint64_t index, uint64_t size,
			    const struct merkle_hash *proof, size_t n, const struct merkle_hash *root);
/* True if the proof shows that the tree of `first` with its root is the beginning of that of `second` with its. */
bool merkle_check_consistency(uint64_t first, const struct merkle_hash *first_root, uint64_t second,
			      const struct merkle_hash *second_root, const struct merkle_hash *proof, size_t n);

#endif
