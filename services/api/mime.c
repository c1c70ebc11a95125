/* SPDX-License-Identifier: MIT */
#include "mime.h"

#include <string.h>

#include "mime_text.h"

bool
mime_type_valid(struct bytes type)
{
	size_t slash = 0;
	for (size_t i = 0; i < type.n; i++) {
		uint8_t c = type.p[i];
		if (c == '/' && slash == 0 && i > 0)
			slash = i;
		else if (c <= 0x20 || c >= 0x7f || strchr("()<>@,;:\\\"/[]?=", c) != NULL)
			return false;
	}
	if (slash == 0 || slash + 1 == type.n || type.n > 127)
		return false;
	struct bytes top = bytes_of(type.p, slash);
	return !bytes_ieq(top, bytes_str("multipart")) && !bytes_ieq(top, bytes_str("message"));
}

static void
put_addresses(struct buf *out, const char *field, const struct mime_address *v, size_t n)
{
	if (n == 0)
		return;
	buf_addf(out, "%s: ", field);
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_add_str(out, ",\r\n ");
		size_t column = i > 0 ? 1 : strlen(field) + 2;
		mime_header_text(out, v[i].name, true, column);
		if (v[i].name.n > 0)
			buf_add_str(out, "\r\n ");
		buf_addf(out, "<%.*s>", (int)v[i].address.n, v[i].address.p);
	}
	buf_add_str(out, "\r\n");
}

static void
put_boundary(struct buf *out, const struct mime_mail *m, int level)
{
	char id[UUID_STR_SIZE];
	uuid_format(&m->id, id);
	buf_addf(out, "=_%d_%s", level, id); /* "=_" is in no base64 and no quoted-printable text */
}

static void
open_multipart(struct buf *out, const struct mime_mail *m, const char *subtype, int level)
{
	buf_addf(out, "Content-Type: multipart/%s;\r\n boundary=\"", subtype);
	put_boundary(out, m, level);
	buf_add_str(out, "\"\r\n\r\n");
}

static void
put_delimiter(struct buf *out, const struct mime_mail *m, int level, bool last)
{
	buf_add_str(out, "\r\n--");
	put_boundary(out, m, level);
	buf_add_str(out, last ? "--\r\n" : "\r\n");
}

/* Quoted-printable keeps mostly ASCII text readable; where it would cost more, base64. */
static void
put_text(struct buf *out, const char *subtype, struct bytes text)
{
	struct buf lines;
	buf_init(&lines, 0);
	mime_canonical_lines(&lines, text);
	size_t costly = 0;
	for (size_t i = 0; i < lines.n; i++)
		if (lines.p[i] >= 0x7f || lines.p[i] == '=')
			costly++;
	bool base64 = costly > lines.n / 6;
	buf_addf(out,
		 "Content-Type: text/%s; charset=utf-8\r\nContent-Transfer-Encoding: "
		 "%s\r\n\r\n",
		 subtype, base64 ? "base64" : "quoted-printable");
	if (base64)
		mime_base64(out, buf_bytes(&lines));
	else
		mime_quoted_printable(out, buf_bytes(&lines));
	out->failed = out->failed || lines.failed;
	buf_done(&lines);
}

static void
put_body(struct buf *out, const struct mime_mail *m)
{
	if (!m->has_html || !m->has_text) {
		put_text(out, m->has_html ? "html" : "plain", m->has_html ? m->html : m->text);
		return;
	}
	open_multipart(out, m, "alternative", 2);
	put_delimiter(out, m, 2, false);
	put_text(out, "plain", m->text);
	put_delimiter(out, m, 2, false);
	put_text(out, "html", m->html);
	put_delimiter(out, m, 2, true);
}

static void
put_attachment(struct buf *out, const struct mime_attachment *a)
{
	buf_addf(out,
		 "Content-Type: %.*s\r\nContent-Transfer-Encoding: "
		 "base64\r\nContent-Disposition: attachment",
		 (int)a->type.n, a->type.p);
	if (a->name.n > 0)
		mime_parameter(out, "filename", a->name);
	buf_add_str(out, "\r\n\r\n");
	mime_base64(out, a->content);
}

void
mime_build(const struct mime_mail *m, struct buf *out)
{
	put_addresses(out, "From", &m->from, 1);
	put_addresses(out, "Reply-To", m->reply_to.v, m->reply_to.n);
	put_addresses(out, "To", m->to.v, m->to.n);
	put_addresses(out, "Cc", m->cc.v, m->cc.n);
	buf_add_str(out, "Subject: ");
	mime_header_text(out, m->subject, false, strlen("Subject: "));
	buf_add_str(out, "\r\nMIME-Version: 1.0\r\n");
	if (m->n_attachments == 0) {
		put_body(out, m);
		return;
	}
	open_multipart(out, m, "mixed", 1);
	put_delimiter(out, m, 1, false);
	put_body(out, m);
	for (size_t i = 0; i < m->n_attachments; i++) {
		put_delimiter(out, m, 1, false);
		put_attachment(out, &m->attachments[i]);
	}
	put_delimiter(out, m, 1, true);
}
