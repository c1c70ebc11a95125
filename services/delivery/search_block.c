/* SPDX-License-Identifier: MIT
 *
 * The decoder walks by lengths, so that a look-up touches the list of one entry only.
 */
#include "search_block.h"

#include <stdlib.h>

#define VARINT_MAX 10

static size_t
put_varint(uint8_t *p, uint64_t v)
{
	size_t n = 0;
	for (; v >= 0x80; v >>= 7)
		p[n++] = (uint8_t)(v | 0x80);
	p[n++] = (uint8_t)v;
	return n;
}

static size_t
varint_size(uint64_t v)
{
	size_t n = 1;
	for (; v >= 0x80; v >>= 7)
		n++;
	return n;
}

static uint8_t *
room(struct buf *b, size_t n)
{
	uint8_t *p = buf_reserve(b, n);
	if (p == NULL)
		abort(); /* no bound was set: out of memory */
	return p;
}

static size_t
sparse_size(const uint32_t *v, size_t n)
{
	size_t size = varint_size(v[0]);
	for (size_t i = 1; i < n; i++)
		size += varint_size(v[i] - v[i - 1]);
	return size;
}

void
search_block_add(struct buf *b, uint64_t *last, uint64_t hash, const uint32_t *v, size_t n)
{
	size_t span = n > 1 ? v[n - 1] / 8 - v[0] / 8 + 1 : 0;
	size_t size = varint_size(v[0] / 8) + span;
	bool is_dense = n > 1 && size < n; /* a list of n takes n octets at least */
	if (!is_dense) {
		size_t sparse = sparse_size(v, n);
		is_dense = n > 1 && size < sparse;
		if (!is_dense)
			size = sparse;
	}
	uint8_t *p = room(b, 3 * VARINT_MAX + size);
	size_t at = put_varint(p, hash - *last);
	at += put_varint(p + at, 2 * (uint64_t)n + is_dense);
	if (n > 1)
		at += put_varint(p + at, size);
	if (is_dense) {
		at += put_varint(p + at, v[0] / 8);
		memset(p + at, 0, span);
		for (size_t i = 0; i < n; i++)
			p[at + v[i] / 8 - v[0] / 8] |= (uint8_t)(1u << v[i] % 8);
		at += span;
	} else {
		at += put_varint(p + at, v[0]);
		for (size_t i = 1; i < n; i++)
			at += put_varint(p + at, v[i] - v[i - 1]);
	}
	b->n += at;
	*last = hash;
}

/* --- reading --------------------------------------------------------------------------------------------------- */
static bool
get_varint(struct bytes *b, uint64_t *v_r)
{
	uint64_t v = 0;
	for (size_t i = 0; i < b->n && i < VARINT_MAX; i++) {
		uint64_t part = b->p[i] & 0x7f;
		if (i == VARINT_MAX - 1 && part > 1)
			return false; /* over 64 bits */
		v |= part << (7 * i);
		if ((b->p[i] & 0x80) != 0)
			continue;
		if (i > 0 && b->p[i] == 0)
			return false; /* longer than needed */
		*b = bytes_of(b->p + i + 1, b->n - i - 1);
		*v_r = v;
		return true;
	}
	return false;
}

static enum rc
broken(struct err *e)
{
	return err_set(e, RC_INVALID, "a block of the search index is broken");
}

void
search_block_begin(struct search_block *b, struct bytes octets, uint32_t messages)
{
	*b = (struct search_block){.rest = octets, .messages = messages};
}

enum rc
search_block_next(struct search_block *b, struct search_postings *out_r, struct err *e)
{
	uint64_t step, count, size;
	struct bytes *r = &b->rest;
	if (r->n == 0)
		return err_set(e, RC_NOT_FOUND, "no further token");
	if (!get_varint(r, &step) || step == 0 || step > UINT64_MAX - b->hash || !get_varint(r, &count))
		return broken(e);
	bool dense = (count & 1) != 0;
	count >>= 1;
	if (count == 0 || count > b->messages || (dense && count == 1))
		return broken(e);
	b->hash += step;
	*out_r = (struct search_postings){.hash = b->hash, .count = (uint32_t)count, .dense = dense};
	if (count == 1) {
		struct bytes before = *r;
		uint64_t ordinal;
		if (!get_varint(r, &ordinal) || ordinal >= b->messages)
			return broken(e);
		out_r->list = bytes_of(before.p, before.n - r->n);
		return RC_OK;
	}
	if (!get_varint(r, &size) || size > r->n)
		return broken(e);
	out_r->list = bytes_of(r->p, size);
	*r = bytes_of(r->p + size, r->n - size);
	return RC_OK;
}

enum rc
search_block_find(struct bytes octets, uint32_t messages, uint64_t hash, struct search_postings *out_r, struct err *e)
{
	struct search_block b;
	search_block_begin(&b, octets, messages);
	for (;;) {
		enum rc rc = search_block_next(&b, out_r, e);
		if (rc != RC_OK || out_r->hash == hash)
			return rc;
		if (out_r->hash > hash)
			return err_set(e, RC_NOT_FOUND, "no such token");
	}
}

/* Either into a list or into bits. */
static enum rc
decode_sparse(const struct search_postings *p, uint32_t messages, uint32_t *list, uint64_t *bits, struct err *e)
{
	struct bytes r = p->list;
	uint64_t at = 0, step;
	for (uint32_t i = 0; i < p->count; i++) {
		if (!get_varint(&r, &step) || step >= messages || (i > 0 && step == 0))
			return broken(e);
		at += step;
		if (at >= messages)
			return broken(e);
		if (list != NULL)
			list[i] = (uint32_t)at;
		else
			bits[at / 64] |= UINT64_C(1) << at % 64;
	}
	return r.n == 0 ? RC_OK : broken(e);
}

static enum rc
decode_dense(const struct search_postings *p, uint32_t messages, uint32_t *list, uint64_t *bits, struct err *e)
{
	struct bytes r = p->list;
	uint64_t first;
	uint32_t n = 0;
	if (!get_varint(&r, &first) || r.n == 0 || first > messages / 8 || r.n > (messages + 7) / 8 - first)
		return broken(e);
	for (size_t i = 0; i < r.n; i++) {
		uint64_t base = (first + i) * 8;
		unsigned octet = r.p[i];
		if (octet == 0)
			continue;
		if (base + (31 - (unsigned)__builtin_clz(octet)) >= messages)
			return broken(e);
		n += (uint32_t)__builtin_popcount(octet);
		if (n > p->count)
			return broken(e);
		if (bits != NULL)
			bits[base / 64] |= (uint64_t)octet << base % 64;
		else
			for (uint32_t k = n - (uint32_t)__builtin_popcount(octet); octet != 0; octet &= octet - 1)
				list[k++] = (uint32_t)base + (uint32_t)__builtin_ctz(octet);
	}
	return n == p->count ? RC_OK : broken(e);
}

enum rc
search_postings_list(const struct search_postings *p, uint32_t messages, uint32_t *out, struct err *e)
{
	return p->dense ? decode_dense(p, messages, out, NULL, e) : decode_sparse(p, messages, out, NULL, e);
}

enum rc
search_postings_mark(const struct search_postings *p, uint32_t messages, uint64_t *bits, struct err *e)
{
	return p->dense ? decode_dense(p, messages, NULL, bits, e) : decode_sparse(p, messages, NULL, bits, e);
}
