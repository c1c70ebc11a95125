/* SPDX-License-Identifier: MIT
 *
 * Ingest's own judgement: virus, loops, and that an account writes only as itself. Everything else is policy's.
 */
#include "ingest_judge.h"

#include "smtp/address.h"

static void
refuse(struct judgement *j, const char *rule, const char *reason, int code, const char *enhanced, const char *text)
{
	j->finding = JUDGE_REFUSE;
	j->rule = rule;
	j->reason = reason;
	ingest_reply_set(&j->reply, code, enhanced, "%s", text);
}

static bool
may_send_as(const struct envelope *env, const char *addr)
{
	for (size_t i = 0; i < env->n_may_send_as; i++)
		if (auth_address_eq(env->may_send_as[i], bytes_str(addr)))
			return true;
	return false;
}

/* What is no address to the letter is read differently by every program behind us. */
static bool
is_addr_spec(const char *addr)
{
	struct smtp_address a;
	char ascii[SMTP_ASCII_DOMAIN_SIZE];
	return smtp_address_parse(bytes_str(addr), &a, NULL) == RC_OK &&
	       (a.literal || smtp_domain_ascii(a.domain, ascii, NULL) == RC_OK);
}

/* From as the receiver will see it must be the account's, else the check of MAIL FROM is worth nothing. */
static void
judge_from(const struct envelope *env, const struct facts *f, struct judgement *j)
{
	if (!f->has_from || f->from.n == 0) {
		refuse(j, "from-header", "no From header", 554, "5.6.0", "message has no valid From header");
		return;
	}
	for (size_t i = 0; i < f->from.n; i++) {
		if (!is_addr_spec(f->from.v[i].addr)) {
			refuse(j, "from-header", "From address is malformed", 554, "5.6.0",
			       "message has no valid From header");
			return;
		}
		if (may_send_as(env, f->from.v[i].addr))
			continue;
		refuse(j, "from-header", "From address not registered", 550, "5.7.1",
		       "From header is not an address of this account");
		return;
	}
}

static void
judge_infected(const struct envelope *env, const struct facts *f, struct arena *a, struct judgement *j)
{
	j->rule = "virus";
	j->reason = arena_printf(a, "infected: %s", f->signature);
	if (env->incoming) {
		j->finding = JUDGE_QUARANTINE;
		return;
	}
	j->finding = JUDGE_REFUSE;
	ingest_reply_set(&j->reply, 550, "5.7.1", "message is infected: %s", f->signature);
}

void
judge_facts(const struct envelope *env, const struct facts *f, struct arena *a, struct judgement *out_r)
{
	*out_r = (struct judgement){.finding = JUDGE_POLICY, .rule = "", .reason = ""};
	if (f->verdict == FACTS_INFECTED)
		judge_infected(env, f, a, out_r);
	else if (f->verdict == FACTS_ERROR) {
		out_r->finding = JUDGE_DEFER;
		ingest_reply_set(&out_r->reply, 451, "4.7.0", "message could not be scanned, try again later");
	} else if (f->received_count > INGEST_HOPS_MAX)
		refuse(out_r, "loop", "too many Received headers", 554, "5.4.6", "too many hops, this mail is looping");
	else if (!env->incoming)
		judge_from(env, f, out_r);
}

void
judge_poison(const struct envelope *env, struct judgement *out_r)
{
	*out_r = (struct judgement){.rule = "scan-failed", .reason = "the scanner failed on it repeatedly"};
	if (env->incoming)
		out_r->finding = JUDGE_QUARANTINE;
	else
		refuse(out_r, out_r->rule, out_r->reason, 554, "5.6.0", "message cannot be scanned");
}
