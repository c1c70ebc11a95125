/* SPDX-License-Identifier: MIT */
#include "ingest_testing.h"

static const struct bytes own_address = {(const uint8_t *)"me@own.test", 11};

static bool
ends_in(struct bytes b, const char *tail)
{
	size_t n = strlen(tail);
	return b.n >= n && bytes_ieq(bytes_of(b.p + b.n - n, n), bytes_str(tail));
}

static void
answer_sender(struct ask *a)
{
	a->rc = bytes_eq(a->address, bytes_str("later@own.test")) ? RC_RETRY : RC_OK;
	a->sender.allowed = ends_in(a->address, "@own.test") && !bytes_eq(a->address, bytes_str("revoked@own.test"));
	a->sender.reason = "address not registered";
	a->sender.tenant.b[0] = 1;
	a->sender.account_name = "me";
	a->sender.addresses = arena_new_array(a->arena, struct bytes, 1);
	a->sender.addresses[0] = own_address;
	a->sender.n_addresses = 1;
}

static void
answer(struct testing *t, struct ask *a)
{
	switch (a->kind) {
	case ASK_LOGIN:
		t->logins++;
		a->rc = bytes_eq(a->password, bytes_str("secret")) || bytes_eq(a->token, bytes_str("token")) ? RC_OK
			: bytes_eq(a->password, bytes_str("later"))					     ? RC_RETRY
								    : RC_DENIED;
		break;
	case ASK_SENDER:
		answer_sender(a);
		break;
	case ASK_RECIPIENT:
		t->recipients_asked++;
		a->rc = ends_in(a->address, "@one.test") || ends_in(a->address, "@two.test") ? RC_OK
			: ends_in(a->address, "@later.test")				     ? RC_RETRY
											     : RC_NOT_FOUND;
		a->tenant.b[0] = ends_in(a->address, "@two.test") ? 2 : 1;
		break;
	case ASK_MESSAGE:
		t->messages++;
		a->rc = RC_OK;
		ingest_reply_set(&a->reply, 250, "2.0.0", "%zu octets for %zu", a->envelope->body.n,
				 a->envelope->n_recipients);
		envelope_free(&t->last);
		t->last = a->envelope;
		a->envelope = NULL;
		break;
	}
}

void
testing_init(struct testing *t, enum session_kind kind, bool tls)
{
	*t = (struct testing){.budget = {.limit = 1 << 20}};
	t->cfg = (struct session_config){.hostname = "mx.test",
					 .starttls = true,
					 .size_max = 1000,
					 .rcpt_max = 3,
					 .errors_max = 5,
					 .auth_failures_max = 2,
					 .idle_commands_max = 20,
					 .budget = &t->budget};
	buf_init(&t->in, 0);
	buf_init(&t->out, 0);
	t->session = session_new(&t->cfg, kind, "192.0.2.1", &t->out);
	if (tls)
		session_tls_started(t->session, "TLSv1.3 TEST");
}

void
testing_done(struct testing *t)
{
	session_free(&t->session);
	envelope_free(&t->last);
	buf_done(&t->in);
	buf_done(&t->out);
}

void
testing_feed(struct testing *t, const void *p, size_t n)
{
	buf_add(&t->in, p, n);
	while (t->want == SESSION_MORE) {
		size_t used = 0;
		t->want = session_feed(t->session, buf_bytes(&t->in), &used, &t->out);
		buf_drop_front(&t->in, used);
		if (t->want != SESSION_ASK)
			return;
		struct ask *a = session_take_ask(t->session);
		answer(t, a);
		t->want = session_answer(t->session, &a, &t->out);
	}
}
