/* SPDX-License-Identifier: MIT
 *
 * What ingest asks for every session and mail: login, sender, recipient. A wrong password is recorded, in a commit,
 * before it is answered; so is any other login, but of one kind and from one place at most once in a minute.
 */
#include "auth.h"

#include "crypt/token.h"
#include "names.h"
#include "password.h"
#include "permission.h"
#include "record.h"
#include "wire.h"

#define APP_PREFIX  "skapp"
#define ADDRESS_MAX 320

struct auth auth;

static const char *const outcomes[] = {"ok", "denied", "busy", NULL};
struct metric auth_logins = {
    .name = "sekisho_auth_logins_total",
    .type = METRIC_COUNTER,
    .help = "Names and passwords checked.",
    .label = "outcome",
    .values = outcomes,
};
struct metric auth_senders = {
    .name = "sekisho_auth_senders_total",
    .type = METRIC_COUNTER,
    .help = "Sender addresses checked.",
    .label = "outcome",
    .values = outcomes,
};

/* --- login -------------------------------------------------------------------------------------------------- */
struct attempt {
	const struct svc_request *r;
	struct store_by by;
	struct uuid tenant, account; /* nil: unknown */
	struct store_person person;
	struct bytes password;
	bool is_app;
	struct uuid credential;
	const char *reason; /* why not */
	bool counts;	    /* a wrong password, towards the lock */
};

static enum rc
find_person(struct attempt *t, struct bytes name, struct err *e)
{
	const char *login = NULL;
	uint8_t hash[32];
	enum rc rc = RC_NOT_FOUND;
	if (names_login(name, t->r->in->arena, &login))
		rc = store_find_login(&t->by, login, &t->tenant, &t->account, e);
	if (rc != RC_OK && rc != RC_NOT_FOUND)
		return rc;
	if (t->is_app)
		token_hash(t->password, hash);
	/* Asked for an unknown name too: the same steps for everybody. */
	return store_get_person(&t->by, &t->tenant, &t->account, t->is_app ? hash : NULL, t->r->in->arena, &t->person,
				e);
}

static enum rc
check_password(struct attempt *t, struct err *e)
{
	bool good = false;
	const struct store_person *p = &t->person;
	if (t->is_app) {
		good = p->app_good;
	} else {
		enum rc rc = password_check(t->password, p->password_hash, t->by.deadline_ms, &good, e);
		if (rc != RC_OK)
			return rc;
	}
	t->credential = t->is_app ? p->app : p->password;
	if (!p->found)
		t->reason = "unknown login";
	else if (p->disabled)
		t->reason = "disabled";
	else if (!t->is_app &&
		 p->locked) /* an application password cannot be guessed: no lock, no way to lock people out */
		t->reason = "locked";
	else if (!good)
		t->reason = t->is_app ? "wrong application password" : "wrong password";
	t->counts = p->found && !t->is_app && !good && !p->locked;
	return RC_OK;
}

static enum rc
settle(struct attempt *t, struct err *e)
{
	if (t->reason == NULL && !t->is_app && t->person.has_failed) {
		enum rc rc = store_login_cleared(&t->by, &t->tenant, &t->account, e);
		if (rc != RC_DENIED)
			return rc;
		t->reason = "locked";
	}
	if (t->reason == NULL)
		return record_note(&t->by, &t->tenant, &t->account, "auth.login", RC_OK,
				   t->is_app ? "application password" : "password", e);
	/* Wrong passwords bring the lock, so there are never many. What brings none can be tried in bulk, and must not
	 * fill the record nor have a commit for each. */
	enum rc rc = t->counts ? store_login_failed(&t->by, &t->tenant, &t->account, t->reason, auth.lock_after,
						    t->by.now_us + auth.lock_ms * 1000, e)
			       : record_note(&t->by, &t->tenant, &t->account, "auth.login", RC_DENIED, t->reason, e);
	return rc == RC_OK ? err_set(e, RC_DENIED, "no such name and password") : rc;
}

static void
count(struct metric *m, enum rc rc)
{
	metric_add(m, rc == RC_OK ? AUTH_METRIC_OK : rc == RC_DENIED ? AUTH_METRIC_DENIED : AUTH_METRIC_BUSY, 1);
}

enum rc
auth_handle_login(const struct svc_request *r, struct buf *reply, struct err *e)
{
	Sekisho__Auth__LoginRequest *q = NULL;
	Sekisho__Auth__LoginReply p = SEKISHO__AUTH__LOGIN_REPLY__INIT;
	enum rc rc = wire_decode(r, &sekisho__auth__login_request__descriptor, &q, e);
	if (rc != RC_OK)
		return rc;
	struct attempt t = {
	    .r = r, .by = wire_by(r, q->client_ip), .password = bytes_of(q->password.data, q->password.len)};
	if (t.password.n > PASSWORD_MAX)
		t.password = bytes_of(NULL, 0); /* nobody's, and checked like any other */
	t.is_app = token_well_formed(APP_PREFIX, t.password);
	rc = find_person(&t, bytes_of(q->name.data, q->name.len), e);
	if (rc == RC_OK)
		rc = check_password(&t, e);
	if (rc == RC_OK)
		rc = settle(&t, e);
	count(&auth_logins, rc);
	if (rc != RC_OK)
		return rc;
	p.tenant = wire_id(&t.tenant);
	p.account = wire_id(&t.account);
	p.credential = wire_id(&t.credential);
	return wire_encode(&p, reply, e);
}

/* --- sender ------------------------------------------------------------------------------------------------- */
struct claimant {
	struct uuid tenant, account, credential;
	bool by_token;
};

static enum rc
identify(const struct svc_request *r, const Sekisho__Auth__SenderRequest *q, struct claimant *c, int64_t now_us,
	 struct err *e)
{
	struct actor actor;
	if (q->actor_token.len == 0) {
		enum rc rc = wire_uuid(q->tenant, &c->tenant, e);
		if (rc == RC_OK)
			rc = wire_uuid(q->account, &c->account, e);
		return rc == RC_OK ? wire_uuid(q->credential, &c->credential, e) : rc;
	}
	enum rc rc = actor_verify(r->svc->actors, bytes_of(q->actor_token.data, q->actor_token.len), "ingest", now_us,
				  r->in->arena, &actor, e);
	if (rc != RC_OK)
		return err_set(e, RC_DENIED, "no valid actor token");
	if (!actor_may(&actor, PERMISSION_SEND))
		return err_set(e, RC_DENIED, "permission %s is missing", PERMISSION_SEND);
	*c = (struct claimant){.tenant = actor.tenant, .account = actor.account, .by_token = true};
	return RC_OK;
}

static const char *
judge_sender(const struct store_sender *s, bool by_token, const char *address, struct arena *a)
{
	struct bytes normal;
	const char *domain = NULL;
	if (!s->found)
		return by_token ? "the key is no person's and has no addresses" : "no such account";
	if (s->disabled)
		return "account disabled";
	if (!s->credential_good)
		return "credential revoked";
	if (!permission_has(s->may, permission_find(bytes_str(PERMISSION_SEND))))
		return "permission " PERMISSION_SEND " is missing";
	if (address[0] == 0)
		return "null sender";
	if (strlen(address) > ADDRESS_MAX || names_address(bytes_str(address), a, &normal, &domain, NULL) != RC_OK)
		return "not an address";
	for (size_t i = 0; i < s->n_addresses; i++)
		if (bytes_eq(s->addresses[i], normal))
			return NULL;
	return "address not registered";
}

enum rc
auth_handle_sender(const struct svc_request *r, struct buf *reply, struct err *e)
{
	Sekisho__Auth__SenderRequest *q = NULL;
	Sekisho__Auth__SenderReply p = SEKISHO__AUTH__SENDER_REPLY__INIT;
	struct store_by by = wire_by(r, "");
	struct claimant c = {0};
	struct store_sender s;
	enum rc rc = wire_decode(r, &sekisho__auth__sender_request__descriptor, &q, e);
	if (rc == RC_OK)
		rc = identify(r, q, &c, by.now_us, e);
	if (rc == RC_OK)
		rc = store_get_sender(&by, &c.tenant, &c.account, c.by_token ? NULL : &c.credential, r->in->arena, &s,
				      e);
	if (rc != RC_OK) {
		count(&auth_senders, rc);
		return rc;
	}
	const char *reason = judge_sender(&s, c.by_token, q->address, r->in->arena);
	count(&auth_senders, reason == NULL ? RC_OK : RC_DENIED);
	p.allowed = reason == NULL;
	p.reason = (char *)(uintptr_t)(reason != NULL ? reason : "");
	p.tenant = wire_id(&c.tenant);
	p.account = wire_id(&c.account);
	p.account_name = (char *)(uintptr_t)s.login;
	p.addresses = arena_new_array(r->in->arena, char *, s.n_addresses + 1);
	for (; p.n_addresses < s.n_addresses; p.n_addresses++)
		p.addresses[p.n_addresses] =
		    arena_strndup(r->in->arena, s.addresses[p.n_addresses].p, s.addresses[p.n_addresses].n);
	return wire_encode(&p, reply, e);
}

/* --- recipient ---------------------------------------------------------------------------------------------- */
enum rc
auth_handle_recipient(const struct svc_request *r, struct buf *reply, struct err *e)
{
	Sekisho__Auth__RecipientRequest *q = NULL;
	Sekisho__Auth__RecipientReply p = SEKISHO__AUTH__RECIPIENT_REPLY__INIT;
	struct store_by by = wire_by(r, "");
	const char *domain = NULL;
	struct uuid tenant;
	enum rc rc = wire_decode(r, &sekisho__auth__recipient_request__descriptor, &q, e);
	if (rc != RC_OK)
		return rc;
	if (names_domain(bytes_str(q->domain), r->in->arena, &domain, NULL) != RC_OK)
		return err_set(e, RC_NOT_FOUND, "not ours");
	rc = store_find_domain(&by, domain, &tenant, e);
	if (rc != RC_OK)
		return rc;
	p.tenant = wire_id(&tenant);
	return wire_encode(&p, reply, e);
}
