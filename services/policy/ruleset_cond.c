/* SPDX-License-Identifier: MIT
 *
 * Conditions: an object with exactly one member, whose name is the kind of condition.
 */
#include "ruleset_compile.h"
#include "mail/text.h"

static bool
compile_array(struct compile *c, const json_t *v, size_t max)
{
	if (json_is_array(v) && json_array_size(v) >= 1 && json_array_size(v) <= max)
		return true;
	findings_error(&c->f, v == NULL ? "is missing" : "must be an array of 1 to %zu entries", max);
	return false;
}

static bool
compile_children(struct compile *c, const json_t *v, int depth, struct cond *out)
{
	if (depth >= RULESET_DEPTH_MAX) {
		findings_error(&c->f, "is more than %d levels deep", RULESET_DEPTH_MAX);
		return false;
	}
	bool single = out->kind == COND_NOT;
	if (!single && !compile_array(c, v, RULESET_LIST_MAX))
		return false;
	out->n_children = single ? 1 : json_array_size(v);
	out->children = arena_new_array(c->set->arena, struct cond, out->n_children);
	bool ok = true;
	for (size_t i = 0; i < out->n_children; i++) {
		size_t mark = c->f.pointer.n;
		if (!single)
			findings_enter_index(&c->f, i);
		ok = compile_cond(c, single ? v : json_array_get(v, i), depth + 1, &out->children[i]) && ok;
		out->per_recipient = out->per_recipient || out->children[i].per_recipient;
		findings_leave(&c->f, mark);
	}
	return ok;
}

static bool
compile_patterns(struct compile *c, const json_t *v, struct cond *out)
{
	if (!compile_array(c, v, RULESET_LIST_MAX))
		return false;
	struct pattern_list *l = &out->patterns;
	l->v = arena_new_array(c->set->arena, struct pattern, json_array_size(v));
	out->per_recipient = out->kind == COND_RECIPIENT;
	bool ok = true;
	for (size_t i = 0; i < json_array_size(v); i++) {
		size_t mark = findings_enter_index(&c->f, i);
		const char *s = compile_line(c, json_array_get(v, i), PATTERN_LENGTH_MAX);
		struct err e;
		if (s == NULL) {
			ok = false;
		} else if (pattern_parse(c->set->arena, s, out->kind == COND_SENDER, &l->v[l->n], &e) != RC_OK) {
			findings_error(&c->f, "%s", e.text);
			ok = false;
		} else {
			l->n++;
		}
		findings_leave(&c->f, mark);
	}
	pattern_list_sort(l);
	return ok;
}

static bool
compile_classes(struct compile *c, const json_t *v, struct cond *out)
{
	static const char *const words[] = {"external", "internal", "affiliate", NULL}; /* enum ruleset_class */
	if (!compile_array(c, v, 3))
		return false;
	out->per_recipient = true;
	bool ok = true;
	for (size_t i = 0; i < json_array_size(v); i++) {
		size_t mark = findings_enter_index(&c->f, i);
		int k = compile_word(c, json_array_get(v, i), words);
		if (k >= 0)
			out->classes |= 1u << k;
		ok = ok && k >= 0;
		findings_leave(&c->f, mark);
	}
	return ok;
}

static uint32_t
hash(struct bytes b)
{
	uint32_t h = 2166136261u;
	for (size_t i = 0; i < b.n; i++)
		h = (h ^ b.p[i]) * 16777619u;
	return h;
}

/* Each normal form once, so that it is looked for once per message however many rules ask for it. */
static bool
intern(struct compile *c, const char *s, struct cond_word *out)
{
	struct bytes normal = text_normal(c->set->arena, bytes_str(s));
	if (normal.n == 0) {
		findings_error(&c->f, "has no character that counts when words are compared");
		return false;
	}
	uint32_t at = hash(normal) & (COMPILE_SLOTS - 1);
	for (; c->slots[at] != 0; at = (at + 1) & (COMPILE_SLOTS - 1))
		if (bytes_eq(c->set->words[c->slots[at] - 1], normal))
			break;
	if (c->slots[at] == 0) {
		if (c->set->n_words == RULESET_WORDS_MAX) {
			findings_error(&c->f, "is more than %d different keywords", RULESET_WORDS_MAX);
			return false;
		}
		/* The normal form may be much longer than what was written. */
		c->word_octets += normal.n;
		if (c->word_octets > RULESET_WORDS_OCTETS) {
			findings_error(&c->f, "makes the keywords longer than %d octets together",
				       RULESET_WORDS_OCTETS);
			return false;
		}
		if (c->set->words == NULL)
			c->set->words = arena_new_array(c->set->arena, struct bytes, RULESET_WORDS_MAX);
		c->set->words[c->set->n_words++] = normal;
		c->slots[at] = (uint32_t)c->set->n_words;
	}
	*out = (struct cond_word){c->slots[at] - 1, s};
	return true;
}

static bool
compile_words(struct compile *c, const json_t *v, struct cond *out)
{
	size_t mark = findings_enter(&c->f, "words");
	bool ok = compile_array(c, v, RULESET_LIST_MAX);
	size_t n = ok ? json_array_size(v) : 0;
	out->words = arena_new_array(c->set->arena, struct cond_word, n + 1);
	for (size_t i = 0; i < n; i++) {
		size_t inner = findings_enter_index(&c->f, i);
		const char *s = compile_line(c, json_array_get(v, i), RULESET_WORD_MAX);
		bool good = s != NULL && intern(c, s, &out->words[out->n_words]);
		out->n_words += good;
		ok = ok && good;
		findings_leave(&c->f, inner);
	}
	findings_leave(&c->f, mark);
	return ok;
}

static bool
compile_fields(struct compile *c, const json_t *v, struct cond *out)
{
	static const char *const words[] = {"subject", "body", "attachment_name", NULL};
	static const unsigned fields[] = {FIELD_SUBJECT, FIELD_BODY, FIELD_ATTACHMENT_NAME};
	out->fields = FIELD_ALL;
	if (v == NULL)
		return true;
	size_t mark = findings_enter(&c->f, "in");
	bool ok = compile_array(c, v, 3);
	size_t n = ok ? json_array_size(v) : 0;
	out->fields = 0;
	for (size_t i = 0; i < n; i++) {
		size_t inner = findings_enter_index(&c->f, i);
		int k = compile_word(c, json_array_get(v, i), words);
		if (k >= 0)
			out->fields |= fields[k];
		ok = ok && k >= 0;
		findings_leave(&c->f, inner);
	}
	findings_leave(&c->f, mark);
	return ok;
}

static bool
compile_keyword(struct compile *c, const json_t *v, struct cond *out)
{
	if (!compile_object(c, v, (const char *const[]){"words", "in", NULL}))
		return false;
	bool ok = compile_words(c, json_object_get(v, "words"), out);
	return compile_fields(c, json_object_get(v, "in"), out) && ok;
}

static bool
compile_size(struct compile *c, const json_t *v, struct cond *out)
{
	static const char *const known[] = {"over", "under", NULL};
	out->under = UINT64_MAX;
	if (!compile_object(c, v, known))
		return false;
	if (json_object_size(v) == 0) {
		findings_error(&c->f, "needs \"over\" or \"under\"");
		return false;
	}
	uint64_t *targets[] = {&out->over, &out->under};
	bool ok = true;
	for (int i = 0; i < 2; i++) {
		const json_t *m = json_object_get(v, known[i]);
		int64_t n;
		if (m == NULL)
			continue;
		size_t mark = findings_enter(&c->f, known[i]);
		if (compile_int(c, m, 1, INT64_C(1) << 40, &n))
			*targets[i] = (uint64_t)n;
		else
			ok = false;
		findings_leave(&c->f, mark);
	}
	if (ok && out->under != UINT64_MAX && out->over + 1 >= out->under)
		findings_warn(&c->f, "no size is over %llu and under %llu", (unsigned long long)out->over,
			      (unsigned long long)out->under);
	return ok;
}

bool
compile_cond(struct compile *c, const json_t *v, int depth, struct cond *out)
{
	static const struct {
		const char *name;
		enum cond_kind kind;
	} kinds[] = {
	    {"all", COND_ALL},
	    {"any", COND_ANY},
	    {"not", COND_NOT},
	    {"sender", COND_SENDER},
	    {"recipient", COND_RECIPIENT},
	    {"recipient_class", COND_CLASS},
	    {"keyword", COND_KEYWORD},
	    {"size", COND_SIZE},
	};
	*out = (struct cond){0};
	if (++c->nodes > RULESET_NODES_MAX) {
		/* Said once: the next place would say the same. */
		if (c->nodes == RULESET_NODES_MAX + 1)
			findings_error(&c->f, "more than %d conditions in one rule set", RULESET_NODES_MAX);
		c->f.errors = true;
		return false;
	}
	if (!json_is_object(v) || json_object_size(v) != 1) {
		findings_error(&c->f, "must be an object with exactly one member that names the condition");
		return false;
	}
	const char *name = json_object_iter_key(json_object_iter((json_t *)v));
	size_t i = 0, n = sizeof(kinds) / sizeof(kinds[0]);
	while (i < n && strcmp(kinds[i].name, name) != 0)
		i++;
	if (i == n) {
		findings_error(&c->f,
			       "must be one of all, any, not, sender, recipient, recipient_class, keyword, size");
		return false;
	}
	out->kind = kinds[i].kind;
	const json_t *m = json_object_get(v, name);
	size_t mark = findings_enter(&c->f, name);
	bool ok = false;
	switch (out->kind) {
	case COND_ALL:
	case COND_ANY:
	case COND_NOT:
		ok = compile_children(c, m, depth, out);
		break;
	case COND_SENDER:
	case COND_RECIPIENT:
		ok = compile_patterns(c, m, out);
		break;
	case COND_CLASS:
		ok = compile_classes(c, m, out);
		break;
	case COND_KEYWORD:
		ok = compile_keyword(c, m, out);
		break;
	case COND_SIZE:
		ok = compile_size(c, m, out);
		break;
	}
	findings_leave(&c->f, mark);
	return ok;
}
