/* SPDX-License-Identifier: MIT
 *
 * All of auth's SQL. Each function is one transaction (or two, where the tenant has to be found first) and leaves
 * nothing open. What changes something writes its audit intent in the same commit. Strings live in the arena.
 */
#ifndef AUTH_STORE_H
#define AUTH_STORE_H

#include "core/arena.h"
#include "db/db.h"

#define STORE_ADDRESSES_MAX 100
#define STORE_LOOKUP_SIZE   13

/* On whose behalf, when, until when. */
struct store_by {
	struct db_pool *db;
	const char *actor;	 /* account or key id as text, "system", "unknown" */
	const char *client_ip;	 /* foreign; may be "" */
	const char *traceparent; /* may be NULL */
	int64_t now_us, deadline_ms;
};

/* --- reading ------------------------------------------------------------------------------------------------ */
/* RC_NOT_FOUND: nobody has this login, this proven domain. */
enum rc store_find_login(const struct store_by *by, const char *login, struct uuid *tenant_r, struct uuid *account_r,
			 struct err *e) MUST_CHECK;
enum rc store_find_domain(const struct store_by *by, const char *domain, struct uuid *tenant_r,
			  struct err *e) MUST_CHECK;

struct store_person {
	bool found, disabled, locked;
	bool has_failed; /* wrong passwords since the last right one */
	struct uuid password, app;
	struct bytes password_hash; /* p NULL: no password */
	bool app_good;
};
/* app_hash NULL: no application password was shown. An unknown account is RC_OK with found false. */
enum rc store_get_person(const struct store_by *by, const struct uuid *tenant, const struct uuid *account,
			 const uint8_t *app_hash, struct arena *a, struct store_person *out_r,
			 struct err *e) MUST_CHECK;

struct store_sender {
	bool found, disabled, credential_good;
	const char *login;
	struct bytes *addresses; /* of proven domains */
	size_t n_addresses;
};
/* credential NULL: not asked for (an actor token was shown). */
enum rc store_get_sender(const struct store_by *by, const struct uuid *tenant, const struct uuid *account,
			 const struct uuid *credential, struct arena *a, struct store_sender *out_r,
			 struct err *e) MUST_CHECK;

struct store_key {
	struct uuid tenant, id;
	struct uuid account;	 /* the person's; the key's own id if it is the tenant's */
	const char *name;	 /* the person's login; else the key's name */
	const char *permissions; /* text of permission.h */
	int64_t expires_us;	 /* 0: never */
};
/* A key in force. RC_NOT_FOUND: none; *tenant_r is then the tenant its lookup digits name, or nil. */
enum rc store_find_key(const struct store_by *by, const char *lookup, const uint8_t hash[32], struct arena *a,
		       struct store_key *out_r, struct uuid *tenant_r, struct err *e) MUST_CHECK;

struct store_domain {
	const char *name;
	int class;
	bool proven;
	const char *challenge; /* may be NULL */
};
struct store_directory {
	uint64_t version;
	struct bytes tenant_name;
	struct store_domain *domains;
	size_t n_domains;
};
/* One snapshot. RC_NOT_FOUND: no such tenant. */
enum rc store_get_directory(const struct store_by *by, const struct uuid *tenant, struct arena *a,
			    struct store_directory *out_r, struct err *e) MUST_CHECK;

struct store_tenant {
	struct uuid id;
	struct bytes name; /* p NULL without with_names */
	int64_t created_us;
};
enum rc store_list_tenants(const struct store_by *by, bool with_names, struct arena *a, struct store_tenant **out_r,
			   size_t *n_r, struct err *e) MUST_CHECK;

/* --- changing ----------------------------------------------------------------------------------------------- */
/* tenant and account nil where they are not known. count_until_us: lock the account until then if this is the
 * lock_after-th wrong password; 0: not a password, does not count. */
enum rc store_login_failed(const struct store_by *by, const struct uuid *tenant, const struct uuid *account,
			   const char *action, const char *reason, int64_t lock_after, int64_t count_until_us,
			   struct err *e) MUST_CHECK;
/* Forget the wrong passwords after a right one. RC_DENIED: the account was locked meanwhile. */
enum rc store_login_cleared(const struct store_by *by, const struct uuid *tenant, const struct uuid *account,
			    struct err *e) MUST_CHECK;

struct store_new_key {
	struct uuid id;
	const char *kind; /* "api" or "app" */
	struct bytes name;
	char lookup[STORE_LOOKUP_SIZE];
	uint8_t hash[32];
	const char *permissions;
	int64_t expires_us; /* DB_TIME_NULL: never */
};
enum rc store_add_tenant(const struct store_by *by, const struct uuid *tenant, struct bytes name,
			 const struct store_new_key *admin, struct err *e) MUST_CHECK;

struct store_new_user {
	struct uuid id, password_id;
	const char *login;
	struct bytes display_name;
	struct bytes password_hash; /* p NULL: none */
	struct bytes *addresses;    /* as of names_address() ... */
	const char **domains;	    /* ... and each one's domain */
	size_t n_addresses;
};
/* RC_CONFLICT: login taken. RC_INVALID: a domain is not proven. */
enum rc store_add_user(const struct store_by *by, const struct uuid *tenant, const struct store_new_user *u,
		       struct err *e) MUST_CHECK;
/* login "": the tenant's own key. RC_NOT_FOUND: no such login in this tenant. RC_CONFLICT: name in use. */
enum rc store_add_key(const struct store_by *by, const struct uuid *tenant, const char *login,
		      const struct store_new_key *k, struct err *e) MUST_CHECK;
/* What a key in force, or an application password, may do. RC_NOT_FOUND: none of this tenant. */
enum rc store_get_key_permissions(const struct store_by *by, const struct uuid *tenant, const struct uuid *key,
				  struct arena *a, const char **text_r, struct err *e) MUST_CHECK;
/* RC_NOT_FOUND: no such key in force. */
enum rc store_revoke_key(const struct store_by *by, const struct uuid *tenant, const struct uuid *key,
			 struct err *e) MUST_CHECK;

struct store_claim {
	const char *name;
	int class;
	const char *challenge; /* proposed; used when there is none yet */
	bool proven;	       /* asserted, or found in DNS */
	const char *how;       /* "claimed", "asserted", "dns": for the record */
};
/* Claim, classify or prove. found_r says how the domain stands afterwards, *changed_r whether this did something.
 * RC_CONFLICT: proven by another tenant, or proven and now to be of another class. RC_NOT_FOUND: no such tenant. */
enum rc store_set_domain(const struct store_by *by, const struct uuid *tenant, const struct store_claim *c,
			 struct arena *a, struct store_domain *found_r, bool *changed_r, struct err *e) MUST_CHECK;

/* The platform's key. RC_CONFLICT: there is one and rotate is false; rotate ends those in force. before_commit runs
 * when everything else is done; its failure rolls back. */
enum rc store_set_platform_key(const struct store_by *by, const struct store_new_key *k, bool rotate,
			       enum rc (*before_commit)(void *ctx, struct err *e), void *ctx, struct err *e) MUST_CHECK;

#endif
