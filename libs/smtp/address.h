/* SPDX-License-Identifier: MIT
 *
 * Mailboxes and domains as SMTP writes them (RFC 5321 section 4.1.2, RFC 6531 for UTF-8). Everything borrows from the
 * octets that were parsed; nothing is allocated. No state: thread-safe.
 */
#ifndef SMTP_ADDRESS_H
#define SMTP_ADDRESS_H

#include <stdbool.h>

#include "core/bytes.h"
#include "core/rc.h"

#define SMTP_PATH_MAX	256 /* octets of a path with its brackets (RFC 5321, 4.5.3.1.3) */
#define SMTP_LOCAL_MAX	128 /* the RFC asks for 64 at least; VERP needs more */
#define SMTP_DOMAIN_MAX 253

struct smtp_address {
	struct bytes text;   /* "local@domain" as written; empty: null sender */
	struct bytes local;  /* as written, quotes included */
	struct bytes domain; /* literals with their brackets; empty for <postmaster> */
	bool quoted;	     /* local part is a quoted string */
	bool literal;	     /* domain is [1.2.3.4] or [IPv6:...] */
	bool utf8;	     /* an octet over 127 somewhere: needs SMTPUTF8 */
};

/* "local@domain", nothing before or after it. RC_INVALID if it is not a mailbox. */
enum rc smtp_address_parse(struct bytes text, struct smtp_address *out_r, struct err *e) MUST_CHECK;
/* "<...>" at the beginning of in; *used_r counts it with its brackets. Source routes (@a,@b:) are skipped, as RFC 5321
 * 4.1.1.3 allows. <> only if null_allowed, a local part alone only if it is "postmaster" and postmaster_allowed. */
enum rc smtp_path_parse(struct bytes in, bool null_allowed, bool postmaster_allowed, struct smtp_address *out_r,
			size_t *used_r, struct err *e) MUST_CHECK;
/* A host name (letters, digits, hyphens, dots; UTF-8 labels if utf8) or an address literal: EHLO, domains. */
bool smtp_domain_valid(struct bytes d, bool utf8) MUST_CHECK;
bool smtp_literal_valid(struct bytes d) MUST_CHECK;

#define SMTP_ASCII_DOMAIN_SIZE (SMTP_DOMAIN_MAX + 2)
/* Lower case, U-labels to A-labels (IDNA 2008, UTS 46 non-transitional): what is looked up in DNS and the directory. */
enum rc smtp_domain_ascii(struct bytes domain, char out[SMTP_ASCII_DOMAIN_SIZE], struct err *e) MUST_CHECK;
/* Well-formed UTF-8, no surrogates, no overlong forms. */
bool smtp_utf8_valid(struct bytes b) MUST_CHECK;

#endif
