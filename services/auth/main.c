/* SPDX-License-Identifier: MIT
 *
 * auth: who is it, and may they. Tables and three functions for the skeleton; --bootstrap makes the first key.
 */
#include <stdio.h>
#include <string.h>

#include "auth.h"
#include "password.h"
#include "record.h"
#include "subjects.h"
#include "svc/once.h"

static const struct config_entry config[] = {
    {"SEKISHO_AUTH_ACTOR_PRIVATE", CONFIG_PATH, &auth.actor_private, NULL, 0, 0,
     "private key of actor tokens (Ed25519, PEM, mode 0600)"},
    {"SEKISHO_AUTH_PASSWORD_OPERATIONS", CONFIG_INT, &auth.password_operations, "3", 1, 20, "Argon2id passes"},
    {"SEKISHO_AUTH_PASSWORD_MEMORY", CONFIG_SIZE, &auth.password_memory, "64M", 8 << 20, INT64_C(4) << 30,
     "Argon2id memory per check, octets"},
    {"SEKISHO_AUTH_PASSWORD_CONCURRENCY", CONFIG_INT, &auth.password_concurrency, "2", 1, 64,
     "passwords checked at once; twice as many may wait"},
    {"SEKISHO_AUTH_LOCK_AFTER", CONFIG_INT, &auth.lock_after, "10", 1, 1000000, "wrong passwords in a row that lock"},
    {"SEKISHO_AUTH_LOCK_FOR", CONFIG_DURATION, &auth.lock_ms, "15m", 1000, INT64_C(86400000), "how long a lock lasts"},
    {"SEKISHO_AUTH_DNS_SERVER", CONFIG_STRING, &auth.dns_server, "", 0, 0,
     "address@port that proofs of domains are asked from; empty: /etc/resolv.conf"},
    {"SEKISHO_AUTH_DNS_ANCHOR", CONFIG_PATH, &auth.dns_anchor, "", 0, 0,
     "DNSSEC trust anchor file; empty: answers are not validated"},
    {"SEKISHO_AUTH_DNS_TIMEOUT", CONFIG_DURATION, &auth.dns_ms, "5s", 100, 30000, "time for one look-up"},
    CONFIG_END,
};

static struct metric *const metrics[] = {&auth_logins, &auth_senders, NULL};

static const struct svc_endpoint endpoints[] = {
    {RPC_AUTH_LOGIN, auth_handle_login},
    {RPC_AUTH_SENDER, auth_handle_sender},
    {RPC_AUTH_RECIPIENT, auth_handle_recipient},
    {RPC_AUTH_API_KEY, auth_handle_api_key},
    {RPC_AUTH_DIRECTORY, auth_handle_directory},
    {RPC_AUTH_TENANTS, auth_handle_tenants},
    {RPC_AUTH_CONTACTS, auth_handle_contacts},
    {RPC_AUTH_WHO, auth_handle_who},
    {RPC_AUTH_TENANT_CREATE, auth_handle_tenant_create},
    {RPC_AUTH_TENANT_LIST, auth_handle_tenant_list},
    {RPC_AUTH_TENANT_GET, auth_handle_tenant_get},
    {RPC_AUTH_TENANT_UPDATE, auth_handle_tenant_update},
    {RPC_AUTH_DOMAIN_ADD, auth_handle_domain_add},
    {RPC_AUTH_DOMAIN_LIST, auth_handle_domain_list},
    {RPC_AUTH_USER_CREATE, auth_handle_user_create},
    {RPC_AUTH_USER_LIST, auth_handle_user_list},
    {RPC_AUTH_USER_GET, auth_handle_user_get},
    {RPC_AUTH_USER_UPDATE, auth_handle_user_update},
    {RPC_AUTH_USER_ACCESS, auth_handle_user_access},
    {RPC_AUTH_USER_PERMISSIONS, auth_handle_user_permissions},
    {RPC_AUTH_KEY_CREATE, auth_handle_key_create},
    {RPC_AUTH_KEY_LIST, auth_handle_key_list},
    {RPC_AUTH_KEY_ROTATE, auth_handle_key_rotate},
    {RPC_AUTH_KEY_REVOKE, auth_handle_key_revoke},
    {RPC_AUTH_ROLE_LIST, auth_handle_role_list},
    {RPC_AUTH_ROLE_PUT, auth_handle_role_put},
    {RPC_AUTH_ROLE_DELETE, auth_handle_role_delete},
    {RPC_AUTH_GROUP_LIST, auth_handle_group_list},
    {RPC_AUTH_GROUP_PUT, auth_handle_group_put},
    {RPC_AUTH_GROUP_DELETE, auth_handle_group_delete},
    SVC_ENDPOINTS_END,
};

static const struct svc_once_sql once_sql = SVC_ONCE_SQL("auth");

static enum rc
init(struct svc *s, struct err *e)
{
	const struct password_cost cost = {auth.password_operations, auth.password_memory, auth.password_concurrency};
	enum rc rc = actor_signer_open(auth.actor_private, &auth.signer, e);
	if (rc == RC_OK)
		rc = password_setup(&cost, e);
	if (rc == RC_OK)
		record_start(s->db);
	return rc;
}

static void
done(struct svc *s)
{
	record_stop();
	password_done();
	actor_signer_free(&auth.signer);
}

static const struct svc_program program = {
    .name = "auth",
    .prefix = "SEKISHO_AUTH_",
    .needs = SVC_DB | SVC_BUS | SVC_ACTORS | SVC_CONTENT,
    .intent_sql = DB_INTENT_SQL("auth"),
    .once_sql = &once_sql,
    .config = config,
    .endpoints = endpoints,
    .metrics = metrics,
    .init = init,
    .done = done,
};

int
main(int argc, char **argv)
{
	if (argc < 2 || strcmp(argv[1], "--bootstrap") != 0)
		return svc_main(&program, argc, argv);
	bool rotate = argc == 4 && strcmp(argv[3], "--rotate") == 0;
	if (argc == 3 || rotate)
		return auth_bootstrap(config, argv[2], rotate);
	fprintf(stderr, "usage: sekisho-auth --bootstrap FILE [--rotate]\n");
	return 64;
}
