/* SPDX-License-Identifier: MIT
 *
 * From a record back to the question.
 */
#include "replay.h"

#include "crypt/crypt.h"

static const char *
text(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));
	return s != NULL ? s : "";
}

/* Whether a member, the hash in hex, is the document's. */
static bool
is_of(const json_t *object, const char *key, struct bytes document)
{
	uint8_t sha256[32];
	const char *hex = text(object, key);
	crypt_sha256(document, sha256);
	if (strlen(hex) != 64)
		return false;
	for (int i = 0; i < 32; i++)
		if (hex[2 * i] != "0123456789abcdef"[sha256[i] >> 4] ||
		    hex[2 * i + 1] != "0123456789abcdef"[sha256[i] & 15])
			return false;
	return true;
}

static enum rc
read_question(const json_t *record, struct bytes facts, struct arena *a, struct uuid *tenant, struct policy_question *q,
	      struct err *e)
{
	const json_t *list = json_object_get(record, "recipients");
	size_t n = json_array_size(list);
	const char **recipients = arena_new_array(a, const char *, n + 1);
	for (size_t i = 0; i < n; i++)
		recipients[i] = text(json_array_get(list, i), "address");
	*q = (struct policy_question){
	    .direction = strcmp(text(record, "direction"), "incoming") == 0 ? POLICY_INCOMING : POLICY_OUTGOING,
	    .account = text(record, "account"),
	    .mail_from = text(record, "mail_from"),
	    .recipients = recipients,
	    .n_recipients = n,
	    .facts = facts,
	    .accepted_us = json_integer_value(json_object_get(record, "time_us")),
	    .client_ip = text(record, "client_ip"),
	};
	if (!uuid_parse(text(record, "message"), &q->message) || !uuid_parse(text(record, "tenant"), tenant))
		return err_set(e, RC_INVALID, "the record names no message or no tenant");
	return RC_OK;
}

static enum rc
derive(const json_t *record, const struct replay_documents *d, struct arena *a, struct bytes *out_r, struct err *e)
{
	const json_t *rules = json_object_get(record, "rule_set"), *directory = json_object_get(record, "directory");
	if (json_integer_value(json_object_get(record, "evaluator")) != EVAL_VERSION)
		return err_set(e, RC_INVALID, "the record is of another version of the evaluator");
	struct eval_inputs in = {
	    .rules_version = (uint64_t)json_integer_value(json_object_get(rules, "version")),
	    .standard_hold_s = json_integer_value(json_object_get(rules, "standard_hold_s")),
	};
	struct bytes document = d->rule_set;
	struct buf standard = {0};
	if (in.rules_version == 0) {
		ruleset_standard(in.standard_hold_s, &standard);
		document = arena_bytes(a, buf_bytes(&standard));
		buf_done(&standard);
	}
	if (!is_of(rules, "sha256", document) || !is_of(directory, "sha256", d->directory) ||
	    !is_of(json_object_get(record, "facts"), "sha256", d->facts))
		return err_set(e, RC_CONFLICT, "the facts, the rule set or the directory is not the one that decided");

	struct policy_question q;
	enum rc rc = read_question(record, d->facts, a, &in.tenant, &q, e);
	if (rc != RC_OK)
		return rc;
	struct ruleset *set;
	struct policy_findings findings;
	rc = ruleset_parse(document, a, &set, &findings, e);
	if (rc != RC_OK)
		return rc;
	struct directory *compiled;
	rc = directory_parse(d->directory, (uint64_t)json_integer_value(json_object_get(directory, "version")),
			     &compiled, e);
	if (rc == RC_OK) {
		struct policy_answer answer;
		in.question = &q;
		in.rules = set;
		in.directory = compiled;
		rc = eval_message(&in, a, &answer, e);
		if (rc == RC_OK)
			*out_r = answer.decision;
		directory_release(&compiled);
	}
	ruleset_release(&set);
	return rc;
}

enum rc
replay_decision(struct bytes record, const struct replay_documents *d, struct arena *a, struct bytes *out_r,
		struct err *e)
{
	json_t *parsed = json_loadb((const char *)record.p, record.n, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(parsed)) {
		json_decref(parsed);
		return err_set(e, RC_INVALID, "the record does not parse");
	}
	enum rc rc = derive(parsed, d, a, out_r, e);
	json_decref(parsed);
	return rc;
}
