/* SPDX-License-Identifier: MIT
 *
 * Addresses as rules compare them, and lists of address patterns. Local parts compare without case and quoting, domains
 * in lower-case A-label form without a final dot: two ways to write an address are no way around a rule.
 *
 * A pattern is "user@example.com" (that address), "example.com" or "*@example.com" (that domain), "*.example.com" (its
 * subdomains, any depth, not itself), and in lists of senders also a login name without "@" and ".".
 */
#ifndef POLICY_PATTERN_H
#define POLICY_PATTERN_H

#include "core/arena.h"
#include "core/bytes.h"

#define PATTERN_LENGTH_MAX 320 /* code points and octets */

struct address {
	const char *whole;  /* "user@example.com" in normal form; without a domain just the local part */
	const char *domain; /* into whole; "" if there is none */
};
/* Any UTF-8 is taken: what is not an address has no domain. */
struct address address_normal(struct arena *a, const char *s);
/* Normal form of a domain name, or NULL if it is none. */
const char *address_domain(struct arena *a, const char *s);

struct pattern {
	const char *key;    /* what is looked up: "user@d", "@d" for a domain, "." d for its subdomains, "=login" */
	const char *source; /* as written */
};
struct pattern_list {
	struct pattern *v; /* sorted by key once pattern_list_sort() was called */
	size_t n;
};

/* RC_INVALID: why it is no pattern. Strings in a. */
enum rc pattern_parse(struct arena *a, const char *s, bool login_allowed, struct pattern *out_r,
		      struct err *e) MUST_CHECK;
void pattern_list_sort(struct pattern_list *l);
/* The pattern (as written) that matches, most exact first; NULL if none does. */
const char *pattern_find_address(const struct pattern_list *l, const struct address *a);
const char *pattern_find_login(const struct pattern_list *l, const char *login_normal);

#endif
