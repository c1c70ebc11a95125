/* SPDX-License-Identifier: MIT
 *
 * Inside the seal of each chunk: 1 octet (0 stored, 1 zstd), 4 octets of plain length (big endian), the octets. What
 * does not get smaller is stored as it is.
 */
#include "content/chunk.h"

#include <pthread.h>
#include <stdlib.h>
#include <zstd.h>

#define VERSION	      1
#define SALT_SIZE     16
#define HEAD_SIZE     (1 + SALT_SIZE) /* of chunk 0, outside the seal */
#define INNER_SIZE    5
#define LEVEL	      1	 /* mail is sealed while a sender waits */
#define COMPRESS_FROM 64 /* octets; below, the frame costs more than it saves */

enum { STORED = 0, ZSTD_FRAME = 1 };

struct scratch {
	ZSTD_CCtx *compress;
	ZSTD_DCtx *decompress;
	struct buf buf;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t scratch_key;

static void
scratch_free(void *p)
{
	struct scratch *s = p;
	ZSTD_freeCCtx(s->compress);
	ZSTD_freeDCtx(s->decompress);
	buf_done(&s->buf);
	free(s);
}

static void
setup(void)
{
	if (pthread_key_create(&scratch_key, scratch_free) != 0)
		abort();
}

static struct scratch *
scratch(void)
{
	pthread_once(&once, setup);
	struct scratch *s = pthread_getspecific(scratch_key);
	if (s == NULL) {
		s = calloc(1, sizeof(*s));
		if (s == NULL)
			abort();
		s->compress = ZSTD_createCCtx();
		s->decompress = ZSTD_createDCtx();
		buf_init(&s->buf, 0);
		if (s->compress == NULL || s->decompress == NULL || pthread_setspecific(scratch_key, s) != 0)
			abort();
	}
	buf_reset(&s->buf);
	return s;
}

static void
put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static uint32_t
get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static enum rc
item_key(const uint8_t tenant_key[CRYPT_KEY_SIZE], const struct chunk_place *w, const uint8_t salt[SALT_SIZE],
	 uint8_t key[CRYPT_KEY_SIZE], struct err *e)
{
	uint8_t info[15 + 16 + 4];
	memcpy(info, "sekisho content", 15);
	memcpy(info + 15, w->id.b, 16);
	put32(info + 31, (uint32_t)w->kind);
	return crypt_hkdf(bytes_of(tenant_key, CRYPT_KEY_SIZE), bytes_of(salt, SALT_SIZE), bytes_of(info, sizeof(info)),
			  key, e);
}

struct binding {
	uint8_t aad[1 + 16 + 16 + 4 + 4 + 4 + 1];
	uint8_t nonce[CRYPT_NONCE_SIZE];
};

static void
bind_place(struct binding *b, const struct chunk_place *w, size_t n, bool last)
{
	*b = (struct binding){.aad = {VERSION}};
	memcpy(b->aad + 1, w->tenant.b, 16);
	memcpy(b->aad + 17, w->id.b, 16);
	put32(b->aad + 33, (uint32_t)w->kind);
	put32(b->aad + 37, (uint32_t)w->epoch);
	put32(b->aad + 41, (uint32_t)n);
	b->aad[45] = last;
	put32(b->nonce + 8, (uint32_t)n);
}

size_t
chunk_count(size_t n)
{
	return n == 0 ? 1 : (n - 1) / CHUNK_PLAIN_MAX + 1;
}

/* Into the scratch buffer: what goes under the seal. */
static enum rc
pack(struct scratch *s, struct bytes part, struct err *e)
{
	buf_reset(&s->buf);
	uint8_t *p = buf_reserve(&s->buf, INNER_SIZE + ZSTD_compressBound(CHUNK_PLAIN_MAX));
	if (p == NULL)
		return err_set(e, RC_INTERNAL, "no memory to compress");
	put32(p + 1, (uint32_t)part.n);
	if (part.n >= COMPRESS_FROM) {
		size_t n = ZSTD_compressCCtx(s->compress, p + INNER_SIZE, ZSTD_compressBound(CHUNK_PLAIN_MAX), part.p,
					     part.n, LEVEL);
		if (ZSTD_isError(n))
			return err_set(e, RC_INTERNAL, "compression: %s", ZSTD_getErrorName(n));
		if (n < part.n) {
			p[0] = ZSTD_FRAME;
			s->buf.n = INNER_SIZE + n;
			return RC_OK;
		}
	}
	p[0] = STORED;
	if (part.n > 0)
		memcpy(p + INNER_SIZE, part.p, part.n);
	s->buf.n = INNER_SIZE + part.n;
	return RC_OK;
}

enum rc
chunk_seal(const uint8_t tenant_key[CRYPT_KEY_SIZE], const struct chunk_place *w, struct bytes data, struct buf *out,
	   size_t *ends, struct err *e)
{
	uint8_t head[HEAD_SIZE] = {VERSION}, key[CRYPT_KEY_SIZE];
	struct scratch *s = scratch();
	size_t count = chunk_count(data.n), before = out->n;
	random_bytes(head + 1, SALT_SIZE);
	enum rc rc = item_key(tenant_key, w, head + 1, key, e);
	buf_add(out, head, sizeof(head));
	for (size_t i = 0; i < count && rc == RC_OK; i++) {
		struct binding b;
		size_t at = i * CHUNK_PLAIN_MAX, left = data.n - at;
		bind_place(&b, w, i, i + 1 == count);
		rc = pack(s, bytes_of(data.p + at, left < CHUNK_PLAIN_MAX ? left : CHUNK_PLAIN_MAX), e);
		if (rc == RC_OK)
			rc = crypt_seal(key, b.nonce, bytes_of(b.aad, sizeof(b.aad)), buf_bytes(&s->buf), out, e);
		ends[i] = out->n;
	}
	explicit_bzero(key, sizeof(key));
	if (rc != RC_OK)
		out->n = before;
	return rc;
}

/* --- and back ---------------------------------------------------------------------------------------------- */
static enum rc
unpack(struct scratch *s, uint8_t *to, size_t room, size_t *n_r, struct err *e)
{
	struct bytes in = buf_bytes(&s->buf);
	if (in.n < INNER_SIZE)
		return err_set(e, RC_INVALID, "a sealed chunk is too short");
	size_t n = get32(in.p + 1);
	struct bytes body = bytes_of(in.p + INNER_SIZE, in.n - INNER_SIZE);
	if (n > CHUNK_PLAIN_MAX)
		return err_set(e, RC_INVALID, "a sealed chunk is too long");
	if (n > room)
		return err_set(e, RC_LIMIT, "content is longer than asked for");
	if (in.p[0] == STORED && body.n == n) {
		if (n > 0)
			memcpy(to, body.p, n);
	} else if (in.p[0] != ZSTD_FRAME || ZSTD_decompressDCtx(s->decompress, to, n, body.p, body.n) != n) {
		return err_set(e, RC_INVALID, "a sealed chunk does not decompress");
	}
	*n_r = n;
	return RC_OK;
}

static enum rc
check_order(const struct chunk_place *w, const struct chunk *v, size_t count, bool all, struct err *e)
{
	if (count == 0)
		return err_set(e, RC_INVALID, "no chunks");
	for (size_t i = 0; i < count; i++) {
		if (v[i].n < 0 || (size_t)v[i].n != i)
			return err_set(e, RC_INVALID, "chunk %zu is missing or comes twice", i);
		if (v[i].epoch != w->epoch)
			return err_set(e, RC_INVALID, "chunk %zu is of another epoch", i);
		if (all && v[i].last != (i + 1 == count))
			return err_set(e, RC_INVALID, "the last chunk is missing or not the last");
	}
	if (v[0].sealed.n < HEAD_SIZE || v[0].sealed.p[0] != VERSION)
		return err_set(e, RC_INVALID, "chunk 0 has no head");
	return RC_OK;
}

static enum rc
open_chunks(const uint8_t tenant_key[CRYPT_KEY_SIZE], const struct chunk_place *w, const struct chunk *v, size_t count,
	    bool all, size_t max, struct arena *a, struct bytes *data_r, struct err *e)
{
	uint8_t key[CRYPT_KEY_SIZE], *to = NULL;
	struct scratch *s = scratch();
	size_t have = 0, room = 0;
	enum rc rc = check_order(w, v, count, all, e);
	if (rc != RC_OK)
		return rc;
	/* All but the last are full, so more than max is known before anything is opened. */
	if (count > chunk_count(max))
		return err_set(e, RC_LIMIT, "content has more than %zu octets", max);
	rc = item_key(tenant_key, w, v[0].sealed.p + 1, key, e);
	for (size_t i = 0; i < count && rc == RC_OK; i++) {
		struct binding b;
		size_t n = 0, skip = i == 0 ? HEAD_SIZE : 0;
		bind_place(&b, w, i, v[i].last);
		buf_reset(&s->buf);
		rc = crypt_open(key, b.nonce, bytes_of(b.aad, sizeof(b.aad)),
				bytes_of(v[i].sealed.p + skip, v[i].sealed.n - skip), &s->buf, e);
		if (rc != RC_OK)
			break;
		if (to == NULL) {
			/* One chunk: exactly its length; more: what they may hold. */
			room = count > 1 ? count * CHUNK_PLAIN_MAX : s->buf.n >= INNER_SIZE ? get32(s->buf.p + 1) : 0;
			room = room < max ? room : max;
			to = arena_alloc(a, room + 1);
		}
		rc = unpack(s, to + have, room - have, &n, e);
		if (rc == RC_OK && !v[i].last && n != CHUNK_PLAIN_MAX)
			rc = err_set(e, RC_INVALID, "chunk %zu is not full", i);
		have += n;
	}
	explicit_bzero(key, sizeof(key));
	if (rc == RC_OK)
		*data_r = bytes_of(to, have);
	return rc;
}

enum rc
chunk_open(const uint8_t tenant_key[CRYPT_KEY_SIZE], const struct chunk_place *w, const struct chunk *v, size_t count,
	   size_t max, struct arena *a, struct bytes *data_r, struct err *e)
{
	return open_chunks(tenant_key, w, v, count, true, max, a, data_r, e);
}

enum rc
chunk_open_first(const uint8_t tenant_key[CRYPT_KEY_SIZE], const struct chunk_place *w, const struct chunk *v,
		 struct arena *a, struct bytes *data_r, struct err *e)
{
	return open_chunks(tenant_key, w, v, 1, false, CHUNK_PLAIN_MAX, a, data_r, e);
}
