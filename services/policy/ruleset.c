/* SPDX-License-Identifier: MIT
 *
 * From document to rule set: members, rules, actions, the order of deciding. Conditions are in ruleset_cond.c. What is
 * accepted here and what policy.schema.json accepts is the same, but for what a schema cannot say (marked there).
 */
#include "ruleset.h"

#include <stdio.h>
#include <stdlib.h>

#include "crypt/crypt.h"
#include "ruleset_compile.h"
#include "mail/text.h"

const char *
ruleset_class_str(enum ruleset_class c)
{
	switch (c) {
	case CLASS_EXTERNAL:
		return "external";
	case CLASS_INTERNAL:
		return "internal";
	case CLASS_AFFILIATE:
		return "affiliate";
	}
	return "unknown";
}

static const char *const unclean_words[] = {"unscannable", "encrypted", "ambiguous", "limit", NULL};

const char *
ruleset_unclean_str(enum ruleset_unclean u)
{
	return u < UNCLEAN_COUNT ? unclean_words[u] : "unknown";
}

/* --- members -------------------------------------------------------------------------------------------- */

bool
compile_object(struct compile *c, const json_t *v, const char *const *known)
{
	if (!json_is_object(v)) {
		findings_error(&c->f, v == NULL ? "is missing" : "must be an object");
		return false;
	}
	bool ok = true;
	const char *key;
	json_t *member;
	json_object_foreach((json_t *)v, key, member)
	{
		size_t i = 0;
		while (known[i] != NULL && strcmp(known[i], key) != 0)
			i++;
		if (known[i] != NULL)
			continue;
		ok = false;
		size_t mark = c->f.pointer.n;
		if (strlen(key) <= RULESET_ID_MAX)
			mark = findings_enter(&c->f, key);
		findings_error(&c->f, "is not a member that is known here");
		findings_leave(&c->f, mark);
	}
	return ok;
}

const char *
compile_line(struct compile *c, const json_t *v, size_t max)
{
	const char *s = json_string_value(v);
	if (s == NULL) {
		findings_error(&c->f, v == NULL ? "is missing" : "must be a string");
		return NULL;
	}
	size_t n = text_length(bytes_str(s));
	if (n == 0 || n > max) {
		findings_error(&c->f, "must be 1 to %zu characters long", max);
		return NULL;
	}
	if (!text_is_one_line(bytes_str(s))) {
		findings_error(&c->f, "must be one line without control characters");
		return NULL;
	}
	return arena_strdup(c->set->arena, s);
}

bool
compile_int(struct compile *c, const json_t *v, int64_t min, int64_t max, int64_t *out_r)
{
	if (!json_is_integer(v)) {
		findings_error(&c->f, v == NULL ? "is missing" : "must be an integer without fraction or exponent");
		return false;
	}
	int64_t i = json_integer_value(v);
	if (i < min || i > max) {
		findings_error(&c->f, "must be between %lld and %lld", (long long)min, (long long)max);
		return false;
	}
	*out_r = i;
	return true;
}

int
compile_word(struct compile *c, const json_t *v, const char *const *words)
{
	const char *s = json_string_value(v);
	char list[200] = "";
	for (int i = 0; words[i] != NULL; i++) {
		if (s != NULL && strcmp(s, words[i]) == 0)
			return i;
		size_t n = strlen(list);
		snprintf(list + n, sizeof(list) - n, "%s\"%s\"", i == 0 ? "" : ", ", words[i]);
	}
	findings_error(&c->f, "must be one of %s", list);
	return -1;
}

/* --- actions -------------------------------------------------------------------------------------------- */

static bool
compile_hold(struct compile *c, const json_t *v, struct rule_action *out)
{
	const json_t *seconds = json_object_get(v, "seconds"), *until = json_object_get(v, "until");
	if ((seconds == NULL) == (until == NULL)) {
		findings_error(&c->f, "a hold needs either \"seconds\" or \"until\"");
		return false;
	}
	size_t mark = findings_enter(&c->f, seconds != NULL ? "seconds" : "until");
	bool ok = seconds != NULL ? compile_int(c, seconds, 1, RULESET_HOLD_MAX, &out->hold_s)
				  : compile_word(c, until, (const char *const[]){"operator", NULL}) == 0;
	findings_leave(&c->f, mark);
	return ok;
}

static bool
compile_action(struct compile *c, const json_t *v, struct rule_action *out)
{
	static const char *const verbs[] = {"pass", "hold", "refuse", NULL};
	static const enum policy_action actions[] = {POLICY_PASS, POLICY_HOLD, POLICY_REFUSE};
	static const char *const members[][4] = {
	    {"action", NULL}, {"action", "seconds", "until", NULL}, {"action", "message", NULL}};
	*out = (struct rule_action){0};
	if (!json_is_object(v)) {
		findings_error(&c->f, v == NULL ? "is missing" : "must be an object");
		return false;
	}
	size_t mark = findings_enter(&c->f, "action");
	int verb = compile_word(c, json_object_get(v, "action"), verbs);
	findings_leave(&c->f, mark);
	if (verb < 0 || !compile_object(c, v, members[verb]))
		return false;
	out->action = actions[verb];
	if (out->action == POLICY_HOLD)
		return compile_hold(c, v, out);
	if (out->action != POLICY_REFUSE)
		return true;
	mark = findings_enter(&c->f, "message");
	out->message = compile_line(c, json_object_get(v, "message"), RULESET_MESSAGE_MAX);
	findings_leave(&c->f, mark);
	return out->message != NULL;
}

static void
compile_fallbacks(struct compile *c, const json_t *v)
{
	static const char *const known[] = {"outgoing", "incoming", NULL};
	struct rule_action *targets[] = {&c->set->fallback_outgoing, &c->set->fallback_incoming};
	*targets[0] = (struct rule_action){.action = POLICY_HOLD, .hold_s = RULESET_STANDARD_HOLD};
	*targets[1] = (struct rule_action){.action = POLICY_PASS};
	if (v == NULL)
		return;
	size_t mark = findings_enter(&c->f, "default");
	if (compile_object(c, v, known)) {
		for (int i = 0; i < 2; i++) {
			const json_t *action = json_object_get(v, known[i]);
			size_t inner = findings_enter(&c->f, known[i]);
			if (action != NULL)
				(void)compile_action(c, action, targets[i]); /* a finding says why not */
			findings_leave(&c->f, inner);
		}
	}
	findings_leave(&c->f, mark);
}

static void
compile_unclean(struct compile *c, const json_t *v)
{
	static const char *const words[] = {"pass", "hold", "refuse", NULL};
	static const enum policy_action actions[] = {POLICY_PASS, POLICY_HOLD, POLICY_REFUSE};
	enum policy_action *u = c->set->unclean;
	u[UNCLEAN_UNSCANNABLE] = u[UNCLEAN_ENCRYPTED] = POLICY_HOLD;
	u[UNCLEAN_AMBIGUOUS] = u[UNCLEAN_LIMIT] = POLICY_REFUSE;
	if (v == NULL)
		return;
	size_t mark = findings_enter(&c->f, "unclean");
	if (compile_object(c, v, unclean_words)) {
		for (int i = 0; i < UNCLEAN_COUNT; i++) {
			const json_t *word = json_object_get(v, unclean_words[i]);
			if (word == NULL)
				continue;
			size_t inner = findings_enter(&c->f, unclean_words[i]);
			int k = compile_word(c, word, words);
			if (k >= 0)
				u[i] = actions[k];
			findings_leave(&c->f, inner);
		}
	}
	findings_leave(&c->f, mark);
}

/* --- rules ---------------------------------------------------------------------------------------------- */

static const char *
compile_id(struct compile *c, const json_t *v)
{
	size_t mark = findings_enter(&c->f, "id");
	const char *s = compile_line(c, v, RULESET_ID_MAX);
	if (s != NULL) {
		size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789._-");
		if (s[n] != 0 || strchr("._-", s[0]) != NULL) {
			findings_error(&c->f,
				       "must be lower-case letters, digits, dots, underscores and hyphens, and begin "
				       "with a letter or digit");
			s = NULL;
		} else if (strcmp(s, "default") == 0) {
			findings_error(&c->f, "\"default\" stands for what no rule decides");
			s = NULL;
		}
	}
	findings_leave(&c->f, mark);
	return s;
}

static void
compile_direction(struct compile *c, const json_t *v, struct rule *r)
{
	r->outgoing = true;
	if (v == NULL)
		return;
	size_t mark = findings_enter(&c->f, "direction");
	int k = compile_word(c, v, (const char *const[]){"outgoing", "incoming", "both", NULL});
	r->outgoing = k != 1;
	r->incoming = k >= 1;
	findings_leave(&c->f, mark);
}

static void
compile_rule(struct compile *c, const json_t *v, struct rule *r, bool *enabled)
{
	static const char *const known[] = {"id",	 "name", "description", "enabled", "priority",
					    "direction", "when", "then",	NULL};
	*enabled = true;
	if (!compile_object(c, v, known) && !json_is_object(v))
		return;
	r->id = r->name = compile_id(c, json_object_get(v, "id"));
	const json_t *m = json_object_get(v, "name");
	size_t mark = findings_enter(&c->f, "name");
	if (m != NULL)
		r->name = compile_line(c, m, RULESET_NAME_MAX);
	findings_leave(&c->f, mark);
	mark = findings_enter(&c->f, "description");
	if ((m = json_object_get(v, "description")) != NULL &&
	    (!json_is_string(m) || text_length(bytes_str(json_string_value(m))) > 1000))
		findings_error(&c->f, "must be a string of at most 1000 characters");
	findings_leave(&c->f, mark);
	mark = findings_enter(&c->f, "enabled");
	if ((m = json_object_get(v, "enabled")) != NULL && !json_is_boolean(m))
		findings_error(&c->f, "must be true or false");
	*enabled = m == NULL || json_is_true(m);
	findings_leave(&c->f, mark);
	mark = findings_enter(&c->f, "priority");
	if ((m = json_object_get(v, "priority")) != NULL)
		(void)compile_int(c, m, -RULESET_PRIORITY_MAX, RULESET_PRIORITY_MAX, &r->priority);
	findings_leave(&c->f, mark);
	compile_direction(c, json_object_get(v, "direction"), r);
	if ((m = json_object_get(v, "when")) != NULL) {
		mark = findings_enter(&c->f, "when");
		r->when = arena_alloc(c->set->arena, sizeof(*r->when));
		(void)compile_cond(c, m, 0, r->when);
		findings_leave(&c->f, mark);
	}
	mark = findings_enter(&c->f, "then");
	(void)compile_action(c, json_object_get(v, "then"), &r->then);
	findings_leave(&c->f, mark);
}

/* Refuse before hold before pass where priorities are equal, so that carelessness errs on the safe side. */
static int
severity(const struct rule *r)
{
	return r->then.action == POLICY_REFUSE ? 2 : r->then.action == POLICY_HOLD ? 1 : 0;
}

static bool
decides_before(const struct rule *a, const struct rule *b)
{
	return a->priority != b->priority ? a->priority > b->priority : severity(a) > severity(b);
}

static void
insert_in_order(struct ruleset *set, struct rule r)
{
	size_t i = set->n_rules++;
	for (; i > 0 && decides_before(&r, &set->rules[i - 1]); i--)
		set->rules[i] = set->rules[i - 1];
	set->rules[i] = r;
}

static void
compile_rules(struct compile *c, const json_t *v)
{
	size_t mark = findings_enter(&c->f, "rules");
	size_t n = json_array_size(v);
	const char **ids = arena_new_array(c->f.arena, const char *, n + 1);
	if (!json_is_array(v) || n > RULESET_RULES_MAX) {
		findings_error(&c->f, v == NULL ? "is missing" : "must be an array of at most %d rules",
			       RULESET_RULES_MAX);
		n = 0;
	}
	c->set->rules = arena_new_array(c->set->arena, struct rule, n + 1);
	for (size_t i = 0; i < n; i++) {
		size_t inner = findings_enter_index(&c->f, i);
		struct rule r = {0};
		bool enabled;
		compile_rule(c, json_array_get(v, i), &r, &enabled);
		ids[i] = r.id;
		for (size_t k = 0; k < i && r.id != NULL; k++) {
			if (ids[k] == NULL || strcmp(ids[k], r.id) != 0)
				continue;
			size_t at = findings_enter(&c->f, "id");
			findings_error(&c->f, "is the id of rule %zu too", k);
			findings_leave(&c->f, at);
			break;
		}
		if (enabled)
			insert_in_order(c->set, r);
		findings_leave(&c->f, inner);
	}
	findings_leave(&c->f, mark);
	/* A rule that decides everything hides what comes after it. */
	for (size_t i = 0; i < c->set->n_rules && !c->f.errors; i++) {
		const struct rule *r = &c->set->rules[i];
		for (size_t k = 0; k < i; k++) {
			const struct rule *before = &c->set->rules[k];
			if (before->when != NULL || (r->outgoing && !before->outgoing) ||
			    (r->incoming && !before->incoming))
				continue;
			size_t at = 0;
			while (strcmp(ids[at], r->id) != 0)
				at++;
			size_t m1 = findings_enter(&c->f, "rules");
			findings_enter_index(&c->f, at);
			findings_warn(&c->f, "never decides: rule \"%s\" comes first and has no condition", before->id);
			findings_leave(&c->f, m1);
			break;
		}
	}
}

/* --- whole document ------------------------------------------------------------------------------------- */

static void
compile_document(struct compile *c, const json_t *doc)
{
	static const char *const known[] = {"$schema", "format", "name", "rules", "default", "unclean", NULL};
	if (!compile_object(c, doc, known) && !json_is_object(doc))
		return;
	size_t mark = findings_enter(&c->f, "format");
	int64_t format;
	(void)compile_int(c, json_object_get(doc, "format"), 1, 1, &format);
	findings_leave(&c->f, mark);
	mark = findings_enter(&c->f, "$schema");
	const json_t *m = json_object_get(doc, "$schema");
	if (m != NULL && !json_is_string(m))
		findings_error(&c->f, "must be a string");
	findings_leave(&c->f, mark);
	mark = findings_enter(&c->f, "name");
	if ((m = json_object_get(doc, "name")) != NULL)
		c->set->name = compile_line(c, m, RULESET_NAME_MAX);
	findings_leave(&c->f, mark);
	compile_fallbacks(c, json_object_get(doc, "default"));
	compile_unclean(c, json_object_get(doc, "unclean"));
	compile_rules(c, json_object_get(doc, "rules"));
	if (!c->f.errors)
		words_build(c->set->arena, c->set->words, c->set->n_words, &c->set->automaton);
}

enum rc
ruleset_parse(struct bytes json, struct arena *a, struct ruleset **out_r, struct policy_findings *findings_r,
	      struct err *e)
{
	struct compile *c = arena_alloc(a, sizeof(*c));
	findings_init(&c->f, a, RULESET_FINDINGS_MAX);
	c->set = calloc(1, sizeof(*c->set));
	if (c->set == NULL)
		abort();
	c->set->references = 1;
	c->set->arena = arena_new();
	c->set->name = "";
	crypt_sha256(json, c->set->sha256);

	json_t *doc = NULL;
	json_error_t je;
	if (json.n > POLICY_DOCUMENT_MAX) {
		findings_error(&c->f, "is larger than %u octets", POLICY_DOCUMENT_MAX);
	} else if ((doc = json_loadb((const char *)json.p, json.n, JSON_REJECT_DUPLICATES, &je)) == NULL) {
		/* The parser's own words quote the document, octets that are no UTF-8 included. */
		findings_error(&c->f, "is not JSON or names a member twice: line %d, column %d", je.line, je.column);
	} else {
		compile_document(c, doc);
	}
	json_decref(doc);
	findings_done(&c->f);
	*findings_r = c->f.list;
	if (c->f.errors) {
		ruleset_release(&c->set);
		return err_set(e, RC_INVALID, "the rule set has errors");
	}
	*out_r = c->set;
	return RC_OK;
}

struct ruleset *
ruleset_keep(struct ruleset *r)
{
	r->references++;
	return r;
}

void
ruleset_release(struct ruleset **rp)
{
	if (rp == NULL || *rp == NULL)
		return;
	struct ruleset *r = *rp;
	*rp = NULL;
	if (--r->references != 0)
		return;
	arena_free(&r->arena);
	free(r);
}

void
ruleset_standard(int64_t hold_s, struct buf *out)
{
	buf_add_str(out, "{\"default\":{\"incoming\":{\"action\":\"pass\"},\"outgoing\":");
	if (hold_s > 0)
		buf_addf(out, "{\"action\":\"hold\",\"seconds\":%lld}", (long long)hold_s);
	else
		buf_add_str(out, "{\"action\":\"pass\"}");
	buf_add_str(out, "},\"format\":1,\"name\":\"standard\",\"rules\":[]}");
}
