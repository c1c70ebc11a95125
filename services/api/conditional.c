/* SPDX-License-Identifier: MIT */
#include "conditional.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "crypt/crypt.h"

/* One entity tag at s, spaces before it skipped: its opaque part, and where it ends. */
static bool
next_tag(const char **s, bool *weak_r, struct bytes *opaque_r)
{
	const char *p = *s + strspn(*s, " \t,");
	*weak_r = strncmp(p, "W/", 2) == 0;
	if (*weak_r)
		p += 2;
	if (*p != '"')
		return false;
	const char *end = ++p;
	/* etagc: no space, no control, no quotation mark */
	while ((uint8_t)*end > 0x20 && *end != '"' && *end != 0x7f)
		end++;
	if (*end != '"')
		return false;
	*opaque_r = bytes_of(p, (size_t)(end - p));
	*s = end + 1;
	return true;
}

static bool
is_rest_empty(const char *s)
{
	return s[strspn(s, " \t")] == '\0';
}

/* "7" or "7-<hash>" */
static bool
version_of(struct bytes tag, uint64_t *version_r)
{
	uint64_t v = 0;
	size_t i = 0;
	while (i < tag.n && i < 18 && tag.p[i] >= '0' && tag.p[i] <= '9')
		v = v * 10 + (uint64_t)(tag.p[i++] - '0');
	if (i == 0 || (i < tag.n && tag.p[i] != '-') || (tag.p[0] == '0' && i > 1))
		return false;
	*version_r = v;
	return true;
}

enum conditional
conditional_match(const char *header, uint64_t *version_r)
{
	bool weak;
	struct bytes tag;
	*version_r = 0;
	if (header[0] == '\0')
		return CONDITIONAL_NONE;
	if (header[0] == '*' && is_rest_empty(header + 1))
		return CONDITIONAL_ANY;
	const char *s = header;
	if (!next_tag(&s, &weak, &tag) || !is_rest_empty(s))
		return CONDITIONAL_BAD;
	return !weak && version_of(tag, version_r) ? CONDITIONAL_VERSION : CONDITIONAL_NEVER;
}

bool
conditional_none_match(const char *header, const char *etag)
{
	bool weak;
	struct bytes tag;
	if (header[0] == '*' && is_rest_empty(header + 1))
		return true;
	size_t n = strlen(etag);
	if (n < 2)
		return false;
	struct bytes mine = bytes_of(etag + 1, n - 2);
	for (const char *s = header; next_tag(&s, &weak, &tag);)
		if (bytes_eq(tag, mine))
			return true;
	return false;
}

const char *
conditional_etag(struct arena *a, uint64_t version, struct bytes body)
{
	uint8_t digest[32];
	if (body.p == NULL)
		return arena_printf(a, "\"%llu\"", (unsigned long long)version);
	crypt_sha256(body, digest);
	char hex[17];
	for (int i = 0; i < 8; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	/* Without a version a letter stands first, so that the tag is never taken for one. */
	return version > 0 ? arena_printf(a, "\"%llu-%s\"", (unsigned long long)version, hex)
			   : arena_printf(a, "\"h%s\"", hex);
}

/* "q=0", "q=0.000": not acceptable. */
static bool
is_refused(const char *parameters, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (parameters[i] != ';')
			continue;
		size_t at = i + 1;
		while (at < n && (parameters[at] == ' ' || parameters[at] == '\t'))
			at++;
		if (n - at < 3 || strncasecmp(parameters + at, "q=", 2) != 0)
			continue;
		size_t v = at + 2;
		while (v < n && (parameters[v] == '0' || parameters[v] == '.'))
			v++;
		return v > at + 2 && (v == n || strchr(" \t;", parameters[v]) != NULL);
	}
	return false;
}

/* How closely a range of n octets names the type: 3 exactly, 2 type/anything, 1 anything, 0 not at all. */
static int
closeness(const char *range, size_t n, const char *type)
{
	size_t major = strcspn(type, "/") + 1;
	if (n == strlen(type) && strncasecmp(range, type, n) == 0)
		return 3;
	if (n == major + 1 && range[major] == '*' && strncasecmp(range, type, major) == 0)
		return 2;
	return n == 3 && memcmp(range, "*/*", 3) == 0 ? 1 : 0;
}

bool
conditional_accepts(const char *accept, const char *type)
{
	int best = 0;
	bool allowed = false;
	const char *s = accept + strspn(accept, " \t,");
	if (*s == '\0')
		return true;
	while (*s != '\0') {
		size_t n = strcspn(s, ","), name = strcspn(s, ";, \t");
		int close = closeness(s, name, type);
		if (close > best || (close == best && close > 0 && !allowed)) {
			best = close;
			allowed = !is_refused(s + name, n - name);
		}
		s += n;
		s += strspn(s, " \t,");
	}
	return allowed;
}
