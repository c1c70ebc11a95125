/* SPDX-License-Identifier: MIT
 *
 * People: their logins, names, addresses, passwords; lists and searches. Inside a transaction of the caller; what is
 * recorded is the caller's business, except where a function says so.
 */
#ifndef AUTH_PEOPLE_STORE_H
#define AUTH_PEOPLE_STORE_H

#include "access_store.h"

struct store_person_view {
	struct uuid id;
	const char *login;
	struct bytes display_name;
	struct bytes *addresses, *roles, *groups;
	size_t n_addresses, n_roles, n_groups;
	const char *exceptions; /* "-message.send +policy.read" */
	int64_t disabled_us, locked_until_us, created_us;
	uint64_t version;
	bool has_password;
};
/* By id, or id NULL: by login. RC_NOT_FOUND. */
enum rc store_get_view(struct store_tx *t, const struct uuid *id, const char *login, struct store_person_view *out_r,
		       struct err *e) MUST_CHECK;
/* By login, after that of the person after (NULL: from the beginning). search: octets that a login or an address
 * begins with, folded; p NULL: everybody. */
enum rc store_list_views(struct store_tx *t, const struct uuid *after, struct bytes search, int32_t limit,
			 struct store_person_view **v_r, size_t *n_r, struct err *e) MUST_CHECK;
/* First addresses of enabled people who hold permission i. */
enum rc store_list_contacts(struct store_tx *t, size_t i, size_t limit, struct bytes **v_r, size_t *n_r,
			    struct err *e) MUST_CHECK;

struct store_addresses {
	struct bytes *addresses; /* as of names_address() ... */
	const char **domains;	 /* ... each one's domain ... */
	struct bytes *folded;	 /* ... and the address in lower case */
	size_t n;
};
/* Everything that other people than account hold who have one of these addresses, in whatever case; a disabled person
 * as if enabled. *any_r: there are such people. */
enum rc store_get_holders(struct store_tx *t, const struct uuid *account, const struct store_addresses *v, bool *any_r,
			  struct permission_set *out_r, struct err *e) MUST_CHECK;
struct store_new_user {
	struct uuid id, password_id;
	const char *login;
	struct bytes display_name;
	struct bytes password_hash; /* p NULL: none */
	struct store_addresses addresses;
};
/* RC_INVALID: a domain is not proven. A taken login shows as a unique key's conflict at the commit. Recorded. */
enum rc store_add_user(struct store_tx *t, const struct store_new_user *u, struct err *e) MUST_CHECK;

/* RC_INVALID: a domain is not proven. */
enum rc store_set_addresses(struct store_tx *t, const struct uuid *account, const struct store_addresses *v,
			    struct err *e) MUST_CHECK;
/* Display name, disabled or not, and one version more. */
enum rc store_set_person(struct store_tx *t, const struct uuid *account, struct bytes display_name, bool disabled,
			 struct err *e) MUST_CHECK;
/* End the password there is; hash p NULL: no new one. */
enum rc store_set_password(struct store_tx *t, const struct uuid *account, const struct uuid *id, struct bytes hash,
			   struct err *e) MUST_CHECK;
/* Every credential of a person, at once; *n_r: how many that were in force. */
enum rc store_end_credentials(struct store_tx *t, const struct uuid *account, int64_t *n_r, struct err *e) MUST_CHECK;
enum rc store_unlock(struct store_tx *t, const struct uuid *account, struct err *e) MUST_CHECK;

#endif
