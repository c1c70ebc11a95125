/* SPDX-License-Identifier: MIT
 *
 * A record: 4 octets length of the body, 8 octets of its SHA-256, the body: a type and its fields, numbers big-endian.
 */
#include "journal.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "journal_internal.h"

#define CHECK_SIZE (JOURNAL_FRAME_SIZE - 4)
#define WRITE_AT   (1024u * 1024)

/* --- encoding --------------------------------------------------------------------------------------------------- */
void
journal_put(struct buf *b, uint64_t v, int octets)
{
	uint8_t p[8];
	for (int i = 0; i < octets; i++)
		p[i] = (uint8_t)(v >> (8 * (octets - 1 - i)));
	buf_add(b, p, (size_t)octets);
}

/* Takes n octets from the front; false if there are fewer. */
static bool
cut(struct bytes *b, void *out, size_t n)
{
	if (b->n < n)
		return false;
	memcpy(out, b->p, n);
	*b = bytes_of(b->p + n, b->n - n);
	return true;
}

static bool
cut_number(struct bytes *b, int octets, uint64_t *out)
{
	uint8_t p[8];
	uint64_t v = 0;
	if (!cut(b, p, (size_t)octets))
		return false;
	for (int i = 0; i < octets; i++)
		v = v << 8 | p[i];
	*out = v;
	return true;
}

void
journal_add_record(struct buf *out, struct bytes body)
{
	struct merkle_hash h;
	merkle_sha256(body, &h);
	journal_put(out, body.n, 4);
	buf_add(out, h.b, CHECK_SIZE);
	buf_add_bytes(out, body);
}

bool
journal_is_type(uint8_t t)
{
	return t == JOURNAL_STATE || t == JOURNAL_BEGUN || t == JOURNAL_ENTRY || t == JOURNAL_KEY || t == JOURNAL_HEAD;
}

bool
journal_next_record(struct bytes *rest, struct bytes *body_r)
{
	struct bytes at = *rest;
	uint64_t n;
	uint8_t check[CHECK_SIZE];
	struct merkle_hash h;
	if (!cut_number(&at, 4, &n) || !cut(&at, check, sizeof(check)) || n == 0 || n > JOURNAL_BODY_MAX || n > at.n)
		return false;
	merkle_sha256(bytes_of(at.p, n), &h);
	if (memcmp(h.b, check, sizeof(check)) != 0)
		return false;
	*body_r = bytes_of(at.p, n);
	*rest = bytes_of(at.p + n, at.n - n);
	return true;
}

/* --- logs ------------------------------------------------------------------------------------------------------- */
static struct log *
log_of(struct journal *j, const struct uuid *tenant)
{
	struct log *l;
	HASH_FIND(hh, j->logs, tenant, sizeof(*tenant), l);
	if (l == NULL) {
		l = calloc(1, sizeof(*l));
		if (l == NULL)
			abort();
		l->v.tenant = *tenant;
		l->v.known = true;
		merkle_empty(&l->v.root);
		HASH_ADD(hh, j->logs, v.tenant, sizeof(l->v.tenant), l);
	}
	return l;
}

void
journal_all_synced(struct journal *j)
{
	for (struct log *l = j->logs; l != NULL; l = l->hh.next)
		if (l->v.synced != l->v.tree.size || l->v.synced == 0) {
			l->v.synced = l->v.tree.size;
			merkle_frontier_root(&l->v.tree, &l->v.root);
		}
}

void
journal_add_state(struct buf *out, const struct journal_log *l)
{
	struct buf b;
	buf_init(&b, 0);
	journal_put(&b, JOURNAL_STATE, 1);
	buf_add(&b, l->tenant.b, 16);
	journal_put(&b, l->tree.size, 8);
	journal_put(&b, l->head, 8);
	journal_put(&b, (uint64_t)l->head_us, 8);
	journal_put(&b, l->keys, 4);
	buf_add(&b, l->tree.h, (size_t)l->tree.n * MERKLE_SIZE);
	journal_add_record(out, buf_bytes(&b));
	buf_done(&b);
}

static bool
take_state(struct journal *j, struct bytes b)
{
	struct uuid tenant;
	uint64_t size, head, head_us, keys;
	if (!cut(&b, tenant.b, 16) || !cut_number(&b, 8, &size) || !cut_number(&b, 8, &head) ||
	    !cut_number(&b, 8, &head_us) || !cut_number(&b, 4, &keys) ||
	    b.n != (size_t)merkle_frontier_count(size) * MERKLE_SIZE)
		return false;
	struct log *l = log_of(j, &tenant);
	l->v.tree = (struct merkle_frontier){.size = size, .n = merkle_frontier_count(size)};
	memcpy(l->v.tree.h, b.p, b.n);
	l->v.head = head;
	l->v.head_us = (int64_t)head_us;
	l->v.keys = (uint32_t)keys;
	return true;
}

static bool
take_entry(struct bytes b, struct journal_entry *v)
{
	uint64_t at;
	uint8_t erased;
	if (!cut(&b, v->tenant.b, 16) || !cut(&b, v->intent.b, 16) || !cut_number(&b, 8, &v->index) ||
	    !cut_number(&b, 8, &at) || !cut(&b, v->leaf.b, MERKLE_SIZE) || !cut(&b, &erased, 1))
		return false;
	v->at_us = (int64_t)at;
	v->sealed = erased != 0 ? (struct bytes){0} : b;
	return true;
}

/* Applies a record to the state; hands it to r if there is one. */
enum rc
journal_take_record(struct journal *j, struct bytes b, const struct journal_reader *r, struct err *e)
{
	uint8_t type = b.p[0];
	struct journal_entry v;
	struct uuid tenant;
	uint64_t n, at;
	b = bytes_of(b.p + 1, b.n - 1);
	switch (type) {
	case JOURNAL_BEGUN:
		return RC_OK;
	case JOURNAL_STATE:
		if (r != NULL) /* all of it was read already */
			return RC_OK;
		return take_state(j, b) ? RC_OK : err_set(e, RC_INVALID, "journal: a state that is none");
	case JOURNAL_ENTRY: {
		if (!take_entry(b, &v))
			return err_set(e, RC_INVALID, "journal: an entry that is none");
		if (r != NULL)
			return r->entry(r->ctx, &v, e);
		struct log *l = log_of(j, &v.tenant);
		if (l->v.tree.size != v.index)
			return err_set(e, RC_INVALID, "journal: entry %llu where %llu was due",
				       (unsigned long long)v.index, (unsigned long long)l->v.tree.size);
		merkle_frontier_add(&l->v.tree, &v.leaf);
		return RC_OK;
	}
	case JOURNAL_KEY:
		if (!cut(&b, tenant.b, 16) || !cut_number(&b, 4, &n))
			return err_set(e, RC_INVALID, "journal: a key that is none");
		if (r != NULL)
			return r->key(r->ctx, &tenant, (int32_t)n, b, e);
		log_of(j, &tenant)->v.keys++;
		return RC_OK;
	case JOURNAL_HEAD: {
		if (!cut(&b, tenant.b, 16) || !cut_number(&b, 8, &n) || !cut_number(&b, 8, &at))
			return err_set(e, RC_INVALID, "journal: a head that is none");
		if (r != NULL)
			return r->head(r->ctx, &tenant, n, (int64_t)at, b, e);
		struct log *l = log_of(j, &tenant);
		l->v.head = n;
		l->v.head_us = (int64_t)at;
		return RC_OK;
	}
	default:
		return err_set(e, RC_INVALID, "journal: a record of an unknown kind; was a newer program here?");
	}
}

void
journal_forget_logs(struct journal *j)
{
	struct log *l, *more;
	HASH_ITER(hh, j->logs, l, more)
	{
		HASH_DEL(j->logs, l);
		free(l);
	}
}

/* --- use -------------------------------------------------------------------------------------------------------- */
void
journal_log(struct journal *j, const struct uuid *tenant, struct journal_log *out)
{
	struct log *l;
	pthread_mutex_lock(&j->lock);
	HASH_FIND(hh, j->logs, tenant, sizeof(*tenant), l);
	if (l != NULL) {
		*out = l->v;
	} else {
		*out = (struct journal_log){.tenant = *tenant};
		merkle_empty(&out->root);
	}
	pthread_mutex_unlock(&j->lock);
}

void
journal_each(struct journal *j, void (*fn)(void *ctx, const struct journal_log *l), void *ctx)
{
	pthread_mutex_lock(&j->lock);
	size_t n = HASH_COUNT(j->logs), i = 0;
	struct journal_log *v = calloc(n + 1, sizeof(*v));
	if (v == NULL)
		abort();
	for (const struct log *l = j->logs; l != NULL; l = l->hh.next)
		v[i++] = l->v;
	pthread_mutex_unlock(&j->lock);
	for (i = 0; i < n; i++)
		fn(ctx, &v[i]);
	free(v);
}

static enum rc
flush(struct journal *j, struct err *e)
{
	if (j->broken)
		return err_set(e, RC_RETRY, "the journal failed before");
	enum rc rc = journal_write_all(j->fd, buf_bytes(&j->out), e);
	if (rc == RC_OK)
		j->octets += (int64_t)j->out.n;
	else
		j->broken = true;
	buf_reset(&j->out);
	return rc;
}

static enum rc
add_body(struct journal *j, struct buf *b, struct err *e)
{
	if (b->n > JOURNAL_BODY_MAX) {
		j->broken = true;
		return err_set(e, RC_LIMIT, "too long for the journal");
	}
	journal_add_record(&j->out, buf_bytes(b));
	return j->out.n >= WRITE_AT ? flush(j, e) : RC_OK;
}

enum rc
journal_add_log(struct journal *j, const struct uuid *tenant, struct err *e)
{
	enum rc rc = RC_OK;
	pthread_mutex_lock(&j->lock);
	struct log *l = log_of(j, tenant);
	if (l->v.tree.size == 0) {
		journal_add_state(&j->out, &l->v);
		rc = j->out.n >= WRITE_AT ? flush(j, e) : RC_OK;
	}
	pthread_mutex_unlock(&j->lock);
	return rc;
}

void
journal_published(struct journal *j, const struct uuid *tenant, uint64_t size)
{
	struct log *l;
	pthread_mutex_lock(&j->lock);
	HASH_FIND(hh, j->logs, tenant, sizeof(*tenant), l);
	if (l != NULL && l->v.published < size)
		l->v.published = size;
	pthread_mutex_unlock(&j->lock);
}

enum rc
journal_add(struct journal *j, const struct journal_entry *v, struct err *e)
{
	struct buf b;
	buf_init(&b, 0);
	journal_put(&b, JOURNAL_ENTRY, 1);
	buf_add(&b, v->tenant.b, 16);
	buf_add(&b, v->intent.b, 16);
	journal_put(&b, v->index, 8);
	journal_put(&b, (uint64_t)v->at_us, 8);
	buf_add(&b, v->leaf.b, MERKLE_SIZE);
	journal_put(&b, v->sealed.p == NULL, 1);
	buf_add_bytes(&b, v->sealed);
	pthread_mutex_lock(&j->lock);
	struct log *l = log_of(j, &v->tenant);
	enum rc rc = v->index == l->v.tree.size ? add_body(j, &b, e)
						: err_set(e, RC_INTERNAL, "not the next entry of the journal");
	if (rc == RC_OK)
		merkle_frontier_add(&l->v.tree, &v->leaf);
	pthread_mutex_unlock(&j->lock);
	buf_done(&b);
	return rc;
}

enum rc
journal_add_key(struct journal *j, const struct uuid *tenant, int32_t epoch, struct bytes wrapped, struct err *e)
{
	struct buf b;
	buf_init(&b, 0);
	journal_put(&b, JOURNAL_KEY, 1);
	buf_add(&b, tenant->b, 16);
	journal_put(&b, (uint32_t)epoch, 4);
	buf_add_bytes(&b, wrapped);
	pthread_mutex_lock(&j->lock);
	enum rc rc = add_body(j, &b, e);
	if (rc == RC_OK)
		log_of(j, tenant)->v.keys++;
	pthread_mutex_unlock(&j->lock);
	buf_done(&b);
	return rc;
}

enum rc
journal_sync(struct journal *j, struct err *e)
{
	pthread_mutex_lock(&j->lock);
	enum rc rc = flush(j, e);
	if (rc == RC_OK && fdatasync(j->fd) != 0) {
		j->broken = true; /* a failed sync says nothing about what is on disk */
		rc = err_set(e, RC_RETRY, "journal: %s", strerror(errno));
	}
	if (rc == RC_OK)
		journal_all_synced(j);
	if (rc == RC_OK && j->octets > j->segment_octets)
		rc = journal_begin_segment(j, j->segment + 1, e);
	pthread_mutex_unlock(&j->lock);
	return rc;
}

enum rc
journal_add_head(struct journal *j, const struct uuid *tenant, uint64_t size, int64_t at_us, struct bytes checkpoint,
		 struct err *e)
{
	struct buf b;
	buf_init(&b, 0);
	journal_put(&b, JOURNAL_HEAD, 1);
	buf_add(&b, tenant->b, 16);
	journal_put(&b, size, 8);
	journal_put(&b, (uint64_t)at_us, 8);
	buf_add_bytes(&b, checkpoint);
	pthread_mutex_lock(&j->lock);
	enum rc rc = add_body(j, &b, e);
	if (rc == RC_OK) {
		struct log *l = log_of(j, tenant);
		l->v.head = size;
		l->v.head_us = at_us;
	}
	pthread_mutex_unlock(&j->lock);
	buf_done(&b);
	return rc;
}
