/* SPDX-License-Identifier: MIT */
#include "scan_finding.h"

#include <stdio.h>

#define MAIL_OCTETS_MAX (64u * 1024 * 1024)

static int
severity(enum facts_verdict v)
{
	switch (v) {
	case FACTS_CLEAN:
		return 0;
	case FACTS_ENCRYPTED:
		return 1;
	case FACTS_LIMIT:
		return 2;
	case FACTS_AMBIGUOUS:
		return 3;
	case FACTS_UNSCANNABLE:
		return 4;
	case FACTS_ERROR:
		return 5;
	case FACTS_INFECTED:
		return 6;
	}
	return 5;
}

void
findings_init(struct findings *f, struct arena *a)
{
	*f = (struct findings){.arena = a, .worst = FACTS_CLEAN, .signature = "", .reason = ""};
}

void
findings_add(struct findings *f, enum facts_verdict v, const char *reason)
{
	if (severity(v) <= severity(f->worst))
		return;
	f->worst = v;
	f->reason = arena_strdup(f->arena, reason);
}

void
findings_add_signature(struct findings *f, const char *signature)
{
	if (f->worst == FACTS_INFECTED)
		return;
	f->worst = FACTS_INFECTED;
	f->signature = arena_strdup(f->arena, signature[0] != '\0' ? signature : "unnamed");
	f->reason = "a signature matched";
}

void
findings_add_mail(struct findings *f, struct bytes b)
{
	size_t held = 0;
	for (size_t i = 0; i < f->n_mails; i++)
		held += f->mails[i].n;
	if (f->n_mails == FINDING_MAILS_MAX || b.n > MAIL_OCTETS_MAX - held) {
		findings_add(f, FACTS_LIMIT, "too many mails inside");
		return;
	}
	f->mails[f->n_mails++] = arena_bytes(f->arena, b);
}
