/* SPDX-License-Identifier: MIT
 *
 * Waiting messages into segments. Everything is read and computed before the transaction writes for the first time: a
 * transaction that has a number holds up who reads in the order of these (docs/decisions/0060).
 */
#include "search_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/clock.h"
#include "crypt/secret.h"
#include "search_read.h"
#include "search_write_internal.h"

#define ROUND_MS  60000
#define ROWS_MAX  512 /* of arrivals at once */
#define PAIRS_MAX 4000000
#define LABEL_MAX 80

struct search_writer *
search_writer_new(struct db_pool *pool, struct content *content)
{
	struct search_writer *w = calloc(1, sizeof(*w));
	if (w == NULL)
		abort();
	w->pool = pool;
	w->content = content;
	return w;
}

void
search_writer_free(struct search_writer **wp)
{
	free(*wp);
	*wp = NULL;
}

void
search_writer_set_pace(struct search_writer *w, bool (*pace)(void *ctx), void *ctx)
{
	w->pace = pace;
	w->pace_ctx = ctx;
}

int
search_month(const struct uuid *id)
{
	time_t t = (time_t)(uuid_time_us(id) / 1000000);
	struct tm tm;
	if (gmtime_r(&t, &tm) == NULL)
		return 0;
	return (tm.tm_year + 1900) * 12 + tm.tm_mon;
}

enum rc
search_key(struct content *c, const struct uuid *tenant, int32_t *epoch, struct search_key *key_r, struct err *e)
{
	uint8_t key[CRYPT_KEY_SIZE];
	enum rc rc = content_derive_key(c, tenant, epoch, "sekisho search tokens", key, e);
	if (rc == RC_OK)
		memcpy(key_r->b, key, sizeof(key_r->b));
	secret_wipe(key, sizeof(key));
	return rc;
}

/* --- blocks ---------------------------------------------------------------------------------------------------- */
static const char *
label_of(const struct uuid *segment, uint32_t bucket, char out[LABEL_MAX])
{
	char id[UUID_STR_SIZE];
	uuid_format(segment, id);
	snprintf(out, LABEL_MAX, "search block %s %u", id, bucket);
	return out;
}

enum rc
search_block_seal(struct content *c, const struct uuid *tenant, const struct uuid *segment, uint32_t bucket,
		  struct bytes plain, struct buf *out, struct err *e)
{
	char label[LABEL_MAX];
	return content_seal_secret(c, tenant, label_of(segment, bucket, label), plain, out, e);
}

enum rc
search_block_open(struct content *c, const struct uuid *tenant, const struct uuid *segment, uint32_t bucket,
		  struct bytes sealed, struct buf *out, struct err *e)
{
	char label[LABEL_MAX];
	return content_open_secret(c, tenant, label_of(segment, bucket, label), sealed, out, e);
}

/* --- rows under way -------------------------------------------------------------------------------------------- */
void
search_rows_init(struct search_rows *r, struct search_writer *w, const struct uuid *tenant, const struct uuid *segment)
{
	*r = (struct search_rows){.w = w, .tenant = tenant, .segment = segment, .a = arena_new()};
}

void
search_rows_done(struct search_rows *r)
{
	arena_free(&r->a);
}

static void
add_row(struct search_rows *r, int32_t bucket, struct bytes data)
{
	r->v[r->n++] = (struct search_row){*r->segment, bucket, data};
	r->octets += data.n;
}

bool
search_rows_full(const struct search_rows *r)
{
	return r->n == SEARCH_ROWS_MAX || r->octets >= SEARCH_ROWS_OCTETS;
}

enum rc
search_rows_flush(struct search_rows *r, struct db_tx *tx, struct err *e)
{
	enum rc rc = r->n > 0 ? search_store_blocks_add(tx, r->tenant, r->segment, r->v, r->n, e) : RC_OK;
	r->n = r->octets = 0;
	arena_reset(r->a);
	return rc;
}

enum rc
search_rows_block(struct search_rows *r, uint32_t bucket, struct bytes plain, struct err *e)
{
	struct buf sealed;
	buf_init(&sealed, 0);
	enum rc rc = search_block_seal(r->w->content, r->tenant, r->segment, bucket, plain, &sealed, e);
	if (rc == RC_OK)
		add_row(r, (int32_t)bucket, arena_bytes(r->a, buf_bytes(&sealed)));
	buf_done(&sealed);
	return rc;
}

void
search_rows_page(struct search_rows *r, size_t page, const struct uuid *ids, size_t n)
{
	add_row(r, -1 - (int32_t)page, arena_bytes(r->a, bytes_of(ids, n * sizeof(*ids))));
}

struct bytes
search_fence(const struct uuid *ids, size_t n, struct arena *a)
{
	size_t pages = (n + SEARCH_PAGE - 1) / SEARCH_PAGE;
	uint8_t *p = arena_alloc(a, pages * SEARCH_FENCE + 1);
	for (size_t i = 0; i < pages; i++)
		memcpy(p + i * SEARCH_FENCE, ids[i * SEARCH_PAGE].b, SEARCH_FENCE);
	return bytes_of(p, pages * SEARCH_FENCE);
}

/* --- one segment ----------------------------------------------------------------------------------------------- */
struct write {
	struct search_rows rows;
	struct db_tx *tx;
};

static enum rc
emit(void *ctx, uint32_t bucket, struct bytes block, struct err *e)
{
	struct write *w = ctx;
	enum rc rc = search_rows_full(&w->rows) ? search_rows_flush(&w->rows, w->tx, e) : RC_OK;
	return rc == RC_OK ? search_rows_block(&w->rows, bucket, block, e) : rc;
}

enum rc
search_write_segment(struct search_writer *w, struct db_tx *tx, const struct uuid *tenant, const struct uuid *ids,
		     struct search_builder *b, size_t n, struct err *e)
{
	struct search_segment s = {
	    .id = uuid_v7(uuid_time_us(&ids[0])), .first = ids[0], .last = ids[n - 1], .messages = (int32_t)n};
	struct search_key unused;
	struct write o = {.tx = tx};
	enum rc rc = search_key(w->content, tenant, &s.epoch, &unused, e);
	if (rc != RC_OK)
		return rc;
	search_builder_sort(b, &s.bits);
	search_rows_init(&o.rows, w, tenant, &s.id);
	s.fence = search_fence(ids, n, o.rows.a);
	rc = search_store_segment_add(tx, tenant, &s, e);
	if (rc == RC_OK)
		rc = search_builder_emit(b, s.bits, emit, &o, e);
	for (size_t i = 0; rc == RC_OK && i * SEARCH_PAGE < n; i++) {
		size_t from = i * SEARCH_PAGE;
		if (search_rows_full(&o.rows))
			rc = search_rows_flush(&o.rows, tx, e);
		if (rc == RC_OK)
			search_rows_page(&o.rows, i, ids + from, n - from < SEARCH_PAGE ? n - from : SEARCH_PAGE);
	}
	if (rc == RC_OK)
		rc = search_rows_flush(&o.rows, tx, e);
	search_rows_done(&o.rows);
	return rc;
}

/* --- what waits ------------------------------------------------------------------------------------------------ */
/* A segment to be written: tokens and ids are there before anything is written. */
struct made {
	struct search_builder *b;
	struct uuid *ids;
	size_t n;
	struct made *next;
};

struct round {
	struct search_writer *w;
	struct db_tx *tx;
	const struct uuid *tenant;
	struct search_key key;
	struct arena *a;
	struct made *made; /* newest first */
};

static int
id_compare(const void *x, const void *y)
{
	return memcmp(x, y, sizeof(struct uuid));
}

static struct made *
made_for(struct round *r, const struct uuid *id, size_t room)
{
	struct made *m = r->made;
	if (m != NULL && search_builder_pairs(m->b) < PAIRS_MAX &&
	    (m->n == 0 || search_month(&m->ids[0]) == search_month(id)))
		return m;
	m = arena_new_array(r->a, struct made, 1);
	m->b = search_builder_new();
	m->ids = arena_new_array(r->a, struct uuid, room);
	m->next = r->made;
	return r->made = m;
}

/* Tokens of all messages, in the order of ids. */
static enum rc
tokenize(struct round *r, const struct uuid *ids, size_t n, struct err *e)
{
	enum rc rc = RC_OK;
	struct search_set set;
	struct arena *scratch = arena_new();
	search_set_init(&set);
	for (size_t at = 0; rc == RC_OK && at < n; at += SEARCH_READ_MAX) {
		struct search_read *v = NULL;
		size_t found = 0, some = n - at < SEARCH_READ_MAX ? n - at : SEARCH_READ_MAX;
		arena_reset(scratch);
		rc = search_read(r->w->content, r->tx, r->tenant, ids + at, some, INT64_MAX, scratch, &v, &found, e);
		for (size_t i = found; rc == RC_OK && i-- > 0;) { /* it reads newest first */
			char direction[40];
			const struct store_message *message = &v[i].view.message;
			struct made *m = made_for(r, &message->id, n);
			search_set_reset(&set);
			search_tokens_document(&r->key, v[i].document, &set);
			(void)search_direction(store_direction_str(message->direction), direction);
			search_set_add(&set, search_token_property(&r->key, direction));
			search_builder_add(m->b, (uint32_t)m->n, &set);
			m->ids[m->n++] = message->id;
		}
	}
	search_set_done(&set);
	arena_free(&scratch);
	return rc;
}

static enum rc
index_arrivals(struct round *r, const struct search_arrival *v, size_t n, size_t total, struct err *e)
{
	int32_t epoch = 0;
	struct uuid *ids = arena_new_array(r->a, struct uuid, total), *firsts = arena_new_array(r->a, struct uuid, n);
	size_t k = 0;
	for (size_t i = 0; i < n; i++) {
		memcpy(ids + k, v[i].ids, v[i].n * sizeof(*ids));
		k += v[i].n;
		firsts[i] = v[i].first;
	}
	qsort(ids, total, sizeof(*ids), id_compare);
	enum rc rc = search_key(r->w->content, r->tenant, &epoch, &r->key, e);
	if (rc == RC_OK)
		rc = tokenize(r, ids, total, e);
	if (rc == RC_OK) /* first of all: who comes too late does no more */
		rc = search_store_taken(r->tx, r->tenant, firsts, n, e);
	for (struct made *m = r->made; rc == RC_OK && m != NULL; m = m->next)
		if (m->n > 0)
			rc = search_write_segment(r->w, r->tx, r->tenant, m->ids, m->b, m->n, e);
	return rc;
}

enum rc
search_write_waiting(struct search_writer *w, const struct uuid *tenant, size_t max, size_t *n_r, struct err *e)
{
	struct search_arrival *v = NULL;
	size_t rows = 0, n = 0, total = 0;
	bool got = false;
	struct round r = {.w = w, .tenant = tenant, .a = arena_new()};
	enum rc rc = db_begin(w->pool, tenant, clock_mono_ms() + ROUND_MS, &r.tx, e);
	if (rc == RC_OK)
		rc = search_store_lock(r.tx, tenant, &got, e);
	if (rc == RC_OK && got)
		rc = search_store_arrivals(r.tx, tenant, false, ROWS_MAX, r.a, &v, &rows, e);
	while (n < rows && total < max)
		total += v[n++].n;
	if (rc == RC_OK && n > 0)
		rc = index_arrivals(&r, v, n, total, e);
	if (rc == RC_OK && n > 0)
		rc = db_commit(&r.tx, e);
	db_end(&r.tx);
	for (struct made *m = r.made; m != NULL; m = m->next)
		search_builder_free(&m->b);
	arena_free(&r.a);
	if (rc == RC_CONFLICT) { /* what we wanted to do is done */
		rc = RC_OK;
		total = 0;
	}
	if (rc == RC_OK)
		*n_r = total;
	return rc;
}
