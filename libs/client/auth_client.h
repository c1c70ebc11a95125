/* SPDX-License-Identifier: MIT
 *
 * The only door to `auth`: who is it, and may they. Blocking; thread-safe. Whoever gets anything but RC_OK knows
 * nobody and lets nothing through: RC_DENIED is a final no (SMTP 535/550, HTTP 401/403), RC_RETRY is 451 or 503.
 * Strings and arrays of answers live in the arena given; strings of questions are UTF-8 and never NULL.
 */
#ifndef CLIENT_AUTH_CLIENT_H
#define CLIENT_AUTH_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/bus.h"
#include "core/arena.h"
#include "core/id.h"
#include "core/rc.h"

#define AUTH_NAME_MAX	       256 /* octets of a login, a display name, the name of a key or of a tenant */
#define AUTH_PASSWORD_MAX      1024
#define AUTH_PASSWORD_MIN      10
#define AUTH_ADDRESS_MAX       320 /* octets of an addr-spec */
#define AUTH_ADDRESSES_MAX     100 /* per account */
#define AUTH_AUDIENCES_MAX     16
#define AUTH_TOKEN_LIFETIME_MS 60000 /* an actor token is never good for longer */

/* Permissions, as they stand in actor tokens and in requests to make a key. All there are, and the built-in roles:
 * subject_permissions and subject_roles of subjects.h. */
#define AUTH_MESSAGE_READ   "message.read"
#define AUTH_MESSAGE_SEND   "message.send"
#define AUTH_HOLD_RELEASE   "hold.release"
#define AUTH_HOLD_DISCARD   "hold.discard"
#define AUTH_POLICY_READ    "policy.read"
#define AUTH_POLICY_WRITE   "policy.write"
#define AUTH_USER_WRITE	    "user.write"
#define AUTH_KEY_WRITE	    "key.write"
#define AUTH_DOMAIN_WRITE   "domain.write"
#define AUTH_ROUTE_WRITE    "route.write"
#define AUTH_QUEUE_READ	    "queue.read"
#define AUTH_KEEPER_READ    "keeper.read"
#define AUTH_PLATFORM_ADMIN "platform.admin"

/* How, for whom, until when. actor_token: for audience "auth"; empty where a service asks for itself. */
struct auth_call {
	struct bus *bus;
	const char *traceparent; /* may be NULL */
	struct bytes actor_token;
	int64_t deadline_ms; /* monotonic */
	const char
	    *idempotency_key; /* NULL or "": none. With one, a call that makes something answers the same again */
};

/* --- asked by ingest ------------------------------------------------------------------------------------- */
struct auth_identity {
	struct uuid tenant, account;
	struct uuid credential; /* what was used: to be shown again at each MAIL FROM */
};
/* SMTP AUTH. name and password exactly as the client sent them. RC_DENIED is the same for an unknown name, a wrong
 * password and a locked account; RC_RETRY also when too many passwords are being checked at once. */
enum rc auth_login(const struct auth_call *c, struct bytes name, struct bytes password, const char *client_ip,
		   struct arena *a, struct auth_identity *out_r, struct err *e) MUST_CHECK;

struct auth_sender_question {
	/* Either who logged in ... */
	const struct auth_identity *identity; /* NULL with actor_token */
	/* ... or the actor token of a submission by api (audience "ingest", permission message.send). */
	struct bytes actor_token;
	struct bytes address; /* MAIL FROM as addr-spec; empty: the null sender */
};
struct auth_sender {
	bool allowed;
	const char *reason; /* why not, for the audit record: "address not registered", "credential revoked", ... */
	struct uuid tenant, account;
	const char *account_name; /* login name */
	struct bytes *addresses;  /* every address the account may send from: domain lower-case and A-label */
	size_t n_addresses;
};
/* May this account, still valid, send from this address? A no is RC_OK with allowed false; RC_DENIED only for an actor
 * token that is not good. The null sender is never allowed. */
enum rc auth_sender(const struct auth_call *c, const struct auth_sender_question *q, struct arena *a,
		    struct auth_sender *out_r, struct err *e) MUST_CHECK;

/* Which tenant receives for this address? By its domain (any case, U-label or A-label). RC_NOT_FOUND: not ours. */
enum rc auth_recipient(const struct auth_call *c, struct bytes address, struct arena *a, struct uuid *tenant_r,
		       struct err *e) MUST_CHECK;
/* Does an address of auth_sender's answer equal this one, as auth compares: local part exactly, domain without regard
 * to ASCII case? Both must be in A-label form. Pure. */
bool auth_address_eq(struct bytes a, struct bytes b);

/* --- asked by api ---------------------------------------------------------------------------------------- */
struct auth_token {
	const char *audience;
	struct bytes token;
};
struct auth_key_holder {
	struct uuid tenant; /* nil: the platform's own key */
	struct uuid account;
	const char *account_name;
	const char **permissions;
	size_t n_permissions;
	struct auth_token *tokens; /* one per audience asked for, same order */
	size_t n_tokens;
};
/* An API key to actor tokens. RC_DENIED: unknown, revoked or expired key, all the same. */
enum rc auth_api_key(const struct auth_call *c, const char *key, const char *client_ip, const char *request_id,
		     const char *const *audiences, size_t n, struct arena *a, struct auth_key_holder *out_r,
		     struct err *e) MUST_CHECK;

/* platform.admin. sandbox: its mail goes to a sink, for ever. admin_key_r: the key of the tenant's first
 * administrator, shown once (and again to the same idempotency key). */
enum rc auth_tenant_create(const struct auth_call *c, struct bytes name, bool sandbox, struct arena *a,
			   struct uuid *tenant_r, const char **admin_key_r, struct err *e) MUST_CHECK;

/* Ids of all tenants, by age: for services that go round. No actor token. */
enum rc auth_tenants(const struct auth_call *c, struct arena *a, struct uuid **ids_r, size_t *n_r,
		     struct err *e) MUST_CHECK;

struct auth_tenant {
	struct uuid id;
	struct bytes name;
	int64_t created_us;
	bool sandbox;
	uint64_t version;
	const char *language; /* of notices: "ja" or "en" */
	bool head_mail;	      /* administrators get the record's signed head by mail every day */
};
/* platform.admin. By id, which is by age. */
enum rc auth_tenant_list(const struct auth_call *c, struct arena *a, struct auth_tenant **tenants_r, size_t *n_r,
			 struct err *e) MUST_CHECK;
/* tenant.read. The caller's own. RC_NOT_FOUND: a platform key has none. */
enum rc auth_tenant_get(const struct auth_call *c, struct arena *a, struct auth_tenant *out_r,
			struct err *e) MUST_CHECK;

/* if_version, here and everywhere: 0: whatever it is now; else RC_CONFLICT "version is N" when it is N and not this.
 * Updates replace all that they name: to leave something as it is, say what auth_*_get() said. A change that changes
 * nothing answers RC_OK, makes no new version and leaves no entry on the record. */
struct auth_tenant_settings {
	uint64_t if_version;
	struct bytes name;
	const char *language;
	bool head_mail;
};
/* tenant.write. */
enum rc auth_tenant_update(const struct auth_call *c, const struct auth_tenant_settings *s, struct arena *a,
			   struct auth_tenant *out_r, struct err *e) MUST_CHECK;

/* Any valid token: who the caller is, as the token says, and what it may at this moment. */
struct auth_who {
	struct uuid tenant; /* nil: the platform's own key */
	struct uuid account;
	const char *name;
	const char **permissions;
	size_t n_permissions;
	struct bytes tenant_name;
	bool sandbox;
};
enum rc auth_who(const struct auth_call *c, struct arena *a, struct auth_who *out_r, struct err *e) MUST_CHECK;

struct auth_user {
	const char *login; /* [a-z0-9._@+-], unique in the platform; upper case is made lower */
	struct bytes display_name;
	struct bytes password; /* empty: only application passwords */
	const struct bytes *addresses;
	size_t n_addresses;
};
/* user.write. RC_CONFLICT: login taken. RC_INVALID: an address's domain is no proven domain of the tenant. */
enum rc auth_user_create(const struct auth_call *c, const struct auth_user *u, struct arena *a, struct uuid *account_r,
			 struct err *e) MUST_CHECK;

#define AUTH_ROLES_MAX		 64 /* of a person or a group */
#define AUTH_MEMBERS_MAX	 5000
#define AUTH_DESCRIPTION_MAX	 1000
#define AUTH_LIST_MAX		 200
#define AUTH_LIST_DEFAULT	 50
#define AUTH_OVERLAP_SECONDS_MAX 2592000 /* 30 days: as long as an old key may go on beside the new one */

struct auth_exception {
	const char *permission;
	bool deny; /* else: allowed beside all roles. A denial wins over everything */
};
struct auth_person {
	struct uuid id;
	const char *login, *display_name;
	const char **addresses; /* in the order they were given */
	size_t n_addresses;
	int64_t disabled_us;	 /* 0: enabled */
	int64_t locked_until_us; /* of the password; 0: not locked */
	int64_t created_us;
	const char **roles; /* own, not by groups; none of either: the built-in "member" */
	size_t n_roles;
	const char **groups;
	size_t n_groups;
	struct auth_exception *exceptions;
	size_t n_exceptions;
	uint64_t version; /* counts changes of all of the above but the lock and the groups */
	bool has_password;
};
struct auth_people {
	struct auth_person *v;
	size_t n;
	const char *next_cursor; /* "": no more */
};
/* user.read. By login. limit 0: AUTH_LIST_DEFAULT. search: beginning of a login or of an address, in any ASCII case;
 * "": all. RC_INVALID: a cursor that is none. */
enum rc auth_user_list(const struct auth_call *c, uint32_t limit, const char *cursor, const char *search,
		       struct arena *a, struct auth_people *out_r, struct err *e) MUST_CHECK;
/* user.read. By id, or with id NULL by login. RC_NOT_FOUND, here and everywhere: nobody, or another tenant's. */
enum rc auth_user_get(const struct auth_call *c, const struct uuid *id, const char *login, struct arena *a,
		      struct auth_person *out_r, struct err *e) MUST_CHECK;

struct auth_user_change {
	struct uuid id;
	uint64_t if_version;
	struct bytes display_name;
	const struct bytes *addresses;
	size_t n_addresses;
	bool disabled; /* from false to true ends the person's keys, passwords and sessions at once; they do not come
			  back */
	bool unlock;
	bool set_password;
	struct bytes password; /* empty with set_password: none any more */
};
/* user.write. RC_DENIED: the person may more than the caller, or would; new addresses and passwords need message.send.
 * RC_INVALID: an address's domain is no proven domain of the tenant. RC_CONFLICT: also when it would end the last
 * administrator's access. */
enum rc auth_user_update(const struct auth_call *c, const struct auth_user_change *u, struct arena *a,
			 struct auth_person *out_r, struct err *e) MUST_CHECK;
struct auth_access_change {
	struct uuid id;
	uint64_t if_version;
	const char *const *roles; /* all own roles from now on */
	size_t n_roles;
	const struct auth_exception *exceptions; /* all of them */
	size_t n_exceptions;
};
/* role.write. RC_DENIED: something would be given that the caller does not have, the person may more than the caller,
 * or somebody's own access would grow. RC_INVALID: unknown role or permission. RC_CONFLICT: also when it would end the
 * last administrator's access. */
enum rc auth_user_access(const struct auth_call *c, const struct auth_access_change *u, struct arena *a,
			 struct auth_person *out_r, struct err *e) MUST_CHECK;

struct auth_effective {
	const char *permission;
	bool allowed;
	const char **why; /* "role operator", "role auditor by group ...", "exception: denied", ...: every reason */
	size_t n_why;
};
/* user.read. Every permission a tenant can grant, in the order of the table. */
enum rc auth_user_permissions(const struct auth_call *c, const struct uuid *id, struct arena *a,
			      struct auth_effective **v_r, size_t *n_r, struct err *e) MUST_CHECK;

struct auth_role {
	const char *name, *description;
	const char **permissions;
	size_t n_permissions;
	bool built_in; /* cannot be changed; not looked at in questions */
	uint64_t version;
};
/* role.read. Built-in ones first, then the tenant's by name. */
enum rc auth_role_list(const struct auth_call *c, struct arena *a, struct auth_role **v_r, size_t *n_r,
		       struct err *e) MUST_CHECK;
/* role.write. Makes or changes the role of this name. must_be_new: RC_CONFLICT if it is there; if_version other than 0:
 * RC_NOT_FOUND if it is not. RC_CONFLICT: a built-in role's name. RC_DENIED: a permission that the caller does not have
 * would be added or taken. */
enum rc auth_role_put(const struct auth_call *c, const struct auth_role *role, uint64_t if_version, bool must_be_new,
		      struct arena *a, struct auth_role *out_r, bool *created_r, struct err *e) MUST_CHECK;
/* role.write. RC_CONFLICT: somebody has it, or a built-in one. */
enum rc auth_role_delete(const struct auth_call *c, const char *name, uint64_t if_version, struct arena *a,
			 struct err *e) MUST_CHECK;

struct auth_group {
	const char *name, *description;
	const char **members; /* logins */
	size_t n_members;
	const char **roles;
	size_t n_roles;
	uint64_t version;
};
/* group.read. By name. */
enum rc auth_group_list(const struct auth_call *c, struct arena *a, struct auth_group **v_r, size_t *n_r,
			struct err *e) MUST_CHECK;
/* role.write. As auth_role_put(). RC_INVALID: a login or a role that is not there. */
enum rc auth_group_put(const struct auth_call *c, const struct auth_group *group, uint64_t if_version, bool must_be_new,
		       struct arena *a, struct auth_group *out_r, bool *created_r, struct err *e) MUST_CHECK;
/* role.write. Its members lose the roles they have by it. */
enum rc auth_group_delete(const struct auth_call *c, const char *name, uint64_t if_version, struct arena *a,
			  struct err *e) MUST_CHECK;

enum auth_key_kind { AUTH_API_KEY = 0, AUTH_APP_PASSWORD = 1 };
struct auth_key_wish {
	enum auth_key_kind kind;
	struct bytes name;
	const char *login; /* whose; "": the tenant's own (AUTH_API_KEY only; it has no addresses to send from) */
	const char *const *permissions; /* AUTH_API_KEY: at least one, none that the caller does not have */
	size_t n_permissions;
	int64_t expires_us;	   /* wall; 0: never */
	const struct uuid *tenant; /* platform.admin only: whose; NULL: the caller's. The way back in for a tenant that
				      has lost its administrator */
};
struct auth_new_key {
	struct uuid id;
	const char *secret; /* shown once */
	const char *login;  /* AUTH_APP_PASSWORD: the name to use at SMTP AUTH; else the person's or "" */
};
/* key.write. RC_CONFLICT: a key of this name is in force. */
enum rc auth_key_create(const struct auth_call *c, const struct auth_key_wish *w, struct arena *a,
			struct auth_new_key *out_r, struct err *e) MUST_CHECK;
struct auth_key {
	struct uuid id;
	enum auth_key_kind kind;
	const char *name;
	const char *login; /* whose; "": the tenant's own */
	const char **permissions;
	size_t n_permissions;
	const char *prefix; /* first characters of the secret, to recognise it by */
	int64_t created_us;
	int64_t expires_us;	 /* 0: never */
	int64_t revoked_us;	 /* 0: in force */
	struct uuid replaced_by; /* nil: not rotated */
};
struct auth_keys {
	struct auth_key *v;
	size_t n;
	const char *next_cursor; /* "": no more */
};
/* key.read. API keys and application passwords, newest first. login "": of everybody. ended: those that were revoked or
 * have expired, too. */
enum rc auth_key_list(const struct auth_call *c, uint32_t limit, const char *cursor, const char *login, bool ended,
		      struct arena *a, struct auth_keys *out_r, struct err *e) MUST_CHECK;
/* key.write. A new secret (and id) with the same name, owner, rights and end; the old one works on for overlap_seconds,
 * 0: ends now. RC_DENIED: the key may more than the caller. RC_CONFLICT: it was rotated already. old_expires_us_r: the
 * end of the old one. */
enum rc auth_key_rotate(const struct auth_call *c, const struct uuid *key, uint32_t overlap_seconds, struct arena *a,
			struct auth_new_key *out_r, int64_t *old_expires_us_r, struct err *e) MUST_CHECK;
/* key.write. RC_CONFLICT: the last administrator's access would end. At once for new requests and at the next MAIL
 * FROM; actor tokens that are out live on for at most 60 s. */
enum rc auth_key_revoke(const struct auth_call *c, const struct uuid *key, struct arena *a, struct err *e) MUST_CHECK;

enum auth_class { AUTH_EXTERNAL = 0, AUTH_INTERNAL = 1, AUTH_AFFILIATE = 2 };
const char *auth_class_str(enum auth_class c);
struct auth_domain_wish {
	const char *name; /* U-label or A-label */
	enum auth_class class;
	bool assert_proven;	   /* platform.admin only: proven without DNS */
	const struct uuid *tenant; /* platform.admin only: whose; NULL: the caller's own */
};
struct auth_domain_answer {
	bool proven;
	const char *txt_name, *txt_value; /* while not proven: the record to publish, then ask again; else "" */
};
/* domain.write. INTERNAL: claims, and on a later call looks the proof up in DNS. AFFILIATE and EXTERNAL only classify
 * and need no proof. RC_CONFLICT: proven by another tenant. */
enum rc auth_domain_add(const struct auth_call *c, const struct auth_domain_wish *w, struct arena *a,
			struct auth_domain_answer *out_r, struct err *e) MUST_CHECK;

struct auth_domain {
	const char *name; /* lower-case A-label */
	enum auth_class class;
	bool proven;
};
struct auth_directory {
	uint64_t version; /* grows with every change */
	struct bytes tenant_name;
	struct auth_domain *domains; /* by name */
	size_t n_domains;
	bool sandbox;
};
/* domain.read. By name; tenant_name and sandbox are not in it. */
enum rc auth_domain_list(const struct auth_call *c, struct arena *a, struct auth_directory *out_r,
			 struct err *e) MUST_CHECK;

/* --- asked by policy ------------------------------------------------------------------------------------- */
/* RC_NOT_FOUND: no such tenant. */
enum rc auth_directory(const struct auth_call *c, const struct uuid *tenant, struct arena *a,
		       struct auth_directory *out_r, struct err *e) MUST_CHECK;

/* --- asked by notify ------------------------------------------------------------------------------------- */
struct auth_contacts {
	const char **addresses; /* one for each person: the first */
	size_t n;
	const char *language;
	bool head_mail;
};
/* Enabled people of the tenant who hold the permission and have an address; at most AUTH_LIST_MAX. No actor token. */
enum rc auth_contacts(const struct auth_call *c, const struct uuid *tenant, const char *permission, struct arena *a,
		      struct auth_contacts *out_r, struct err *e) MUST_CHECK;

#endif
