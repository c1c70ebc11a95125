/* SPDX-License-Identifier: MIT
 *
 * Mailboxes and domains, read left to right by the grammar of RFC 5321 4.1.2. What the grammar does not know is
 * refused; nothing is repaired, because two parsers that repair differently are how mail gets past a checkpoint.
 */
#include "smtp/address.h"

#include <arpa/inet.h>
#include <idn2.h>

static bool
is_alnum(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool
is_atext(uint8_t c)
{
	return is_alnum(c) || c >= 0x80 || (c != 0 && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

bool
smtp_utf8_valid(struct bytes b)
{
	for (size_t i = 0; i < b.n;) {
		uint8_t c = b.p[i];
		if (c < 0x80) {
			i++;
			continue;
		}
		size_t more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
		if (c < 0xc2 || c > 0xf4 || b.n - i <= more)
			return false;
		uint32_t v = c & (0x3fu >> more);
		for (size_t k = 1; k <= more; k++) {
			if ((b.p[i + k] & 0xc0) != 0x80)
				return false;
			v = v << 6 | (b.p[i + k] & 0x3fu);
		}
		static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
		if (v < least[more] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
			return false;
		i += more + 1;
	}
	return true;
}

static bool
has_high(struct bytes b)
{
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] >= 0x80)
			return true;
	return false;
}

bool
smtp_literal_valid(struct bytes d)
{
	char text[64];
	uint8_t addr[16];
	if (d.n < 3 || d.n >= sizeof(text) || d.p[0] != '[' || d.p[d.n - 1] != ']')
		return false;
	memcpy(text, d.p + 1, d.n - 2);
	text[d.n - 2] = '\0';
	if (strlen(text) != d.n - 2)
		return false;
	if (bytes_ieq(bytes_of(text, d.n > 7 ? 5 : 0), bytes_str("IPv6:")))
		return inet_pton(AF_INET6, text + 5, addr) == 1;
	return inet_pton(AF_INET, text, addr) == 1;
}

bool
smtp_domain_valid(struct bytes d, bool utf8)
{
	if (d.n == 0 || d.n > SMTP_DOMAIN_MAX)
		return false;
	size_t label = 0;
	for (size_t i = 0; i < d.n; i++) {
		uint8_t c = d.p[i];
		if (c == '.') {
			if (label == 0 || d.p[i - 1] == '-')
				return false;
			label = 0;
			continue;
		}
		if (!is_alnum(c) && !(c == '-' && label > 0) && !(utf8 && c >= 0x80))
			return false;
		/* The 63 octets of a label are those of its A-label; of a U-label only idn2 can tell. */
		if (++label > 63 && !utf8)
			return false;
	}
	return label > 0 && d.p[d.n - 1] != '-' && (!utf8 || smtp_utf8_valid(d));
}

/* Octets of the local part at the front of in; 0: none. */
static size_t
local_length(struct bytes in, bool *quoted_r)
{
	size_t i = 0;
	if (in.n > 0 && in.p[0] == '"') {
		for (i = 1; i < in.n && in.p[i] != '"'; i++) {
			if (in.p[i] == '\\' && ++i >= in.n)
				return 0;
			if (in.p[i] < 0x20 || in.p[i] == 0x7f)
				return 0;
		}
		*quoted_r = true;
		return i < in.n ? i + 1 : 0;
	}
	*quoted_r = false;
	bool dot = true; /* an atom must follow */
	for (; i < in.n; i++) {
		if (in.p[i] == '.') {
			if (dot)
				return 0;
			dot = true;
		} else if (is_atext(in.p[i])) {
			dot = false;
		} else {
			break;
		}
	}
	return dot ? 0 : i;
}

static enum rc
mailbox(struct bytes text, bool postmaster_allowed, struct smtp_address *out_r, struct err *e)
{
	struct smtp_address a = {.text = text};
	size_t n = local_length(text, &a.quoted);
	if (n == 0)
		return err_set(e, RC_INVALID, "malformed local part");
	if (n > SMTP_LOCAL_MAX)
		return err_set(e, RC_INVALID, "local part too long");
	a.local = bytes_of(text.p, n);
	if (n == text.n) {
		if (!postmaster_allowed || !bytes_ieq(a.local, bytes_str("postmaster")))
			return err_set(e, RC_INVALID, "address without domain");
		*out_r = a;
		return RC_OK;
	}
	if (text.p[n] != '@')
		return err_set(e, RC_INVALID, "malformed local part");
	a.domain = bytes_of(text.p + n + 1, text.n - n - 1);
	a.literal = a.domain.n > 0 && a.domain.p[0] == '[';
	if (a.literal ? !smtp_literal_valid(a.domain) : !smtp_domain_valid(a.domain, true))
		return err_set(e, RC_INVALID, "malformed domain");
	a.utf8 = has_high(text);
	if (a.utf8 && !smtp_utf8_valid(text))
		return err_set(e, RC_INVALID, "address is not UTF-8");
	*out_r = a;
	return RC_OK;
}

enum rc
smtp_address_parse(struct bytes text, struct smtp_address *out_r, struct err *e)
{
	if (text.n > SMTP_PATH_MAX - 2)
		return err_set(e, RC_INVALID, "address too long");
	return mailbox(text, false, out_r, e);
}

/* "@a,@b:" at the front; its length, or -1 if it is not one. */
static ptrdiff_t
source_route(struct bytes in)
{
	size_t i = 0;
	for (;;) {
		if (i >= in.n || in.p[i] != '@')
			return -1;
		size_t from = ++i;
		while (i < in.n && in.p[i] != ',' && in.p[i] != ':')
			i++;
		if (i >= in.n || !smtp_domain_valid(bytes_of(in.p + from, i - from), true))
			return -1;
		if (in.p[i++] == ':')
			return (ptrdiff_t)i;
	}
}

/* The closing bracket: the first one outside a quoted string. */
static size_t
path_end(struct bytes in)
{
	bool quoted = false;
	for (size_t i = 1; i < in.n; i++) {
		if (quoted && in.p[i] == '\\')
			i++;
		else if (in.p[i] == '"')
			quoted = !quoted;
		else if (in.p[i] == '>' && !quoted)
			return i;
	}
	return 0;
}

enum rc
smtp_path_parse(struct bytes in, bool null_allowed, bool postmaster_allowed, struct smtp_address *out_r, size_t *used_r,
		struct err *e)
{
	if (in.n == 0 || in.p[0] != '<')
		return err_set(e, RC_INVALID, "path must begin with <");
	size_t end = path_end(in);
	if (end == 0)
		return err_set(e, RC_INVALID, "path must end with >");
	if (end + 1 > SMTP_PATH_MAX)
		return err_set(e, RC_INVALID, "path too long");
	struct bytes text = bytes_of(in.p + 1, end - 1);
	if (text.n == 0) {
		if (!null_allowed)
			return err_set(e, RC_INVALID, "empty path");
		*out_r = (struct smtp_address){.text = text};
		*used_r = end + 1;
		return RC_OK;
	}
	if (text.p[0] == '@') {
		ptrdiff_t skip = source_route(text);
		if (skip < 0)
			return err_set(e, RC_INVALID, "malformed source route");
		text = bytes_of(text.p + skip, text.n - (size_t)skip);
	}
	enum rc rc = mailbox(text, postmaster_allowed, out_r, e);
	if (rc == RC_OK)
		*used_r = end + 1;
	return rc;
}

/* Code points that UTS 46 drops without a word: two names that look alike and are written differently would be one. */
static bool
has_ignored(const char *text)
{
	static const struct {
		uint32_t first, last;
	} ignored[] = {{0xad, 0xad},	 {0x34f, 0x34f},   {0x61c, 0x61c},     {0x115f, 0x1160},
		       {0x17b4, 0x17b5}, {0x180b, 0x180f}, {0x200b, 0x200b},   {0x200e, 0x200f},
		       {0x202a, 0x202e}, {0x2060, 0x206f}, {0x3164, 0x3164},   {0xfe00, 0xfe0f},
		       {0xfeff, 0xfeff}, {0xffa0, 0xffa0}, {0x1bca0, 0x1bca3}, {0xe0000, 0xe0fff}};
	for (const uint8_t *p = (const uint8_t *)text; *p != '\0';) {
		int more = *p >= 0xf0 ? 3 : *p >= 0xe0 ? 2 : *p >= 0xc0 ? 1 : 0;
		uint32_t v = more == 0 ? *p : *p & (0x3fu >> more);
		for (p++; more > 0; more--, p++)
			v = v << 6 | (*p & 0x3fu);
		for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
			if (v >= ignored[i].first && v <= ignored[i].last)
				return true;
	}
	return false;
}

static bool
has_a_label(struct bytes d)
{
	for (size_t i = 0; i + 4 <= d.n; i++)
		if ((i == 0 || d.p[i - 1] == '.') && bytes_ieq(bytes_of(d.p + i, 4), bytes_str("xn--")))
			return true;
	return false;
}

/* An A-label is one only if it is what its own U-label encodes to (RFC 5891, 5.4). */
static enum rc
check_a_labels(const char *ascii, struct err *e)
{
	char *unicode = NULL, *again = NULL;
	int k = idn2_to_unicode_8z8z(ascii, &unicode, 0);
	if (k == IDN2_OK)
		k = idn2_to_ascii_8z(unicode, &again, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
	bool same = k == IDN2_OK && strcmp(again, ascii) == 0;
	if (unicode != NULL)
		idn2_free(unicode);
	if (again != NULL)
		idn2_free(again);
	if (same)
		return RC_OK;
	return err_set(e, RC_INVALID, "domain: %s", k != IDN2_OK ? idn2_strerror(k) : "malformed A-label");
}

enum rc
smtp_domain_ascii(struct bytes domain, char out[SMTP_ASCII_DOMAIN_SIZE], struct err *e)
{
	char text[SMTP_DOMAIN_MAX + 1];
	if (!smtp_domain_valid(domain, true))
		return err_set(e, RC_INVALID, "malformed domain");
	if (!has_high(domain)) {
		if (!smtp_domain_valid(domain, false))
			return err_set(e, RC_INVALID, "label too long");
		for (size_t i = 0; i < domain.n; i++)
			text[i] = (char)(domain.p[i] >= 'A' && domain.p[i] <= 'Z' ? domain.p[i] | 0x20 : domain.p[i]);
		text[domain.n] = '\0';
		enum rc rc = has_a_label(domain) ? check_a_labels(text, e) : RC_OK;
		if (rc == RC_OK)
			memcpy(out, text, domain.n + 1);
		return rc;
	}
	memcpy(text, domain.p, domain.n);
	text[domain.n] = '\0';
	if (has_ignored(text))
		return err_set(e, RC_INVALID, "domain: invisible character");
	char *ascii = NULL;
	int k = idn2_to_ascii_8z(text, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
	if (k != IDN2_OK)
		return err_set(e, RC_INVALID, "domain: %s", idn2_strerror(k));
	size_t n = strlen(ascii);
	enum rc rc = smtp_domain_valid(bytes_of(ascii, n), false) ? RC_OK : err_set(e, RC_INVALID, "malformed domain");
	if (rc == RC_OK && has_a_label(bytes_of(ascii, n)))
		rc = check_a_labels(ascii, e);
	if (rc == RC_OK)
		memcpy(out, ascii, n + 1);
	idn2_free(ascii);
	return rc;
}
