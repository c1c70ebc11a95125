/* SPDX-License-Identifier: MIT
 *
 * People changed, disabled, listed and searched; settings of a tenant; who asks; whom notify writes to.
 */
#define TEST_DB "auth_people_test"
#include "testing.h"

static Sekisho__Auth__UserUpdateRequest
as_it_is(const Sekisho__Auth__User *u)
{
	Sekisho__Auth__UserUpdateRequest q = SEKISHO__AUTH__USER_UPDATE_REQUEST__INIT;
	q.id = u->id;
	q.display_name = u->display_name;
	q.addresses = u->addresses;
	q.n_addresses = u->n_addresses;
	q.disabled = u->disabled_us != 0;
	q.password = "";
	return q;
}

static void
test_update(void **state)
{
	struct actor one = new_tenant("update"), two = new_tenant("update two");
	struct actor no_send = with_only(&one, "user.write", 0);
	Sekisho__Auth__UserUpdateReply *p = NULL;
	assert_int_equal(add_domain(&platform, &one, "update.example", 1, true, NULL), RC_OK);
	assert_int_equal(add_user(&one, "update.user", "a good password", "first@update.example", NULL), RC_OK);
	Sekisho__Auth__UserUpdateRequest q = as_it_is(get_user(&one, "update.user"));
	int64_t before = count_rows("SELECT count(*) FROM auth.audit_intent WHERE action LIKE 'user.%'");
	assert_int_equal(ASK(user_update, &one, &q, &p), RC_OK);
	assert_int_equal(p->user->version, 1); /* nothing changed: no version, no entry */
	assert_int_equal(count_rows("SELECT count(*) FROM auth.audit_intent WHERE action LIKE 'user.%'"), before);

	char *addresses[] = {"Second@Update.example", "first@update.example", "Second@update.example"};
	q.addresses = addresses;
	q.n_addresses = 3;
	q.display_name = "\xe4\xbd\x90\xe8\x97\xa4 \xe8\x8a\xb1\xe5\xad\x90";
	assert_int_equal(ASK(user_update, &no_send, &q, &p), RC_DENIED);
	assert_int_equal(ASK(user_update, &one, &q, &p), RC_OK);
	assert_int_equal(p->user->version, 2);
	assert_int_equal(p->user->n_addresses, 2);
	assert_string_equal(p->user->addresses[0], "Second@update.example"); /* in the order given */
	q.if_version = 1;
	assert_int_equal(ASK(user_update, &one, &q, &p), RC_CONFLICT);
	assert_string_equal(err.text, "version is 2");
	q.if_version = 2;
	addresses[0] = "x@elsewhere.example";
	assert_int_equal(ASK(user_update, &one, &q, &p), RC_INVALID);
	q.n_addresses = 0;
	assert_int_equal(ASK(user_update, &one, &q, &p), RC_OK);
	assert_int_equal(p->user->n_addresses, 0);

	/* Another tenant's and nobody's: one answer. */
	q.if_version = 0;
	assert_int_equal(ASK(user_update, &two, &q, &p), RC_NOT_FOUND);
	struct err theirs = err;
	struct uuid nobody = uuid_v7(clock_wall_us());
	q.id = wire_id(&nobody);
	assert_int_equal(ASK(user_update, &two, &q, &p), RC_NOT_FOUND);
	assert_string_equal(err.text, theirs.text);
}

/* A help desk gives nobody the address of somebody who may more: neither to a new person nor to one it manages. */
static void
test_addresses_of_stronger_people(void **state)
{
	struct actor one = new_tenant("holders");
	Sekisho__Auth__UserUpdateReply *p = NULL;
	assert_int_equal(add_domain(&platform, &one, "holders.example", 1, true, NULL), RC_OK);
	assert_int_equal(put_role(&one, "desk", NAMES("user.read", "user.write", "message.send"), 0, true, NULL),
			 RC_OK);
	assert_int_equal(add_user(&one, "holders.ceo", "", "ceo@holders.example", NULL), RC_OK);
	assert_int_equal(add_user(&one, "holders.desk", "", NULL, NULL), RC_OK);
	assert_int_equal(add_user(&one, "holders.weak", "", "info@holders.example", NULL), RC_OK);
	assert_int_equal(set_access(&one, "holders.ceo", NAMES("administrator"), NULL), RC_OK);
	assert_int_equal(set_access(&one, "holders.weak", NAMES("desk"), NAMES("-user.write")), RC_OK);
	assert_int_equal(set_access(&one, "holders.desk", NAMES("desk"), NULL), RC_OK);
	struct actor desk =
	    actor_of(make_key(&one, "holders.desk", "key", NAMES("user.read", "user.write", "message.send"))->secret);

	assert_int_equal(add_user(&desk, "holders.new", "", "ceo@holders.example", NULL), RC_DENIED);
	assert_non_null(strstr(err.text, "another person has such an address and may more than you: permission "));
	assert_int_equal(add_user(&desk, "holders.new", "", "CEO@holders.example", NULL), RC_DENIED);
	Sekisho__Auth__UserUpdateRequest q = as_it_is(get_user(&one, "holders.desk"));
	char *addresses[] = {"desk@holders.example", "Ceo@Holders.example"};
	q.addresses = addresses;
	q.n_addresses = 2;
	assert_int_equal(ASK(user_update, &desk, &q, &p), RC_DENIED);
	/* A disabled person's too: he may come back. */
	Sekisho__Auth__UserUpdateRequest off = as_it_is(get_user(&one, "holders.ceo"));
	off.disabled = true;
	assert_int_equal(ASK(user_update, &one, &off, &p), RC_OK);
	assert_int_equal(ASK(user_update, &desk, &q, &p), RC_DENIED);
	assert_int_equal(count_rows("SELECT count(*) FROM auth.address WHERE folded = 'ceo@holders.example'"), 1);

	/* Addresses that nobody has, or people who may no more. */
	addresses[1] = "info@holders.example";
	assert_int_equal(ASK(user_update, &desk, &q, &p), RC_OK);
	assert_int_equal(p->user->n_addresses, 2);
	assert_int_equal(add_user(&desk, "holders.new", "", "info@holders.example", NULL), RC_OK);
	/* An administrator may; and what is shared then stands in nobody's way who registers nothing new. */
	addresses[1] = "ceo@holders.example";
	assert_int_equal(ASK(user_update, &one, &q, &p), RC_OK);
	q.display_name = "Help desk";
	assert_int_equal(ASK(user_update, &desk, &q, &p), RC_OK);
	assert_string_equal(p->user->display_name, "Help desk");
}

static void
test_password_and_lock(void **state)
{
	struct actor one = new_tenant("password");
	Sekisho__Auth__UserUpdateReply *p = NULL;
	assert_int_equal(add_user(&one, "password.user", "the first password", NULL, NULL), RC_OK);
	Sekisho__Auth__UserUpdateRequest q = as_it_is(get_user(&one, "password.user"));
	assert_true(get_user(&one, "password.user")->has_password);
	q.set_password = true;
	q.password = "short";
	assert_int_equal(ASK(user_update, &one, &q, &p), RC_INVALID);
	q.password = "the second password";
	assert_int_equal(ASK(user_update, &one, &q, &p), RC_OK);
	assert_int_equal(login("password.user", "the first password", NULL), RC_DENIED);
	assert_int_equal(login("password.user", "the second password", NULL), RC_OK);
	for (int i = 0; i < 3; i++)
		assert_int_equal(login("password.user", "the wrong password", NULL), RC_DENIED);
	assert_int_equal(login("password.user", "the second password", NULL), RC_DENIED);
	assert_true(get_user(&one, "password.user")->locked_until_us > clock_wall_us());
	q.set_password = false;
	q.unlock = true;
	assert_int_equal(ASK(user_update, &one, &q, &p), RC_OK);
	assert_int_equal(p->user->locked_until_us, 0);
	assert_int_equal(login("password.user", "the second password", NULL), RC_OK);
	q.unlock = false;
	q.set_password = true;
	q.password = "";
	assert_int_equal(ASK(user_update, &one, &q, &p), RC_OK);
	assert_false(p->user->has_password);
	assert_int_equal(login("password.user", "the second password", NULL), RC_DENIED);
	static const char *const actions[] = {"user.locked", "user.unlocked"};
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(count_rows(arena_printf(
				     arena, "SELECT count(*) FROM auth.audit_intent WHERE action = '%s'", actions[i])),
				 1);
	assert_int_equal(count_rows("SELECT count(*) FROM auth.audit_intent WHERE action = 'user.password_set'"), 2);
	assert_int_equal(
	    count_rows("SELECT count(*) FROM auth.audit_intent WHERE position('second'::bytea IN detail) > 0"), 0);
}

static void
test_disable(void **state)
{
	struct actor one = new_tenant("disable");
	Sekisho__Auth__KeyCreateReply *app = NULL;
	Sekisho__Auth__LoginReply *who = NULL;
	Sekisho__Auth__UserUpdateReply *p = NULL;
	assert_int_equal(add_domain(&platform, &one, "disable.example", 1, true, NULL), RC_OK);
	assert_int_equal(add_user(&one, "disable.user", "a good password", "d@disable.example", NULL), RC_OK);
	assert_int_equal(add_key(&one, APP, "disable.user", "phone", NULL, &app), RC_OK);
	const char *secret = make_key(&one, "disable.user", "key", NAMES("message.send"))->secret;
	assert_int_equal(login("disable.user", app->secret, &who), RC_OK);
	assert_true(sender(who, "d@disable.example")->allowed);
	Sekisho__Auth__UserUpdateRequest q = as_it_is(get_user(&one, "disable.user"));
	q.disabled = true;
	assert_int_equal(ASK(user_update, &one, &q, &p), RC_OK);
	assert_true(p->user->disabled_us > 0);
	assert_false(p->user->has_password);
	use_key(secret, NULL, 0, RC_DENIED);
	assert_int_equal(login("disable.user", "a good password", NULL), RC_DENIED);
	assert_int_equal(login("disable.user", app->secret, NULL), RC_DENIED);
	assert_false(sender(who, "d@disable.example")->allowed); /* a session that is open */
	Sekisho__Auth__UserPermissionsRequest pq = SEKISHO__AUTH__USER_PERMISSIONS_REQUEST__INIT;
	Sekisho__Auth__UserPermissionsReply *pp = NULL;
	pq.id = q.id;
	assert_int_equal(ASK(user_permissions, &one, &pq, &pp), RC_OK);
	for (size_t i = 0; i < pp->n_permissions; i++)
		assert_false(pp->permissions[i]->allowed);
	q.set_password = true;
	q.password = "another password";
	assert_int_equal(ASK(user_update, &one, &q, &p), RC_INVALID);
	/* What ended does not come back. */
	q.set_password = false;
	q.disabled = false;
	assert_int_equal(ASK(user_update, &one, &q, &p), RC_OK);
	assert_int_equal(p->user->disabled_us, 0);
	use_key(secret, NULL, 0, RC_DENIED);
	assert_int_equal(login("disable.user", "a good password", NULL), RC_DENIED);
	assert_int_equal(
	    count_rows("SELECT count(*) FROM auth.audit_intent WHERE action IN ('user.disabled', 'user.enabled')"), 2);
}

static Sekisho__Auth__UserListReply *
list(const struct actor *by, const char *search, uint32_t limit, const char *cursor, enum rc want)
{
	Sekisho__Auth__UserListRequest q = SEKISHO__AUTH__USER_LIST_REQUEST__INIT;
	Sekisho__Auth__UserListReply *p = NULL;
	q.search = (char *)(uintptr_t)search;
	q.limit = limit;
	q.cursor = (char *)(uintptr_t)cursor;
	assert_int_equal(ASK(user_list, by, &q, &p), want);
	return p;
}

static void
test_list(void **state)
{
	struct actor one = new_tenant("list"), two = new_tenant("list two");
	assert_int_equal(add_domain(&platform, &one, "list.example", 1, true, NULL), RC_OK);
	for (int i = 0; i < 25; i++)
		assert_int_equal(add_user(&one, arena_printf(arena, "list%02d", i), "",
					  arena_printf(arena, "Mail%02d@list.example", i), NULL),
				 RC_OK);
	assert_int_equal(add_user(&two, "list99", "", NULL, NULL), RC_OK);
	const char *cursor = "";
	int seen = 0, pages = 0;
	do {
		Sekisho__Auth__UserListReply *p = list(&one, "", 10, cursor, RC_OK);
		for (size_t i = 0; i < p->n_users; i++)
			assert_string_equal(p->users[i]->login, arena_printf(arena, "list%02d", seen++));
		cursor = p->next_cursor;
		pages++;
	} while (cursor[0] != 0);
	assert_int_equal(seen, 25);
	assert_int_equal(pages, 3);
	static const struct {
		const char *search;
		size_t n;
	} t[] = {
	    {"list0", 10}, {"LIST0", 10},
	    {"mail2", 5},  {"MAIL24@LIST.example", 1},
	    {"list99", 0}, {"mail24@list.examplex", 0},
	    {"x", 0},	   {"%", 0},
	    {"'", 0},	   {"\xe8\x8a\xb1", 0},
	    {"l", 25},	   {"\x7f", 0},
	    {" ", 0},
	};
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++)
		if (list(&one, t[i].search, 200, "", RC_OK)->n_users != t[i].n)
			fail_msg("\"%s\"", t[i].search);
	Sekisho__Auth__UserListReply *p = list(&one, "mail0", 4, "", RC_OK);
	assert_int_equal(p->n_users, 4);
	p = list(&one, "mail0", 200, p->next_cursor, RC_OK);
	assert_int_equal(p->n_users, 6);
	assert_string_equal(p->users[0]->login, "list04");
	list(&one, "", 201, "", RC_INVALID);
	list(&one, "", 1, "not a cursor", RC_INVALID);
	assert_int_equal(list(&two, "", 0, "", RC_OK)->n_users, 1);
	Sekisho__Auth__UserGetRequest q = SEKISHO__AUTH__USER_GET_REQUEST__INIT;
	Sekisho__Auth__UserGetReply *g = NULL;
	q.login = "list99";
	assert_int_equal(ASK(user_get, &one, &q, &g), RC_NOT_FOUND);
	struct err theirs = err;
	q.login = "nobody";
	assert_int_equal(ASK(user_get, &one, &q, &g), RC_NOT_FOUND);
	assert_string_equal(err.text, theirs.text);
}

static void
test_tenant_settings(void **state)
{
	struct actor one = new_tenant("settings");
	Sekisho__Auth__TenantGetRequest gq = SEKISHO__AUTH__TENANT_GET_REQUEST__INIT;
	Sekisho__Auth__TenantGetReply *g = NULL;
	Sekisho__Auth__TenantUpdateRequest q = SEKISHO__AUTH__TENANT_UPDATE_REQUEST__INIT;
	Sekisho__Auth__TenantUpdateReply *p = NULL;
	assert_int_equal(ASK(tenant_get, &one, &gq, &g), RC_OK);
	assert_string_equal(g->tenant->language, "ja");
	assert_true(g->tenant->head_mail && !g->tenant->sandbox);
	q.name = "settings";
	q.language = "ja";
	q.head_mail = true;
	assert_int_equal(ASK(tenant_update, &one, &q, &p), RC_OK);
	assert_int_equal(p->tenant->version, 1);
	q.language = "en";
	q.head_mail = false;
	q.if_version = 1;
	assert_int_equal(ASK(tenant_update, &one, &q, &p), RC_OK);
	assert_int_equal(p->tenant->version, 2);
	assert_int_equal(ASK(tenant_update, &one, &q, &p), RC_CONFLICT);
	assert_string_equal(err.text, "version is 2");
	q.language = "fr";
	assert_int_equal(ASK(tenant_update, &one, &q, &p), RC_INVALID);
	q.language = "en";
	q.name = "";
	assert_int_equal(ASK(tenant_update, &one, &q, &p), RC_INVALID);
	assert_int_equal(ASK(tenant_get, &platform, &gq, &g), RC_NOT_FOUND);
	assert_int_equal(ASK(tenant_get, &one, &gq, &g), RC_OK);
	assert_string_equal(g->tenant->language, "en");

	Sekisho__Auth__WhoRequest wq = SEKISHO__AUTH__WHO_REQUEST__INIT;
	Sekisho__Auth__WhoReply *w = NULL;
	assert_int_equal(ASK(who, &one, &wq, &w), RC_OK);
	assert_string_equal(w->tenant_name, "settings");
	assert_int_equal(w->n_permissions, permission_count() - 1);
	assert_int_equal(ASK(who, &platform, &wq, &w), RC_OK);
	assert_int_equal(w->tenant.len, 0);
}

static void
test_contacts(void **state)
{
	struct actor one = new_tenant("contacts");
	Sekisho__Auth__ContactsRequest q = SEKISHO__AUTH__CONTACTS_REQUEST__INIT;
	Sekisho__Auth__ContactsReply *p = NULL;
	static const char *const people[] = {"admin", "auditor", "plain", "denied", "gone"};
	assert_int_equal(add_domain(&platform, &one, "contacts.example", 1, true, NULL), RC_OK);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(add_user(&one, arena_printf(arena, "contacts.%s", people[i]), "",
					  arena_printf(arena, "%s@contacts.example", people[i]), NULL),
				 RC_OK);
	assert_int_equal(set_access(&one, "contacts.admin", NAMES("administrator"), NULL), RC_OK);
	assert_int_equal(put_group(&one, "audit", NAMES("contacts.auditor"), NAMES("auditor"), NULL), RC_OK);
	assert_int_equal(set_access(&one, "contacts.denied", NAMES("administrator"), NAMES("-audit.read")), RC_OK);
	assert_int_equal(set_access(&one, "contacts.gone", NAMES("administrator"), NULL), RC_OK);
	Sekisho__Auth__UserUpdateRequest uq = as_it_is(get_user(&one, "contacts.gone"));
	Sekisho__Auth__UserUpdateReply *up = NULL;
	uq.disabled = true;
	assert_int_equal(ASK(user_update, &one, &uq, &up), RC_OK);
	asked_for = one.tenant;
	q.permission = "audit.read";
	assert_int_equal(ASK(contacts, NULL, &q, &p), RC_OK);
	assert_int_equal(p->n_addresses, 2);
	assert_string_equal(p->addresses[0], "admin@contacts.example");
	assert_string_equal(p->addresses[1], "auditor@contacts.example");
	assert_string_equal(p->language, "ja");
	q.permission = "message.send"; /* "member" has it */
	assert_int_equal(ASK(contacts, NULL, &q, &p), RC_OK);
	assert_int_equal(p->n_addresses, 3);
	q.permission = "no.such";
	assert_int_equal(ASK(contacts, NULL, &q, &p), RC_INVALID);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_update),
	    cmocka_unit_test(test_password_and_lock),
	    cmocka_unit_test(test_disable),
	    cmocka_unit_test(test_list),
	    cmocka_unit_test(test_tenant_settings),
	    cmocka_unit_test(test_contacts),
	    cmocka_unit_test(test_addresses_of_stronger_people),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
