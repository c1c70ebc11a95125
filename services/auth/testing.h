/* SPDX-License-Identifier: MIT
 *
 * For the tests that ask auth's handlers against a real database, as the role sekisho_auth (tools/with-postgres.sh
 * gives SEKISHO_TEST_DB): a tenant, people and keys in a few words. The bus is not needed: handlers take decoded
 * requests. A test file defines TEST_DB, the name of its own database, includes this, and ends in TEST_MAIN.
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
#include "record.h"
#include "svc/once.h"
#include "wire.h"

#define MAYBE __attribute__((unused))
#define MS    20000
typedef enum rc (*handler)(const struct svc_request *r, struct buf *reply, struct err *e);

static char dir[] = "/tmp/sekisho-auth-XXXXXX", private_pem[64], public_pem[64], key_path[64], kek_path[64];
static const struct svc_once_sql once_sql = SVC_ONCE_SQL("auth");
static const char *idempotency_key = ""; /* of the next requests */
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

MAYBE static void
leave(void *a, void *p)
{
}

static struct uuid asked_for; /* tenant of requests without an actor */

/* Encode, handle, decode: as the bus would. */
MAYBE static enum rc
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
	    .subject = d->name,
	    .idempotency_key = idempotency_key,
	    .tenant = actor != NULL ? actor->tenant : asked_for,
	    .has_tenant = true,
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

MAYBE static int64_t
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

MAYBE static void
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

MAYBE static void
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

MAYBE static int
setup(void **state)
{
	const char *conninfo = getenv("SEKISHO_TEST_DB");
	char command[1500], as_admin[512], as_auth[512];
	if (conninfo == NULL) {
		fprintf(stderr, "SEKISHO_TEST_DB is not set: run by tools/with-postgres.sh\n");
		return 1;
	}
	snprintf(as_admin, sizeof(as_admin), "%s dbname=" TEST_DB, conninfo);
	snprintf(as_auth, sizeof(as_auth), "%s dbname=" TEST_DB " user=sekisho_auth", conninfo);
	snprintf(command, sizeof(command),
		 "psql -qX \"%s\" -v ON_ERROR_STOP=1 -c 'CREATE DATABASE " TEST_DB " OWNER sekisho_owner' && "
		 "psql -qX \"%s\" -v ON_ERROR_STOP=1 -o /dev/null -c 'SET ROLE sekisho_owner' "
		 "-f libs/db/migrations/0001_base.sql -f libs/content/migrations/0001_content.sql "
		 "-f services/auth/migrations/0001_auth.sql",
		 conninfo, as_admin);
	if (system(command) != 0 || mkdtemp(dir) == NULL)
		return 1;
	snprintf(private_pem, sizeof(private_pem), "%s/a.key", dir);
	snprintf(public_pem, sizeof(public_pem), "%s/a.pub", dir);
	snprintf(key_path, sizeof(key_path), "%s/platform.key", dir);
	snprintf(kek_path, sizeof(kek_path), "%s/kek", dir);
	write_keys();
	FILE *f = fopen(kek_path, "w");
	fputs("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n", f);
	fclose(f);
	chmod(kek_path, 0600);
	struct db_options o = {.conninfo = as_auth, .size = 4, .intent_sql = DB_INTENT_SQL("auth")};
	struct db_options oa = {.conninfo = as_admin, .size = 1};
	svc.name = "auth";
	arena = arena_new();
	permission_into_actor(permission_all(true), &platform);
	auth.lock_after = 3;
	auth.lock_ms = 60000;
	auth.dns_ms = 5000;
	auth.dns_server = auth.dns_anchor = "";
	svc.once_sql = &once_sql;
	return db_pool_new(&o, &svc.db, NULL) != RC_OK || db_pool_new(&oa, &admin, NULL) != RC_OK ||
	       actor_signer_open(private_pem, &auth.signer, NULL) != RC_OK ||
	       actor_verifier_open(public_pem, &svc.actors, NULL) != RC_OK ||
	       password_setup(&(struct password_cost){1, 8192, 2}, NULL) != RC_OK ||
	       content_open(kek_path, svc.db, &svc.content, NULL) != RC_OK || (record_start(svc.db), false);
}

MAYBE static int
teardown(void **state)
{
	record_stop();
	content_free(&svc.content);
	password_done();
	actor_signer_free(&auth.signer);
	actor_verifier_free(&svc.actors);
	db_pool_free(&svc.db);
	db_pool_free(&admin);
	arena_free(&arena);
	unlink(private_pem);
	unlink(public_pem);
	unlink(key_path);
	unlink(kek_path);
	return rmdir(dir);
}

/* --- short words for what most tests need -------------------------------------------------------------------- */
MAYBE static Sekisho__Auth__ApiKeyReply *
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
MAYBE static struct actor
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

MAYBE static enum rc
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

MAYBE static enum rc
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

MAYBE static enum rc
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

MAYBE static enum rc
login(const char *name, const char *password, Sekisho__Auth__LoginReply **p)
{
	Sekisho__Auth__LoginRequest q = SEKISHO__AUTH__LOGIN_REQUEST__INIT;
	Sekisho__Auth__LoginReply *none = NULL;
	q.name = wire_bytes(bytes_str(name));
	q.password = wire_bytes(bytes_str(password));
	q.client_ip = "192.0.2.1";
	return ASK(login, NULL, &q, p != NULL ? p : &none);
}

MAYBE static Sekisho__Auth__SenderReply *
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

/* one with this permission only, under a key that expires then (0: never). */
MAYBE static struct actor
with_only(const struct actor *one, const char *permission, int64_t key_expires_us)
{
	struct actor a = *one;
	a.permissions[0] = permission;
	a.n_permissions = 1;
	a.key_expires_us = key_expires_us;
	return a;
}

MAYBE static enum rc
end_key(const struct actor *by, ProtobufCBinaryData key)
{
	Sekisho__Auth__KeyRevokeRequest q = SEKISHO__AUTH__KEY_REVOKE_REQUEST__INIT;
	Sekisho__Auth__KeyRevokeReply *p = NULL;
	q.key_id = key;
	return ASK(key_revoke, by, &q, &p);
}

/* --- people, roles, groups -------------------------------------------------------------------------------------- */
#define NAMES(...) ((char *[]){__VA_ARGS__, NULL})

MAYBE static size_t
count_names(char **v)
{
	size_t n = 0;
	while (v != NULL && v[n] != NULL)
		n++;
	return n;
}

MAYBE static Sekisho__Auth__User *
get_user(const struct actor *by, const char *login)
{
	Sekisho__Auth__UserGetRequest q = SEKISHO__AUTH__USER_GET_REQUEST__INIT;
	Sekisho__Auth__UserGetReply *p = NULL;
	q.login = (char *)(uintptr_t)login;
	if (ASK(user_get, by, &q, &p) != RC_OK)
		fail_msg("%s: %s", login, err.text);
	return p->user;
}

/* exceptions: "+policy.write" or "-message.send"; NULL for none of either. */
MAYBE static enum rc
set_access(const struct actor *by, const char *login, char **roles, char **exceptions)
{
	Sekisho__Auth__UserAccessRequest q = SEKISHO__AUTH__USER_ACCESS_REQUEST__INIT;
	Sekisho__Auth__UserAccessReply *p = NULL;
	Sekisho__Auth__Exception x[8], *at[8];
	struct uuid id;
	struct db_tx *tx = NULL;
	struct db_rows *rows = NULL;
	struct db_args args;
	db_args_init(&args);
	db_arg_text(&args, login);
	assert_int_equal(db_begin(admin, NULL, clock_mono_ms() + MS, &tx, NULL), RC_OK);
	assert_int_equal(db_query(tx, "SELECT account FROM auth.directory_login WHERE login = $1", &args, &rows, NULL),
			 RC_OK);
	assert_true(db_rows_next(rows));
	id = db_uuid(rows, 0);
	db_rows_free(&rows);
	db_end(&tx);
	q.id = wire_id(&id);
	q.roles = roles;
	q.n_roles = count_names(roles);
	for (size_t i = 0; i < count_names(exceptions); i++) {
		sekisho__auth__exception__init(&x[i]);
		x[i].permission = exceptions[i] + 1;
		x[i].deny = exceptions[i][0] == '-';
		at[q.n_exceptions++] = &x[i];
	}
	q.exceptions = at;
	return ASK(user_access, by, &q, &p);
}

MAYBE static enum rc
put_role(const struct actor *by, const char *name, char **permissions, uint64_t if_version, bool must_be_new,
	 Sekisho__Auth__RolePutReply **p)
{
	Sekisho__Auth__Role role = SEKISHO__AUTH__ROLE__INIT;
	Sekisho__Auth__RolePutRequest q = SEKISHO__AUTH__ROLE_PUT_REQUEST__INIT;
	Sekisho__Auth__RolePutReply *none = NULL;
	role.name = (char *)(uintptr_t)name;
	role.description = "of a test";
	role.permissions = permissions;
	role.n_permissions = count_names(permissions);
	q.role = &role;
	q.if_version = if_version;
	q.must_be_new = must_be_new;
	return ASK(role_put, by, &q, p != NULL ? p : &none);
}

MAYBE static enum rc
put_group(const struct actor *by, const char *name, char **members, char **roles, Sekisho__Auth__GroupPutReply **p)
{
	Sekisho__Auth__Group group = SEKISHO__AUTH__GROUP__INIT;
	Sekisho__Auth__GroupPutRequest q = SEKISHO__AUTH__GROUP_PUT_REQUEST__INIT;
	Sekisho__Auth__GroupPutReply *none = NULL;
	group.name = (char *)(uintptr_t)name;
	group.members = members;
	group.n_members = count_names(members);
	group.roles = roles;
	group.n_roles = count_names(roles);
	q.group = &group;
	return ASK(group_put, by, &q, p != NULL ? p : &none);
}

/* A person's API key with these scopes. */
MAYBE static Sekisho__Auth__KeyCreateReply *
make_key(const struct actor *by, const char *login, const char *name, char **permissions)
{
	Sekisho__Auth__KeyCreateRequest q = SEKISHO__AUTH__KEY_CREATE_REQUEST__INIT;
	Sekisho__Auth__KeyCreateReply *p = NULL;
	q.login = (char *)(uintptr_t)login;
	q.name = (char *)(uintptr_t)name;
	q.permissions = permissions;
	q.n_permissions = count_names(permissions);
	if (ASK(key_create, by, &q, &p) != RC_OK)
		fail_msg("%s: %s", name, err.text);
	return p;
}

/* Everything a tenant can grant, as names. */
MAYBE static char **
every_permission(void)
{
	const char **names = NULL;
	permission_names(permission_all(false), arena, &names);
	return (char **)names;
}

/* Whom this key stands for, as auth's own token says. */
MAYBE static struct actor
actor_of(const char *secret)
{
	char *audience = "auth";
	struct actor a;
	Sekisho__Auth__ApiKeyReply *k = use_key(secret, &audience, 1, RC_OK);
	struct bytes token = bytes_of(k->tokens[0]->token.data, k->tokens[0]->token.len);
	assert_int_equal(actor_verify(svc.actors, token, "auth", clock_wall_us(), arena, &a, NULL), RC_OK);
	return a;
}
