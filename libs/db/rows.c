/* SPDX-License-Identifier: MIT
 *
 * Rows in binary format. Asking for a column by the wrong type is a bug in a store file and aborts.
 */
#include "db/db_internal.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>

int
db_rows_count(const struct db_rows *r)
{
	return r->n;
}

bool
db_rows_next(struct db_rows *r)
{
	return ++r->row < r->n;
}

void
db_rows_free(struct db_rows **r)
{
	if (r == NULL || *r == NULL)
		return;
	PQclear((*r)->res);
	free(*r);
	*r = NULL;
}

static const char *
value(const struct db_rows *r, int col, const unsigned *types, size_t n_types, size_t size)
{
	unsigned type = PQftype(r->res, col);
	bool fits = false;
	for (size_t i = 0; i < n_types; i++)
		fits |= types[i] == type;
	bool null = fits && PQgetisnull(r->res, r->row, col);
	if (!fits || r->row < 0 || r->row >= r->n ||
	    (!null && size != 0 && (size_t)PQgetlength(r->res, r->row, col) != size)) {
		fprintf(stderr, "db: column %d of type %u is read as another type, or outside the rows\n", col, type);
		abort();
	}
	return null ? NULL : PQgetvalue(r->res, r->row, col);
}
#define VALUE(r, col, size, ...)                                                                                       \
	value((r), (col), (const unsigned[]){__VA_ARGS__}, sizeof((const unsigned[]){__VA_ARGS__}) / sizeof(unsigned), \
	      (size))

bool
db_is_null(const struct db_rows *r, int col)
{
	return PQgetisnull(r->res, r->row, col);
}

struct uuid
db_uuid(const struct db_rows *r, int col)
{
	struct uuid u = {{0}};
	const char *v = VALUE(r, col, 16, OID_UUID);
	if (v != NULL)
		memcpy(u.b, v, 16);
	return u;
}

struct bytes
db_bytes(const struct db_rows *r, int col)
{
	const char *v = VALUE(r, col, 0, OID_BYTEA, OID_TEXT);
	return v != NULL ? bytes_of(v, (size_t)PQgetlength(r->res, r->row, col)) : (struct bytes){0};
}

const char *
db_text(const struct db_rows *r, int col)
{
	return VALUE(r, col, 0, OID_TEXT);
}

int64_t
db_int(const struct db_rows *r, int col)
{
	const char *v = VALUE(r, col, 0, OID_INT2, OID_INT4, OID_INT8);
	if (v == NULL)
		return 0;
	uint16_t be16;
	uint32_t be32;
	uint64_t be64;
	switch (PQgetlength(r->res, r->row, col)) {
	case 2:
		memcpy(&be16, v, 2);
		return (int16_t)be16toh(be16);
	case 4:
		memcpy(&be32, v, 4);
		return (int32_t)be32toh(be32);
	default:
		memcpy(&be64, v, 8);
		return (int64_t)be64toh(be64);
	}
}

bool
db_bool(const struct db_rows *r, int col)
{
	const char *v = VALUE(r, col, 1, OID_BOOL);
	return v != NULL && *v != 0;
}

int64_t
db_time(const struct db_rows *r, int col)
{
	const char *v = VALUE(r, col, 8, OID_TIMESTAMPTZ);
	if (v == NULL)
		return DB_TIME_NULL;
	uint64_t be;
	memcpy(&be, v, 8);
	return (int64_t)be64toh(be) + PG_EPOCH_US;
}
