/* SPDX-License-Identifier: MIT
 *
 * What is asked twice with one idempotency key is done once and answered the same; keys that rotate and that are
 * listed; what an API key costs.
 */
#define TEST_DB "auth_once_test"
#include "testing.h"

static void
test_once(void **state)
{
	struct actor one = new_tenant("once"), two = new_tenant("once two");
	Sekisho__Auth__KeyCreateReply *k = NULL, *again = NULL;
	Sekisho__Auth__UserCreateReply *u = NULL, *u_again = NULL;
	idempotency_key = "the-first";
	assert_int_equal(add_key(&one, API, "", "once", "message.read", &k), RC_OK);
	assert_int_equal(add_key(&one, API, "", "once", "message.read", &again), RC_OK);
	assert_string_equal(again->secret, k->secret);
	assert_memory_equal(again->key_id.data, k->key_id.data, 16);
	use_key(k->secret, NULL, 0, RC_OK);
	assert_int_equal(add_key(&one, API, "", "other", "message.read", &again), RC_CONFLICT);
	assert_int_equal(add_key(&two, API, "", "once", "message.read", &again),
			 RC_OK); /* another's key is another key */
	assert_string_not_equal(again->secret, k->secret);
	assert_int_equal(add_user(&one, "once.user", "", NULL, &u), RC_OK); /* so is another operation's */
	assert_int_equal(add_user(&one, "once.user", "", NULL, &u_again), RC_OK);
	assert_memory_equal(u->account.data, u_again->account.data, 16);
	/* What failed is tried anew. */
	idempotency_key = "the-second";
	assert_int_equal(add_user(&one, "once.user", "", NULL, &u), RC_CONFLICT);
	change_rows("DELETE FROM auth.directory_login WHERE login = 'once.user'");
	change_rows("DELETE FROM auth.account WHERE login = 'once.user'");
	assert_int_equal(add_user(&one, "once.user", "", NULL, &u), RC_OK);
	assert_int_equal(put_role(&one, "once", NAMES("message.read"), 0, true, NULL), RC_OK);
	assert_int_equal(put_role(&one, "once", NAMES("message.read"), 0, true, NULL), RC_OK);
	assert_int_equal(put_group(&one, "once", NULL, NAMES("once"), NULL), RC_OK);

	/* A tenant, made by the platform. */
	Sekisho__Auth__TenantCreateRequest q = SEKISHO__AUTH__TENANT_CREATE_REQUEST__INIT;
	Sekisho__Auth__TenantCreateReply *t = NULL, *t_again = NULL;
	q.name = "once three";
	q.sandbox = true;
	idempotency_key = "the-third";
	assert_int_equal(ASK(tenant_create, &platform, &q, &t), RC_OK);
	assert_int_equal(ASK(tenant_create, &platform, &q, &t_again), RC_OK);
	assert_memory_equal(t->tenant.data, t_again->tenant.data, 16);
	assert_string_equal(t->admin_key, t_again->admin_key);
	idempotency_key = "";
	assert_int_equal(count_rows("SELECT count(*) FROM auth.tenant WHERE name = 'once three' AND sandbox"), 1);
	/* Kept sealed. */
	assert_true(count_rows("SELECT count(*) FROM auth.idempotency") >= 6);
	assert_int_equal(
	    count_rows("SELECT count(*) FROM auth.idempotency WHERE position('skapi_'::bytea IN reply) > 0"), 0);
}

static enum rc
rotate(const struct actor *by, ProtobufCBinaryData id, uint32_t overlap, Sekisho__Auth__KeyRotateReply **p)
{
	Sekisho__Auth__KeyRotateRequest q = SEKISHO__AUTH__KEY_ROTATE_REQUEST__INIT;
	q.key_id = id;
	q.overlap_seconds = overlap;
	return ASK(key_rotate, by, &q, p);
}

static Sekisho__Auth__KeyListReply *
list_keys(const struct actor *by, const char *login, bool ended, uint32_t limit, const char *cursor)
{
	Sekisho__Auth__KeyListRequest q = SEKISHO__AUTH__KEY_LIST_REQUEST__INIT;
	Sekisho__Auth__KeyListReply *p = NULL;
	q.login = (char *)(uintptr_t)login;
	q.ended = ended;
	q.limit = limit;
	q.cursor = (char *)(uintptr_t)cursor;
	if (ASK(key_list, by, &q, &p) != RC_OK)
		fail_msg("%s", err.text);
	return p;
}

static void
test_rotate(void **state)
{
	struct actor one = new_tenant("rotate"), two = new_tenant("rotate two"), weak = with_only(&one, "key.write", 0);
	Sekisho__Auth__KeyCreateReply *k = NULL, *app = NULL;
	Sekisho__Auth__KeyRotateReply *p = NULL, *again = NULL;
	assert_int_equal(add_user(&one, "rotate.user", "", NULL, NULL), RC_OK);
	assert_int_equal(add_key(&one, API, "", "turning", "message.read", &k), RC_OK);
	assert_int_equal(rotate(&two, k->key_id, 60, &p), RC_NOT_FOUND);
	assert_int_equal(rotate(&weak, k->key_id, 60, &p), RC_DENIED);
	assert_int_equal(rotate(&one, k->key_id, 30 * 86400 + 1, &p), RC_INVALID);
	idempotency_key = "turn";
	int64_t now = clock_wall_us();
	assert_int_equal(rotate(&one, k->key_id, 3600, &p), RC_OK);
	assert_int_equal(rotate(&one, k->key_id, 3600, &again), RC_OK);
	idempotency_key = "";
	assert_string_equal(p->secret, again->secret);
	assert_true(p->old_expires_us >= now + INT64_C(3600000000) && p->old_expires_us < now + INT64_C(3660000000));
	assert_int_equal(rotate(&one, k->key_id, 3600, &again), RC_CONFLICT);
	assert_string_equal(use_key(k->secret, NULL, 0, RC_OK)->permissions[0], "message.read");
	Sekisho__Auth__ApiKeyReply *r = use_key(p->secret, NULL, 0, RC_OK);
	assert_string_equal(r->permissions[0], "message.read");
	assert_string_equal(r->account_name, "turning");

	Sekisho__Auth__KeyListReply *l = list_keys(&one, "", false, 0, "");
	assert_int_equal(l->n_keys, 3); /* the new one, the old one, the administrator's */
	assert_memory_equal(l->keys[0]->id.data, p->key_id.data, 16);
	assert_memory_equal(l->keys[1]->replaced_by.data, p->key_id.data, 16);
	assert_int_equal(l->keys[1]->expires_us, p->old_expires_us);
	assert_memory_equal(l->keys[0]->prefix, p->secret, strlen(l->keys[0]->prefix));
	assert_true(strlen(l->keys[0]->prefix) < 16);
	change_rows("UPDATE auth.credential SET expires_at = now() - interval '1 s' WHERE replaced_by IS NOT NULL");
	use_key(k->secret, NULL, 0, RC_DENIED);
	use_key(p->secret, NULL, 0, RC_OK);
	assert_int_equal(list_keys(&one, "", false, 0, "")->n_keys, 2);
	assert_int_equal(list_keys(&one, "", true, 0, "")->n_keys, 3);
	assert_int_equal(rotate(&one, k->key_id, 0, &again), RC_NOT_FOUND);
	/* Without an overlap, and an application password. */
	assert_int_equal(rotate(&one, p->key_id, 0, &again), RC_OK);
	use_key(p->secret, NULL, 0, RC_DENIED);
	use_key(again->secret, NULL, 0, RC_OK);
	assert_int_equal(add_key(&one, APP, "rotate.user", "phone", NULL, &app), RC_OK);
	assert_int_equal(rotate(&one, app->key_id, 60, &p), RC_OK);
	assert_string_equal(p->login, "rotate.user");
	assert_int_equal(login("rotate.user", app->secret, NULL), RC_OK);
	assert_int_equal(login("rotate.user", p->secret, NULL), RC_OK);
	assert_int_equal(list_keys(&one, "rotate.user", false, 0, "")->n_keys, 2);
	l = list_keys(&one, "", true, 2, "");
	assert_int_equal(l->n_keys, 2);
	assert_true(l->next_cursor[0] != 0);
	assert_int_equal(list_keys(&one, "", true, 200, l->next_cursor)->n_keys, 4);
	/* A key that ends has no successor that does not. */
	struct actor ending = with_only(&one, "message.read", clock_wall_us() + INT64_C(60000000));
	ending.permissions[ending.n_permissions++] = "key.write";
	assert_int_equal(rotate(&ending, again->key_id, 0, &p), RC_DENIED);
	assert_int_equal(count_rows("SELECT count(*) FROM auth.audit_intent WHERE action = 'key.rotated'"), 3);
}

/* Refused keys: one entry for a source and a minute, and the rest counted. */
static void
test_refused(void **state)
{
	struct actor one = new_tenant("refused");
	const char *secret = make_key(&one, "", "refused", NAMES("message.read"))->secret;
	int64_t before = count_rows("SELECT count(*) FROM auth.audit_intent WHERE action = 'auth.api_key'");
	change_rows("UPDATE auth.credential SET revoked_at = now() WHERE name = 'refused'");
	for (int i = 0; i < 50; i++) {
		use_key(secret, NULL, 0, RC_DENIED);
		use_key("skapi_000000000000000000000000000000000", NULL, 0, RC_DENIED);
	}
	assert_int_equal(count_rows("SELECT count(*) FROM auth.audit_intent WHERE action = 'auth.api_key'") - before,
			 2);
	record_stop(); /* as at the end of the process */
	record_start(svc.db);
	assert_int_equal(count_rows("SELECT count(*) FROM auth.audit_intent WHERE action = 'auth.api_key'") - before,
			 4);
	assert_int_equal(count_rows("SELECT count(*) FROM auth.audit_intent WHERE action = 'auth.api_key' "
				    "AND position('\"count\":\"49\"'::bytea IN detail) > 0"),
			 2);
	assert_int_equal(count_rows("SELECT count(*) FROM auth.audit_intent WHERE action = 'auth.api_key' AND "
				    "tenant <> '00000000-0000-0000-0000-000000000000' AND "
				    "position('\"revoked\",\"count\":\"49\"'::bytea IN detail) > 0"),
			 1);
}

/* Every request to the API waits for the first, every mail for the second. Printed, not judged: machines differ. */
static void
test_cost(void **state)
{
	enum { N = 2000 };
	struct actor one = new_tenant("cost");
	char *audiences[] = {"delivery"};
	assert_int_equal(add_user(&one, "cost.user", "", NULL, NULL), RC_OK);
	assert_int_equal(put_group(&one, "g", NAMES("cost.user"), NAMES("auditor"), NULL), RC_OK);
	assert_int_equal(set_access(&one, "cost.user", NAMES("operator"), NAMES("-hold.discard")), RC_OK);
	const char *secrets[] = {make_key(&one, "", "tenant", NAMES("message.read"))->secret,
				 make_key(&one, "cost.user", "person", NAMES("message.read"))->secret};
	for (int k = 0; k < 2; k++) {
		int64_t began = clock_wall_us();
		for (int i = 0; i < N; i++)
			use_key(secrets[k], audiences, 1, RC_OK);
		print_message("api_key, %s: %.0f microseconds\n", k == 0 ? "a tenant's own" : "a person's",
			      (double)(clock_wall_us() - began) / N);
	}
	Sekisho__Auth__KeyCreateReply *app = NULL;
	Sekisho__Auth__LoginReply *who = NULL;
	assert_int_equal(add_key(&one, APP, "cost.user", "phone", NULL, &app), RC_OK);
	assert_int_equal(login("cost.user", app->secret, &who), RC_OK);
	int64_t began = clock_wall_us();
	for (int i = 0; i < N; i++)
		assert_false(sender(who, "x@cost.example")->allowed);
	print_message("sender: %.0f microseconds\n", (double)(clock_wall_us() - began) / N);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_once),
	    cmocka_unit_test(test_rotate),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_cost),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
