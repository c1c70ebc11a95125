/* SPDX-License-Identifier: MIT
 *
 * The handlers against a real database, as the role sekisho_auth (tools/with-postgres.sh gives SEKISHO_TEST_DB): what a
 * caller sees, and what stands in the tables afterwards. The bus is not needed: handlers take decoded requests.
 */
#include "auth.h"

#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "auth_store.h"
#include "core/clock.h"
#include "password.h"
#include "permission.h"
#include "wire.h"

#define MS 20000
typedef enum rc (*handler)(const struct svc_request *r, struct buf *reply, struct err *e);

static char dir[] = "/tmp/sekisho-auth-XXXXXX", private_pem[64], public_pem[64], key_path[64];
static struct db_pool *admin;
static struct svc svc;
static struct arena *arena;
static struct actor platform = {.name = "platform", .from = "192.0.2.9"};
static struct err err;

static void *
take(void *a, size_t n)
{
	return arena_alloc(a, n);
}

static void
leave(void *a, void *p)
{
}

/* Encode, handle, decode: as the bus would. */
static enum rc
ask(handler h, const struct actor *actor, const void *question, const ProtobufCMessageDescriptor *d, void *reply_r)
{
	struct buf in, out;
	buf_init(&in, 0);
	buf_init(&out, 0);
	uint8_t *p = buf_reserve(&in, protobuf_c_message_get_packed_size(question));
	in.n = protobuf_c_message_pack(question, p);
	struct bus_incoming incoming = {
	    .traceparent = "00-00000000000000000000000000000001-0000000000000002-01",
	    .payload = buf_bytes(&in),
	    .deadline_ms = clock_mono_ms() + MS,
	    .arena = arena,
	};
	struct svc_request r = {.svc = &svc, .in = &incoming, .actor = actor};
	err = (struct err){0};
	enum rc rc = h(&r, &out, &err);
	if (rc == RC_OK) {
		ProtobufCAllocator alloc = {take, leave, arena};
		ProtobufCMessage *m = protobuf_c_message_unpack(d, &alloc, out.n, out.p);
		assert_non_null(m);
		memcpy(reply_r, &m, sizeof(m));
	} else {
		assert_int_equal(out.n, 0);
	}
	buf_done(&in);
	buf_done(&out);
	return rc;
}
#define ASK(name, actor, q, reply)                                                                                     \
	ask(auth_handle_##name, (actor), (q), &sekisho__auth__##name##_reply__descriptor, (reply))

static int64_t
count_rows(const char *sql)
{
	struct db_tx *tx = NULL;
	struct db_rows *rows = NULL;
	struct err e = {0};
	if (db_begin(admin, NULL, clock_mono_ms() + MS, &tx, &e) != RC_OK ||
	    db_query(tx, sql, NULL, &rows, &e) != RC_OK)
		fail_msg("%s", e.text);
	assert_true(db_rows_next(rows));
	int64_t n = db_int(rows, 0);
	db_rows_free(&rows);
	db_end(&tx);
	return n;
}

static void
change_rows(const char *sql)
{
	struct db_tx *tx = NULL;
	int64_t n = 0;
	struct err e = {0};
	if (db_begin(admin, NULL, clock_mono_ms() + MS, &tx, &e) != RC_OK ||
	    db_exec_count(tx, sql, NULL, &n, &e) != RC_OK || db_commit(&tx, &e) != RC_OK)
		fail_msg("%s", e.text);
	assert_true(n > 0);
}

static void
write_keys(void)
{
	EVP_PKEY *k = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	FILE *f = fopen(private_pem, "w");
	PEM_write_PrivateKey(f, k, NULL, NULL, 0, NULL, NULL);
	fclose(f);
	chmod(private_pem, 0600);
	f = fopen(public_pem, "w");
	PEM_write_PUBKEY(f, k);
	fclose(f);
	EVP_PKEY_free(k);
}

static int
setup(void **state)
{
	const char *conninfo = getenv("SEKISHO_TEST_DB");
	char command[1200], as_admin[512], as_auth[512];
	if (conninfo == NULL) {
		fprintf(stderr, "SEKISHO_TEST_DB is not set: run by tools/with-postgres.sh\n");
		return 1;
	}
	snprintf(as_admin, sizeof(as_admin), "%s dbname=auth_test", conninfo);
	snprintf(as_auth, sizeof(as_auth), "%s dbname=auth_test user=sekisho_auth", conninfo);
	snprintf(command, sizeof(command),
		 "psql -qX \"%s\" -v ON_ERROR_STOP=1 -c 'CREATE DATABASE auth_test OWNER sekisho_owner' && "
		 "psql -qX \"%s\" -v ON_ERROR_STOP=1 -o /dev/null -c 'SET ROLE sekisho_owner' "
		 "-f libs/db/migrations/0001_base.sql -f services/auth/migrations/0001_auth.sql",
		 conninfo, as_admin);
	if (system(command) != 0 || mkdtemp(dir) == NULL)
		return 1;
	snprintf(private_pem, sizeof(private_pem), "%s/a.key", dir);
	snprintf(public_pem, sizeof(public_pem), "%s/a.pub", dir);
	snprintf(key_path, sizeof(key_path), "%s/platform.key", dir);
	write_keys();
	struct db_options o = {.conninfo = as_auth, .size = 4, .intent_sql = DB_INTENT_SQL("auth")};
	struct db_options oa = {.conninfo = as_admin, .size = 1};
	svc.name = "auth";
	arena = arena_new();
	permission_split(permission_all(arena, true), &platform);
	auth.lock_after = 3;
	auth.lock_ms = 60000;
	auth.dns_ms = 5000;
	auth.dns_server = auth.dns_anchor = "";
	return db_pool_new(&o, &svc.db, NULL) != RC_OK || db_pool_new(&oa, &admin, NULL) != RC_OK ||
	       actor_signer_open(private_pem, &auth.signer, NULL) != RC_OK ||
	       actor_verifier_open(public_pem, &svc.actors, NULL) != RC_OK ||
	       password_setup(&(struct password_cost){1, 8192, 2}, NULL) != RC_OK;
}

static int
teardown(void **state)
{
	password_done();
	actor_signer_free(&auth.signer);
	actor_verifier_free(&svc.actors);
	db_pool_free(&svc.db);
	db_pool_free(&admin);
	arena_free(&arena);
	unlink(private_pem);
	unlink(public_pem);
	unlink(key_path);
	return rmdir(dir);
}

/* --- short words for what most tests need -------------------------------------------------------------------- */
static Sekisho__Auth__ApiKeyReply *
use_key(const char *key, char **audiences, size_t n, enum rc want)
{
	Sekisho__Auth__ApiKeyRequest q = SEKISHO__AUTH__API_KEY_REQUEST__INIT;
	Sekisho__Auth__ApiKeyReply *p = NULL;
	q.key = (char *)(uintptr_t)key;
	q.client_ip = "192.0.2.1";
	q.request_id = "r1";
	q.audiences = audiences;
	q.n_audiences = n;
	assert_int_equal(ASK(api_key, NULL, &q, &p), want);
	return p;
}

/* A new tenant, and its administrator as its key says. */
static struct actor
new_tenant(const char *name)
{
	Sekisho__Auth__TenantCreateRequest q = SEKISHO__AUTH__TENANT_CREATE_REQUEST__INIT;
	Sekisho__Auth__TenantCreateReply *p = NULL;
	char *audience = "auth";
	struct actor a;
	q.name = (char *)(uintptr_t)name;
	if (ASK(tenant_create, &platform, &q, &p) != RC_OK)
		fail_msg("%s", err.text);
	Sekisho__Auth__ApiKeyReply *k = use_key(p->admin_key, &audience, 1, RC_OK);
	struct bytes token = bytes_of(k->tokens[0]->token.data, k->tokens[0]->token.len);
	assert_int_equal(actor_verify(svc.actors, token, "auth", clock_wall_us(), arena, &a, NULL), RC_OK);
	assert_memory_equal(a.tenant.b, p->tenant.data, 16);
	return a;
}

static enum rc
add_domain(const struct actor *by, const struct actor *whose, const char *name, Sekisho__Auth__Class class,
	   bool assert_, Sekisho__Auth__DomainAddReply **p)
{
	Sekisho__Auth__DomainAddRequest q = SEKISHO__AUTH__DOMAIN_ADD_REQUEST__INIT;
	Sekisho__Auth__DomainAddReply *none = NULL;
	q.name = (char *)(uintptr_t)name;
	q.class_ = class;
	q.assert_proven = assert_;
	if (whose != NULL)
		q.tenant = wire_id(&whose->tenant);
	return ASK(domain_add, by, &q, p != NULL ? p : &none);
}

static enum rc
add_user(const struct actor *by, const char *login, const char *password, const char *address,
	 Sekisho__Auth__UserCreateReply **p)
{
	Sekisho__Auth__UserCreateRequest q = SEKISHO__AUTH__USER_CREATE_REQUEST__INIT;
	Sekisho__Auth__UserCreateReply *none = NULL;
	char *addresses[] = {(char *)(uintptr_t)address};
	q.login = (char *)(uintptr_t)login;
	q.display_name = "Sat\xc5\x8d Hanako";
	q.password = (char *)(uintptr_t)password;
	q.addresses = addresses;
	q.n_addresses = address != NULL ? 1 : 0;
	return ASK(user_create, by, &q, p != NULL ? p : &none);
}

static enum rc
add_key(const struct actor *by, int kind, const char *login, const char *name, char *permission,
	Sekisho__Auth__KeyCreateReply **p)
{
	Sekisho__Auth__KeyCreateRequest q = SEKISHO__AUTH__KEY_CREATE_REQUEST__INIT;
	q.kind = (Sekisho__Auth__KeyCreateRequest__Kind)kind;
	q.login = (char *)(uintptr_t)login;
	q.name = (char *)(uintptr_t)name;
	q.permissions = &permission;
	q.n_permissions = permission != NULL ? 1 : 0;
	return ASK(key_create, by, &q, p);
}
enum { API = 0, APP = 1 };

static enum rc
login(const char *name, const char *password, Sekisho__Auth__LoginReply **p)
{
	Sekisho__Auth__LoginRequest q = SEKISHO__AUTH__LOGIN_REQUEST__INIT;
	Sekisho__Auth__LoginReply *none = NULL;
	q.name = wire_bytes(bytes_str(name));
	q.password = wire_bytes(bytes_str(password));
	q.client_ip = "192.0.2.1";
	return ASK(login, NULL, &q, p != NULL ? p : &none);
}

static Sekisho__Auth__SenderReply *
sender(const Sekisho__Auth__LoginReply *who, const char *address)
{
	Sekisho__Auth__SenderRequest q = SEKISHO__AUTH__SENDER_REQUEST__INIT;
	Sekisho__Auth__SenderReply *p = NULL;
	q.tenant = who->tenant;
	q.account = who->account;
	q.credential = who->credential;
	q.address = (char *)(uintptr_t)address;
	assert_int_equal(ASK(sender, NULL, &q, &p), RC_OK);
	return p;
}

/* --- tests ---------------------------------------------------------------------------------------------------- */
static void
test_tenant(void **state)
{
	struct actor a = new_tenant("\xe9\x96\xa2\xe6\x89\x80");
	Sekisho__Auth__TenantsRequest q = SEKISHO__AUTH__TENANTS_REQUEST__INIT;
	Sekisho__Auth__TenantsReply *list = NULL;
	Sekisho__Auth__DirectoryRequest dq = SEKISHO__AUTH__DIRECTORY_REQUEST__INIT;
	Sekisho__Auth__DirectoryReply *d = NULL;
	assert_int_equal(a.n_permissions, 12);
	assert_string_equal(a.name, "admin");
	assert_int_equal(ASK(tenants, NULL, &q, &list), RC_OK);
	assert_true(list->n_ids >= 1);
	assert_memory_equal(list->ids[list->n_ids - 1].data, a.tenant.b, 16);
	dq.tenant = wire_id(&a.tenant);
	assert_int_equal(ASK(directory, NULL, &dq, &d), RC_OK);
	assert_string_equal(d->tenant_name, "\xe9\x96\xa2\xe6\x89\x80");
	assert_int_equal(d->n_domains, 0);
	dq.tenant = wire_id(&a.account);
	assert_int_equal(ASK(directory, NULL, &dq, &d), RC_NOT_FOUND);
	dq.tenant.len = 5;
	assert_int_equal(ASK(directory, NULL, &dq, &d), RC_INVALID);
	assert_true(count_rows("SELECT count(*) FROM auth.audit_intent WHERE action = 'tenant.created' "
			       "AND outcome = 'ok'") >= 1);
}

static void
test_domains(void **state)
{
	struct actor one = new_tenant("one"), two = new_tenant("two");
	Sekisho__Auth__DomainAddReply *p = NULL, *again = NULL;
	Sekisho__Auth__RecipientRequest q = SEKISHO__AUTH__RECIPIENT_REQUEST__INIT;
	Sekisho__Auth__RecipientReply *r = NULL;
	Sekisho__Auth__DirectoryRequest dq = SEKISHO__AUTH__DIRECTORY_REQUEST__INIT;
	Sekisho__Auth__DirectoryReply *before = NULL, *after = NULL;
	dq.tenant = wire_id(&one.tenant);
	assert_int_equal(ASK(directory, NULL, &dq, &before), RC_OK);
	auth.dns_server = "127.0.0.1@1"; /* nobody answers there: a claim stays a claim */
	auth.dns_ms = 300;
	assert_int_equal(add_domain(&one, NULL, "One.Example", 1, false, &p), RC_OK);
	assert_false(p->proven);
	assert_string_equal(p->txt_name, "_sekisho-challenge.one.example");
	assert_int_equal(add_domain(&one, NULL, "one.example", 1, false, &again), RC_OK);
	assert_false(again->proven);
	assert_string_equal(again->txt_value, p->txt_value);
	auth.dns_server = "";
	auth.dns_ms = 5000;
	q.domain = "one.example";
	assert_int_equal(ASK(recipient, NULL, &q, &r), RC_NOT_FOUND);

	assert_int_equal(add_domain(&one, NULL, "one.example", 1, true, &p), RC_DENIED);
	assert_int_equal(add_domain(&one, &two, "one.example", 1, false, &p), RC_DENIED);
	assert_int_equal(add_domain(&platform, NULL, "one.example", 1, true, &p), RC_INVALID);
	assert_int_equal(add_domain(&platform, &one, "one.example", 2, true, &p), RC_INVALID);
	assert_int_equal(add_domain(&platform, &one, "one.example", 7, false, &p), RC_INVALID);
	assert_int_equal(add_domain(&platform, &one, "one.example", 1, true, &p), RC_OK);
	assert_true(p->proven);
	assert_int_equal(ASK(recipient, NULL, &q, &r), RC_OK);
	assert_memory_equal(r->tenant.data, one.tenant.b, 16);
	q.domain = "ONE.example";
	assert_int_equal(ASK(recipient, NULL, &q, &r), RC_OK);
	q.domain = "sub.one.example";
	assert_int_equal(ASK(recipient, NULL, &q, &r), RC_NOT_FOUND);
	q.domain = "'; DROP";
	assert_int_equal(ASK(recipient, NULL, &q, &r), RC_NOT_FOUND);
	/* Proven once: nobody else's, and of no other class. */
	assert_int_equal(add_domain(&platform, &two, "one.example", 1, true, &p), RC_CONFLICT);
	assert_int_equal(add_domain(&one, NULL, "one.example", 2, false, &p), RC_CONFLICT);
	assert_int_equal(add_domain(&two, NULL, "one.example", 2, false, &p), RC_OK); /* as a partner: any tenant */
	assert_int_equal(add_domain(&two, NULL, "one.example", 0, false, &p), RC_OK);

	assert_int_equal(ASK(directory, NULL, &dq, &after), RC_OK);
	assert_true(after->version > before->version);
	assert_int_equal(after->n_domains, 1);
	assert_true(after->domains[0]->proven && after->domains[0]->class_ == 1);
}

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

/* one with this permission only, under a key that expires then (0: never). */
static struct actor
with_only(const struct actor *one, const char *permission, int64_t key_expires_us)
{
	struct actor a = *one;
	a.permissions[0] = permission;
	a.n_permissions = 1;
	a.key_expires_us = key_expires_us;
	return a;
}

static enum rc
end_key(const struct actor *by, ProtobufCBinaryData key)
{
	Sekisho__Auth__KeyRevokeRequest q = SEKISHO__AUTH__KEY_REVOKE_REQUEST__INIT;
	Sekisho__Auth__KeyRevokeReply *p = NULL;
	q.key_id = key;
	return ASK(key_revoke, by, &q, &p);
}

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
test_lock(void **state)
{
	struct actor one = new_tenant("lock");
	Sekisho__Auth__KeyCreateReply *app = NULL;
	int64_t before = count_rows("SELECT count(*) FROM auth.audit_intent WHERE action = 'auth.login'");
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
	/* 8 denied, 2 that ended a series of wrong ones. */
	assert_int_equal(count_rows("SELECT count(*) FROM auth.audit_intent WHERE action = 'auth.login'") - before, 10);
	assert_int_equal(
	    count_rows("SELECT count(*) FROM auth.audit_intent WHERE position('password'::bytea IN detail) > 0 "
		       "AND position('the '::bytea IN detail) > 0"),
	    0);
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
	assert_true(count_rows("SELECT count(*) FROM auth.audit_intent WHERE action = 'auth.api_key'") >= 4);
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
	assert_int_equal(r->n_permissions, 13);
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

/* As the service's role, without a tenant: nothing of any tenant's can be seen or changed. */
static void
test_isolation(void **state)
{
	static const char *const tables[] = {
	    "SELECT count(*) FROM auth.tenant",	    "SELECT count(*) FROM auth.account",
	    "SELECT count(*) FROM auth.credential", "SELECT count(*) FROM auth.address",
	    "SELECT count(*) FROM auth.domain",	    "SELECT count(*) FROM auth.audit_intent",
	};
	struct db_tx *tx = NULL;
	struct db_rows *rows = NULL;
	assert_true(count_rows("SELECT count(*) FROM auth.credential") > 0);
	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
		assert_int_equal(db_begin(svc.db, NULL, clock_mono_ms() + MS, &tx, NULL), RC_OK);
		assert_int_equal(db_query(tx, tables[i], NULL, &rows, NULL), RC_OK);
		assert_true(db_rows_next(rows));
		assert_int_equal(db_int(rows, 0), 0);
		db_rows_free(&rows);
		db_end(&tx);
	}
	int64_t n = 0;
	assert_int_equal(db_begin(svc.db, NULL, clock_mono_ms() + MS, &tx, NULL), RC_OK);
	assert_int_equal(db_exec_count(tx, "DELETE FROM auth.audit_intent", NULL, &n, NULL), RC_DENIED);
	db_end(&tx);
}

/* --- DNS -------------------------------------------------------------------------------------------------------- */
struct dns {
	int fd;
	char txt[80];
};

/* Answers every question with one TXT record, until told to stop by an empty packet. */
static void *
dns_main(void *ctx)
{
	struct dns *d = ctx;
	uint8_t b[1500];
	for (;;) {
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(d->fd, b, sizeof(b), 0, (struct sockaddr *)&from, &len);
		if (n <= 12)
			return NULL;
		size_t end = 12;
		while (end < (size_t)n && b[end] != 0)
			end += b[end] + 1u;
		end += 5;
		size_t text = strlen(d->txt);
		const uint8_t head[] = {0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0};
		const uint8_t answer[] = {0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 1, 0, (uint8_t)(text + 1), (uint8_t)text};
		memcpy(b + 2, head, sizeof(head));
		memcpy(b + end, answer, sizeof(answer));
		memcpy(b + end + sizeof(answer), d->txt, text);
		sendto(d->fd, b, end + sizeof(answer) + text, 0, (struct sockaddr *)&from, len);
	}
}

static void
test_dns(void **state)
{
	struct actor one = new_tenant("dns");
	Sekisho__Auth__DomainAddReply *p = NULL;
	struct dns d = {.fd = socket(AF_INET, SOCK_DGRAM, 0), .txt = "v=spf1 -all"};
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	pthread_t thread;
	assert_int_equal(bind(d.fd, (struct sockaddr *)&at, len), 0);
	assert_int_equal(getsockname(d.fd, (struct sockaddr *)&at, &len), 0);
	auth.dns_server = arena_printf(arena, "127.0.0.1@%d", ntohs(at.sin_port));
	assert_int_equal(pthread_create(&thread, NULL, dns_main, &d), 0);
	assert_int_equal(add_domain(&one, NULL, "dns.example", 1, false, &p), RC_OK);
	assert_int_equal(add_domain(&one, NULL, "dns.example", 1, false, &p), RC_OK);
	assert_false(p->proven); /* a record, but another one */
	snprintf(d.txt, sizeof(d.txt), "%s", p->txt_value);
	assert_int_equal(add_domain(&one, NULL, "dns.example", 1, false, &p), RC_OK);
	assert_true(p->proven);
	assert_string_equal(p->txt_value, "");
	assert_int_equal(add_user(&one, "dns.user", "", "a@dns.example", NULL), RC_OK);
	assert_int_equal(sendto(d.fd, "", 0, 0, (struct sockaddr *)&at, len), 0);
	pthread_join(thread, NULL);
	close(d.fd);
	auth.dns_server = "";
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_tenant),	 cmocka_unit_test(test_domains),     cmocka_unit_test(test_users),
	    cmocka_unit_test(test_app_password), cmocka_unit_test(test_no_stronger), cmocka_unit_test(test_no_longer),
	    cmocka_unit_test(test_lock),	 cmocka_unit_test(test_keys),	     cmocka_unit_test(test_bootstrap),
	    cmocka_unit_test(test_isolation),	 cmocka_unit_test(test_dns),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
