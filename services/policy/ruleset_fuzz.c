/* SPDX-License-Identifier: MIT
 *
 * Any octets as a rule set: no crash, findings exactly when it is not valid, and what is accepted judges a mail.
 */
#include <stdlib.h>

#include "policy_testing.h"
#include "replay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct directory *directory;
	if (directory == NULL)
		directory = testing_directory();
	struct arena *a = arena_new();
	struct ruleset *set = NULL;
	struct policy_findings f;
	struct err e;
	bool valid = ruleset_parse(bytes_of(data, size), a, &set, &f, &e) == RC_OK;
	bool errors = false;
	for (size_t i = 0; i < f.n; i++)
		errors = errors || f.v[i].error;
	if (valid == errors || valid != (set != NULL))
		abort();
	if (valid) {
		struct testing_mail mail = {
		    .recipients = {"x@other.jp", "y@example.co.jp"}, .body = "秘密 secret", .truncated = true};
		struct policy_question q = testing_question(&mail, a);
		struct eval_inputs in = {.question = &q, .rules = set, .rules_version = 1, .directory = directory};
		struct policy_answer answer;
		if (eval_message(&in, a, &answer, &e) != RC_OK)
			abort();
		if (answer.verdict != POLICY_REFUSE && answer.n_plans != 2)
			abort();
	}
	ruleset_release(&set);
	arena_free(&a);
	return 0;
}
