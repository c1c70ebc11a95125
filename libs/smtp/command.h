/* SPDX-License-Identifier: MIT
 *
 * Command lines (RFC 5321 section 4.1, with SIZE, 8BITMIME, SMTPUTF8, DSN, CHUNKING, AUTH, STARTTLS): the server's
 * parser and the client's writer of the same structs. Parsed values borrow from the line.
 */
#ifndef SMTP_COMMAND_H
#define SMTP_COMMAND_H

#include <stdint.h>

#include "core/bytes.h"
#include "smtp/address.h"

#define SMTP_COMMAND_MAX                                                                                               \
	4096		    /* octets of a command line with all parameters, CRLF included; AUTH lines may be longer */
#define SMTP_AUTH_MAX 12288 /* RFC 4954 section 4 */

enum smtp_verb {
	SMTP_UNKNOWN,
	SMTP_HELO,
	SMTP_EHLO,
	SMTP_MAIL,
	SMTP_RCPT,
	SMTP_DATA,
	SMTP_BDAT,
	SMTP_RSET,
	SMTP_NOOP,
	SMTP_QUIT,
	SMTP_STARTTLS,
	SMTP_AUTH,
	SMTP_VRFY,
	SMTP_EXPN,
	SMTP_HELP,
};
const char *smtp_verb_str(enum smtp_verb v);

enum smtp_ret { SMTP_RET_NONE, SMTP_RET_FULL, SMTP_RET_HDRS };
/* NOTIFY as bits; 0: not given. NEVER stands alone. */
enum smtp_notify { SMTP_NOTIFY_NEVER = 1, SMTP_NOTIFY_SUCCESS = 2, SMTP_NOTIFY_FAILURE = 4, SMTP_NOTIFY_DELAY = 8 };
#define SMTP_NOTIFY_SIZE 24
/* "", "NEVER" or "SUCCESS,FAILURE,DELAY". smtp_notify_parse is its reverse. */
void smtp_notify_format(unsigned notify, char out[SMTP_NOTIFY_SIZE]);
bool smtp_notify_parse(struct bytes text, unsigned *notify_r) MUST_CHECK;

struct smtp_mail {
	struct smtp_address from; /* the writer uses from.text only */
	bool has_size;
	uint64_t size;
	bool eight_bit; /* BODY=8BITMIME */
	bool smtputf8;
	enum smtp_ret ret;
	struct bytes envid;	  /* xtext as on the wire; p NULL: none */
	struct bytes idempotency; /* XSEKISHO-IDEMPOTENCY, xtext; internal listener only */
	struct bytes trace;	  /* XSEKISHO-TRACE: the caller's traceparent, as it is; internal listener only */
};
struct smtp_rcpt {
	struct smtp_address to;
	unsigned notify;
	struct bytes orcpt; /* "rfc822;xtext" as on the wire; p NULL: none */
};

struct smtp_command {
	enum smtp_verb verb;
	struct bytes argument; /* HELO, EHLO: the name; AUTH: mechanism; VRFY, EXPN, HELP, NOOP: the rest */
	bool has_initial;      /* AUTH: initial response, "=" means an empty one */
	struct bytes initial;
	struct smtp_mail mail;
	struct smtp_rcpt rcpt;
	uint64_t chunk; /* BDAT */
	bool last;
};

/* A reply that says what is wrong. Static storage. */
struct smtp_fault {
	int code;
	const char *enhanced, *text;
};

/* What the server offers: a parameter that is not offered is refused with 555. */
enum smtp_offer { SMTP_OFFER_DSN = 1, SMTP_OFFER_INTERNAL = 2 };
/* line without its CRLF. NULL: *out_r is filled. An unknown verb is no fault (verb SMTP_UNKNOWN). */
const struct smtp_fault *smtp_command_parse(struct bytes line, unsigned offers, struct smtp_command *out_r);

/* Whole lines with CRLF. Parameters are written when set: the caller looks at the peer's capabilities first. */
void smtp_mail_write(struct buf *out, const struct smtp_mail *m);
void smtp_rcpt_write(struct buf *out, const struct smtp_rcpt *r);

#endif
