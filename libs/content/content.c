/* SPDX-License-Identifier: MIT
 *
 * Sealed items into and out of schema content: one INSERT for all chunks of a message, one SELECT for all items that
 * are asked for. Items put together share a chunk as long as they fit into one: an ordinary mail is one row. Such a
 * bundle is per item 1 octet of kind, 4 of length (big endian), the octets.
 */
#include "content/content.h"

#include <stdlib.h>

#include "content/chunk.h"
#include "content/content_internal.h"
#include "content/keys.h"
#include "crypt/secret.h"

#define ITEMS_MAX   8
#define BUNDLE	    0 /* kind of the row; enum content_kind begins with 1 */
#define BUNDLE_HEAD 5

static const char insert_chunks[] =
    "INSERT INTO content.chunk (tenant, id, kind, n, last, epoch, sealed) "
    "SELECT $1, $2, u.kind::int2, u.n, u.last, $3, u.sealed "
    "FROM unnest($4::int4[], $5::int4[], $6::bool[], $7::bytea[]) AS u(kind, n, last, sealed)";
static const char select_chunks[] = "SELECT kind, n, last, epoch, sealed FROM content.chunk "
				    "WHERE tenant = $1 AND id = $2 AND kind = ANY($3::int4[]) AND n <= $4 "
				    "ORDER BY kind, n";
/* By way of each id (docs/decisions/0052). */
static const char select_many[] =
    "SELECT c.kind, c.n, c.last, c.epoch, c.sealed, u.place::int8 FROM unnest($2::uuid[]) WITH ORDINALITY AS u(id, "
    "place) CROSS JOIN LATERAL (SELECT k.kind, k.n, k.last, k.epoch, k.sealed FROM content.chunk k "
    "WHERE k.tenant = $1 AND k.id = u.id AND k.kind = ANY($3::int4[]) AND k.n <= $4 OFFSET 0) AS c "
    "ORDER BY u.place, c.kind, c.n";

struct content_sealed {
	struct uuid tenant, id;
	int32_t epoch;
	size_t n; /* chunks */
	int32_t *kinds, *numbers;
	bool *lasts;
	struct bytes *sealed; /* into data */
	struct buf data;
};

enum rc
content_open(const char *kek_path, struct db_pool *pool, struct content **out_r, struct err *e)
{
	struct keys *keys = NULL;
	enum rc rc = keys_open(kek_path, pool, &keys, e);
	if (rc != RC_OK)
		return rc;
	struct content *c = calloc(1, sizeof(*c));
	if (c == NULL)
		abort();
	c->keys = keys;
	*out_r = c;
	return RC_OK;
}

void
content_free(struct content **c)
{
	if (c == NULL || *c == NULL)
		return;
	keys_free(&(*c)->keys);
	free(*c);
	*c = NULL;
}

/* --- in ---------------------------------------------------------------------------------------------------- */
static struct content_sealed *
sealed_new(const struct uuid *tenant, const struct uuid *id, size_t chunks, size_t octets)
{
	struct content_sealed *s = calloc(1, sizeof(*s));
	if (s == NULL)
		abort();
	s->tenant = *tenant;
	s->id = *id;
	s->n = chunks;
	s->kinds = calloc(chunks, sizeof(*s->kinds));
	s->numbers = calloc(chunks, sizeof(*s->numbers));
	s->lasts = calloc(chunks, sizeof(*s->lasts));
	s->sealed = calloc(chunks, sizeof(*s->sealed));
	if (s->kinds == NULL || s->numbers == NULL || s->lasts == NULL || s->sealed == NULL)
		abort();
	buf_init(&s->data, 0);
	(void)buf_reserve(&s->data, octets); /* a first guess; it grows when mail does not compress */
	return s;
}

void
content_sealed_free(struct content_sealed **s)
{
	if (s == NULL || *s == NULL)
		return;
	free((*s)->kinds);
	free((*s)->numbers);
	free((*s)->lasts);
	free((*s)->sealed);
	buf_done(&(*s)->data);
	free(*s);
	*s = NULL;
}

/* What becomes rows of its own: items, or bundles of them. */
struct unit {
	int32_t kind;
	struct bytes data;
};

static void
bundle_add(struct buf *b, const struct content_item *item)
{
	uint32_t n = (uint32_t)item->data.n;
	const uint8_t head[BUNDLE_HEAD] = {(uint8_t)item->kind, (uint8_t)(n >> 24), (uint8_t)(n >> 16),
					   (uint8_t)(n >> 8), (uint8_t)n};
	buf_add(b, head, sizeof(head));
	buf_add_bytes(b, item->data);
}

/* In order, what still fits goes into the bundle; one of a single item would gain nothing. */
static size_t
make_units(const struct content_item *items, size_t n, struct buf *bundle, struct unit *units)
{
	bool in[ITEMS_MAX] = {0};
	size_t together = 0, room = CHUNK_PLAIN_MAX, k = 0;
	for (size_t i = 0; i < n; i++) {
		in[i] = items[i].data.n <= room && room - items[i].data.n >= BUNDLE_HEAD;
		if (!in[i])
			continue;
		room -= items[i].data.n + BUNDLE_HEAD;
		together++;
	}
	if (together > 1)
		(void)buf_reserve(bundle, CHUNK_PLAIN_MAX - room);
	for (size_t i = 0; i < n; i++) {
		if (in[i] && together > 1)
			bundle_add(bundle, &items[i]);
		else
			units[k++] = (struct unit){(int32_t)items[i].kind, items[i].data};
	}
	if (together > 1)
		units[k++] = (struct unit){BUNDLE, buf_bytes(bundle)};
	return k;
}

static enum rc
seal_units(struct content_sealed *s, const uint8_t key[CRYPT_KEY_SIZE], const struct unit *items, size_t n,
	   struct err *e)
{
	size_t *ends = calloc(s->n, sizeof(*ends)), at = 0, from = 0;
	enum rc rc = RC_OK;
	if (ends == NULL)
		abort();
	for (size_t i = 0; i < n && rc == RC_OK; i++) {
		struct chunk_place w = {s->tenant, s->id, items[i].kind, s->epoch};
		size_t count = chunk_count(items[i].data.n);
		rc = chunk_seal(key, &w, items[i].data, &s->data, ends + at, e);
		for (size_t k = 0; k < count; k++, at++) {
			s->kinds[at] = w.kind;
			s->numbers[at] = (int32_t)k;
			s->lasts[at] = k + 1 == count;
		}
	}
	/* Only now does the data stay where it is. */
	for (size_t k = 0; k < s->n && rc == RC_OK; k++) {
		s->sealed[k] = bytes_of(s->data.p + from, ends[k] - from);
		from = ends[k];
	}
	free(ends);
	return rc;
}

enum rc
content_seal(struct content *c, const struct uuid *tenant, const struct uuid *id, const struct content_item *items,
	     size_t n, struct content_sealed **out_r, struct err *e)
{
	uint8_t key[CRYPT_KEY_SIZE];
	struct unit units[ITEMS_MAX];
	struct buf bundle;
	size_t chunks = 0, octets = 0;
	int32_t epoch = 0;
	if (n == 0 || n > ITEMS_MAX)
		return err_set(e, RC_INVALID, "%zu items of content at once", n);
	enum rc rc = keys_current(c->keys, tenant, &epoch, key, e);
	if (rc != RC_OK)
		return rc;
	buf_init(&bundle, 0);
	n = make_units(items, n, &bundle, units);
	for (size_t i = 0; i < n; i++) {
		chunks += chunk_count(units[i].data.n);
		octets += units[i].data.n + 64;
	}
	struct content_sealed *s = sealed_new(tenant, id, chunks, octets);
	s->epoch = epoch;
	rc = buf_ok(&bundle) ? seal_units(s, key, units, n, e) : err_set(e, RC_INTERNAL, "no memory to seal");
	secret_wipe(key, sizeof(key));
	buf_done(&bundle);
	if (rc != RC_OK)
		content_sealed_free(&s);
	else
		*out_r = s;
	return rc;
}

enum rc
content_put_sealed(struct db_tx *tx, const struct content_sealed *s, struct err *e)
{
	struct db_args args;
	db_args_init(&args);
	db_arg_uuid(&args, &s->tenant);
	db_arg_uuid(&args, &s->id);
	db_arg_int(&args, s->epoch);
	db_arg_ints(&args, s->kinds, s->n);
	db_arg_ints(&args, s->numbers, s->n);
	db_arg_bools(&args, s->lasts, s->n);
	db_arg_bytes_array(&args, s->sealed, s->n);
	return db_exec(tx, insert_chunks, &args, e);
}

enum rc
content_put(struct content *c, struct db_tx *tx, const struct uuid *tenant, const struct uuid *id,
	    const struct content_item *items, size_t n, struct err *e)
{
	struct content_sealed *s = NULL;
	enum rc rc = content_seal(c, tenant, id, items, n, &s, e);
	if (rc == RC_OK)
		rc = content_put_sealed(tx, s, e);
	content_sealed_free(&s);
	return rc;
}

/* --- out --------------------------------------------------------------------------------------------------- */
static enum rc
open_item(struct content *c, struct db_tx *tx, struct chunk_place *w, const struct chunk *v, size_t count, size_t max,
	  bool first, struct arena *a, struct bytes *data_r, struct err *e)
{
	uint8_t key[CRYPT_KEY_SIZE];
	w->epoch = v[0].epoch;
	enum rc rc = keys_of(c->keys, tx, &w->tenant, w->epoch, key, e);
	if (rc == RC_NOT_FOUND)
		return err_set(e, RC_INVALID, "content is sealed under a key that is gone");
	if (rc != RC_OK)
		return rc;
	rc = first ? chunk_open_first(key, w, v, a, data_r, e) : chunk_open(key, w, v, count, max, a, data_r, e);
	secret_wipe(key, sizeof(key));
	if (rc != RC_OK)
		(void)err_prefix(e, "content of kind %d", w->kind);
	return rc;
}

/* An item for those who asked for it. The same kind from two rows is one too many. */
static enum rc
hand_out(const struct content_item *item, const enum content_kind *kinds, struct bytes *data, size_t n, size_t max,
	 struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		if (kinds[i] != item->kind)
			continue;
		if (data[i].p != NULL)
			return err_set(e, RC_INVALID, "content of kind %d comes twice", (int)item->kind);
		if (item->data.n > max)
			return err_set(e, RC_LIMIT, "content of kind %d has more than %zu octets", (int)item->kind,
				       max);
		data[i] = item->data;
	}
	return RC_OK;
}

static enum rc
unbundle(struct bytes b, const enum content_kind *kinds, struct bytes *data, size_t n, size_t max, struct err *e)
{
	while (b.n > 0) {
		if (b.n < BUNDLE_HEAD)
			return err_set(e, RC_INVALID, "a bundle of content ends early");
		size_t length = (size_t)b.p[1] << 24 | (size_t)b.p[2] << 16 | (size_t)b.p[3] << 8 | (size_t)b.p[4];
		if (length > b.n - BUNDLE_HEAD)
			return err_set(e, RC_INVALID, "a bundle of content ends early");
		struct content_item item = {(enum content_kind)b.p[0], bytes_of(b.p + BUNDLE_HEAD, length)};
		enum rc rc = hand_out(&item, kinds, data, n, max, e);
		if (rc != RC_OK)
			return rc;
		b = bytes_of(b.p + BUNDLE_HEAD + length, b.n - BUNDLE_HEAD - length);
	}
	return RC_OK;
}

struct asked {
	const enum content_kind *kinds;
	struct bytes *found;
	size_t n, max;
	bool first; /* the first chunk is all that is wanted */
};

/* The chunks of one kind of row. */
static enum rc
open_unit(struct content *c, struct db_tx *tx, struct chunk_place *w, const struct chunk *v, size_t count,
	  const struct asked *q, struct arena *a, struct err *e)
{
	struct content_item item = {.kind = (enum content_kind)w->kind};
	bool bundle = w->kind == BUNDLE;
	if (!bundle && count > chunk_count(q->max))
		return err_set(e, RC_LIMIT, "content of kind %d has more than %zu octets", w->kind, q->max);
	enum rc rc =
	    open_item(c, tx, w, v, count, bundle ? CHUNK_PLAIN_MAX : q->max, q->first && !bundle, a, &item.data, e);
	if (rc != RC_OK)
		return rc;
	return bundle ? unbundle(item.data, q->kinds, q->found, q->n, q->max, e)
		      : hand_out(&item, q->kinds, q->found, q->n, q->max, e);
}

/* What one message has: rows of one kind follow each other. */
static enum rc
open_chunks(struct content *c, struct db_tx *tx, const struct uuid *tenant, const struct uuid *id,
	    const struct chunk *v, const int32_t *kind, size_t total, const struct asked *q, struct arena *a,
	    struct err *e)
{
	for (size_t at = 0, end; at < total; at = end) {
		for (end = at; end < total && kind[end] == kind[at];)
			end++;
		struct chunk_place w = {*tenant, *id, kind[at], 0};
		enum rc rc = open_unit(c, tx, &w, v + at, end - at, q, a, e);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

static struct chunk
read_chunk(const struct db_rows *rows)
{
	return (struct chunk){(int32_t)db_int(rows, 1), (int32_t)db_int(rows, 3), db_bool(rows, 2), db_bytes(rows, 4)};
}

static enum rc
open_rows(struct content *c, struct db_tx *tx, const struct uuid *tenant, const struct uuid *id, struct db_rows *rows,
	  const struct asked *q, struct arena *a, struct err *e)
{
	size_t total = (size_t)db_rows_count(rows);
	struct chunk *v = arena_new_array(a, struct chunk, total + 1);
	int32_t *kind = arena_new_array(a, int32_t, total + 1);
	for (size_t i = 0; db_rows_next(rows); i++) {
		kind[i] = (int32_t)db_int(rows, 0);
		v[i] = read_chunk(rows);
	}
	return open_chunks(c, tx, tenant, id, v, kind, total, q, a, e);
}

static void
get_args(struct db_args *args, const struct uuid *tenant, const struct uuid *id, const enum content_kind *kinds,
	 size_t n, size_t max)
{
	int32_t wanted[ITEMS_MAX + 1] = {BUNDLE};
	for (size_t i = 0; i < n; i++)
		wanted[1 + i] = (int32_t)kinds[i];
	db_args_init(args);
	db_arg_uuid(args, tenant);
	db_arg_uuid(args, id);
	db_arg_ints(args, wanted, 1 + n);
	/* One chunk more than fits, so that too much is told from something missing. */
	db_arg_int(args, (int32_t)(chunk_count(max) < INT32_MAX ? chunk_count(max) : INT32_MAX));
}

static enum rc
take_rows(struct content *c, struct db_tx *tx, const struct uuid *tenant, const struct uuid *id, struct db_rows *rows,
	  const enum content_kind *kinds, struct bytes *data, size_t n, size_t max, bool first, struct arena *a,
	  struct err *e)
{
	struct bytes found[ITEMS_MAX] = {0};
	struct asked q = {kinds, found, n, max, first};
	enum rc rc = open_rows(c, tx, tenant, id, rows, &q, a, e);
	if (rc == RC_OK)
		memcpy(data, found, n * sizeof(*data));
	return rc;
}

enum rc
content_get(struct content *c, struct db_tx *tx, const struct uuid *tenant, const struct uuid *id,
	    const enum content_kind *kinds, struct bytes *data, size_t n, size_t max, struct arena *a, struct err *e)
{
	struct db_args args;
	struct db_rows *rows = NULL;
	if (n == 0 || n > ITEMS_MAX)
		return err_set(e, RC_INVALID, "%zu items of content at once", n);
	get_args(&args, tenant, id, kinds, n, max);
	enum rc rc = db_query(tx, select_chunks, &args, &rows, e);
	if (rc == RC_OK)
		rc = take_rows(c, tx, tenant, id, rows, kinds, data, n, max, false, a, e);
	db_rows_free(&rows);
	return rc;
}

enum rc
content_get_commit(struct content *c, struct db_tx **tx, const struct uuid *tenant, const struct uuid *id,
		   const enum content_kind *kinds, struct bytes *data, size_t n, size_t max, struct arena *a,
		   struct err *e)
{
	struct db_args args;
	struct db_rows *rows = NULL;
	if (n == 0 || n > ITEMS_MAX) {
		db_end(tx);
		return err_set(e, RC_INVALID, "%zu items of content at once", n);
	}
	get_args(&args, tenant, id, kinds, n, max);
	enum rc rc = db_query_commit(tx, select_chunks, &args, &rows, e);
	if (rc == RC_OK) /* a key that is not known yet is read in a transaction of its own */
		rc = take_rows(c, NULL, tenant, id, rows, kinds, data, n, max, false, a, e);
	db_rows_free(&rows);
	return rc;
}

enum rc
content_get_first(struct content *c, struct db_tx *tx, const struct uuid *tenant, const struct uuid *id,
		  enum content_kind kind, struct bytes *data_r, struct arena *a, struct err *e)
{
	const int32_t wanted[] = {BUNDLE, (int32_t)kind};
	struct db_args args;
	struct db_rows *rows = NULL;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_uuid(&args, id);
	db_arg_ints(&args, wanted, 2);
	db_arg_int(&args, 0);
	enum rc rc = db_query(tx, select_chunks, &args, &rows, e);
	if (rc == RC_OK)
		rc = take_rows(c, tx, tenant, id, rows, &kind, data_r, 1, CHUNK_PLAIN_MAX, true, a, e);
	db_rows_free(&rows);
	return rc;
}

/* --- many messages ----------------------------------------------------------------------------------------- */
static void
many_args(struct db_args *args, const struct uuid *tenant, const struct uuid *ids, size_t n_ids, const struct asked *q)
{
	int32_t wanted[ITEMS_MAX + 1] = {BUNDLE};
	for (size_t i = 0; i < q->n; i++)
		wanted[1 + i] = (int32_t)q->kinds[i];
	db_args_init(args);
	db_arg_uuid(args, tenant);
	db_arg_uuids(args, ids, n_ids);
	db_arg_ints(args, wanted, 1 + q->n);
	db_arg_int(args, (int32_t)chunk_count(q->max));
}

/* The rows of one message at a time. tx NULL: keys that are not known yet are read in transactions of their own. */
static enum rc
open_many(struct content *c, struct db_tx *tx, const struct uuid *tenant, const struct uuid *ids, size_t n_ids,
	  const struct asked *q, struct db_rows *rows, size_t *bad_r, struct arena *a, struct err *e)
{
	size_t total = (size_t)db_rows_count(rows), bad = 0;
	enum rc rc = RC_OK;
	struct chunk *v = arena_new_array(a, struct chunk, total + 1);
	int32_t *kind = arena_new_array(a, int32_t, total + 1);
	size_t *place = arena_new_array(a, size_t, total + 1);
	for (size_t i = 0; db_rows_next(rows); i++) {
		kind[i] = (int32_t)db_int(rows, 0);
		v[i] = read_chunk(rows);
		place[i] = (size_t)db_int(rows, 5) - 1;
	}
	memset(q->found, 0, n_ids * q->n * sizeof(*q->found));
	for (size_t at = 0, end; rc == RC_OK && at < total; at = end) {
		for (end = at; end < total && place[end] == place[at];)
			end++;
		struct asked one = *q;
		one.found = q->found + place[at] * q->n;
		rc = open_chunks(c, tx, tenant, &ids[place[at]], v + at, kind + at, end - at, &one, a, e);
		if (rc == RC_INVALID || rc == RC_LIMIT) { /* that message's own trouble */
			memset(one.found, 0, q->n * sizeof(*one.found));
			bad++;
			rc = RC_OK;
		}
	}
	if (bad_r != NULL)
		*bad_r = bad;
	return rc;
}

enum rc
content_get_many(struct content *c, struct db_tx *tx, const struct uuid *tenant, const struct uuid *ids, size_t n,
		 enum content_kind kind, size_t max, struct bytes *data, size_t *bad_r, struct arena *a, struct err *e)
{
	struct db_args args;
	struct db_rows *rows = NULL;
	struct asked q = {.kinds = &kind, .found = data, .n = 1, .max = max};
	many_args(&args, tenant, ids, n, &q);
	enum rc rc = db_query(tx, select_many, &args, &rows, e);
	if (rc == RC_OK)
		rc = open_many(c, tx, tenant, ids, n, &q, rows, bad_r, a, e);
	db_rows_free(&rows);
	return rc;
}

enum rc
content_get_many_commit(struct content *c, struct db_tx **tx, const struct uuid *tenant, const struct uuid *ids,
			size_t n_ids, const enum content_kind *kinds, size_t n, size_t max, struct bytes *data,
			struct arena *a, struct err *e)
{
	struct db_args args;
	struct db_rows *rows = NULL;
	struct asked q = {.kinds = kinds, .found = data, .n = n, .max = max};
	struct err ignored;
	if (n == 0 || n > ITEMS_MAX) {
		db_end(tx);
		return err_set(e, RC_INVALID, "%zu items of content at once", n);
	}
	many_args(&args, tenant, ids, n_ids, &q);
	enum rc rc = db_query_commit(tx, select_many, &args, &rows, e);
	/* Committed is committed: whatever cannot be opened now, whoever needs it reads again. */
	if (rc == RC_OK && open_many(c, NULL, tenant, ids, n_ids, &q, rows, NULL, a, &ignored) != RC_OK)
		memset(data, 0, n_ids * n * sizeof(*data));
	db_rows_free(&rows);
	return rc;
}
