/* SPDX-License-Identifier: MIT
 *
 * Statement parameters in PostgreSQL's binary format (network byte order).
 */
#include "db/db_internal.h"

#include <endian.h>
#include <stdlib.h>

void
db_args_init(struct db_args *a)
{
	a->n = 0;
	a->failed = false;
}

void
db_args_done(struct db_args *a)
{
	for (int i = 0; i < a->n; i++)
		if (a->arrays[i] != NULL) {
			buf_done(a->arrays[i]);
			free(a->arrays[i]);
			a->arrays[i] = NULL;
		}
	a->n = 0;
}

static int
slot(struct db_args *a, unsigned type)
{
	if (a->n >= DB_ARGS_MAX)
		abort(); /* a statement with that many parameters is a bug */
	int i = a->n++;
	a->types[i] = type;
	a->values[i] = NULL;
	a->lengths[i] = 0;
	a->arrays[i] = NULL;
	return i;
}

static void
borrow(struct db_args *a, unsigned type, const void *p, size_t n)
{
	int i = slot(a, type);
	if (p == NULL)
		return;
	if (n > INT32_MAX) {
		a->failed = true;
		return;
	}
	a->values[i] = p;
	a->lengths[i] = (int)n;
}

static void
copy(struct db_args *a, unsigned type, const void *p, size_t n)
{
	int i = slot(a, type);
	memcpy(a->small[i], p, n);
	a->values[i] = (const char *)a->small[i];
	a->lengths[i] = (int)n;
}

void
db_arg_uuid(struct db_args *a, const struct uuid *v)
{
	if (v != NULL)
		copy(a, OID_UUID, v->b, sizeof(v->b));
	else
		slot(a, OID_UUID);
}

void
db_arg_bytes(struct db_args *a, struct bytes v)
{
	borrow(a, OID_BYTEA, v.p, v.n);
}

void
db_arg_text(struct db_args *a, const char *v)
{
	borrow(a, OID_TEXT, v, v != NULL ? strlen(v) : 0);
}

void
db_arg_int(struct db_args *a, int32_t v)
{
	uint32_t be = htobe32((uint32_t)v);
	copy(a, OID_INT4, &be, sizeof(be));
}

void
db_arg_long(struct db_args *a, int64_t v)
{
	uint64_t be = htobe64((uint64_t)v);
	copy(a, OID_INT8, &be, sizeof(be));
}

void
db_arg_bool(struct db_args *a, bool v)
{
	uint8_t b = v;
	copy(a, OID_BOOL, &b, 1);
}

void
db_arg_time(struct db_args *a, int64_t wall_us)
{
	if (wall_us == DB_TIME_NULL) {
		slot(a, OID_TIMESTAMPTZ);
		return;
	}
	uint64_t be = htobe64((uint64_t)(wall_us - PG_EPOCH_US));
	copy(a, OID_TIMESTAMPTZ, &be, sizeof(be));
}

/* --- one-dimensional arrays: header, then length and value of each element ---------------------------------- */
static void
add32(struct buf *b, uint32_t v)
{
	uint32_t be = htobe32(v);
	buf_add(b, &be, sizeof(be));
}

static void
add_element64(struct buf *b, uint64_t v)
{
	uint64_t be = htobe64(v);
	add32(b, sizeof(be));
	buf_add(b, &be, sizeof(be));
}

static struct buf *
array_begin(struct db_args *a, unsigned array_type, unsigned element_type, size_t n)
{
	int i = slot(a, array_type);
	struct buf *b = malloc(sizeof(*b));
	if (b == NULL || n > INT32_MAX)
		abort();
	buf_init(b, 1u << 30);
	a->arrays[i] = b;
	add32(b, n > 0 ? 1 : 0);
	add32(b, 1); /* may hold NULLs */
	add32(b, element_type);
	if (n > 0) {
		add32(b, (uint32_t)n);
		add32(b, 1);
	}
	return b;
}

static void
array_end(struct db_args *a, struct buf *b)
{
	int i = a->n - 1;
	if (!buf_ok(b)) {
		a->failed = true;
		return;
	}
	a->values[i] = (const char *)b->p;
	a->lengths[i] = (int)b->n;
}

void
db_arg_uuids(struct db_args *a, const struct uuid *v, size_t n)
{
	struct buf *b = array_begin(a, OID_UUID_ARRAY, OID_UUID, n);
	for (size_t i = 0; i < n; i++) {
		add32(b, sizeof(v[i].b));
		buf_add(b, v[i].b, sizeof(v[i].b));
	}
	array_end(a, b);
}

static void
add_element_bytes(struct buf *b, struct bytes v)
{
	if (v.p == NULL) {
		add32(b, UINT32_MAX); /* NULL */
		return;
	}
	add32(b, (uint32_t)v.n);
	buf_add_bytes(b, v);
}

void
db_arg_bytes_array(struct db_args *a, const struct bytes *v, size_t n)
{
	struct buf *b = array_begin(a, OID_BYTEA_ARRAY, OID_BYTEA, n);
	for (size_t i = 0; i < n; i++)
		add_element_bytes(b, v[i]);
	array_end(a, b);
}

void
db_arg_texts(struct db_args *a, const char *const *v, size_t n)
{
	struct buf *b = array_begin(a, OID_TEXT_ARRAY, OID_TEXT, n);
	for (size_t i = 0; i < n; i++)
		add_element_bytes(b, bytes_str(v[i]));
	array_end(a, b);
}

void
db_arg_ints(struct db_args *a, const int32_t *v, size_t n)
{
	struct buf *b = array_begin(a, OID_INT4_ARRAY, OID_INT4, n);
	for (size_t i = 0; i < n; i++) {
		add32(b, 4);
		add32(b, (uint32_t)v[i]);
	}
	array_end(a, b);
}

void
db_arg_longs(struct db_args *a, const int64_t *v, size_t n)
{
	struct buf *b = array_begin(a, OID_INT8_ARRAY, OID_INT8, n);
	for (size_t i = 0; i < n; i++)
		add_element64(b, (uint64_t)v[i]);
	array_end(a, b);
}

void
db_arg_bools(struct db_args *a, const bool *v, size_t n)
{
	struct buf *b = array_begin(a, OID_BOOL_ARRAY, OID_BOOL, n);
	for (size_t i = 0; i < n; i++) {
		uint8_t t = v[i];
		add32(b, 1);
		buf_add(b, &t, 1);
	}
	array_end(a, b);
}

void
db_arg_times(struct db_args *a, const int64_t *wall_us, size_t n)
{
	struct buf *b = array_begin(a, OID_TIMESTAMPTZ_ARRAY, OID_TIMESTAMPTZ, n);
	for (size_t i = 0; i < n; i++) {
		if (wall_us[i] == DB_TIME_NULL)
			add32(b, UINT32_MAX);
		else
			add_element64(b, (uint64_t)(wall_us[i] - PG_EPOCH_US));
	}
	array_end(a, b);
}
