/* SPDX-License-Identifier: MIT
 *
 * One item (a body, the facts, ...) as sealed chunks, and back. Knows no database. Each sealing has a key of its own,
 * HKDF(tenant key, random salt, id and kind), whose nonces are the chunk numbers; chunk 0 begins with version and salt,
 * so a chunk of another sealing of the same item does not fit either. Plain octets of a chunk are compressed on their
 * own: reading needs a chunk's memory, and a small chunk cannot grow beyond its stated length. Thread-safe: scratch
 * memory and compression contexts are kept per thread.
 */
#ifndef CONTENT_CHUNK_H
#define CONTENT_CHUNK_H

#include "core/arena.h"
#include "core/id.h"
#include "crypt/crypt.h"

#define CHUNK_PLAIN_MAX (256u * 1024)

/* What a seal is bound to. */
struct chunk_place {
	struct uuid tenant, id;
	int32_t kind, epoch;
};

/* Chunks needed for n octets: at least 1. */
size_t chunk_count(size_t n);
/* Append the sealed chunks of data to out one after the other; ends[i] is where chunk i ends in out, chunk_count()
 * elements. */
enum rc chunk_seal(const uint8_t tenant_key[CRYPT_KEY_SIZE], const struct chunk_place *w, struct bytes data,
		   struct buf *out, size_t *ends, struct err *e) MUST_CHECK;

struct chunk {
	int32_t n, epoch;
	bool last;
	struct bytes sealed;
};
/* All chunks of one item, ordered by n. RC_INVALID if one is missing, comes twice, was moved or changed; RC_LIMIT if
 * the item has more than max octets. data_r lies in a and is never p NULL. */
enum rc chunk_open(const uint8_t tenant_key[CRYPT_KEY_SIZE], const struct chunk_place *w, const struct chunk *v,
		   size_t count, size_t max, struct arena *a, struct bytes *data_r, struct err *e) MUST_CHECK;
/* Only chunk 0: the first octets of an item, whether or not more follow. */
enum rc chunk_open_first(const uint8_t tenant_key[CRYPT_KEY_SIZE], const struct chunk_place *w, const struct chunk *v,
			 struct arena *a, struct bytes *data_r, struct err *e) MUST_CHECK;

#endif
