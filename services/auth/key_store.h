/* SPDX-License-Identifier: MIT
 *
 * Keys, application passwords, password hashes: auth.credential, and the lookup digits in the directory. Inside a
 * transaction of the caller; making, rotating and ending a key is recorded here.
 */
#ifndef AUTH_KEY_STORE_H
#define AUTH_KEY_STORE_H

#include "permission.h"
#include "store_tx.h"

#define STORE_LOOKUP_SIZE 13

struct store_new_key {
	struct uuid id;
	const char *kind; /* "api" or "app" */
	struct bytes name;
	char lookup[STORE_LOOKUP_SIZE];
	uint8_t hash[32];
	const char *permissions;
	int64_t expires_us; /* DB_TIME_NULL: never */
};
/* account NULL: the tenant's own. A name in use shows as a unique key's conflict. */
enum rc store_add_key(struct store_tx *t, const struct uuid *account, const struct store_new_key *k,
		      struct err *e) MUST_CHECK;
enum rc store_add_password(struct store_tx *t, const struct uuid *account, const struct uuid *id, struct bytes hash,
			   struct err *e) MUST_CHECK;
/* RC_NOT_FOUND: nobody of this tenant has this login. */
enum rc store_find_account(struct store_tx *t, const char *login, struct uuid *account_r, struct err *e) MUST_CHECK;

struct store_key_view {
	struct uuid id;
	bool app;
	struct bytes name;
	bool has_account;
	struct uuid account;
	const char *login;	 /* "": the tenant's own */
	const char *permissions; /* of an application password: it sends mail */
	const char *lookup;
	int64_t created_us, expires_us, revoked_us; /* 0: never, not */
	struct uuid replaced_by;
};
/* A key in force. RC_NOT_FOUND: none of this tenant. */
enum rc store_get_key(struct store_tx *t, const struct uuid *id, struct store_key_view *out_r,
		      struct err *e) MUST_CHECK;
/* Newest first, older than before (NULL: from the newest). account NULL: everybody's. */
enum rc store_list_keys(struct store_tx *t, const struct uuid *before, const struct uuid *account, bool ended,
			int32_t limit, struct store_key_view **v_r, size_t *n_r, struct err *e) MUST_CHECK;
enum rc store_revoke_key(struct store_tx *t, const struct uuid *id, struct err *e) MUST_CHECK;
/* k, which has another id and secret, takes old's place; old ends then: now (revoked) if that is not in the future. */
enum rc store_rotate_key(struct store_tx *t, const struct store_key_view *old, const struct store_new_key *k,
			 int64_t old_expires_us, struct err *e) MUST_CHECK;

/* The platform's key, in a transaction of its own. RC_CONFLICT: there is one and rotate is false; rotate ends those in
 * force. before_commit runs when everything else is done; its failure rolls back. */
enum rc store_set_platform_key(const struct store_by *by, const struct store_new_key *k, bool rotate,
			       enum rc (*before_commit)(void *ctx, struct err *e), void *ctx, struct err *e) MUST_CHECK;

#endif
