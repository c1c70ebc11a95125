/* SPDX-License-Identifier: MIT
 *
 * Exports with an audit of the test's own, whose record never ends.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/clock.h"
#include "export.h"
#include "pipe.h"

#define PAGE 1000 /* octets */

enum rc
api_verify_again(const struct api *api, const struct api_request *r, struct arena *a, struct auth_key_holder *out_r,
		 struct err *e)
{
	return err_set(e, RC_RETRY, "not asked in so short a time");
}

enum rc
audit_export(const struct audit_call *c, uint64_t first, uint64_t size, uint32_t lines, const struct audit_filter *f,
	     bool csv, struct arena *a, struct audit_page *out_r, struct err *e)
{
	*out_r =
	    (struct audit_page){.lines = bytes_of(arena_alloc(a, PAGE), PAGE), .next = first + 1, .size = 1u << 30};
	return RC_OK;
}

static void
sleeps(void *ctx)
{
}

static struct svc svc;
static struct api api = {.svc = &svc, .rpc_ms = 1000};

static enum rc
begin(struct exports *x, uint8_t tenant, struct pipe **pipe_r)
{
	struct err e = {0};
	struct arena *a = arena_new();
	struct auth_token token = {"audit", bytes_str("token")};
	struct api_request r = {.arena = a,
				.verified_ms = clock_mono_ms(),
				.holder = {.tenant.b = {tenant}, .tokens = &token, .n_tokens = 1}};
	struct export_wish wish = {0};
	struct api_response w = {0};
	enum rc rc = exports_begin(x, &r, &wish, &w, &e);
	*pipe_r = w.pipe;
	arena_free(&a);
	return rc;
}

static void
a_tenant_has_its_part(void **state)
{
	struct exports_options o = {.max = 3, .tenant_max = 2, .slow_ms = 60000, .least_rate = 1};
	struct exports *x = exports_new(&api, &o);
	struct pipe *p[3], *none = NULL;
	assert_int_equal(begin(x, 1, &p[0]), RC_OK);
	assert_int_equal(begin(x, 1, &p[1]), RC_OK);
	assert_int_equal(begin(x, 1, &none), RC_LIMIT);
	assert_int_equal(begin(x, 2, &p[2]), RC_OK);
	assert_int_equal(begin(x, 3, &none), RC_RETRY);
	/* Who goes leaves a place. */
	pipe_close(&p[0]);
	int64_t deadline = clock_mono_ms() + 10000;
	while (begin(x, 1, &p[0]) != RC_OK && clock_left_ms(deadline) > 0)
		usleep(1000);
	assert_non_null(p[0]);
	for (int i = 0; i < 3; i++)
		pipe_close(&p[i]);
	exports_free(&x);
}

/* Octets that a reader got that takes a page every pause_ms, in at most total_ms. */
static int64_t
read_slowly(struct pipe *p, int64_t pause_ms, int64_t total_ms, bool *cut_r)
{
	char to[PAGE];
	int64_t got = 0, deadline = clock_mono_ms() + total_ms;
	long n = 0;
	while (n >= 0 && clock_left_ms(deadline) > 0) {
		usleep((useconds_t)pause_ms * 1000);
		n = pipe_read(p, to, sizeof(to), sleeps, sleeps, NULL);
		got += n > 0 ? n : 0;
	}
	*cut_r = n == PIPE_BROKEN;
	return got;
}

static void
who_reads_too_slowly_is_cut(void **state)
{
	/* 100 ms for a page. The slack covers one page at 400 ms, not one after another. */
	struct exports_options o = {.max = 3, .tenant_max = 2, .slow_ms = 1000, .least_rate = 10 * PAGE};
	struct exports *x = exports_new(&api, &o);
	struct pipe *p = NULL;
	bool cut;
	assert_int_equal(begin(x, 1, &p), RC_OK);
	assert_true(read_slowly(p, 400, 10000, &cut) <= 8 * PAGE);
	assert_true(cut);
	pipe_close(&p);
	assert_int_equal(begin(x, 1, &p), RC_OK);
	assert_true(read_slowly(p, 20, 2000, &cut) > 8 * PAGE);
	assert_false(cut);
	pipe_close(&p);
	exports_free(&x);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_tenant_has_its_part),
	    cmocka_unit_test(who_reads_too_slowly_is_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
