/* SPDX-License-Identifier: MIT
 *
 * Seal and open without a database: every size around a chunk's bound comes back, and whatever is moved, dropped,
 * repeated, swapped with another sealing, or changed is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>

#include "content/chunk.h"

#define N_MAX 8

struct sample {
	struct chunk_place place;
	uint8_t key[CRYPT_KEY_SIZE];
	uint8_t *data;
	size_t n;
	struct buf sealed;
	size_t ends[N_MAX];
	struct chunk v[N_MAX];
	size_t count;
};

static void
seal(struct sample *s)
{
	struct err e = {0};
	size_t from = 0;
	buf_init(&s->sealed, 0);
	s->count = chunk_count(s->n);
	assert_true(s->count <= N_MAX);
	if (chunk_seal(s->key, &s->place, bytes_of(s->data, s->n), &s->sealed, s->ends, &e) != RC_OK)
		fail_msg("%s", e.text);
	assert_int_equal(s->ends[s->count - 1], s->sealed.n);
	for (size_t i = 0; i < s->count; i++) {
		s->v[i] = (struct chunk){(int32_t)i, s->place.epoch, i + 1 == s->count,
					 bytes_of(s->sealed.p + from, s->ends[i] - from)};
		from = s->ends[i];
	}
}

static void
make(struct sample *s, size_t n, bool random)
{
	*s = (struct sample){.n = n, .place = {uuid_v7(1000), uuid_v7(2000), 1, 1}};
	random_bytes(s->key, sizeof(s->key));
	s->data = malloc(n + 1);
	assert_non_null(s->data);
	if (random)
		random_bytes(s->data, n);
	else
		for (size_t i = 0; i < n; i++)
			s->data[i] = (uint8_t)('a' + i % 26);
	seal(s);
}

static void
drop(struct sample *s)
{
	buf_done(&s->sealed);
	free(s->data);
}

static enum rc
try_open(const struct sample *s, const struct chunk *v, size_t count, size_t max)
{
	struct arena *a = arena_new();
	struct bytes out = {0};
	enum rc rc = chunk_open(s->key, &s->place, v, count, max, a, &out, NULL);
	if (rc == RC_OK) {
		assert_non_null(out.p);
		assert_int_equal(out.n, s->n);
		assert_memory_equal(out.p, s->data, s->n);
	} else {
		assert_null(out.p);
	}
	arena_free(&a);
	return rc;
}

static void
test_sizes(void **state)
{
	static const size_t sizes[] = {0,
				       1,
				       63,
				       64,
				       4096,
				       CHUNK_PLAIN_MAX - 1,
				       CHUNK_PLAIN_MAX,
				       CHUNK_PLAIN_MAX + 1,
				       2 * CHUNK_PLAIN_MAX,
				       3 * CHUNK_PLAIN_MAX + 17};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		for (int random = 0; random < 2; random++) {
			struct sample s;
			make(&s, sizes[i], random);
			assert_int_equal(try_open(&s, s.v, s.count, s.n), RC_OK);
			assert_int_equal(try_open(&s, s.v, s.count, SIZE_MAX / 2), RC_OK);
			if (s.n > 0)
				assert_int_equal(try_open(&s, s.v, s.count, s.n - 1), RC_LIMIT);
			if (!random && s.n >= 4096)
				assert_true(s.sealed.n < s.n / 10);
			else
				assert_true(s.sealed.n < s.n + 64 + 32 * s.count);
			drop(&s);
		}
}

static void
test_order(void **state)
{
	struct sample s;
	struct chunk v[N_MAX];
	make(&s, 3 * CHUNK_PLAIN_MAX + 5, true);
	assert_int_equal(s.count, 4);
	for (size_t n = 0; n < s.count; n++) /* cut off at the end */
		assert_int_equal(try_open(&s, s.v, n, s.n), RC_INVALID);
	for (size_t out = 0; out < s.count; out++) { /* one missing */
		for (size_t i = 0, k = 0; i < s.count; i++)
			if (i != out)
				v[k++] = s.v[i];
		assert_int_equal(try_open(&s, v, s.count - 1, s.n), RC_INVALID);
		for (size_t i = 0; i + 1 < s.count; i++) { /* and renumbered, so that none seems missing */
			v[i].n = (int32_t)i;
			v[i].last = i + 2 == s.count;
		}
		assert_int_equal(try_open(&s, v, s.count - 1, s.n), RC_INVALID);
	}
	for (size_t twice = 0; twice < s.count; twice++) { /* one twice */
		for (size_t i = 0, k = 0; i < s.count; i++) {
			v[k++] = s.v[i];
			if (i == twice)
				v[k++] = s.v[i];
		}
		assert_int_equal(try_open(&s, v, s.count + 1, SIZE_MAX / 2), RC_INVALID);
	}
	memcpy(v, s.v, sizeof(v)); /* two exchange their octets */
	v[1].sealed = s.v[2].sealed;
	v[2].sealed = s.v[1].sealed;
	assert_int_equal(try_open(&s, v, s.count, s.n), RC_INVALID);
	memcpy(v, s.v, sizeof(v)); /* the last flag moves forward */
	v[2].last = true;
	assert_int_equal(try_open(&s, v, 3, s.n), RC_INVALID);
	memcpy(v, s.v, sizeof(v));
	v[3].epoch = 2;
	assert_int_equal(try_open(&s, v, s.count, s.n), RC_INVALID);
	drop(&s);
}

/* The same item sealed twice: no chunk of the second fits into the first. */
static void
test_other_sealing(void **state)
{
	struct sample one, two;
	struct chunk v[N_MAX];
	make(&one, 2 * CHUNK_PLAIN_MAX + 5, true);
	two = one;
	seal(&two);
	for (size_t i = 0; i < one.count; i++) {
		memcpy(v, one.v, sizeof(v));
		v[i] = two.v[i];
		assert_int_equal(try_open(&one, v, one.count, one.n), RC_INVALID);
	}
	assert_int_equal(try_open(&one, two.v, two.count, one.n), RC_OK);
	buf_done(&two.sealed);
	drop(&one);
}

static void
test_place(void **state)
{
	struct sample s;
	make(&s, 5000, false);
	struct sample other = s;
	other.place.tenant.b[15] ^= 1;
	assert_int_equal(try_open(&other, s.v, s.count, s.n), RC_INVALID);
	other = s;
	other.place.id.b[15] ^= 1;
	assert_int_equal(try_open(&other, s.v, s.count, s.n), RC_INVALID);
	other = s;
	other.place.kind = 2;
	assert_int_equal(try_open(&other, s.v, s.count, s.n), RC_INVALID);
	other = s;
	other.place.epoch = other.v[0].epoch = 2;
	assert_int_equal(try_open(&other, other.v, s.count, s.n), RC_INVALID);
	other = s;
	other.key[0] ^= 1;
	assert_int_equal(try_open(&other, s.v, s.count, s.n), RC_INVALID);
	drop(&s);
}

static void
test_changed(void **state)
{
	struct sample s;
	make(&s, 300, false);
	for (size_t bit = 0; bit < s.sealed.n * 8; bit++) {
		s.sealed.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(try_open(&s, s.v, 1, s.n), RC_INVALID);
		s.sealed.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t n = 0; n < s.sealed.n; n++) {
		struct chunk v = s.v[0];
		v.sealed.n = n;
		assert_int_equal(try_open(&s, &v, 1, s.n), RC_INVALID);
	}
	assert_int_equal(try_open(&s, s.v, 1, s.n), RC_OK);
	drop(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sizes), cmocka_unit_test(test_order),	  cmocka_unit_test(test_other_sealing),
	    cmocka_unit_test(test_place), cmocka_unit_test(test_changed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
