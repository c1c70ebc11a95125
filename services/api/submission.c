/* SPDX-License-Identifier: MIT */
#include "submission.h"

#include <stdlib.h>
#include <string.h>

#include "smtp/address.h"
#include "core/base64.h"

void
submission_done(struct submission *s)
{
	buf_done(&s->message);
}

static bool
is_ascii(struct bytes b)
{
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] >= 0x80)
			return false;
	return true;
}

enum rc
submission_address(struct arena *a, struct bytes text, struct bytes *out_r, struct err *e)
{
	struct smtp_address parsed;
	enum rc rc = smtp_address_parse(text, &parsed, e);
	if (rc != RC_OK)
		return rc;
	if (parsed.literal || is_ascii(parsed.domain) || !is_ascii(parsed.local)) {
		*out_r = arena_bytes(a, text);
		return RC_OK;
	}
	char domain[SMTP_ASCII_DOMAIN_SIZE];
	rc = smtp_domain_ascii(parsed.domain, domain, e);
	if (rc == RC_OK)
		*out_r = bytes_str(arena_printf(a, "%.*s@%s", (int)parsed.local.n, parsed.local.p, domain));
	return rc;
}

enum rc
submission_add_recipient(struct arena *a, struct bytes address, struct submission *s, struct err *e)
{
	struct bytes clean;
	enum rc rc = submission_address(a, address, &clean, e);
	if (rc != RC_OK)
		return rc;
	for (size_t i = 0; i < s->n_recipients; i++)
		if (bytes_eq(s->recipients[i], clean))
			return RC_OK;
	if (s->n_recipients == SUBMISSION_RECIPIENTS_MAX)
		return err_set(e, RC_LIMIT, "more than %d recipients", SUBMISSION_RECIPIENTS_MAX);
	if (s->recipients == NULL)
		s->recipients = arena_new_array(a, struct bytes, SUBMISSION_RECIPIENTS_MAX);
	s->recipients[s->n_recipients++] = clean;
	return RC_OK;
}

enum rc
submission_add_list(struct arena *a, const char *list, struct submission *s, struct err *e)
{
	while (*list != '\0') {
		/* A comma inside a quoted local part is part of it. */
		bool quoted = false;
		size_t n = 0;
		for (; list[n] != '\0' && (quoted || list[n] != ','); n++) {
			if (list[n] == '"')
				quoted = !quoted;
			else if (quoted && list[n] == '\\' && list[n + 1] != '\0')
				n++;
		}
		const char *from = list;
		size_t len = n;
		for (; len > 0 && *from == ' '; len--)
			from++;
		while (len > 0 && from[len - 1] == ' ')
			len--;
		enum rc rc = submission_add_recipient(a, bytes_of(from, len), s, e);
		if (rc != RC_OK)
			return rc;
		list += n + (list[n] == ',' ? 1 : 0);
	}
	return RC_OK;
}

bool
submission_lines_ok(struct bytes m)
{
	for (size_t i = 0; i < m.n; i++) {
		if (m.p[i] == '\n')
			return false;
		if (m.p[i] != '\r')
			continue;
		if (i + 1 == m.n || m.p[i + 1] != '\n')
			return false;
		i++;
	}
	return m.n >= 2 && m.p[m.n - 1] == '\n';
}

/* --- JSON
 * -------------------------------------------------------------------------------------------------
 */

/* Header text: a control character in it is somebody's attempt or mistake; it would be encoded, but is refused. */
static struct bytes
read_line(struct json_at at, const char *name, size_t max)
{
	struct bytes b = json_in_string(at, name, false, max);
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] < 0x20 || b.p[i] == 0x7f) {
			json_in_fail(at, name, "must not hold control characters");
			return bytes_str("");
		}
	return b;
}

/* "a@example.com" or {"name": "...", "address": "a@example.com"}. */
static struct mime_address
read_address(struct json_at at)
{
	static const char *const names[] = {"name", "address", NULL};
	struct mime_address out = {0};
	struct bytes text;
	if (json_is_object(at.value)) {
		json_in_object(at, names);
		out.name = read_line(at, "name", 512);
		text = json_in_string(at, "address", true, SMTP_PATH_MAX);
		at = json_in_member(at, "address");
	} else {
		text = json_in_string_here(at, SMTP_PATH_MAX);
	}
	struct err e = {0};
	if (!at.in->failed && submission_address(at.in->arena, text, &out.address, &e) != RC_OK)
		json_in_fail(at, NULL, "is not an address: %s", e.text);
	return out;
}

static struct mime_addresses
read_addresses(struct json_at root, const char *name)
{
	struct json_at list;
	struct mime_addresses out = {.n = json_in_array(root, name, SUBMISSION_RECIPIENTS_MAX, &list)};
	out.v = arena_new_array(root.in->arena, struct mime_address, out.n + 1);
	for (size_t i = 0; i < out.n; i++)
		out.v[i] = read_address(json_in_element(list, i));
	return out;
}

static struct mime_attachment
read_attachment(struct json_at at)
{
	static const char *const names[] = {"name", "content_type", "content_base64", NULL};
	json_in_object(at, names);
	struct mime_attachment out = {.name = read_line(at, "name", 512),
				      .type = json_in_string(at, "content_type", false, 127)};
	if (out.type.n == 0)
		out.type = bytes_str("application/octet-stream");
	if (!mime_type_valid(out.type))
		json_in_fail(at, "content_type",
			     "must be type/subtype without parameters, and neither "
			     "multipart nor message");
	struct bytes text = json_in_string(at, "content_base64", true, SIZE_MAX / 2);
	size_t most = text.n / 4 * 3, n = 0;
	uint8_t *content = arena_alloc(at.in->arena, most + 1);
	if (base64_take_some(text, content, most, &n))
		out.content = bytes_of(content, n);
	else
		json_in_fail(at, "content_base64", "is not base64 (RFC 4648 section 4, with padding)");
	return out;
}

static void
read_envelope(struct json_at root, struct mime_mail *m, const struct mime_addresses *bcc, struct submission *s)
{
	static const char *const names[] = {"sender", "recipients", NULL};
	struct err e = {0};
	struct json_at envelope = json_in_member(root, "envelope"), list = {0};
	size_t n = 0;
	s->sender = m->from.address;
	if (envelope.value != NULL) {
		json_in_object(envelope, names);
		struct bytes sender = json_in_string(envelope, "sender", false, SMTP_PATH_MAX);
		if (sender.n > 0 && submission_address(root.in->arena, sender, &s->sender, &e) != RC_OK)
			json_in_fail(envelope, "sender", "is not an address: %s", e.text);
		n = json_in_array(envelope, "recipients", SUBMISSION_RECIPIENTS_MAX, &list);
	}
	for (size_t i = 0; i < n; i++) {
		struct json_at at = json_in_element(list, i);
		struct bytes text = json_in_string_here(at, SMTP_PATH_MAX);
		if (!root.in->failed && submission_add_recipient(root.in->arena, text, s, &e) != RC_OK)
			json_in_fail(at, NULL, "is not an address: %s", e.text);
	}
	const struct mime_addresses *lists[] = {&m->to, &m->cc, bcc};
	for (size_t k = 0; n == 0 && k < 3 && !root.in->failed; k++)
		for (size_t i = 0; i < lists[k]->n; i++)
			if (submission_add_recipient(root.in->arena, lists[k]->v[i].address, s, &e) != RC_OK)
				json_in_fail(root, NULL, "has %s", e.text);
	if (s->n_recipients == 0)
		json_in_fail(root, "to",
			     "must name at least one recipient (in to, cc, bcc or "
			     "envelope.recipients)");
}

enum rc
submission_from_json(struct json_in *in, struct arena *a, const json_t *document, const struct uuid *id, size_t max,
		     struct submission *out_r, struct err *e)
{
	static const char *const names[] = {"from", "to",   "cc",	   "bcc",      "reply_to", "subject",
					    "text", "html", "attachments", "envelope", NULL};
	struct json_at root = json_in_root(in, a, document), list;
	struct mime_mail m = {.id = *id};
	struct submission s = {0};
	json_in_object(root, names);
	if (!json_in_has(root, "from"))
		json_in_fail(root, "from", "is required");
	else
		m.from = read_address(json_in_member(root, "from"));
	m.to = read_addresses(root, "to");
	m.cc = read_addresses(root, "cc");
	m.reply_to = read_addresses(root, "reply_to");
	struct mime_addresses bcc = read_addresses(root, "bcc");
	m.subject = read_line(root, "subject", 2000);
	m.has_text = json_in_has(root, "text");
	m.has_html = json_in_has(root, "html");
	m.text = json_in_string(root, "text", false, max);
	m.html = json_in_string(root, "html", false, max);
	if (!m.has_text && !m.has_html)
		json_in_fail(root, "text", "is required (text, html or both)");
	m.n_attachments = json_in_array(root, "attachments", SUBMISSION_ATTACHMENTS_MAX, &list);
	m.attachments = arena_new_array(a, struct mime_attachment, m.n_attachments + 1);
	for (size_t i = 0; i < m.n_attachments && !in->failed; i++)
		m.attachments[i] = read_attachment(json_in_element(list, i));
	read_envelope(root, &m, &bcc, &s);
	if (in->failed)
		return RC_OK;
	buf_init(&s.message, max);
	mime_build(&m, &s.message);
	if (!buf_ok(&s.message)) {
		submission_done(&s);
		return err_set(e, RC_LIMIT, "the message would be larger than %zu octets", max);
	}
	*out_r = s;
	return RC_OK;
}
