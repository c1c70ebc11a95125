/* SPDX-License-Identifier: MIT
 *
 * The grammar fed with anything; the first octet picks the part. What is written from what was parsed must parse the
 * same again; a decoder's result must not depend on how the input was cut.
 */
#include <stdlib.h>

#include "smtp/command.h"
#include "smtp/data.h"
#include "smtp/reply.h"
#include "smtp/xtext.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
try_command(struct bytes in)
{
	struct smtp_command c, again;
	struct buf out;
	unsigned offers = SMTP_OFFER_DSN | SMTP_OFFER_INTERNAL;
	if (smtp_command_parse(in, offers, &c) != NULL || (c.verb != SMTP_MAIL && c.verb != SMTP_RCPT))
		return;
	buf_init(&out, 0);
	if (c.verb == SMTP_MAIL)
		smtp_mail_write(&out, &c.mail);
	else
		smtp_rcpt_write(&out, &c.rcpt);
	if (smtp_command_parse(bytes_of(out.p, out.n - 2), offers, &again) != NULL || again.verb != c.verb ||
	    !bytes_eq(again.mail.from.text, c.mail.from.text) || !bytes_eq(again.rcpt.to.text, c.rcpt.to.text) ||
	    again.rcpt.notify != c.rcpt.notify || again.mail.size != c.mail.size ||
	    !bytes_eq(again.mail.envid, c.mail.envid) || !bytes_eq(again.rcpt.orcpt, c.rcpt.orcpt))
		abort();
	buf_done(&out);
}

static void
try_reply(struct bytes in)
{
	struct smtp_reply r;
	struct smtp_capabilities caps;
	char line[80];
	size_t used = 0;
	smtp_reply_init(&r);
	enum smtp_progress p = smtp_reply_feed(&r, in, &used);
	if (used > in.n || (p == SMTP_DONE && (r.code < 200 || r.code > 599)))
		abort();
	smtp_reply_line(&r, line, sizeof(line));
	for (size_t i = 0; line[i] != '\0'; i++)
		if ((uint8_t)line[i] < 0x20 || line[i] == 0x7f)
			abort();
	if (!smtp_utf8_valid(bytes_str(line)))
		abort();
	smtp_capabilities_parse(&r, &caps);
	smtp_reply_done(&r);
}

static enum smtp_data_progress
decode(struct bytes in, bool dots, size_t piece, struct buf *out)
{
	struct smtp_data d;
	enum smtp_data_progress p = SMTP_DATA_MORE;
	smtp_data_init(&d, dots);
	for (size_t i = 0; i < in.n && p == SMTP_DATA_MORE; i += piece) {
		size_t used;
		p = smtp_data_decode(&d, bytes_of(in.p + i, in.n - i < piece ? in.n - i : piece), out, &used);
	}
	return p;
}

static void
try_data(struct bytes in, bool dots)
{
	struct buf whole, pieces, wire, back;
	struct smtp_dot dot;
	buf_init(&whole, 0);
	buf_init(&pieces, 0);
	buf_init(&wire, 0);
	buf_init(&back, 0);
	enum smtp_data_progress p = decode(in, dots, in.n + 1, &whole);
	if (decode(in, dots, 1, &pieces) != p ||
	    (p != SMTP_DATA_BAD && !bytes_eq(buf_bytes(&whole), buf_bytes(&pieces))))
		abort();
	if (p == SMTP_DATA_DONE) {
		smtp_dot_init(&dot);
		if (smtp_dot_encode(&dot, buf_bytes(&whole), &wire, NULL) != RC_OK ||
		    smtp_dot_end(&dot, &wire, NULL) != RC_OK ||
		    decode(buf_bytes(&wire), true, 7, &back) != SMTP_DATA_DONE ||
		    !bytes_eq(buf_bytes(&back), buf_bytes(&whole)))
			abort();
	}
	buf_done(&whole);
	buf_done(&pieces);
	buf_done(&wire);
	buf_done(&back);
}

static void
try_xtext(struct bytes in)
{
	struct buf x, back;
	buf_init(&x, 0);
	buf_init(&back, 0);
	smtp_xtext_encode(in, &x);
	if (smtp_xtext_decode(buf_bytes(&x), &back, NULL) != RC_OK || !bytes_eq(buf_bytes(&back), in))
		abort();
	buf_reset(&back);
	if (smtp_xtext_decode(in, &back, NULL) == RC_OK && !smtp_xtext_valid(in))
		abort();
	buf_done(&x);
	buf_done(&back);
}

static void
try_domain(struct bytes in)
{
	char ascii[SMTP_ASCII_DOMAIN_SIZE], again[SMTP_ASCII_DOMAIN_SIZE];
	if (smtp_domain_ascii(in, ascii, NULL) != RC_OK)
		return;
	if (smtp_domain_ascii(bytes_str(ascii), again, NULL) != RC_OK || strcmp(ascii, again) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	if (n == 0)
		return 0;
	struct bytes in = bytes_of(p + 1, n - 1);
	switch (p[0] % 6) {
	case 0:
		try_command(in);
		break;
	case 1:
		try_reply(in);
		break;
	case 2:
		try_data(in, true);
		break;
	case 3:
		try_data(in, false);
		break;
	case 4:
		try_xtext(in);
		break;
	case 5:
		try_domain(in);
		break;
	}
	return 0;
}
