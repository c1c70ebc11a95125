/* SPDX-License-Identifier: MIT */
#include "names.h"

#include "proof.h"
#include "smtp/address.h"

bool
names_login(struct bytes in, struct arena *a, const char **login_r)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789._@+-";
	if (in.n == 0 || in.n > NAMES_LOGIN_MAX)
		return false;
	char *out = arena_strndup(a, in.p, in.n);
	for (size_t i = 0; i < in.n; i++) {
		if (out[i] >= 'A' && out[i] <= 'Z')
			out[i] = (char)(out[i] + 32);
		if (out[i] == 0 || strchr(allowed, out[i]) == NULL)
			return false;
	}
	*login_r = out;
	return true;
}

enum rc
names_address(struct bytes in, struct arena *a, struct bytes *address_r, const char **domain_r, struct err *e)
{
	struct smtp_address parsed;
	char domain[SMTP_ASCII_DOMAIN_SIZE];
	enum rc rc = smtp_address_parse(in, &parsed, e);
	if (rc != RC_OK)
		return rc;
	if (parsed.literal || parsed.domain.n == 0)
		return err_set(e, RC_INVALID, "an address needs a domain");
	rc = smtp_domain_ascii(parsed.domain, domain, e);
	if (rc != RC_OK)
		return rc;
	struct buf b;
	buf_init(&b, 0);
	buf_add_bytes(&b, parsed.local);
	buf_add_str(&b, "@");
	buf_add_str(&b, domain);
	*address_r = arena_bytes(a, buf_bytes(&b));
	*domain_r = arena_strdup(a, domain);
	buf_done(&b);
	return RC_OK;
}

struct bytes
names_fold(struct bytes in, struct arena *a)
{
	uint8_t *out = arena_alloc(a, in.n + 1);
	for (size_t i = 0; i < in.n; i++)
		out[i] = in.p[i] >= 'A' && in.p[i] <= 'Z' ? (uint8_t)(in.p[i] + 32) : in.p[i];
	return bytes_of(out, in.n);
}

enum rc
names_domain(struct bytes in, struct arena *a, const char **domain_r, struct err *e)
{
	char domain[SMTP_ASCII_DOMAIN_SIZE];
	if (in.n == 0 || in.n > 4 * SMTP_DOMAIN_MAX || !smtp_domain_valid(in, true) || in.p[0] == '[')
		return err_set(e, RC_INVALID, "not a domain");
	enum rc rc = smtp_domain_ascii(in, domain, e);
	if (rc != RC_OK)
		return rc;
	if (strchr(domain, '.') == NULL)
		return err_set(e, RC_INVALID, "a domain needs at least two labels");
	if (strlen(domain) + sizeof(PROOF_LABEL) > SMTP_DOMAIN_MAX)
		return err_set(e, RC_INVALID, "the domain is too long to be proven");
	*domain_r = arena_strdup(a, domain);
	return RC_OK;
}

enum rc
names_check(struct bytes in, bool empty_allowed, const char *what, struct err *e)
{
	if (in.n == 0 && !empty_allowed)
		return err_set(e, RC_INVALID, "%s is missing", what);
	return names_check_long(in, NAMES_MAX, what, e);
}

enum rc
names_check_long(struct bytes in, size_t max, const char *what, struct err *e)
{
	if (in.n > max)
		return err_set(e, RC_LIMIT, "%s is longer than %zu octets", what, max);
	if (in.n > 0 && !smtp_utf8_valid(in))
		return err_set(e, RC_INVALID, "%s is not UTF-8", what);
	for (size_t i = 0; i < in.n; i++)
		if (in.p[i] < 0x20 || in.p[i] == 0x7f || (in.p[i] == 0xc2 && i + 1 < in.n && in.p[i + 1] < 0xa0))
			return err_set(e, RC_INVALID, "%s holds a control character", what);
	return RC_OK;
}
