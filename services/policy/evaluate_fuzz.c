/* SPDX-License-Identifier: MIT
 *
 * Any octets as facts, their last ones as sender and recipients: what is decided is decided twice alike, parses, and
 * leaves nobody undecided; what is not clean never passes.
 */
#include <jansson.h>
#include <stdlib.h>

#include "policy_testing.h"
#include "mail/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char rules[] =
    "{\"format\":1,\"default\":{\"outgoing\":{\"action\":\"pass\"}},\"rules\":["
    "{\"id\":\"a\",\"direction\":\"both\",\"when\":{\"all\":[{\"keyword\":{\"words\":[\"秘密\",\"secret\",\"ﾊﾟｽﾜｰﾄﾞ\"]}"
    "},"
    "{\"not\":{\"recipient\":[\"*.example.jp\",\"a@b.jp\"]}}]},\"then\":{\"action\":\"hold\",\"seconds\":5}},"
    "{\"id\":\"b\",\"when\":{\"any\":[{\"sender\":[\"*@x.jp\",\"boss\"]},{\"recipient_class\":[\"affiliate\"]},"
    "{\"size\":{\"over\":9999}}]},\"then\":{\"action\":\"refuse\",\"message\":\"no\"}}]}";

static void
check(const struct eval_inputs *in, struct arena *a)
{
	struct policy_answer one, two;
	struct err e;
	if (eval_message(in, a, &one, &e) != RC_OK)
		return;
	if (eval_message(in, a, &two, &e) != RC_OK || !bytes_eq(one.decision, two.decision))
		abort();
	json_t *record = json_loadb((const char *)one.decision.p, one.decision.n, JSON_REJECT_DUPLICATES, NULL);
	const char *verdict = json_string_value(json_object_get(json_object_get(record, "facts"), "verdict"));
	if (verdict == NULL)
		abort();
	bool clean = strcmp(verdict, "clean") == 0;
	for (size_t i = 0; i < one.n_plans; i++)
		if (one.plans[i].action == POLICY_UNDECIDED || (!clean && one.plans[i].action == POLICY_PASS))
			abort();
	if (one.verdict != POLICY_REFUSE && one.n_plans != in->question->n_recipients)
		abort();
	json_decref(record);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct directory *directory;
	static struct ruleset *set;
	struct arena *a = arena_new();
	if (directory == NULL) {
		directory = testing_directory();
		set = testing_rules(rules, a);
	}
	size_t tail = size < 60 ? size : 60;
	char *words = arena_strndup(a, data + size - tail, tail);
	const char *recipients[3] = {words, "x@partner.jp", "y@example.co.jp"};
	struct policy_question q = {
	    .direction = size % 2 == 0 ? POLICY_OUTGOING : POLICY_INCOMING,
	    .account = "boss",
	    .mail_from = words,
	    .recipients = recipients,
	    .n_recipients = 3,
	    .facts = {data, size},
	    .accepted_us = TESTING_NOW_US,
	    .client_ip = "",
	};
	struct eval_inputs in = {.question = &q, .rules = set, .rules_version = 1, .directory = directory};
	check(&in, a);
	/* The same octets as the text of facts that do decode. */
	if (text_is_utf8(bytes_of(data, size)) && memchr(data, 0, size) == NULL) {
		char *text = arena_strndup(a, data, size);
		struct testing_mail mail = {
		    .body = text, .subject = words, .attachment = words, .from = {words}, .to = {words}};
		if (text_is_utf8(bytes_str(words))) {
			q.facts = testing_facts(&mail, a);
			check(&in, a);
		}
	}
	arena_free(&a);
	return 0;
}
