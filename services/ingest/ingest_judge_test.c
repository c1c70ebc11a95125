/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "ingest_judge.h"

/* Each registered to the account, so that only the form of the address decides. */
static void
from_must_be_an_address(void **state)
{
	static const struct {
		const char *from;
		int code; /* 0: policy is asked */
	} table[] = {
	    {"me@own.test", 0},
	    {"ME@own.test", 550},
	    {"else@own.test", 550},
	    {"\"a b\"@own.test", 0},
	    {"", 554},
	    {"me", 554},
	    {"me@", 554},
	    {"me@own.test ", 554},
	    {"me@own.test, you@own.test", 554},
	    {"me@evil.test@own.test", 554},
	    {"<me@own.test>", 554},
	    {"me(x)@own.test", 554},
	    {"me\n@own.test", 554},
	    {"me@own..test", 554},
	    {"me@a\xe2\x80\x8b.test", 554},
	    {"me@\xe2\x98\x83.test", 554},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct ingest_budget budget = {.limit = 1 << 20};
		struct envelope *env = envelope_new(&budget);
		bool known = table[i].code != 550;
		struct bytes own = bytes_str(known ? table[i].from : "somebody@own.test");
		struct facts_address from = {"", table[i].from};
		struct facts f = {.verdict = FACTS_CLEAN, .has_from = true, .from = {&from, 1}};
		struct judgement j;
		env->may_send_as = &own;
		env->n_may_send_as = 1;
		judge_facts(env, &f, env->arena, &j);
		if (j.finding != (table[i].code == 0 ? JUDGE_POLICY : JUDGE_REFUSE) ||
		    (table[i].code != 0 && j.reply.code != table[i].code))
			fail_msg("\"%s\": finding %d, reply %d", table[i].from, (int)j.finding, j.reply.code);
		envelope_free(&env);
	}
}

/* One good address does not vouch for the next. */
static void
every_from_counts(void **state)
{
	struct ingest_budget budget = {.limit = 1 << 20};
	struct envelope *env = envelope_new(&budget);
	struct bytes own = bytes_str("me@own.test");
	struct facts_address from[] = {{"", "me@own.test"}, {"", "me@own.test>"}};
	struct facts f = {.verdict = FACTS_CLEAN, .has_from = true, .from = {from, 2}};
	struct judgement j;
	env->may_send_as = &own;
	env->n_may_send_as = 1;
	judge_facts(env, &f, env->arena, &j);
	assert_int_equal(j.finding, JUDGE_REFUSE);
	assert_int_equal(j.reply.code, 554);
	f.from.n = 1;
	judge_facts(env, &f, env->arena, &j);
	assert_int_equal(j.finding, JUDGE_POLICY);
	env->incoming = true;
	f.from.n = 2;
	judge_facts(env, &f, env->arena, &j);
	assert_int_equal(j.finding, JUDGE_POLICY);
	envelope_free(&env);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(from_must_be_an_address),
	    cmocka_unit_test(every_from_counts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
