/* SPDX-License-Identifier: MIT
 *
 * What the files of `auth` share: settings, the signing key, metrics. Set up once in main.c, read-only afterwards.
 */
#ifndef AUTH_H
#define AUTH_H

#include "svc/svc.h"

struct auth {
	const char *actor_private, *dns_server, *dns_anchor;
	int64_t password_operations, password_memory, password_concurrency;
	int64_t lock_after, lock_ms, dns_ms;
	struct actor_signer *signer;
};
extern struct auth auth;

extern struct metric auth_logins, auth_senders;
enum { AUTH_METRIC_OK, AUTH_METRIC_DENIED, AUTH_METRIC_BUSY }; /* labels of both */

/* Make the platform's first key (or, rotate, a new one in place of those in force) and write it to path. RC_CONFLICT:
 * there is one already. */
enum rc auth_make_platform_key(struct db_pool *db, const char *path, bool rotate, struct err *e) MUST_CHECK;
/* The same with the service's configuration; the program's exit code. */
int auth_bootstrap(const struct config_entry *settings, const char *path, bool rotate);

/* A hint that policy reads the directory again; whoever misses it does so by itself sooner or later. */
void auth_directory_changed(const struct svc_request *r, const struct uuid *tenant);

/* Endpoints: what ingest and api ask all the time */
enum rc auth_handle_login(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc auth_handle_sender(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc auth_handle_recipient(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc auth_handle_api_key(const struct svc_request *r, struct buf *reply, struct err *e);
/* what services ask for themselves, and anybody about himself */
enum rc auth_handle_directory(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc auth_handle_tenants(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc auth_handle_contacts(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc auth_handle_who(const struct svc_request *r, struct buf *reply, struct err *e);
/* tenants and domains */
enum rc auth_handle_tenant_create(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc auth_handle_tenant_list(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc auth_handle_tenant_get(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc auth_handle_tenant_update(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc auth_handle_domain_add(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc auth_handle_domain_list(const struct svc_request *r, struct buf *reply, struct err *e);
/* people */
enum rc auth_handle_user_create(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc auth_handle_user_list(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc auth_handle_user_get(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc auth_handle_user_update(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc auth_handle_user_access(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc auth_handle_user_permissions(const struct svc_request *r, struct buf *reply, struct err *e);
/* keys */
enum rc auth_handle_key_create(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc auth_handle_key_list(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc auth_handle_key_rotate(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc auth_handle_key_revoke(const struct svc_request *r, struct buf *reply, struct err *e);
/* roles and groups */
enum rc auth_handle_role_list(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc auth_handle_role_put(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc auth_handle_role_delete(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc auth_handle_group_list(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc auth_handle_group_put(const struct svc_request *r, struct buf *reply, struct err *e);
enum rc auth_handle_group_delete(const struct svc_request *r, struct buf *reply, struct err *e);

#endif
