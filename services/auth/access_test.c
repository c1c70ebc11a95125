/* SPDX-License-Identifier: MIT
 *
 * Sets of permissions, built-in roles, what a person may and why, and the tally of what is recorded. Pure.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "access.h"
#include "tally.h"

#define N(a) (sizeof(a) / sizeof(*(a)))

static struct permission_set
set(const char *text)
{
	bool known = false;
	struct permission_set s = permission_of_text(text, &known);
	assert_true(known);
	return s;
}

static void
test_sets(void **state)
{
	struct arena *a = arena_new();
	struct actor weak = {.permissions = {"message.read"}, .n_permissions = 1}, got = {0};
	struct permission_set s = {0}, all = permission_all(false);
	bool known = true;
	assert_true(permission_count() < 64);
	assert_int_equal(permission_find(bytes_str("no.such")), permission_count());
	const char *three[] = {"hold.release", "message.read", "message.read"};
	assert_int_equal(permission_of_names(three, 3, &s, NULL), RC_OK);
	assert_string_equal(permission_text(s, a), "message.read hold.release");
	const char *unknown[] = {"message.read", "message.reads"};
	struct err e = {0};
	assert_int_equal(permission_of_names(unknown, 2, &s, &e), RC_INVALID);
	assert_non_null(strstr(e.text, "]: unknown permission \""));
	assert_int_equal(strncmp(e.text, "permissions[", 12), 0);
	assert_int_equal(permission_may_give(s, permission_of_actor(&weak), NULL), RC_DENIED);
	assert_int_equal(permission_may_give(set("message.read"), permission_of_actor(&weak), NULL), RC_OK);
	assert_int_equal(permission_may_give(set(PERMISSION_PLATFORM), all, NULL), RC_DENIED);
	assert_int_equal(permission_may_give(set(PERMISSION_PLATFORM), permission_all(true), NULL), RC_OK);
	assert_int_equal(permission_need(set(""), set(""), NULL), RC_OK);
	s = permission_of_text("message.read of.tomorrow key.write", &known);
	assert_false(known);
	permission_into_actor(s, &got);
	assert_int_equal(got.n_permissions, 2);
	assert_true(actor_may(&got, "message.read") && actor_may(&got, "key.write"));
	arena_free(&a);
}

/* The built-in roles as proto/permissions.tsv says; and what no role ever has. */
static void
test_built_in(void **state)
{
	static const struct {
		const char *role, *permission;
		bool has;
	} t[] = {
	    {"administrator", "policy.write", true}, {"administrator", "message.read", true},
	    {"operator", "hold.release", true},	     {"operator", "policy.write", false},
	    {"auditor", "audit.export", true},	     {"auditor", "message.send", false},
	    {"developer", "webhook.write", true},    {"developer", "user.write", false},
	    {"member", "message.send", true},	     {"member", "message.read", false},
	};
	struct permission_set s;
	size_t roles = 0;
	for (size_t i = 0; i < N(t); i++) {
		assert_true(permission_role(bytes_str(t[i].role), &s));
		if (permission_has(s, permission_find(bytes_str(t[i].permission))) != t[i].has)
			fail_msg("%s and %s", t[i].role, t[i].permission);
	}
	for (; permission_role_name(roles) != NULL; roles++) {
		assert_true(permission_role(bytes_str(permission_role_name(roles)), &s));
		assert_false(permission_has(s, permission_find(bytes_str(PERMISSION_PLATFORM))));
	}
	assert_int_equal(roles, 5);
	assert_false(permission_role(bytes_str("Operator"), &s));
	assert_false(permission_role(bytes_str("oper"), &s));
	assert_true(permission_role_reserved(bytes_str("Operator")));
	assert_false(permission_role_reserved(bytes_str("operators")));
}

static void
test_access(void **state)
{
	struct access_grant grants[2] = {{.role = bytes_str("operator")}, {.role = bytes_str("auditor")}};
	static const struct {
		const char *name;
		size_t n_grants;
		bool disabled;
		const char *allowed, *denied, *permission;
		bool may;
		const char *why; /* joined by ", " */
	} t[] = {
	    {"nobody gave a role", 0, false, "", "", "message.send", true, "role member, as there is no other"},
	    {"nothing gives it", 0, false, "", "", "policy.write", false, "no role gives it"},
	    {"by a role", 1, false, "", "", "hold.release", true, "role operator"},
	    {"a role ends member", 1, false, "", "", "message.send", false, "no role gives it"},
	    {"by role and group", 2, false, "", "", "message.read", true,
	     "role operator, role auditor by group \xe7\xb5\x8c\xe7\x90\x86\xe9\x83\xa8"},
	    {"by exception", 1, false, "policy.write", "", "policy.write", true, "exception: allowed"},
	    {"denied", 2, false, "", "message.read", "message.read", false,
	     "role operator, role auditor by group \xe7\xb5\x8c\xe7\x90\x86\xe9\x83\xa8, exception: denied"},
	    {"deny wins over allow", 1, false, "key.write", "key.write", "key.write", false,
	     "exception: allowed, exception: denied"},
	    {"disabled", 1, true, "", "", "hold.release", false, "role operator, disabled"},
	    {"never the platform's", 0, false, PERMISSION_PLATFORM, "", PERMISSION_PLATFORM, false,
	     "exception: allowed"},
	};
	struct arena *a = arena_new();
	grants[1].group = bytes_str("\xe7\xb5\x8c\xe7\x90\x86\xe9\x83\xa8");
	for (size_t i = 0; i < 2; i++)
		assert_true(permission_role(grants[i].role, &grants[i].set));
	for (size_t i = 0; i < N(t); i++) {
		struct access x = {.disabled = t[i].disabled,
				   .grants = grants,
				   .n_grants = t[i].n_grants,
				   .allowed = set(t[i].allowed),
				   .denied = set(t[i].denied)};
		size_t p = permission_find(bytes_str(t[i].permission));
		const char **why = NULL, *joined = "";
		size_t n = access_why(&x, p, a, &why);
		for (size_t k = 0; k < n; k++)
			joined = arena_printf(a, "%s%s%s", joined, k > 0 ? ", " : "", why[k]);
		if (permission_has(access_effective(&x), p) != t[i].may || strcmp(joined, t[i].why) != 0)
			fail_msg("%s: %d, %s", t[i].name, permission_has(access_effective(&x), p), joined);
	}
	arena_free(&a);
}

static struct tally_entry
one(int source, const char *reason)
{
	struct tally_entry e = {.action = "auth.api_key", .outcome = RC_DENIED};
	snprintf(e.source, sizeof(e.source), "192.0.2.%d", source);
	snprintf(e.reason, sizeof(e.reason), "%s", reason);
	return e;
}

static void
test_tally(void **state)
{
	const int64_t t0 = INT64_C(1800000000000000);
	struct tally *t = tally_new();
	struct tally_entry e = one(1, "unknown"), out;
	assert_true(tally_add(t, &e, t0)); /* the first is written at once */
	assert_int_equal(e.count, 1);
	for (int i = 1; i < 500; i++) {
		e = one(1, "unknown");
		assert_false(tally_add(t, &e, t0 + i));
	}
	e = one(2, "unknown");
	assert_true(tally_add(t, &e, t0 + 500)); /* another source, another place */
	e = one(1, "revoked");
	assert_true(tally_add(t, &e, t0 + 500));
	assert_false(tally_take(t, t0 + TALLY_MINUTE_US - 1, false, &out));
	assert_true(tally_take(t, t0 + TALLY_MINUTE_US, false, &out));
	assert_int_equal(out.count, 499);
	assert_string_equal(out.source, "192.0.2.1");
	assert_false(tally_take(t, t0 + TALLY_MINUTE_US, true, &out));
	/* The next minute began with what was taken. */
	e = one(1, "unknown");
	assert_false(tally_add(t, &e, t0 + TALLY_MINUTE_US + 1));
	e = one(1, "unknown");
	assert_true(tally_add(t, &e, t0 + 2 * TALLY_MINUTE_US));
	assert_int_equal(e.count, 2);
	tally_failed(t, &e); /* the database was down: they wait */
	assert_true(tally_take(t, t0 + 2 * TALLY_MINUTE_US, true, &out));
	assert_int_equal(out.count, 2);
	tally_free(&t);
}

/* More different sources than there is room for: what is written stays bounded, and no one is lost. */
static void
test_tally_flood(void **state)
{
	const int64_t t0 = INT64_C(1800000000000000);
	const int n = 100000;
	struct tally *t = tally_new();
	struct tally_entry e, out;
	int64_t written = 0, counted = 0;
	for (int i = 0; i < n; i++) {
		e = one(i, "unknown");
		if (tally_add(t, &e, t0)) {
			written++;
			counted += e.count;
		}
	}
	assert_true(written <= TALLY_PLACES);
	while (tally_take(t, t0, true, &out)) {
		counted += out.count;
		assert_string_equal(out.source, "");
	}
	assert_int_equal(counted, n);
	tally_free(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sets),  cmocka_unit_test(test_built_in),    cmocka_unit_test(test_access),
	    cmocka_unit_test(test_tally), cmocka_unit_test(test_tally_flood),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
