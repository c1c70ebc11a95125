/* SPDX-License-Identifier: MIT
 *
 * Header facts, the text of all text parts, attachments, the part map. No state.
 */
#include "facts/extract.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "facts/addresses.h"
#include "facts/archive.h"
#include "facts/charset.h"
#include "facts/html.h"
#include "facts/sniff.h"
#include "facts/words.h"

static EVP_MD *sha256;

void
extract_preload(void)
{
	charset_preload();
	if (sha256 == NULL)
		sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

static void
digest(struct bytes b, uint8_t out[32])
{
	if (sha256 == NULL)
		extract_preload();
	if (sha256 == NULL || EVP_Digest(b.p, b.n, out, NULL, sha256, NULL) != 1)
		abort();
}

static const char *
clip(struct arena *a, const char *s)
{
	struct bytes b = bytes_str(s);
	return b.n <= FACTS_STRING_MAX ? s : arena_strndup(a, b.p, charset_cut(b, FACTS_STRING_MAX));
}

/* --- header --------------------------------------------------------------------------------------------- */

static void
judge_cut(const struct mime *m, bool cut)
{
	if (cut)
		m->report(m->ctx, FACTS_LIMIT, "a header text that is too long");
}

static const char *
text_of(const struct mime *m, const struct header *h, const char *name)
{
	const struct header_field *f = header_find(h, name);
	bool cut = false;
	const char *text = f != NULL ? words_decode(f->value, m->arena, &cut) : "";
	judge_cut(m, cut);
	return text;
}

/* A field that occurs twice counts twice: a rule must see every address that a reader may show. */
static struct facts_addresses
addresses_of(const struct mime *m, const struct header *h, const char *name)
{
	struct addresses all = {.cap = 0};
	struct bytes want = bytes_str(name);
	for (size_t i = 0; i < h->n; i++)
		if (bytes_ieq(h->v[i].name, want))
			addresses_read(h->v[i].value, m->arena, &all);
	if (all.odd != NULL)
		m->report(m->ctx, FACTS_AMBIGUOUS, all.odd);
	if (all.cut)
		m->report(m->ctx, FACTS_LIMIT, "too many addresses in the header, or too long ones");
	return all.list;
}

/* RFC 5322 3.6 allows one of each; of two, some readers show the first and some the last. */
static void
judge_repeated(const struct mime *m, const struct header *h)
{
	static const char *const single[] = {"Subject", "From", "Sender", "Reply-To", "To", "Cc", "Date", "Message-ID"};
	for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++)
		if (header_count(h, single[i]) > 1)
			m->report(m->ctx, FACTS_AMBIGUOUS, "a header field that occurs twice");
}

static void
header_facts(const struct mime *m, struct facts *f)
{
	const struct header *h = &m->parts[0].fields;
	judge_repeated(m, h);
	f->subject = text_of(m, h, "Subject");
	f->message_id = text_of(m, h, "Message-ID");
	f->from = addresses_of(m, h, "From");
	f->sender = addresses_of(m, h, "Sender");
	f->to = addresses_of(m, h, "To");
	f->cc = addresses_of(m, h, "Cc");
	f->reply_to = addresses_of(m, h, "Reply-To");
	f->received_count = (uint32_t)header_count(h, "Received");
	f->has_date = header_find(h, "Date") != NULL;
	f->has_message_id = header_find(h, "Message-ID") != NULL;
	f->has_from = header_find(h, "From") != NULL;
	const struct header_field *as = header_find(h, "Auto-Submitted");
	struct header_value v;
	if (as != NULL) {
		header_parse_value(m->arena, as->value, &v);
		f->auto_submitted = !bytes_ieq(v.token, bytes_str("no"));
	}
	f->header_length = (uint32_t)h->length;
	f->n_fields = h->n;
	f->fields = arena_new_array(m->arena, struct facts_field, h->n);
	for (size_t i = 0; i < h->n; i++)
		f->fields[i] = (struct facts_field){(uint32_t)(h->v[i].whole.p - m->msg.p), (uint32_t)h->v[i].name.n,
						    (uint32_t)h->v[i].whole.n};
}

static void
octet_facts(const struct mime *m, struct facts *f)
{
	const uint8_t *p = m->msg.p, *end = p + m->msg.n, *body = p + m->parts[0].fields.length;
	for (const uint8_t *q = p; q < body && !f->utf8_header; q++)
		f->utf8_header = *q >= 0x80;
	for (const uint8_t *q = body; q < end && !f->eight_bit; q++)
		f->eight_bit = *q >= 0x80;
	while (p < end) {
		const uint8_t *nl = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((nl != NULL ? nl : end) - p);
		if (nl != NULL && n > 0 && nl[-1] == '\r')
			n--;
		if (n > f->longest_line)
			f->longest_line = (uint32_t)n;
		p = nl != NULL ? nl + 1 : end;
	}
}

/* --- text ----------------------------------------------------------------------------------------------- */

static void
text_facts(const struct mime *m, struct facts *f)
{
	struct buf text;
	/* One character of UTF-8 over the bound is enough to know that something was cut. */
	buf_init(&text, 0);
	for (size_t i = 0; i < m->n_parts && text.n <= FACTS_TEXT_MAX; i++) {
		const struct mime_part *p = &m->parts[i];
		if (p->kind != MIME_LEAF || strncmp(p->content_type, "text/", 5) != 0 || p->content.n == 0)
			continue;
		/* HTML may shrink to a fraction: take in more than goes out. */
		bool html = strcmp(p->content_type, "text/html") == 0;
		size_t max = (size_t)FACTS_TEXT_MAX * (html ? 4 : 1) + 4;
		struct bytes t = charset_to_utf8(p->charset, p->content, max, m->arena);
		f->text_truncated |= t.n + 4 > max;
		if (html)
			t = html_to_text(t, m->arena);
		t = charset_nfkc(t, FACTS_TEXT_MAX + 4, m->arena);
		if (text.n > 0)
			buf_add_str(&text, "\n");
		buf_add_bytes(&text, t);
	}
	struct bytes all = buf_bytes(&text);
	size_t keep = charset_cut(all, FACTS_TEXT_MAX);
	f->text_truncated |= keep < all.n;
	/* Unconverted ASCII is borrowed from the message and may hold NUL. */
	for (size_t i = 0; i < keep; i++)
		if (text.p[i] == 0)
			text.p[i] = ' ';
	f->text = keep > 0 ? arena_strndup(m->arena, all.p, keep) : "";
	buf_done(&text);
}

/* --- attachments and parts ------------------------------------------------------------------------------ */

/* Names of the sender's folders are nobody's business and a danger to whoever saves the file. */
static const char *
base_name(const char *name)
{
	for (const char *p = name; *p != '\0'; p++)
		if (*p == '/' || *p == '\\')
			name = p + 1;
	return name;
}

static bool
is_encrypted(const struct mime_part *p)
{
	struct archive_list list;
	if (archive_list_zip(p->content, 0, &list) == ARCHIVE_LISTED && list.encrypted > 0)
		return true;
	return strstr(p->content_type, "pkcs7-mime") != NULL ||
	       (p->content.n > 5 && memcmp(p->content.p, "%PDF-", 5) == 0 &&
		bytes_find(p->content, bytes_str("/Encrypt ")) >= 0);
}

static void
attachment_facts(const struct mime *m, struct facts *f)
{
	f->attachments = arena_new_array(m->arena, struct facts_attachment, m->n_parts);
	for (size_t i = 0; i < m->n_parts; i++) {
		const struct mime_part *p = &m->parts[i];
		if (p->kind == MIME_MULTIPART || p->text_body || (p->kind == MIME_MESSAGE && i == 0))
			continue;
		if (f->n_attachments == FACTS_ATTACHMENTS_MAX) {
			m->report(m->ctx, FACTS_LIMIT, "too many attachments");
			return;
		}
		struct bytes content = p->kind == MIME_MESSAGE ? p->body : p->content;
		bool cut = false;
		const char *name = words_param(&p->disposition, "filename", m->arena, &cut);
		if (name[0] == '\0')
			name = words_param(&p->type, "name", m->arena, &cut);
		judge_cut(m, cut);
		struct facts_attachment *t = &f->attachments[f->n_attachments++];
		*t = (struct facts_attachment){
		    .name = base_name(name),
		    .declared_type = clip(m->arena, p->content_type),
		    .detected_type = p->kind == MIME_MESSAGE ? "message/rfc822" : sniff_type(content),
		    .size = content.n,
		    .encrypted = is_encrypted(p),
		    .part = (uint32_t)i,
		};
		digest(content, t->sha256);
	}
}

static const char *
lower_token(struct arena *a, struct bytes b)
{
	char *s = arena_strndup(a, b.p, b.n < 128 ? b.n : 128);
	for (char *p = s; *p != '\0'; p++)
		*p = *p >= 'A' && *p <= 'Z' ? (char)(*p | 32) : (unsigned char)*p >= 0x7f ? '?' : *p;
	return s;
}

static void
part_facts(const struct mime *m, struct facts *f)
{
	f->n_parts = m->n_parts;
	f->parts = arena_new_array(m->arena, struct facts_part, m->n_parts);
	for (size_t i = 0; i < m->n_parts; i++) {
		const struct mime_part *p = &m->parts[i];
		f->parts[i] = (struct facts_part){
		    .parent = p->parent,
		    .header_offset = (uint64_t)(p->header.p - m->msg.p),
		    .header_length = p->header.n,
		    .body_offset = (uint64_t)(p->body.p - m->msg.p),
		    .body_length = p->body.n,
		    .content_type = clip(m->arena, p->content_type),
		    .charset = clip(m->arena, p->charset),
		    .encoding = clip(m->arena, p->encoding),
		    .disposition = lower_token(m->arena, p->disposition.token),
		    .content_id = text_of(m, &p->fields, "Content-ID"),
		};
	}
}

void
extract_facts(const struct mime *m, struct facts *f)
{
	f->size = m->msg.n;
	digest(m->msg, f->sha256);
	f->subject = f->message_id = f->text = "";
	if (m->n_parts == 0)
		return;
	header_facts(m, f);
	octet_facts(m, f);
	text_facts(m, f);
	part_facts(m, f);
	attachment_facts(m, f);
}
