/* SPDX-License-Identifier: MIT
 *
 * auth's SQL for what is asked all the time, and for tenants and domains (people: people_store.h, keys: key_store.h,
 * roles and groups: access_store.h). A function that takes a store_by is a transaction of its own and leaves nothing
 * open; one that takes a store_tx works inside its caller's. What changes something writes its audit intent in the same
 * commit. Strings live in the arena.
 */
#ifndef AUTH_STORE_H
#define AUTH_STORE_H

#include "access_store.h"
#include "key_store.h"

#define STORE_ADDRESSES_MAX 100

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
	struct permission_set may;
};
/* credential NULL: not asked for (an actor token was shown). */
enum rc store_get_sender(const struct store_by *by, const struct uuid *tenant, const struct uuid *account,
			 const struct uuid *credential, struct arena *a, struct store_sender *out_r,
			 struct err *e) MUST_CHECK;

struct store_key {
	struct uuid tenant, id;
	struct uuid account;	   /* the person's; the key's own id if it is the tenant's */
	const char *name;	   /* the person's login; else the key's name */
	struct permission_set may; /* its scopes, and for a person's key what the person may at this moment */
	int64_t expires_us;	   /* 0: never */
	const char *why_not; /* NULL: in force; else "unknown", "revoked", "expired", "disabled": for the record */
};
/* In one round trip. tenant, id are nil where they are not known; only a key in force has the rest. */
enum rc store_find_key(const struct store_by *by, const char *lookup, const uint8_t hash[32], struct arena *a,
		       struct store_key *out_r, struct err *e) MUST_CHECK;

struct store_domain {
	const char *name;
	int class;
	bool proven;
	const char *challenge; /* may be NULL */
};
struct store_directory {
	uint64_t version;
	struct bytes tenant_name;
	bool sandbox;
	struct store_domain *domains;
	size_t n_domains;
};
/* One snapshot. RC_NOT_FOUND: no such tenant. */
enum rc store_get_directory(const struct store_by *by, const struct uuid *tenant, struct arena *a,
			    struct store_directory *out_r, struct err *e) MUST_CHECK;

struct store_tenant {
	struct uuid id;
	struct bytes name; /* p NULL without with_names, and so is what follows created_us */
	int64_t created_us;
	bool sandbox, head_mail;
	const char *language;
	uint64_t version;
};
enum rc store_list_tenants(const struct store_by *by, bool with_names, struct arena *a, struct store_tenant **out_r,
			   size_t *n_r, struct err *e) MUST_CHECK;
/* RC_NOT_FOUND: the platform's. */
enum rc store_get_tenant(struct store_tx *t, struct store_tenant *out_r, struct err *e) MUST_CHECK;

/* --- changing ----------------------------------------------------------------------------------------------- */
/* A wrong password, counted and recorded; if it is the lock_after-th the account is locked until then, which is
 * recorded beside it. */
enum rc store_login_failed(const struct store_by *by, const struct uuid *tenant, const struct uuid *account,
			   const char *reason, int64_t lock_after, int64_t lock_until_us, struct err *e) MUST_CHECK;
/* Forget the wrong passwords after a right one. RC_DENIED: the account was locked meanwhile. */
enum rc store_login_cleared(const struct store_by *by, const struct uuid *tenant, const struct uuid *account,
			    struct err *e) MUST_CHECK;
/* What happened count times since it was last put on the record: action "auth.login" or "auth.api_key". */
enum rc store_note_times(const struct store_by *by, const struct uuid *tenant, const struct uuid *subject,
			 const char *action, enum rc outcome, const char *reason, int64_t count,
			 struct err *e) MUST_CHECK;

/* t's tenant, with its administrator's key. Recorded. */
enum rc store_add_tenant(struct store_tx *t, struct bytes name, bool sandbox, const struct store_new_key *admin,
			 struct err *e) MUST_CHECK;
/* Name, language, head_mail, and one version more. Recorded. */
enum rc store_set_tenant(struct store_tx *t, const struct store_tenant *to, struct err *e) MUST_CHECK;

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

#endif
