/* SPDX-License-Identifier: MIT
 *
 * An API key to actor tokens: what every request to the API waits for. What a token permits is decided here, anew for
 * each request: the key's scopes, and for a person's key what the person may at this moment.
 */
#include "auth.h"
#include "crypt/token.h"
#include "record.h"
#include "wire.h"

#define API_PREFIX    "skapi"
#define AUDIENCES_MAX 16

/* Whatever is wrong with it, the caller gets one answer; the record says what it was. */
static enum rc
find_key(const struct store_by *by, struct bytes key, struct arena *a, struct store_key *out, struct err *e)
{
	uint8_t hash[32];
	*out = (struct store_key){.why_not = "no key"};
	if (token_well_formed(API_PREFIX, key)) {
		const char *lookup = arena_strndup(a, key.p + sizeof(API_PREFIX), STORE_LOOKUP_SIZE - 1);
		token_hash(key, hash);
		enum rc rc = store_find_key(by, lookup, hash, a, out, e);
		if (rc != RC_OK)
			return rc;
	}
	if (out->why_not == NULL)
		return RC_OK;
	enum rc rc = record_note(by, &out->tenant, &out->id, "auth.api_key", RC_DENIED, out->why_not, e);
	return rc == RC_OK ? err_set(e, RC_DENIED, "no such key") : rc;
}

static bool
audience_valid(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz");
	return n > 0 && n <= 32 && s[n] == 0;
}

static enum rc
make_tokens(struct actor *actor, char *const *audiences, size_t n, struct arena *a, Sekisho__Auth__ApiKeyReply *p,
	    struct err *e)
{
	Sekisho__Auth__Token *tokens = arena_new_array(a, Sekisho__Auth__Token, n + 1);
	p->tokens = arena_new_array(a, Sekisho__Auth__Token *, n + 1);
	for (size_t i = 0; i < n; i++) {
		struct buf b;
		if (!audience_valid(audiences[i]))
			return err_set(e, RC_INVALID, "not a service");
		actor->audience = audiences[i];
		buf_init(&b, ACTOR_TOKEN_MAX);
		enum rc rc = actor_sign(auth.signer, actor, &b, e);
		struct bytes token = arena_bytes(a, buf_bytes(&b));
		buf_done(&b);
		if (rc != RC_OK)
			return rc;
		sekisho__auth__token__init(&tokens[i]);
		tokens[i].audience = audiences[i];
		tokens[i].token = wire_bytes(token);
		p->tokens[p->n_tokens++] = &tokens[i];
	}
	return RC_OK;
}

enum rc
auth_handle_api_key(const struct svc_request *r, struct buf *reply, struct err *e)
{
	Sekisho__Auth__ApiKeyRequest *q = NULL;
	Sekisho__Auth__ApiKeyReply p = SEKISHO__AUTH__API_KEY_REPLY__INIT;
	struct store_key key;
	enum rc rc = wire_decode(r, &sekisho__auth__api_key_request__descriptor, &q, e);
	if (rc != RC_OK)
		return rc;
	if (q->n_audiences > AUDIENCES_MAX)
		return err_set(e, RC_LIMIT, "more than %d audiences", AUDIENCES_MAX);
	struct store_by by = wire_by(r, q->client_ip);
	rc = find_key(&by, bytes_str(q->key), r->in->arena, &key, e);
	if (rc != RC_OK)
		return rc;
	struct actor actor = {
	    .tenant = key.tenant,
	    .account = key.account,
	    .name = key.name,
	    .from = q->client_ip,
	    .request = q->request_id,
	    .expires_us = by.now_us + ACTOR_LIFETIME_US,
	    .key_expires_us = key.expires_us,
	};
	permission_into_actor(key.may, &actor);
	rc = make_tokens(&actor, q->audiences, q->n_audiences, r->in->arena, &p, e);
	if (rc != RC_OK)
		return rc;
	if (!uuid_is_nil(&key.tenant))
		p.tenant = wire_id(&key.tenant);
	p.account = wire_id(&key.account);
	p.account_name = (char *)(uintptr_t)key.name;
	p.permissions = (char **)(uintptr_t)actor.permissions;
	p.n_permissions = actor.n_permissions;
	return wire_encode(&p, reply, e);
}
