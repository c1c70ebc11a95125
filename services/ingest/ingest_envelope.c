/* SPDX-License-Identifier: MIT
 *
 * Envelopes and questions: memory, and the two things threads share, the body's memory and the claim.
 */
#include "ingest_envelope.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "crypt/secret.h"

#define BODY_FIRST 8192

struct envelope *
envelope_new(struct ingest_budget *budget)
{
	struct arena *a = arena_new();
	struct envelope *e = arena_alloc(a, sizeof(*e));
	*e = (struct envelope){
	    .arena = a, .account_name = "", .client_ip = "", .helo = "", .protocol = "", .tls = "", .budget = budget};
	buf_init(&e->body, 0);
	return e;
}

static void
drop_body(struct envelope *e)
{
	budget_give(e->budget, &e->payer, (int64_t)e->body.cap);
	buf_done(&e->body);
}

void
envelope_free(struct envelope **ep)
{
	if (*ep == NULL)
		return;
	drop_body(*ep);
	struct arena *a = (*ep)->arena;
	*ep = NULL;
	arena_free(&a);
}

struct envelope_recipient *
envelope_add(struct envelope *e)
{
	if (e->n_recipients == e->cap_recipients) {
		size_t cap = e->cap_recipients != 0 ? e->cap_recipients * 2 : 4;
		struct envelope_recipient *v = arena_new_array(e->arena, struct envelope_recipient, cap);
		if (e->n_recipients > 0)
			memcpy(v, e->recipients, e->n_recipients * sizeof(*v));
		e->recipients = v;
		e->cap_recipients = cap;
	}
	return &e->recipients[e->n_recipients++];
}

bool
envelope_reserve(struct envelope *e, size_t n, size_t expected)
{
	size_t need = e->body.n + n + 1;
	if (need <= e->body.cap)
		return true;
	size_t cap = e->body.cap != 0 ? e->body.cap : BODY_FIRST;
	/* Not doubled: half of a large message's memory would be air that others go without. */
	while (cap < need)
		cap += cap / 4;
	if (e->body.cap == 0 && expected > cap)
		cap = expected;
	if (e->body.cap == 0)
		e->payer = budget_payer_of(e->inside, e->client_ip, e->has_tenant ? &e->tenant : NULL);
	if (!budget_take(e->budget, &e->payer, (int64_t)(cap - e->body.cap))) {
		drop_body(e);
		return false;
	}
	uint8_t *p = realloc(e->body.p, cap);
	if (p == NULL) {
		budget_give(e->budget, &e->payer, (int64_t)(cap - e->body.cap));
		drop_body(e);
		return false;
	}
	e->body.p = p;
	e->body.cap = cap;
	return true;
}

void
ingest_reply_set(struct ingest_reply *r, int code, const char *enhanced, const char *fmt, ...)
{
	va_list ap;
	r->code = code;
	snprintf(r->enhanced, sizeof(r->enhanced), "%s", enhanced);
	va_start(ap, fmt);
	vsnprintf(r->text, sizeof(r->text), fmt, ap);
	va_end(ap);
}

struct ask *
ask_new(enum ask_kind kind)
{
	struct arena *a = arena_new();
	struct ask *k = arena_alloc(a, sizeof(*k));
	k->kind = kind;
	k->arena = a;
	k->client_ip = "";
	k->from = "";
	k->rc = RC_INTERNAL; /* nobody answered */
	return k;
}

void
ask_free(struct ask **kp)
{
	struct ask *k = *kp;
	if (k == NULL)
		return;
	*kp = NULL;
	secret_wipe((void *)(uintptr_t)k->password.p, k->password.n);
	secret_wipe((void *)(uintptr_t)k->token.p, k->token.n);
	envelope_free(&k->envelope);
	struct arena *a = k->arena;
	arena_free(&a);
}

bool
ask_claim(struct ask *k, enum ask_claim claim)
{
	enum ask_claim none = CLAIM_NONE;
	return atomic_compare_exchange_strong(&k->claim, &none, claim);
}
