/* SPDX-License-Identifier: MIT
 *
 * Logins at SMTP AUTH: people, application passwords, the lock, and what of it is on the record.
 */
#define TEST_DB "auth_login_test"
#include "testing.h"

static void
test_users(void **state)
{
	struct actor one = new_tenant("users one"), two = new_tenant("users two");
	assert_int_equal(add_domain(&platform, &one, "users-one.example", 1, true, NULL), RC_OK);
	assert_int_equal(add_user(&one, "Taro", "a good password", "taro@users-one.example", NULL), RC_OK);
	assert_int_equal(add_user(&one, "taro", "", NULL, NULL), RC_CONFLICT);
	assert_int_equal(add_user(&two, "TARO", "", NULL, NULL), RC_CONFLICT); /* one name space for SMTP AUTH */
	assert_int_equal(add_user(&two, "jiro", "", "jiro@users-one.example", NULL), RC_INVALID);
	assert_int_equal(add_user(&one, "jiro", "short", NULL, NULL), RC_INVALID);
	assert_int_equal(add_user(&one, "ji ro", "", NULL, NULL), RC_INVALID);
	assert_int_equal(add_user(&one, "jiro", "", "jiro", NULL), RC_INVALID);
	assert_int_equal(add_user(&platform, "jiro", "", NULL, NULL), RC_INVALID);
	assert_int_equal(add_user(&two, "jiro", "", NULL, NULL), RC_OK); /* what failed left nothing behind */
	assert_int_equal(count_rows("SELECT count(*) FROM auth.credential WHERE hash LIKE '%good%'"), 0);
}

static void
test_app_password(void **state)
{
	struct actor one = new_tenant("app one"), two = new_tenant("app two");
	Sekisho__Auth__KeyCreateReply *k = NULL;
	Sekisho__Auth__LoginReply *who = NULL;
	Sekisho__Auth__KeyRevokeRequest rq = SEKISHO__AUTH__KEY_REVOKE_REQUEST__INIT;
	Sekisho__Auth__KeyRevokeReply *rp = NULL;
	assert_int_equal(add_domain(&platform, &one, "app-one.example", 1, true, NULL), RC_OK);
	assert_int_equal(add_user(&one, "app.user", "", "Info@APP-one.example", NULL), RC_OK);
	assert_int_equal(add_key(&one, APP, "", "phone", NULL, &k), RC_INVALID);
	assert_int_equal(add_key(&one, APP, "app.user", "phone", "message.read", &k), RC_INVALID);
	assert_int_equal(add_key(&two, APP, "app.user", "phone", NULL, &k), RC_NOT_FOUND);
	assert_int_equal(add_key(&one, APP, "App.User", "phone", NULL, &k), RC_OK);
	assert_string_equal(k->login, "app.user");
	Sekisho__Auth__KeyCreateReply *twice = NULL;
	assert_int_equal(add_key(&one, APP, "app.user", "phone", NULL, &twice), RC_CONFLICT);

	assert_int_equal(login("APP.user", k->secret, &who), RC_OK);
	assert_memory_equal(who->tenant.data, one.tenant.b, 16);
	assert_memory_equal(who->credential.data, k->key_id.data, 16);
	assert_int_equal(login("nobody.at.all", k->secret, NULL), RC_DENIED);
	assert_int_equal(login("app.user", "no password set", NULL), RC_DENIED);
	use_key(k->secret, NULL, 0, RC_DENIED); /* no API key */

	Sekisho__Auth__SenderReply *s = sender(who, "Info@app-ONE.example");
	assert_true(s->allowed);
	assert_string_equal(s->account_name, "app.user");
	assert_int_equal(s->n_addresses, 1);
	assert_string_equal(s->addresses[0], "Info@app-one.example");
	static const char *const others[] = {"info@app-one.example",  "",    "x@app-one.example", "Info@other.example",
					     "Info@app-one.example.", "Info"};
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		s = sender(who, others[i]);
		if (s->allowed)
			fail_msg("\"%s\" was allowed", others[i]);
		assert_true(s->reason[0] != 0);
	}
	/* Nobody's business but the tenant's. */
	rq.key_id = k->key_id;
	assert_int_equal(ASK(key_revoke, &two, &rq, &rp), RC_NOT_FOUND);
	assert_int_equal(ASK(key_revoke, &one, &rq, &rp), RC_OK);
	assert_int_equal(ASK(key_revoke, &one, &rq, &rp), RC_NOT_FOUND);
	s = sender(who, "Info@app-one.example");
	assert_false(s->allowed);
	assert_string_equal(s->reason, "credential revoked");
	assert_int_equal(login("app.user", k->secret, NULL), RC_DENIED);
	assert_int_equal(add_key(&one, APP, "app.user", "phone", NULL, &twice), RC_OK);
	/* Another tenant's id beside the account's: nobody. */
	Sekisho__Auth__LoginReply forged = *who;
	forged.tenant = wire_id(&two.tenant);
	s = sender(&forged, "Info@app-one.example");
	assert_false(s->allowed);
	assert_int_equal(s->n_addresses, 0);
}

static void
test_lock(void **state)
{
	struct actor one = new_tenant("lock");
	Sekisho__Auth__KeyCreateReply *app = NULL;
	int64_t before = count_rows("SELECT count(*) FROM auth.audit_intent WHERE action = 'auth.login' AND "
				    "tenant <> '00000000-0000-0000-0000-000000000000'");
	assert_int_equal(add_user(&one, "lock.user", "the right password", NULL, NULL), RC_OK);
	assert_int_equal(add_key(&one, APP, "lock.user", "", NULL, &app), RC_OK);
	for (int i = 0; i < 2; i++)
		assert_int_equal(login("lock.user", "the wrong password", NULL), RC_DENIED);
	assert_int_equal(login("lock.user", "the right password", NULL), RC_OK); /* forgets the two */
	for (int i = 0; i < 3; i++)
		assert_int_equal(login("lock.user", "the wrong password", NULL), RC_DENIED);
	struct err wrong = err;
	assert_int_equal(login("lock.user", "the right password", NULL), RC_DENIED);
	assert_string_equal(err.text, wrong.text);
	assert_int_equal(login("nobody.here", "the right password", NULL), RC_DENIED);
	assert_string_equal(err.text, wrong.text);
	assert_int_equal(login("lock.user", app->secret, NULL), RC_OK);
	assert_int_equal(count_rows("SELECT count(*) FROM auth.account WHERE login = 'lock.user' AND failed = 3 "
				    "AND locked_until > now()"),
			 1);
	change_rows("UPDATE auth.account SET locked_until = now() - interval '1 s' WHERE login = 'lock.user'");
	assert_int_equal(login("lock.user", "the wrong password", NULL), RC_DENIED);
	assert_int_equal(count_rows("SELECT failed FROM auth.account WHERE login = 'lock.user' "
				    "AND locked_until IS NULL"),
			 1);
	assert_int_equal(login("lock.user", "the right password", NULL), RC_OK);
	assert_int_equal(count_rows("SELECT failed FROM auth.account WHERE login = 'lock.user'"), 0);
	/* 6 wrong ones, 1 during the lock, 2 that ended a series of wrong ones, 1 by the application password; nobody's
	 * stands under no tenant. */
	assert_int_equal(count_rows("SELECT count(*) FROM auth.audit_intent WHERE action = 'auth.login' AND "
				    "tenant <> '00000000-0000-0000-0000-000000000000'") -
			     before,
			 10);
	assert_int_equal(count_rows("SELECT count(*) FROM auth.audit_intent WHERE action = 'user.locked'"), 1);
	assert_int_equal(
	    count_rows("SELECT count(*) FROM auth.audit_intent WHERE position('password'::bytea IN detail) > 0 "
		       "AND position('the '::bytea IN detail) > 0"),
	    0);
}

static int64_t
logins(const char *whose, const char *detail)
{
	return count_rows(arena_printf(arena,
				       "SELECT count(*) FROM auth.audit_intent WHERE action = 'auth.login' AND "
				       "outcome = 'denied' AND tenant = %s AND position('%s'::bytea IN detail) > 0",
				       whose, detail));
}

/* What no lock ends can be tried in bulk: one entry for a source and a minute, and the rest counted. Failures that
 * count stay single, and the tenant sees its own. */
static void
test_in_bulk(void **state)
{
	static const char nil[] = "'00000000-0000-0000-0000-000000000000'",
			  mine[] = "(SELECT tenant FROM auth.directory_login WHERE login = 'bulk.user')",
			  gone[] = "(SELECT tenant FROM auth.directory_login WHERE login = 'bulk.gone')";
	struct actor one = new_tenant("bulk"), two = new_tenant("bulk two");
	record_stop(); /* a fresh minute */
	record_start(svc.db);
	int64_t unknown = logins(nil, "unknown login");
	assert_int_equal(add_user(&one, "bulk.user", "the right password", NULL, NULL), RC_OK);
	assert_int_equal(add_user(&two, "bulk.gone", "the right password", NULL, NULL), RC_OK);
	change_rows("UPDATE auth.account SET disabled_at = now() WHERE login = 'bulk.gone'");
	for (int i = 0; i < 30; i++) {
		assert_int_equal(login(arena_printf(arena, "bulk.nobody%d", i), "a password", NULL), RC_DENIED);
		assert_int_equal(login("bulk.gone", "the right password", NULL), RC_DENIED);
		assert_int_equal(login("bulk.user", "a wrong password", NULL), RC_DENIED);
	}
	assert_int_equal(logins(nil, "unknown login") - unknown, 1);
	assert_int_equal(logins(gone, "disabled"), 1);
	assert_int_equal(logins(mine, "wrong password"), 3); /* then comes the lock */
	assert_int_equal(logins(mine, "locked"), 1);
	record_stop(); /* as at the end of the process */
	record_start(svc.db);
	assert_int_equal(logins(nil, "unknown login") - unknown, 2);
	assert_int_equal(logins(nil, "\"unknown login\",\"count\":\"29\""), 1);
	assert_int_equal(logins(gone, "\"disabled\",\"count\":\"29\""), 1);
	assert_int_equal(logins(mine, "\"locked\",\"count\":\"26\""), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_users),
	    cmocka_unit_test(test_app_password),
	    cmocka_unit_test(test_lock),
	    cmocka_unit_test(test_in_bulk),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
