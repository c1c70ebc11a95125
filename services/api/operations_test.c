/* SPDX-License-Identifier: MIT
 *
 * The router over the real table: every path leads to its operation, and nothing else leads anywhere.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "api.h"

static struct arena *arena;

static enum api_route
route(const char *method, const char *path, const char **id_r, const char **param_r, char *allow)
{
	const struct api_operation *op = NULL;
	enum api_route got = api_route(method, path, arena, &op, param_r, allow);
	*id_r = op != NULL ? op->id : "";
	return got;
}

static void
every_operation_is_found(void **state)
{
	for (const struct api_operation *op = api_operations; op->id != NULL; op++) {
		char path[128], allow[API_ALLOW_SIZE];
		const char *open = strchr(op->path, '{'), *id, *param = NULL;
		if (open == NULL)
			snprintf(path, sizeof(path), "%s", op->path);
		else
			snprintf(path, sizeof(path), "%.*sx%%2Fy%s", (int)(open - op->path), op->path,
				 strchr(open, '}') + 1);
		assert_int_equal(route(api_method_str(op->method), path, &id, &param, allow), API_ROUTE_FOUND);
		assert_string_equal(id, op->id);
		assert_string_equal(param, open == NULL ? "" : "x/y");
	}
}

static void
ids_are_unique(void **state)
{
	for (const struct api_operation *a = api_operations; a->id != NULL; a++)
		for (const struct api_operation *b = a + 1; b->id != NULL; b++) {
			assert_string_not_equal(a->id, b->id);
			assert_false(a->method == b->method && strcmp(a->path, b->path) == 0);
		}
}

static void
a_literal_wins(void **state)
{
	const char *id, *param;
	char allow[API_ALLOW_SIZE];
	assert_int_equal(route("GET", "/v1/policy/7", &id, &param, allow), API_ROUTE_FOUND);
	assert_string_equal(id, "getPolicyVersion");
	assert_int_equal(route("GET", "/v1/policy/check", &id, &param, allow), API_ROUTE_NO_METHOD);
	assert_string_equal(allow, "POST");
}

static void
others_are_not(void **state)
{
	static const char *const none[] = {"/",
					   "/v1",
					   "/v1/",
					   "/v1/messages/",
					   "/v1/message",
					   "/v1/messagesx",
					   "/v1/messages/1/",
					   "/v1/messages//release",
					   "//v1/messages",
					   "/v1/messages/1/release/2",
					   "/V1/messages"};
	const char *id, *param;
	char allow[API_ALLOW_SIZE];
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_int_equal(route("GET", none[i], &id, &param, allow), API_ROUTE_NO_PATH);
	assert_int_equal(route("PATCH", "/v1/policy", &id, &param, allow), API_ROUTE_NO_METHOD);
	assert_string_equal(allow, "GET, HEAD, PUT");
	assert_int_equal(route("get", "/v1/policy", &id, &param, allow), API_ROUTE_NO_METHOD);
	assert_int_equal(route("HEAD", "/v1/policy", &id, &param, allow), API_ROUTE_FOUND);
}

static void
percent_decoding_is_strict(void **state)
{
	assert_string_equal(api_percent_decode(arena, "a%40b%2f%E3%81%82+"), "a@b/\xe3\x81\x82+");
	static const char *const bad[] = {"%", "%4", "%zz", "%00", "%ff", "%E3%81", "%-1"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_null(api_percent_decode(arena, bad[i]));
}

int
main(void)
{
	arena = arena_new();
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_operation_is_found),
	    cmocka_unit_test(ids_are_unique),
	    cmocka_unit_test(a_literal_wins),
	    cmocka_unit_test(others_are_not),
	    cmocka_unit_test(percent_decoding_is_strict),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	arena_free(&arena);
	return failed;
}
