/* SPDX-License-Identifier: MIT
 *
 * AUTH (RFC 4954): PLAIN (RFC 4616) and LOGIN under TLS, and on the internal listener XSEKISHO-ACTOR, whose only
 * response is an actor token. Names and passwords are handed on as they came, and wiped.
 */
#include <stdlib.h>

#include <openssl/evp.h>

#include "crypt/secret.h"
#include "ingest_session_internal.h"
#include "smtp/reply.h"

#define ACTOR "XSEKISHO-ACTOR"

/* Strict base64; "=" alone stands for nothing (RFC 4954, 4). The result is in the arena. */
static bool
decode(struct arena *a, struct bytes text, struct bytes *out_r)
{
	if (bytes_eq(text, bytes_str("=")) || text.n == 0) {
		*out_r = bytes_of("", 0);
		return true;
	}
	if (text.n % 4 != 0)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];
		bool pad = c == '=' && i + 2 >= text.n && (i + 1 == text.n || text.p[i + 1] == '=');
		if (!pad && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z') && !(c >= '0' && c <= '9') && c != '+' &&
		    c != '/')
			return false;
	}
	uint8_t *p = arena_alloc(a, text.n / 4 * 3 + 1);
	int n = EVP_DecodeBlock(p, text.p, (int)text.n);
	if (n < 0)
		return false;
	size_t pads = (size_t)(text.p[text.n - 1] == '=') + (size_t)(text.p[text.n - 2] == '=');
	*out_r = bytes_of(p, (size_t)n - pads);
	return true;
}

static enum session_want
challenge(struct session *s, struct buf *out, enum session_state state, const char *text)
{
	s->state = state;
	smtp_reply_write(out, 334, NULL, text, false);
	return SESSION_MORE;
}

static enum session_want
malformed(struct session *s, struct ask **a, struct buf *out)
{
	ask_free(a);
	s->state = AT_COMMAND;
	return session_reply(s, out, 501, "5.5.2", "cannot decode response");
}

static enum session_want
single_response(struct session *s, struct bytes text, struct buf *out)
{
	struct ask *a = ask_new(ASK_LOGIN);
	struct bytes all;
	if (!decode(a->arena, text, &all))
		return malformed(s, &a, out);
	a->password = all; /* so that all of it is wiped */
	if (s->kind == SESSION_INTERNAL) {
		a->by_token = true;
		a->token = arena_bytes(a->arena, all);
		buf_reset(&s->secret);
		buf_add_bytes(&s->secret, all);
		return session_open_ask(s, a);
	}
	/* [authzid] NUL authcid NUL password; acting for another is not offered. */
	const uint8_t *first = memchr(all.p, '\0', all.n);
	const uint8_t *second = first != NULL ? memchr(first + 1, '\0', all.n - (size_t)(first + 1 - all.p)) : NULL;
	if (second == NULL)
		return malformed(s, &a, out);
	struct bytes authzid = bytes_of(all.p, (size_t)(first - all.p));
	a->name = bytes_of(first + 1, (size_t)(second - first - 1));
	a->password = bytes_of(second + 1, all.n - (size_t)(second + 1 - all.p));
	if (a->name.n == 0 || (authzid.n > 0 && !bytes_eq(authzid, a->name)) ||
	    memchr(a->password.p, '\0', a->password.n) != NULL)
		return malformed(s, &a, out);
	return session_open_ask(s, a);
}

static enum session_want
login_name(struct session *s, struct bytes text, struct buf *out)
{
	buf_reset(&s->secret);
	buf_add_bytes(&s->secret, text);
	return challenge(s, out, AT_AUTH_PASS, "UGFzc3dvcmQ6");
}

static enum session_want
login_password(struct session *s, struct bytes text, struct buf *out)
{
	struct ask *a = ask_new(ASK_LOGIN);
	if (!decode(a->arena, buf_bytes(&s->secret), &a->name) || !decode(a->arena, text, &a->password) ||
	    a->name.n == 0)
		return malformed(s, &a, out);
	return session_open_ask(s, a);
}

enum session_want
session_auth_begin(struct session *s, const struct smtp_command *c, struct buf *out)
{
	bool plain = bytes_ieq(c->argument, bytes_str("PLAIN")), login = bytes_ieq(c->argument, bytes_str("LOGIN"));
	bool actor = bytes_ieq(c->argument, bytes_str(ACTOR));
	if (s->kind == SESSION_MX)
		return session_reply(s, out, 503, "5.5.1", "not offered");
	if (s->authed)
		return session_reply(s, out, 503, "5.5.1", "authenticated already");
	if (s->kind != SESSION_INTERNAL && s->tls[0] == '\0')
		return session_reply(s, out, 538, "5.7.11", "encryption is required");
	if (s->kind == SESSION_INTERNAL ? !actor : !plain && !login)
		return session_reply(s, out, 504, "5.5.4", "mechanism not offered");
	if (login)
		return c->has_initial ? login_name(s, c->initial, out)
				      : challenge(s, out, AT_AUTH_USER, "VXNlcm5hbWU6");
	return c->has_initial ? single_response(s, c->initial, out) : challenge(s, out, AT_AUTH_SINGLE, "");
}

enum session_want
session_auth_line(struct session *s, struct bytes line, struct buf *out)
{
	enum session_state state = s->state;
	s->state = AT_COMMAND;
	if (bytes_eq(line, bytes_str("*")))
		return session_reply(s, out, 501, "5.7.0", "authentication cancelled");
	switch (state) {
	case AT_AUTH_USER:
		return login_name(s, line, out);
	case AT_AUTH_PASS:
		return login_password(s, line, out);
	default:
		return single_response(s, line, out);
	}
}

enum session_want
session_auth_answer(struct session *s, struct ask *a, struct buf *out)
{
	if (!a->by_token || a->rc != RC_OK) {
		secret_wipe(s->secret.p, s->secret.n);
		buf_done(&s->secret);
	}
	if (a->rc == RC_OK) {
		s->authed = true;
		s->by_token = a->by_token;
		s->identity = a->identity;
		free(s->token_from);
		s->token_from = a->by_token ? strdup(a->from) : NULL;
		return session_reply(s, out, 235, "2.7.0", "authentication succeeded");
	}
	if (rc_is_transient(a->rc))
		return session_reply(s, out, 454, "4.7.0", "temporary authentication failure");
	if (++s->auth_failures >= s->cfg->auth_failures_max)
		return session_end(s, out, 421, "4.7.0", "too many failed authentications");
	return session_reply(s, out, 535, "5.7.8", "authentication credentials invalid");
}
