/* SPDX-License-Identifier: MIT
 *
 * Normal forms of addresses and lookups in sorted lists. Pure.
 */
#include "pattern.h"

#include <idn2.h>
#include <stdio.h>
#include <stdlib.h>

#include "mail/text.h"

static bool
is_ascii(const char *s)
{
	for (; *s != 0; s++)
		if ((unsigned char)*s >= 0x80)
			return false;
	return true;
}

static bool
is_domain_name(const char *s)
{
	size_t n = strlen(s), label = 0;
	if (n == 0 || n > 253)
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = s[i];
		if (c == '.') {
			if (label == 0)
				return false;
			label = 0;
			continue;
		}
		bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
		if (!word || ++label > 63)
			return false;
	}
	return label != 0;
}

const char *
address_domain(struct arena *a, const char *s)
{
	size_t n = strlen(s);
	if (n != 0 && s[n - 1] == '.')
		n--;
	if (n == 0 || n > 1000)
		return NULL;
	char *name = arena_strndup(a, s, n);
	if (!is_ascii(name)) {
		char *ascii = NULL;
		if (idn2_to_ascii_8z(name, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
			return NULL;
		name = arena_strdup(a, ascii);
		idn2_free(ascii);
	}
	for (char *p = name; *p != 0; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p + 32);
	return is_domain_name(name) ? name : NULL;
}

/* A quoted local part means what is inside the quotes (RFC 5321, 4.1.2). */
static struct bytes
unquoted(struct arena *a, struct bytes local)
{
	if (local.n < 2 || local.p[0] != '"' || local.p[local.n - 1] != '"')
		return local;
	uint8_t *out = arena_alloc(a, local.n);
	size_t n = 0;
	for (size_t i = 1; i + 1 < local.n; i++) {
		if (local.p[i] == '\\' && i + 2 < local.n)
			i++;
		out[n++] = local.p[i];
	}
	return bytes_of(out, n);
}

struct address
address_normal(struct arena *a, const char *s)
{
	const char *at = strrchr(s, '@');
	if (at == NULL)
		return (struct address){(const char *)text_normal(a, bytes_str(s)).p, ""};
	struct bytes local = text_normal(a, unquoted(a, bytes_of(s, (size_t)(at - s))));
	const char *domain = address_domain(a, at + 1);
	/* An address literal or worse: kept comparable, but a domain to no rule. */
	if (domain == NULL) {
		const char *rest = (const char *)text_normal(a, bytes_str(at + 1)).p;
		return (struct address){arena_printf(a, "%s@%s", (const char *)local.p, rest), ""};
	}
	char *whole = arena_printf(a, "%s@%s", (const char *)local.p, domain);
	return (struct address){whole, whole + strlen(whole) - strlen(domain)};
}

enum rc
pattern_parse(struct arena *a, const char *s, bool login_allowed, struct pattern *out_r, struct err *e)
{
	struct bytes in = bytes_str(s);
	if (in.n == 0 || in.n > PATTERN_LENGTH_MAX)
		return err_set(e, RC_INVALID, "must be 1 to %d octets long", PATTERN_LENGTH_MAX);
	if (!text_is_one_line(in) || strpbrk(s, " <>,;") != NULL)
		return err_set(e, RC_INVALID, "must be one address or domain without spaces, brackets and lists");
	const char *at = strrchr(s, '@');
	const char *key;
	if (at == NULL && strchr(s, '.') == NULL && strchr(s, '*') == NULL) {
		if (!login_allowed)
			return err_set(e, RC_INVALID, "must be an address, a domain, *@domain or *.domain");
		key = arena_printf(a, "=%s", (const char *)text_normal(a, in).p);
	} else if (at == NULL) {
		bool sub = strncmp(s, "*.", 2) == 0;
		const char *domain = address_domain(a, sub ? s + 2 : s);
		if (domain == NULL)
			return err_set(e, RC_INVALID, "is no domain name");
		key = arena_printf(a, "%s%s", sub ? "." : "@", domain);
	} else {
		const char *domain = address_domain(a, at + 1);
		if (domain == NULL)
			return err_set(e, RC_INVALID, "what follows the @ is no domain name");
		bool any = at - s == 1 && s[0] == '*';
		if (at == s || (!any && memchr(s, '*', (size_t)(at - s)) != NULL))
			return err_set(e, RC_INVALID, "before the @ stands a whole local part or a single *");
		key = any ? arena_printf(a, "@%s", domain) : address_normal(a, s).whole;
	}
	*out_r = (struct pattern){key, arena_strdup(a, s)};
	return RC_OK;
}

static int
by_key(const void *x, const void *y)
{
	const struct pattern *a = x, *b = y;
	int c = strcmp(a->key, b->key);
	/* Equal keys in one order everywhere: the evidence must not depend on the sort. */
	return c != 0 ? c : strcmp(a->source, b->source);
}

void
pattern_list_sort(struct pattern_list *l)
{
	if (l->n > 1)
		qsort(l->v, l->n, sizeof(*l->v), by_key);
}

/* The first pattern whose key is prefix followed by rest. */
static const char *
find(const struct pattern_list *l, const char *prefix, const char *rest)
{
	size_t lo = 0, hi = l->n, k = strlen(prefix);
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strncmp(l->v[mid].key, prefix, k);
		if (c == 0)
			c = strcmp(l->v[mid].key + k, rest);
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == l->n || strncmp(l->v[lo].key, prefix, k) != 0 || strcmp(l->v[lo].key + k, rest) != 0)
		return NULL;
	return l->v[lo].source;
}

const char *
pattern_find_address(const struct pattern_list *l, const struct address *a)
{
	if (l->n == 0 || a->whole[0] == 0)
		return NULL;
	/* A whole without @ must not be taken for a key of another kind. */
	const char *hit = strchr(a->whole, '@') != NULL && a->whole[0] != '@' ? find(l, "", a->whole) : NULL;
	if (hit == NULL && a->domain[0] != 0)
		hit = find(l, "@", a->domain);
	for (const char *dot = strchr(a->domain, '.'); hit == NULL && dot != NULL; dot = strchr(dot + 1, '.'))
		hit = find(l, ".", dot + 1);
	return hit;
}

const char *
pattern_find_login(const struct pattern_list *l, const char *login_normal)
{
	if (l->n == 0 || login_normal[0] == 0)
		return NULL;
	const char *hit = find(l, "=", login_normal);
	return hit != NULL ? hit : find(l, "@", login_normal);
}
