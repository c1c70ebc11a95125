/* SPDX-License-Identifier: MIT
 *
 * Comments are taken out before anything else is looked for, as they may hold every sign there is. What remains of a
 * mailbox is "name <addr>" or "addr". No state.
 */
#include "facts/addresses.h"

#include "facts/charset.h"
#include "facts/header.h"
#include "facts/words.h"

#define ADDR_MAX (FACTS_STRING_MAX / 8) /* octets as written; RFC 5321 allows 320 */

/* Follows quotes and comments, octet by octet. */
struct lexer {
	bool quoted, escaped;
	int comment;
};

/* Whether c is syntax: outside quotes and comments, and none of their own signs. */
static bool
lex(struct lexer *l, uint8_t c)
{
	if (l->escaped) {
		l->escaped = false;
		return false;
	}
	if (c == '\\' && (l->quoted || l->comment > 0)) {
		l->escaped = true;
		return false;
	}
	if (c == '"' && l->comment == 0) {
		l->quoted = !l->quoted;
		return false;
	}
	if (l->quoted)
		return false;
	if (c == '(') {
		l->comment++;
		return false;
	}
	if (c == ')' && l->comment > 0) {
		l->comment--;
		return false;
	}
	return l->comment == 0;
}

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static struct bytes
trim(struct bytes b)
{
	while (b.n > 0 && is_blank(b.p[0])) {
		b.p++;
		b.n--;
	}
	while (b.n > 0 && is_blank(b.p[b.n - 1]))
		b.n--;
	return b;
}

/* One mailbox of a list: [start, end) without what ends it. */
static size_t
mailbox_end(struct bytes b, size_t at)
{
	struct lexer l = {0};
	bool angle = false;
	for (; at < b.n; at++) {
		uint8_t c = b.p[at];
		if (!lex(&l, c))
			continue;
		if (c == '<' || c == '>')
			angle = c == '<';
		else if (!angle && (c == ',' || c == ';' || c == ':'))
			return at;
	}
	return b.n;
}

/* --- one mailbox ---------------------------------------------------------------------------------------- */

struct mailbox {
	struct bytes name, addr, comment;
	const char *odd;
};

/* b without its comments, each of which counts as white space; *comment_r: the last one's text. */
static struct bytes
drop_comments(struct bytes b, struct arena *a, struct mailbox *m)
{
	uint8_t *out = arena_alloc(a, b.n + 1);
	struct lexer l = {0};
	size_t n = 0, start = 0;
	for (size_t i = 0; i < b.n; i++) {
		int before = l.comment;
		bool syntax = lex(&l, b.p[i]);
		if (syntax && b.p[i] == ')')
			m->odd = "an address with a comment that never began";
		if (before == 0 && l.comment == 1)
			start = i + 1;
		if (before == 1 && l.comment == 0)
			m->comment = bytes_of(b.p + start, i - start);
		if (before == 0 && l.comment == 0)
			out[n++] = b.p[i];
		else if (before == 1 && l.comment == 0)
			out[n++] = ' ';
	}
	if (l.quoted || l.escaped || l.comment > 0)
		m->odd = "an address with a quote or comment without end";
	return bytes_of(out, n);
}

static size_t
count_signs(struct bytes b, uint8_t sign)
{
	struct lexer l = {0};
	size_t n = 0;
	for (size_t i = 0; i < b.n; i++)
		n += lex(&l, b.p[i]) && b.p[i] == sign;
	return n;
}

static void
judge_addr(struct mailbox *m)
{
	size_t at = count_signs(m->addr, '@');
	if (at > 1)
		m->odd = "an address in an address";
	else if (at == 1 && (count_signs(m->addr, ' ') > 0 || count_signs(m->addr, '\t') > 0))
		m->odd = "an address with white space in it";
}

/* "name <addr>" or "addr", without comments. */
static void
split_mailbox(struct bytes b, struct mailbox *m)
{
	struct lexer l = {0};
	size_t open = b.n, close = b.n;
	for (size_t i = 0; i < b.n; i++) {
		if (!lex(&l, b.p[i])) {
			if (close < b.n)
				m->odd = "text behind an address";
			continue;
		}
		if (b.p[i] == '<' && open == b.n)
			open = i;
		else if (b.p[i] == '>' && open < b.n && close == b.n)
			close = i;
		else if (b.p[i] == '<' || b.p[i] == '>')
			m->odd = "an address with more than one pair of brackets";
		else if (close < b.n && !is_blank(b.p[i]))
			m->odd = "text behind an address";
	}
	if (open == b.n) {
		m->addr = trim(b);
	} else {
		if (close == b.n)
			m->odd = "an address with an open bracket";
		m->name = trim(bytes_of(b.p, open));
		m->addr = trim(bytes_of(b.p + open + 1, close - open - 1));
		if (count_signs(m->name, '@') > 0 && !bytes_ieq(m->name, m->addr))
			m->odd = "an address in a name";
	}
	judge_addr(m);
}

/* --- texts ---------------------------------------------------------------------------------------------- */

static const char *
display_of(struct bytes b, struct arena *a, bool *cut)
{
	if (b.n < 2 || b.p[0] != '"' || b.p[b.n - 1] != '"')
		return words_decode(b, a, cut);
	uint8_t *p = arena_alloc(a, b.n);
	size_t n = 0;
	for (size_t i = 1; i + 1 < b.n; i++) {
		if (b.p[i] == '\\' && i + 2 < b.n)
			i++;
		p[n++] = b.p[i];
	}
	return words_decode(bytes_of(p, n), a, cut);
}

static const char *
addr_of(struct bytes b, struct arena *a, bool *cut)
{
	if (b.n > ADDR_MAX) {
		*cut = true;
		b.n = ADDR_MAX;
	}
	const uint8_t *at = b.n > 0 ? memrchr(b.p, '@', b.n) : NULL;
	if (at == NULL)
		return words_decode(b, a, cut);
	struct bytes domain = trim(bytes_of(at + 1, (size_t)(b.p + b.n - at) - 1));
	struct bytes local = charset_to_utf8("", bytes_of(b.p, (size_t)(at - b.p)), FACTS_STRING_MAX / 2, a);
	struct bytes utf8 = charset_to_utf8("", domain, FACTS_STRING_MAX / 4, a);
	const char *d = charset_domain(utf8, a);
	return arena_printf(a, "%.*s@%s", (int)local.n, (const char *)local.p, d);
}

static void
take_mailbox(struct bytes b, struct arena *a, struct addresses *out)
{
	struct mailbox m = {.odd = NULL};
	split_mailbox(drop_comments(b, a, &m), &m);
	if (m.odd != NULL)
		out->odd = m.odd;
	if (m.name.n == 0 && m.addr.n == 0 && m.comment.p != NULL)
		return;
	if (out->list.n == FACTS_ADDRESSES_MAX) {
		out->cut = true;
		return;
	}
	if (out->list.n == out->cap) {
		out->cap = out->cap == 0 ? 8 : out->cap * 2;
		struct facts_address *v = arena_new_array(a, struct facts_address, out->cap);
		if (out->list.n > 0)
			memcpy(v, out->list.v, out->list.n * sizeof(*v));
		out->list.v = v;
	}
	out->list.v[out->list.n++] = (struct facts_address){
	    .display = display_of(m.name.n > 0 ? m.name : m.comment, a, &out->cut),
	    .addr = addr_of(m.addr, a, &out->cut),
	};
}

void
addresses_read(struct bytes value, struct arena *a, struct addresses *out)
{
	struct bytes b = header_unfold(a, value);
	for (size_t at = 0; at < b.n;) {
		size_t end = mailbox_end(b, at);
		struct bytes one = trim(bytes_of(b.p + at, end - at));
		bool group_name = end < b.n && b.p[end] == ':';
		at = end + 1;
		if (group_name && (count_signs(one, '@') > 0 || count_signs(one, '<') > 0))
			out->odd = "an address in the name of a group";
		if (one.n > 0 && !group_name)
			take_mailbox(one, a, out);
	}
}
