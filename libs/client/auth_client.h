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

/* Permissions, as they stand in actor tokens and in requests to make a key. */
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

/* platform.admin. admin_key_r: the key of the tenant's first administrator, shown once. */
enum rc auth_tenant_create(const struct auth_call *c, struct bytes name, struct arena *a, struct uuid *tenant_r,
			   const char **admin_key_r, struct err *e) MUST_CHECK;

/* Ids of all tenants, by age: for services that go round. No actor token. */
enum rc auth_tenants(const struct auth_call *c, struct arena *a, struct uuid **ids_r, size_t *n_r,
		     struct err *e) MUST_CHECK;

struct auth_tenant {
	struct uuid id;
	struct bytes name;
	int64_t created_us;
};
/* platform.admin. By id, which is by age. */
enum rc auth_tenant_list(const struct auth_call *c, struct arena *a, struct auth_tenant **tenants_r, size_t *n_r,
			 struct err *e) MUST_CHECK;

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

enum auth_key_kind { AUTH_API_KEY = 0, AUTH_APP_PASSWORD = 1 };
struct auth_key_wish {
	enum auth_key_kind kind;
	struct bytes name;
	const char *login; /* whose; "": the tenant's own (AUTH_API_KEY only; it has no addresses to send from) */
	const char *const *permissions; /* AUTH_API_KEY: at least one, none that the caller does not have */
	size_t n_permissions;
	int64_t expires_us; /* wall; 0: never */
};
struct auth_new_key {
	struct uuid id;
	const char *secret; /* shown once */
	const char *login;  /* AUTH_APP_PASSWORD: the name to use at SMTP AUTH; else the person's or "" */
};
/* key.write. RC_CONFLICT: a key of this name is in force. */
enum rc auth_key_create(const struct auth_call *c, const struct auth_key_wish *w, struct arena *a,
			struct auth_new_key *out_r, struct err *e) MUST_CHECK;
/* key.write. At once for new requests and at the next MAIL FROM; actor tokens that are out live on for at most 60 s. */
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

/* --- asked by policy ------------------------------------------------------------------------------------- */
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
};
/* RC_NOT_FOUND: no such tenant. */
enum rc auth_directory(const struct auth_call *c, const struct uuid *tenant, struct arena *a,
		       struct auth_directory *out_r, struct err *e) MUST_CHECK;

#endif
