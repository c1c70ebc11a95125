/* SPDX-License-Identifier: MIT
 *
 * Conditions on a message. A text is normalised and searched for all keywords once, when first asked for, whatever the
 * number of rules and recipients.
 */
#include "match.h"

#include <stdlib.h>

#include "mail/text.h"

const char *
match_role_str(enum match_role r)
{
	switch (r) {
	case ROLE_TO:
		return "to";
	case ROLE_CC:
		return "cc";
	case ROLE_BCC:
		return "bcc";
	}
	return "unknown";
}

/* --- preparation ---------------------------------------------------------------------------------------- */

static int
by_text(const void *x, const void *y)
{
	return strcmp(*(const char *const *)x, *(const char *const *)y);
}

static const char **
sorted_addresses(struct arena *a, const struct facts_addresses *l)
{
	const char **v = arena_new_array(a, const char *, l->n + 1);
	for (size_t i = 0; i < l->n; i++)
		v[i] = address_normal(a, l->v[i].addr).whole;
	if (l->n > 1)
		qsort(v, l->n, sizeof(*v), by_text);
	return v;
}

static bool
contains(const char **v, size_t n, const char *s)
{
	return n != 0 && bsearch(&s, v, n, sizeof(*v), by_text) != NULL;
}

static void
prepare_recipients(const struct eval_inputs *in, struct match_message *m)
{
	const struct policy_question *q = in->question;
	const char **to = sorted_addresses(m->arena, &m->facts->to);
	const char **cc = sorted_addresses(m->arena, &m->facts->cc);
	m->n_recipients = q->n_recipients;
	m->recipients = arena_new_array(m->arena, struct match_recipient, q->n_recipients);
	for (size_t i = 0; i < q->n_recipients; i++) {
		struct match_recipient *r = &m->recipients[i];
		r->source = q->recipients[i];
		r->address = address_normal(m->arena, r->source);
		r->class = directory_class(in->directory, r->address.domain);
		r->role = contains(to, m->facts->to.n, r->address.whole)   ? ROLE_TO
			  : contains(cc, m->facts->cc.n, r->address.whole) ? ROLE_CC
									   : ROLE_BCC;
	}
}

void
match_prepare(const struct eval_inputs *in, const struct facts *f, struct arena *a, struct match_message *m_r)
{
	const struct policy_question *q = in->question;
	*m_r = (struct match_message){.arena = a, .facts = f, .rules = in->rules};
	m_r->login = (const char *)text_normal(a, bytes_str(q->account)).p;
	if (strchr(q->account, '@') != NULL)
		m_r->account = address_normal(a, q->account);
	else
		m_r->account = (struct address){"", ""};
	m_r->mail_from = address_normal(a, q->mail_from);
	m_r->n_from = f->from.n;
	m_r->from = arena_new_array(a, struct address, f->from.n + 1);
	for (size_t i = 0; i < f->from.n; i++)
		m_r->from[i] = address_normal(a, f->from.v[i].addr);
	prepare_recipients(in, m_r);
}

/* --- keywords ------------------------------------------------------------------------------------------- */

static const char *const field_names[FIELD_COUNT] = {"subject", "body", "attachment_name"};

static struct bytes
text_of(struct match_message *m, int field)
{
	struct bytes *t = &m->texts[field];
	if (t->p != NULL)
		return *t;
	if (field == 0) {
		*t = text_normal(m->arena, bytes_str(m->facts->subject));
	} else if (field == 1) {
		*t = text_normal(m->arena, bytes_str(m->facts->text));
	} else {
		/* The newline is in no normal form, so no keyword reaches from one name into the next. */
		struct buf names;
		buf_init(&names, 0);
		for (size_t i = 0; i < m->facts->n_attachments; i++) {
			buf_add_bytes(&names, text_normal(m->arena, bytes_str(m->facts->attachments[i].name)));
			buf_add_str(&names, "\n");
		}
		*t = bytes_of(arena_strndup(m->arena, names.p != NULL ? names.p : (const uint8_t *)"", names.n),
			      names.n);
		buf_done(&names);
	}
	return *t;
}

static bool
word_found(struct match_message *m, uint32_t word, int field)
{
	if (m->found[field] == NULL) {
		m->found[field] = arena_new_array(m->arena, bool, m->rules->n_words);
		words_scan(&m->rules->automaton, text_of(m, field), m->found[field]);
	}
	return m->found[field][word];
}

/* The first keyword of the condition that is in one of its fields. */
static const struct cond_word *
find_word(struct match_message *m, const struct cond *c, int *field_r)
{
	for (int field = 0; field < FIELD_COUNT; field++) {
		for (size_t i = 0; (c->fields & (1u << field)) != 0 && i < c->n_words; i++) {
			if (word_found(m, c->words[i].index, field)) {
				*field_r = field;
				return &c->words[i];
			}
		}
	}
	return NULL;
}

/* --- leaves --------------------------------------------------------------------------------------------- */

static const char *
find_sender(const struct match_message *m, const struct pattern_list *l, const char **field_r)
{
	*field_r = "account";
	const char *hit = pattern_find_login(l, m->login);
	if (hit == NULL)
		hit = pattern_find_address(l, &m->account);
	if (hit != NULL)
		return hit;
	*field_r = "mail_from";
	hit = pattern_find_address(l, &m->mail_from);
	if (hit != NULL)
		return hit;
	*field_r = "from";
	for (size_t i = 0; hit == NULL && i < m->n_from; i++)
		hit = pattern_find_address(l, &m->from[i]);
	return hit;
}

/* A leaf's value, and what it was about. */
static enum tri
match_leaf(struct match_message *m, const struct match_recipient *r, const struct cond *c, struct match_evidence *why)
{
	*why = (struct match_evidence){0};
	int field = 1;
	const struct cond_word *word;
	switch (c->kind) {
	case COND_SENDER:
		why->pattern = find_sender(m, &c->patterns, &why->field);
		if (why->pattern == NULL)
			why->field = "sender";
		break;
	case COND_RECIPIENT:
		why->field = "recipient";
		why->pattern = pattern_find_address(&c->patterns, &r->address);
		break;
	case COND_CLASS:
		why->field = "recipient_class";
		why->pattern = (c->classes & (1u << r->class)) != 0 ? ruleset_class_str(r->class) : NULL;
		break;
	case COND_KEYWORD:
		word = find_word(m, c, &field);
		why->field = word != NULL ? field_names[field] : "keyword";
		why->pattern = word != NULL ? word->source : NULL;
		why->truncated = word == NULL && m->facts->text_truncated && (c->fields & FIELD_BODY) != 0;
		if (why->truncated) {
			why->field = "body";
			return TRI_UNKNOWN;
		}
		break;
	case COND_SIZE:
		why->field = "size";
		return m->facts->size > c->over && m->facts->size < c->under ? TRI_TRUE : TRI_FALSE;
	case COND_ALL:
	case COND_ANY:
	case COND_NOT:
		abort(); /* not a leaf */
	}
	return why->pattern != NULL ? TRI_TRUE : TRI_FALSE;
}

enum tri
match_cond(struct match_message *m, const struct match_recipient *r, const struct cond *c)
{
	struct match_evidence why;
	if (c->kind == COND_NOT)
		return (enum tri)(TRI_TRUE - match_cond(m, r, &c->children[0]));
	if (c->kind != COND_ALL && c->kind != COND_ANY)
		return match_leaf(m, r, c, &why);
	/* all: the least of its children; any: the greatest */
	bool all = c->kind == COND_ALL;
	enum tri value = all ? TRI_TRUE : TRI_FALSE;
	for (size_t i = 0; i < c->n_children && value != (all ? TRI_FALSE : TRI_TRUE); i++) {
		enum tri v = match_cond(m, r, &c->children[i]);
		if (all ? v < value : v > value)
			value = v;
	}
	return value;
}

/* Leaves below c that gave it its value; negated: under an odd number of nots. */
static size_t
explain(struct match_message *m, const struct match_recipient *r, const struct cond *c, bool negated,
	struct match_evidence *out, size_t max)
{
	if (c->kind == COND_NOT)
		return explain(m, r, &c->children[0], !negated, out, max);
	if (c->kind != COND_ALL && c->kind != COND_ANY) {
		struct match_evidence why;
		enum tri v = match_leaf(m, r, c, &why);
		why.absent = negated && v == TRI_FALSE;
		if (max > 0)
			*out = why;
		return 1;
	}
	enum tri value = match_cond(m, r, c);
	size_t n = 0;
	for (size_t i = 0; i < c->n_children; i++) {
		enum tri v = match_cond(m, r, &c->children[i]);
		/* In an "all" that is unknown the true children belong to the answer too; likewise an "any" not met. */
		bool part = v == value || (value == TRI_UNKNOWN && (c->kind == COND_ALL ? !negated : negated));
		if (part)
			n += explain(m, r, &c->children[i], negated, n < max ? out + n : out, n < max ? max - n : 0);
	}
	return n;
}

size_t
match_explain(struct match_message *m, const struct match_recipient *r, const struct cond *c,
	      struct match_evidence *out, size_t max)
{
	return explain(m, r, c, false, out, max);
}
