/* SPDX-License-Identifier: MIT
 *
 * API keys: what they permit, who may make, rotate and end them, and the platform's first one.
 */
#define TEST_DB "auth_key_test"
#include "testing.h"

/* Permissions that make or end credentials never become the permission to send, nor anything else their holder has not.
 */
static void
test_no_stronger(void **state)
{
	struct actor one = new_tenant("stronger"), keys = with_only(&one, "key.write", 0),
		     users = with_only(&one, "user.write", 0);
	Sekisho__Auth__KeyCreateReply *app = NULL, *strong = NULL, *weak = NULL, *none = NULL;
	assert_int_equal(add_domain(&platform, &one, "stronger.example", 1, true, NULL), RC_OK);
	assert_int_equal(add_user(&one, "strong.user", "", "s@stronger.example", NULL), RC_OK);
	assert_int_equal(add_key(&keys, APP, "strong.user", "phone", NULL, &none), RC_DENIED);
	assert_string_equal(err.text, "permission message.send is missing");
	assert_int_equal(add_user(&users, "second.user", "a good password", "t@stronger.example", NULL), RC_DENIED);
	assert_int_equal(add_user(&users, "second.user", "", "t@stronger.example", NULL), RC_DENIED);
	assert_int_equal(add_user(&users, "second.user", "a good password", NULL, NULL),
			 RC_OK); /* no address: no mail */

	assert_int_equal(add_key(&one, APP, "strong.user", "phone", NULL, &app), RC_OK);
	assert_int_equal(add_key(&one, API, "", "strong", "policy.write", &strong), RC_OK);
	assert_int_equal(add_key(&keys, API, "", "weak", "key.write", &weak), RC_OK);
	assert_int_equal(end_key(&keys, app->key_id), RC_DENIED);
	assert_int_equal(end_key(&keys, strong->key_id), RC_DENIED);
	use_key(strong->secret, NULL, 0, RC_OK);
	assert_int_equal(end_key(&keys, weak->key_id), RC_OK);
	assert_int_equal(end_key(&one, strong->key_id), RC_OK);
	assert_int_equal(end_key(&one, app->key_id), RC_OK);
}

static enum rc
add_key_until(const struct actor *by, int64_t expires_us, Sekisho__Auth__KeyCreateReply **p)
{
	Sekisho__Auth__KeyCreateRequest q = SEKISHO__AUTH__KEY_CREATE_REQUEST__INIT;
	char name[32], *permission = "key.write";
	static int n;
	snprintf(name, sizeof(name), "until %d", ++n);
	q.name = name;
	q.login = "";
	q.permissions = &permission;
	q.n_permissions = 1;
	q.expires_us = expires_us;
	return ASK(key_create, by, &q, p);
}

static int64_t
key_expires(const Sekisho__Auth__KeyCreateReply *k)
{
	char *audience = "auth";
	struct actor a;
	Sekisho__Auth__ApiKeyReply *p = use_key(k->secret, &audience, 1, RC_OK);
	struct bytes token = bytes_of(p->tokens[0]->token.data, p->tokens[0]->token.len);
	assert_int_equal(actor_verify(svc.actors, token, "auth", clock_wall_us(), arena, &a, NULL), RC_OK);
	return a.key_expires_us;
}

static void
test_no_longer(void **state)
{
	const int64_t hour = INT64_C(3600000000), until = clock_wall_us() + hour;
	struct actor one = new_tenant("longer"), ending = with_only(&one, "key.write", until);
	Sekisho__Auth__KeyCreateReply *k = NULL;
	assert_int_equal(add_key_until(&one, 0, &k), RC_OK);
	assert_int_equal(key_expires(k), 0);
	assert_int_equal(add_key_until(&ending, 0, &k), RC_OK);
	assert_int_equal(key_expires(k), until);
	assert_int_equal(add_key_until(&ending, until - hour / 2, &k), RC_OK);
	assert_int_equal(key_expires(k), until - hour / 2);
	assert_int_equal(add_key_until(&ending, until + 1, &k), RC_DENIED);
	assert_string_equal(err.text, "your own key expires before that");
}

static void
test_keys(void **state)
{
	struct actor one = new_tenant("keys"), weak;
	char *audiences[] = {"auth", "ingest", "delivery"};
	Sekisho__Auth__KeyCreateReply *k = NULL;
	assert_int_equal(add_domain(&platform, &one, "keys.example", 1, true, NULL), RC_OK);
	assert_int_equal(add_user(&one, "keys.user", "", "a@keys.example", NULL), RC_OK);
	assert_int_equal(add_key(&one, API, "", "reader", "message.read", &k), RC_OK);
	Sekisho__Auth__ApiKeyReply *r = use_key(k->secret, audiences, 3, RC_OK);
	assert_int_equal(r->n_tokens, 3);
	assert_int_equal(r->n_permissions, 1);
	assert_string_equal(r->permissions[0], "message.read");
	assert_string_equal(r->account_name, "reader");
	for (size_t i = 0; i < 3; i++) {
		struct bytes token = bytes_of(r->tokens[i]->token.data, r->tokens[i]->token.len);
		assert_int_equal(actor_verify(svc.actors, token, audiences[i], clock_wall_us(), arena, &weak, NULL),
				 RC_OK);
		assert_int_equal(actor_verify(svc.actors, token, "policy", clock_wall_us(), arena, &weak, NULL),
				 RC_DENIED);
	}
	assert_int_equal(add_key(&weak, API, "", "stronger", "key.write", &k), RC_DENIED);
	assert_int_equal(add_key(&one, API, "", "all", "platform.admin", &k), RC_DENIED);
	assert_int_equal(add_key(&one, API, "", "", "message.read", &k), RC_INVALID);
	assert_int_equal(add_key(&one, API, "", "none", NULL, &k), RC_INVALID);
	char *bad[] = {"auth.x"};
	Sekisho__Auth__ApiKeyRequest q = SEKISHO__AUTH__API_KEY_REQUEST__INIT;
	assert_int_equal(add_key(&one, API, "keys.user", "sender", "message.send", &k), RC_OK);
	q.key = k->secret;
	q.audiences = bad;
	q.n_audiences = 1;
	assert_int_equal(ASK(api_key, NULL, &q, &r), RC_INVALID);

	/* A submission by api: the token stands for account and credential. */
	r = use_key(k->secret, audiences, 3, RC_OK);
	assert_string_equal(r->account_name, "keys.user");
	Sekisho__Auth__SenderRequest sq = SEKISHO__AUTH__SENDER_REQUEST__INIT;
	Sekisho__Auth__SenderReply *s = NULL;
	sq.address = "a@keys.example";
	sq.actor_token = r->tokens[1]->token;
	assert_int_equal(ASK(sender, NULL, &sq, &s), RC_OK);
	assert_true(s->allowed);
	assert_memory_equal(s->account.data, r->account.data, 16);
	sq.actor_token = r->tokens[2]->token; /* for delivery */
	assert_int_equal(ASK(sender, NULL, &sq, &s), RC_DENIED);

	/* Wrong in one digit, well formed but unknown, expired. */
	char *wrong = arena_strdup(arena, k->secret);
	wrong[20] = wrong[20] == 'a' ? 'b' : 'a';
	use_key(wrong, NULL, 0, RC_DENIED);
	use_key("", NULL, 0, RC_DENIED);
	use_key("skapi_000000000000000000000000000000000", NULL, 0, RC_DENIED);
	change_rows("UPDATE auth.credential SET expires_at = now() - interval '1 s' WHERE name = 'sender'");
	use_key(k->secret, NULL, 0, RC_DENIED);
	assert_int_equal(count_rows("SELECT count(*) FROM auth.audit_intent WHERE action = 'auth.api_key' "
				    "AND position('\"expired\"'::bytea IN detail) > 0 AND source = '192.0.2.1'"),
			 1);
}

static void
test_bootstrap(void **state)
{
	char key[128] = {0}, *audience = "auth";
	struct stat st;
	assert_int_equal(auth_make_platform_key(svc.db, key_path, false, NULL), RC_OK);
	assert_int_equal(stat(key_path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	FILE *f = fopen(key_path, "r");
	assert_non_null(fgets(key, sizeof(key), f));
	fclose(f);
	key[strcspn(key, "\n")] = 0;
	Sekisho__Auth__ApiKeyReply *r = use_key(key, &audience, 1, RC_OK);
	assert_int_equal(r->tenant.len, 0);
	assert_int_equal(r->n_permissions, permission_count());
	assert_int_equal(auth_make_platform_key(svc.db, key_path, false, NULL), RC_CONFLICT);
	use_key(key, &audience, 1, RC_OK);
	assert_int_equal(auth_make_platform_key(svc.db, "/nonexistent/key", true, NULL),
			 RC_INVALID); /* nothing happened */
	use_key(key, &audience, 1, RC_OK);
	assert_int_equal(auth_make_platform_key(svc.db, key_path, true, NULL), RC_OK);
	use_key(key, &audience, 1, RC_DENIED);
	assert_int_equal(
	    count_rows("SELECT count(*) FROM auth.audit_intent WHERE action = 'key.created' AND actor = 'system'"), 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_no_stronger),
	    cmocka_unit_test(test_no_longer),
	    cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_bootstrap),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
