/* SPDX-License-Identifier: MIT
 *
 * Who may what against a real database: roles, groups, exceptions, what a key permits at this moment, that nobody gives
 * what he does not have, and that an administrator's last way in stays.
 */
#define TEST_DB "auth_access_test"
#include "testing.h"

static bool
may(const char *secret, const char *permission)
{
	struct actor a = actor_of(secret);
	return actor_may(&a, permission);
}

static void
test_roles(void **state)
{
	struct actor one = new_tenant("roles"), two = new_tenant("roles two");
	Sekisho__Auth__RolePutReply *p = NULL;
	Sekisho__Auth__RoleListRequest lq = SEKISHO__AUTH__ROLE_LIST_REQUEST__INIT;
	Sekisho__Auth__RoleListReply *list = NULL;
	Sekisho__Auth__RoleDeleteRequest dq = SEKISHO__AUTH__ROLE_DELETE_REQUEST__INIT;
	Sekisho__Auth__RoleDeleteReply *dp = NULL;
	assert_int_equal(put_role(&one, "\xe7\xb5\x8c\xe7\x90\x86", NAMES("queue.read", "message.read"), 0, true, &p),
			 RC_OK);
	assert_true(p->created);
	assert_int_equal(p->role->version, 1);
	assert_string_equal(p->role->permissions[0], "message.read"); /* in the order of the table */
	assert_int_equal(put_role(&one, "\xe7\xb5\x8c\xe7\x90\x86", NAMES("queue.read"), 0, true, &p), RC_CONFLICT);
	assert_int_equal(put_role(&one, "\xe7\xb5\x8c\xe7\x90\x86", NAMES("queue.read"), 7, false, &p), RC_CONFLICT);
	assert_string_equal(err.text, "version is 1");
	assert_int_equal(put_role(&one, "none", NAMES("queue.read"), 7, false, &p), RC_NOT_FOUND);
	int64_t before = count_rows("SELECT count(*) FROM auth.audit_intent WHERE action LIKE 'role.%'");
	assert_int_equal(put_role(&one, "\xe7\xb5\x8c\xe7\x90\x86", NAMES("message.read", "queue.read"), 1, false, &p),
			 RC_OK);
	assert_int_equal(p->role->version, 1); /* nothing changed */
	assert_int_equal(count_rows("SELECT count(*) FROM auth.audit_intent WHERE action LIKE 'role.%'"), before);
	assert_int_equal(put_role(&one, "\xe7\xb5\x8c\xe7\x90\x86", NAMES("queue.read"), 1, false, &p), RC_OK);
	assert_false(p->created);
	assert_int_equal(p->role->version, 2);
	assert_int_equal(put_role(&one, "Operator", NAMES("queue.read"), 0, false, &p), RC_CONFLICT);
	assert_int_equal(put_role(&one, "x", NAMES("no.such"), 0, false, &p), RC_INVALID);
	assert_int_equal(put_role(&one, "x", NAMES("platform.admin"), 0, false, &p), RC_DENIED);
	assert_int_equal(put_role(&one, "", NAMES("queue.read"), 0, false, &p), RC_INVALID);
	assert_int_equal(put_role(&one, "a\nb", NAMES("queue.read"), 0, false, &p), RC_INVALID);
	assert_int_equal(put_role(&platform, "x", NAMES("queue.read"), 0, false, &p), RC_INVALID);

	assert_int_equal(ASK(role_list, &one, &lq, &list), RC_OK);
	assert_int_equal(list->n_roles, 6);
	assert_true(list->roles[0]->built_in && !list->roles[5]->built_in);
	assert_int_equal(list->roles[0]->n_permissions, permission_count() - 1);
	assert_int_equal(ASK(role_list, &two, &lq, &list), RC_OK);
	assert_int_equal(list->n_roles, 5);

	dq.name = "\xe7\xb5\x8c\xe7\x90\x86";
	assert_int_equal(ASK(role_delete, &two, &dq, &dp), RC_NOT_FOUND);
	assert_int_equal(add_user(&one, "roles.user", "", NULL, NULL), RC_OK);
	assert_int_equal(set_access(&one, "roles.user", NAMES("\xe7\xb5\x8c\xe7\x90\x86"), NULL), RC_OK);
	assert_int_equal(ASK(role_delete, &one, &dq, &dp), RC_CONFLICT);
	assert_string_equal(err.text, "1 people and 0 groups have this role");
	assert_int_equal(set_access(&one, "roles.user", NULL, NULL), RC_OK);
	assert_int_equal(ASK(role_delete, &one, &dq, &dp), RC_OK);
	assert_int_equal(ASK(role_delete, &one, &dq, &dp), RC_NOT_FOUND);
	dq.name = "operator";
	assert_int_equal(ASK(role_delete, &one, &dq, &dp), RC_CONFLICT);
}

static const Sekisho__Auth__Effective *
effective(const struct actor *by, const char *login, const char *permission)
{
	Sekisho__Auth__UserPermissionsRequest q = SEKISHO__AUTH__USER_PERMISSIONS_REQUEST__INIT;
	Sekisho__Auth__UserPermissionsReply *p = NULL;
	q.id = get_user(by, login)->id;
	assert_int_equal(ASK(user_permissions, by, &q, &p), RC_OK);
	assert_int_equal(p->n_permissions, permission_count() - 1);
	for (size_t i = 0; i < p->n_permissions; i++)
		if (strcmp(p->permissions[i]->permission, permission) == 0)
			return p->permissions[i];
	fail_msg("%s is not there", permission);
	return NULL;
}

/* A person's key: its scopes and what the person may, at each request anew. */
static void
test_live(void **state)
{
	struct actor one = new_tenant("live");
	assert_int_equal(add_user(&one, "live.user", "", NULL, NULL), RC_OK);
	Sekisho__Auth__KeyCreateReply *k =
	    make_key(&one, "live.user", "all", NAMES("message.send", "message.read", "queue.read", "hold.release"));
	assert_true(may(k->secret, "message.send")); /* "member" */
	assert_false(may(k->secret, "message.read"));
	assert_int_equal(set_access(&one, "live.user", NAMES("operator"), NULL), RC_OK);
	assert_true(may(k->secret, "message.read") && may(k->secret, "hold.release"));
	assert_false(may(k->secret, "message.send"));
	assert_false(may(k->secret, "user.read")); /* the role has it, the key has not */
	assert_int_equal(set_access(&one, "live.user", NAMES("operator"), NAMES("-hold.release", "+message.send")),
			 RC_OK);
	assert_false(may(k->secret, "hold.release"));
	assert_true(may(k->secret, "message.send"));

	assert_int_equal(put_group(&one, "\xe7\xb5\x8c\xe7\x90\x86\xe9\x83\xa8", NAMES("live.user"),
				   NAMES("auditor", "operator"), NULL),
			 RC_OK);
	assert_int_equal(set_access(&one, "live.user", NULL, NAMES("-hold.release")), RC_OK);
	assert_true(may(k->secret, "queue.read")); /* by the group */
	assert_false(may(k->secret, "hold.release"));
	const Sekisho__Auth__Effective *x = effective(&one, "live.user", "hold.release");
	assert_false(x->allowed);
	assert_int_equal(x->n_why, 2);
	assert_string_equal(x->why[0], "role operator by group \xe7\xb5\x8c\xe7\x90\x86\xe9\x83\xa8");
	assert_string_equal(x->why[1], "exception: denied");
	x = effective(&one, "live.user", "audit.read");
	assert_true(x->allowed);
	x = effective(&one, "live.user", "policy.write");
	assert_false(x->allowed);
	assert_string_equal(x->why[0], "no role gives it");
	Sekisho__Auth__User *u = get_user(&one, "live.user");
	assert_int_equal(u->n_groups, 1);
	assert_int_equal(u->n_roles, 0);
	assert_true(u->exceptions[0]->deny);
	assert_int_equal(put_group(&one, "\xe7\xb5\x8c\xe7\x90\x86\xe9\x83\xa8", NULL, NAMES("auditor"), NULL), RC_OK);
	assert_false(may(k->secret, "queue.read"));
}

/* The SMTP door asks at each MAIL FROM. */
static void
test_live_by_smtp(void **state)
{
	struct actor one = new_tenant("smtp");
	Sekisho__Auth__KeyCreateReply *app = NULL;
	Sekisho__Auth__LoginReply *who = NULL;
	assert_int_equal(add_domain(&platform, &one, "smtp.example", 1, true, NULL), RC_OK);
	assert_int_equal(add_user(&one, "smtp.user", "", "s@smtp.example", NULL), RC_OK);
	assert_int_equal(add_key(&one, APP, "smtp.user", "phone", NULL, &app), RC_OK);
	assert_int_equal(login("smtp.user", app->secret, &who), RC_OK);
	assert_true(sender(who, "s@smtp.example")->allowed);
	assert_int_equal(set_access(&one, "smtp.user", NULL, NAMES("-message.send")), RC_OK);
	assert_false(sender(who, "s@smtp.example")->allowed);
	assert_string_equal(sender(who, "s@smtp.example")->reason, "permission message.send is missing");
	assert_int_equal(set_access(&one, "smtp.user", NAMES("operator"), NULL), RC_OK);
	assert_false(sender(who, "s@smtp.example")->allowed);
	assert_int_equal(set_access(&one, "smtp.user", NAMES("operator", "member"), NULL), RC_OK);
	assert_true(sender(who, "s@smtp.example")->allowed);
}

static void
test_groups(void **state)
{
	struct actor one = new_tenant("groups"), two = new_tenant("groups two");
	Sekisho__Auth__GroupListRequest lq = SEKISHO__AUTH__GROUP_LIST_REQUEST__INIT;
	Sekisho__Auth__GroupListReply *list = NULL;
	Sekisho__Auth__GroupDeleteRequest dq = SEKISHO__AUTH__GROUP_DELETE_REQUEST__INIT;
	Sekisho__Auth__GroupDeleteReply *dp = NULL;
	Sekisho__Auth__GroupPutReply *p = NULL;
	assert_int_equal(add_user(&one, "groups.a", "", NULL, NULL), RC_OK);
	assert_int_equal(add_user(&one, "groups.b", "", NULL, NULL), RC_OK);
	assert_int_equal(add_user(&two, "groups.c", "", NULL, NULL), RC_OK);
	assert_int_equal(put_group(&one, "g", NAMES("groups.b", "Groups.A", "groups.a"), NAMES("operator"), &p), RC_OK);
	assert_int_equal(p->group->n_members, 2);
	assert_string_equal(p->group->members[0], "groups.a");
	assert_int_equal(put_group(&one, "g", NAMES("groups.a", "groups.c"), NAMES("operator"), &p), RC_INVALID);
	struct err stranger = err;
	assert_int_equal(put_group(&one, "g", NAMES("groups.a", "groups.nobody"), NAMES("operator"), &p), RC_INVALID);
	assert_string_equal(err.text, stranger.text); /* another tenant's and nobody's look alike */
	assert_int_equal(put_group(&one, "g", NAMES("groups.a"), NAMES("no role"), &p), RC_INVALID);
	assert_int_equal(put_group(&one, "g", NAMES("groups.a"), NAMES("operator"), &p), RC_OK);
	assert_int_equal(p->group->version, 2);
	assert_int_equal(put_group(&one, "g", NAMES("groups.a"), NAMES("operator"), &p), RC_OK);
	assert_int_equal(p->group->version, 2);
	assert_int_equal(ASK(group_list, &one, &lq, &list), RC_OK);
	assert_int_equal(list->n_groups, 1);
	assert_string_equal(list->groups[0]->roles[0], "operator");
	assert_int_equal(ASK(group_list, &two, &lq, &list), RC_OK);
	assert_int_equal(list->n_groups, 0);
	dq.name = "g";
	assert_int_equal(ASK(group_delete, &two, &dq, &dp), RC_NOT_FOUND);
	dq.if_version = 1;
	assert_int_equal(ASK(group_delete, &one, &dq, &dp), RC_CONFLICT);
	assert_string_equal(err.text, "version is 2");
	dq.if_version = 2;
	assert_int_equal(ASK(group_delete, &one, &dq, &dp), RC_OK);
	assert_int_equal(get_user(&one, "groups.a")->n_groups, 0);
	assert_int_equal(ASK(group_delete, &one, &dq, &dp), RC_NOT_FOUND);
}

/* Somebody who manages people, with what belongs to it and no more. */
static void
test_gives_only_own(void **state)
{
	struct actor one = new_tenant("gives");
	Sekisho__Auth__KeyCreateReply *none = NULL;
	assert_int_equal(put_role(&one, "people",
				  NAMES("role.write", "user.read", "user.write", "key.write", "message.send"), 0, true,
				  NULL),
			 RC_OK);
	assert_int_equal(put_role(&one, "mail", NAMES("message.send"), 0, true, NULL), RC_OK);
	static const char *const logins[] = {"gives.hr", "gives.user", "gives.boss"};
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(add_user(&one, logins[i], "", NULL, NULL), RC_OK);
	assert_int_equal(set_access(&one, "gives.hr", NAMES("people"), NULL), RC_OK);
	assert_int_equal(set_access(&one, "gives.boss", NAMES("administrator"), NULL), RC_OK);
	const char *secret = make_key(&one, "gives.hr", "hr", every_permission())->secret;
	struct actor hr = actor_of(secret);
	assert_int_equal(hr.n_permissions, 5);

	assert_int_equal(set_access(&hr, "gives.user", NAMES("mail"), NULL), RC_OK);
	assert_int_equal(set_access(&hr, "gives.user", NAMES("people"), NULL), RC_OK);
	assert_int_equal(set_access(&hr, "gives.user", NAMES("operator"), NULL), RC_DENIED);
	assert_string_equal(err.text, "message.read is not yours to give");
	assert_int_equal(set_access(&hr, "gives.user", NAMES("no role"), NULL), RC_INVALID);
	assert_int_equal(set_access(&hr, "gives.user", NULL, NAMES("+policy.write")), RC_DENIED);
	/* Not even where a denial hides it for now, nor by lifting one. */
	assert_int_equal(set_access(&one, "gives.user", NAMES("mail"), NAMES("-queue.read")), RC_OK);
	assert_int_equal(put_role(&one, "queue", NAMES("queue.read"), 0, true, NULL), RC_OK);
	assert_int_equal(set_access(&hr, "gives.user", NAMES("mail", "queue"), NAMES("-queue.read")), RC_DENIED);
	assert_int_equal(set_access(&one, "gives.user", NAMES("mail", "queue"), NAMES("-queue.read")), RC_OK);
	assert_int_equal(set_access(&hr, "gives.user", NAMES("mail", "queue"), NULL), RC_DENIED);
	/* What somebody stronger has stays, and so does his password. */
	assert_int_equal(set_access(&hr, "gives.boss", NULL, NULL), RC_DENIED);
	Sekisho__Auth__UserUpdateRequest uq = SEKISHO__AUTH__USER_UPDATE_REQUEST__INIT;
	Sekisho__Auth__UserUpdateReply *up = NULL;
	uq.id = get_user(&one, "gives.boss")->id;
	uq.set_password = true;
	uq.password = "a good password";
	assert_int_equal(ASK(user_update, &hr, &uq, &up), RC_DENIED);
	uq.set_password = false;
	uq.disabled = true;
	assert_int_equal(ASK(user_update, &hr, &uq, &up), RC_DENIED);
	assert_int_equal(add_key(&hr, APP, "gives.boss", "phone", NULL, &none), RC_DENIED);
	assert_int_equal(add_key(&hr, API, "gives.boss", "k", "message.send", &none), RC_DENIED);
	assert_int_equal(add_key(&hr, API, "", "k", "policy.write", &none), RC_DENIED);
	assert_int_equal(add_key(&hr, API, "gives.hr", "k", "message.send", &none), RC_OK);
	/* Roles and groups. */
	assert_int_equal(put_role(&hr, "mail", NAMES("message.send", "queue.read"), 0, false, NULL), RC_DENIED);
	assert_int_equal(put_role(&hr, "queue", NULL, 0, false, NULL), RC_DENIED); /* nor taken away */
	assert_int_equal(put_role(&hr, "mail", NAMES("message.send", "key.write"), 0, false, NULL), RC_OK);
	assert_int_equal(put_group(&hr, "g", NAMES("gives.hr"), NAMES("administrator"), NULL), RC_DENIED);
	assert_int_equal(put_group(&one, "g", NULL, NAMES("administrator"), NULL), RC_OK);
	assert_int_equal(put_group(&hr, "g", NAMES("gives.hr"), NAMES("administrator"), NULL), RC_DENIED);
	assert_int_equal(put_group(&hr, "g", NULL, NULL, NULL), RC_DENIED);
	/* His own access does not grow by his own hand, whatever an old token says. */
	assert_int_equal(set_access(&hr, "gives.hr", NAMES("people", "queue"), NULL), RC_DENIED);
	assert_int_equal(set_access(&one, "gives.hr", NAMES("people"), NAMES("-message.send")), RC_OK);
	assert_int_equal(set_access(&hr, "gives.hr", NAMES("people"), NULL), RC_DENIED);
	assert_string_equal(err.text, "nobody's own access grows by his own hand");
	assert_int_equal(set_access(&hr, "gives.user", NULL, NULL), RC_DENIED);
	assert_int_equal(set_access(&one, "gives.hr", NAMES("mail"), NULL), RC_OK);
	assert_int_equal(add_key(&hr, API, "gives.hr", "late", "user.write", &none), RC_DENIED);
	assert_int_equal(put_role(&hr, "late", NAMES("user.write"), 0, false, NULL), RC_DENIED);
	assert_int_equal(count_rows("SELECT count(*) FROM auth.role WHERE name = 'late'"), 0);
}

/* --- the last way in -------------------------------------------------------------------------------------------- */
static const char last_words[] =
    "this would end the last administrator's access; make another key with every permission first";

static enum rc
end_own(const struct actor *by, const struct uuid *key)
{
	return end_key(by, wire_id(key));
}

static void
test_last_way_in(void **state)
{
	struct actor one = new_tenant("last");
	struct uuid first = one.account; /* the tenant's own key, which new_tenant() made */
	Sekisho__Auth__KeyCreateRequest q = SEKISHO__AUTH__KEY_CREATE_REQUEST__INIT;
	Sekisho__Auth__KeyCreateReply *p = NULL;
	assert_int_equal(end_own(&one, &first), RC_CONFLICT);
	assert_string_equal(err.text, last_words);
	make_key(&one, "", "nearly", NAMES("user.write", "role.write", "key.write"));
	assert_int_equal(end_own(&one, &first), RC_CONFLICT);
	/* A key that ends tomorrow does not do; one that ends in two weeks does. */
	q.name = "tomorrow";
	q.permissions = every_permission();
	q.n_permissions = count_names(q.permissions);
	q.expires_us = clock_wall_us() + INT64_C(86400000000);
	assert_int_equal(ASK(key_create, &one, &q, &p), RC_OK);
	assert_int_equal(end_own(&one, &first), RC_CONFLICT);

	/* A person's key does while the person is an administrator. */
	assert_int_equal(add_user(&one, "last.boss", "", NULL, NULL), RC_OK);
	make_key(&one, "last.boss", "boss", every_permission());
	assert_int_equal(end_own(&one, &first), RC_CONFLICT);
	assert_int_equal(put_group(&one, "bosses", NAMES("last.boss"), NAMES("administrator"), NULL), RC_OK);
	assert_int_equal(end_own(&one, &first), RC_OK);
	Sekisho__Auth__KeyListRequest lq = SEKISHO__AUTH__KEY_LIST_REQUEST__INIT;
	Sekisho__Auth__KeyListReply *list = NULL;
	assert_int_equal(ASK(key_list, &platform, &lq, &list), RC_OK); /* of the platform's own: none of ours */
	assert_int_equal(list->n_keys, 0);
	struct actor boss = one;
	Sekisho__Auth__User *u = get_user(&one, "last.boss");
	memcpy(boss.account.b, u->id.data, 16);
	/* Each way to end it. */
	assert_int_equal(put_group(&boss, "bosses", NULL, NAMES("administrator"), NULL), RC_CONFLICT);
	assert_string_equal(err.text, last_words);
	assert_int_equal(put_group(&boss, "bosses", NAMES("last.boss"), NAMES("operator"), NULL), RC_CONFLICT);
	Sekisho__Auth__GroupDeleteRequest dq = SEKISHO__AUTH__GROUP_DELETE_REQUEST__INIT;
	Sekisho__Auth__GroupDeleteReply *dp = NULL;
	dq.name = "bosses";
	assert_int_equal(ASK(group_delete, &boss, &dq, &dp), RC_CONFLICT);
	assert_int_equal(set_access(&boss, "last.boss", NULL, NAMES("-queue.read")), RC_CONFLICT);
	Sekisho__Auth__UserUpdateRequest uq = SEKISHO__AUTH__USER_UPDATE_REQUEST__INIT;
	Sekisho__Auth__UserUpdateReply *up = NULL;
	uq.id = u->id;
	uq.disabled = true;
	assert_int_equal(ASK(user_update, &boss, &uq, &up), RC_CONFLICT);
	assert_string_equal(err.text, last_words);
	assert_int_equal(get_user(&boss, "last.boss")->disabled_us, 0); /* nothing of it was done */
	assert_int_equal(put_role(&boss, "everything", every_permission(), 0, true, NULL), RC_OK);
	assert_int_equal(put_group(&boss, "bosses", NAMES("last.boss"), NAMES("everything"), NULL), RC_OK);
	assert_int_equal(put_role(&boss, "everything", NAMES("queue.read"), 0, false, NULL), RC_CONFLICT);
	assert_string_equal(err.text, last_words);

	/* The platform's key makes a tenant another, and nobody else does. */
	struct actor two = new_tenant("last two");
	q.tenant = wire_id(&one.tenant);
	q.name = "rescue";
	q.expires_us = 0;
	assert_int_equal(ASK(key_create, &two, &q, &p), RC_DENIED);
	assert_int_equal(ASK(key_create, &platform, &q, &p), RC_OK);
	struct actor rescued = actor_of(p->secret);
	assert_memory_equal(rescued.tenant.b, one.tenant.b, 16);
	assert_int_equal(rescued.n_permissions, permission_count() - 1);
	q.permissions = NAMES("platform.admin");
	q.n_permissions = 1;
	assert_int_equal(ASK(key_create, &platform, &q, &p), RC_DENIED);
	struct uuid nobody = {{1}};
	q.tenant = wire_id(&nobody);
	assert_int_equal(ASK(key_create, &platform, &q, &p), RC_NOT_FOUND);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_roles),	   cmocka_unit_test(test_live),
	    cmocka_unit_test(test_groups),	   cmocka_unit_test(test_live_by_smtp),
	    cmocka_unit_test(test_gives_only_own), cmocka_unit_test(test_last_way_in),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
