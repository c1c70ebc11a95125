/* SPDX-License-Identifier: MIT
 *
 * For tests and fuzz targets only; part of no program.
 */
#include "policy_testing.h"

#include <stdio.h>
#include <stdlib.h>

static struct facts_addresses
addresses(const char *const *v, struct arena *a)
{
	struct facts_addresses l = {arena_new_array(a, struct facts_address, 4), 0};
	while (l.n < 4 && v[l.n] != NULL) {
		l.v[l.n] = (struct facts_address){"", v[l.n]};
		l.n++;
	}
	return l;
}

static const char *
either(const char *s, const char *otherwise)
{
	return s != NULL ? s : otherwise;
}

struct bytes
testing_facts(const struct testing_mail *m, struct arena *a)
{
	struct facts_attachment attachment = {.name = either(m->attachment, ""),
					      .declared_type = "text/plain",
					      .detected_type = "text/plain",
					      .size = 10};
	struct facts_part root = {.parent = -1,
				  .body_length = 10,
				  .content_type = "text/plain",
				  .charset = "utf-8",
				  .encoding = "8bit",
				  .disposition = "",
				  .content_id = ""};
	struct facts f = {
	    .verdict = m->no_verdict		   ? FACTS_ERROR
		       : m->verdict != FACTS_ERROR ? m->verdict
						   : FACTS_CLEAN,
	    .signature = m->verdict == FACTS_INFECTED ? "Test.Signature" : "",
	    .reason = "",
	    .scanner = "test 1/1",
	    .size = m->size != 0 ? m->size : 1000,
	    .subject = either(m->subject, "hello"),
	    .message_id = "<1@example.co.jp>",
	    .from = addresses(m->from, a),
	    .to = addresses(m->to, a),
	    .cc = addresses(m->cc, a),
	    .text = either(m->body, "hello"),
	    .text_truncated = m->truncated,
	    .attachments = &attachment,
	    .n_attachments = m->attachment != NULL,
	    .parts = &root,
	    .n_parts = 1,
	};
	struct buf out;
	struct err e;
	buf_init(&out, 0);
	if (facts_encode(&f, &out, &e) != RC_OK) {
		fprintf(stderr, "facts: %s\n", e.text);
		abort();
	}
	struct bytes b = bytes_of(arena_strndup(a, out.p, out.n), out.n);
	buf_done(&out);
	return b;
}

struct policy_question
testing_question(const struct testing_mail *m, struct arena *a)
{
	struct policy_question q = {
	    .direction = m->incoming ? POLICY_INCOMING : POLICY_OUTGOING,
	    .account = either(m->account, "tanaka"),
	    .mail_from = either(m->mail_from, "tanaka@example.co.jp"),
	    .recipients = m->recipients,
	    .facts = testing_facts(m, a),
	    .accepted_us = TESTING_NOW_US,
	    .client_ip = "192.0.2.1",
	};
	memset(q.message.b, 0x42, sizeof(q.message.b));
	while (q.n_recipients < 8 && m->recipients[q.n_recipients] != NULL)
		q.n_recipients++;
	return q;
}

struct directory *
testing_directory(void)
{
	struct directory_domain domains[] = {
	    {"partner.jp", CLASS_AFFILIATE, false},
	    {"Example.CO.JP", CLASS_INTERNAL, true},
	    {"claimed.jp", CLASS_INTERNAL, false},
	};
	struct arena *a = arena_new();
	struct buf json;
	struct directory *d;
	struct err e;
	buf_init(&json, 0);
	directory_document(domains, 3, a, &json);
	if (directory_parse(buf_bytes(&json), 7, &d, &e) != RC_OK)
		abort();
	buf_done(&json);
	arena_free(&a);
	return d;
}

struct ruleset *
testing_rules(const char *json, struct arena *a)
{
	struct ruleset *set;
	struct policy_findings f;
	struct err e;
	if (ruleset_parse(bytes_str(json), a, &set, &f, &e) == RC_OK)
		return set;
	for (size_t i = 0; i < f.n; i++)
		fprintf(stderr, "%s: %s\n", f.v[i].pointer, f.v[i].text);
	abort();
}
