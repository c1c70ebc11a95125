/* SPDX-License-Identifier: MIT
 *
 * The checker, table-driven: documents and what is found in them. With --documents it prints them with the checker's
 * verdict instead, for the comparison with policy.schema.json (schema_test.py).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "policy_testing.h"

#define DOC(rules) "{\"format\":1,\"rules\":[" rules "]}"
#define R(members) "{\"id\":\"r\"," members "}"
#define WHEN(c)	   DOC("{\"id\":\"r\",\"when\":" c ",\"then\":{\"action\":\"pass\"}}")
#define THEN(a)	   DOC("{\"id\":\"r\",\"then\":" a "}")
#define WITH(m)	   "{\"format\":1,\"rules\":[]," m "}"

/* pointer NULL: valid and nothing to say; text is the beginning of the first finding. */
static const struct {
	const char *json, *pointer, *text;
	bool warning;
	bool beyond; /* an error that policy.schema.json cannot express */
} table[] = {
    {DOC(""), NULL},
    {WITH("\"name\":\"営業部\""), NULL},
    {WITH("\"$schema\":\"policy.schema.json\""), NULL},
    /* not a document */
    {"", "", "is not JSON"},
    {"[]", "", "must be an object"},
    {"null", "", "is not JSON or"},
    {"{\"format\":1,\"rules\":[]} x", "", "is not JSON"},
    {"{\"format\":1,\"format\":1,\"rules\":[]}", "", "is not JSON or names a member twice", .beyond = true},
    {"{\"format\":1,\"rules\":[],\"name\":\"\\u0000\"}", "", "is not JSON"},
    {"{\"format\":1,\"rules\":[],\"name\":\"\xff\"}", "", "is not JSON", .beyond = true},
    {"{\"rules\":[]}", "/format", "is missing"},
    {"{\"format\":2,\"rules\":[]}", "/format", "must be between 1 and 1"},
    {"{\"format\":\"1\",\"rules\":[]}", "/format", "must be an integer"},
    {"{\"format\":1}", "/rules", "is missing"},
    {"{\"format\":1,\"rules\":{}}", "/rules", "must be an array"},
    {WITH("\"extra\":1"), "/extra", "is not a member"},
    {WITH("\"a/b~c\":1"), "/a~1b~0c", "is not a member"},
    {WITH("\"name\":\"\""), "/name", "must be 1 to"},
    {WITH("\"name\":\"a\\nb\""), "/name", "must be one line"},
    {WITH("\"$schema\":1"), "/$schema", "must be a string"},
    /* rules */
    {DOC("1"), "/rules/0", "must be an object"},
    {DOC(R("\"then\":{\"action\":\"pass\"}")), NULL},
    {DOC("{\"then\":{\"action\":\"pass\"}}"), "/rules/0/id", "is missing"},
    {DOC("{\"id\":\"Big\",\"then\":{\"action\":\"pass\"}}"), "/rules/0/id", "must be lower-case"},
    {DOC("{\"id\":\"-x\",\"then\":{\"action\":\"pass\"}}"), "/rules/0/id", "must be lower-case"},
    {DOC("{\"id\":\"default\",\"then\":{\"action\":\"pass\"}}"), "/rules/0/id", "\"default\" stands"},
    {DOC("{\"id\":7,\"then\":{\"action\":\"pass\"}}"), "/rules/0/id", "must be a string"},
    {DOC("{\"id\":\"a\",\"when\":{\"size\":{\"over\":1}},\"then\":{\"action\":\"pass\"}},{\"id\":\"a\",\"then\":{"
	 "\"action\":\"pass\"}}"),
     "/rules/1/id", "is the id of rule 0", .beyond = true},
    {DOC(R("\"then\":{\"action\":\"pass\"},\"enabled\":1")), "/rules/0/enabled", "must be true or false"},
    {DOC(R("\"then\":{\"action\":\"pass\"},\"priority\":1.5")), "/rules/0/priority", "must be an integer"},
    {DOC(R("\"then\":{\"action\":\"pass\"},\"priority\":1000001")), "/rules/0/priority", "must be between"},
    {DOC(R("\"then\":{\"action\":\"pass\"},\"priority\":-1000000")), NULL},
    {DOC(R("\"then\":{\"action\":\"pass\"},\"direction\":\"up\"")), "/rules/0/direction",
     "must be one of \"outgoing\""},
    {DOC(R("\"then\":{\"action\":\"pass\"},\"description\":\"two\\nlines\"")), NULL},
    {DOC(R("\"then\":{\"action\":\"pass\"},\"description\":1")), "/rules/0/description", "must be a string"},
    {DOC(R("\"then\":{\"action\":\"pass\"},\"prio\":1")), "/rules/0/prio", "is not a member"},
    {DOC("{\"id\":\"a\",\"then\":{\"action\":\"pass\"}},{\"id\":\"b\",\"then\":{\"action\":\"pass\"}}"), "/rules/1",
     "never decides", true},
    {DOC("{\"id\":\"a\",\"priority\":-1,\"then\":{\"action\":\"pass\"}},{\"id\":\"b\",\"then\":{\"action\":\"pass\"}}"),
     "/rules/0", "never decides", true},
    {DOC("{\"id\":\"a\",\"direction\":\"incoming\",\"then\":{\"action\":\"pass\"}},{\"id\":\"b\",\"then\":{\"action\":"
	 "\"pass\"}}"),
     NULL},
    {DOC("{\"id\":\"a\",\"enabled\":false,\"then\":{\"action\":\"pass\"}},{\"id\":\"b\",\"then\":{\"action\":\"pass\"}"
	 "}"),
     NULL},
    /* actions */
    {DOC("{\"id\":\"r\"}"), "/rules/0/then", "is missing"},
    {THEN("\"pass\""), "/rules/0/then", "must be an object"},
    {THEN("{\"action\":\"drop\"}"), "/rules/0/then/action", "must be one of \"pass\", \"hold\", \"refuse\""},
    {THEN("{\"action\":\"pass\",\"seconds\":1}"), "/rules/0/then/seconds", "is not a member"},
    {THEN("{\"action\":\"hold\"}"), "/rules/0/then", "a hold needs"},
    {THEN("{\"action\":\"hold\",\"seconds\":0}"), "/rules/0/then/seconds", "must be between"},
    {THEN("{\"action\":\"hold\",\"seconds\":2592000}"), NULL},
    {THEN("{\"action\":\"hold\",\"seconds\":2592001}"), "/rules/0/then/seconds", "must be between"},
    {THEN("{\"action\":\"hold\",\"seconds\":99999999999999999999}"), "", "is not JSON"},
    {THEN("{\"action\":\"hold\",\"until\":\"operator\"}"), NULL},
    {THEN("{\"action\":\"hold\",\"until\":\"tomorrow\"}"), "/rules/0/then/until", "must be one of \"operator\""},
    {THEN("{\"action\":\"hold\",\"seconds\":1,\"until\":\"operator\"}"), "/rules/0/then", "a hold needs"},
    {THEN("{\"action\":\"refuse\"}"), "/rules/0/then/message", "is missing"},
    {THEN("{\"action\":\"refuse\",\"message\":\"社外秘は送れません\"}"), NULL},
    {THEN("{\"action\":\"refuse\",\"message\":\"a\\r\\n250 ok\"}"), "/rules/0/then/message", "must be one line"},
    {THEN("{\"action\":\"refuse\",\"message\":\"a\\u0085b\"}"), "/rules/0/then/message", "must be one line"},
    {THEN("{\"action\":\"refuse\",\"message\":\"a\\u2028b\"}"), "/rules/0/then/message", "must be one line"},
    {THEN("{\"action\":\"refuse\",\"message\":\"a\\u007fb\"}"), "/rules/0/then/message", "must be one line"},
    /* conditions */
    {WHEN("{}"), "/rules/0/when", "must be an object with exactly one member"},
    {WHEN("[]"), "/rules/0/when", "must be an object with exactly one member"},
    {WHEN("{\"sender\":[\"a.jp\"],\"recipient\":[\"b.jp\"]}"), "/rules/0/when", "must be an object with exactly one"},
    {WHEN("{\"subject\":[\"x\"]}"), "/rules/0/when", "must be one of all, any"},
    {WHEN("{\"all\":[]}"), "/rules/0/when/all", "must be an array of 1 to"},
    {WHEN("{\"any\":{}}"), "/rules/0/when/any", "must be an array of 1 to"},
    {WHEN("{\"not\":[]}"), "/rules/0/when/not", "must be an object with exactly one"},
    {WHEN("{\"all\":[{\"any\":[{\"not\":{\"size\":{\"over\":1}}}]}]}"), NULL},
    {WHEN("{\"all\":[{\"size\":{\"over\":1}},{\"size\":{\"over\":-1}}]}"), "/rules/0/when/all/1/size/over",
     "must be between"},
    {WHEN("{\"not\":{\"not\":{\"not\":{\"not\":{\"not\":{\"not\":{\"not\":{\"not\":{\"size\":{\"over\":1}}}}}}}}}}"),
     NULL},
    {WHEN("{\"not\":{\"not\":{\"not\":{\"not\":{\"not\":{\"not\":{\"not\":{\"not\":{\"not\":{\"size\":{\"over\":1}}}}}}"
	  "}}}}}"),
     "/rules/0/when/not/not/not/not/not/not/not/not/not", "is more than 8 levels", .beyond = true},
    {WHEN("{\"sender\":\"a.jp\"}"), "/rules/0/when/sender", "must be an array"},
    {WHEN("{\"sender\":[\"tanaka\",\"a@b.jp\",\"b.jp\",\"*@b.jp\",\"*.b.jp\",\"日本語.jp\"]}"), NULL},
    {WHEN("{\"sender\":[\"a@b.jp\",\"@b.jp\"]}"), "/rules/0/when/sender/1", "before the @ stands", .beyond = true},
    {WHEN("{\"sender\":[\"\"]}"), "/rules/0/when/sender/0", "must be 1 to"},
    {WHEN("{\"sender\":[1]}"), "/rules/0/when/sender/0", "must be a string"},
    {WHEN("{\"recipient\":[\"tanaka\"]}"), "/rules/0/when/recipient/0", "must be an address, a domain", .beyond = true},
    {WHEN("{\"recipient\":[\"a b@c.jp\"]}"), "/rules/0/when/recipient/0", "must be one address", .beyond = true},
    {WHEN("{\"recipient\":[\"x@-_-..jp\"]}"), "/rules/0/when/recipient/0", "what follows the @ is no", .beyond = true},
    {WHEN("{\"recipient_class\":[\"external\",\"internal\",\"affiliate\"]}"), NULL},
    {WHEN("{\"recipient_class\":[\"foreign\"]}"), "/rules/0/when/recipient_class/0", "must be one of"},
    {WHEN("{\"recipient_class\":[]}"), "/rules/0/when/recipient_class", "must be an array"},
    {WHEN("{\"keyword\":{\"words\":[\"秘\"]}}"), NULL},
    {WHEN("{\"keyword\":{\"words\":[\"秘\"],\"in\":[\"subject\",\"body\",\"attachment_name\"]}}"), NULL},
    {WHEN("{\"keyword\":[\"秘\"]}"), "/rules/0/when/keyword", "must be an object"},
    {WHEN("{\"keyword\":{}}"), "/rules/0/when/keyword/words", "is missing"},
    {WHEN("{\"keyword\":{\"words\":[]}}"), "/rules/0/when/keyword/words", "must be an array"},
    {WHEN("{\"keyword\":{\"words\":[\"a\",\" \"]}}"), "/rules/0/when/keyword/words/1", "has no character that counts",
     .beyond = true},
    {WHEN("{\"keyword\":{\"words\":[\"\\u200b\"]}}"), "/rules/0/when/keyword/words/0", "has no character that counts",
     .beyond = true},
    {WHEN("{\"keyword\":{\"words\":[\"a\"],\"in\":[\"header\"]}}"), "/rules/0/when/keyword/in/0", "must be one of"},
    {WHEN("{\"keyword\":{\"words\":[\"a\"],\"case\":true}}"), "/rules/0/when/keyword/case", "is not a member"},
    {WHEN("{\"size\":{}}"), "/rules/0/when/size", "needs \"over\" or \"under\""},
    {WHEN("{\"size\":{\"over\":\"1M\"}}"), "/rules/0/when/size/over", "must be an integer"},
    {WHEN("{\"size\":{\"over\":1,\"between\":2}}"), "/rules/0/when/size/between", "is not a member"},
    {WHEN("{\"size\":{\"over\":10,\"under\":11}}"), "/rules/0/when/size", "no size is over", true},
    {WHEN("{\"size\":{\"over\":10,\"under\":12}}"), NULL},
    /* default and unclean */
    {WITH("\"default\":{}"), NULL},
    {WITH("\"default\":{\"outgoing\":{\"action\":\"refuse\",\"message\":\"no\"},\"incoming\":{\"action\":\"pass\"}}"),
     NULL},
    {WITH("\"default\":{\"action\":\"pass\"}"), "/default/action", "is not a member"},
    {WITH("\"default\":{\"outgoing\":\"pass\"}"), "/default/outgoing", "must be an object"},
    {WITH("\"unclean\":{\"encrypted\":\"pass\",\"limit\":\"hold\"}"), NULL},
    {WITH("\"unclean\":{\"infected\":\"pass\"}"), "/unclean/infected", "is not a member"},
    {WITH("\"unclean\":{\"error\":\"pass\"}"), "/unclean/error", "is not a member"},
    {WITH("\"unclean\":{\"encrypted\":\"ask\"}"), "/unclean/encrypted", "must be one of"},
    {WITH("\"unclean\":[]"), "/unclean", "must be an object"},
};

static void
findings_are(void **state)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct arena *a = arena_new();
		struct ruleset *set = NULL;
		struct policy_findings f = {0};
		struct err e;
		enum rc rc = ruleset_parse(bytes_str(table[i].json), a, &set, &f, &e);
		bool want_valid = table[i].pointer == NULL || table[i].warning;
		if ((rc == RC_OK) != want_valid || (table[i].pointer == NULL) != (f.n == 0))
			fail_msg("%s: %s, %zu findings, %s %s", table[i].json, rc_str(rc), f.n,
				 f.n != 0 ? f.v[0].pointer : "", f.n != 0 ? f.v[0].text : "");
		if (table[i].pointer != NULL) {
			assert_string_equal(f.v[0].pointer, table[i].pointer);
			if (strncmp(f.v[0].text, table[i].text, strlen(table[i].text)) != 0)
				fail_msg("%s: %s", table[i].json, f.v[0].text);
			assert_int_equal(f.v[0].error, !table[i].warning);
		}
		ruleset_release(&set);
		arena_free(&a);
	}
}

static void
all_findings_are_told(void **state)
{
	struct arena *a = arena_new();
	struct ruleset *set = NULL;
	struct policy_findings f;
	struct err e;
	const char *json = "{\"format\":3,\"x\":1,\"rules\":[{\"id\":\"A\",\"then\":{\"action\":\"hold\"}},"
			   "{\"id\":\"b\",\"when\":{\"recipient\":[\"x\",\"y\"]},\"then\":{\"action\":\"pass\"}}]}";
	assert_int_equal(ruleset_parse(bytes_str(json), a, &set, &f, &e), RC_INVALID);
	static const char *const pointers[] = {
	    "/x", "/format", "/rules/0/id", "/rules/0/then", "/rules/1/when/recipient/0", "/rules/1/when/recipient/1"};
	assert_int_equal(f.n, 6);
	for (size_t i = 0; i < 6; i++)
		assert_string_equal(f.v[i].pointer, pointers[i]);
	arena_free(&a);
}

/* A document with n copies of what, between head and tail. */
static enum rc
check_many(const char *head, const char *what, size_t n, const char *tail, struct arena *a, struct policy_findings *f)
{
	struct buf json;
	struct ruleset *set = NULL;
	struct err e;
	buf_init(&json, 0);
	buf_add_str(&json, head);
	for (size_t i = 0; i < n; i++) {
		buf_add_str(&json, i == 0 ? "" : ",");
		for (const char *p = what; *p != 0; p++)
			if (*p == '#')
				buf_addf(&json, "%zu", i);
			else
				buf_add(&json, p, 1);
	}
	buf_add_str(&json, tail);
	enum rc rc = ruleset_parse(buf_bytes(&json), a, &set, f, &e);
	ruleset_release(&set);
	buf_done(&json);
	return rc;
}

static void
bounds(void **state)
{
	struct arena *a = arena_new();
	struct policy_findings f;
	const char *head = "{\"format\":1,\"rules\":[", *tail = "]}";
	const char *rule = "{\"id\":\"r#\",\"when\":{\"size\":{\"over\":1}},\"then\":{\"action\":\"pass\"}}";
	assert_int_equal(check_many(head, rule, RULESET_RULES_MAX, tail, a, &f), RC_OK);
	assert_int_equal(check_many(head, rule, RULESET_RULES_MAX + 1, tail, a, &f), RC_INVALID);
	head =
	    "{\"format\":1,\"rules\":[{\"id\":\"r\",\"then\":{\"action\":\"pass\"},\"when\":{\"keyword\":{\"words\":[";
	tail = "]}}}]}";
	assert_int_equal(check_many(head, "\"w#\"", RULESET_LIST_MAX, tail, a, &f), RC_OK);
	assert_int_equal(check_many(head, "\"w#\"", RULESET_LIST_MAX + 1, tail, a, &f), RC_INVALID);
	assert_string_equal(f.v[0].pointer, "/rules/0/when/keyword/words");
	/* A character whose normal form is eleven times as long: the automaton's size is bounded by that. */
	char word[3 * 190 + 8] = "\"";
	for (int i = 0; i < 190; i++)
		strcat(word, "\xef\xb7\xba");
	strcat(word, "#\"");
	assert_int_equal(check_many(head, word, 50, tail, a, &f), RC_OK);
	assert_int_equal(check_many(head, word, 100, tail, a, &f), RC_INVALID);
	assert_non_null(strstr(f.v[0].text, "longer than"));
	/* More findings than are told: still an error, and bounded. */
	assert_int_equal(check_many(head, "\"\"", 1000, tail, a, &f), RC_INVALID);
	assert_int_equal(f.n, RULESET_FINDINGS_MAX);
	/* Too large a document is not even parsed. */
	assert_int_equal(check_many("", "[[[[[[[[[[[[[[[[", POLICY_DOCUMENT_MAX / 16, "", a, &f), RC_INVALID);
	assert_non_null(strstr(f.v[0].text, "is larger than"));
	/* Deep nesting is the parser's to refuse. */
	char deep[20001];
	memset(deep, '[', 20000);
	deep[20000] = 0;
	assert_int_equal(check_many("", deep, 1, "", a, &f), RC_INVALID);
	head = "{\"format\":1,\"rules\":[{\"id\":\"r\",\"then\":{\"action\":\"pass\"},\"when\":{\"any\":[";
	tail = "]}}]}";
	assert_int_equal(check_many(head,
				    "{\"all\":[{\"size\":{\"over\":1}},{\"size\":{\"over\":2}},{\"size\":{\"over\":3}},"
				    "{\"size\":{\"over\":4}}]}",
				    1001, tail, a, &f),
			 RC_INVALID);
	assert_string_equal(f.v[f.n - 1].text, "more than 5000 conditions in one rule set");
	arena_free(&a);
}

static void
same_word_is_kept_once(void **state)
{
	struct arena *a = arena_new();
	struct ruleset *set = testing_rules(WHEN("{\"any\":[{\"keyword\":{\"words\":[\"ＳＥＣＲＥＴ\",\"秘\"]}},"
						 "{\"keyword\":{\"words\":[\"secret\",\"秘 \"]}}]}"),
					    a);
	assert_int_equal(set->n_words, 2);
	assert_string_equal(set->rules[0].when->children[1].words[0].source, "secret");
	ruleset_release(&set);
	arena_free(&a);
}

static void
directories(void **state)
{
	struct directory *d = testing_directory();
	static const struct {
		const char *domain;
		enum ruleset_class class;
	} domains[] = {
	    {"example.co.jp", CLASS_INTERNAL},
	    {"sub.example.co.jp", CLASS_INTERNAL},
	    {"co.jp", CLASS_EXTERNAL},
	    {"anexample.co.jp", CLASS_EXTERNAL},
	    {"partner.jp", CLASS_AFFILIATE},
	    {"a.b.partner.jp", CLASS_AFFILIATE},
	    {"claimed.jp", CLASS_EXTERNAL},
	    {"sub.claimed.jp", CLASS_EXTERNAL},
	    {"", CLASS_EXTERNAL},
	};
	for (size_t i = 0; i < sizeof(domains) / sizeof(domains[0]); i++)
		assert_int_equal(directory_class(d, domains[i].domain), domains[i].class);
	directory_release(&d);
	struct err e;
	static const char *const bad[] = {"", "{}", "{\"domains\":1}", "{\"domains\":[{}]}",
					  "{\"domains\":[{\"name\":\"a b\",\"class\":\"internal\"}]}"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(directory_parse(bytes_str(bad[i]), 1, &d, &e), RC_INVALID);
	assert_int_equal(directory_parse(bytes_str("{\"domains\":[]}"), 1, &d, &e), RC_OK);
	assert_int_equal(directory_class(d, "example.co.jp"), CLASS_EXTERNAL);
	directory_release(&d);
}

static int
print_documents(void)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct buf line;
		buf_init(&line, 0);
		buf_add_str(&line, "{\"document\":");
		buf_add_json(&line, bytes_str(table[i].json));
		buf_addf(&line, ",\"valid\":%s,\"beyond\":%s}",
			 table[i].pointer == NULL || table[i].warning ? "true" : "false",
			 table[i].beyond ? "true" : "false");
		puts((const char *)line.p);
		buf_done(&line);
	}
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--documents") == 0)
		return print_documents();
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(findings_are),	      cmocka_unit_test(all_findings_are_told), cmocka_unit_test(bounds),
	    cmocka_unit_test(same_word_is_kept_once), cmocka_unit_test(directories),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
